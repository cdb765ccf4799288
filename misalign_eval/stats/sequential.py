"""May sampling stop? One look at a gate that is checked at every complete round.

A round is one graded reply for every cell (for a comparison: one of each run, paired by sample number), formed
by number and never by arrival: short replies and refusals arrive first. Four fifths of alpha are spent on the
e-process, one fifth on a single exact look at the declared cap; together they err with at most alpha (union
bound).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from misalign_eval.stats.cells import BoolArray, Cells, FloatArray, IntArray
from misalign_eval.stats.evalues import log_evidence, log_weighted_evidence
from misalign_eval.stats.gates import ALPHA, check_limit, check_margin
from misalign_eval.stats.rates import suite_bound
from misalign_eval.stats.special import binomial_cdf, binomial_tail

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
class Look:
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
) -> Look:
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
    return Look(verdict, reason, log_pass, log_fail, *needed)


def rate_look(hits: int, trials: int, design: SequentialDesign, *, unknown: int = 0) -> Look:
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


def weighted_rate_look(cells: Cells, design: SequentialDesign, *, highest: Cells | None = None) -> Look:
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
) -> Look:
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
