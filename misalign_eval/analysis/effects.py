"""What changed between cells that two runs share: difference, test, ratio, and whether it generalises."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from misalign_eval.analysis import estimands
from misalign_eval.analysis.estimates import are_whole, counted, score_cells
from misalign_eval.analysis.tally import Cell
from misalign_eval.records.analysis import (
    Bounds,
    Difference,
    Estimand,
    Generalises,
    Intervals,
    OddsRatio,
    PairedT,
    Ratio,
)
from misalign_eval.records.definition import Definition
from misalign_eval.stats.cells import Cells
from misalign_eval.stats.clustered import paired_t
from misalign_eval.stats.difference import suite_difference, suite_ratio
from misalign_eval.stats.means import MeanEstimate, mean_difference
from misalign_eval.stats.permutation import PermutationTest, permutation_test
from misalign_eval.stats.power import POWER, detectable_rise
from misalign_eval.stats.special import normal_quantile, t_quantile
from misalign_eval.stats.stratified import mantel_haenszel

Pair = tuple[Cells, Cells]


@dataclass(frozen=True, slots=True)
class Change:
    """The difference of some shared cells. None: nothing is known of it."""

    before: float | None
    after: float | None
    difference: float | None = None
    suite: Bounds = field(default_factory=Bounds)
    test: PermutationTest | None = None  # None for mean scores: no exact test exists, the interval has to do
    intervals: Intervals | None = None
    detectable: float | None = None

    @property
    def mid(self) -> float | None:
        """Mid-p of "no probe changed", for a screen."""
        return None if self.test is None else self.test.mid

    @property
    def exact(self) -> float | None:
        """Exact p of "no probe changed", for a claim."""
        return None if self.test is None else self.test.exact

    @property
    def whole(self) -> Difference:
        """As the headline of a comparison."""
        return Difference(
            estimate=self.difference,
            low=self.suite.low,
            high=self.suite.high,
            p_value=self.mid,
            p_exact=self.exact,
            is_exact=None if self.test is None else self.test.is_exact,
            intervals=self.intervals,
        )


def pair_counts(before: Sequence[Cell], after: Sequence[Cell], definition: Definition) -> Pair | None:
    """Counts of both runs over the same cells; None for mean scores, and where a cell is graded on one side only."""
    if definition.measure == "mean":
        return None
    first, second = counted(before, definition), counted(after, definition)
    if first is None or second is None or not first.hits.size == second.hits.size == len(after):
        return None
    return first, second


def change(
    before: Sequence[Cell], after: Sequence[Cell], definition: Definition, interval: Estimand | None = "suite"
) -> Change:
    """Change of some pairs. Intervals besides SUITE are worked out where `interval` asks for them; None: for none."""
    if definition.measure == "mean":
        return _mean_change(before, after)
    counts = pair_counts(before, after, definition)
    if counts is None:
        first, second = counted(before, definition), counted(after, definition)
        return Change(None if first is None else first.rate, None if second is None else second.rate)
    found = suite_difference(*counts)
    suite = Bounds(low=found.interval.low, high=found.interval.high)
    test = permutation_test(*counts) if all(map(are_whole, counts)) else None
    made = Change(counts[0].rate, counts[1].rate, found.estimate, suite, test)
    if interval is None:
        return made
    return replace(
        made, intervals=estimands.of_difference(counts, interval, suite), detectable=_detectable_rise(*counts)
    )


def suite_bounds(before: Sequence[Cell], after: Sequence[Cell], definition: Definition, level: float) -> Bounds:
    """SUITE interval of the difference at another level than 95 %; empty where there is none."""
    counts = pair_counts(before, after, definition)
    if counts is not None:
        found = suite_difference(*counts, level).interval
        return Bounds(low=found.low, high=found.high)
    scores = score_cells(before), score_cells(after)
    if scores[0] is None or scores[1] is None or scores[0].means.size != scores[1].means.size:
        return Bounds()
    mean = mean_difference(scores[0], scores[1], level).interval
    return Bounds() if mean is None else Bounds(low=mean.low, high=mean.high)


def ratio(counts: Pair | None) -> Ratio:
    """After over before, for exactly these probes."""
    if counts is None:
        return Ratio(estimate=None, low=None, high=None)
    found = suite_ratio(*counts)
    return Ratio(estimate=found.estimate, low=found.interval.low, high=found.interval.high)


def odds_ratio(counts: Pair | None) -> OddsRatio | None:
    """Mantel-Haenszel over prompts; None for mean scores."""
    if counts is None:
        return None
    before, after = counts
    found = mantel_haenszel((before.hits, before.trials), (after.hits, after.trials))
    if found.odds_ratio is None or found.interval is None:
        return OddsRatio(estimate=None, low=None, high=None)
    # An overflowing limit is no limit, and JSON has no infinity.
    ends = (end if math.isfinite(end) else None for end in (found.interval.low, found.interval.high))
    return OddsRatio(estimate=found.odds_ratio, low=next(ends), high=next(ends))


def generalises(counts: Pair | None, general: Bounds) -> Generalises:
    """Whether the change holds for probes like these: only where the GENERAL interval leaves out zero."""
    if counts is None or general.low is None or general.high is None:
        return Generalises(estimate=None, low=None, high=None, holds=None)
    before, after = counts
    holds = general.low > 0 or general.high < 0
    found = paired_t(before.probe_means, after.probe_means)
    approximate = PairedT(low=found.interval.low, high=found.interval.high, p_value=found.p_value, df=found.df)
    return Generalises(
        estimate=after.rate - before.rate, low=general.low, high=general.high, holds=holds, paired_t=approximate
    )


def _detectable_rise(before: Cells, after: Cells) -> float | None:
    """From the rate before; both runs count as the harmonic mean of their replies, without credit for strata."""
    sizes = [float(1 / (cells.weights**2 / cells.trials).sum()) for cells in (before, after)]
    replies = int(2 / (1 / sizes[0] + 1 / sizes[1]) + 1e-9)
    if before.rate >= 1 or replies < 1:
        return None
    rise = detectable_rise(max(before.rate, 0.0), replies)
    return rise if math.isfinite(rise) else None


def _mean_change(before: Sequence[Cell], after: Sequence[Cell]) -> Change:
    first, second = score_cells(before), score_cells(after)
    if first is None or second is None or first.means.size != second.means.size:
        return Change(None if first is None else first.mean, None if second is None else second.mean)
    found = mean_difference(first, second)
    if found.interval is None:
        return Change(first.mean, second.mean, found.estimate)
    suite = Bounds(low=found.interval.low, high=found.interval.high)
    return Change(first.mean, second.mean, found.estimate, suite, detectable=_detectable_change(found))


def _detectable_change(found: MeanEstimate) -> float | None:
    """Of a mean score: the standard error behind the interval, times what test and power ask of it."""
    if found.interval is None or found.df is None:
        return None
    quantile = t_quantile(0.975, found.df)
    return found.interval.width / 2 / quantile * (quantile + normal_quantile(POWER))
