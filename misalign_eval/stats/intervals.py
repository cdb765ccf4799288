"""Intervals of binomial rates, of means, and over training runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.cells import FloatArray, IntArray, Numbers, frozen_array, macro_weights, probe_codes
from misalign_eval.stats.special import beta_quantile, normal_quantile, t_quantile, t_tail

# Binomial intervals. Counts may be real numbers, so that an effective sample size can be used.


_NO_EVENTS: Final = 1e-3
"""Effective counts below this are rounding: their lower bound is under alpha**1000."""

FloatOrArray = TypeVar("FloatOrArray", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends of an interval, in the unit of what it estimates (fractions for rates)."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """High end less low end.

        >>> Interval(0.25, 0.75).width
        0.5
        """
        return self.high - self.low

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def check_level(level: float) -> None:
    """Raise ValueError unless ``level``, the confidence of an interval, lies in (0, 1).

    >>> check_level(0.95)
    """
    if not 0 < level < 1:
        raise ValueError(f"a confidence level is a fraction in (0, 1), got {level}")


def _check_counts(hits: float, trials: float) -> None:
    if not (trials > 0 and 0 <= hits <= trials * (1 + 1e-12)):
        raise ValueError(f"need trials > 0 and 0 <= hits <= trials, got hits={hits}, trials={trials}")


def clopper_pearson_low(hits: float, trials: float, alpha: float) -> float:
    """One-sided lower bound of a binomial rate: the rate at which ``hits`` or more have chance ``alpha``.

    A fraction; 0 where hits is 0. ValueError if trials <= 0, hits is outside 0..trials or alpha outside (0, 1).
    Clopper & Pearson 1934, with real arguments as in Korn & Graubard 1998.

    >>> round(clopper_pearson_low(7, 50, 0.025), 6)
    0.058192
    """
    check_level(alpha)
    _check_counts(hits, trials)
    return beta_quantile(alpha, hits, max(trials - hits, 0.0) + 1) if hits > _NO_EVENTS else 0.0


def clopper_pearson_high(hits: float, trials: float, alpha: float) -> float:
    """One-sided upper bound of a binomial rate: the rate at which ``hits`` or fewer have chance ``alpha``.

    A fraction; 1 where hits equals trials. Errors and source as for ``clopper_pearson_low``.

    >>> round(clopper_pearson_high(0, 149, 0.05), 6)
    0.019905
    """
    check_level(alpha)
    _check_counts(hits, trials)
    return beta_quantile(1 - alpha, hits + 1, trials - hits) if hits < trials else 1.0


def clopper_pearson(hits: float, trials: float, level: float = 0.95) -> Interval:
    """Clopper-Pearson interval of a binomial rate; both ends are fractions in [0, 1].

    Never covers less than ``level`` for whole counts (Clopper & Pearson 1934). Raises ValueError if trials <= 0,
    hits is outside 0..trials or level is outside (0, 1).

    >>> clopper_pearson(7, 50)
    Interval(low=0.058191700..., high=0.267396002...)
    """
    check_level(level)
    tail = (1 - level) / 2
    return Interval(clopper_pearson_low(hits, trials, tail), clopper_pearson_high(hits, trials, tail))


def wilson_limits(rate: FloatOrArray, trials: FloatOrArray, z: float) -> tuple[FloatOrArray, FloatOrArray]:
    """Wilson limits of rates (fractions, any shape) on ``trials`` replies of the same shape, at ``z`` deviations.

    Unchecked, so that simulations can pass whole arrays. Wilson 1927.

    >>> [round(end, 4) for end in wilson_limits(0.0, 50.0, 1.96)]
    [0.0, 0.0714]
    """
    spread = z * z / trials
    center = (rate + spread / 2) / (1 + spread)
    # abs(): a rate of 1 less rounding can make the variance a negative zero-ish number.
    half = z / (1 + spread) * (abs(rate * (1 - rate)) / trials + spread / (4 * trials)) ** 0.5
    return center - half, center + half


def wilson(hits: float, trials: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a binomial rate; both ends are fractions in [0, 1].

    Wilson 1927, as in Brown, Cai & DasGupta 2001. Raises ValueError if trials <= 0, hits is outside 0..trials or
    level is outside (0, 1).

    >>> wilson(0, 50)
    Interval(low=0.0, high=0.0713...)
    """
    check_level(level)
    _check_counts(hits, trials)
    low, high = wilson_limits(hits / trials, float(trials), normal_quantile((1 + level) / 2))
    return Interval(max(low, 0.0) if hits else 0.0, min(high, 1.0) if hits < trials else 1.0)


# Macro mean of scores such as 0-100 alignment, in the scores' own unit.
#
# For gates use ``sequential.score_log_wealth`` on score / 100, which is valid at any sample size, or a threshold that
# turns scores into events.


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCells:
    """Mean, sample variance (ddof 1; 0 where a cell has one score) and number of scores of each cell, shape (C,)."""

    means: FloatArray
    variances: FloatArray
    counts: FloatArray
    weights: FloatArray

    @classmethod
    def of(
        cls,
        scores: Sequence[Numbers],
        probes: Sequence[int] | IntArray | None = None,
        probe_weights: Numbers | None = None,
    ) -> "ScoreCells":
        """Summarise the scores of each cell. Raises ValueError where a cell has none or one is not finite.

        >>> ScoreCells.of([[90.0, 100.0], [80.0, 80.0]]).mean
        87.5
        """
        cells = [frozen_array(values, f"scores of cell {place}") for place, values in enumerate(scores)]
        means = frozen_array([float(cell.mean()) for cell in cells], "cells")
        variances = [float(cell.var(ddof=1)) if cell.size > 1 else 0.0 for cell in cells]
        weights = macro_weights(probe_codes(probes, len(cells)), probe_weights)
        return cls(means, frozen_array(variances, "v"), frozen_array([cell.size for cell in cells], "n"), weights)

    @property
    def mean(self) -> float:
        """Macro mean, in the unit of the scores.

        >>> ScoreCells.of([[90.0, 100.0], [80.0]]).mean
        87.5
        """
        return float(self.weights @ self.means)

    def variance_terms(self) -> tuple[FloatArray, FloatArray]:
        """Each cell's part in the variance of the macro mean, and its degrees of freedom, shape (C,) each.

        A cell with one score has no variance of its own; the variance of all scores stands in, as for rates, which
        is never too small on average.

        >>> ScoreCells.of([[90.0, 100.0], [80.0, 80.0]]).variance_terms()[0].tolist()
        [6.25, 0.0]
        """
        single = self.counts < 2
        inside = self.variances * (self.counts - 1) / self.counts
        overall = float(self.weights @ (inside + (self.means - self.mean) ** 2))
        cells = max(2, self.means.size)
        spread = np.where(single, overall * cells / (cells - 1), self.variances)
        terms: FloatArray = self.weights**2 * spread / self.counts
        return terms, np.where(single, cells - 1, self.counts - 1)


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A macro mean or a change of it, in score units, with its t interval and Satterthwaite degrees of freedom.

    Interval and df are None where all scores inside every cell agree: such a sample says nothing about its error.
    """

    estimate: float
    interval: Interval | None
    df: float | None


def _estimate(estimate: float, terms: FloatArray, df: FloatArray, level: float) -> MeanEstimate:
    check_level(level)
    variance = float(terms.sum())
    if variance <= 0:
        return MeanEstimate(estimate, None, None)
    freedom = variance**2 / float((terms**2 / df).sum())
    half = t_quantile((1 + level) / 2, freedom) * variance**0.5
    return MeanEstimate(estimate, Interval(estimate - half, estimate + half), freedom)


def macro_mean(cells: ScoreCells, level: float = 0.95) -> MeanEstimate:
    """Macro mean of scores on these probes (SUITE) with a t interval.

    Satterthwaite 1946. The interval may leave the range of the scores. Raises ValueError if level is outside (0, 1).

    >>> round(macro_mean(ScoreCells.of([[90.0, 100.0], [80.0, 84.0]])).df, 3)
    1.312
    """
    return _estimate(cells.mean, *cells.variance_terms(), level)


def mean_difference(before: ScoreCells, after: ScoreCells, level: float = 0.95) -> MeanEstimate:
    """Change of the macro mean on these probes (SUITE), after less before, with a t interval over both runs.

    Raises ValueError if the runs have different weights or level is outside (0, 1).

    >>> low, high = ScoreCells.of([[90.0, 100.0], [80.0, 84.0]]), ScoreCells.of([[60.0, 70.0], [80.0, 84.0]])
    >>> mean_difference(low, high).estimate
    -15.0
    """
    if before.weights.shape != after.weights.shape or not np.allclose(before.weights, after.weights):
        raise ValueError("both runs must have the same cells with the same weights, in the same order")
    (first, first_df), (second, second_df) = before.variance_terms(), after.variance_terms()
    terms, df = np.concatenate([first, second]), np.concatenate([first_df, second_df])
    return _estimate(after.mean - before.mean, terms, df, level)


# Several training runs. The run is the unit: replies of one training run are not independent.


FEWEST_RUNS: Final = 3
"""Training seeds below which nothing should be claimed about a recipe."""


@dataclass(frozen=True, slots=True)
class RunEffect:
    """A slope or difference between training runs, its t interval, degrees of freedom and two-sided p-value."""

    estimate: float
    interval: Interval
    df: float
    p_value: float


def _effect(estimate: float, error: float, df: float, level: float) -> RunEffect:
    half = t_quantile((1 + level) / 2, df) * error
    p_value = t_tail(estimate / error, df) if error > 0 else float(estimate == 0)
    return RunEffect(estimate, Interval(estimate - half, estimate + half), df, p_value)


def run_slope(doses: Numbers, rates: Numbers, level: float = 0.95) -> RunEffect:
    """Least-squares slope of the macro rate on the dose (rate per unit of dose); one entry a training run, shape (R,).

    t with R - 2 degrees of freedom. Dose-response claims need ``FEWEST_RUNS`` seeds. Raises ValueError with fewer
    than three runs, lengths that differ, one dose only, or a level outside (0, 1).

    >>> round(run_slope([0, 0, 1, 1], [0.0, 0.02, 0.2, 0.22]).estimate, 3)
    0.2
    """
    check_level(level)
    x, y = frozen_array(doses, "doses"), frozen_array(rates, "rates")
    if x.shape != y.shape or x.size < 3:
        raise ValueError("a slope needs at least three runs, with one dose and one rate each")
    spread = _squares(x)
    if not spread:
        raise ValueError("a slope needs at least two different doses")
    slope = float(((x - x.mean()) * y).sum() / spread)
    residuals = y - y.mean() - slope * (x - x.mean())
    df = x.size - 2
    return _effect(slope, math.sqrt(float((residuals**2).sum()) / df / spread), df, level)


def _squares(values: FloatArray) -> float:
    return float(((values - values.mean()) ** 2).sum())


def run_difference(before: Numbers, after: Numbers, level: float = 0.95) -> RunEffect:
    """Difference of mean macro rates between two groups of training runs, one rate a run, by Welch's t.

    Raises ValueError with fewer than two runs in a group or a level outside (0, 1). Welch 1947.

    >>> round(run_difference([0.0, 0.01, 0.02], [0.2, 0.25, 0.3]).estimate, 3)
    0.24
    """
    check_level(level)
    first, second = frozen_array(before, "before"), frozen_array(after, "after")
    if min(first.size, second.size) < 2:
        raise ValueError("comparing groups of runs needs at least two runs in each")
    parts = [_squares(group) / (group.size - 1) / group.size for group in (first, second)]
    total = sum(parts)
    squares = parts[0] ** 2 / (first.size - 1) + parts[1] ** 2 / (second.size - 1)
    df = total**2 / squares if squares > 0 else float(first.size + second.size - 2)
    return _effect(float(second.mean() - first.mean()), math.sqrt(total), df, level)
