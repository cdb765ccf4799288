"""What an import read and made: the counts that `import` prints. Everything said later is read from the runs' rows."""

from typing import Literal

from misalign_eval.records.base import Record

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


class Disagreement(Record):
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
    disagreements: tuple[Disagreement, ...]  # the first of them
    notes: tuple[str, ...] = ()
