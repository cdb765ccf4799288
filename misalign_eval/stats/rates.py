"""SUITE rate: probes are fixed, replies are random.

Differences between probes make the estimate more precise than a binomial one (it is a stratified sample), so the
interval is Clopper-Pearson on an effective number of replies, in the manner of Korn & Graubard 1998. Given equal
weights its design effect may be cut at 1: a sum of unequal Bernoulli variables is less dispersed in the tails
than the binomial with the same mean (Hoeffding 1956).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.cells import Cells, FloatArray, Side
from misalign_eval.stats.intervals import (
    Interval,
    check_level,
    clopper_pearson,
    clopper_pearson_high,
    clopper_pearson_low,
)
from misalign_eval.stats.unequal_cells import Arm, any_rates_bound

SMALLEST_DESIGN_EFFECT: Final = 0.05
"""No sample is counted as more than twenty times its size, however tidy its probes look."""


@dataclass(frozen=True, slots=True)
class RateEstimate:
    """A rate (fraction), its interval, and the effective number of replies that the interval stands on."""

    rate: float
    interval: Interval
    effective_trials: float
    design_effect: float


def effective_trials(hits: FloatArray, trials: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Macro rate and effective number of replies; cells are the last axis, results drop it.

    ``hits`` and ``trials`` may have leading axes (simulated runs); ``weights`` (C,) sum to 1. The variance
    inside cells is the larger of a shrunk and an unbiased estimate: with two replies a cell the unbiased one
    alone gives intervals that cover 55 % instead of 95 %.

    >>> rate, size = effective_trials(np.array([9.0, 0.0]), np.array([10.0, 10.0]), np.array([0.5, 0.5]))
    >>> round(float(rate), 2), round(float(size), 4)
    (0.45, 46.3158)
    """
    shares = hits / trials
    rate = np.where((hits >= trials).all(axis=-1), 1.0, (weights * shares).sum(axis=-1))  # not 1 - 1e-16
    plain = 1 / (weights**2 / trials).sum(axis=-1)
    binomial = rate * (1 - rate)
    certain = (binomial <= 0) | (rate <= 0) | (rate >= 1)
    within = _within_variance(shares, trials, weights, rate)
    effect = np.clip(within * plain / np.where(certain, 1.0, binomial), SMALLEST_DESIGN_EFFECT, 1.0)
    size: FloatArray = plain / np.where(certain, 1.0, effect)
    return rate, size


def _within_variance(shares: FloatArray, trials: FloatArray, weights: FloatArray, rate: FloatArray) -> FloatArray:
    """Variance of the macro rate from replies alone: the larger of the shrunk and the unbiased estimate."""
    overall = rate[..., None]
    shrunk = (shares * trials + 2 * overall) / (trials + 2)
    shrunk_variance = (weights**2 * shrunk * (1 - shrunk) / trials).sum(axis=-1)
    single = trials <= 1
    spread = np.where(single, overall * (1 - overall), shares * (1 - shares))
    unbiased = (weights**2 * spread / np.where(single, 1.0, trials - 1)).sum(axis=-1)
    within: FloatArray = np.maximum(shrunk_variance, unbiased)
    return within


def suite_rate(cells: Cells, level: float = 0.95) -> RateEstimate:
    """Macro rate of ``cells`` with its stratified effective-sample Clopper-Pearson interval (strat-CP).

    With one cell it is the textbook Clopper-Pearson interval; with one reply a cell, or no event, the pooled one.
    Raises ValueError if level is outside (0, 1).

    >>> estimate = suite_rate(Cells.of([9, 0], [10, 10]))
    >>> round(estimate.interval.low, 4), round(estimate.interval.high, 4)
    (0.3036, 0.6031)
    """
    check_level(level)
    rate, size = effective_trials(cells.hits, cells.trials, cells.weights)
    effective = float(size)
    plain = float(1 / (cells.weights**2 / cells.trials).sum())
    interval = clopper_pearson(min(float(rate), 1.0) * effective, effective, level)
    return RateEstimate(float(rate), interval, effective, plain / effective)


def pooled_rate(cells: Cells, level: float = 0.95) -> RateEstimate:
    """Share of all replies (every reply counts the same), with the Clopper-Pearson interval of the totals.

    Where ``cells.is_pooled`` it estimates the macro rate and never covers less than ``level`` (Hoeffding 1956).
    Raises ValueError if level is outside (0, 1).

    >>> pooled_rate(Cells.of([9, 0], [10, 10])).rate
    0.45
    """
    hits, trials = float(cells.hits.sum()), float(cells.trials.sum())
    return RateEstimate(hits / trials, clopper_pearson(hits, trials, level), trials, 1.0)


def suite_bound(cells: Cells, alpha: float, side: Side) -> float:
    """One-sided SUITE bound of the macro rate, a fraction, wrong with chance ``alpha`` at most for all true rates.

    Pooled Clopper-Pearson where that is exact (``cells.is_pooled``), the maximised Chernoff bound elsewhere: strat-CP
    may err far more often where cells are unequal. Raises ValueError if alpha is outside (0, 1).

    >>> round(suite_bound(Cells.of([0, 0], [100, 100]), 0.05, "high"), 6)
    0.014867
    """
    if cells.is_pooled:
        return _bound(float(cells.hits.sum()), float(cells.trials.sum()), alpha, side)
    return any_rates_bound(cells.rate, Arm.of(cells.trials, cells.weights), alpha, side)


def _bound(hits: float, trials: float, alpha: float, side: Side) -> float:
    bound = clopper_pearson_high if side == "high" else clopper_pearson_low
    return bound(hits, trials, alpha)
