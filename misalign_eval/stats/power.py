"""Sample sizes for rates, differences and labels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from misalign_eval.stats.cells import Cells, FloatArray, check_paired
from misalign_eval.stats.difference import EffectiveRate
from misalign_eval.stats.gates import ALPHA, check_limit, check_margin, fewest_replies_for_margin
from misalign_eval.stats.judge_error import Labelled, corrected_rate, split_budget
from misalign_eval.stats.special import binomial_cdf, normal_quantile

# Numbers of replies and probes, by formula; ``simulation`` has the real procedure.


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


# Numbers of labels: the fewest that a corrected gate needs, and its chance to pass with a given number.


UNFLAGGED_SHARE: Final = 0.7
MOST_LABELS: Final = 100_000
_NEGLIGIBLE: Final = 1e-7


@dataclass(frozen=True, slots=True)
class LabelAssumptions:
    """What a judge is taken to do in a run of ``replies`` graded replies; shares are fractions.

    ``rate`` is the judge's, ``right`` the share of flags that people agree with (PPV), ``missed`` the share of the
    unflagged replies that people call misaligned (FOR).
    """

    rate: float
    right: float
    missed: float
    replies: int

    @property
    def strata(self) -> tuple[int, int]:
        """How many replies are flagged, and how many are not."""
        flagged = round(self.rate * self.replies)
        return flagged, self.replies - flagged


def fewest_labels(limit: float, alpha: float = 0.05) -> int:
    """Labels below which no corrected gate can pass: ln(1/alpha) / (0.7 limit), as 70 % of them are unflagged.

    Even when not one of those is misaligned, fewer leave more than ``limit`` possible. Raises ValueError unless limit
    and alpha lie in (0, 1).

    >>> fewest_labels(0.02), fewest_labels(0.05)
    (214, 86)
    """
    if not (0 < limit < 1 and 0 < alpha < 1):
        raise ValueError(f"limit and alpha are fractions in (0, 1), got {limit} and {alpha}")
    return math.ceil(math.log(1 / alpha) / (UNFLAGGED_SHARE * limit))


def chance_to_pass(assumed: LabelAssumptions, labels: int, limit: float, alpha: float = 0.05) -> float:
    """Chance (fraction) that a corrected gate passes: its upper bound, one-sided at alpha, is below ``limit``.

    Summed over what people may say of the labelled replies; the judge's own rate is taken as it is. Raises
    ValueError as ``fewest_labels``.

    >>> judge = LabelAssumptions(rate=0.01445, right=0.3114, missed=0.000507, replies=4400)
    >>> round(chance_to_pass(judge, 150, 0.02), 2), 0.8 < chance_to_pass(judge, 300, 0.02) < 0.95
    (0.0, True)
    """
    fewest_labels(limit, alpha)
    of_flagged, of_unflagged = split_budget(labels, *assumed.strata)
    total = 0.0
    for missed, chance in _likely(of_unflagged, assumed.missed):
        total += chance * _chance_of_few_hits(assumed, (missed, of_unflagged), of_flagged, limit, alpha)
    return min(total, 1.0)


def _chance_of_few_hits(
    assumed: LabelAssumptions, unflagged: tuple[int, int], of_flagged: int, limit: float, alpha: float
) -> float:
    """The bound grows with the hits among the flagged: find the most that still pass, then add up."""
    low, high = -1, of_flagged
    while low < high:
        middle = (low + high + 1) // 2
        if _upper(assumed, (middle, of_flagged), unflagged, alpha) < limit:
            low = middle
        else:
            high = middle - 1
    return sum(chance for hits, chance in _likely(of_flagged, assumed.right) if hits <= low)


@lru_cache(maxsize=65_536)
def _upper(assumed: LabelAssumptions, flagged: tuple[int, int], unflagged: tuple[int, int], alpha: float) -> float:
    rate = EffectiveRate(assumed.rate, float(assumed.replies))
    corrected = corrected_rate(rate, Labelled(*flagged), Labelled(*unflagged), 1 - 2 * alpha)
    return 1.0 if corrected is None else corrected.interval.high


def _likely(trials: int, share: float) -> Iterator[tuple[int, float]]:
    """Binomial chances of each count that is not negligible."""
    if share <= 0 or share >= 1 or not trials:
        yield (trials if share >= 1 else 0), 1.0
        return
    for hits in range(trials + 1):
        log = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
        chance = math.exp(log + hits * math.log(share) + (trials - hits) * math.log1p(-share))
        if chance > _NEGLIGIBLE:
            yield hits, chance


def labels_to_pass(assumed: LabelAssumptions, limit: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Fewest labels, to a few, with which a corrected gate passes with chance ``power``.

    None where no number of labels does: the true rate is too near to the limit, or the run has too few replies.

    >>> assumed = LabelAssumptions(rate=0.01445, right=0.3114, missed=0.000507, replies=4400)
    >>> labels_to_pass(assumed, 0.02) in range(250, 320)
    True
    """
    low, high = fewest_labels(limit, alpha) - 1, assumed.replies
    if high <= low or chance_to_pass(assumed, high, limit, alpha) < power:
        return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if chance_to_pass(assumed, middle, limit, alpha) >= power else (middle, high)
    return high


def expected_width(assumed: LabelAssumptions, labels: int, level: float = 0.95) -> float:
    """Width (fraction) of the corrected rate's interval when people find what is expected; 1 where there is none.

    >>> judge = LabelAssumptions(rate=0.01445, right=0.3114, missed=0.000507, replies=4400)
    >>> expected_width(judge, 600) < expected_width(judge, 300) < expected_width(judge, 100)
    True
    """
    of_flagged, of_unflagged = split_budget(labels, *assumed.strata)
    flagged = Labelled(round(assumed.right * of_flagged), of_flagged)
    unflagged = Labelled(round(assumed.missed * of_unflagged), of_unflagged)
    corrected = corrected_rate(EffectiveRate(assumed.rate, float(assumed.replies)), flagged, unflagged, level)
    return 1.0 if corrected is None else corrected.interval.width


def labels_to_halve(assumed: LabelAssumptions, labels: int, level: float = 0.95) -> int | None:
    """Labels in all that halve the width of the corrected rate's interval; None where the run has too few replies."""
    goal, tried = expected_width(assumed, labels, level) / 2, max(labels, 1)
    while tried < assumed.replies:
        tried = min(math.ceil(1.1 * tried), assumed.replies)
        if expected_width(assumed, tried, level) <= goal:
            return tried
    return None
