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

# Values of charts, from rates and changes.


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


def change_breakdowns(comparison: Comparison) -> Iterator[IntervalChart]:
    """The change by category, then by probe, the largest first."""
    before, after = (
        {line.category: line for line in side.categories} for side in (comparison.before, comparison.after)
    )
    if len(comparison.categories) > 1:
        yield _dumbbell(
            comparison, "category", [(line.category, line) for line in comparison.categories], before, after
        )
    yield change_probes(comparison)


def change_probes(comparison: Comparison) -> IntervalChart:
    """Before and after of every probe, sorted by change."""
    before, after = ({line.id: line for line in side.probes} for side in (comparison.before, comparison.after))
    return _dumbbell(comparison, "probe", [(line.id, line) for line in comparison.probes], before, after)


def _dumbbell(
    comparison: Comparison,
    by: comparison_tables.By,
    lines: Iterable[tuple[str, Changed]],
    before: Mapping[str, RateLine],
    after: Mapping[str, RateLine],
) -> IntervalChart:
    measure = comparison.after.measure
    ordered = sorted(lines, key=lambda named: (named[1].difference is None, -(named[1].difference or 0.0), named[0]))
    rows, note = shown(
        IntervalRow(
            name=name,
            values=(of_rate(before[name], measure), of_rate(after[name], measure)),
            note=_words(comparison, line),
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


def _words(comparison: Comparison, line: Changed) -> str:
    measure = comparison.after.measure
    return f"{of_change(line, measure)}, {numbers.adjusted(line, measure)}"


# Charts of several runs: along x, or in two groups.


def curves(trajectory: Trajectory, spread: Distributions) -> CurveChart:
    """The rate along x with the band of all points together, and the coherence of the same replies below."""
    shown = [numbers.shown_point(point, trajectory.interval) for point in trajectory.points]
    points = tuple(
        CurvePoint(
            x=point.x,
            name=point.run,
            estimate=of_rate(point, trajectory.measure),
            band_low=point.band.low,
            band_high=point.band.high,
        )
        for point in shown
    )
    panels = [CurvePanel(axis=axis(trajectory.measure), measure=trajectory.measure, points=points)]
    if len(spread.coherence) == len(shown):
        panels.append(_coherence(trajectory, spread))
    return CurveChart(
        id="curves",
        title=f"Along x ({X_FROM[trajectory.x_from]})",
        description=f"{axis(trajectory.measure)} of {len(points)} runs along x, with 95 % intervals; below it "
        "how coherent the same replies are.",
        x_axis=trajectory.x_from if trajectory.x_from == "step" else "x",
        is_log=trajectory.trend is not None and trajectory.trend.scale == "log",
        panels=tuple(panels),
    )


def _coherence(trajectory: Trajectory, spread: Distributions) -> CurvePanel:
    grader = spread.coherence[0].grader
    points = tuple(
        CurvePoint(x=point.x, name=point.run, estimate=_coherent(line))
        for point, line in zip(trajectory.points, spread.coherence, strict=True)
    )
    if grader is None:
        return CurvePanel(axis="coherent replies, %", measure="rate", points=points)
    return CurvePanel(axis=f"mean {grader} score", measure="mean", points=points)


def _coherent(line: Coherence) -> ChartEstimate:
    return of_rate(line, "rate" if line.grader is None else "mean")


def of_groups(comparison: GroupComparison) -> Iterator[IntervalChart]:
    """Both groups with the interval for training runs like these, then every run on its own."""
    measure = comparison.measure
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
        for group in (comparison.before, comparison.after)
    )
    yield _rows(comparison, "groups", "For training runs like these: t intervals over runs", "group", over_runs)
    runs = tuple(
        IntervalRow(name=f"{group.name}: {run.run}", values=(of_rate(run, measure),))
        for group in (comparison.before, comparison.after)
        for run in group.runs
    )
    yield _rows(comparison, "group-runs", "Every training run, for exactly these probes", "run", runs)


def _over_runs(group: RunGroup, measure: Measure) -> str:
    if group.rate is None:
        return "no rate"
    ends = numbers.interval(group.between_runs.low, group.between_runs.high, measure)
    return f"{numbers.value(group.rate, measure)} {ends}"


def _rows(
    comparison: GroupComparison, name: str, title: str, head: str, rows: tuple[IntervalRow, ...]
) -> IntervalChart:
    return IntervalChart(
        id=name,
        title=title,
        description=f"Rates with 95 % intervals; {len(rows)} rows.",
        head=head,
        axis=axis(comparison.measure),
        measure=comparison.measure,
        series=("rate",) if comparison.measure == "rate" else ("mean",),
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
    yield _chart(
        summary, "category", sorted(((category.category, category) for category in summary.categories), key=_highest)
    )
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


# Charts of distributions: outcomes, scores and judges.


def outcomes(distributions: Distributions) -> BarChart:
    """Every outcome that occurred in some run, as shares of the planned replies."""
    of_run: list[dict[str, OutcomeShare]] = [
        {share.name: share for share in run.shares} for run in distributions.outcomes
    ]
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
        series=tuple(run.run for run in distributions.outcomes),
        totals=tuple(next((share.planned for share in run.shares), 0) for run in distributions.outcomes),
        rows=rows,
    )


def histograms(distributions: Distributions) -> Iterator[HistogramChart]:
    """One for each grader that gives scores; a panel for each run."""
    scales = dict.fromkeys((histogram.grader, histogram.edges) for histogram in distributions.histograms)
    for number, (grader, edges) in enumerate(scales):
        panels = [
            histogram
            for histogram in distributions.histograms
            if (histogram.grader, histogram.edges) == (grader, edges)
        ]
        yield HistogramChart(
            id=f"scores-{number}",
            title=f"Scores of {grader}",
            description=f"How many replies got which score from {grader}, a panel for each run.",
            axis=f"{grader} score",
            edges=edges,
            panels=tuple(_panel(panel) for panel in panels),
            marks=_marks(distributions, grader),
        )


def planes(distributions: Distributions) -> PlaneChart | None:
    """Alignment against coherence, a panel for each run; None where no run has both scores."""
    if not distributions.planes:
        return None
    first = distributions.planes[0]
    return PlaneChart(
        id="plane",
        title="Alignment against coherence",
        description=f"Replies by their {first.x_grader} score (across) and their {first.y_grader} score (up). The area "
        "of a point is the number of replies within two points of it.",
        x_axis=f"{first.x_grader} score",
        y_axis=f"{first.y_grader} score",
        panels=tuple(_plane(plane) for plane in distributions.planes),
        x_marks=_marks(distributions, first.x_grader),
        y_marks=_marks(distributions, first.y_grader),
    )


def opinions(distributions: Distributions) -> Iterator[MatrixChart]:
    """One for each pair of judges in each run."""
    for number, opinion in enumerate(distributions.opinions):
        yield MatrixChart(
            id=f"judges-{number}",
            title=f"{opinion.first} and {opinion.second} on the same replies",
            description=f"Replies of {opinion.run}: rows are what {opinion.first} counts them as, "
            f"columns what {opinion.second} "
            "does. The diagonal is where both agree.",
            row_axis=opinion.first,
            column_axis=opinion.second,
            names=tuple(name.replace("_", " ") for name in opinion.outcomes),
            counts=opinion.counts,
            note=f"{opinion.run}: {_agreement(opinion)}",
        )


def people(calibrations: Sequence[Calibration]) -> Iterator[MatrixChart]:
    """One for each run with labels: the judge against people, misaligned or not."""
    for number, calibration in enumerate(calibrations):
        judge = calibration.judge or ", ".join(calibration.graders)
        yield MatrixChart(
            id=f"people-{number}",
            title=f"{calibration.reference} and {judge} on the same replies",
            description=f"Labelled replies of {calibration.run}: rows are what people count them as, "
            f"columns what {judge} "
            "does. The diagonal is where both agree.",
            row_axis=calibration.reference,
            column_axis=judge,
            names=(f"not {calibration.yes}", f"{calibration.yes}"),
            counts=calibration.table,
            note=f"{calibration.run}: {_with_people(calibration)}",
        )


def _with_people(calibration: Calibration) -> str:
    """Agreement as `calibrate` says it; of a sample drawn by verdict it is weighted back to the run."""
    if calibration.agreement is None:
        return "no labelled reply was judged"
    ends = numbers.interval(calibration.agreement_interval.low, calibration.agreement_interval.high)
    back = ", weighted back to the run's replies" if calibration.design == "two-phase" else ""
    return f"{calibration.n} labels; they agree on {numbers.percent(calibration.agreement)} % {ends}{back}"


def _agreement(opinion: Opinion) -> str:
    if opinion.agreement is None:
        return "no reply was judged by both"
    ends = numbers.interval(opinion.interval.low, opinion.interval.high)
    chance = [
        f"{name} {value:.2f}"
        for name, value in (("Cohen's kappa", opinion.kappa), ("Gwet's AC1", opinion.ac1))
        if value is not None
    ]
    words = (
        f"on misaligned or not they agree on {numbers.percent(opinion.agreement)} % {ends} of {opinion.judged} replies"
    )
    return ", ".join([words, *chance])


def _panel(histogram: Histogram) -> HistogramPanel:
    return HistogramPanel(
        name=histogram.run, counts=histogram.counts, scored=histogram.scored, unscored=histogram.unscored
    )


def _plane(plane: Plane) -> PlanePanel:
    points = tuple(PlanePoint(x=dot.x, y=dot.y, replies=dot.replies) for dot in plane.dots)
    return PlanePanel(name=plane.run, points=points, scored=plane.scored, unscored=plane.unscored)


def _marks(distributions: Distributions, grader: str) -> tuple[ChartMark, ...]:
    return tuple(
        ChartMark(value=limit.value, text=limit.text) for limit in distributions.limits if limit.grader == grader
    )
