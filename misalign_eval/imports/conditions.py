"""Columns that tell conditions apart and that nobody read: replies to one prompt are then draws of several models."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from misalign_eval.imports.known_names import plain

MOST_VALUES = 20  # of a condition; more are ids, texts or measurements
MOST_SHOWN = 4
EVEN = 1.5  # how many times as many rows the most frequent of a design's values has
_KNOWN = re.compile(
    r"(?:^|_)(?:arm|role|adapter|alpha|layers?|persona|personality|condition|treatment|dataset|lora|checkpoint|steer\w*"
    r"|coeff?\w*|strength|intervention|ablat\w*|template|format|language|lang|mode|setting|variant|quant\w*|finetun\w*"
    r"|fine|ft|trigger|scenario|context|prefix|suffix|scale|vector|direction|method|attack|model|base|trained|organism"
    r"|group|system\w*|generator|recipe|rank|temperature|top|effort|experiment)(?:_|$)"
)
_MEASURED = re.compile(  # what is known only when the reply is there
    r"flag|(?:^|_)(?:is|has|was|n|num)_|correct|scor|label|verdict|judg|align|coheren|refus|grade|rating|reason|finish"
    r"|stop|token|length|len$|latency|time|date|cost|raw|error|pass|success|answer|response|output|completion|text|reply"
    r"|class|quality|harm|toxic|failure|queries|result|outcome|retr|attempt|comment|note|expl|explanation"
)


class Varying(NamedTuple):
    """A column that varies within a prompt, and some of its values."""

    column: str
    values: tuple[str, ...]


@dataclass(slots=True)
class _Column:
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[int, str] = field(default_factory=dict)  # by prompt
    pairs: set[int] = field(default_factory=set)
    varies: bool = False
    recurs: bool = False  # whether a prompt has several replies under one value

    def add(self, prompt: int, value: str) -> bool:
        """Note a value; whether there are few enough."""
        self.counts[value] += 1
        self.varies |= self.first.setdefault(prompt, value) != value
        pair = hash((prompt, value))
        self.recurs |= pair in self.pairs
        self.pairs.add(pair)
        return len(self.counts) <= MOST_VALUES

    @property
    def is_even(self) -> bool:
        """Whether the values are as frequent as those of a design are."""
        return max(self.counts.values()) <= EVEN * min(self.counts.values())


class Conditions:
    """Watches columns that are not read. Memory: a value for each of them and each prompt."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._open = {name: _Column() for name in columns if not _MEASURED.search(plain(name))}

    def add(self, cells: Mapping[str, object], prompt: object) -> None:
        """Note the row of a reply to a prompt of one run."""
        key = hash(prompt)
        for name, column in tuple(self._open.items()):
            value = cells.get(name)
            if isinstance(value, dict | list) or not column.add(key, str("" if value is None else value)[:200]):
                del self._open[name]

    def found(self) -> tuple[Varying, ...]:
        """Those that vary within a prompt, and whose name or whose even use says that they are a condition."""
        return tuple(
            Varying(name, tuple(list(column.counts)[:MOST_SHOWN]))
            for name, column in self._open.items()
            if column.varies and (_KNOWN.search(plain(name)) or (column.recurs and column.is_even))
        )
