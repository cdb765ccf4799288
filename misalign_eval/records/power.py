"""`power --format json`: what a plan can show, before any money is spent. Fractions; None is "not known" or "never"."""

from typing import Literal

from misalign_eval.records.base import Record
from misalign_eval.records.findings import Warned

Question = Literal["rate gate", "difference gate", "comparison"]
Estimand = Literal["suite", "general"]
Verdict = Literal["pass", "fail", "inconclusive", "rise", "fall", "neither"]


class PowerAssumptions(Record):
    """What is taken for true: macro rates, and in words how they are spread over the probes."""

    before: float | None  # None for a rate gate
    after: float
    spread: str


class Design(Record):
    """What would be asked. `replies` are those of one run; a comparison has two."""

    probes: int
    paraphrases: int
    samples: int  # of each paraphrase
    replies: int
    runs: int


class Chances(Record):
    """How often the procedure ends in each way, simulated with these true rates and `replies` a run on average.

    A gate passes, fails or stays inconclusive; a comparison shows a rise, a fall or neither.
    """

    scenario: str
    before: float | None
    after: float
    samples: int
    replies: float
    chances: dict[Verdict, float]


class Need(Record):
    """What a formula asks for. `replies` a run in all and `samples` of each paraphrase, or `probes`; None: never."""

    goal: str
    replies: int | None = None
    samples: int | None = None
    probes: int | None = None


class CostEstimate(Record):
    """USD for everything that is asked, target and judges, of both runs of a comparison."""

    per_reply: float
    whole: float  # all of the plan
    expected: float | None  # with early stopping, if what is assumed is true


class Power(Record):
    """The answer to: is this plan enough?"""

    question: Question
    estimand: Estimand
    limit: float | None  # of a rate, or the margin of an increase
    alpha: float
    power: float
    assumed: PowerAssumptions
    design: Design
    needs: tuple[Need, ...]  # formulas
    detectable: float | None  # smallest rise that a comparison of this size shows with chance `power`
    fixed: tuple[Chances, ...]  # all replies are collected, then decided
    sequential: tuple[Chances, ...]  # `run --stop-when-decided`, with the plan as its cap; gates of estimand suite
    by_samples: tuple[Chances, ...]  # fixed, as assumed, for other numbers of samples
    dominates: str
    bill: CostEstimate | None
    simulated_runs: int
    warnings: tuple[Warned, ...]
