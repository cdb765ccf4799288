"""Evidence that may be looked at after every round: betting e-processes on counts.

Values are 0 and 1 (events of one run) or -1, 0 and 1 (paired replies of two runs). A bettor against "the mean is
at least m0" who stakes a fixed share multiplies the wealth by ``1 + stake * (m0 - v)`` at each value ``v``; the
evidence is the mean wealth over a grid of stakes. When every cell is asked equally often, wealth is a supermartingale
over rounds however unlike the cells are: independence gives the product of ``1 + stake * (m0 - p)`` over cells, which
the arithmetic-geometric mean inequality bounds by its value at the mean rate. By Ville's inequality it ever exceeds
1 / alpha with chance at most alpha. So sampling may stop at any complete round. The evidence depends on how often each
value came and on no order: three whole numbers are all its state.

Waudby-Smith & Ramdas 2024 (constant bets mixed over a grid); Spertus, Sridhar & Stark 2024 for stratified means.
"""

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.cells import FloatArray, Numbers, frozen_array
from misalign_eval.stats.intervals import Interval, check_level

Claim = Literal["pass", "fail"]
"""What the evidence speaks for: "pass" = the mean is below the limit, "fail" = it is above."""

RATE_VALUES: Final = (0.0, 1.0)
DIFFERENCE_VALUES: Final = (-1.0, 0.0, 1.0)
RATE_PASS_GRID: Final = (1.0, 0.9, 0.75, 0.5, 0.25)
RATE_FAIL_GRID: Final = (0.64, 0.32, 0.16, 0.08, 0.04, 0.02, 0.01, 0.005)
DIFFERENCE_GRID: Final = (1.0, 0.6, 0.35, 0.2, 0.1, 0.05)
"""Stakes as shares of the largest allowed one, tuned for limits of 1-5 % and margins of 1-2 points."""

_RUIN: Final = -1e30
"""Log of a factor of 0: so low that one such value ends the bettor, yet 0 times it is 0."""


def _grid(values: tuple[float, ...], claim: Claim) -> FloatArray:
    if len(values) == 3:
        return np.array(DIFFERENCE_GRID)
    return np.array(RATE_PASS_GRID if claim == "pass" else RATE_FAIL_GRID)


def _log_factors(values: FloatArray, low: float, limit: float, claim: Claim, grid: FloatArray) -> FloatArray:
    """Log of the wealth factor of each value in [low, 1] under each stake, shape (V, K)."""
    high = 1.0
    sign, room = (1.0, high - limit) if claim == "pass" else (-1.0, limit - low)
    gains = sign * np.multiply.outer(limit - values, grid / room)
    # The worst value costs exactly its stake; 1 + rounding must not stand in for 0 there.
    gains[values == (high if claim == "pass" else low)] = -grid
    logs = np.full(gains.shape, _RUIN)
    np.log1p(gains, out=logs, where=gains > -1)
    return logs


def log_mean_wealth(logs: FloatArray) -> FloatArray:
    """Log of the mean over the last axis of wealths given by their logs; no overflow.

    >>> round(float(log_mean_wealth(np.log([1.0, 3.0]))), 6)
    0.693147
    """
    top = logs.max(axis=-1, keepdims=True)
    total: FloatArray = np.log(np.exp(logs - top).mean(axis=-1)) + top[..., 0]
    return total


def log_evidence(counts: npt.NDArray[np.float64] | npt.NDArray[np.int64], limit: float, claim: Claim) -> FloatArray:
    """Log evidence for ``claim`` from value counts, for one or many runs at once.

    ``counts`` has the counts of 0 and 1, or of -1, 0 and 1, on its last axis, shape (..., 2) or (..., 3); the
    result drops it. ``limit`` is the mean under test, strictly between the least and the greatest value. Raises
    ValueError if it is not, or on another number of values.

    >>> round(float(np.exp(log_evidence(np.array([176, 0]), 0.02, "pass"))), 6)
    16.507054
    """
    values = {2: RATE_VALUES, 3: DIFFERENCE_VALUES}.get(counts.shape[-1])
    if values is None or not values[0] < limit < values[-1]:
        raise ValueError(f"need counts of 2 or 3 values and a limit between the extremes, got {limit}")
    grid = _grid(values, claim)
    return log_mean_wealth(counts @ _log_factors(np.array(values), values[0], limit, claim, grid))


def rate_evidence(hits: int, trials: int, limit: float, claim: Claim) -> float:
    """Evidence that the mean rate is below (``"pass"``) or above (``"fail"``) ``limit``; infinite past 1e308.

    ``trials`` replies in complete rounds over all cells, ``hits`` events. Raises ValueError if hits leave
    0..trials or limit is outside (0, 1).

    >>> round(rate_evidence(0, 220, 0.02, "pass"), 4), round(rate_evidence(5, 44, 0.02, "fail"), 4)
    (36.1316, 29.9492)
    """
    _check_counts(hits, trials)
    return _finite_exp(float(log_evidence(np.array([trials - hits, hits]), limit, claim)))


def difference_evidence(down: int, same: int, up: int, margin: float, claim: Claim) -> float:
    """Evidence that the mean change is below (``"pass"``) or above (``"fail"``) ``margin``; infinite past 1e308.

    Counts of reply pairs (same cell, same sample number) in which an event disappeared, nothing changed, or one
    appeared. Raises ValueError on a negative count or a margin outside (-1, 1).

    >>> round(difference_evidence(0, 440, 0, 0.01, "pass"), 4)
    17.9191
    """
    if min(down, same, up) < 0:
        raise ValueError(f"counts cannot be negative, got {down}, {same}, {up}")
    return _finite_exp(float(log_evidence(np.array([down, same, up]), margin, claim)))


def _check_counts(hits: int, trials: int) -> None:
    if not 0 <= hits <= trials:
        raise ValueError(f"need 0 <= hits <= trials, got {hits} and {trials}")


def _finite_exp(log: float) -> float:
    return math.exp(log) if log < 709 else math.inf


def log_weighted_evidence(hits: Numbers, trials: Numbers, weights: Numbers, limit: float, claim: Claim) -> float:
    """Log of the rate evidence where cells weigh differently; one entry a cell, shape (C,), weights sum to 1.

    Every value counts ``C * weight`` times its distance from the limit, and stakes shrink by ``C * max(weights)``.
    With equal weights it is the log of ``rate_evidence``. Raises ValueError if lengths differ, hits leave 0..trials
    or weights are not positive with sum 1.

    >>> round(math.exp(log_weighted_evidence([0, 0], [88, 88], [0.5, 0.5], 0.02, "pass")), 6)
    16.507054
    """
    counted, replies, shares = (frozen_array(values, "cells") for values in (hits, trials, weights))
    if not (counted.shape == replies.shape == shares.shape and ((counted >= 0) & (counted <= replies)).all()):
        raise ValueError("need one entry a cell, with 0 <= hits <= trials")
    if not ((shares > 0).all() and math.isclose(float(shares.sum()), 1.0, rel_tol=1e-9)):
        raise ValueError("weights must be positive and sum to 1")
    logs = np.zeros(_grid(RATE_VALUES, claim).size)
    for hit, reply, scale in zip(counted, replies, shares / shares.max(), strict=True):
        factors = _log_factors(np.array(RATE_VALUES), 0.0, limit, claim, _grid(RATE_VALUES, claim) * scale)
        logs += np.array([reply - hit, hit]) @ factors
    return float(log_mean_wealth(logs))


def score_log_wealth(scores: Numbers, limit: float, claim: Claim) -> FloatArray:
    """Log wealth of each stake of the rate grid after ``scores`` in [0, 1], shape (K,); add up over rounds.

    ``log_mean_wealth`` of the sum is the log evidence that the mean score is below (``"pass"``) or above
    (``"fail"``) ``limit``, a fraction. Raises ValueError if a score leaves [0, 1] or limit is outside (0, 1).

    >>> wealth = score_log_wealth([0.0] * 176, 0.02, "pass")
    >>> round(float(np.exp(log_mean_wealth(wealth))), 6)
    16.507054
    """
    values = frozen_array(scores, "scores")
    if not ((values >= 0) & (values <= 1)).all() or not 0 < limit < 1:
        raise ValueError("scores must lie in [0, 1] and the limit in (0, 1)")
    wealth: FloatArray = _log_factors(values, 0.0, limit, claim, _grid(RATE_VALUES, claim)).sum(axis=0)
    return wealth


def time_uniform_interval(counts: Numbers, level: float = 0.95) -> Interval:
    """Interval of the mean that holds at all rounds together, so also after stopping on evidence.

    ``counts`` are those of 0 and 1 (a rate), or of -1, 0 and 1 (a change). It holds every mean against which
    neither evidence has reached 2 / (1 - level). Raises ValueError on another number of counts, a negative
    one, or a level outside (0, 1).

    >>> interval = time_uniform_interval([220, 0])
    >>> interval.low, round(interval.high, 7)
    (0.0, 0.0205062)
    """
    check_level(level)
    tally = frozen_array(counts, "counts")
    if tally.size not in {2, 3} or (tally < 0).any() or not tally.any():
        raise ValueError("need the counts of 2 or 3 values, none negative and not all 0")
    target = math.log(2 / (1 - level))
    low, high = (0.0 if tally.size == 2 else -1.0), 1.0
    return Interval(
        _edge(tally, "fail", target, low, high) if tally[1:].any() else low,
        _edge(tally, "pass", target, low, high) if tally[:-1].any() else high,
    )


def _edge(counts: FloatArray, claim: Claim, target: float, low: float, high: float) -> float:
    """Mean at which the evidence crosses ``target``; "pass" evidence rises with the mean, "fail" evidence falls."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        reached = float(log_evidence(counts, middle, claim)) >= target
        low, high = (low, middle) if reached == (claim == "pass") else (middle, high)
    return 0.5 * (low + high)
