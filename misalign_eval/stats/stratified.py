"""Second opinions on a comparison: Miettinen-Nurminen score interval and Mantel-Haenszel odds ratio.

The score interval is a valid alternative to MOVER; the odds ratio is what other fields report. Neither is the
headline.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.cells import Cells, FloatArray, Numbers, check_paired, frozen_array
from misalign_eval.stats.difference import Difference
from misalign_eval.stats.intervals import Interval, check_level
from misalign_eval.stats.special import chi_square_tail, normal_quantile

_EDGE: Final = 1 - 1e-12


def _constrained_rate(before: Cells, after: Cells, change: float) -> FloatArray:
    """Likeliest rate before, per cell, given that the rate after is higher by ``change``.

    The root of the cubic likelihood equation in closed form (Miettinen & Nurminen 1985, appendix).
    """
    total, events = before.trials + after.trials, before.hits + after.hits
    square = ((after.trials + 2 * before.trials) * change - total - events) / total
    linear = ((before.trials * change - total - 2 * before.hits) * change + events) / total
    constant = before.hits * change * (1 - change) / total
    q = square**3 / 27 - square * linear / 6 + constant / 2
    p = np.copysign(np.sqrt(np.maximum(square**2 / 9 - linear / 3, 0)), q)
    cosine = np.clip(q / np.where(p == 0, 1.0, p**3), -1, 1)
    root = 2 * p * np.cos((np.pi + np.arccos(cosine)) / 3) - square / 3
    rate: FloatArray = np.clip(root, max(0.0, -change), min(1.0, 1 - change))
    return rate


def score_statistic(before: Cells, after: Cells, change: float = 0.0) -> float:
    """Stratified score statistic z against a true macro difference of ``change`` (in (-1, 1)).

    Positive where the observed difference is larger. Miettinen & Nurminen 1985, with their N / (N - 1). Raises
    ValueError if the runs differ in cells or change is outside (-1, 1).

    >>> round(score_statistic(Cells.of([5], [20]), Cells.of([10], [20])), 4)
    1.6125
    """
    check_paired(before, after)
    if not -1 < change < 1:
        raise ValueError(f"a difference of rates lies in (-1, 1), got {change}")
    low = _constrained_rate(before, after, change)
    high = np.clip(low + change, 0, 1)
    total = before.trials + after.trials
    spread = (low * (1 - low) / before.trials + high * (1 - high) / after.trials) * total / (total - 1)
    gap = after.rate - before.rate - change
    variance = float((before.weights**2 * spread).sum())
    if variance > 0:
        return gap / math.sqrt(variance)
    return math.copysign(math.inf, gap) if gap else 0.0


def _crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0; the nearer end where it does not."""
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
        if high - low < 1e-13:
            break
    return 0.5 * (low + high)


def miettinen_nurminen(before: Cells, after: Cells, level: float = 0.95) -> Difference:
    """Macro difference with its (stratified) Miettinen-Nurminen score interval, in [-1, 1].

    Cells carry the weights; one cell gives the plain interval. Raises ValueError if the runs differ in cells or
    level is outside (0, 1). Miettinen & Nurminen 1985.

    >>> difference = miettinen_nurminen(Cells.of([48], [80]), Cells.of([56], [70]))
    >>> round(difference.interval.low, 7), round(difference.interval.high, 7)
    (0.0528297, 0.3381729)
    """
    check_level(level)
    z = normal_quantile((1 + level) / 2)
    estimate = after.rate - before.rate
    inside = min(max(estimate, -_EDGE), _EDGE)
    low = _crossing(lambda change: score_statistic(before, after, change) - z, -_EDGE, inside)
    high = _crossing(lambda change: score_statistic(before, after, change) + z, inside, _EDGE)
    return Difference(estimate, Interval(_snapped(low), _snapped(high)))


def _snapped(end: float) -> float:
    return math.copysign(1.0, end) if abs(end) > 1 - 1e-9 else end


@dataclass(frozen=True, slots=True)
class MantelHaenszel:
    """Common odds ratio of after against before, with its interval, and the Cochran-Mantel-Haenszel test.

    Odds ratio and interval are None where they are undefined (no discordant events). ``statistic`` is the
    chi-square on one degree of freedom, with continuity correction where asked for.
    """

    odds_ratio: float | None
    interval: Interval | None
    statistic: float
    p_value: float


def mantel_haenszel(
    before: tuple[Numbers, Numbers],
    after: tuple[Numbers, Numbers],
    level: float = 0.95,
    *,
    continuity: bool = True,
) -> MantelHaenszel:
    """Common odds ratio over strata; each run is (hits, trials), shape (C,) each.

    Mantel & Haenszel 1959; interval by Robins, Breslow & Greenland 1986. Raises ValueError if lengths differ, hits
    leave 0..trials, a stratum is empty or level is outside (0, 1).

    >>> rabbits = mantel_haenszel(([0, 0, 2, 6, 5], [5, 6, 6, 6, 5]), ([0, 3, 6, 5, 2], [6, 6, 6, 6, 2]))
    >>> rabbits.odds_ratio, round(rabbits.statistic, 6)
    (7.0, 3.928571)
    """
    check_level(level)
    (no_after, yes_after), (no_before, yes_before) = _table(after), _table(before)
    if yes_after.shape != yes_before.shape:
        raise ValueError(f"{yes_before.size} strata before but {yes_after.size} after")
    total = no_after + yes_after + no_before + yes_before
    up, down = yes_after * no_before / total, yes_before * no_after / total
    statistic = _cmh(yes_after, yes_after + no_after, yes_after + yes_before, total, continuity=continuity)
    ratio = float(up.sum() / down.sum()) if up.sum() > 0 and down.sum() > 0 else None
    interval = None
    if ratio is not None:
        agreeing, crossing = (yes_after + no_before) / total, (yes_before + no_after) / total
        error = math.sqrt(_robins_variance(up, down, agreeing, crossing))
        half = normal_quantile((1 + level) / 2) * error
        interval = Interval(ratio * math.exp(-half), ratio * math.exp(half))
    return MantelHaenszel(ratio, interval, statistic, chi_square_tail(statistic))


def _table(run: tuple[Numbers, Numbers]) -> tuple[FloatArray, FloatArray]:
    hits, trials = frozen_array(run[0], "hits"), frozen_array(run[1], "trials")
    if hits.shape != trials.shape or not ((trials >= 1) & (hits >= 0) & (hits <= trials)).all():
        raise ValueError("need 0 <= hits <= trials and trials >= 1 in every stratum")
    return trials - hits, hits


def _cmh(hits: FloatArray, trials: FloatArray, events: FloatArray, total: FloatArray, *, continuity: bool) -> float:
    expected = trials * events / total
    variance = float((expected * (total - trials) * (total - events) / (total * (total - 1))).sum())
    gap = abs(float((hits - expected).sum()))
    if continuity:
        gap = max(0.0, gap - 0.5)
    return gap**2 / variance if variance > 0 else 0.0


def _robins_variance(up: FloatArray, down: FloatArray, agreeing: FloatArray, crossing: FloatArray) -> float:
    """Variance of the log odds ratio (Robins, Breslow & Greenland 1986)."""
    first = (agreeing * up).sum() / (2 * up.sum() ** 2)
    second = (agreeing * down + crossing * up).sum() / (2 * up.sum() * down.sum())
    third = (crossing * down).sum() / (2 * down.sum() ** 2)
    return float(first + second + third)
