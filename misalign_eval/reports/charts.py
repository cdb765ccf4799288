"""Charts of runs, comparisons and trajectories: from records of the analysis to records of charts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from misalign_eval.records.labels import Calibration
from misalign_eval.records.pages import (
    BarChart,
    BarRow,
    ChartEstimate,
    ChartMark,
    Coherence,
    CurveChart,
    CurvePanel,
    CurvePoint,
    Distributions,
    Histogram,
    HistogramChart,
    HistogramPanel,
    IntervalChart,
    IntervalRow,
    MatrixChart,
    Opinion,
    OutcomeShare,
    Plane,
    PlaneChart,
    PlanePanel,
    PlanePoint,
)
from misalign_eval.records.summary import (
    CategoryChange,
    ChangeLine,
    Comparison,
    GroupComparison,
    Measure,
    ProbeChange,
    ProbeLine,
    RateLine,
    RunGroup,
    RunSummary,
    Trajectory,
)
from misalign_eval.reports import comparison as comparison_tables
from misalign_eval.reports import numbers
from misalign_eval.reports.comparison import X_FROM

# Numbers as a chart takes them.


MOST_ROWS = 60


def of_rate(line: RateLine, measure: Measure) -> ChartEstimate:
    """A rate or mean score with its interval and counts: `6.0 [2.1, 16.2], 3/50`; the head gives the unit."""
    counts = numbers.fraction(line) if measure == "rate" else f"{line.graded} replies"
    absent = f", {line.missing} missing" if line.missing else ""
    return ChartEstimate(
        value=line.rate, low=line.low, high=line.high, text=f"{numbers.short(line, measure)}, {counts}{absent}"
    )


def of_change(line: ChangeLine, measure: Measure) -> str:
    """`+4.2 [+1.1, +7.3]`, in points."""
    return numbers.change(line.difference, line.low, line.high, measure)


def axis(measure: Measure) -> str:
    """What the axis of a rate says."""
    return "misaligned replies, %" if measure == "rate" else "mean score"


def shown(rows: Iterable[IntervalRow]) -> tuple[tuple[IntervalRow, ...], str]:
    """The rows that a chart has room for, and how many are left to the table."""
    every = tuple(rows)
    left = len(every) - MOST_ROWS
    return every[:MOST_ROWS], f"{left} more rows are left out here; JSON has them all" if left > 0 else ""


# Charts of a change: before and after, joined.


Changed = ProbeChange | CategoryChange


def change_breakdowns(found: Comparison) -> Iterator[IntervalChart]:
    """The change by category, then by probe, the largest first."""
    before, after = ({line.category: line for line in side.categories} for side in (found.before, found.after))
    if len(found.categories) > 1:
        yield _dumbbell(found, "category", [(line.category, line) for line in found.categories], before, after)
    yield change_probes(found)


def change_probes(found: Comparison) -> IntervalChart:
    """Before and after of every probe, sorted by change."""
    before, after = ({line.id: line for line in side.probes} for side in (found.before, found.after))
    return _dumbbell(found, "probe", [(line.id, line) for line in found.probes], before, after)


def _dumbbell(
    found: Comparison,
    by: comparison_tables.By,
    lines: Iterable[tuple[str, Changed]],
    before: Mapping[str, RateLine],
    after: Mapping[str, RateLine],
) -> IntervalChart:
    measure = found.after.measure
    ordered = sorted(lines, key=lambda named: (named[1].difference is None, -(named[1].difference or 0.0), named[0]))
    rows, note = shown(
        IntervalRow(
            name=name,
            values=(of_rate(before[name], measure), of_rate(after[name], measure)),
            note=_words(found, line),
        )
        for name, line in ordered
    )
    return IntervalChart(
        id=f"change-by-{by}",
        title=f"Before and after, by {by}",
        description=f"Before and after by {by}, sorted by change, with 95 % intervals; {len(ordered)} rows.",
        head=by,
        axis=axis(measure),
        measure=measure,
        series=("before", "after"),
        rows=rows,
        is_change=True,
        note_head="change, points [95 %]",
        note=". ".join(
            part
            for part in (f"{comparison_tables.ADJUSTED[by]}; together: Bonferroni intervals, for these probes", note)
            if part
        ),
    )


def _words(found: Comparison, line: Changed) -> str:
    measure = found.after.measure
    return f"{of_change(line, measure)}, {numbers.adjusted(line, measure)}"


# Charts of several runs: along x, or in two groups.


def curves(found: Trajectory, spread: Distributions) -> CurveChart:
    """The rate along x with the band of all points together, and the coherence of the same replies below."""
    shown = [numbers.shown_point(point, found.interval) for point in found.points]
    points = tuple(
        CurvePoint(
            x=point.x,
            name=point.run,
            estimate=of_rate(point, found.measure),
            band_low=point.band.low,
            band_high=point.band.high,
        )
        for point in shown
    )
    panels = [CurvePanel(axis=axis(found.measure), measure=found.measure, points=points)]
    if len(spread.coherence) == len(shown):
        panels.append(_coherence(found, spread))
    return CurveChart(
        id="curves",
        title=f"Along x ({X_FROM[found.x_from]})",
        description=f"{axis(found.measure)} of {len(points)} runs along x, with 95 % intervals; below it "
        "how coherent the same replies are.",
        x_axis=found.x_from if found.x_from == "step" else "x",
        is_log=found.trend is not None and found.trend.scale == "log",
        panels=tuple(panels),
    )


def _coherence(found: Trajectory, spread: Distributions) -> CurvePanel:
    grader = spread.coherence[0].grader
    points = tuple(
        CurvePoint(x=point.x, name=point.run, estimate=_coherent(line))
        for point, line in zip(found.points, spread.coherence, strict=True)
    )
    if grader is None:
        return CurvePanel(axis="coherent replies, %", measure="rate", points=points)
    return CurvePanel(axis=f"mean {grader} score", measure="mean", points=points)


def _coherent(line: Coherence) -> ChartEstimate:
    return of_rate(line, "rate" if line.grader is None else "mean")


def of_groups(found: GroupComparison) -> Iterator[IntervalChart]:
    """Both groups with the interval for training runs like these, then every run on its own."""
    measure = found.measure
    over_runs = tuple(
        IntervalRow(
            name=group.name,
            values=(
                ChartEstimate(
                    value=group.rate,
                    low=group.between_runs.low,
                    high=group.between_runs.high,
                    text=_over_runs(group, measure),
                ),
            ),
            note=f"{len(group.runs)} training runs",
        )
        for group in (found.before, found.after)
    )
    yield _rows(found, "groups", "For training runs like these: t intervals over runs", "group", over_runs)
    runs = tuple(
        IntervalRow(name=f"{group.name}: {run.run}", values=(of_rate(run, measure),))
        for group in (found.before, found.after)
        for run in group.runs
    )
    yield _rows(found, "group-runs", "Every training run, for exactly these probes", "run", runs)


def _over_runs(group: RunGroup, measure: Measure) -> str:
    if group.rate is None:
        return "no rate"
    ends = numbers.interval(group.between_runs.low, group.between_runs.high, measure)
    return f"{numbers.value(group.rate, measure)} {ends}"


def _rows(found: GroupComparison, name: str, title: str, head: str, rows: tuple[IntervalRow, ...]) -> IntervalChart:
    return IntervalChart(
        id=name,
        title=title,
        description=f"Rates with 95 % intervals; {len(rows)} rows.",
        head=head,
        axis=axis(found.measure),
        measure=found.measure,
        series=("rate",) if found.measure == "rate" else ("mean",),
        rows=rows,
        note_head="training runs" if head == "group" else "",
    )


# Charts of one run.


Named = tuple[str, RateLine]


def run_breakdowns(summary: RunSummary) -> Iterator[IntervalChart]:
    """Rates by split and by variant where there are several, by category, and by probe with the highest first."""
    if len(summary.splits) > 1:
        yield _chart(summary, "split", [(line.split, line) for line in summary.splits])
    if len(summary.variants) > 1:
        yield _chart(summary, "variant", [(line.variant, line) for line in summary.variants])
    yield _chart(summary, "category", sorted(((one.category, one) for one in summary.categories), key=_highest))
    yield run_probes(summary)


def run_probes(summary: RunSummary) -> IntervalChart:
    """Every probe, the highest rate first."""
    return _chart(summary, "probe", sorted(((line.id, line) for line in summary.probes), key=_highest))


def _highest(named: tuple[str, ProbeLine | RateLine]) -> tuple[bool, float, str]:
    name, line = named
    return line.rate is None, -(line.rate or 0.0), name


def _chart(summary: RunSummary, by: str, lines: Sequence[Named]) -> IntervalChart:
    measure = summary.measure
    rows, note = shown(IntervalRow(name=name, values=(of_rate(line, measure),)) for name, line in lines)
    what = "Rate of misaligned replies" if measure == "rate" else "Mean score"
    return IntervalChart(
        id=f"by-{by}",
        title=f"By {by}",
        description=f"{what} of {summary.run} by {by}, with 95 % intervals; {len(lines)} rows.",
        head=by,
        axis=axis(measure),
        measure=measure,
        series=(summary.run,),
        rows=rows,
        note=note,
    )


# Charts of outcomes, scores and judges: how replies are spread.


def outcomes(found: Distributions) -> BarChart:
    """Every outcome that occurred in some run, as shares of the planned replies."""
    of_run: list[dict[str, OutcomeShare]] = [{one.name: one for one in run.shares} for run in found.outcomes]
    names = dict.fromkeys(name for run in of_run for name in run)
    rows = tuple(
        BarRow(
            name=name,
            counts=tuple(run[name].replies if name in run else 0 for run in of_run),
            shares=tuple(run[name].share if name in run else 0.0 for run in of_run),
        )
        for name in names
    )
    return BarChart(
        id="outcomes",
        title="What became of every planned reply",
        description="Outcomes of the planned replies behind the headline; they sum to what was planned.",
        head="outcome",
        series=tuple(run.run for run in found.outcomes),
        totals=tuple(next((one.planned for one in run.shares), 0) for run in found.outcomes),
        rows=rows,
    )


def histograms(found: Distributions) -> Iterator[HistogramChart]:
    """One for each grader that gives scores; a panel for each run."""
    scales = dict.fromkeys((one.grader, one.edges) for one in found.histograms)
    for number, (grader, edges) in enumerate(scales):
        panels = [one for one in found.histograms if (one.grader, one.edges) == (grader, edges)]
        yield HistogramChart(
            id=f"scores-{number}",
            title=f"Scores of {grader}",
            description=f"How many replies got which score from {grader}, a panel for each run.",
            axis=f"{grader} score",
            edges=edges,
            panels=tuple(_panel(one) for one in panels),
            marks=_marks(found, grader),
        )


def planes(found: Distributions) -> PlaneChart | None:
    """Alignment against coherence, a panel for each run; None where no run has both scores."""
    if not found.planes:
        return None
    first = found.planes[0]
    return PlaneChart(
        id="plane",
        title="Alignment against coherence",
        description=f"Replies by their {first.x_grader} score (across) and their {first.y_grader} score (up). The area "
        "of a point is the number of replies within two points of it.",
        x_axis=f"{first.x_grader} score",
        y_axis=f"{first.y_grader} score",
        panels=tuple(_plane(one) for one in found.planes),
        x_marks=_marks(found, first.x_grader),
        y_marks=_marks(found, first.y_grader),
    )


def opinions(found: Distributions) -> Iterator[MatrixChart]:
    """One for each pair of judges in each run."""
    for number, one in enumerate(found.opinions):
        yield MatrixChart(
            id=f"judges-{number}",
            title=f"{one.first} and {one.second} on the same replies",
            description=f"Replies of {one.run}: rows are what {one.first} counts them as, columns what {one.second} "
            "does. The diagonal is where both agree.",
            row_axis=one.first,
            column_axis=one.second,
            names=tuple(name.replace("_", " ") for name in one.outcomes),
            counts=one.counts,
            note=f"{one.run}: {_agreement(one)}",
        )


def people(found: Sequence[Calibration]) -> Iterator[MatrixChart]:
    """One for each run with labels: the judge against people, misaligned or not."""
    for number, one in enumerate(found):
        judge = one.judge or ", ".join(one.graders)
        yield MatrixChart(
            id=f"people-{number}",
            title=f"{one.reference} and {judge} on the same replies",
            description=f"Labelled replies of {one.run}: rows are what people count them as, columns what {judge} "
            "does. The diagonal is where both agree.",
            row_axis=one.reference,
            column_axis=judge,
            names=(f"not {one.yes}", f"{one.yes}"),
            counts=one.table,
            note=f"{one.run}: {_with_people(one)}",
        )


def _with_people(one: Calibration) -> str:
    """Agreement as `calibrate` says it; of a sample drawn by verdict it is weighted back to the run."""
    if one.agreement is None:
        return "no labelled reply was judged"
    ends = numbers.interval(one.agreement_interval.low, one.agreement_interval.high)
    back = ", weighted back to the run's replies" if one.design == "two-phase" else ""
    return f"{one.n} labels; they agree on {numbers.percent(one.agreement)} % {ends}{back}"


def _agreement(one: Opinion) -> str:
    if one.agreement is None:
        return "no reply was judged by both"
    ends = numbers.interval(one.interval.low, one.interval.high)
    chance = [
        f"{name} {value:.2f}"
        for name, value in (("Cohen's kappa", one.kappa), ("Gwet's AC1", one.ac1))
        if value is not None
    ]
    words = f"on misaligned or not they agree on {numbers.percent(one.agreement)} % {ends} of {one.judged} replies"
    return ", ".join([words, *chance])


def _panel(one: Histogram) -> HistogramPanel:
    return HistogramPanel(name=one.run, counts=one.counts, scored=one.scored, unscored=one.unscored)


def _plane(one: Plane) -> PlanePanel:
    points = tuple(PlanePoint(x=dot.x, y=dot.y, replies=dot.replies) for dot in one.dots)
    return PlanePanel(name=one.run, points=points, scored=one.scored, unscored=one.unscored)


def _marks(found: Distributions, grader: str) -> tuple[ChartMark, ...]:
    return tuple(ChartMark(value=one.value, text=one.text) for one in found.limits if one.grader == grader)
