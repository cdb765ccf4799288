"""Bounds of a macro rate, and of its change, that hold for every mix of true rates, however unequal the cells are.

Pooled and stratified Clopper-Pearson bounds keep their error only where every cell has replies in proportion to its
weight: with two replies to one probe at 40 % and fifty to each of seven clean ones they pass at a limit of 5 % in 35 %
of all runs. So a gate uses the first of three rules that applies, chosen by numbers of replies and weights alone, never
by outcomes:

- ``equal``: replies in proportion to weights. Pooled Clopper-Pearson, exact (Hoeffding 1956).
- ``thinned``: nearly so. The first replies of each cell, by planned sample number, in exact proportion; then as above.
- ``any rates``: a Chernoff bound, maximised over all true rates of the cells with the macro rate under test.

For a stake ``a`` the chance that ``T = sum w x / n`` is at most ``t`` is at most the product of ``exp(a t)`` and, for
each reply, ``1 - p (1 - exp(-a w / n))`` (Markov). The worst rates at a given mean solve a concave problem with one
linear constraint, so its multiplier is found by bisection; every stake gives a valid bound, and the best is taken. A
cell of fewer replies has the larger factor (power means), so unknown replies may be left out of ``n`` without harm.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from misalign_eval.stats.cells import BoolArray, FloatArray, IntArray, Numbers, Side, frozen_array
from misalign_eval.stats.intervals import check_level

Rule = Literal["equal", "thinned", "any rates"]
Ends = tuple[float, float]

FEWEST_KEPT: Final = 0.75
"""Share of the replies that thinning must keep; below it the Chernoff bound is the tighter one."""
NUISANCE_ALPHA: Final = 0.005
"""Share of the error spent on a region for the rate before (Berger & Boos 1994)."""
APART_SHARE: Final = 0.3
"""Share of the error of a difference that is spent on bounds of either rate alone."""
_LARGEST_UNIT: Final = 10_000
_STAKES: Final = 36
_ZOOMS: Final = 4
_STEPS: Final = 48
_EXPONENT: Final = 600.0
ANYTHING: Final[Ends] = (0.0, 1.0)


def is_equal(trials: FloatArray, weights: FloatArray) -> bool:
    """Whether every cell has replies in proportion to its weight; shape (C,) each.

    >>> is_equal(np.array([20.0, 10.0, 10.0]), np.array([0.5, 0.25, 0.25]))
    True
    """
    total = trials.sum()
    return bool(total > 0 and np.allclose(weights, trials / total, rtol=1e-9, atol=0))


def proportional(trials: FloatArray, weights: FloatArray) -> IntArray | None:
    """Most replies a cell, whole, within ``trials`` and in exact proportion to ``weights``; shape (C,) each.

    None where there are none, or where they are less than three quarters of all replies.

    >>> proportional(np.array([10.0, 9.0, 12.0]), np.full(3, 1 / 3))
    array([9, 9, 9])
    >>> proportional(np.array([10.0, 2.0]), np.full(2, 0.5)) is None
    True
    """
    shares = weights / weights.min()
    for scale in range(1, _LARGEST_UNIT):
        unit = np.rint(shares * scale)
        if np.allclose(unit, shares * scale, rtol=1e-9, atol=1e-9) or unit.sum() > trials.sum():
            break
    times = math.floor(float((trials / unit).min()) + 1e-9)
    kept = (unit * times).astype(np.int64)
    return kept if times >= 1 and kept.sum() >= FEWEST_KEPT * trials.sum() else None


def needed_for_proportion(trials: FloatArray, weights: FloatArray) -> IntArray:
    """Fewest replies a cell, shape (C,), at which the cells would be nearly equal if only those with fewer got more.

    >>> needed_for_proportion(np.array([2.0, 50.0, 50.0, 50.0]), np.full(4, 0.25)).tolist()
    [35, 50, 50, 50]
    """
    low, high = 0.0, float((trials / weights).max())
    for _ in range(_STEPS):
        level = 0.5 * (low + high)
        is_enough = level >= FEWEST_KEPT * np.maximum(trials, level * weights).sum()
        low, high = (low, level) if is_enough else (level, high)
    needed: IntArray = np.maximum(trials, np.ceil(high * weights - 1e-6)).astype(np.int64)
    return needed


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """Cells of one run by kind: replies, weight, and how many cells are alike, shape (G,) each; no outcomes.

    ``silent`` is the weight of cells without any graded reply. Make one with ``of``.
    """

    trials: FloatArray
    weights: FloatArray
    copies: FloatArray
    silent: float = 0.0

    @classmethod
    def of(cls, trials: Numbers, weights: Numbers) -> "Arm":
        """Group cells by replies and weight. Raises ValueError on other lengths, or where no cell has a reply.

        >>> Arm.of([50, 2, 50], [1 / 3] * 3).copies.tolist()
        [1.0, 2.0]
        """
        replies, shares = frozen_array(trials, "trials"), frozen_array(weights, "weights")
        if replies.shape != shares.shape or not (replies >= 0).all() or not (replies > 0).any():
            raise ValueError("need replies and a weight for each cell, and at least one reply")
        asked = replies > 0
        kinds, copies = np.unique(np.column_stack([replies, shares])[asked], axis=0, return_counts=True)
        return cls(kinds[:, 0], kinds[:, 1], copies.astype(np.float64), float(shares[~asked].sum()))


@dataclass(frozen=True, slots=True, eq=False)
class _Worst:
    """The worst rates of one arm at each stake, along the multiplier of the constraint; arrays of (stakes, kinds).

    ``falling`` bounds low outcomes with factors ``1 - p (1 - exp(-e))``, else high ones with ``1 + p (exp(e) - 1)``.
    ``within`` limits the macro rate.
    """

    arm: Arm
    falling: bool
    within: Ends
    exponents: FloatArray  # stake times weight over replies
    tilts: FloatArray  # exp(-e), or exp(e)
    steps: FloatArray  # their distance from 1
    pulls: FloatArray  # logs of the multipliers at which the rates leave 0, or 1

    @classmethod
    def of(cls, arm: Arm, stakes: FloatArray, within: Ends, *, falling: bool) -> "_Worst":
        exponents = np.minimum(np.outer(stakes, arm.weights / arm.trials), _EXPONENT)
        signed = -exponents if falling else exponents
        steps = np.abs(np.expm1(signed))
        return cls(arm, falling, within, exponents, np.exp(signed), steps, np.log(arm.trials / arm.weights * steps))

    @property
    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Logs of the multipliers between which the rates move, shape (stakes,)."""
        low, high = (0, self.exponents) if self.falling else (-self.exponents, 0)
        return (self.pulls + low).min(axis=1), (self.pulls + high).max(axis=1)

    def free(self, multiplier: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Macro rate and log of the product at logs of multipliers, shape (stakes,) each, whatever ``within`` says."""
        pull = np.exp(self.pulls - multiplier[:, None])
        rates = np.clip(((1 - pull) if self.falling else (pull - 1)) / self.steps, 0, 1)
        # As 1 + p (exp(e) - 1) a rate of 1 would lose all digits.
        logs = np.log((1 - rates) + rates * self.tilts)
        level = rates @ (self.arm.copies * self.arm.weights)
        return level + (self.arm.silent if self.falling else 0.0), logs @ (self.arm.copies * self.arm.trials)

    def path(self) -> "_Path":
        """The same with the macro rate kept within its limits."""
        products = [self._product_at(end) if 0 < end < 1 else None for end in self.within]
        return _Path(self, (products[0], products[1]))

    def _product_at(self, level: float) -> FloatArray:
        def reached(middle: FloatArray) -> BoolArray:
            found = self.free(middle)[0]
            return found >= level if self.falling else found <= level

        return self.free(_first(reached, *self.ends))[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    worst: _Worst
    products: tuple[FloatArray | None, FloatArray | None]  # at the lower and the upper limit of the macro rate

    def at(self, multiplier: FloatArray) -> tuple[FloatArray, FloatArray]:
        level, product = self.worst.free(multiplier)
        for limit, known, beyond in zip(self.worst.within, self.products, (np.less, np.greater), strict=True):
            if known is not None:
                outside = beyond(level, limit)
                level, product = np.where(outside, limit, level), np.where(outside, known, product)
        return level, product


def _first(holds: Callable[[FloatArray], BoolArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Least numbers at which ``holds``, which is false below and true above them, by bisection; else the high ends."""
    low, high = low - 1e-9, high + 1e-9
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        is_true = holds(middle)
        low, high = np.where(is_true, low, middle), np.where(is_true, middle, high)
    return high


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Macro rate of ``falling`` less that of ``rising``: how surprising is an outcome so low? Either arm may be absent.

    The rate of a run is its falling arm alone; that of a run with the sign turned is its rising arm alone. ``within``
    limit the macro rates of the two arms.
    """

    falling: Arm | None
    rising: Arm | None
    within: tuple[Ends, Ends] = (ANYTHING, ANYTHING)

    def upper(self, outcome: float, alpha: float) -> float:
        """Largest contrast at which an outcome as low as this has a bounded chance of ``alpha`` at least, in [-1, 1].

        Raises ValueError if alpha is outside (0, 1).
        """
        check_level(alpha)

        def bounds(stakes: FloatArray) -> FloatArray:
            target = math.log(alpha) - stakes * outcome
            at, ends = self._along(stakes)
            found = _first(lambda middle: at(middle)[1] <= target, *ends)
            contrast, product = at(found)
            bound: FloatArray = np.where(product <= target + 1e-9, contrast, 1.0)
            return bound

        return min(1.0, max(-1.0, self._least(bounds)))

    def chance(self, outcome: float, contrast: float) -> float:
        """Bound of the chance of an outcome as low as this where the true contrast is the given one, or higher."""

        def logs(stakes: FloatArray) -> FloatArray:
            at, ends = self._along(stakes)
            product = at(_first(lambda middle: at(middle)[0] >= contrast, *ends))[1]
            return stakes * outcome + product

        return min(1.0, math.exp(self._least(logs)))

    def critical(self, contrast: float, alpha: float) -> float:
        """Highest outcome whose chance is bounded by ``alpha`` where the true contrast is the given one.

        Raises ValueError if alpha is outside (0, 1).
        """
        check_level(alpha)

        def outcomes(stakes: FloatArray) -> FloatArray:
            at, ends = self._along(stakes)
            product = at(_first(lambda middle: at(middle)[0] >= contrast, *ends))[1]
            return (product - math.log(alpha)) / stakes

        return -self._least(outcomes)

    def _along(
        self, stakes: FloatArray
    ) -> tuple[Callable[[FloatArray], tuple[FloatArray, FloatArray]], tuple[FloatArray, FloatArray]]:
        """Contrast and log of the product as functions of the log multiplier, and where that begins and ends."""
        sides = [
            (sign, _Worst.of(arm, stakes, within, falling=sign > 0))
            for sign, arm, within in zip((1, -1), (self.falling, self.rising), self.within, strict=True)
            if arm is not None
        ]
        paths = [(sign, worst.path()) for sign, worst in sides]

        def at(multiplier: FloatArray) -> tuple[FloatArray, FloatArray]:
            found = [(sign, *path.at(multiplier)) for sign, path in paths]
            contrast: FloatArray = np.sum([sign * level for sign, level, _ in found], axis=0)
            product: FloatArray = np.sum([product for _, _, product in found], axis=0)
            return contrast, product

        ends = [worst.ends for _, worst in sides]
        return at, (np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0))

    def _least(self, values: Callable[[FloatArray], FloatArray]) -> float:
        """Smallest value over all stakes; quasi-convex in them, so a grid is narrowed around its best."""
        scales = np.concatenate([arm.weights / arm.trials for arm in (self.falling, self.rising) if arm is not None])
        most = 40 / scales.min()
        if self.rising is not None:
            most = min(most, _EXPONENT / (self.rising.weights / self.rising.trials).max())
        logs = np.linspace(math.log(1e-4 / scales.max()), math.log(most), _STAKES)
        for _ in range(_ZOOMS):
            found = values(np.exp(logs))
            place = int(np.argmin(found))
            best = float(found[place])
            logs = np.linspace(logs[max(place - 1, 0)], logs[min(place + 1, logs.size - 1)], _STAKES // 3)
        return min(best, float(values(np.exp(logs)).min()))


def any_rates_bound(outcome: float, arm: Arm, alpha: float, side: Side) -> float:
    """One-sided bound of a macro rate, a fraction, that holds for all true rates; ``outcome`` is the observed rate.

    Raises ValueError if alpha is outside (0, 1).

    >>> arm = Arm.of([8] * 10 + [10] * 14, [1 / 24] * 24)
    >>> [round(any_rates_bound(3 / 8 / 24, arm, 0.05, side), 6) for side in ("low", "high")]
    [0.002522, 0.047186]
    """
    if side == "high":
        return max(Contrast(arm, None).upper(outcome, alpha), 0.0)
    return max(-Contrast(None, arm).upper(-outcome, alpha), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Lowest and highest macro rate that the outcomes of one arm allow (fractions); equal where nothing is unknown."""

    arm: Arm
    low: float
    high: float


def any_rates_difference_bound(before: Observed, after: Observed, alpha: float, side: Side) -> float:
    """One-sided bound of the change of a macro rate, in [-1, 1], that holds for all true rates of both runs.

    The tighter of two bounds that share the error (union bound): the difference of the bounds of both rates, which is
    better where events are few, and ``joint_difference_bound``. Raises ValueError if alpha is outside (0, 1).

    >>> run = Observed(Arm.of([400], [1.0]), 0.0, 0.0)
    >>> round(any_rates_difference_bound(run, run, 0.05, "high"), 4)
    0.011
    """
    first, second = (share * APART_SHARE * alpha for share in (0.2, 0.8))
    joint = joint_difference_bound(before, after, (1 - APART_SHARE) * alpha, side)
    if side == "high":
        least = any_rates_bound(before.low, before.arm, first, "low")
        return min(joint, any_rates_bound(after.high, after.arm, second, "high") - least)
    most = any_rates_bound(before.high, before.arm, second, "high")
    return max(joint, any_rates_bound(after.low, after.arm, first, "low") - most)


def joint_difference_bound(before: Observed, after: Observed, alpha: float, side: Side) -> float:
    """One-sided Chernoff bound of the change, in [-1, 1], from the product over both runs.

    The rate before is kept within its own two-sided bounds at ``NUISANCE_ALPHA`` (at most a tenth of ``alpha``), which
    is taken off the error (Berger & Boos 1994). Raises ValueError if alpha is outside (0, 1).

    >>> run = Observed(Arm.of([400], [1.0]), 0.0, 0.0)
    >>> round(joint_difference_bound(run, run, 0.05, "high"), 4)
    0.0287
    """
    nuisance = min(NUISANCE_ALPHA, alpha / 10)
    region = (
        any_rates_bound(before.low, before.arm, nuisance / 2, "low"),
        any_rates_bound(before.high, before.arm, nuisance / 2, "high"),
    )
    if side == "high":
        contrast = Contrast(after.arm, before.arm, (ANYTHING, region))
        return contrast.upper(after.high - before.low, alpha - nuisance)
    contrast = Contrast(before.arm, after.arm, (region, ANYTHING))
    return -contrast.upper(before.high - after.low, alpha - nuisance)
