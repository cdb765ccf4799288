"""SUITE comparison of two runs over the same probes: difference and ratio of their macro rates.

MOVER recovers the variance of a difference from the two Wilson intervals already shown (Zou & Donner 2008; with
one cell it is Newcombe 1998, method 10); MOVER-R does so for a ratio (Donner & Zou 2012). Unlike a standard error
over probes they keep their error rate where only a few probes change.
"""

import math
from dataclasses import dataclass

from misalign_eval.stats.cells import Cells, FloatArray, check_paired
from misalign_eval.stats.intervals import FloatOrArray, Interval, check_level, wilson_limits
from misalign_eval.stats.rates import effective_trials
from misalign_eval.stats.special import normal_quantile


@dataclass(frozen=True, slots=True)
class Difference:
    """Change of a rate, after less before, in [-1, 1], with its interval."""

    estimate: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Ratio:
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


def mover_difference(before: EffectiveRate, after: EffectiveRate, level: float = 0.95) -> Difference:
    """Difference of two rates with its MOVER-Wilson interval, in [-1, 1].

    One-sided bounds at alpha are the ends at level 1 - 2 alpha. Raises ValueError if level is outside (0, 1).

    >>> difference = mover_difference(EffectiveRate(0.0, 20.0), EffectiveRate(0.0, 10.0))
    >>> round(difference.interval.low, 7), round(difference.interval.high, 7)
    (-0.1611252, 0.2775328)
    """
    check_level(level)
    low, high = mover_limits((before.rate, before.trials), (after.rate, after.trials), _z(level))
    return Difference(after.rate - before.rate, Interval(max(low, -1.0), min(high, 1.0)))


def _z(level: float) -> float:
    return normal_quantile((1 + level) / 2)


def suite_difference(before: Cells, after: Cells, level: float = 0.95) -> Difference:
    """Change of the macro rate on these probes (SUITE), with its MOVER-Wilson interval.

    Raises ValueError if the runs differ in cells or level is outside (0, 1).

    >>> round(suite_difference(Cells.of([0, 1], [50, 50]), Cells.of([5, 1], [50, 50])).estimate, 4)
    0.05
    """
    check_paired(before, after)
    return mover_difference(effective_rate(before), effective_rate(after), level)


def mover_ratio(before: EffectiveRate, after: EffectiveRate, level: float = 0.95) -> Ratio:
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
        return Ratio(estimate, Interval(least, math.inf))
    root = math.sqrt(max(0.0, product**2 - _curve(high_after, after.rate) * _curve(low_before, before.rate)))
    return Ratio(estimate, Interval(least, (product + root) / _curve(low_before, before.rate)))


def _curve(limit: float, rate: float) -> float:
    return limit * (2 * rate - limit)


def _ratio_low(product: float, after: float, before: float) -> float:
    """Lower limit, multiplied out so that it also holds where twice the rate before equals its upper limit."""
    if after <= 0:
        return 0.0
    return after / (product + math.sqrt(max(0.0, product**2 - after * before)))


def suite_ratio(before: Cells, after: Cells, level: float = 0.95) -> Ratio:
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
