"""Findings of lint, doctor and import."""

from collections.abc import Iterable
from typing import Literal

from misalign_eval.records.base import Record

# Findings about a run: in its replies and verdicts, or in its folder.


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


def finding(  # the fields in the order in which they are said
    identity: str, level: Level, text: str, advice: str, *, count: int, of: int, example: str | None = None
) -> Finding:
    """A finding about a part of something.

    >>> finding("empty", "note", "1 of 4 replies is empty", "Look.", count=1, of=4).share
    0.25
    """
    share = count / of if of else None
    return Finding(id=identity, level=level, text=text, count=count, of=of, share=share, example=example, advice=advice)


class LintFact(Record):
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
    facts: tuple[LintFact, ...]
    findings: tuple[Finding, ...]
    replies: tuple[Finding, ...] | None = None  # the lint of replies; None: not looked at
    warnings: tuple[Warned, ...] = ()  # of the run's numbers, the same as its reports have


def diagnosis(
    of: str,
    facts: Iterable[LintFact],
    findings: Iterable[Finding],
    replies: tuple[Finding, ...] | None = None,
    warnings: tuple[Warned, ...] = (),
) -> Diagnosis:
    """Put together, the gravest findings first."""
    order: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
    known = tuple(sorted(findings, key=lambda finding: order[finding.level]))
    healthy = all(reply.level != "error" for reply in (*known, *(replies or ())))
    return Diagnosis(of=of, healthy=healthy, facts=tuple(facts), findings=known, replies=replies, warnings=warnings)


# Result of an import: the counts that `import` prints. Later reports read the runs' rows.


Kind = Literal["answers", "judgments", "Inspect log"]


class ReadFile(Record):
    """One foreign file: how it was understood, and what became of its rows."""

    file: str
    format: str  # CSV, JSON Lines, JSON list; of a log of Inspect zip or JSON
    what: Kind
    columns: dict[str, str] = {}  # ours → theirs
    ignored: tuple[str, ...] = ()  # columns that nothing was read from
    counts: dict[str, int]  # in words, such as `rows read`; zero counts are left out


class ImportedGrader(Record):
    """The grades of one judge in one run."""

    grader: str
    judge: str
    identity: str
    graded: int
    ungraded: int


class ImportedRun(Record):
    """One run folder that was made."""

    folder: str
    target: str
    definition: str
    prompts: int
    replies: int
    missing: int = 0  # replies that the numbers in the file say there were, and that are not in it
    without_text: int  # replies of which only the judgment was published
    failures: int
    graders: tuple[ImportedGrader, ...]


class ImportDisagreement(Record):
    """A score in the file that its own token distribution does not give. None is no score."""

    file: str
    row: int
    line: int
    column: str
    given: float | None
    derived: float | None


class Imported(Record):
    """A whole import."""

    out: str
    files: tuple[ReadFile, ...]
    runs: tuple[ImportedRun, ...]
    derived: int  # scores derived again from a distribution
    disagreeing: int
    disagreements: tuple[ImportDisagreement, ...]  # the first of them
    notes: tuple[str, ...] = ()
