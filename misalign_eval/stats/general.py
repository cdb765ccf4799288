"""Intervals of the GENERAL rate (on probes like these), and clustered standard errors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from misalign_eval.stats.cells import FloatArray, Numbers, Side, frozen_array
from misalign_eval.stats.intervals import Interval, check_level, clopper_pearson_high, clopper_pearson_low
from misalign_eval.stats.special import normal_quantile, t_quantile, t_tail

# GENERAL rate: probes are a random sample of a population of probes.
#
# The sample size is the number of probes; more replies to the same probe hardly help. The bound of Gaffke 2005
# reweights the probes at random (weights: exponential variables over their sum) and adds one unseen probe at 100 %
# (upper bound) or 0 % (lower bound): the Bayesian bootstrap with one pseudo-probe. It is exact for values of 0 and
# 1, where it equals Clopper-Pearson. For other values in [0, 1] its validity is a conjecture (Learned-Miller &
# Thomas 2019; Stark, StatNotes): no counterexample is known and there is no proof. It also takes the probes for an
# exchangeable sample, which a hand-picked suite is not, and for equally likely: probe weights play no part.
#
# The quantiles are computed, not drawn: the reweighted mean is at most t exactly when a weighted sum of
# exponentials is at most 0, whose chance is one integral (Gil-Pelaez 1951). That is what infinitely many draws
# would give, ten times faster than 50,000 of them, and the same on every machine.


FEWEST_PROBES: Final = 5
"""Below this many probes, say "too few probes to generalise" in place of an interval."""
_MOST_NUMBERS: Final = 2**20
"""Numbers held at a time (8 MB), so that memory does not grow with the number of probes."""
_NEGLIGIBLE_LOG: Final = 39.0
_STEP: Final = 0.125
"""Of the trapezoid rule in log frequency; its error falls like exp(-2 pi^2 / (4 * step)), so to 1e-16."""
_CERTAIN: Final = 40.0
"""Standard deviations from 0 at which the sign of a sum of exponentials is settled to 1e-8 (Chernoff)."""

Method = Literal["gaffke", "cp-n-eff-q"]


def can_generalise(probes: int) -> bool:
    """Whether there are probes enough for a GENERAL statement.

    >>> can_generalise(4), can_generalise(5)
    (False, True)
    """
    return probes >= FEWEST_PROBES


def _unit_values(values: Numbers) -> FloatArray:
    means = frozen_array(values, "probe means")
    if not ((means >= 0) & (means <= 1)).all():
        raise ValueError("probe means must be fractions in [0, 1]")
    return means


def reweighted_cdf(values: FloatArray, threshold: float) -> float:
    """Chance that the randomly reweighted mean of ``values`` (shape (n,)) is at most ``threshold``.

    Weights are exponential variables over their sum (a flat Dirichlet). Accurate to about 1e-8. Gil-Pelaez 1951.
    Raises ValueError if ``values`` is empty or not finite.

    >>> round(reweighted_cdf(np.array([0.0, 0.0, 1.0]), 0.5), 10)
    0.75
    """
    levels, counts = np.unique(frozen_array(values, "values"), return_counts=True)
    if threshold < levels[0] or threshold >= levels[-1]:
        return float(threshold >= levels[-1])
    kept = levels != threshold
    return _sum_is_negative(levels[kept] - threshold, counts[kept].astype(np.float64))


def _sum_is_negative(rates: FloatArray, counts: FloatArray) -> float:
    """Chance that ``sum(rates * gamma(counts))`` is at most 0; ``rates`` has both signs and no 0."""
    center = float(counts @ rates) / math.sqrt(float(counts @ rates**2))
    if abs(center) > _CERTAIN:
        return float(center < 0)
    step = _STEP / max(1.0, abs(center) / 8)
    frequencies = np.exp(np.arange(_lowest_log(rates, counts), _highest_log(rates, counts) + step, step))
    rows = max(1, _MOST_NUMBERS // rates.size)
    total = 0.0
    for start in range(0, frequencies.size, rows):
        angles = np.multiply.outer(frequencies[start : start + rows], rates)
        decay = np.exp(-0.5 * (np.log1p(angles**2) @ counts))
        total += float(np.sin(np.arctan(angles) @ counts) @ decay)
    return min(1.0, max(0.0, 0.5 - step / math.pi * total))


def _lowest_log(rates: FloatArray, counts: FloatArray) -> float:
    """Log frequency below which the integral is under 1e-14."""
    return math.log(1e-14 / float(counts @ np.abs(rates)))


def _highest_log(rates: FloatArray, counts: FloatArray) -> float:
    """Log frequency above which the integrand is under exp(-39), from its largest factors."""
    order = np.argsort(-np.abs(rates))
    factors = np.cumsum(counts[order])
    return float(((_NEGLIGIBLE_LOG - np.cumsum(counts[order] * np.log(np.abs(rates[order])))) / factors).min())


def _root(rising: Callable[[float], float], low: float, high: float, guess: float) -> float:
    """Where a rising function crosses 0, to 1e-12: secant steps, bisection where they leave the bracket."""
    last, last_value, point = low, rising(low), guess
    for _ in range(200):
        if not low < point < high:
            point = 0.5 * (low + high)
        value = rising(point)
        low, high = (low, point) if value > 0 else (point, high)
        if abs(value) < 1e-12 or high - low < 1e-12 * high:
            break
        slope = (value - last_value) / (point - last)
        last, last_value = point, value
        point = point - value / slope if slope > 0 else low
    return point


def _gaffke_bound(means: FloatArray, alpha: float, side: Side) -> float:
    """One end. Values of 0 and 1 alone have a closed form."""
    if np.isin(means, (0.0, 1.0)).all():
        return _clopper_pearson_bound(means, alpha, side)
    unseen, target = (1.0, 1 - alpha) if side == "high" else (0.0, alpha)
    values = np.append(means, unseen)
    guess = float(values.mean() + normal_quantile(target) * values.std() / math.sqrt(values.size))
    ends = float(values.min()), float(values.max())
    return _root(lambda point: reweighted_cdf(values, point) - target, *ends, guess)


def _clopper_pearson_bound(means: FloatArray, alpha: float, side: Side) -> float:
    """Clopper-Pearson at n = Q."""
    bound = clopper_pearson_high if side == "high" else clopper_pearson_low
    return bound(float(means.sum()), float(means.size), alpha)


def general_bound(probe_means: Numbers, alpha: float, side: Side, *, method: Method = "gaffke") -> float:
    """One-sided GENERAL bound of the mean over a population of probes, a fraction, meant to err with ``alpha``.

    ``probe_means`` holds one rate a probe, shape (Q,). ``method="cp-n-eff-q"`` is Clopper-Pearson at n = Q, 1.0 to
    1.6 times as wide. Raises ValueError if a value leaves [0, 1] or alpha is outside (0, 1). Gaffke 2005.

    >>> round(general_bound([0.0] * 149, 0.05, "high"), 6)
    0.019905
    """
    check_level(alpha)
    means = _unit_values(probe_means)
    bound = _clopper_pearson_bound if method == "cp-n-eff-q" else _gaffke_bound
    return bound(means, alpha, side)


def general_interval(probe_means: Numbers, level: float = 0.95, *, method: Method = "gaffke") -> Interval:
    """GENERAL interval of the mean over a population of probes; both ends are fractions in [0, 1].

    ``probe_means`` holds one rate a probe, shape (Q,). Computed for any Q; say nothing where ``can_generalise``
    is false. Raises ValueError if a value leaves [0, 1] or level is outside (0, 1). Gaffke 2005.

    >>> interval = general_interval([0.5] * 10)
    >>> round(interval.low, 6), round(interval.high, 6)
    (0.345751, 0.654249)
    """
    check_level(level)
    tail = (1 - level) / 2
    low = general_bound(probe_means, tail, "low", method=method)
    return Interval(low, general_bound(probe_means, tail, "high", method=method))


def general_is_below(probe_means: Numbers, limit: float, alpha: float) -> bool:
    """Whether the one-sided upper GENERAL bound lies below ``limit`` (a fraction); one integral, no search.

    The same answer as ``general_bound(probe_means, alpha, "high") < limit``, for simulations. ValueError as there.

    >>> general_is_below([0.0] * 149, 0.02, 0.05), general_is_below([0.0] * 148, 0.02, 0.05)
    (True, False)
    """
    check_level(alpha)
    return reweighted_cdf(np.append(_unit_values(probe_means), 1.0), limit) > 1 - alpha


def general_difference(before: Numbers, after: Numbers, level: float = 0.95, *, method: Method = "gaffke") -> Interval:
    """GENERAL interval of the mean change, in [-1, 1]; the only one that may say "generalises".

    ``before`` and ``after`` hold one rate a probe, shape (Q,), in the same order; it is the Gaffke interval of
    ``(after - before + 1) / 2`` scaled back. Raises ValueError as ``general_interval`` or if lengths differ.

    >>> general_difference([0.0] * 50, [0.9] * 50).low > 0
    True
    """
    first, second = _unit_values(before), _unit_values(after)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} probes before but {second.size} after")
    half = general_interval((second - first + 1) / 2, level, method=method)
    return Interval(2 * half.low - 1, 2 * half.high - 1)


# The field's usual intervals: clustered standard errors and the bootstrap over probes.
#
# For comparison with papers, not for decisions: with probes fixed and 100 replies each the clustered interval is
# ten times too wide, and as a statement on probes in general it covers far less than it says below about 200
# probes or 5 %. The bootstrap percentile interval fails in the same way.


RESAMPLES: Final = 10_000
SEED: Final = 19_790_101
_CHUNK_NUMBERS: Final = 2**20


@dataclass(frozen=True, slots=True)
class ClusteredEstimate:
    """A mean or a change (fractions), its standard error, t interval and two-sided p-value against 0."""

    estimate: float
    standard_error: float
    interval: Interval
    df: int
    p_value: float


def clustered_standard_error(hits: Numbers, trials: Numbers) -> float:
    """Clustered standard error of the pooled rate, a fraction, without small-sample factor (CR0).

    ``hits`` and ``trials`` hold the totals of each probe, shape (Q,). Miller 2024, equation for clustered
    questions. Raises ValueError if lengths differ, a probe has no reply or hits leave 0..trials.

    >>> round(clustered_standard_error([2, 0, 3, 1], [3, 3, 3, 3]), 7)
    0.186339
    """
    counted, replies = _probe_totals(hits, trials)
    rate = counted.sum() / replies.sum()
    residuals = counted - replies * rate
    return float(np.sqrt((residuals**2).sum()) / replies.sum())


def _probe_totals(hits: Numbers, trials: Numbers) -> tuple[FloatArray, FloatArray]:
    counted, replies = frozen_array(hits, "hits"), frozen_array(trials, "trials")
    if counted.shape != replies.shape or not ((replies > 0) & (counted >= 0) & (counted <= replies)).all():
        raise ValueError("need trials > 0 and 0 <= hits <= trials for each probe, in arrays of one length")
    return counted, replies


def mean_over_probes(values: Numbers, level: float = 0.95) -> ClusteredEstimate:
    """Mean of one value a probe (rates or changes, shape (Q,)) with the t interval on Q - 1 degrees of freedom.

    The standard error is that of the means, sd / sqrt(Q). Where all values are equal the interval has no width
    and means nothing. Raises ValueError if Q < 2 or level is outside (0, 1). Miller 2024.

    >>> round(mean_over_probes([2 / 3, 0, 1, 1 / 3]).standard_error, 7)
    0.2151657
    """
    check_level(level)
    array = frozen_array(values, "values")
    if array.size < 2:
        raise ValueError("a standard error needs at least two probes")
    df = array.size - 1
    mean, error = float(array.mean()), float(array.std(ddof=1) / np.sqrt(array.size))
    half = t_quantile((1 + level) / 2, df) * error
    p_value = t_tail(mean / error, df) if error > 0 else float(mean == 0)
    return ClusteredEstimate(mean, error, Interval(mean - half, mean + half), df, p_value)


def paired_t(before: Numbers, after: Numbers, level: float = 0.95) -> ClusteredEstimate:
    """Mean change over probes with its paired t interval, in [-1, 1]; an approximation, never evidence alone.

    With a few probes that carry all the change it is wrong in up to half of all comparisons. Arrays of shape (Q,)
    in the same order. Raises ValueError if lengths differ or Q < 2.

    >>> round(paired_t([0.0, 0.0, 0.1], [0.2, 0.1, 0.3]).estimate, 4)
    0.1667
    """
    first, second = frozen_array(before, "before"), frozen_array(after, "after")
    if first.shape != second.shape:
        raise ValueError(f"{first.size} probes before but {second.size} after")
    return mean_over_probes(second - first, level)


def bootstrap_interval(
    columns: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    level: float = 0.95,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Percentile bootstrap over probes of any function of column means.

    ``columns`` (Q, K) holds K numbers a probe; ``statistic`` takes the means over resampled probes, shape
    (resamples, K), and gives one value each, shape (resamples,). Efron & Tibshirani 1993. Raises ValueError
    without rows or if level is outside (0, 1).

    >>> rates = np.array([[0.2], [0.4], [0.6]])
    >>> bootstrap_interval(rates, lambda means: means[:, 0], seed=1)
    Interval(low=0.2, high=0.6)
    """
    check_level(level)
    if columns.ndim != 2 or not columns.size:
        raise ValueError("columns must have one row a probe, and at least one")
    values = statistic(_resampled_means(columns, resamples, seed))
    tail = (1 - level) / 2
    # Resampled means that agree on paper differ in their last digit; the ends should not.
    low, high = np.quantile(values, [tail, 1 - tail]).round(12)
    return Interval(float(low), float(high))


def _resampled_means(columns: FloatArray, resamples: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    probes = columns.shape[0]
    chunk = max(1, _CHUNK_NUMBERS // probes)
    means = np.empty((resamples, columns.shape[1]))
    for start in range(0, resamples, chunk):
        picks = rng.integers(0, probes, (min(chunk, resamples - start), probes))
        rows = np.arange(len(picks))[:, None] * probes
        counts = np.bincount((picks + rows).ravel(), minlength=picks.size).reshape(picks.shape)
        means[start : start + len(picks)] = counts @ columns / probes
    return means


def bootstrap_rate(
    hits: Numbers, trials: Numbers, level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Percentile bootstrap over probes of the pooled rate; totals of each probe in, shape (Q,), fractions out.

    Raises ValueError as ``clustered_standard_error`` and if level is outside (0, 1).

    >>> bootstrap_rate([0, 0, 0], [10, 10, 10])
    Interval(low=0.0, high=0.0)
    """
    columns = np.column_stack(_probe_totals(hits, trials))
    return bootstrap_interval(columns, _ratio, level, resamples=resamples, seed=seed)


def _ratio(means: FloatArray) -> FloatArray:
    ratio: FloatArray = means[:, 0] / means[:, 1]
    return ratio


def bootstrap_difference(
    before: tuple[Numbers, Numbers],
    after: tuple[Numbers, Numbers],
    level: float = 0.95,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Percentile bootstrap over probes of the change in the pooled rate, in [-1, 1].

    Each run is (hits, trials) by probe, shape (Q,) each, in the same order; a probe is drawn in both runs
    together. Raises ValueError as ``bootstrap_rate`` or if the runs have different numbers of probes.

    >>> bootstrap_difference(([0, 0], [9, 9]), ([9, 9], [9, 9]))
    Interval(low=1.0, high=1.0)
    """
    first, second = np.column_stack(_probe_totals(*before)), np.column_stack(_probe_totals(*after))
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} probes before but {len(second)} after")
    return bootstrap_interval(
        np.hstack([first, second]),
        lambda means: _ratio(means[:, 2:]) - _ratio(means[:, :2]),
        level,
        resamples=resamples,
        seed=seed,
    )
