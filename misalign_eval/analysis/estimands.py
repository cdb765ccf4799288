"""Intervals besides SUITE: for probes like these (GENERAL), and the field's bootstrap over probes (clustered)."""

from collections.abc import Sequence

import numpy as np

from misalign_eval.analysis.estimates import counted
from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Bounds, Estimand, Intervals
from misalign_eval.records.definition import Definition
from misalign_eval.stats.cells import Cells, FloatArray
from misalign_eval.stats.clustered import bootstrap_interval
from misalign_eval.stats.general import can_generalise, general_difference, general_interval
from misalign_eval.stats.intervals import Interval

FEWEST_WIDTH = 1e-9  # a bootstrap of probes that all agree has no width: that is no interval


def check_interval(interval: Estimand, definition: Definition) -> None:
    """Raise UsageError for an interval that a mean score does not have."""
    if interval != "suite" and definition.measure == "mean":
        text = f"definition `{definition.name}` gives a mean score, which has the SUITE interval alone"
        raise UsageError(f"--interval {interval}: {text}")


def of_rate(cells: Sequence[Cell], definition: Definition, interval: Estimand, suite: Bounds) -> Intervals:
    """SUITE and GENERAL of the rate, and clustered where it is asked for."""
    counts = None if definition.measure == "mean" else counted(cells, definition)
    wide = counts is not None and can_generalise(counts.probe_count)
    return Intervals(
        suite=suite,
        general=_bounds(general_interval(np.clip(counts.probe_means, 0.0, 1.0)))
        if counts is not None and wide
        else Bounds(),
        clustered=_clustered_rate(counts) if interval == "clustered" else None,
    )


def of_difference(counts: tuple[Cells, Cells] | None, interval: Estimand, suite: Bounds) -> Intervals:
    """The same of the difference of two runs over the same cells."""
    wide = counts is not None and can_generalise(counts[0].probe_count)
    return Intervals(
        suite=suite,
        general=_bounds(general_difference(*_probe_means(counts))) if counts is not None and wide else Bounds(),
        clustered=_clustered_difference(counts) if interval == "clustered" else None,
    )


def _clustered_rate(counts: Cells | None) -> Bounds:
    """Over probes, of the macro rate: with equal numbers of replies the pooled rate of the papers."""
    if counts is None:
        return Bounds()
    return _with_width(bootstrap_interval(counts.probe_means[:, None], lambda means: means[:, 0]))


def _clustered_difference(counts: tuple[Cells, Cells] | None) -> Bounds:
    """A probe is drawn in both runs together."""
    if counts is None:
        return Bounds()
    columns = np.column_stack(_probe_means(counts))
    return _with_width(bootstrap_interval(columns, lambda means: means[:, 1] - means[:, 0]))


def _probe_means(counts: tuple[Cells, Cells]) -> tuple[FloatArray, FloatArray]:
    # Sums over paraphrases can end some 1e-16 outside [0, 1].
    before, after = (np.clip(cells.probe_means, 0.0, 1.0) for cells in counts)
    return before, after


def _with_width(found: Interval) -> Bounds:
    return _bounds(found) if found.width > FEWEST_WIDTH else Bounds()


def _bounds(found: Interval) -> Bounds:
    return Bounds(low=found.low, high=found.high)
