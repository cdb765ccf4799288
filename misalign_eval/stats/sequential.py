"""Sequential tests: e-values, looks, and intervals that hold at all rounds together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.cells import BoolArray, Cells, FloatArray, IntArray, Numbers, frozen_array
from misalign_eval.stats.gates import ALPHA, check_limit, check_margin
from misalign_eval.stats.intervals import Interval, check_level
from misalign_eval.stats.rates import suite_bound
from misalign_eval.stats.special import binomial_cdf, binomial_tail

# Evidence that may be looked at after every round: betting e-processes on counts.
#
# Values are 0 and 1 (events of one run) or -1, 0 and 1 (paired replies of two runs). A bettor against "the mean is at
# least m0" who stakes a fixed share multiplies the wealth by ``1 + stake * (m0 - v)`` at each value ``v``; the evidence
# is the mean wealth over a grid of stakes. When every cell is asked equally often, wealth is a supermartingale over
# rounds however unlike the cells are: independence gives the product of ``1 + stake * (m0 - p)`` over cells, which the
# arithmetic-geometric mean inequality bounds by its value at the mean rate. By Ville's inequality it ever exceeds 1 /
# alpha with chance at most alpha. So sampling may stop at any complete round. The evidence depends on how often each
# value came and on no order: three whole numbers are all its state.
#
# Waudby-Smith & Ramdas 2024 (constant bets mixed over a grid); Spertus, Sridhar & Stark 2024 for stratified means.


Claim = Literal["pass", "fail"]
"""Claim of the evidence: "pass" = the mean is below the limit, "fail" = it is above."""

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


# One look at a gate that is checked at every complete round.
#
# A round is one graded reply for every cell (for a comparison: one of each run, paired by sample number), formed
# by number and never by arrival: short replies and refusals arrive first. Four fifths of alpha are spent on the
# e-process, one fifth on a single exact look at the declared cap; together they err with at most alpha (union
# bound).


EVIDENCE_SHARE: Final = 0.8
CAP_SHARE: Final = 0.2
DEAREST_FAIL: Final = 3
"""A run that cannot pass goes on for a fail that comes before so many times the replies that it has."""
UNKNOWN: Final = -1
"""Code of a reply whose outcome could not be found out."""

LookVerdict = Literal["pass", "fail", "inconclusive", "continue"]
LookReason = Literal["evidence", "cap", "cannot pass", "undecided"]


@dataclass(frozen=True, slots=True)
class SequentialDesign:
    """A gate with a cap: ``limit`` is a rate or a margin (fraction), ``cap`` the replies (or pairs) at most.

    ``stops_when_lost`` allows stopping once passing is out of reach and a fail is not likely either; leave it off where
    inconclusive counts as pass.
    """

    limit: float
    cap: int
    alpha_pass: float = ALPHA
    alpha_fail: float = ALPHA
    stops_when_lost: bool = True

    def __post_init__(self) -> None:
        check_limit(self.limit)
        if self.cap < 1 or not (0 < self.alpha_pass < 0.5 and 0 < self.alpha_fail < 0.5):
            raise ValueError("a sequential gate needs a cap of at least 1 and error rates in (0, 0.5)")


@dataclass(frozen=True, slots=True)
class SequentialLook:
    """Outcome of one look, with the natural logs of both evidences and of what each needs to decide."""

    verdict: LookVerdict
    reason: LookReason
    log_pass: float
    log_fail: float
    needed_pass: float
    needed_fail: float


def needed_log_evidence(alpha: float) -> float:
    """Log of the evidence that decides at error rate ``alpha``. Raises ValueError unless alpha is in (0, 1).

    >>> round(math.exp(needed_log_evidence(0.05)), 6)
    25.0
    """
    if not 0 < alpha < 1:
        raise ValueError(f"an error rate lies in (0, 1), got {alpha}")
    return -math.log(EVIDENCE_SHARE * alpha)


def _look(
    log_pass: float, log_fail: float, design: SequentialDesign, cap: tuple[bool, bool] | None, *, lost: bool
) -> SequentialLook:
    """Order of the rules: evidence, then the look at the cap (None before it), then curtailment."""
    needed = needed_log_evidence(design.alpha_pass), needed_log_evidence(design.alpha_fail)
    verdict: LookVerdict = "continue"
    reason: LookReason = "undecided"
    if log_pass >= needed[0] or log_fail >= needed[1]:
        verdict, reason = ("fail" if log_fail >= needed[1] else "pass"), "evidence"
    elif cap is not None:
        passes, fails = cap
        verdict, reason = ("fail" if fails else "pass" if passes else "inconclusive"), "cap"
    elif lost and design.stops_when_lost:
        verdict, reason = "inconclusive", "cannot pass"
    return SequentialLook(verdict, reason, log_pass, log_fail, *needed)


def rate_look(hits: int, trials: int, design: SequentialDesign, *, unknown: int = 0) -> SequentialLook:
    """One look at a rate gate with equal weights: totals over complete rounds are all it needs.

    ``trials`` counts every slot of the rounds, ``unknown`` of which could not be graded: they count as events
    against passing and as none against failing. Raises ValueError unless 0 <= hits, hits + unknown <= trials.

    >>> design = SequentialDesign(limit=0.02, cap=1760)
    >>> rate_look(0, 176, design).verdict, rate_look(0, 220, design).verdict, rate_look(6, 44, design).verdict
    ('continue', 'pass', 'fail')
    """
    most = hits + unknown
    if not (hits >= 0 and unknown >= 0 and most <= trials):
        raise ValueError(f"need hits, unknown >= 0 and hits + unknown <= trials, got {hits}, {unknown}, {trials}")
    log_pass = float(log_evidence(np.array([trials - most, most]), design.limit, "pass"))
    log_fail = float(log_evidence(np.array([trials - hits, hits]), design.limit, "fail"))
    cap = _rate_at_cap(hits, most, trials, design) if trials >= design.cap else None
    return _look(log_pass, log_fail, design, cap, lost=most > most_hits_to_pass(design))


def _rate_at_cap(hits: int, most: int, trials: int, design: SequentialDesign) -> tuple[bool, bool]:
    passes = binomial_cdf(most, trials, design.limit) <= CAP_SHARE * design.alpha_pass
    fails = binomial_tail(hits, trials, design.limit) <= CAP_SHARE * design.alpha_fail
    return passes, fails


@lru_cache(maxsize=256)
def most_hits_to_pass(design: SequentialDesign) -> int:
    """Most events with which the gate can still pass at its cap; -1 if it cannot pass even without any (W8).

    >>> most_hits_to_pass(SequentialDesign(limit=0.02, cap=1760)), most_hits_to_pass(SequentialDesign(0.02, 100))
    (21, -1)
    """
    needed, share = needed_log_evidence(design.alpha_pass), CAP_SHARE * design.alpha_pass
    low, high = -1, design.cap
    while high - low > 1:
        hits = (low + high) // 2
        evidence = float(log_evidence(np.array([design.cap - hits, hits]), design.limit, "pass"))
        passes = evidence >= needed or binomial_cdf(hits, design.cap, design.limit) <= share
        low, high = (hits, high) if passes else (low, hits)
    return low


@lru_cache(maxsize=256)
def fewest_hits_to_fail(design: SequentialDesign) -> int | None:
    """Fewest events with which the rate gate fails at its cap at the latest; None if it cannot fail at all.

    >>> fewest_hits_to_fail(SequentialDesign(limit=0.1, cap=200))
    31
    """
    needed, share = needed_log_evidence(design.alpha_fail), CAP_SHARE * design.alpha_fail
    low, high = -1, design.cap + 1
    while high - low > 1:
        hits = (low + high) // 2
        evidence = float(log_evidence(np.array([design.cap - hits, hits]), design.limit, "fail"))
        fails = evidence >= needed or binomial_tail(hits, design.cap, design.limit) <= share
        low, high = (low, hits) if fails else (hits, high)
    return high if high <= design.cap else None


def may_still_fail(counts: FloatArray, design: SequentialDesign) -> BoolArray:
    """Whether a gate fails soon if the values go on coming as often as so far: then a fail is likely and cheap.

    Soon is by its cap, and before ``DEAREST_FAIL`` times as many replies as there are. ``counts`` are those of 0 and 1,
    or of -1, 0 and 1, on the last axis, with one entry at least; the result drops it. A run that cannot pass any more
    goes on where this holds. Going on costs no error: the evidence allows any stop.

    >>> may_still_fail(np.array([[30, 10], [34, 6]]), SequentialDesign(limit=0.1, cap=120)).tolist()
    [True, False]
    """
    seen = counts.sum(axis=-1)
    until = np.minimum(design.cap, DEAREST_FAIL * seen)
    ahead = counts * (until / seen)[..., None]
    found: BoolArray = log_evidence(ahead, design.limit, "fail") >= needed_log_evidence(design.alpha_fail)
    if counts.shape[-1] == 2 and (fewest := fewest_hits_to_fail(design)) is not None:
        found = found | ((until >= design.cap) & (ahead[..., 1] >= fewest))
    return found


def weighted_rate_look(cells: Cells, design: SequentialDesign, *, highest: Cells | None = None) -> SequentialLook:
    """One look at a rate gate whose cells weigh differently (equally often asked, unequal weights).

    ``highest`` has the unknown replies counted as events (default: none unknown). The look at the cap uses the
    strat-CP bound; there is no curtailment.

    >>> cells = Cells.of([0, 0, 0], [200, 200, 200], probes=[0, 0, 1])
    >>> weighted_rate_look(cells, SequentialDesign(limit=0.02, cap=3000)).verdict
    'pass'
    """
    worst = cells if highest is None else highest
    log_pass = log_weighted_evidence(worst.hits, worst.trials, worst.weights, design.limit, "pass")
    log_fail = log_weighted_evidence(cells.hits, cells.trials, cells.weights, design.limit, "fail")
    cap = None
    if cells.trials.sum() >= design.cap:
        passes = suite_bound(worst, CAP_SHARE * design.alpha_pass, "high") < design.limit
        cap = passes, suite_bound(cells, CAP_SHARE * design.alpha_fail, "low") > design.limit
    return _look(log_pass, log_fail, design, cap, lost=False)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Reply pairs in which an event disappeared, nothing changed, or an event appeared."""

    down: int
    same: int
    up: int

    @property
    def total(self) -> int:
        """Number of pairs.

        >>> PairCounts(1, 7, 2).total
        10
        """
        return self.down + self.same + self.up


def pair_counts(before: Sequence[int] | IntArray, after: Sequence[int] | IntArray) -> tuple[PairCounts, PairCounts]:
    """Counts for the pass and for the fail evidence from paired outcomes: 0, 1 or ``UNKNOWN``, shape (N,) each.

    Against passing, unknown replies are events after and none before; against failing the reverse. Raises
    ValueError if lengths differ or another value comes up.

    >>> pair_counts([0, 0, 1, -1], [0, 1, 0, 0])
    (PairCounts(down=1, same=2, up=1), PairCounts(down=2, same=1, up=1))
    """
    first, second = np.asarray(before, dtype=np.int64), np.asarray(after, dtype=np.int64)
    if first.shape != second.shape or not (np.isin(first, (0, 1, UNKNOWN)) & np.isin(second, (0, 1, UNKNOWN))).all():
        raise ValueError("outcomes must be 0, 1 or UNKNOWN, in arrays of one length")
    against_pass = np.where(second == UNKNOWN, 1, second) - np.where(first == UNKNOWN, 0, first)
    against_fail = np.where(second == UNKNOWN, 0, second) - np.where(first == UNKNOWN, 1, first)
    return _tally(against_pass), _tally(against_fail)


def _tally(changes: IntArray) -> PairCounts:
    down, same, up = (int(count) for count in np.bincount(changes + 1, minlength=3))
    return PairCounts(down, same, up)


def difference_look(
    passing: PairCounts,
    failing: PairCounts,
    design: SequentialDesign,
    *,
    cap_upper: float | None = None,
    cap_lower: float | None = None,
) -> SequentialLook:
    """One look at a difference gate with equal weights; ``design.limit`` is the margin, ``cap`` counts pairs.

    ``passing`` and ``failing`` come from ``pair_counts``. At the cap give both MOVER bounds at a fifth of alpha,
    ``missing.worst_difference_bound(..., CAP_SHARE * alpha, ...)``. Raises ValueError at the cap without them, or
    if the two counts differ in their total.

    >>> clean, design = PairCounts(0, 528, 0), SequentialDesign(limit=0.01, cap=1760)
    >>> difference_look(clean, clean, design).verdict
    'pass'
    """
    check_margin(design.limit)
    if passing.total != failing.total:
        raise ValueError("both counts must be of the same pairs")
    log_pass = float(log_evidence(np.array([passing.down, passing.same, passing.up]), design.limit, "pass"))
    log_fail = float(log_evidence(np.array([failing.down, failing.same, failing.up]), design.limit, "fail"))
    cap = None
    if passing.total >= design.cap:
        if cap_upper is None or cap_lower is None:
            raise ValueError("the look at the cap needs both one-sided bounds")
        cap = cap_upper < design.limit, cap_lower > design.limit
    return _look(log_pass, log_fail, design, cap, lost=not can_still_pass(passing, design))


def can_still_pass(counts: PairCounts, design: SequentialDesign) -> bool:
    """Whether a difference gate could pass if an event disappeared in every pair still to come.

    >>> can_still_pass(PairCounts(0, 900, 100), SequentialDesign(limit=0.01, cap=1020))
    False
    """
    left = max(0, design.cap - counts.total)
    best = np.array([counts.down + left, counts.same, counts.up])
    if float(log_evidence(best, design.limit, "pass")) >= needed_log_evidence(design.alpha_pass):
        return True
    # A MOVER upper bound is never below its estimate.
    return (counts.up - counts.down - left) / (counts.total + left) < design.limit


# Limits at which evidence decides: bounds that hold at all rounds together, also where cells weigh differently.


def limit_at_evidence(
    log_evidence_at: Callable[[float], float], claim: Claim, target: float, low: float, high: float
) -> float:
    """Limit at which the log evidence reaches ``target``: an upper bound for "pass", a lower one for "fail".

    ``log_evidence_at`` maps a limit in (low, high) to log evidence, rising with it for "pass" and falling for
    "fail". Where it is never reached the result is ``high`` or ``low``. By bisection, to about 1e-15 of the range.

    >>> from math import log
    >>> from misalign_eval.stats.sequential import log_evidence
    >>> at = lambda limit: float(log_evidence(np.array([220, 0]), limit, "pass"))
    >>> round(limit_at_evidence(at, "pass", log(40), 0.0, 1.0), 7)
    0.0205062
    """
    for _ in range(50):
        middle = 0.5 * (low + high)
        reached = log_evidence_at(middle) >= target
        low, high = (low, middle) if reached == (claim == "pass") else (middle, high)
    return high if claim == "pass" else low


def log_weighted_difference_evidence(
    down: Numbers, same: Numbers, up: Numbers, weights: Numbers, margin: float, claim: Claim
) -> float:
    """Log of the difference evidence where cells weigh differently; one entry a cell, shape (C,), weights sum to 1.

    Every change counts ``weight / max(weights)`` times its distance from the margin, so that the mean over cells of a
    round's gains is that of the weighted change; the arithmetic-geometric mean inequality then bounds the product as
    with equal weights. With equal weights it is the log of ``difference_evidence``. Raises ValueError if lengths
    differ, weights are not positive or margin is outside (-1, 1).

    >>> equal = log_weighted_difference_evidence([0, 0], [220, 220], [0, 0], [0.5, 0.5], 0.01, "pass")
    >>> round(float(np.exp(equal)), 4)
    17.9191
    """
    fell, stayed, rose, shares = (frozen_array(values, "cells") for values in (down, same, up, weights))
    if not fell.shape == stayed.shape == rose.shape == shares.shape or not (shares > 0).all() or not -1 < margin < 1:
        raise ValueError("need one entry a cell, positive weights and a margin in (-1, 1)")
    sign, room = (1.0, 1.0 - margin) if claim == "pass" else (-1.0, margin + 1.0)
    stakes = np.multiply.outer(shares / shares.max(), np.array(DIFFERENCE_GRID) / room)
    logs = np.zeros(len(DIFFERENCE_GRID))
    for counts, value in ((fell, -1.0), (stayed, 0.0), (rose, 1.0)):
        factors = np.maximum(1 + sign * stakes * (margin - value), 0.0)
        logs += counts @ np.log(np.maximum(factors, 1e-300))
    return float(log_mean_wealth(logs))
