"""Limits at which evidence decides: bounds that hold at all rounds together, also where cells weigh differently."""

from collections.abc import Callable

import numpy as np

from misalign_eval.stats.cells import Numbers, frozen_array
from misalign_eval.stats.evalues import DIFFERENCE_GRID, Claim, log_mean_wealth


def evidence_edge(
    log_evidence_at: Callable[[float], float], claim: Claim, target: float, low: float, high: float
) -> float:
    """Limit at which the log evidence reaches ``target``: an upper bound for "pass", a lower one for "fail".

    ``log_evidence_at`` maps a limit in (low, high) to log evidence, rising with it for "pass" and falling for
    "fail". Where it is never reached the result is ``high`` or ``low``. By bisection, to about 1e-15 of the range.

    >>> from math import log
    >>> from misalign_eval.stats.evalues import log_evidence
    >>> at = lambda limit: float(log_evidence(np.array([220, 0]), limit, "pass"))
    >>> round(evidence_edge(at, "pass", log(40), 0.0, 1.0), 7)
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
