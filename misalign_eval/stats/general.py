"""GENERAL: how often on probes like these? Probes are a random sample of a population of probes.

The sample size is the number of probes; more replies to the same probe hardly help. The bound of Gaffke 2005
reweights the probes at random (weights: exponential variables over their sum) and adds one unseen probe at 100 %
(upper bound) or 0 % (lower bound): the Bayesian bootstrap with one pseudo-probe. It is exact for values of 0 and
1, where it equals Clopper-Pearson. For other values in [0, 1] its validity is a conjecture (Learned-Miller &
Thomas 2019; Stark, StatNotes): no counterexample is known and there is no proof. It also takes the probes for an
exchangeable sample, which a hand-picked suite is not, and for equally likely: probe weights play no part.

The quantiles are computed, not drawn: the reweighted mean is at most t exactly when a weighted sum of
exponentials is at most 0, whose chance is one integral (Gil-Pelaez 1951). That is what infinitely many draws
would give, ten times faster than 50,000 of them, and the same on every machine.
"""

import math
from collections.abc import Callable
from typing import Final, Literal

import numpy as np

from misalign_eval.stats.cells import FloatArray, Numbers, Side, frozen_array
from misalign_eval.stats.intervals import (
    Interval,
    check_level,
    clopper_pearson_high,
    clopper_pearson_low,
)
from misalign_eval.stats.special import normal_quantile

FEWEST_PROBES: Final = 5
"""Below this many probes, say "too few probes to generalise" in place of an interval."""
_CHUNK_NUMBERS: Final = 2**20
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
    rows = max(1, _CHUNK_NUMBERS // rates.size)
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
