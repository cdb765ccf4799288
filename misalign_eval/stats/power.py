"""How many replies, or probes, are needed? Formulas for instant answers; ``simulation`` for the real procedure."""

import math
from dataclasses import dataclass
from typing import Final

from misalign_eval.stats.cells import Cells, FloatArray, check_paired
from misalign_eval.stats.gates import ALPHA, check_limit, check_margin, fewest_replies_for_margin
from misalign_eval.stats.special import binomial_cdf, normal_quantile

POWER: Final = 0.8
_MOST_EVENTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class FixedDesign:
    """A fixed number of replies and the events with which the rate gate still passes."""

    replies: int
    allowed: int


def _check_power(power: float) -> None:
    if not 0 < power < 1:
        raise ValueError(f"power is a fraction in (0, 1), got {power}")


def replies_allowing(events: int, limit: float, alpha: float = ALPHA) -> int:
    """Fewest replies with which ``events`` still pass the exact rate gate at ``limit``.

    Raises ValueError if events < 0 or limit is outside (0, 1).

    >>> replies_allowing(0, 0.02), replies_allowing(5, 0.02)
    (149, 523)
    """
    check_limit(limit)
    if events < 0:
        raise ValueError(f"events cannot be negative, got {events}")
    low, high = events, 2 * events + 2
    while binomial_cdf(events, high, limit) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_cdf(events, middle, limit) > alpha else (low, middle)
    return high


def rate_gate_design(
    limit: float, true_rate: float, power: float = POWER, alpha: float = ALPHA, *, stable: bool = True
) -> FixedDesign | None:
    """Fewest total replies with which a rate gate at ``limit`` passes a model at ``true_rate`` with chance ``power``.

    ``stable`` asks that more replies never drop below ``power`` again (it moves in a saw-tooth). Exact binomial, so
    conservative for probes that differ. None where more than 2,000 events would have to be allowed. Raises ValueError
    unless 0 <= true_rate < limit < 1 and power is in (0, 1).

    >>> rate_gate_design(0.02, 0.005, 0.9), rate_gate_design(0.02, 0.005, 0.9, stable=False)
    (FixedDesign(replies=523, allowed=5), FixedDesign(replies=456, allowed=4))
    """
    check_limit(limit)
    _check_power(power)
    if not 0 <= true_rate < limit:
        raise ValueError(f"no number of replies passes a true rate of {true_rate} at a limit of {limit}")
    low, high = -1, 1
    while not _holds(high, limit, true_rate, power, alpha, stable=stable):
        low, high = high, 2 * high
        if high > _MOST_EVENTS:
            return None
    for events in range(max(0, low - 3), high + 1):
        if _holds(events, limit, true_rate, power, alpha, stable=stable):
            return FixedDesign(replies_allowing(events, limit, alpha), events)
    raise AssertionError("the upper end was checked")


def _holds(events: int, limit: float, true_rate: float, power: float, alpha: float, *, stable: bool) -> bool:
    """Power is least just before one more event becomes allowed."""
    replies = replies_allowing(events + 1, limit, alpha) - 1 if stable else replies_allowing(events, limit, alpha)
    return binomial_cdf(events, replies, true_rate) >= power


def difference_gate_replies(
    rate: float, margin: float, power: float = POWER, alpha: float = ALPHA, design_effect: float = 1.0
) -> int:
    """Replies per run with which a difference gate passes an unchanged model at ``rate`` with chance ``power``.

    Normal approximation with the floor of zero events. ``design_effect`` from a pilot run may lower it. Raises
    ValueError unless rate is in [0, 1], margin and power in (0, 1) and design_effect > 0.

    >>> difference_gate_replies(0.0, 0.01), difference_gate_replies(0.01, 0.01)
    (268, 1225)
    """
    _check_power(power)
    check_margin(margin)
    if not (0 <= rate <= 1 and design_effect > 0):
        raise ValueError(f"need a rate in [0, 1] and a positive design effect, got {rate} and {design_effect}")
    z = normal_quantile(1 - alpha) + normal_quantile(power)
    spread = z**2 * 2 * rate * (1 - rate) / margin**2 * design_effect
    return max(fewest_replies_for_margin(margin, alpha), math.ceil(spread))


def detectable_rise(rate: float, replies: int, power: float = POWER, alpha: float = ALPHA) -> float:
    """Smallest rise (fraction) of a rate that two runs of ``replies`` each would show, two-sided at ``alpha``.

    Two-proportion normal approximation (Fleiss 1981). Multiply ``replies`` by 1 / design effect where a pilot gives
    it. Raises ValueError unless 0 <= rate < 1, replies >= 1 and power in (0, 1); infinite where no rise would do.

    >>> round(detectable_rise(0.005, 4400), 4)
    0.0052
    """
    _check_power(power)
    if not (0 <= rate < 1 and replies >= 1):
        raise ValueError(f"need 0 <= rate < 1 and at least one reply, got {rate} and {replies}")
    z_test, z_power = normal_quantile(1 - alpha / 2), normal_quantile(power)

    def shortfall(rise: float) -> float:
        top, middle = rate + rise, rate + rise / 2
        null = math.sqrt(2 * middle * (1 - middle) / replies)
        alternative = math.sqrt((rate * (1 - rate) + top * (1 - top)) / replies)
        return z_test * null + z_power * alternative - rise

    low, high = 0.0, 1 - rate
    if shortfall(high) > 0:
        return math.inf
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if shortfall(middle) > 0 else (low, middle)
    return high


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Variance of true changes between probes, and mean reply variance ``p (1 - p)`` inside them, by run."""

    between: float
    within_before: float
    within_after: float


def variance_parts(before: Cells, after: Cells) -> VarianceParts:
    """Moment estimates from a pilot comparison, one cell a probe; ``between`` is floored at 0.

    Miller 2024. Raises ValueError if the runs differ in cells, there are fewer than two, or a cell has one reply.

    >>> variance_parts(Cells.of([0, 0], [10, 10]), Cells.of([5, 0], [10, 10])).within_after
    0.1388888888888889
    """
    check_paired(before, after)
    if before.trials.size < 2 or min(before.trials.min(), after.trials.min()) < 2:
        raise ValueError("moment estimates need at least two cells of at least two replies")
    changes = after.hits / after.trials - before.hits / before.trials
    first, second = _reply_variance(before), _reply_variance(after)
    noise = (first / before.trials + second / after.trials).mean()
    between = max(0.0, float(changes.var(ddof=1) - noise))
    return VarianceParts(between, float(first.mean()), float(second.mean()))


def _reply_variance(cells: Cells) -> FloatArray:
    """Unbiased variance of one reply, per cell."""
    shares = cells.hits / cells.trials
    return shares * (1 - shares) * cells.trials / (cells.trials - 1)


def general_probes(
    change: float,
    parts: VarianceParts,
    samples_before: float,
    samples_after: float,
    *,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float:
    """Probes needed to show a mean ``change`` over probes like these, two-sided at ``alpha``; round up to use.

    Replies per probe may be infinite. Normal approximation, so optimistic where few probes carry the change.
    Miller 2024, section on power. Raises ValueError unless change is not 0, samples are positive, power in (0, 1).

    >>> round(general_probes(0.03, VarianceParts(1 / 9, 1 / 6, 1 / 6), 10, 10), 2)
    1259.7
    """
    _check_power(power)
    if not change or samples_before <= 0 or samples_after <= 0:
        raise ValueError("need a change other than 0 and a positive number of replies per probe")
    z = normal_quantile(1 - alpha / 2) + normal_quantile(power)
    spread = parts.between + parts.within_before / samples_before + parts.within_after / samples_after
    return z**2 * spread / change**2


def design_effect(samples: float, intraclass_correlation: float) -> float:
    """Factor by which asking each probe ``samples`` times inflates the variance of a GENERAL mean.

    Kish 1965. Raises ValueError unless samples >= 1 and the correlation is in [0, 1].

    >>> round(design_effect(10, 0.3), 6)
    3.7
    """
    if samples < 1 or not 0 <= intraclass_correlation <= 1:
        raise ValueError("need samples >= 1 and a correlation in [0, 1]")
    return 1 + (samples - 1) * intraclass_correlation


def check_plan(limit: float, cap: int, *, alpha: float = ALPHA) -> bool:
    """Whether ``cap`` replies could pass a rate gate at all, all of them clean (W8 where not).

    >>> check_plan(0.02, 148), check_plan(0.02, 149)
    (False, True)
    """
    check_limit(limit)
    return binomial_cdf(0, cap, limit) < alpha


def check_margin_plan(margin: float, cap: int, *, alpha: float = ALPHA) -> bool:
    """Whether ``cap`` replies per run could pass a difference gate when neither run has an event (W8 where not).

    >>> check_margin_plan(0.01, 267), check_margin_plan(0.01, 268)
    (False, True)
    """
    check_margin(margin)
    return cap >= fewest_replies_for_margin(margin, alpha)
