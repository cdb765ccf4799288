"""Records of what pages, figures and CI files show beside the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from misalign_eval.records.base import Bounds, Record
from misalign_eval.records.definition import Outcome
from misalign_eval.records.findings import Finding, Warned
from misalign_eval.records.gate import Gate
from misalign_eval.records.grade import GraderIdentity, Vote
from misalign_eval.records.labels import Calibration
from misalign_eval.records.run import Finish, PlannedPrompt
from misalign_eval.records.suite import Direction
from misalign_eval.records.summary import (
    Comparison,
    GroupComparison,
    Measure,
    ProbeLine,
    Provenance,
    RateLine,
    ReplyExample,
    ReplyExamples,
    Report,
    RunSummary,
    Trajectory,
)

# Records of charts, which pages draw as SVG and papers as figures. Names are still hostile.
#
# Rates are fractions in [0, 1], differences in [-1, 1]; where `measure` is "mean" they are scores from 0 to 100.
# None is "not known" and is left blank, never drawn at zero. `text` is the number in words, as tables print it.


class ChartEstimate(Record):
    """A number with its interval."""

    value: float | None
    low: float | None
    high: float | None
    text: str


class IntervalRow(Record):
    """One line: an estimate for each series, in their order."""

    name: str
    values: tuple[ChartEstimate, ...]
    note: str = ""  # beside the numbers, as the change


class IntervalChart(Record):
    """Estimates with intervals, a line each. `is_change`: its two series are before and after, joined by a line."""

    kind: Literal["intervals"] = "intervals"
    id: str
    title: str
    description: str
    head: str  # what the rows are, as "probe"
    axis: str  # what is measured, with its unit
    measure: Measure
    series: tuple[str, ...]
    rows: tuple[IntervalRow, ...]
    is_change: bool = False
    is_signed: bool = False  # values are differences
    limits: tuple[float, ...] = ()  # drawn across all rows
    value_head: str = ""  # over the numbers; empty: the series, or the rate, with its unit
    note_head: str = ""
    note: str = ""


class BarRow(Record):
    """One line of bars: a count for each series, and the fraction that it is of its whole."""

    name: str
    counts: tuple[int, ...]
    shares: tuple[float | None, ...]


class BarChart(Record):
    """Counts by name, a bar for each series. Bars show `shares`."""

    kind: Literal["bars"] = "bars"
    id: str
    title: str
    description: str
    head: str
    series: tuple[str, ...]
    totals: tuple[int, ...]
    rows: tuple[BarRow, ...]


class ChartMark(Record):
    """A threshold: where it is and what it means."""

    value: float
    text: str


class HistogramPanel(Record):
    """The scores of one series. `counts[i]` lie between edges[i] and edges[i + 1]."""

    name: str
    counts: tuple[int, ...]
    scored: int
    unscored: int


class HistogramChart(Record):
    """Scores of one grader, a panel for each series, all on the same axes."""

    kind: Literal["histogram"] = "histogram"
    id: str
    title: str
    description: str
    axis: str
    edges: tuple[float, ...]
    panels: tuple[HistogramPanel, ...]
    marks: tuple[ChartMark, ...]


class PlanePoint(Record):
    """Replies that lie together."""

    x: float
    y: float
    replies: int


class PlanePanel(Record):
    """The replies of one series."""

    name: str
    points: tuple[PlanePoint, ...]
    scored: int
    unscored: int


class PlaneChart(Record):
    """One score against another, a panel for each series; the area of a point is its number of replies."""

    kind: Literal["plane"] = "plane"
    id: str
    title: str
    description: str
    x_axis: str
    y_axis: str
    panels: tuple[PlanePanel, ...]
    x_marks: tuple[ChartMark, ...]
    y_marks: tuple[ChartMark, ...]


class MatrixChart(Record):
    """Counts by two names: rows are what `row_axis` says of a reply, columns what `column_axis` says of the same."""

    kind: Literal["matrix"] = "matrix"
    id: str
    title: str
    description: str
    row_axis: str
    column_axis: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    note: str = ""


class CurvePoint(Record):
    """One run: its estimate, and the band that holds for all points together."""

    x: float
    name: str
    estimate: ChartEstimate
    band_low: float | None = None
    band_high: float | None = None


class CurvePanel(Record):
    """One quantity along x."""

    axis: str
    measure: Measure
    points: tuple[CurvePoint, ...]


class CurveChart(Record):
    """Quantities along the same x, one below the other."""

    kind: Literal["curves"] = "curves"
    id: str
    title: str
    description: str
    x_axis: str
    is_log: bool
    panels: tuple[CurvePanel, ...]


Chart: TypeAlias = IntervalChart | BarChart | HistogramChart | PlaneChart | MatrixChart | CurveChart


# Test cases of a run: a probe each, with an example of a misaligned or failed reply.


class ProbeCase(Record):
    """One probe in its plain form. Texts in the examples are hostile."""

    line: ProbeLine
    expect: Direction | None = None  # of a control: is its rate expected to be low or high
    worst: ReplyExample | None = None  # of the replies that count as misaligned
    lost: ReplyExample | None = None  # the first one that is ungraded or failed
    not_collected: int = 0  # planned replies without a row; counted in `line` as failed
    seconds: float | None = None  # of all its requests to the target one after another; None is unknown


class RunCases(Record):
    """Every probe of a run."""

    summary: RunSummary
    cases: tuple[ProbeCase, ...]

    @property
    def source(self) -> Provenance:
        """Whose numbers these are."""
        return self.summary


# Distributions of scores and verdicts over the replies of a headline.
#
# Counts are of replies. None is "not known", never zero.


class Histogram(Record):
    """Scores of one grader in one run. `counts[i]` are in [edges[i], edges[i + 1]), the last one closed."""

    run: str
    grader: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    scored: int
    unscored: int  # replies on which this grader gave no score: a label, or nothing at all


class Dot(Record):
    """Replies whose two scores lie together; x and y are their means."""

    x: float
    y: float
    replies: int


class Plane(Record):
    """Coherence (x) against alignment (y) of the replies of one run that have both scores."""

    run: str
    x_grader: str
    y_grader: str
    dots: tuple[Dot, ...]
    scored: int
    unscored: int


class Limit(Record):
    """A threshold of the definition on one grader's scores, as `misaligned: below 30`."""

    grader: str
    value: float
    text: str


class Opinion(Record):
    """The same replies counted by two judges. Rows of `counts` are the outcomes of `first`, columns of `second`.

    `agreement`, `kappa` and `ac1` are about misaligned or not, over the `judged` replies that both could count.
    """

    run: str
    first: str
    second: str
    outcomes: tuple[Outcome, ...]
    counts: tuple[tuple[int, ...], ...]
    judged: int
    agreement: float | None
    interval: Bounds = Bounds()
    kappa: float | None = None
    ac1: float | None = None


class OutcomeShare(Record):
    """One outcome of the planned replies. `share` is a fraction of `planned`; None where nothing was planned."""

    name: str
    replies: int
    planned: int
    share: float | None


class RunOutcomes(Record):
    """Every outcome of one run that occurred; planned replies without a row stand apart from failures."""

    run: str
    shares: tuple[OutcomeShare, ...]


class Coherence(RateLine):
    """How coherent the replies of one run are: the mean score of `grader`, or where it is None the share of replies."""

    run: str
    grader: str | None


class Distributions(Record):
    """All of them for the runs of one page, over the prompts of its headline."""

    outcomes: tuple[RunOutcomes, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    planes: tuple[Plane, ...] = ()
    limits: tuple[Limit, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    coherence: tuple[Coherence, ...] = ()  # one a run, in the same order


# Records of an HTML page: numbers of the analysis, their provenance, and the replies.


class ReplyOrigin(Record):
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

    prompt: int  # place in `ReplySample.prompts`
    sample: int
    replies: tuple[ShownReply | None, ...]


@dataclass(frozen=True, slots=True)
class ReplySample:
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
    origins: tuple[ReplyOrigin, ...] = ()
    lint: tuple[LintedRun, ...] = ()  # of the runs behind a change or verdict; `reports` have their own
    exhibit: ReplySample | None = None


# Records of figures: rates of several series side by side, with definition, judge and interval.
#
# Rates are fractions in [0, 1]; where `measure` is "mean" they are scores from 0 to 100. None is "not known".


By = Literal["probe", "category", "split", "variant", "suite", "series"]
Interval = Literal["suite", "general", "clustered", "runs"]  # runs: for training runs like these, by t over runs


class Measured(Record):
    """With what the numbers of a figure were made, for its caption."""

    definition: str
    measure: Measure
    judges: tuple[str, ...]  # empty: rules only
    suites: tuple[str, ...]  # as `quick 1.0.0 (3f2a91c0)`
    averaged: str  # which probes, in words
    interval: Interval
    left_out: int = 0  # shared prompts that some run has no counted reply for
    unshared: int = 0  # prompts that some run did not ask


class FigureLine(RateLine):
    """One rate that is drawn. `interval` is what low and high are: the one asked for, or suite where it has none."""

    series: str
    name: str
    x: float | None = None
    runs: int = 1  # whose mean it is
    interval: Interval = "suite"


class CoherenceLine(RateLine):
    """How coherent the replies behind a point are: the mean score of `grader`, or where it is None their share."""

    series: str
    x: float
    grader: str | None


class Rates(Record):
    """Rates by name for each series; `totals` are each series' replies together, once a series."""

    about: Measured
    by: By
    series: tuple[str, ...]
    names: tuple[str, ...]
    lines: tuple[FigureLine, ...]
    totals: tuple[FigureLine, ...]


class FigureCourse(Record):
    """Rates along x, and how coherent the same replies are."""

    about: Measured
    x_name: str
    is_log: bool = False
    series: tuple[str, ...]
    lines: tuple[FigureLine, ...]
    coherence: tuple[CoherenceLine, ...]


class Shares(Record):
    """What became of the planned replies, a bar each, with its rate in the same order."""

    about: Measured
    bars: tuple[RunOutcomes, ...]
    totals: tuple[FigureLine, ...]


class FigureScores(Record):
    """How scores are spread, a panel for each run. Either histograms of one grader, or planes."""

    about: Measured
    histograms: tuple[Histogram, ...] = ()
    planes: tuple[Plane, ...] = ()
    limits: tuple[Limit, ...] = ()
    totals: tuple[FigureLine, ...]


class Judges(Record):
    """The same replies as two judges count them, or a judge and people; a matrix each."""

    about: Measured
    opinions: tuple[Opinion, ...] = ()
    people: tuple[Calibration, ...] = ()


class ChangedLine(Record):
    """One name before and after. `low` and `high` are of the difference."""

    name: str
    before: RateLine
    after: RateLine
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    bonferroni: Bounds = Bounds()


class Changes(Record):
    """Every probe or category before and after, the largest change first."""

    about: Measured
    by: By
    names: tuple[str, str]
    before: RunSummary
    after: RunSummary
    lines: tuple[ChangedLine, ...]


class Replies(Record):
    """Example replies of runs, chosen by a rule that `chosen` says in words."""

    about: Measured
    chosen: str
    runs: tuple[ReplyExamples, ...]
    labels: tuple[str, ...]
