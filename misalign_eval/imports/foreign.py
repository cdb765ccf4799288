"""One reply as a foreign file tells it, before it has a place in a plan."""

from typing import NamedTuple

from pydantic import JsonValue

from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.reply import Finish
from misalign_eval.records.suite import PLAIN, Split

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
