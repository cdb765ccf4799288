"""Power of a plan with given numbers of probes and replies: by formula, and by simulation of the decision."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from misalign_eval.records.power import Chances, Design, Estimand, Need, Question, Verdict
from misalign_eval.stats.cells import FloatArray
from misalign_eval.stats.gates import fewest_replies, fewest_replies_for_margin
from misalign_eval.stats.power import (
    VarianceParts,
    detectable_rise,
    difference_gate_replies,
    general_probes,
    rate_gate_design,
)
from misalign_eval.stats.sequential import SequentialDesign
from misalign_eval.stats.simulation import (
    RUNS,
    Outlook,
    simulate_difference_gate,
    simulate_general_gate,
    simulate_rate_gate,
    simulate_sequential_difference,
    simulate_sequential_rate,
)

FEWEST_SIMULATED = 200
MOST_NUMBERS = 8_000_000  # drawn at once: 64 MB
NO_CHANGE = 1e-9  # the comparison's "limit": any rise or fall at all
BY_T = ' by a t interval (approximate; the interval that may say "generalises" needs more)'
SAMPLES = (1, 2, 5, 10, 20, 50, 100)
GATE: tuple[Verdict, ...] = ("pass", "fail", "inconclusive")
COMPARISON: tuple[Verdict, ...] = ("fall", "rise", "neither")  # an upper bound under 0, a lower one above it, or not


@dataclass(frozen=True, slots=True, eq=False)
class PowerPlan:
    """A question and the size of its answer. `alpha` is one-sided for gates, two-sided for comparisons.

    `before` and `after` hold the true rate of each probe, shape (Q,); `before` is None for a rate gate.
    """

    question: Question
    estimand: Estimand
    limit: float | None
    before: FloatArray | None
    after: FloatArray
    paraphrases: int
    samples: int
    alpha: float
    power: float

    @property
    def design(self) -> Design:
        """The size in the record's words."""
        probes = int(self.after.size)
        return Design(
            probes=probes,
            paraphrases=self.paraphrases,
            samples=self.samples,
            replies=probes * self.paraphrases * self.samples,
            runs=1 if self.question == "rate gate" else 2,
        )

    @property
    def rates(self) -> tuple[float | None, float]:
        """Macro rates before and after."""
        return None if self.before is None else float(self.before.mean()), float(self.after.mean())

    @property
    def simulated_runs(self) -> int:
        """Fewer for very large suites, so that memory stays small."""
        cells = self.after.size * self.paraphrases
        return int(min(RUNS, max(FEWEST_SIMULATED, MOST_NUMBERS // cells)))


def fixed(plan: PowerPlan, scenario: str) -> Chances:
    """All replies are collected, then decided."""
    found = _general(plan) if plan.estimand == "general" else _suite(plan)
    return _chances(plan, scenario, found, COMPARISON if plan.question == "comparison" else GATE)


def sequential(plan: PowerPlan, scenario: str) -> Chances | None:
    """The gate that looks after every round, with the plan as its cap; None for what cannot stop early."""
    if plan.limit is None or plan.estimand == "general":
        return None
    cells = np.repeat(plan.after, plan.paraphrases)
    design = SequentialDesign(plan.limit, cells.size * plan.samples, plan.alpha, plan.alpha)
    runs = plan.simulated_runs
    if plan.before is None:
        return _chances(plan, scenario, simulate_sequential_rate(cells, design, runs=runs), GATE)
    before = np.repeat(plan.before, plan.paraphrases)
    return _chances(plan, scenario, simulate_sequential_difference(before, cells, design, runs=runs), GATE)


def by_samples(plan: PowerPlan) -> tuple[Chances, ...]:
    """The same plan with other numbers of samples."""
    sizes = sorted({*SAMPLES, plan.samples})
    return tuple(fixed(replace(plan, samples=samples), "as assumed") for samples in sizes)


def _suite(plan: PowerPlan) -> Outlook:
    after, runs = np.repeat(plan.after, plan.paraphrases), plan.simulated_runs
    if plan.before is None:
        limit = plan.limit or 0.0
        return simulate_rate_gate(after, plan.samples, limit, alpha_pass=plan.alpha, alpha_fail=plan.alpha, runs=runs)
    before = np.repeat(plan.before, plan.paraphrases)
    tail = _tail(plan)
    return simulate_difference_gate(
        before, after, plan.samples, plan.limit or 0.0, alpha_pass=tail, alpha_fail=tail, runs=runs
    )


def _general(plan: PowerPlan) -> Outlook:
    tail, limit = _tail(plan), plan.limit or NO_CHANGE
    replies = plan.samples * plan.paraphrases
    runs = min(plan.simulated_runs, RUNS // 2)  # one integral a run
    outlook = simulate_general_gate(
        plan.after, replies, limit, before=plan.before, alpha_pass=tail, alpha_fail=tail, runs=runs
    )
    return replace(outlook, mean_replies=float(plan.design.replies))


def _tail(plan: PowerPlan) -> float:
    return plan.alpha / 2 if plan.question == "comparison" else plan.alpha


def _chances(plan: PowerPlan, scenario: str, outlook: Outlook, names: tuple[Verdict, ...]) -> Chances:
    before, after = plan.rates
    shares = (outlook.passes, outlook.fails, outlook.inconclusive)
    return Chances(
        scenario=scenario,
        before=before,
        after=after,
        samples=plan.samples,
        replies=outlook.mean_replies,
        # Shares are thirds of one whole; rounding leaves some 1e-17 below zero.
        chances={name: min(max(share, 0.0), 1.0) for name, share in zip(names, shares, strict=True)},
    )


def required_samples(plan: PowerPlan) -> tuple[Need, ...]:
    """What formulas ask for, the zero-event minimum first."""
    match plan.question:
        case "rate gate":
            return tuple(_rate_needs(plan))
        case "difference gate":
            return tuple(_difference_needs(plan))
        case "comparison":
            return tuple(_comparison_needs(plan))


def _rate_needs(plan: PowerPlan) -> Iterator[Need]:
    limit, rate = plan.limit or 0.0, plan.rates[1]
    fewest = fewest_replies(limit, plan.alpha)
    if plan.estimand == "general":
        yield Need(goal="to pass at all, every reply clean", probes=fewest)
        return
    yield _need(plan, "to pass at all, every reply clean", fewest)
    if rate < limit:
        for power in sorted({plan.power, 0.9}):
            design = rate_gate_design(limit, rate, power, plan.alpha)
            goal = f"to pass with chance {power:g}, if the rate is as assumed"
            yield _need(plan, goal, None if design is None else design.replies)


def _difference_needs(plan: PowerPlan) -> Iterator[Need]:
    margin, (before, after) = plan.limit or 0.0, plan.rates
    fewest = fewest_replies_for_margin(margin, plan.alpha)
    if plan.estimand == "general":
        yield Need(goal=f"to pass, if nothing changes{BY_T}", probes=_probes(plan, margin))
        return
    yield _need(plan, "to pass at all, every reply clean", fewest)
    if before is not None and after <= before:
        for power in sorted({plan.power, 0.9}):
            goal = f"to pass with chance {power:g}, if nothing changes"
            yield _need(plan, goal, difference_gate_replies(before, margin, power, plan.alpha))


def _comparison_needs(plan: PowerPlan) -> Iterator[Need]:
    before, after = plan.rates
    change = abs(after - (before or 0.0))
    if not change:
        return
    goal = f"to show the assumed change with chance {plan.power:g}"
    if plan.estimand == "general":
        yield Need(goal=f"{goal}{BY_T}", probes=_probes(plan, change))
        return
    yield _need(plan, goal, _replies_to_show(min(before or 0.0, after), change, plan))


def _need(plan: PowerPlan, goal: str, replies: int | None) -> Need:
    cells = plan.after.size * plan.paraphrases
    return Need(goal=goal, replies=replies, samples=None if replies is None else -(-replies // cells))


def _replies_to_show(rate: float, change: float, plan: PowerPlan) -> int | None:
    """Fewest replies a run with which `change` is detectable; the formula falls with their number."""
    low, high = 0, 1
    while detectable_rise(rate, high, plan.power, plan.alpha) > change:
        low, high = high, 2 * high
        if high > 10_000_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if detectable_rise(rate, middle, plan.power, plan.alpha) > change else (low, middle)
    return high


def _probes(plan: PowerPlan, change: float) -> int:
    replies = float(plan.samples * plan.paraphrases)
    alpha = 2 * plan.alpha if plan.question == "difference gate" else plan.alpha
    found = general_probes(change, variance_parts(plan), replies, replies, power=plan.power, alpha=alpha)
    return math.ceil(found)


def variance_parts(plan: PowerPlan) -> VarianceParts:
    """Variance of the true changes between probes, and of single replies inside them."""
    before = np.zeros_like(plan.after) if plan.before is None else plan.before
    change = plan.after - before
    between = float(change.var(ddof=1)) if change.size > 1 else 0.0
    return VarianceParts(between, float((before * (1 - before)).mean()), float((plan.after * (1 - plan.after)).mean()))


def detectable(plan: PowerPlan) -> float | None:
    """Smallest rise from the rate before that two runs of this size show; None for a rate gate and GENERAL."""
    before = plan.rates[0]
    if before is None or plan.estimand == "general" or before >= 1:
        return None
    two_sided = plan.alpha if plan.question == "comparison" else 2 * plan.alpha
    rise = detectable_rise(before, plan.design.replies, plan.power, two_sided)
    return rise if math.isfinite(rise) else None


def is_no_worse(plan: PowerPlan) -> str:
    """Advice on whether further replies or further probes add more power, in words."""
    if plan.estimand == "suite":
        return "replies: for exactly these probes only their total number counts"
    parts, replies = variance_parts(plan), plan.samples * plan.paraphrases
    inside = (parts.within_before + parts.within_after) / replies
    if plan.after.size > 1 and parts.between > inside:
        return "probes: differences between probes weigh more than the replies to each, so ask more probes"
    return "replies: the replies to each probe weigh more than differences between probes (as assumed)"
