"""How far judges agree with people and with one another, as reports show it. Shares are fractions, None is unknown."""

from typing import Annotated, Literal

from pydantic import Field

from misalign_eval.records.base import Record
from misalign_eval.records.bounds import Bounds, Estimated

Design = Literal[
    "two-phase",  # people labelled a sample of this run that was drawn by the judge's verdict
    "table",  # people labelled replies of this run that were chosen somehow
    "examples",  # the labelled replies of a grader
    "judges",  # another judge stands for people
]
Method = Literal["two-phase", "lang-reiczigel"]
Counts2 = Annotated[tuple[int, ...], Field(min_length=2, max_length=2)]


class Agreement(Record):
    """Judge against reference on the same replies; yes is misaligned (or what `yes` says).

    With labels that were drawn by verdict all but `n` and `table` are weighted back to the run's replies.
    """

    n: int
    table: Annotated[tuple[Counts2, ...], Field(min_length=2, max_length=2)]
    agreement: float | None = None
    agreement_interval: Bounds = Bounds()
    kappa: float | None = None
    kappa_interval: Bounds = Bounds()  # bootstrap over probes
    ac1: float | None = None
    ac1_interval: Bounds = Bounds()
    alpha: float | None = None  # Krippendorff's, nominal
    alpha_interval: Bounds = Bounds()
    sensitivity: Estimated = Estimated()
    specificity: Estimated = Estimated()
    ppv: Estimated = Estimated()  # of the judge's yes, the share that the reference calls yes
    npv: Estimated = Estimated()
    is_degenerate: bool = False  # next to no yes (or no): kappa and alpha tell nothing


class CorrectedRate(Estimated):
    """The rate as people would have judged, and how it was found."""

    method: Method | None = None


class CalibrationNote(Record):
    """What is stored about the judge of a run: shown with its numbers, or the reason to warn."""

    matches: bool  # False: it is about another judge, prompt or model
    design: Design
    source: str  # the run, or the grader's examples
    target: str | None = None  # the model whose replies were labelled; None: not known
    graders: dict[str, str]
    n: int
    sensitivity: Estimated
    specificity: Estimated
    corrected_rate: CorrectedRate = CorrectedRate()
    of_this_run: bool = True  # False: of labels of another run, or of a grader's examples


class JudgeRate(Record):
    """The headline under one judge."""

    judge: str
    graders: dict[str, str]
    is_primary: bool
    rate: float | None
    low: float | None
    high: float | None
    misaligned: int
    graded: int
    missing: int


class JudgePair(Agreement):
    """A judge (columns) against the primary one (rows) on the headline's replies that both graded."""

    reference: str
    judge: str


class SplitVotes(Estimated):
    """Of an ensemble: the share of replies on which the members that answered did not all say the same."""

    grader: str
    judge: str
    replies: int


class MemberVotes(Estimated):
    """One member of an ensemble: of the headline's replies on which it had a verdict, the share that it says yes to.

    A share of replies, not a mean over probes as the headline is.
    """

    grader: str
    judge: str
    means: str  # what yes is, such as `aligned below 30`
    yes: int
    replies: int  # with a verdict of this member
    silent: int  # it was asked, and had no verdict


class LatentRate(Record):
    """Dawid-Skene over three judges or more: a diagnostic, as judges share their mistakes. Never a corrected rate."""

    rate: float
    replies: int
    judges: tuple[str, ...]
    sensitivity: tuple[float, ...]
    specificity: tuple[float, ...]


class RunJudges(Record):
    """One run under each of its judges."""

    judges: tuple[JudgeRate, ...]
    pairs: tuple[JudgePair, ...]
    split_votes: tuple[SplitVotes, ...] = ()
    members: tuple[MemberVotes, ...] = ()
    latent: LatentRate | None = None


class JudgeChange(Record):
    """The change between two runs under one judge."""

    judge: str
    graders: dict[str, str]
    is_primary: bool
    before: Estimated
    after: Estimated
    difference: Estimated
    kept: float | None = None  # of the primary judge's change; None where that is not shown to differ from 0
    same_direction: bool | None = None  # as the primary judge's; None: one of the two is not shown to differ from 0


class ChangeJudges(Record):
    """A comparison under each judge that graded both runs, and how well they agree over both runs together."""

    judges: tuple[JudgeChange, ...]
    pairs: tuple[JudgePair, ...]
