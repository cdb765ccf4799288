"""What can several training runs say? The run is the unit: replies of one training run share its luck."""

import math
from dataclasses import dataclass
from typing import Final

from misalign_eval.stats.cells import FloatArray, Numbers, frozen_array
from misalign_eval.stats.intervals import Interval, check_level
from misalign_eval.stats.special import t_quantile, t_tail

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
