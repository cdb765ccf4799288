"""What is read off the rows: the records behind `report`, `compare` and their JSON.

Rates and differences are fractions in [0, 1] or [-1, 1]; with `measure: mean` they are scores from 0 to 100 (or
differences of such). `low` and `high` are the 95 % SUITE interval. None is "not known", never zero.
"""

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from misalign_eval.records.base import Record
from misalign_eval.records.bounds import Bounds as Bounds  # noqa: PLC0414  part of this page too
from misalign_eval.records.definition import Outcome
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.judges import CalibrationNote, ChangeJudges, RunJudges
from misalign_eval.records.lint import Finding
from misalign_eval.records.lint import Warned as Warned  # noqa: PLC0414  part of this page too
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Failure, Reply

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


class Rated(Record):
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


class ProbeLine(Rated):
    """One probe, all of its paraphrases together."""

    id: str
    category: str
    split: str


class GroupLine(Rated):
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


class SensitivityLine(Rated):
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


class RunSummary(Rated, Provenance):
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


class Difference(Record):
    """After less before."""

    estimate: float | None
    low: float | None
    high: float | None
    p_value: float | None  # mid-p of the stratified permutation test of "no probe changed"; no claim rests on it
    p_exact: float | None = None  # the same, twice the smaller tail whole: what reports print
    is_exact: bool | None = None  # False: by Monte-Carlo draws, as weights or numbers of replies are unequal
    intervals: Intervals | None = None


class Ratio(Record):
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


class Generalises(Record):
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
    before: Rated
    after: Rated
    difference: float | None
    low: float | None
    high: float | None


class Comparison(Record):
    """`compare --format json`. Both runs are reported over the prompts that they share."""

    definition: str
    before: RunSummary
    after: RunSummary
    difference: Difference
    ratio: Ratio
    odds_ratio: OddsRatio | None = None
    generalises: Generalises
    detectable: float | None = None  # smallest rise that such runs show with a chance of 80 %, two-sided 5 %
    interval: Estimand = "suite"  # which interval the pages show
    probes: tuple[ProbeChange, ...]
    categories: tuple[CategoryChange, ...]
    sensitivity: tuple[SensitivityChange, ...] | None = None  # None: not asked for
    judges: ChangeJudges | None = None  # None: no second judge graded both runs
    warnings: tuple[Warned, ...]


class Example(Record):
    """A reply with what was asked, its outcome, and its grades. Text is hostile."""

    prompt: PlannedPrompt
    row: Reply | Failure
    outcome: Outcome
    grades: dict[str, Graded | Ungraded] = {}


class Examples(Record):
    """`show --format json`: the replies asked for, in the order of the plan, and how many fitted in all."""

    run: str
    definition: str
    matching: int
    examples: tuple[Example, ...]
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
