"""Unknown replies: ungradable or missing ones may have been anything, so bounds must survive the worst.

Manski 1989 bounds: with ``x`` events, ``n`` graded and ``u`` unknown replies the share of events among all lies
between ``x / (n + u)`` and ``(x + u) / (n + u)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from misalign_eval.stats.cells import (
    Cells,
    FloatArray,
    IntArray,
    Numbers,
    Side,
    frozen_array,
    macro_weights,
    probe_codes,
)
from misalign_eval.stats.difference import EffectiveRate, effective_rate, mover_difference
from misalign_eval.stats.intervals import Interval, check_level, clopper_pearson_high, clopper_pearson_low
from misalign_eval.stats.unequal_cells import (
    Arm,
    Observed,
    Rule,
    any_rates_bound,
    any_rates_difference_bound,
    is_equal,
    proportional,
)

MOST_UNKNOWN: Final = 0.05
"""Share of unknown replies above which no gate passes."""


@dataclass(frozen=True, slots=True, eq=False)
class PartialCells:
    """Events, graded and unknown replies, one entry a cell (shape (C,)); weights sum to 1.

    Unlike ``Cells`` a cell may have no graded reply, as long as it has an unknown one. ``in_order`` has the graded
    replies of each cell by planned sample number, 1 for an event and 0 for none; None where that is not known, so that
    no part of them can be taken. Make one with ``of``.
    """

    hits: FloatArray
    graded: FloatArray
    unknown: FloatArray
    weights: FloatArray
    probes: IntArray
    in_order: tuple[Sequence[int], ...] | None = None

    @classmethod
    def of(
        cls,
        hits: Numbers,
        graded: Numbers,
        unknown: Numbers,
        probes: Sequence[int] | IntArray | None = None,
        probe_weights: Numbers | None = None,
        *,
        in_order: Sequence[Sequence[int]] | None = None,
    ) -> Self:
        """Check counts and work out weights, as ``Cells.of`` does.

        Raises ValueError if lengths differ, a cell has no reply at all, or hits leave 0..graded.

        >>> PartialCells.of([1, 0], [9, 10], [1, 0]).unknown_share
        0.05
        """
        counted, known = frozen_array(hits, "hits"), frozen_array(graded, "graded")
        open_ = frozen_array(unknown, "unknown")
        if not counted.shape == known.shape == open_.shape:
            raise ValueError("hits, graded and unknown must have one entry a cell each")
        if not ((counted >= 0) & (counted <= known) & (open_ >= 0)).all():
            raise ValueError("need 0 <= hits <= graded and unknown >= 0 in every cell")
        if not (known + open_ >= 1).all():
            raise ValueError(f"cell {int(np.argmin(known + open_))} has neither a graded nor an unknown reply")
        codes = probe_codes(probes, counted.size)
        if in_order is not None and len(in_order) != counted.size:
            raise ValueError("in_order must have one entry a cell")
        ordered = None if in_order is None else tuple(in_order)
        return cls(counted, known, open_, macro_weights(codes, probe_weights), codes, ordered)

    @classmethod
    def complete(cls, cells: Cells) -> Self:
        """The same counts with nothing unknown.

        >>> PartialCells.complete(Cells.of([1], [9])).unknown_count
        0
        """
        return cls(cells.hits, cells.trials, np.zeros_like(cells.hits), cells.weights, cells.probes)

    @property
    def unknown_count(self) -> int:
        """Number of unknown replies.

        >>> PartialCells.of([1, 0], [9, 8], [1, 2]).unknown_count
        3
        """
        return int(self.unknown.sum())

    @property
    def unknown_share(self) -> float:
        """Unknown over all replies, a fraction.

        >>> PartialCells.of([0], [3], [1]).unknown_share
        0.25
        """
        return float(self.unknown.sum() / (self.graded.sum() + self.unknown.sum()))

    @property
    def can_pass(self) -> bool:
        """False where more than 5 % are unknown or a cell has no graded reply: such a run never passes.

        >>> PartialCells.of([0, 0], [99, 0], [0, 1]).can_pass
        False
        """
        return self.unknown_share <= MOST_UNKNOWN and bool((self.graded >= 1).all())

    @property
    def observed(self) -> Cells:
        """Graded replies alone, of the cells that have any; the paraphrases left share their probe's weight.

        Raises ValueError where nothing was graded.

        >>> PartialCells.of([1, 0], [10, 0], [0, 1]).observed.rate
        0.1
        """
        kept = self.graded >= 1
        if not kept.any():
            raise ValueError("no cell has a graded reply")
        names, codes = np.unique(self.probes[kept], return_inverse=True)
        shares = np.bincount(self.probes, self.weights)[names]
        return Cells(self.hits[kept], self.graded[kept], macro_weights(codes, shares), codes)

    @property
    def lowest(self) -> Cells:
        """All replies, with every unknown one counted as no event.

        >>> PartialCells.of([1], [9], [1]).lowest.rate
        0.1
        """
        return Cells(self.hits, self.graded + self.unknown, self.weights, self.probes)

    @property
    def highest(self) -> Cells:
        """All replies, with every unknown one counted as an event.

        >>> PartialCells.of([1], [9], [1]).highest.rate
        0.2
        """
        return Cells(self.hits + self.unknown, self.graded + self.unknown, self.weights, self.probes)

    def select(self, probe: int) -> "PartialCells":
        """The cells of one probe, with weights re-normalised. Raises ValueError if there is no such probe.

        >>> PartialCells.of([1, 0], [9, 8], [1, 2]).select(1).unknown_count
        2
        """
        chosen = self.probes == probe
        if not chosen.any():
            raise ValueError(f"there is no probe {probe}")
        weights = self.weights[chosen] / self.weights[chosen].sum()
        none = np.zeros(weights.size, dtype=np.int64)
        ordered = None
        if self.in_order is not None:
            ordered = tuple(self.in_order[cell] for cell in np.flatnonzero(chosen))
        return PartialCells(self.hits[chosen], self.graded[chosen], self.unknown[chosen], weights, none, ordered)

    def first(self, kept: IntArray) -> "PartialCells":
        """Only the first ``kept`` graded replies of each cell, shape (C,), and all unknown ones.

        Raises ValueError where their order is not known.

        >>> PartialCells.of([2], [3], [0], in_order=[[0, 1, 1]]).first(np.array([2])).hits.tolist()
        [1.0]
        """
        if self.in_order is None:
            raise ValueError("the order of the replies is not known")
        cells = zip(self.in_order, kept, self.hits, self.graded, strict=True)
        hits = [total if number >= graded else sum(row[:number]) for row, number, total, graded in cells]
        return replace(self, hits=np.array(hits, dtype=np.float64), graded=kept.astype(np.float64), in_order=None)


def manski_bounds(cells: PartialCells) -> Interval:
    """Lowest and highest macro rate that the unknown replies leave possible (fractions); no sampling error.

    >>> manski_bounds(PartialCells.of([1, 0], [9, 10], [1, 0]))
    Interval(low=0.05, high=0.1)
    """
    return Interval(cells.lowest.rate, cells.highest.rate)


def manski_difference(before: PartialCells, after: PartialCells) -> Interval:
    """Smallest and largest change of the macro rate that the unknown replies leave possible, in [-1, 1].

    >>> run = PartialCells.of([1, 0], [9, 10], [1, 0])
    >>> manski_difference(run, run)
    Interval(low=-0.05, high=0.05)
    """
    first, second = manski_bounds(before), manski_bounds(after)
    return Interval(second.low - first.high, second.high - first.low)


def _graded_trials(cells: PartialCells) -> float:
    """Effective number of graded replies without credit for stratification (design effect 1).

    Unknown replies carry no information, so they never add to it; a cell that has nothing else stands with those.
    """
    informative = np.where(cells.graded >= 1, cells.graded, cells.unknown)
    return float(1 / (cells.weights**2 / informative).sum())


def _worst_rate(cells: PartialCells, side: Side) -> EffectiveRate:
    """The extreme rate with the effective replies behind it."""
    if not cells.unknown_count:
        return effective_rate(cells.observed)
    extreme = cells.highest if side == "high" else cells.lowest
    return EffectiveRate(min(extreme.rate, 1.0), _graded_trials(cells))


def ruled(cells: PartialCells) -> tuple[Rule, PartialCells]:
    """By which rule the cells are bounded, and the replies that it takes; a matter of numbers and weights alone.

    >>> ruled(PartialCells.of([0, 0], [10, 9], [0, 0]))[0]
    'any rates'
    >>> rule, taken = ruled(PartialCells.of([0, 1], [10, 9], [0, 0], in_order=[[0] * 10, [0] * 8 + [1]]))
    >>> rule, taken.graded.tolist()
    ('thinned', [9.0, 9.0])
    """
    if is_equal(cells.graded, cells.weights):
        return "equal", cells
    kept = None if cells.in_order is None else proportional(cells.graded, cells.weights)
    return ("any rates", cells) if kept is None else ("thinned", cells.first(kept))


def ruled_pair(before: PartialCells, after: PartialCells) -> Rule:
    """By which rule a change is bounded: by the weakest that either run needs.

    >>> run = PartialCells.of([0, 0], [10, 10], [0, 0])
    >>> ruled_pair(run, run)
    'equal'
    """
    found = {ruled(before)[0], ruled(after)[0]}
    return next(rule for rule in ("any rates", "thinned", "equal") if rule in found)


def worst_bound(cells: PartialCells, alpha: float, side: Side) -> float:
    """One-sided SUITE bound (a fraction) with every unknown reply counted against the claim, by the rule of ``ruled``.

    Upper bounds count unknown replies as events, lower bounds as none; the sample is that of the graded replies.
    Counting unknown replies as sample could narrow the bound, so that a further unknown reply turned "inconclusive"
    into "pass". Raises ValueError if alpha is outside (0, 1).

    >>> run = PartialCells.of([0, 0], [100, 99], [0, 1])
    >>> round(worst_bound(run, 0.05, "high"), 4), worst_bound(run, 0.05, "low")
    (0.0285, 0.0)
    """
    check_level(alpha)
    if not (cells.graded > 0).any():
        return 1.0 if side == "high" else 0.0
    rule, taken = ruled(cells)
    rate = (taken.highest if side == "high" else taken.lowest).rate
    if rule == "any rates":
        return any_rates_bound(rate, Arm.of(taken.graded, taken.weights), alpha, side)
    bound = clopper_pearson_high if side == "high" else clopper_pearson_low
    trials = float(taken.graded.sum())
    return bound(float(taken.hits.sum()) if not cells.unknown_count else min(rate, 1.0) * trials, trials, alpha)


def worst_difference_bound(before: PartialCells, after: PartialCells, alpha: float, side: Side) -> float:
    """One-sided bound of the change, in [-1, 1], with unknown replies of both runs counted against the claim.

    MOVER where both runs are (nearly) equal by the rule of ``ruled``, which is approximate, else the Chernoff bound of
    the difference. For the upper bound unknown replies are events after and none before; for the lower bound the
    reverse. Raises ValueError if alpha is not in (0, 0.5).

    >>> clean = PartialCells.of([0], [400], [0])
    >>> round(worst_difference_bound(clean, clean, 0.05, "high"), 4)
    0.0067
    """
    if not ((before.graded > 0).any() and (after.graded > 0).any()):
        return 1.0 if side == "high" else -1.0
    if ruled_pair(before, after) == "any rates":
        return any_rates_difference_bound(_extremes(before), _extremes(after), alpha, side)
    opposite: Side = "low" if side == "high" else "high"
    first, second = ruled(before)[1], ruled(after)[1]
    change = mover_difference(_worst_rate(first, opposite), _worst_rate(second, side), 1 - 2 * alpha)
    return change.interval.high if side == "high" else change.interval.low


def _extremes(cells: PartialCells) -> Observed:
    return Observed(Arm.of(cells.graded, cells.weights), min(cells.lowest.rate, 1.0), min(cells.highest.rate, 1.0))
