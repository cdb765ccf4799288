"""What is the mean score? Macro mean of scores such as 0-100 alignment, in the scores' own unit.

For gates use ``evalues.score_log_wealth`` on score / 100, which is valid at any sample size, or a threshold that
turns scores into events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from misalign_eval.stats.cells import FloatArray, IntArray, Numbers, frozen_array, macro_weights, probe_codes
from misalign_eval.stats.intervals import Interval, check_level
from misalign_eval.stats.special import t_quantile


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
