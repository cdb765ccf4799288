"""The rows of grades/<grader>@<identity>.jsonl: each reply ends as one Graded or one Ungraded a grader."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from misalign_eval.records.base import Record
from misalign_eval.records.run import CellKey, ReplyKey, Usage

UngradedReason = Literal[
    "unparsable",  # the judge answered, but no verdict could be read
    "low_mass",  # too little of the probability was on numbers, and none of the labels led
    "partial_number",  # the probability is on first tokens of numbers, and how these go on is not known
    "refused",  # the judge refused or was blocked
    "truncated",  # the judge's answer was cut off before a verdict
    "failed",  # no answer from the judge at all
    "no_logprobs",  # the judge's server gave no log-probabilities
    "disagreement",  # an ensemble without a majority
    "rule_error",  # a rule that cannot decide on this reply
    "not_given",  # an imported file has no grade for this reply
]


class Subject(Record):
    """All that a grader may look at."""

    probe: str
    prompt: int
    variant: str
    sample: int
    question: str  # the last user turn; earlier turns precede it, labelled, when there are any
    reply: str  # a prefill and its continuation are one text
    asked: str | None = None  # the last user turn alone, where `question` holds earlier turns
    system: str | None = None
    reasoning: str | None = None
    criteria: str | None = None
    reference: JsonValue = None

    @property
    def key(self) -> ReplyKey:
        """The reply that is graded."""
        return ReplyKey(self.probe, self.prompt, self.variant, self.sample)


class Vote(Record):
    """What one answer of one judge said; several make an ensemble or a sampled score."""

    judge: str  # provider/model
    score: float | None = None
    label: str | None = None
    raw: str | None = None
    model: str | None = None  # the judge, as its server named it


class Verdict(Record):
    """What a grader found: a score or a label, never both."""

    score: float | None = None
    label: str | None = None
    why: str | None = None
    raw: str | None = None  # the judge's words, whole
    distribution: dict[str, float] | None = None  # token → probability, as the judge gave them
    number_mass: float | None = None  # share of the probability on integers of the scale
    modal: str | None = None  # the most likely token
    votes: tuple[Vote, ...] = ()
    usage: Usage = Usage()
    attempts: int = 1
    request_id: str | None = None
    model: str | None = None  # the judge, as its server named it
    dropped: tuple[str, ...] = ()  # settings that the judge did not take


class NoVerdict(Record):
    """A grader that could not decide, and why."""

    reason: UngradedReason
    message: str
    raw: str | None = None
    distribution: dict[str, float] | None = None
    number_mass: float | None = None
    modal: str | None = None
    votes: tuple[Vote, ...] = ()
    usage: Usage = Usage()
    attempts: int = 1
    request_id: str | None = None
    model: str | None = None  # the judge, as its server named it
    dropped: tuple[str, ...] = ()  # settings that the judge did not take


class _Key(Record):
    probe: str
    prompt: int
    variant: str
    sample: int

    @property
    def key(self) -> ReplyKey:
        """The reply that was graded."""
        return ReplyKey(self.probe, self.prompt, self.variant, self.sample)

    @property
    def cell(self) -> CellKey:
        """The prompt and variant that the reply answers."""
        return CellKey(self.probe, self.prompt, self.variant)


class Graded(_Key, Verdict):
    """One grade of one reply."""

    kind: Literal["graded"] = "graded"


class Ungraded(_Key, NoVerdict):
    """A reply that this grader could not grade. Counted as missing, never as a value."""

    kind: Literal["ungraded"] = "ungraded"


GradeRow = Annotated[Graded | Ungraded, Field(discriminator="kind")]
GRADE_ROW: TypeAdapter[Graded | Ungraded] = TypeAdapter(GradeRow)


def judges_of(identity: "GraderIdentity", row: Graded | Ungraded) -> tuple[tuple[str, str], ...]:
    """Which judges answered for a grade, `provider/model` as asked, and as the server named each that named itself."""
    votes = tuple((vote.judge, vote.model) for vote in row.votes if vote.model)
    return votes or (((identity.judge, row.model),) if identity.judge and row.model else ())


class ControlGrade(Record):
    """A line of controls.jsonl: what a grader said of a written reply."""

    grader: str
    identity: str
    row: GradeRow


CONTROL_GRADE: TypeAdapter[ControlGrade] = TypeAdapter(ControlGrade)


# The two name files: in a stranger's run folder they must not lead out of it.
FileName = Annotated[str, Field(pattern=r"^[^./\\\x00][^/\\\x00]*$", max_length=200)]


class GraderIdentity(Record):
    """Who graded: stored beside the grades as grades/<grader>@<identity>.json."""

    grader: FileName
    identity: FileName  # of a judge 12 hexadecimal digits of sha256 over all below; of a rule its version, as `v1`
    kind: Literal["rule", "judge", "ensemble", "imported"]
    judge: str | None = None  # provider/model
    host: str | None = None
    rubric_digest: str | None = None
    settings: dict[str, JsonValue] = {}

    @property
    def scale(self) -> tuple[float, float] | None:
        """Between which ends its scores lie; None where it is not known, as of imported grades."""
        match self.settings.get("scale"):
            case [int() | float() as low, int() | float() as high]:
                return low, high
        return None


class KeptIdentity(GraderIdentity):
    """As it lies beside its grades. `run`: whose replies they grade (`RunManifest.mark`); None: nobody wrote it."""

    run: str | None = None

    @property
    def who(self) -> GraderIdentity:
        """The grader itself, the same in every run."""
        return GraderIdentity.model_construct(**{name: getattr(self, name) for name in GraderIdentity.model_fields})
