"""How good a judge is: the content of calibrations/*.json and of `calibrate --format json`. Shares are fractions.

`table` has the reference in its rows and the judge in its columns, no before yes. None is "not known", never zero.
"""

from misalign_eval.records.analysis import Warned
from misalign_eval.records.base import Record
from misalign_eval.records.bounds import Estimated
from misalign_eval.records.judges import Agreement, CorrectedRate, Design

CALIBRATION_FORMAT = 1


class Disagreement(Record):
    """A reply on which judge and reference differ. Texts are hostile."""

    where: str  # the reply's key, or the line of labelled.jsonl
    reference: str
    judge: str
    score: float | None = None
    question: str = ""
    text: str | None = None
    why: str | None = None  # the judge's reason
    note: str | None = None  # the labeller's


class Kind(Record):
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


class Calibration(Agreement):
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
    kinds: tuple[Kind, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
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
