"""Records of results: summaries, comparisons, trajectories, and judges."""

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from misalign_eval.records.base import Bounds, Estimated, Record
from misalign_eval.records.definition import Outcome
from misalign_eval.records.findings import Finding, Warned
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.run import Failure, PlannedPrompt, Reply

# Agreement of judges with people and with one another. Shares are fractions, None is unknown.


Design = Literal[
    "two-phase",  # people labelled a sample of this run that was drawn by the judge's verdict
    "table",  # people labelled replies of this run that were chosen somehow
    "examples",  # the labelled replies of a grader
    "judges",  # another judge stands for people
]
Method = Literal["two-phase", "lang-reiczigel"]
Counts2 = Annotated[tuple[int, ...], Field(min_length=2, max_length=2)]


class JudgeAgreement(Record):
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


class JudgePair(JudgeAgreement):
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


# Summaries and comparisons: the records behind `report`, `compare` and their JSON.
#
# Rates and differences are fractions in [0, 1] or [-1, 1]; with `measure: mean` they are scores from 0 to 100 (or
# differences of such). `low` and `high` are the 95 % SUITE interval. None is "not known", never zero.


Measure = Literal["rate", "mean"]
Estimand = Literal["suite", "general", "clustered"]
Counts = dict[Outcome, int]
# JSON has no infinity: a ratio without an upper limit says null there, and `at least` in words.
MaybeInfinite = Annotated[
    float, Field(allow_inf_nan=True), PlainSerializer(lambda x: x if abs(x) < float("inf") else None, when_used="json")
]


class Intervals(Record):
    """The two estimands: these probes (suite), and probes like these (general).

    `clustered` is the field's percentile bootstrap over probes, for comparison with papers; None unless asked for.
    """

    suite: Bounds
    general: Bounds
    clustered: Bounds | None = None


class RateLine(Record):
    """A rate with its interval and every count behind it. Counts are of replies."""

    rate: float | None  # macro: the mean over probes; None where nothing was graded
    low: float | None
    high: float | None
    misaligned: int  # the definition's numerator
    graded: int  # the definition's denominator
    replies: int  # rows that hold a reply
    planned: int
    outcomes: Counts  # of every planned reply; sums to `planned`

    @property
    def missing(self) -> int:
        """Replies that could not be graded, and planned replies that are not there."""
        return self.outcomes.get("ungraded", 0) + self.outcomes.get("failed", 0)


class ProbeLine(RateLine):
    """One probe, all of its paraphrases together."""

    id: str
    category: str
    split: str


class GroupLine(RateLine):
    """Several probes together. `intervals` is there when another interval than SUITE was asked for."""

    intervals: Intervals | None = None


class CategoryLine(GroupLine):
    """The probes of one category."""

    category: str


class SplitLine(GroupLine):
    """The probes of one split in their plain form."""

    split: str


class VariantLine(GroupLine):
    """The probes of the headline in one form; the plain form is one of them."""

    variant: str


class Provenance(Record):
    """What was measured and with what: printed with every table."""

    run: str
    target: str
    host: str = ""
    tls: Literal["not verified"] | None = None  # whose certificate nobody looked at; None: looked at, or none needed
    suite: str
    suite_version: str
    suite_digest: str
    definition: str
    definition_digest: str
    judge: str | None  # judge models, or the graders' names where no model judged
    graders: dict[str, str] = {}  # grader → identity whose grades were read
    imported_judges: tuple[str, ...] = ()  # whose grades came from elsewhere, by the name that the importer gave
    created: str = ""
    labels: dict[str, str] = {}
    target_options: str | None = None  # digest of what its provider was set to; None: not known
    target_headers: str | None = None  # digest of its extra request headers; None: none were sent
    calibration: CalibrationNote | None = None  # what people's labels say of the judge; None: nothing is stored
    target_name: str | None = None  # the target's name in misalign-eval.yaml

    @property
    def called(self) -> str:
        """The target by the name that the user gave it, with the model behind it."""
        return f"{self.target_name} ({self.target})" if self.target_name else self.target


Reading = Literal["as defined", "definition", "threshold", "denominator", "unknown"]


class SensitivityLine(RateLine):
    """The headline with one thing read in another way, from the same rows."""

    reading: Reading
    name: str  # a preset, a rule with its threshold, a denominator, or what became of unknown replies
    measure: Measure


class OtherGrader(Record):
    """What a grader found that the definition does not read. Counts are of replies of the whole run."""

    grader: str
    identity: str
    judge: str | None
    graded: int
    ungraded: int  # looked at, and no verdict could be read
    labels: dict[str, int] = {}
    bands: dict[str, int] = {}  # of scores, each fifth of the scale
    mean: float | None = None  # of the scores; None for labels
    reasons: dict[str, int] = {}  # why replies are ungraded
    definition: str | None = None  # a preset that counts by this grader


class RunSummary(RateLine, Provenance):
    """The content of summary.json, and of `report --format json`."""

    measure: Measure
    averaged: str  # which probes the headline is the mean of, in words
    not_collected: int  # planned replies without a row yet; counted in `failed`
    intervals: Intervals
    interval: Estimand = "suite"  # which of them the pages show
    probes: tuple[ProbeLine, ...]
    categories: tuple[CategoryLine, ...]
    splits: tuple[SplitLine, ...]
    variants: tuple[VariantLine, ...]
    sensitivity: tuple[SensitivityLine, ...] | None = None  # None: not asked for
    judges: RunJudges | None = None  # None: one judge, and no ensemble
    other_graders: tuple[OtherGrader, ...] = ()  # that the definition does not read
    lint: tuple[Finding, ...] | None = None  # None: the replies were not looked at
    warnings: tuple[Warned, ...]


class RateDifference(Record):
    """After less before."""

    estimate: float | None
    low: float | None
    high: float | None
    p_value: float | None  # mid-p of the stratified permutation test of "no probe changed"; no claim rests on it
    p_exact: float | None = None  # the same, twice the smaller tail whole: what reports print
    is_exact: bool | None = None  # False: by Monte-Carlo draws, as weights or numbers of replies are unequal
    intervals: Intervals | None = None


class RateRatio(Record):
    """After over before. `high` is infinite (null in JSON) where no upper limit exists."""

    estimate: MaybeInfinite | None
    low: float | None
    high: MaybeInfinite | None


class OddsRatio(Record):
    """Mantel-Haenszel over prompts, for readers of other fields; None where it is undefined."""

    estimate: float | None
    low: float | None
    high: float | None


class PairedT(Record):
    """Paired t over probes: an approximation, and no evidence where W4 or W5 is among the warnings."""

    low: float
    high: float
    p_value: float
    df: int


class PopulationTest(Record):
    """The difference for probes like these. `holds`: its interval leaves out zero."""

    estimate: float | None
    low: float | None
    high: float | None
    holds: bool | None
    paired_t: PairedT | None = None


class ChangeLine(Record):
    """A rate before and after, and their difference. Intervals of each stand in the runs' own lines."""

    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None  # of a probe mid-p, of a category exact
    p_adjusted: float | None
    bonferroni: Bounds = Bounds()  # of the difference, for these probes: together with the other lines' 95 %
    intervals: Intervals | None = None  # there when another interval than SUITE was asked for


class ProbeChange(ChangeLine):
    """One probe. Adjusted by Benjamini-Hochberg over all probes: a screening."""

    id: str
    category: str


class CategoryChange(ChangeLine):
    """One category. Adjusted by Holm over all categories."""

    category: str


class SensitivityChange(Record):
    """The change with one thing read in another way, from the same rows. `low` and `high` are of the difference."""

    reading: Reading
    name: str
    measure: Measure
    before: RateLine
    after: RateLine
    difference: float | None
    low: float | None
    high: float | None


class Comparison(Record):
    """`compare --format json`. Both runs are reported over the prompts that they share."""

    definition: str
    before: RunSummary
    after: RunSummary
    difference: RateDifference
    ratio: RateRatio
    odds_ratio: OddsRatio | None = None
    generalises: PopulationTest
    detectable: float | None = None  # smallest rise that such runs show with a chance of 80 %, two-sided 5 %
    interval: Estimand = "suite"  # which interval the pages show
    probes: tuple[ProbeChange, ...]
    categories: tuple[CategoryChange, ...]
    sensitivity: tuple[SensitivityChange, ...] | None = None  # None: not asked for
    judges: ChangeJudges | None = None  # None: no second judge graded both runs
    warnings: tuple[Warned, ...]


class ReplyExample(Record):
    """A reply with what was asked, its outcome, and its grades. Text is hostile."""

    prompt: PlannedPrompt
    row: Reply | Failure
    outcome: Outcome
    grades: dict[str, Graded | Ungraded] = {}


class ReplyExamples(Record):
    """`show --format json`: the replies asked for, in the order of the plan, and how many fitted in all."""

    run: str
    definition: str
    matching: int
    examples: tuple[ReplyExample, ...]
    warnings: tuple[Warned, ...] = ()


class WorstReply(Record):
    """One of the replies that the definition finds worst; `text` is its hostile beginning, None if not published."""

    probe: str
    prompt: int
    variant: str
    sample: int
    grader: str
    score: float | None
    label: str | None
    text: str | None


class Report(Record):
    """A run as it is shown to a reader."""

    summary: RunSummary
    worst: tuple[WorstReply, ...] = ()


# `compare` of three or more runs, or of groups of training runs, and its JSON.
#
# Rates and differences are fractions; `low` and `high` without another name are the 95 % SUITE interval. Every run is
# counted over the prompts that all of them share. None is "not known".


Scale = Literal["value", "rank", "log"]
XFrom = Literal["--x", "step", "order"]


class Point(GroupLine):
    """One run of a trajectory. The bands of all points hold together at 95 % (Sidak)."""

    run: str
    target: str
    x: float
    band: Bounds = Bounds()


class Trend(Record):
    """Stratified Mantel test of events against x; `z` is positive where they rise."""

    z: float
    p_value: float
    events: int
    is_permuted: bool  # p from permuted replies, as there are few events
    scale: Scale  # what x enters as: itself, its rank, or log(1 + x)


class OnsetTest(Record):
    """One-sided test of the replies at one x against those at the first."""

    x: float
    p_value: float


class TrajectoryOnset(Record):
    """The first x of the unbroken run, up to the last, that is shown to be above the first; None where none is."""

    x: float | None
    tests: tuple[OnsetTest, ...]


class BetweenRuns(Record):
    """An effect with training runs as the unit: t interval and p on `df` degrees of freedom.

    `detectable` is the smallest effect that as many such runs show with a chance of 80 %.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    df: float
    runs: int
    detectable: float | None = None


class Trajectory(Record):
    """Runs along x: checkpoints of one training run, or training runs of several mixtures.

    `slope` is the change of a run's rate for one unit of x, given three training runs or more at every x.
    """

    definition: str
    measure: Measure
    averaged: str
    caption: str
    interval: Estimand
    x_from: XFrom
    points: tuple[Point, ...]
    trend: Trend | None
    onset: TrajectoryOnset | None
    slope: BetweenRuns | None
    comparisons: tuple[Comparison, ...]  # of every later run with the first
    warnings: tuple[Warned, ...]


class GroupRun(RateLine):
    """One training run of a group."""

    run: str
    target: str


class RunGroup(RateLine):
    """Several training runs of one recipe. `rate` is the mean of their rates; low and high are for exactly these runs.

    `between_runs` is the t interval with runs as the unit: for training runs like these.
    """

    name: str
    runs: tuple[GroupRun, ...]
    between_runs: Bounds


class GroupComparison(Record):
    """Two groups of training runs. `difference` is for exactly these runs and probes, `between_runs` for such runs."""

    definition: str
    measure: Measure
    averaged: str
    caption: str
    before: RunGroup
    after: RunGroup
    difference: RateDifference
    between_runs: BetweenRuns | None
    warnings: tuple[Warned, ...]
