"""The field's usual intervals: clustered standard errors and the bootstrap over probes.

For comparison with papers, not for decisions: with probes fixed and 100 replies each the clustered interval is
ten times too wide, and as a statement on probes in general it covers far less than it says below about 200
probes or 5 %. The bootstrap percentile interval fails in the same way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.cells import FloatArray, Numbers, frozen_array
from misalign_eval.stats.intervals import Interval, check_level
from misalign_eval.stats.special import t_quantile, t_tail

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
