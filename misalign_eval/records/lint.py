"""What is odd about a run: in its replies and verdicts, or in its folder."""

from collections.abc import Iterable
from typing import Literal

from misalign_eval.records.base import Record

Level = Literal["error", "warning", "note"]


class Finding(Record):
    """Something found. `id` is stable.

    error: numbers of this run are wrong or cannot be had; warning: they may mean something else than they seem to;
    note: worth a look.
    """

    id: str
    level: Level
    text: str
    count: int | None = None  # how many replies, verdicts or rows
    of: int | None = None  # of how many
    share: float | None = None  # count / of, a fraction
    example: str | None = None  # a reply to read, `show RUN --key EXAMPLE`; of a file its line, `replies.jsonl:7`
    advice: str


def found(  # the fields in the order in which they are said
    identity: str, level: Level, text: str, advice: str, *, count: int, of: int, example: str | None = None
) -> Finding:
    """A finding about a part of something.

    >>> found("empty", "note", "1 of 4 replies is empty", "Look.", count=1, of=4).share
    0.25
    """
    share = count / of if of else None
    return Finding(id=identity, level=level, text=text, count=count, of=of, share=share, example=example, advice=advice)


class Fact(Record):
    """Something that is so, and where it comes from."""

    section: str
    name: str
    value: str
    source: str | None = None


class Warned(Record):
    """Something that the reader of a number must know. `id` is stable, `text` is for people."""

    id: str
    text: str


class Diagnosis(Record):
    """What `doctor` says: of the environment, or of a run's folder and its replies. No key is in it."""

    of: str  # the run folder, or "environment"
    healthy: bool  # no finding is an error
    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    replies: tuple[Finding, ...] | None = None  # the lint of replies; None: not looked at
    warnings: tuple[Warned, ...] = ()  # of the run's numbers, the same as its reports have


def diagnosis(
    of: str,
    facts: Iterable[Fact],
    findings: Iterable[Finding],
    replies: tuple[Finding, ...] | None = None,
    warnings: tuple[Warned, ...] = (),
) -> Diagnosis:
    """Put together, the gravest findings first."""
    order: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
    known = tuple(sorted(findings, key=lambda one: order[one.level]))
    healthy = all(one.level != "error" for one in (*known, *(replies or ())))
    return Diagnosis(of=of, healthy=healthy, facts=tuple(facts), findings=known, replies=replies, warnings=warnings)
