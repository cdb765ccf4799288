"""A gate's verdict, the rows of looks.jsonl, and the small file that stands for a baseline."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from misalign_eval.records.base import Record
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.findings import Warned
from misalign_eval.records.policy import OnInconclusive, Policy
from misalign_eval.records.suite import Direction, Sampling, Split
from misalign_eval.records.summary import Provenance

BASELINE_FORMAT = 1
Verdict = Literal["pass", "fail", "inconclusive"]
Method = Literal["fixed", "sequential"]


class CheckResult(Record):
    """One check. Rates and bounds are fractions; None is "not known".

    `bound` is the one-sided bound that decides: the lower one of a failed check, else the upper one. `low` and `high`
    are both one-sided bounds, or after early stopping the interval that holds at all rounds together.
    """

    name: str
    kind: str
    scope: str  # which probes, in words
    estimand: str
    limit: float
    estimate: float | None
    bound: float | None
    low: float | None
    high: float | None
    alpha_pass: float
    alpha_fail: float
    verdict: Verdict
    reason: str  # stable
    why: str
    statement: str  # the error statement
    settles: str  # what would settle it; empty where it is settled
    rule: str = ""  # stable: equal, thinned, any rates, gaffke, two-phase, e-process; empty in old looks
    basis: str = ""  # the same in words: of which replies the bounds are, and whether they are exact
    misaligned: int
    graded: int
    unknown: int
    unknown_as: dict[Outcome, int] = {}  # the unknown replies by what they were counted as, on both sides
    beside: dict[Outcome, int] = {}  # replies of the run that are in neither rate nor unknown
    rounds: int | None = None  # complete rounds behind it, for early stopping
    evidence_pass: float | None = None  # times over 1, natural log
    evidence_fail: float | None = None
    evidence_needed: float | None = None
    probe: str | None = None  # that decides a check of every probe
    labels: int | None = None  # people's labels behind a corrected rate; None: as labelled by the judge
    unlabelled: int | None = None  # drawn replies that a label is missing for: against whatever is to be shown
    lost: int | None = None  # drawn replies whose reply or grade is gone: likewise


class CompanionResult(Record):
    """What limits what a pass means, mostly a share of replies; `share` counts every unknown reply against it.

    Of `control_not_high` it is the share of the replies to `expect: high` controls that are shown not to be misaligned.
    """

    name: str
    share: float | None  # None: of what is no share of replies, such as a part of the suite
    most: float | None
    rise: float | None = None
    rise_low: float | None = None  # its one-sided 95 % lower bound, where that is what is held against the limit
    most_rise: float | None = None
    holds: bool
    why: str = ""


class ControlFound(Record):
    """What a written reply was counted as, by the judge that is gated."""

    id: str
    expect: Direction
    outcome: Outcome

    @property
    def words(self) -> str:
        """`bad-advice (high): aligned`."""
        return f"{self.id} ({self.expect}): {self.outcome.replace('_', ' ')}"


class Gate(Record):
    """`gate --format json`."""

    verdict: Verdict
    exit_code: int
    on_inconclusive: OnInconclusive
    method: Method
    runs: tuple[str, ...]
    baseline: str | None
    measured: str  # what the rates are rates of
    looks: int
    stopped_at: int | None = None  # samples of each prompt that early stopping needed
    not_needed: int = 0  # planned replies beyond
    provenance: Provenance
    target_digest: str = ""  # of provider, model and options
    policy: Policy
    checks: tuple[CheckResult, ...]
    companions: tuple[CompanionResult, ...]
    controls: tuple[ControlFound, ...] = ()  # written replies of the suite; of several runs those of each
    warnings: tuple[Warned, ...]


class GateReading(Record):
    """A line of looks.jsonl: one reading of a gate."""

    at: str  # UTC, ISO 8601
    method: Method
    policy: Policy
    definition_digest: str
    graders: dict[str, str]
    runs: tuple[str, ...]
    replies: int  # rows that hold a reply, of all pooled runs
    baseline: str | None = None
    labels: int | None = None  # people's labels behind a corrected check
    verdict: Verdict
    could_decide: bool  # false while the run was too incomplete for any pass
    stopped_at: int | None = None


LOOK: TypeAdapter[GateReading] = TypeAdapter(GateReading)


class BaselineCell(Record):
    """One prompt of a baseline: its counts, and the outcome of each reply in order, a letter each (`-`: not there).

    `repeats`, where the replies were evidently copies: 1 for each whose text an earlier one had. Empty elsewhere.
    """

    probe: str
    prompt: int
    variant: str
    category: str
    split: Split
    prompt_digest: str
    sampling: Sampling
    counts: dict[Outcome, Annotated[int, Field(ge=0)]]
    in_order: Annotated[str, Field(pattern=r"^[a-z-]*$")]
    repeats: Annotated[str, Field(pattern=r"^[01]*$")] = ""


class Baseline(Record):
    """What `export RUN --baseline FILE` writes: counts and digests, no text."""

    format: int = BASELINE_FORMAT
    tool_version: str
    definition: Definition
    provenance: Provenance
    answered: tuple[str, ...] = ()  # by which names the target answered; empty in files of older versions
    cells: tuple[BaselineCell, ...]
