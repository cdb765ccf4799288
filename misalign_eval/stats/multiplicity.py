"""Many comparisons: Holm for the few that were declared, Benjamini-Hochberg for screening all probes."""

import math

import numpy as np

from misalign_eval.stats.cells import FloatArray, Numbers, frozen_array
from misalign_eval.stats.intervals import check_level


def _p_values(p_values: Numbers) -> FloatArray:
    values = frozen_array(p_values, "p-values")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    return values


def holm(p_values: Numbers) -> FloatArray:
    """Holm-adjusted p-values in the given order, shape (m,): family-wise error for declared comparisons.

    Raises ValueError if empty or outside [0, 1]. Holm 1979.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    values = _p_values(p_values)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(values.size, 0, -1)
    return _restored(np.maximum.accumulate(scaled), order)


def benjamini_hochberg(p_values: Numbers) -> FloatArray:
    """Benjamini-Hochberg adjusted p-values in the given order, shape (m,): false discovery rate of a screen.

    Raises ValueError if empty or outside [0, 1]. Benjamini & Hochberg 1995.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    values = _p_values(p_values)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    return _restored(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _restored(adjusted: FloatArray, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FloatArray:
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def bonferroni_level(level: float, comparisons: int) -> float:
    """Level of each of ``comparisons`` intervals so that all hold together with chance ``level``.

    Raises ValueError if level is outside (0, 1) or comparisons < 1.

    >>> round(bonferroni_level(0.95, 5), 4)
    0.99
    """
    check_level(level)
    if comparisons < 1:
        raise ValueError(f"need at least one comparison, got {comparisons}")
    return 1 - (1 - level) / comparisons


def sidak_level(level: float, points: int) -> float:
    """Level of each of ``points`` independent intervals so that all hold together with chance ``level``.

    For bands over checkpoints. Raises ValueError if level is outside (0, 1) or points < 1. Sidak 1967.

    >>> round(sidak_level(0.95, 5), 5)
    0.98979
    """
    check_level(level)
    if points < 1:
        raise ValueError(f"need at least one point, got {points}")
    return math.pow(level, 1 / points)
