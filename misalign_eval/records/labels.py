"""Labels by people, and calibrations of judges."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from misalign_eval.records.base import Bounds, Estimated, Record
from misalign_eval.records.definition import GradedOutcome
from misalign_eval.records.findings import Warned
from misalign_eval.records.run import ReplyKey
from misalign_eval.records.suite import Name
from misalign_eval.records.summary import CorrectedRate, Design, JudgeAgreement

# The rows of labels/<labeller>.jsonl, and labels/sample.json: what people say of replies, and which they were asked.
#
# A labels file is append-only: a label that is taken back is followed by a row that says so.


SAMPLE_FORMAT = 1
HumanLabel = GradedOutcome | Literal["unsure"]
Stratum = Literal["flagged", "unflagged"]


class _Labelled(Record):
    probe: str
    prompt: Annotated[int, Field(ge=0)] = 0
    variant: str = "plain"
    sample: Annotated[int, Field(ge=0)]

    @property
    def key(self) -> ReplyKey:
        """The reply that is meant."""
        return ReplyKey(self.probe, self.prompt, self.variant, self.sample)


class Label(_Labelled):
    """What one person says that a reply is."""

    kind: Literal["label"] = "label"
    label: HumanLabel
    note: str | None = None
    at: str  # UTC, ISO 8601
    imported: str | None = None  # the file that it came from, by name alone


class LabelRetraction(_Labelled):
    """A label that was taken back."""

    kind: Literal["withdrawn"] = "withdrawn"
    at: str


LabelRow = Annotated[Label | LabelRetraction, Field(discriminator="kind")]
LABEL_ROW: TypeAdapter[Label | LabelRetraction] = TypeAdapter(LabelRow)


class Drawn(_Labelled):
    """A reply of the sample, and the judge's verdict by which it was drawn. Labellers never see it."""

    stratum: Stratum


class Sample(Record):
    """labels/sample.json: the two-phase sample of a run. Raising `labels` later only adds replies."""

    format: int = SAMPLE_FORMAT
    seed: int
    labels: int  # the budget
    definition: str
    definition_digest: str
    graders: dict[str, str]  # whose verdicts made the strata
    split: str | None = None
    scope: str  # which probes, in words
    flagged: int  # replies that the judge calls misaligned
    unflagged: int
    drawn: tuple[Drawn, ...]


class Agreed(Record):
    """Two labellers on the replies that both labelled, misaligned or not; None where undefined."""

    one: Name
    other: Name
    n: int
    agreement: float | None
    agreement_interval: Bounds
    kappa: float | None
    ac1: float | None
    alpha: float | None


class LabelledRun(Record):
    """How far one labeller has come with one run."""

    run: str
    drawn: int
    labelled: int
    left: int
    labels: dict[str, int] | None  # label → replies, of this labeller; None until all are given, to keep it blind


class Labelling(Record):
    """`label --format json`."""

    labeller: Name
    runs: tuple[LabelledRun, ...]
    agreement: tuple[Agreed, ...] = ()
    next: str = ""  # what to type next


# Calibrations: the content of calibrations/*.json and of `calibrate --format json`. Shares are fractions.
#
# `table` has the reference in its rows and the judge in its columns, no before yes. None is "not known", never zero.


CALIBRATION_FORMAT = 1


class JudgeDisagreement(Record):
    """A reply on which judge and reference differ. Texts are hostile."""

    where: str  # the reply's key, or the line of labelled.jsonl
    reference: str
    judge: str
    score: float | None = None
    question: str = ""
    text: str | None = None
    why: str | None = None  # the judge's reason
    note: str | None = None  # the labeller's


class CalibrationKind(Record):
    """Examples of one kind (subtle, injected …): how many, and on how many the judge agrees."""

    kind: str
    n: int
    agreed: int


class Needed(Record):
    """How many labels. None: no number of them does it with this run."""

    labels: int
    to_halve: int | None = None  # labels in all that halve the interval of the corrected rate
    limit: float | None = None
    least: int | None = None  # below which a corrected gate at `limit` cannot pass
    to_pass: int | None = None  # with which it passes 80 % of the time, if the rates are as found


class Calibration(JudgeAgreement):
    """`calibrate --format json`, and what is stored with the judge's identity."""

    format: int = CALIBRATION_FORMAT
    tool_version: str
    created: str  # UTC, ISO 8601
    design: Design
    run: str | None = None
    target: str | None = None  # the model that replied, as it is printed; None in files of before
    scope: str = ""  # which replies, in words
    judge: str | None = None  # provider/model, as it is printed
    graders: dict[str, str]  # grader → identity that was calibrated
    definition: str | None = None
    definition_digest: str | None = None
    yes: str = "misaligned"  # what yes means, in words
    reference: str  # who says what is right, in words
    labellers: tuple[str, ...] = ()
    unsure: int = 0
    ungraded: int = 0  # labelled replies without a verdict of the judge
    graded: int | None = None  # replies behind the judge's rate
    judged_rate: Estimated = Estimated()
    corrected_rate: CorrectedRate = CorrectedRate()
    ppi_rate: Estimated = Estimated()  # PPI++, from 20 labels of each sort on, of a simple random sample
    split_votes: Estimated = Estimated()  # of an ensemble: replies on which its members differ
    needed: Needed | None = None
    kinds: tuple[CalibrationKind, ...] = ()
    disagreements: tuple[JudgeDisagreement, ...] = ()
    warnings: tuple[Warned, ...] = ()


class ShiftOfRun(Record):
    """Both judges' rates on one run, over the replies that both graded."""

    run: str
    reference: Estimated
    judge: Estimated
    shift: Estimated  # judge less reference, on the same replies


class ShiftOfChange(Record):
    """The change between two runs under each judge. `shift` is judge less reference."""

    reference: Estimated
    judge: Estimated
    shift: Estimated
    kept: float | None = None  # judge's change over the reference's; None where that is not shown to differ from 0
    same_direction: bool | None = None  # None: one of the two is not shown to differ from 0


class JudgeSwap(Calibration):
    """`calibrate --against`: a judge against another on the same replies of one run or two."""

    shifts: tuple[ShiftOfRun, ...]
    difference: ShiftOfChange | None = None
