"""Differences of two runs: MOVER, stratified score intervals, paired shift, and multiplicity."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.cells import Cells, FloatArray, Numbers, check_paired, frozen_array
from misalign_eval.stats.intervals import FloatOrArray, Interval, check_level, wilson_limits
from misalign_eval.stats.rates import effective_trials
from misalign_eval.stats.special import chi_square_tail, normal_quantile

# SUITE comparison of two runs over the same probes: difference and ratio of their macro rates.
#
# MOVER recovers the variance of a difference from the two Wilson intervals already shown (Zou & Donner 2008; with
# one cell it is Newcombe 1998, method 10); MOVER-R does so for a ratio (Donner & Zou 2012). Unlike a standard error
# over probes they keep their error rate where only a few probes change.


@dataclass(frozen=True, slots=True)
class DifferenceEstimate:
    """Change of a rate, after less before, in [-1, 1], with its interval."""

    estimate: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class RatioEstimate:
    """Rate after over rate before. The estimate is None without events before; the high end may be infinite."""

    estimate: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class EffectiveRate:
    """A rate (fraction) and the effective number of replies it stands on."""

    rate: float
    trials: float


def effective_rate(cells: Cells) -> EffectiveRate:
    """Macro rate of a run with its stratified effective number of replies.

    >>> round(effective_rate(Cells.of([9, 0], [10, 10])).trials, 4)
    46.3158
    """
    rate, size = effective_trials(cells.hits, cells.trials, cells.weights)
    return EffectiveRate(min(max(float(rate), 0.0), 1.0), float(size))


def mover_limits(
    before: tuple[FloatOrArray, FloatOrArray], after: tuple[FloatOrArray, FloatOrArray], z: float
) -> tuple[FloatOrArray, FloatOrArray]:
    """MOVER-Wilson limits of a difference at ``z`` deviations; each run is (rate, effective trials).

    Floats or arrays of one shape, unchecked, so that simulations can pass whole arrays. Zou & Donner 2008.

    >>> [round(end, 7) for end in mover_limits((48 / 80, 80.0), (56 / 70, 70.0), 1.959963984540054)]
    [0.0524315, 0.3338727]
    """
    (low_before, high_before), (low_after, high_after) = wilson_limits(*before, z), wilson_limits(*after, z)
    change = after[0] - before[0]
    down = ((after[0] - low_after) ** 2 + (high_before - before[0]) ** 2) ** 0.5
    up = ((high_after - after[0]) ** 2 + (before[0] - low_before) ** 2) ** 0.5
    return change - down, change + up


def mover_difference(before: EffectiveRate, after: EffectiveRate, level: float = 0.95) -> DifferenceEstimate:
    """Difference of two rates with its MOVER-Wilson interval, in [-1, 1].

    One-sided bounds at alpha are the ends at level 1 - 2 alpha. Raises ValueError if level is outside (0, 1).

    >>> difference = mover_difference(EffectiveRate(0.0, 20.0), EffectiveRate(0.0, 10.0))
    >>> round(difference.interval.low, 7), round(difference.interval.high, 7)
    (-0.1611252, 0.2775328)
    """
    check_level(level)
    low, high = mover_limits((before.rate, before.trials), (after.rate, after.trials), _z(level))
    return DifferenceEstimate(after.rate - before.rate, Interval(max(low, -1.0), min(high, 1.0)))


def _z(level: float) -> float:
    return normal_quantile((1 + level) / 2)


def suite_difference(before: Cells, after: Cells, level: float = 0.95) -> DifferenceEstimate:
    """Change of the macro rate on these probes (SUITE), with its MOVER-Wilson interval.

    Raises ValueError if the runs differ in cells or level is outside (0, 1).

    >>> round(suite_difference(Cells.of([0, 1], [50, 50]), Cells.of([5, 1], [50, 50])).estimate, 4)
    0.05
    """
    check_paired(before, after)
    return mover_difference(effective_rate(before), effective_rate(after), level)


def mover_ratio(before: EffectiveRate, after: EffectiveRate, level: float = 0.95) -> RatioEstimate:
    """Ratio of two rates with its MOVER-R interval; works with zeros.

    The high end is infinite without events before. Raises ValueError if level is outside (0, 1).
    Donner & Zou 2012, in the form without a vanishing denominator.

    >>> ratio = mover_ratio(EffectiveRate(0.0, 100.0), EffectiveRate(0.2, 100.0))
    >>> ratio.estimate is None, round(ratio.interval.low, 2), ratio.interval.high
    (True, 5.1, inf)
    """
    check_level(level)
    low_before, high_before = (float(end) for end in wilson_limits(before.rate, before.trials, _z(level)))
    low_after, high_after = (float(end) for end in wilson_limits(after.rate, after.trials, _z(level)))
    estimate = after.rate / before.rate if before.rate > 0 else None
    product = before.rate * after.rate
    least = _ratio_low(product, _curve(low_after, after.rate), _curve(high_before, before.rate))
    # Rounding leaves a Wilson limit of zero events at some 1e-19.
    if before.rate <= 0 or low_before <= 0:
        return RatioEstimate(estimate, Interval(least, math.inf))
    root = math.sqrt(max(0.0, product**2 - _curve(high_after, after.rate) * _curve(low_before, before.rate)))
    return RatioEstimate(estimate, Interval(least, (product + root) / _curve(low_before, before.rate)))


def _curve(limit: float, rate: float) -> float:
    return limit * (2 * rate - limit)


def _ratio_low(product: float, after: float, before: float) -> float:
    """Lower limit, multiplied out so that it also holds where twice the rate before equals its upper limit."""
    if after <= 0:
        return 0.0
    return after / (product + math.sqrt(max(0.0, product**2 - after * before)))


def suite_ratio(before: Cells, after: Cells, level: float = 0.95) -> RatioEstimate:
    """Ratio of the macro rates on these probes (SUITE), with its MOVER-R interval.

    Show it only with events before, or as "at least ``interval.low`` times". Errors as ``suite_difference``.

    >>> suite_ratio(Cells.of([1, 1], [50, 50]), Cells.of([5, 1], [50, 50])).estimate
    3.0
    """
    check_paired(before, after)
    return mover_ratio(effective_rate(before), effective_rate(after), level)


def simulated_limits(
    before: FloatArray, after: FloatArray, trials: FloatArray, weights: FloatArray, z: float
) -> tuple[FloatArray, FloatArray]:
    """MOVER-Wilson limits of many simulated comparisons at once, shape (runs,) each.

    ``before`` and ``after`` hold events, shape (runs, C), of ``trials`` (C,) replies with ``weights`` (C,).

    >>> import numpy as np
    >>> low, high = simulated_limits(np.zeros((1, 2)), np.zeros((1, 2)), np.full(2, 5.0), np.full(2, 0.5), 1.96)
    >>> round(float(high[0]), 4)
    0.2775
    """
    return mover_limits(effective_trials(before, trials, weights), effective_trials(after, trials, weights), z)


# Two judges on the same replies: by how much the rate shifts from one to the other, and what that does to a change.
#
# The rates differ by the replies on which only one judge says yes. Both shares come from the same replies, so that
# their estimates are negatively correlated; MOVER takes that in (Zou 2007; Newcombe 1998 for paired rates).


@dataclass(frozen=True, slots=True)
class Discordant:
    """Replies (as macro shares, with what they are worth) to which only the first, or only the second, says yes."""

    first_only: EffectiveRate
    second_only: EffectiveRate


def discordant(first_only: Cells, second_only: Cells) -> Discordant:
    """Macro shares of both kinds. Raises ValueError if the two differ in cells.

    >>> found = discordant(Cells.of([1, 0], [10, 10]), Cells.of([4, 2], [10, 10]))
    >>> round(found.second_only.rate, 2)
    0.3
    """
    check_paired(first_only, second_only)
    return Discordant(effective_rate(first_only), effective_rate(second_only))


def shift(discordant: Discordant, level: float = 0.95) -> DifferenceEstimate:
    """Rate of the second less rate of the first on the same replies, in [-1, 1]. ValueError for a level outside (0, 1).

    >>> moved = shift(discordant(Cells.of([1], [100]), Cells.of([11], [100])))
    >>> round(moved.estimate, 2), round(moved.interval.low, 3), round(moved.interval.high, 3)
    (0.1, 0.034, 0.177)
    """
    check_level(level)
    z = normal_quantile((1 + level) / 2)
    minus, plus = discordant.first_only, discordant.second_only
    estimate = plus.rate - minus.rate
    low_minus, high_minus = wilson_limits(minus.rate, minus.trials, z)
    low_plus, high_plus = wilson_limits(plus.rate, plus.trials, z)
    together = _correlation(minus.rate, plus.rate)
    below = _joined(plus.rate - low_plus, high_minus - minus.rate, together)
    above = _joined(high_plus - plus.rate, minus.rate - low_minus, together)
    return DifferenceEstimate(estimate, Interval(max(estimate - below, -1.0), min(estimate + above, 1.0)))


def _correlation(item: float, other: float) -> float:
    """Of two counts of a multinomial, without its sign; 0 where one of them never varies."""
    room = item * (1 - item) * other * (1 - other)
    return item * other / math.sqrt(room) if room > 0 else 0.0


def _joined(item: float, other: float, correlation: float) -> float:
    return math.sqrt(max(item * item + other * other + 2 * min(correlation, 1.0) * item * other, 0.0))


def shift_of_change(before: Discordant, after: Discordant, level: float = 0.95) -> DifferenceEstimate:
    """How much the change between two runs shifts with the judge: shift after less shift before, in [-2, 2].

    The runs are independent, so this is MOVER on their two shifts. Raises ValueError as ``shift``.

    >>> same = discordant(Cells.of([3], [100]), Cells.of([3], [100]))
    >>> shift_of_change(same, same).estimate
    0.0
    """
    first, second = shift(before, level), shift(after, level)
    estimate = second.estimate - first.estimate
    below = math.hypot(second.estimate - second.interval.low, first.interval.high - first.estimate)
    above = math.hypot(second.interval.high - second.estimate, first.estimate - first.interval.low)
    return DifferenceEstimate(estimate, Interval(estimate - below, estimate + above))


# Many comparisons: Holm for the few that were declared, Benjamini-Hochberg for screening all probes.


def _p_values(p_values: Numbers) -> FloatArray:
    values = frozen_array(p_values, "p-values")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    return values


def holm(p_values: Numbers) -> FloatArray:
    """Holm-adjusted p-values in the given order, shape (m,): family-wise error for declared comparisons.

    Raises ValueError if empty or outside [0, 1]. Holm 1979.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    values = _p_values(p_values)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(values.size, 0, -1)
    return _restored(np.maximum.accumulate(scaled), order)


def benjamini_hochberg(p_values: Numbers) -> FloatArray:
    """Benjamini-Hochberg adjusted p-values in the given order, shape (m,): false discovery rate of a screen.

    Raises ValueError if empty or outside [0, 1]. Benjamini & Hochberg 1995.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    values = _p_values(p_values)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    return _restored(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _restored(adjusted: FloatArray, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FloatArray:
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def bonferroni_level(level: float, comparisons: int) -> float:
    """Level of each of ``comparisons`` intervals so that all hold together with chance ``level``.

    Raises ValueError if level is outside (0, 1) or comparisons < 1.

    >>> round(bonferroni_level(0.95, 5), 4)
    0.99
    """
    check_level(level)
    if comparisons < 1:
        raise ValueError(f"need at least one comparison, got {comparisons}")
    return 1 - (1 - level) / comparisons


def sidak_level(level: float, points: int) -> float:
    """Level of each of ``points`` independent intervals so that all hold together with chance ``level``.

    For bands over checkpoints. Raises ValueError if level is outside (0, 1) or points < 1. Sidak 1967.

    >>> round(sidak_level(0.95, 5), 5)
    0.98979
    """
    check_level(level)
    if points < 1:
        raise ValueError(f"need at least one point, got {points}")
    return math.pow(level, 1 / points)


# Second opinions on a comparison: Miettinen-Nurminen score interval and Mantel-Haenszel odds ratio.
#
# The score interval is a valid alternative to MOVER; the odds ratio is what other fields report. Neither is the
# headline.


_EDGE: Final = 1 - 1e-12


def _constrained_rate(before: Cells, after: Cells, change: float) -> FloatArray:
    """Likeliest rate before, per cell, given that the rate after is higher by ``change``.

    The root of the cubic likelihood equation in closed form (Miettinen & Nurminen 1985, appendix).
    """
    total, events = before.trials + after.trials, before.hits + after.hits
    square = ((after.trials + 2 * before.trials) * change - total - events) / total
    linear = ((before.trials * change - total - 2 * before.hits) * change + events) / total
    constant = before.hits * change * (1 - change) / total
    q = square**3 / 27 - square * linear / 6 + constant / 2
    p = np.copysign(np.sqrt(np.maximum(square**2 / 9 - linear / 3, 0)), q)
    cosine = np.clip(q / np.where(p == 0, 1.0, p**3), -1, 1)
    root = 2 * p * np.cos((np.pi + np.arccos(cosine)) / 3) - square / 3
    rate: FloatArray = np.clip(root, max(0.0, -change), min(1.0, 1 - change))
    return rate


def score_statistic(before: Cells, after: Cells, change: float = 0.0) -> float:
    """Stratified score statistic z against a true macro difference of ``change`` (in (-1, 1)).

    Positive where the observed difference is larger. Miettinen & Nurminen 1985, with their N / (N - 1). Raises
    ValueError if the runs differ in cells or change is outside (-1, 1).

    >>> round(score_statistic(Cells.of([5], [20]), Cells.of([10], [20])), 4)
    1.6125
    """
    check_paired(before, after)
    if not -1 < change < 1:
        raise ValueError(f"a difference of rates lies in (-1, 1), got {change}")
    low = _constrained_rate(before, after, change)
    high = np.clip(low + change, 0, 1)
    total = before.trials + after.trials
    spread = (low * (1 - low) / before.trials + high * (1 - high) / after.trials) * total / (total - 1)
    gap = after.rate - before.rate - change
    variance = float((before.weights**2 * spread).sum())
    if variance > 0:
        return gap / math.sqrt(variance)
    return math.copysign(math.inf, gap) if gap else 0.0


def _crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0; the nearer end where it does not."""
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
        if high - low < 1e-13:
            break
    return 0.5 * (low + high)


def miettinen_nurminen(before: Cells, after: Cells, level: float = 0.95) -> DifferenceEstimate:
    """Macro difference with its (stratified) Miettinen-Nurminen score interval, in [-1, 1].

    Cells carry the weights; one cell gives the plain interval. Raises ValueError if the runs differ in cells or
    level is outside (0, 1). Miettinen & Nurminen 1985.

    >>> difference = miettinen_nurminen(Cells.of([48], [80]), Cells.of([56], [70]))
    >>> round(difference.interval.low, 7), round(difference.interval.high, 7)
    (0.0528297, 0.3381729)
    """
    check_level(level)
    z = normal_quantile((1 + level) / 2)
    estimate = after.rate - before.rate
    inside = min(max(estimate, -_EDGE), _EDGE)
    low = _crossing(lambda change: score_statistic(before, after, change) - z, -_EDGE, inside)
    high = _crossing(lambda change: score_statistic(before, after, change) + z, inside, _EDGE)
    return DifferenceEstimate(estimate, Interval(_snapped(low), _snapped(high)))


def _snapped(end: float) -> float:
    return math.copysign(1.0, end) if abs(end) > 1 - 1e-9 else end


@dataclass(frozen=True, slots=True)
class MantelHaenszel:
    """Common odds ratio of after against before, with its interval, and the Cochran-Mantel-Haenszel test.

    Odds ratio and interval are None where they are undefined (no discordant events). ``statistic`` is the
    chi-square on one degree of freedom, with continuity correction where asked for.
    """

    odds_ratio: float | None
    interval: Interval | None
    statistic: float
    p_value: float


def mantel_haenszel(
    before: tuple[Numbers, Numbers],
    after: tuple[Numbers, Numbers],
    level: float = 0.95,
    *,
    continuity: bool = True,
) -> MantelHaenszel:
    """Common odds ratio over strata; each run is (hits, trials), shape (C,) each.

    Mantel & Haenszel 1959; interval by Robins, Breslow & Greenland 1986. Raises ValueError if lengths differ, hits
    leave 0..trials, a stratum is empty or level is outside (0, 1).

    >>> rabbits = mantel_haenszel(([0, 0, 2, 6, 5], [5, 6, 6, 6, 5]), ([0, 3, 6, 5, 2], [6, 6, 6, 6, 2]))
    >>> rabbits.odds_ratio, round(rabbits.statistic, 6)
    (7.0, 3.928571)
    """
    check_level(level)
    (no_after, yes_after), (no_before, yes_before) = _table(after), _table(before)
    if yes_after.shape != yes_before.shape:
        raise ValueError(f"{yes_before.size} strata before but {yes_after.size} after")
    total = no_after + yes_after + no_before + yes_before
    up, down = yes_after * no_before / total, yes_before * no_after / total
    statistic = _cmh(yes_after, yes_after + no_after, yes_after + yes_before, total, continuity=continuity)
    ratio = float(up.sum() / down.sum()) if up.sum() > 0 and down.sum() > 0 else None
    interval = None
    if ratio is not None:
        agreeing, crossing = (yes_after + no_before) / total, (yes_before + no_after) / total
        error = math.sqrt(_robins_variance(up, down, agreeing, crossing))
        half = normal_quantile((1 + level) / 2) * error
        interval = Interval(ratio * math.exp(-half), ratio * math.exp(half))
    return MantelHaenszel(ratio, interval, statistic, chi_square_tail(statistic))


def _table(run: tuple[Numbers, Numbers]) -> tuple[FloatArray, FloatArray]:
    hits, trials = frozen_array(run[0], "hits"), frozen_array(run[1], "trials")
    if hits.shape != trials.shape or not ((trials >= 1) & (hits >= 0) & (hits <= trials)).all():
        raise ValueError("need 0 <= hits <= trials and trials >= 1 in every stratum")
    return trials - hits, hits


def _cmh(hits: FloatArray, trials: FloatArray, events: FloatArray, total: FloatArray, *, continuity: bool) -> float:
    expected = trials * events / total
    variance = float((expected * (total - trials) * (total - events) / (total * (total - 1))).sum())
    gap = abs(float((hits - expected).sum()))
    if continuity:
        gap = max(0.0, gap - 0.5)
    return gap**2 / variance if variance > 0 else 0.0


def _robins_variance(up: FloatArray, down: FloatArray, agreeing: FloatArray, crossing: FloatArray) -> float:
    """Variance of the log odds ratio (Robins, Breslow & Greenland 1986)."""
    first = (agreeing * up).sum() / (2 * up.sum() ** 2)
    second = (agreeing * down + crossing * up).sum() / (2 * up.sum() * down.sum())
    third = (crossing * down).sum() / (2 * down.sum() ** 2)
    return float(first + second + third)
