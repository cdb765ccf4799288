"""Two groups of training runs: the run is the unit, as replies of one training run share its luck."""

from collections.abc import Sequence

import numpy as np

from misalign_eval.analysis import aligned
from misalign_eval.analysis.aligned import Aligned
from misalign_eval.analysis.comparison import Side
from misalign_eval.analysis.estimates import counted, score_cells, suite_line
from misalign_eval.analysis.tally import Cell
from misalign_eval.records.analysis import Bounds, Difference, Warned
from misalign_eval.records.definition import OUTCOMES, Definition
from misalign_eval.records.trajectory import BetweenRuns, GroupComparison, GroupRun, RunGroup
from misalign_eval.stats.clustered import mean_over_probes
from misalign_eval.stats.difference import EffectiveRate, mover_difference
from misalign_eval.stats.intervals import Interval, clopper_pearson
from misalign_eval.stats.means import ScoreCells, macro_mean, mean_difference
from misalign_eval.stats.power import POWER
from misalign_eval.stats.rates import effective_trials
from misalign_eval.stats.runs import FEWEST_RUNS, RunEffect, run_difference
from misalign_eval.stats.special import normal_quantile, t_quantile

Named = tuple[str, Sequence[Side]]


def compare_groups(before: Named, after: Named, *, split: str | None = None) -> GroupComparison:
    """Compare two named groups of runs over the prompts that all of them share. Raises UsageError as `align`."""
    found = aligned.align([*before[1], *after[1]], split)
    size = len(before[1])
    first = _group(before[0], found, range(size))
    second = _group(after[0], found, range(size, len(found.runs)))
    return GroupComparison(
        definition=found.definition.name,
        measure=found.definition.measure,
        averaged=found.head.words,
        caption=found.caption,
        before=first,
        after=second,
        difference=_difference(found, size),
        between_runs=_between(first, second, found.definition),
        warnings=(*aligned.warned(found), *_of_design(first, second)),
    )


def _group(name: str, found: Aligned, places: range) -> RunGroup:
    lines = [
        GroupRun(
            run=found.sides[place].provenance.run,
            target=found.sides[place].provenance.target,
            **dict(suite_line(found.runs[place], found.definition)),
        )
        for place in places
    ]
    rate, suite = _together([found.runs[place] for place in places], found.definition)
    return RunGroup(
        name=name,
        runs=tuple(lines),
        rate=rate,
        low=suite.low,
        high=suite.high,
        misaligned=sum(line.misaligned for line in lines),
        graded=sum(line.graded for line in lines),
        replies=sum(line.replies for line in lines),
        planned=sum(line.planned for line in lines),
        outcomes={outcome: sum(line.outcomes.get(outcome, 0) for line in lines) for outcome in OUTCOMES},
        between_runs=_over_runs(lines, found.definition),
    )


def _together(runs: Sequence[Sequence[Cell]], definition: Definition) -> tuple[float | None, Bounds]:
    """Mean of the runs' rates, with the SUITE interval for exactly these runs: each is a stratum of its own."""
    if definition.measure == "mean":
        found = macro_mean(_stacked_scores(runs))
        return found.estimate, _clipped(found.interval, 100.0)
    whole = _effective(runs, definition)
    interval = clopper_pearson(whole.rate * whole.trials, whole.trials)
    return whole.rate, Bounds(low=interval.low, high=interval.high)


def _effective(runs: Sequence[Sequence[Cell]], definition: Definition) -> EffectiveRate:
    counts = [cells for cells in (counted(run, definition) for run in runs) if cells is not None]
    hits, trials = (np.concatenate([getattr(cells, name) for cells in counts]) for name in ("hits", "trials"))
    rate, size = effective_trials(hits, trials, np.concatenate([cells.weights for cells in counts]) / len(counts))
    return EffectiveRate(min(max(float(rate), 0.0), 1.0), float(size))


def _stacked_scores(runs: Sequence[Sequence[Cell]]) -> ScoreCells:
    found = [cells for cells in map(score_cells, runs) if cells is not None]
    parts = {name: np.concatenate([getattr(cells, name) for cells in found]) for name in ScoreCells.__slots__}
    return ScoreCells(**{**parts, "weights": parts["weights"] / len(found)})


def _over_runs(lines: Sequence[GroupRun], definition: Definition) -> Bounds:
    """For training runs like these; empty with a single run."""
    rates = [line.rate for line in lines if line.rate is not None]
    if len(rates) < 2:
        return Bounds()
    interval = mean_over_probes(rates).interval
    if not interval.width:
        return Bounds()  # runs that all agree say nothing about how far others may be
    return _clipped(interval, 1.0 if definition.measure == "rate" else 100.0)


def _clipped(found: Interval | None, most: float) -> Bounds:
    return Bounds() if found is None else Bounds(low=max(found.low, 0.0), high=min(found.high, most))


def _difference(found: Aligned, size: int) -> Difference:
    """For exactly these runs and probes. Numbers of runs may differ, so no permutation test is given."""
    first, second = found.runs[:size], found.runs[size:]
    if found.definition.measure == "mean":
        a, b = _stacked_scores(first), _stacked_scores(second)
        if a.means.size != b.means.size:
            return Difference(estimate=b.mean - a.mean, low=None, high=None, p_value=None)
        mean = mean_difference(a, b)
        ends = (None, None) if mean.interval is None else (mean.interval.low, mean.interval.high)
        return Difference(estimate=mean.estimate, low=ends[0], high=ends[1], p_value=None)
    change = mover_difference(_effective(first, found.definition), _effective(second, found.definition))
    return Difference(estimate=change.estimate, low=change.interval.low, high=change.interval.high, p_value=None)


def _between(before: RunGroup, after: RunGroup, definition: Definition) -> BetweenRuns | None:
    """Welch's t over runs, its interval kept to changes that are possible; None with a single run in a group."""
    first, second = ([line.rate for line in group.runs if line.rate is not None] for group in (before, after))
    if min(len(first), len(second)) < 2:
        return None
    found = run_difference(first, second)
    if not found.interval.width:
        return None  # all runs of both groups agree: there is no spread to judge by
    most = 1.0 if definition.measure == "rate" else 100.0
    ends = {"low": max(found.interval.low, -most), "high": min(found.interval.high, most)}
    runs = len(before.runs) + len(after.runs)
    detectable = _detectable(found)
    return BetweenRuns(
        estimate=found.estimate, **ends, p_value=found.p_value, df=found.df, runs=runs, detectable=detectable
    )


def _detectable(found: RunEffect) -> float:
    """The standard error behind the interval, times what test and power ask of it."""
    quantile = t_quantile(0.975, found.df)
    return found.interval.width / 2 / quantile * (quantile + normal_quantile(POWER))


def _of_design(before: RunGroup, after: RunGroup) -> list[Warned]:
    few = [f"{group.name} ({len(group.runs)})" for group in (before, after) if len(group.runs) < FEWEST_RUNS]
    if not few:
        return []
    text = f"fewer than {FEWEST_RUNS} training runs in {' and '.join(few)}: no claim about a recipe can rest on them"
    return [Warned(id="few-runs", text=text)]
