"""Trend of a rate over checkpoints: trend test and onset; bands come from ``difference.sidak_level``.

Checkpoints of one training run say nothing about other training runs: see ``intervals.run_slope``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.cells import Cells, FloatArray, IntArray, Numbers, frozen_array
from misalign_eval.stats.permutation import permutation_test
from misalign_eval.stats.special import normal_tail

FEWEST_EVENTS: Final = 30
"""Below this many events the normal p-value is replaced by one from permuted replies."""
PERMUTATIONS: Final = 10_000
SEED: Final = 19_630_301


@dataclass(frozen=True, slots=True)
class TrendTest:
    """Stratified trend statistic ``z`` (positive: rising with the scores) and its two-sided p-value."""

    z: float
    p_value: float
    events: int
    is_permuted: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Events and replies, shape (J, K): strata by checkpoints; scores, shape (K,)."""

    hits: FloatArray
    trials: FloatArray
    scores: FloatArray

    @property
    def gap(self) -> float:
        """Sum over cells of score times events above expectation."""
        expected = self.hits.sum(axis=1, keepdims=True) * self.trials / self.trials.sum(axis=1, keepdims=True)
        return float(((self.hits - expected) @ self.scores).sum())

    @property
    def variance(self) -> float:
        events, total = self.hits.sum(axis=1), self.trials.sum(axis=1)
        spread = total * (self.trials @ self.scores**2) - (self.trials @ self.scores) ** 2
        return float((events * (total - events) / (total**2 * (total - 1)) * spread).sum())


def _table(hits: FloatArray | IntArray, trials: FloatArray | IntArray, scores: Numbers) -> _Table:
    counted, replies, steps = np.asarray(hits, float), np.asarray(trials, float), frozen_array(scores, "scores")
    if counted.ndim != 2 or counted.shape != replies.shape or counted.shape[1] != steps.size:
        raise ValueError("hits and trials must be tables of strata by checkpoints, with one score a checkpoint")
    if not ((counted >= 0) & (counted <= replies) & (replies >= 1)).all():
        raise ValueError("need 0 <= hits <= trials and trials >= 1 everywhere")
    if steps.size < 2 or np.ptp(steps) == 0:
        raise ValueError("a trend needs at least two checkpoints with different scores")
    return _Table(counted, replies, steps - steps.mean())


def trend_test(hits: FloatArray | IntArray, trials: FloatArray | IntArray, scores: Numbers) -> TrendTest:
    """Stratified Mantel trend test: do events rise or fall with the scores, inside strata?

    ``hits`` and ``trials`` have shape (J, K), strata (cells) by checkpoints; ``scores`` (K,) are ranks, log steps or
    fractions, declared beforehand. Mantel 1963 (the N - 1 form; with one stratum Cochran-Armitage times
    (N - 1) / N). Raises ValueError on other shapes, hits outside 0..trials or equal scores.

    >>> smokers = trend_test(np.array([[83, 90, 129, 70]]), np.array([[86, 93, 136, 82]]), [1, 2, 3, 4])
    >>> round(smokers.z**2, 4)
    8.2042
    """
    table = _table(hits, trials, scores)
    variance = table.variance
    z = table.gap / math.sqrt(variance) if variance > 0 else 0.0
    return TrendTest(z, min(1.0, 2 * normal_tail(abs(z))), int(table.hits.sum()), is_permuted=False)


def permutation_trend_test(
    hits: FloatArray | IntArray,
    trials: FloatArray | IntArray,
    scores: Numbers,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> TrendTest:
    """Trend test with a p-value from shuffling replies over checkpoints inside each stratum; whole counts.

    p = (1 + at least as extreme) / (permutations + 1), for tables with few events. Arguments and errors as
    ``trend_test``.

    >>> few = permutation_trend_test(np.array([[0, 0, 4]]), np.array([[10, 10, 10]]), [0, 1, 2], seed=1)
    >>> few.is_permuted, few.p_value < 0.05
    (True, True)
    """
    table = _table(hits, trials, scores)
    rng = np.random.default_rng(seed)
    gaps = np.zeros(permutations)
    for events, replies in zip(table.hits.sum(axis=1), table.trials, strict=True):
        drawn = rng.multivariate_hypergeometric(replies.astype(np.int64), int(events), size=permutations)
        gaps += (drawn - events * replies / replies.sum()) @ table.scores
    extreme = int((np.abs(gaps) >= abs(table.gap) - 1e-9).sum())
    z = trend_test(hits, trials, scores).z
    return TrendTest(z, (1 + extreme) / (permutations + 1), int(table.hits.sum()), is_permuted=True)


def trend(
    hits: FloatArray | IntArray, trials: FloatArray | IntArray, scores: Numbers, *, seed: int = SEED
) -> TrendTest:
    """``trend_test``, or ``permutation_trend_test`` below 30 events. Arguments and errors as there.

    >>> trend(np.array([[0, 0, 4]]), np.array([[10, 10, 10]]), [0, 1, 2]).is_permuted
    True
    """
    if np.asarray(hits).sum() < FEWEST_EVENTS:
        return permutation_trend_test(hits, trials, scores, seed=seed)
    return trend_test(hits, trials, scores)


@dataclass(frozen=True, slots=True)
class OnsetEstimate:
    """Position of the earliest checkpoint shown to be above the first one, and the one-sided p-values by position.

    ``position`` counts checkpoints from 0 (the first, which is never an onset); None where none was shown.
    """

    position: int | None
    p_values: tuple[float, ...]


def onset(checkpoints: Sequence[Cells], alpha: float = 0.05) -> OnsetEstimate:
    """Where the rise starts: tests the last checkpoint against the first, then steps back while it rejects.

    One-sided stratified permutation tests in a fixed sequence, so the chance of naming any checkpoint too early is
    at most ``alpha`` (Maurer, Hothorn & Lehmacher 1995). Raises ValueError with fewer than two checkpoints, different
    cells or alpha outside (0, 1).

    >>> run = [Cells.of([hits], [100]) for hits in (0, 1, 20, 40)]
    >>> onset(run).position
    2
    """
    if len(checkpoints) < 2 or not 0 < alpha < 1:
        raise ValueError("an onset needs at least two checkpoints and alpha in (0, 1)")
    p_values = tuple(permutation_test(checkpoints[0], later).upper for later in checkpoints[1:])
    position = len(checkpoints)
    while position > 1 and p_values[position - 2] <= alpha:
        position -= 1
    return OnsetEstimate(position if position < len(checkpoints) else None, p_values)
