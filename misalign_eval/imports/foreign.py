"""One reply as a foreign file tells it, before it has a place in a plan."""

import json
from typing import NamedTuple

from pydantic import JsonValue

from misalign_eval.imports.account import BadCellError
from misalign_eval.imports.cells import shown
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.reply import Finish, ToolCall
from misalign_eval.records.suite import PLAIN, Direction, Split

Turn = tuple[str, str]  # role and words


class Found(NamedTuple):
    """What one grader said of it: a score, a label, or why there is neither."""

    grader: str
    judge: str | None = None  # None: the file does not say
    score: float | None = None
    label: str | None = None
    reason: UngradedReason | None = None
    message: str = ""
    raw: str | None = None
    why: str | None = None
    distribution: dict[str, float] | None = None
    mass: float | None = None
    modal: str | None = None

    @property
    def said(self) -> tuple[float | None, str | None]:
        """The verdict itself; (None, None) where there is none."""
        return self.score, self.label


class RunKey(NamedTuple):
    """What tells the runs of one file apart; None where the file does not say."""

    model: str | None = None
    group: str | None = None
    step: str | None = None


class Asked(NamedTuple):
    """What was asked: a probe by its id, its words where they are known."""

    probe: str
    turns: tuple[Turn, ...] = ()  # without the system prompt
    system: str | None = None
    variant: str = PLAIN


class Kept(NamedTuple):
    """What only tables and logs of ours tell of a reply; each as in `Reply`."""

    finish_word: str | None = None
    calls: tuple[ToolCall, ...] = ()
    leaked: str | None = None
    refusal: str | None = None
    dropped: tuple[str, ...] = ()
    prefilled: tuple[str, ...] = ()
    streamed: bool | None = None


def end_of(finish: Finish, word: str | None, attempts: object) -> str | None:
    """The server's word for how a reply ended. "" where it was asked and gave none, as no row of an import was asked.

    >>> end_of("unknown", None, 1), end_of("unknown", None, 0), end_of("length", "pause_turn", 1)
    ('', None, 'pause_turn')
    """
    was_asked = str(attempts) not in {"", "0", "None"}
    return "" if word is None and finish == "unknown" and was_asked else word


def calls_of(value: object) -> tuple[ToolCall, ...]:
    """Calls of tools as `export` writes them. Raises BadCellError."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
        return tuple(ToolCall(**call) for call in found or ())  # type: ignore[union-attr]
    except (ValueError, TypeError, RecursionError):
        raise BadCellError(f"`calls`: {shown(value)} is no list of calls", "Export the run again") from None


class Foreign(NamedTuple):
    """A row: a reply with its grades, a judgment alone, or a request that failed."""

    row: int
    line: int
    run: RunKey
    asked: Asked
    sample: str | None  # as the file numbers it; None where it does not
    text: str | None = None  # None: not in this file
    reasoning: str | None = None
    finish: Finish = "unknown"
    failure: str | None = None
    found: tuple[Found, ...] = ()
    category: str | None = None
    split: Split | None = None
    temperature: float | None = None
    reference: JsonValue = None
    tags: tuple[str, ...] = ()
    is_absent: bool = False  # planned, and not collected
    kept: Kept = Kept()
    expect: Direction | None = None  # of a control probe
    expects: str | None = None  # the form that the variant asked for
