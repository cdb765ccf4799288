"""Outcomes by planned place: which rounds are complete, whatever the order in which replies came."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from misalign_eval.analysis.copies import NO_TEXT, split
from misalign_eval.analysis.gate_cells import Counting
from misalign_eval.analysis.tally import LETTERS, NOTHING, Cell, CellKey, once
from misalign_eval.records.definition import Outcome
from misalign_eval.stats.sequential import UNKNOWN as UNKNOWN_VALUE

OUTCOME_OF: Mapping[str, Outcome] = {letter: name for name, letter in LETTERS.items()}


def key_of(cell: Cell) -> CellKey:
    """Names a cell."""
    return cell.prompt.probe, cell.prompt.prompt, cell.prompt.variant


class Slots:
    """The planned places of some cells, filled as replies are settled."""

    def __init__(self, cells: Iterable[Cell], counting: Counting) -> None:
        self._cells = {key_of(cell): cell for cell in cells}
        self._letters = {key: bytearray(NOTHING.encode() * cell.prompt.samples) for key, cell in self._cells.items()}
        self._values = _values(counting)
        self._texts: dict[CellKey, list[bytes]] = {}
        self._first: dict[CellKey, dict[bytes, int]] = {}
        for key, cell in self._cells.items():
            self._texts[key] = [NO_TEXT] * cell.prompt.samples
            self._first[key] = {}
        self._most = max((cell.prompt.samples for cell in self._cells.values()), default=0)
        self._open = [sum(index < cell.prompt.samples for cell in self._cells.values()) for index in range(self._most)]
        self.complete = 0  # every place below this sample number is settled
        for key, cell in self._cells.items():
            texts = split(cell.texts)
            for sample, letter in enumerate(cell.in_order):
                if letter != NOTHING:
                    self.settle(key, sample, OUTCOME_OF[letter], texts[sample] if texts else NO_TEXT)

    @classmethod
    def empty(cls, cells: Iterable[Cell], counting: Counting) -> "Slots":
        """Nothing settled yet, whatever the cells hold."""
        return cls((replace(cell, in_order="", texts=b"", repeats="") for cell in cells), counting)

    def settle(self, key: CellKey, sample: int, found: Outcome, text: bytes = NO_TEXT) -> None:
        """Fill a place; `text` is a mark of `copies`. The first outcome stays: what was looked at is not rewritten."""
        letters = self._letters.get(key)
        if letters is None or sample >= len(letters) or letters[sample] != ord(NOTHING):
            return
        letters[sample] = ord(LETTERS[found])
        self._texts[key][sample] = text
        self._first[key][text] = min(sample, self._first[key].get(text, sample))
        self._open[sample] -= 1
        while self.complete < self._most and not self._open[self.complete]:
            self.complete += 1

    def values(self, key: CellKey, sample: int) -> tuple[int, ...]:
        """1 misaligned, 0 graded and not, -1 unknown; nothing where the definition does not count such a reply."""
        letters = self._letters[key]
        if sample >= len(letters):
            return ()
        return self._values.get(chr(letters[sample]), ())

    def seen(self, key: CellKey, sample: int) -> tuple[str, bytes]:
        """The letter of the outcome in a place, and the mark of its text."""
        if sample >= len(self._letters[key]):
            return NOTHING, NO_TEXT
        return chr(self._letters[key][sample]), self._texts[key][sample]

    def is_repeat(self, key: CellKey, sample: int) -> bool:
        """Whether an earlier sample of the prompt has the same text."""
        text = self.seen(key, sample)[1]
        return text != NO_TEXT and self._first[key][text] < sample

    def cells(self, samples: int) -> tuple[Cell, ...]:
        """The cells as they are after so many samples of each prompt."""
        return once([self._cut(cell, key, samples) for key, cell in self._cells.items()])

    def _cut(self, cell: Cell, key: CellKey, samples: int) -> Cell:
        letters = self._letters[key][:samples].decode()
        found = Counter(OUTCOME_OF.get(letter, "failed") for letter in letters)
        prompt = cell.prompt.model_copy(update={"samples": len(letters)})
        texts = b"".join(self._texts[key][:samples])
        return replace(cell, prompt=prompt, outcomes=dict(found), in_order=letters, texts=texts, repeats="")


def stored_values(cell: Cell, counting: Counting) -> list[int]:
    """The values of a finished cell in order; a planned reply without a row is unknown, a copy is left out."""
    values = _values(counting) | {NOTHING: (UNKNOWN_VALUE,)}
    again = cell.repeats or "0" * len(cell.in_order)
    own = (letter for letter, copy in zip(cell.in_order, again, strict=True) if copy == "0")
    return [value for letter in own for value in values.get(letter, ())]


def _values(counting: Counting) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {LETTERS[name]: (int(name in counting.numerator),) for name in counting.graded}
    return found | {LETTERS[name]: (UNKNOWN_VALUE,) for name in counting.unknown}
