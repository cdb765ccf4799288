"""Binomial intervals. Counts may be real numbers, so that an effective sample size can be used."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.special import beta_quantile, normal_quantile

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
