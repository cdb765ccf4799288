"""Trajectories: rates along steps or doses, and groups of training runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from misalign_eval.analysis import comparability, estimates, warnings
from misalign_eval.analysis import comparison as run_comparison
from misalign_eval.analysis.align import pair
from misalign_eval.analysis.comparison import ComparedSide
from misalign_eval.analysis.counts import Cell, Headline, headline
from misalign_eval.analysis.estimates import are_whole, counted, graded, score_cells, suite_line
from misalign_eval.errors import UsageError
from misalign_eval.records.base import Bounds
from misalign_eval.records.definition import OUTCOMES, Definition
from misalign_eval.records.findings import Warned
from misalign_eval.records.summary import (
    BetweenRuns,
    Estimand,
    GroupComparison,
    GroupRun,
    OnsetTest,
    Point,
    RateDifference,
    RunGroup,
    Scale,
    Trajectory,
    TrajectoryOnset,
    Trend,
    XFrom,
)
from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import EffectiveRate, mover_difference, sidak_level
from misalign_eval.stats.general import mean_over_probes
from misalign_eval.stats.intervals import (
    FEWEST_RUNS,
    Interval,
    RunEffect,
    ScoreCells,
    clopper_pearson,
    macro_mean,
    mean_difference,
    run_difference,
    run_slope,
)
from misalign_eval.stats.power import POWER
from misalign_eval.stats.rates import effective_trials, suite_rate
from misalign_eval.stats.special import normal_quantile, t_quantile
from misalign_eval.stats.trajectory import onset, trend

# Shared prompts of several runs, each graded in every run.


Row = tuple[Cell, ...]  # one prompt in every run


@dataclass(frozen=True, slots=True)
class Aligned:
    """The headline's shared cells of every run, in one order and under the names of the first run."""

    runs: tuple[tuple[Cell, ...], ...]
    head: Headline  # of the first run
    definition: Definition
    sides: tuple[ComparedSide, ...]
    left_out: int  # shared prompts without a reply that counts in one of the runs

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs."""
        return tuple(side.provenance.run for side in self.sides)

    @property
    def caption(self) -> str:
        """Printed with every table."""
        judges = dict.fromkeys(side.provenance.judge or "none" for side in self.sides)
        suites = dict.fromkeys(
            f"{provenance.suite} {provenance.suite_version}" for provenance in (side.provenance for side in self.sides)
        )
        return f"definition {self.definition.name}; judge {', '.join(judges)}; suite {', '.join(suites)}"


def align(sides: Sequence[ComparedSide], split: str | None) -> Aligned:
    """Pair every run with the first. Raises UsageError for other definitions, or where no prompt is shared by all."""
    first = sides[0]
    for side in sides[1:]:
        comparability.refuse_definitions(first.provenance, side.provenance)
    rows = _shared(sides)
    if not rows:
        names = ", ".join(side.provenance.run for side in sides)
        raise UsageError(f"the runs share no prompt: {names}. Compare runs of the same suite")
    head = headline([row[0] for row in rows], split)
    inside = {id(cell) for cell in head.cells}
    chosen = [row for row in rows if id(row[0]) in inside]
    definition = first.tally.definition
    usable = [row for row in chosen if all(graded(cell, definition) for cell in row)]
    if not usable:
        raise UsageError("no prompt has replies that count in every one of the runs: there is nothing to compare")
    shown = Headline(tuple(row[0] for row in usable), head.splits, head.variant)
    runs = tuple(tuple(row[place] for row in usable) for place in range(len(sides)))
    return Aligned(runs, shown, definition, tuple(sides), len(chosen) - len(usable))


def _shared(sides: Sequence[ComparedSide]) -> list[Row]:
    cells = sides[0].tally.cells()
    rows: dict[int, list[Cell]] = {id(cell): [cell] for cell in cells}
    for side in sides[1:]:
        paired = pair(side.tally.cells(), cells)
        partner = {id(ours): theirs for theirs, ours in zip(paired.before, paired.after, strict=True)}
        rows = {key: [*row, partner[key]] for key, row in rows.items() if key in partner}
    return [tuple(row) for row in rows.values()]


def warned(aligned: Aligned, interval: Estimand = "suite") -> list[Warned]:
    """What is true of runs; the same words about several runs stand once."""
    said: dict[tuple[str, str], list[str]] = {}
    for side, cells in zip(aligned.sides, aligned.runs, strict=True):
        for warning in _of_run(aligned, side, cells, interval):
            said.setdefault((warning.id, warning.text), []).append(side.provenance.run)
    listed = [Warned(id=name, text=f"{_runs(runs)}: {text}") for (name, text), runs in said.items()]
    if aligned.left_out:
        shared = aligned.left_out + len(aligned.head.cells)
        text = f"{aligned.left_out} of {shared} shared prompts have no reply that counts in one of the runs"
        listed.append(Warned(id="prompts-left-out", text=f"{text} and are left out"))
    return [*listed, *warnings.of_judge(aligned.sides[0].provenance)]


def _of_run(aligned: Aligned, side: ComparedSide, cells: Sequence[Cell], interval: Estimand) -> Iterator[Warned]:
    yield from warnings.of_files(side.tally.differing, side.tally.first_digits)
    yield from _of_others(aligned, side)
    yield from warnings.of_cells(cells, aligned.definition, interval)


def _of_others(aligned: Aligned, side: ComparedSide) -> Iterator[Warned]:
    """What else differs from the first run; that targets agree is no news among many runs."""
    first = aligned.sides[0]
    if side is not first:
        paired = pair(first.tally.cells(), side.tally.cells())
        of_runs = comparability.of_runs(first.provenance, side.provenance, paired)
        for run in of_runs:
            if run.id != "same-target":
                yield Warned(id=run.id, text=f"against {first.provenance.run}: {run.text}")


def _runs(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# Trajectories over a step or a mixture fraction: points with bands, trend, onset, and a slope of repeated runs.


STEP = "step"  # the label that says where a run stands


@dataclass(frozen=True, slots=True)
class Along:
    """Where the runs stand. Without `x` it is read off their `step` labels, else they stand in the order given."""

    x: tuple[float, ...] | None = None
    scale: Scale = "value"


def trajectory(
    sides: Sequence[ComparedSide], along: Along, *, split: str | None = None, interval: Estimand = "suite"
) -> Trajectory:
    """Put runs in their order and say how the rate moves along it.

    Raises UsageError for a wrong number of x, values without difference or, on a log scale, below 0, and as `compare`.
    """
    places, x_from = _places(sides, along)
    order = _order(places)
    x, ordered = [places[run] for run in order], [sides[run] for run in order]
    estimates.check_interval(interval, ordered[0].tally.definition)
    aligned = align(ordered, split)
    steps = _steps(aligned, x) if aligned.definition.measure == "rate" else {}
    if not all(map(are_whole, steps.values())):
        steps = {}
    return Trajectory(
        definition=aligned.definition.name,
        measure=aligned.definition.measure,
        averaged=aligned.head.words,
        caption=aligned.caption,
        interval=interval,
        x_from=x_from,
        points=_points(aligned, x, interval),
        trend=_trend(steps, along.scale) if steps else None,
        onset=_onset(steps) if steps else None,
        slope=_slope(aligned, x),
        comparisons=tuple(
            run_comparison.compare(ordered[0], later, split=split, interval=interval) for later in ordered[1:]
        ),
        warnings=(*warned(aligned, interval), *_trend_of_design(x, x_from)),
    )


def order_of(sides: Sequence[ComparedSide], along: Along) -> tuple[int, ...]:
    """The places of the runs in the order of x, as `trajectory` shows them. Raises as it does."""
    return _order(_places(sides, along)[0])


def places_of(sides: Sequence[ComparedSide], along: Along) -> tuple[tuple[float, ...], XFrom]:
    """Where each run stands, in the order given, and by what. Raises as `trajectory`."""
    return _places(sides, along)


def _order(places: Sequence[float]) -> tuple[int, ...]:
    return tuple(sorted(range(len(places)), key=lambda run: places[run]))


def _places(sides: Sequence[ComparedSide], along: Along) -> tuple[tuple[float, ...], XFrom]:
    if along.x is not None and len(along.x) != len(sides):
        raise UsageError(f"--x gives {len(along.x)} values for {len(sides)} runs: one for each, in the same order")
    places, source = _known_places(sides, along)
    if len(set(places)) == 1:
        raise UsageError(f"every run stands at x = {places[0]:g}: use --group to compare training runs of two recipes")
    if along.scale == "log" and min(places) < 0:
        raise UsageError("--x-scale log needs values of x of 0 or more")
    return places, source


def _known_places(sides: Sequence[ComparedSide], along: Along) -> tuple[tuple[float, ...], XFrom]:
    if along.x is not None:
        return along.x, "--x"
    steps = _labels(sides)
    if steps is not None:
        return steps, "step"
    return tuple(float(place) for place in range(len(sides))), "order"


def _labels(sides: Sequence[ComparedSide]) -> tuple[float, ...] | None:
    """The steps of all runs, where every run has one that is a number."""
    try:
        found = tuple(float(side.provenance.labels[STEP]) for side in sides)
    except (KeyError, ValueError):
        return None
    return found if np.isfinite(found).all() and len(set(found)) > 1 else None


def _points(aligned: Aligned, x: Sequence[float], interval: Estimand) -> tuple[Point, ...]:
    level = sidak_level(0.95, len(x))
    made = []
    for place, side, cells in zip(x, aligned.sides, aligned.runs, strict=True):
        line = suite_line(cells, aligned.definition)
        suite = Bounds(low=line.low, high=line.high)
        wide = None if interval == "suite" else estimates.of_rate(cells, aligned.definition, interval, suite)
        made.append(
            Point(
                run=side.provenance.run,
                target=side.provenance.target,
                x=place,
                **dict(line),
                intervals=wide,
                band=_band(cells, aligned.definition, level),
            )
        )
    return tuple(made)


def _band(cells: Sequence[Cell], definition: Definition, level: float) -> Bounds:
    if definition.measure == "mean":
        scores = score_cells(cells)
        mean = None if scores is None else macro_mean(scores, level).interval
        return Bounds() if mean is None else Bounds(low=max(mean.low, 0.0), high=min(mean.high, 100.0))
    counts = counted(cells, definition)
    band = None if counts is None else suite_rate(counts, level).interval
    return Bounds() if band is None else Bounds(low=band.low, high=band.high)


def _steps(aligned: Aligned, x: Sequence[float]) -> dict[float, Cells]:
    """Counts at each x; runs that stand at the same one are added up."""
    steps: dict[float, Cells] = {}
    for place, cells in zip(x, aligned.runs, strict=True):
        counts = counted(cells, aligned.definition)
        if counts is not None:
            before = steps.get(place)
            steps[place] = counts if before is None else _added(before, counts)
    return steps


def _added(cells: Cells, other: Cells) -> Cells:
    return replace(cells, hits=cells.hits + other.hits, trials=cells.trials + other.trials)


def _trend(steps: dict[float, Cells], scale: Scale) -> Trend:
    hits = np.column_stack([cells.hits for cells in steps.values()])
    trials = np.column_stack([cells.trials for cells in steps.values()])
    places = np.array(list(steps))
    scores = {"value": places, "rank": np.arange(len(places), dtype=float), "log": np.log1p(places)}[scale]
    test = trend(hits, trials, scores)
    return Trend(z=test.z, p_value=test.p_value, events=test.events, is_permuted=test.is_permuted, scale=scale)


def _onset(steps: dict[float, Cells]) -> TrajectoryOnset:
    found, places = onset(list(steps.values())), list(steps)
    tests = (OnsetTest(x=x, p_value=p) for x, p in zip(places[1:], found.p_values, strict=True))
    return TrajectoryOnset(x=None if found.position is None else places[found.position], tests=tuple(tests))


def _slope(aligned: Aligned, x: Sequence[float]) -> BetweenRuns | None:
    """With the training run as the unit; None below three runs at some x."""
    if min(Counter(x).values()) < FEWEST_RUNS:
        return None
    rates = [suite_line(cells, aligned.definition).rate for cells in aligned.runs]
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        return None
    slope = run_slope(list(x), known)
    ends = {"low": slope.interval.low, "high": slope.interval.high}
    return BetweenRuns(estimate=slope.estimate, **ends, p_value=slope.p_value, df=slope.df, runs=len(known))


def _trend_of_design(x: Sequence[float], x_from: XFrom) -> list[Warned]:
    said = []
    if x_from == "order":
        text = f"the runs stand in the order given: name their places with --x, or label them `{STEP}` when they run"
        said.append(Warned(id="order-given", text=text))
    fewest = min(Counter(x).values())
    if fewest == 1:
        text = "one training run at each x: no between-run error; not a dose-response claim"
        said.append(Warned(id="one-seed", text=text))
    elif fewest < FEWEST_RUNS:
        text = f"fewer than {FEWEST_RUNS} training runs at some x: no between-run error; not a dose-response claim"
        said.append(Warned(id="few-seeds", text=text))
    return said


# Difference of two groups of training runs. The unit is the run: replies of one training run are not independent.


Named = tuple[str, Sequence[ComparedSide]]


def compare_groups(before: Named, after: Named, *, split: str | None = None) -> GroupComparison:
    """Compare two named groups of runs over the prompts that all of them share. Raises UsageError as `align`."""
    aligned = align([*before[1], *after[1]], split)
    size = len(before[1])
    first = _group(before[0], aligned, range(size))
    second = _group(after[0], aligned, range(size, len(aligned.runs)))
    return GroupComparison(
        definition=aligned.definition.name,
        measure=aligned.definition.measure,
        averaged=aligned.head.words,
        caption=aligned.caption,
        before=first,
        after=second,
        difference=_difference(aligned, size),
        between_runs=_between(first, second, aligned.definition),
        warnings=(*warned(aligned), *_group_of_design(first, second)),
    )


def _group(name: str, aligned: Aligned, places: range) -> RunGroup:
    lines = [
        GroupRun(
            run=aligned.sides[place].provenance.run,
            target=aligned.sides[place].provenance.target,
            **dict(suite_line(aligned.runs[place], aligned.definition)),
        )
        for place in places
    ]
    rate, suite = _together([aligned.runs[place] for place in places], aligned.definition)
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
        between_runs=_over_runs(lines, aligned.definition),
    )


def _together(runs: Sequence[Sequence[Cell]], definition: Definition) -> tuple[float | None, Bounds]:
    """Mean of the runs' rates, with the SUITE interval for exactly these runs: each is a stratum of its own."""
    if definition.measure == "mean":
        estimate = macro_mean(_stacked_scores(runs))
        return estimate.estimate, _clipped(estimate.interval, 100.0)
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


def _clipped(interval: Interval | None, most: float) -> Bounds:
    return Bounds() if interval is None else Bounds(low=max(interval.low, 0.0), high=min(interval.high, most))


def _difference(aligned: Aligned, size: int) -> RateDifference:
    """For exactly these runs and probes. Numbers of runs may differ, so no permutation test is given."""
    first, second = aligned.runs[:size], aligned.runs[size:]
    if aligned.definition.measure == "mean":
        a, b = _stacked_scores(first), _stacked_scores(second)
        if a.means.size != b.means.size:
            return RateDifference(estimate=b.mean - a.mean, low=None, high=None, p_value=None)
        mean = mean_difference(a, b)
        ends = (None, None) if mean.interval is None else (mean.interval.low, mean.interval.high)
        return RateDifference(estimate=mean.estimate, low=ends[0], high=ends[1], p_value=None)
    change = mover_difference(_effective(first, aligned.definition), _effective(second, aligned.definition))
    return RateDifference(estimate=change.estimate, low=change.interval.low, high=change.interval.high, p_value=None)


def _between(before: RunGroup, after: RunGroup, definition: Definition) -> BetweenRuns | None:
    """Welch's t over runs, its interval kept to changes that are possible; None with a single run in a group."""
    first, second = ([line.rate for line in group.runs if line.rate is not None] for group in (before, after))
    if min(len(first), len(second)) < 2:
        return None
    effect = run_difference(first, second)
    if not effect.interval.width:
        return None  # all runs of both groups agree: there is no spread to judge by
    most = 1.0 if definition.measure == "rate" else 100.0
    ends = {"low": max(effect.interval.low, -most), "high": min(effect.interval.high, most)}
    runs = len(before.runs) + len(after.runs)
    detectable = _detectable(effect)
    return BetweenRuns(
        estimate=effect.estimate, **ends, p_value=effect.p_value, df=effect.df, runs=runs, detectable=detectable
    )


def _detectable(effect: RunEffect) -> float:
    """The standard error behind the interval, times what test and power ask of it."""
    quantile = t_quantile(0.975, effect.df)
    return effect.interval.width / 2 / quantile * (quantile + normal_quantile(POWER))


def _group_of_design(before: RunGroup, after: RunGroup) -> list[Warned]:
    few = [f"{group.name} ({len(group.runs)})" for group in (before, after) if len(group.runs) < FEWEST_RUNS]
    if not few:
        return []
    text = f"fewer than {FEWEST_RUNS} training runs in {' and '.join(few)}: no claim about a recipe can rest on them"
    return [Warned(id="few-runs", text=text)]
