"""Counts: one cell for each (probe, paraphrase), with its weight in the macro rate.

Every probe counts the same unless it is given a weight, and every paraphrase counts the same inside its probe:
``w = 1 / (probes * paraphrases of the probe)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Numbers = Sequence[float] | Sequence[int] | FloatArray | IntArray
Side = Literal["low", "high"]
"""Side of a one-sided bound."""


def frozen_array(values: Numbers, name: str) -> FloatArray:
    """Copy ``values``, one number a cell, into a read-only array of shape (C,).

    Raises ValueError if it is empty, not one-dimensional or not finite.

    >>> frozen_array([1, 2], "hits")
    array([1., 2.])
    """
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{name} must be one finite number a cell, at least one cell")
    array.flags.writeable = False
    return array


def probe_codes(probes: Sequence[int] | IntArray | None, size: int) -> IntArray:
    """Probe positions of ``size`` cells: the given ones, or one probe a cell. Read-only, shape (C,).

    Raises ValueError unless the positions are 0..Q-1, each used at least once.

    >>> probe_codes(None, 3).tolist()
    [0, 1, 2]
    """
    codes = np.arange(size) if probes is None else np.array(probes, dtype=np.int64)
    if codes.shape != (size,) or not np.array_equal(np.unique(codes), np.arange(codes.max() + 1)):
        raise ValueError("probes must give each cell's probe position, from 0 to the number of probes less 1")
    codes.flags.writeable = False
    return codes


def macro_weights(probes: IntArray, probe_weights: Numbers | None = None) -> FloatArray:
    """Weight of each cell in the macro rate, shape (C,), summing to 1; read-only.

    ``probes`` holds each cell's probe position, ``probe_weights`` one positive number a probe (default: equal).
    Raises ValueError on a weight that is not positive or a wrong number of them.

    >>> macro_weights(np.array([0, 0, 1])).tolist()
    [0.25, 0.25, 0.5]
    """
    paraphrases = np.bincount(probes)
    shares = np.ones(paraphrases.size) if probe_weights is None else frozen_array(probe_weights, "probe_weights")
    if shares.shape != paraphrases.shape or not (shares > 0).all():
        raise ValueError("probe_weights must be one positive number for each probe")
    weights: FloatArray = (shares / shares.sum() / paraphrases)[probes]
    weights.flags.writeable = False
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Events among graded replies, one entry a cell (shape (C,)), with weights that sum to 1.

    ``probes`` holds each cell's probe position, 0..Q-1. Make one with ``Cells.of``.
    """

    hits: FloatArray
    trials: FloatArray
    weights: FloatArray
    probes: IntArray

    @classmethod
    def of(
        cls,
        hits: Numbers,
        trials: Numbers,
        probes: Sequence[int] | IntArray | None = None,
        probe_weights: Numbers | None = None,
    ) -> Self:
        """Check counts and work out weights. Without ``probes`` each cell is a probe of its own.

        Raises ValueError if lengths differ, a cell has less than one graded reply, or hits exceed replies.

        >>> Cells.of([1, 0, 2], [10, 10, 10], probes=[0, 0, 1]).rate
        0.125
        """
        counted, replies = frozen_array(hits, "hits"), frozen_array(trials, "trials")
        if counted.shape != replies.shape:
            raise ValueError(f"{counted.size} cells of hits but {replies.size} of trials")
        if not (replies >= 1).all():
            raise ValueError(f"cell {int(np.argmin(replies))} has no graded reply; drop it and say so")
        if not ((counted >= 0) & (counted <= replies)).all():
            raise ValueError("hits must lie between 0 and trials in every cell")
        codes = probe_codes(probes, counted.size)
        return cls(counted, replies, macro_weights(codes, probe_weights), codes)

    @property
    def rate(self) -> float:
        """Probe-macro rate, a fraction: the mean over probes of each probe's share of events.

        >>> Cells.of([1, 0], [10, 5]).rate
        0.05
        """
        is_all = bool((self.hits >= self.trials).all())  # weights sum to 1 but for rounding
        return 1.0 if is_all else float(self.weights @ (self.hits / self.trials))

    @property
    def probe_count(self) -> int:
        """Number of probes Q.

        >>> Cells.of([1, 0, 2], [9, 9, 9], probes=[0, 0, 1]).probe_count
        2
        """
        return int(self.probes.max()) + 1

    @property
    def probe_means(self) -> FloatArray:
        """Rate of each probe, shape (Q,): the mean over its paraphrases.

        >>> Cells.of([1, 0, 2], [10, 10, 10], probes=[0, 0, 1]).probe_means.tolist()
        [0.05, 0.2]
        """
        sums = np.bincount(self.probes, self.hits / self.trials)
        return sums / np.bincount(self.probes)

    @property
    def is_pooled(self) -> bool:
        """True where the macro rate equals all hits over all replies whatever the hits are (weights like trials).

        >>> Cells.of([1, 0], [10, 10]).is_pooled, Cells.of([1, 0], [10, 9]).is_pooled
        (True, False)
        """
        return bool(np.allclose(self.weights, self.trials / self.trials.sum(), rtol=1e-9, atol=0))

    def select(self, chosen: BoolArray) -> "Cells":
        """Only the cells where ``chosen`` (shape (C,)) is true, with weights re-normalised to sum 1.

        Raises ValueError if none is chosen.

        >>> Cells.of([1, 0, 2], [10, 10, 10]).select(np.array([True, False, True])).rate
        0.15000000000000002
        """
        if chosen.shape != self.hits.shape or not chosen.any():
            raise ValueError("choose at least one cell, with one truth value for each")
        weights = self.weights[chosen]
        codes = np.unique(self.probes[chosen], return_inverse=True)[1]
        return Cells(self.hits[chosen], self.trials[chosen], weights / weights.sum(), codes)


def check_paired(before: Cells, after: Cells) -> None:
    """Raise ValueError unless both runs have the same cells, probes and weights, in the same order.

    >>> check_paired(Cells.of([1, 0], [5, 5]), Cells.of([0, 0], [9, 9]))
    """
    same = before.hits.shape == after.hits.shape and np.array_equal(before.probes, after.probes)
    if not (same and np.allclose(before.weights, after.weights, rtol=1e-9, atol=0)):
        raise ValueError("both runs must have the same cells with the same weights, in the same order")


def drop_empty(
    hits: Numbers,
    trials: Numbers,
    probes: Sequence[int] | IntArray | None = None,
    probe_weights: Numbers | None = None,
) -> tuple[Cells, BoolArray]:
    """Cells with at least one graded reply, and which of the given cells (shape (C,)) those are.

    Paraphrases that are left share their probe's weight; weights are re-normalised over the probes that are left.
    Raises ValueError where nothing is left. Such a run must never pass a gate: see ``missing``.

    >>> cells, kept = drop_empty([1, 0], [10, 0])
    >>> cells.rate, kept.tolist()
    (0.1, [True, False])
    """
    replies = frozen_array(trials, "trials")
    kept: BoolArray = replies >= 1
    if not kept.any():
        raise ValueError("no cell has a graded reply")
    names, codes = np.unique(probe_codes(probes, replies.size)[kept], return_inverse=True)
    shares = None if probe_weights is None else frozen_array(probe_weights, "probe_weights")[names]
    return Cells.of(frozen_array(hits, "hits")[kept], replies[kept], codes, shares), kept
