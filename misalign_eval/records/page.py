"""What one HTML page holds: the numbers of the analysis, where they came from, and the replies themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

from misalign_eval.records.analysis import Comparison, Report, Warned
from misalign_eval.records.base import Record
from misalign_eval.records.calibration import Calibration
from misalign_eval.records.definition import Outcome
from misalign_eval.records.distributions import Distributions
from misalign_eval.records.gate import Gate
from misalign_eval.records.grade import GraderIdentity, Vote
from misalign_eval.records.lint import Finding
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Finish
from misalign_eval.records.trajectory import GroupComparison, Trajectory


class Origin(Record):
    """How one run came about, for whoever wants to make it again."""

    run: str
    facts: tuple[tuple[str, str], ...]  # name and value, as `suite digest` and 16 hexadecimal digits
    command: str
    cost: tuple[str, ...]  # requests, tokens and money in words; a line each for the target and the judges


@dataclass(frozen=True, slots=True)
class ShownGrade:
    """What one grader said of one reply. `problem` is why it said nothing. Text is hostile."""

    name: str  # the grader; of another judge than the one that counts, `grader (judge)`
    score: float | None = None
    label: str | None = None
    why: str | None = None
    problem: str | None = None
    raw: str | None = None
    number_mass: float | None = None
    distribution: Mapping[str, float] | None = None
    votes: tuple[Vote, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownReply:
    """A reply with its outcome and all that was said about it. Text is hostile.

    Where only the beginning of its text is here, `whole` is the number of characters that it has in the run. There
    are thousands on a page: these are no pydantic records, which take ten times the memory.
    """

    outcome: Outcome
    text: str | None  # None: not published
    failure: str | None = None  # in place of a text
    finish: Finish = "stop"
    finish_word: str | None = None
    calls: tuple[str, ...] = ()  # `name arguments`
    leaked: str | None = None
    earlier: tuple[str, ...] = ()
    reasoning: str | None = None
    refusal: str | None = None
    whole: int | None = None
    grades: tuple[ShownGrade, ...] = ()
    is_disputed: bool = False  # another judge, or a vote of an ensemble, would count it otherwise


@dataclass(frozen=True, slots=True)
class Slot:
    """One sample of one prompt in every run of the page; None where a run has none."""

    prompt: int  # place in `Exhibit.prompts`
    sample: int
    replies: tuple[ShownReply | None, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """The replies of a page."""

    runs: tuple[str, ...]
    targets: tuple[str, ...]
    definition: str
    numerator: tuple[Outcome, ...]
    prompts: tuple[PlannedPrompt, ...]
    graders: tuple[GraderIdentity, ...]
    slots: tuple[Slot, ...]
    replies: int  # rows of all runs together, shown or not


class LintedRun(Record):
    """What was found in the replies of one run, and the warnings that the page has about its counts."""

    run: str
    findings: tuple[Finding, ...]
    warnings: tuple[Warned, ...]


class Page(Record):
    """One page: of runs each by itself, a comparison, a trajectory, groups or a gate, whichever is there."""

    title: str
    reports: tuple[Report, ...] = ()
    comparison: Comparison | None = None
    trajectory: Trajectory | None = None
    groups: GroupComparison | None = None
    gate: Gate | None = None
    distributions: Distributions = Distributions()
    people: tuple[Calibration, ...] = ()  # a run's judge against its labels
    origins: tuple[Origin, ...] = ()
    lint: tuple[LintedRun, ...] = ()  # of the runs behind a change or verdict; `reports` have their own
    exhibit: Exhibit | None = None
