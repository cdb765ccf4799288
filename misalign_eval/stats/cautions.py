"""Conditions of the warnings W1 to W10 that depend on numbers alone, as yes or no.

W9 (uncalibrated judge) and W11 (repeated gate) depend on records and are not here.
"""

import math
from typing import Final, Literal

import numpy as np

from misalign_eval.stats.cells import Cells, FloatArray, Numbers, frozen_array
from misalign_eval.stats.general import FEWEST_PROBES
from misalign_eval.stats.unknown_replies import PartialCells

CautionId = Literal["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10", "W11"]

FEWEST_EVENTS: Final = 5
FEWEST_CHANGED: Final = 6
FEWEST_EFFECTIVE_EVENTS: Final = 10.0


def has_few_events(cells: Cells) -> bool:
    """W1: fewer than 5 events, so rate and ratio are unstable.

    >>> has_few_events(Cells.of([4, 0], [10, 10]))
    True
    """
    return float(cells.hits.sum()) < FEWEST_EVENTS


def has_single_replies(cells: Cells) -> bool:
    """W2: one reply to every prompt, so differences between probes cannot sharpen the interval.

    >>> has_single_replies(Cells.of([1, 0], [1, 1]))
    True
    """
    return bool((cells.trials <= 1).all())


def is_clustered_unreliable(probes: int, rate: float) -> bool:
    """W3: a clustered or normal interval with fewer than 200 probes or a rate under 5 % (a fraction).

    >>> is_clustered_unreliable(500, 0.2), is_clustered_unreliable(44, 0.2)
    (False, True)
    """
    return probes < 200 or rate < 0.05


def top_share(hits: Numbers) -> float:
    """Share of all events in the tenth of the probes (at least one) that has most; ``hits`` by probe, shape (Q,).

    0 without events. Raises ValueError if empty or negative.

    >>> top_share([8, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    0.8
    """
    counts = _events(hits)
    top = max(1, math.ceil(counts.size / 10 - 1e-9))
    return float(np.sort(counts)[-top:].sum() / counts.sum()) if counts.any() else 0.0


def effective_events(hits: Numbers) -> float:
    """Kish's number of equally struck probes, (sum x)^2 / sum x^2, from events by probe, shape (Q,); 0 without any.

    Kish 1965. Raises ValueError if empty or negative.

    >>> effective_events([5, 5, 0])
    2.0
    """
    counts = _events(hits)
    return float(counts.sum() ** 2 / (counts**2).sum()) if counts.any() else 0.0


def _events(hits: Numbers) -> FloatArray:
    counts = frozen_array(hits, "hits")
    if (counts < 0).any():
        raise ValueError("events cannot be negative")
    return counts


def is_concentrated(hits: Numbers) -> bool:
    """W4: a tenth of the probes holds over half of the events, or they come from fewer than 10 effective probes.

    ``hits`` by probe, shape (Q,). False without events. Raises ValueError as ``top_share``.

    >>> is_concentrated([8] + [0] * 43), is_concentrated([2] * 44)
    (True, False)
    """
    if not _events(hits).any():
        return False
    return top_share(hits) > 0.5 or effective_events(hits) < FEWEST_EFFECTIVE_EVENTS


def has_few_changes(before: Numbers, after: Numbers) -> bool:
    """W5: fewer than 6 probes moved at all, so no test over probes can reach 5 %; rates by probe, shape (Q,).

    Raises ValueError if lengths differ.

    >>> has_few_changes([0.0] * 8, [0.1] * 5 + [0.0] * 3)
    True
    """
    first, second = frozen_array(before, "before"), frozen_array(after, "after")
    if first.shape != second.shape:
        raise ValueError(f"{first.size} probes before but {second.size} after")
    return int((np.abs(second - first) > 1e-12).sum()) < FEWEST_CHANGED


def has_identical_replies(most_common: Numbers, replies: Numbers) -> bool:
    """W6: for some probe at least half of two or more replies are one text.

    ``most_common`` counts the most frequent text of each probe, ``replies`` all of them, shape (Q,). Raises
    ValueError if lengths differ or a count is out of range.

    >>> has_identical_replies([1, 5], [10, 10]), has_identical_replies([1, 1], [1, 1])
    (True, False)
    """
    same, total = frozen_array(most_common, "most_common"), frozen_array(replies, "replies")
    if same.shape != total.shape or not ((same >= 0) & (same <= total)).all():
        raise ValueError("need one most common count a probe, between 0 and its replies")
    return bool(((total >= 2) & (same >= 2) & (same >= 0.5 * total)).any())


def has_unknown_replies(after: PartialCells, before: PartialCells | None = None) -> bool:
    """W7: more than 1 % of the replies unknown, or a share that differs between runs by more than a point.

    >>> has_unknown_replies(PartialCells.of([0], [98], [2]))
    True
    """
    if before is None:
        return after.unknown_share > 0.01
    shares = before.unknown_share, after.unknown_share
    return max(shares) > 0.01 or abs(shares[1] - shares[0]) > 0.01


def has_unequal_trials(cells: Cells) -> bool:
    """W10: some cell has more than twice the graded replies of another.

    >>> has_unequal_trials(Cells.of([0, 0], [10, 21]))
    True
    """
    return float(cells.trials.max() / cells.trials.min()) > 2


def run_cautions(cells: Cells) -> tuple[CautionId, ...]:
    """Ids of the warnings that one run's counts alone call for: W1, W2, W4 and W10, in this order.

    W4 is left out below ``FEWEST_PROBES`` probes, where every run is concentrated.

    >>> run_cautions(Cells.of([1, 0], [1, 3]))
    ('W1', 'W10')
    """
    hits = np.bincount(cells.probes, cells.hits)
    found: list[tuple[CautionId, bool]] = [
        ("W1", has_few_events(cells)),
        ("W2", has_single_replies(cells)),
        ("W4", cells.probe_count >= FEWEST_PROBES and is_concentrated(hits)),
        ("W10", has_unequal_trials(cells)),
    ]
    return tuple(name for name, holds in found if holds)
