"""Documents of comparisons, trajectories and groups of runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from misalign_eval.records.document import (
    ReportDocument,
    Statement,
    Table,
    Trusted,
    captioned,
    trusted,
    trusted_values,
    warnings_block,
)
from misalign_eval.records.summary import (
    BetweenRuns,
    CategoryChange,
    Comparison,
    GroupComparison,
    Measure,
    Point,
    ProbeChange,
    RateLine,
    RunGroup,
    Trajectory,
    TrajectoryOnset,
    Trend,
)
from misalign_eval.reports import judges, numbers, sentences
from misalign_eval.reports.run import MOST_PROBES, SENSITIVITY, reading, suite

# Comparison of two runs, as sentences and table rows for every backend.


By = Literal["category", "probe"]
BREAKDOWNS: tuple[By, ...] = get_args(By)
ADJUSTED: dict[By, str] = {
    "category": "exact p adjusted by Holm",
    "probe": "mid-p adjusted by Benjamini-Hochberg, a screening",
}


def comparison_documents(comparisons: Sequence[Comparison], by: Sequence[By] = ()) -> tuple[ReportDocument, ...]:
    """Two runs in full; of more, each against the first, with an overview before."""
    shown = [*map(numbers.change_with_interval, comparisons)]
    several = (overview(shown),) if len(shown) > 1 else ()
    first = (ReportDocument("", (table,)) for table in captioned(several, caption(comparisons[0])))
    return (*first, *(_comparison_document(comparison, by) for comparison in shown))


def _comparison_document(comparison: Comparison, by: Sequence[By]) -> ReportDocument:
    statement = Statement(
        Trusted(sentence(comparison)),
        Trusted(intervals(comparison)),
        sources=provenance(comparison),
        facts=trusted_values(comparison_facts(comparison)),
    )
    tables = captioned(comparison_tables(comparison, by), caption(comparison))
    return ReportDocument(
        title=f"Change from {comparison.before.run} to {comparison.after.run}",
        blocks=(statement, *tables, *warnings_block(comparison.warnings)),
    )


def comparison_tables(comparison: Comparison, by: Sequence[By] = ()) -> Iterator[Table]:
    """Every table of a comparison, in its order. A new table is a line here."""
    yield from breakdowns(comparison, by)
    yield from sensitivity(comparison)
    yield outcome_table(comparison)
    yield from judges.of_change(comparison.judges)


def sentence(comparison: Comparison) -> str:
    """The change, whole: before, after, difference with interval and test."""
    measure = comparison.after.measure
    return f"Change: {numbers.difference(comparison.difference, measure)}, the mean over {comparison.after.averaged}."


def comparison_facts(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """Both rates, the ratio, whether the change generalises, and how small a change would have been seen."""
    measure = comparison.after.measure
    rows = [
        ("before", numbers.rated(comparison.before, measure)),
        ("after", numbers.rated(comparison.after, measure)),
        ("difference", numbers.difference(comparison.difference, measure)),
    ]
    if measure == "rate":
        rows.append(("ratio", numbers.ratio(comparison.ratio)))
        rows.append(("generalises", numbers.generalises(comparison.generalises, measure)))
    if comparison.generalises.paired_t is not None:
        is_evidence = not {"W4", "W5"} & {warning.id for warning in comparison.warnings}
        rows.append(("", numbers.paired_t(comparison.generalises.paired_t, measure, is_evidence=is_evidence)))
    if comparison.detectable is not None:
        rows.append(("detectable", numbers.detectable(comparison.detectable, measure)))
    return tuple(rows)


def intervals(comparison: Comparison) -> str:
    """What the intervals and the test are, in words."""
    text = numbers.sentence(comparison.interval)
    if comparison.difference.is_exact is None:
        return f"{text}."
    how = "exact" if comparison.difference.is_exact else "Monte-Carlo"
    return f"{text}. p: {how} stratified permutation test that no probe changed, twice the smaller tail."


def provenance(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """Whose numbers these are; one line where both runs agree."""
    before, after = comparison.before, comparison.after
    rows = [
        ("before", f"{before.run}: {before.called}"),
        ("after", f"{after.run}: {after.called}"),
        ("definition", comparison.definition),
        ("suite", _both(suite(before), suite(after))),
        ("judge", _both(before.judge or "none: rules only", after.judge or "none: rules only")),
        *sentences.provenance(after.calibration)[:1],
    ]
    return tuple(rows)


def caption(comparison: Comparison) -> str:
    """Printed with every table: a number without them means nothing."""
    judge = _both(comparison.before.judge or "none", comparison.after.judge or "none")
    suites = _both(suite(comparison.before), suite(comparison.after))
    return f"definition {comparison.definition}; judge {judge}; suite {suites}"


def breakdowns(comparison: Comparison, by: Sequence[By] = ()) -> tuple[Table, ...]:
    """The categories, then the probes with the largest changes first."""
    tables = {"category": _categories, "probe": _probes}
    return tuple(tables[name](comparison, whole=bool(by)) for name in (by or BREAKDOWNS))


def sensitivity(comparison: Comparison) -> Iterator[Table]:
    """The change counted in every other way; nothing where that was not asked for."""
    if comparison.sensitivity is None:
        return
    rows = tuple(
        (
            reading(line),
            _cell(line.before, line.measure),
            _cell(line.after, line.measure),
            numbers.change(line.difference, line.low, line.high, line.measure),
        )
        for line in comparison.sensitivity
    )
    heads = trusted("counted as", "before % [95 %]", "after % [95 %]", "points [95 %]")
    yield Table(SENSITIVITY, heads, rows)


def outcome_table(comparison: Comparison) -> Table:
    """Every outcome before and after: fine-tuning also changes refusal and coherence."""
    before, after = comparison.before, comparison.after
    rows = [
        (name.replace("_", " "), str(before.outcomes.get(name, 0)), str(after.outcomes.get(name, 0)))
        for name in after.outcomes
        if before.outcomes.get(name, 0) or after.outcomes.get(name, 0)
    ]
    rows.append(("planned", str(before.planned), str(after.planned)))
    return Table("Outcomes of the replies compared", trusted("outcome", "before", "after"), tuple(rows))


def overview(comparisons: Sequence[Comparison]) -> Table:
    """One line for each run that was compared with the first."""
    measure = comparisons[0].after.measure
    rows = [(comparisons[0].before.run, numbers.rated(comparisons[0].before, measure), "")]
    rows += [
        (
            comparison.after.run,
            numbers.rated(comparison.after, measure),
            numbers.difference(comparison.difference, measure),
        )
        for comparison in comparisons
    ]
    return Table("Runs", trusted("run", _head("rate", measure), "change from the first"), tuple(rows))


def _categories(comparison: Comparison, *, whole: bool) -> Table:
    del whole  # categories are few
    return _table(
        comparison, comparison.categories, {line.category: line for line in comparison.before.categories}, "category", 0
    )


def _probes(comparison: Comparison, *, whole: bool) -> Table:
    lines = sorted(comparison.probes, key=lambda line: -abs(line.difference or 0.0))
    shown = lines if whole else lines[:MOST_PROBES]
    before = {line.id: line for line in comparison.before.probes}
    return _table(comparison, shown, before, "probe", len(lines) - len(shown))


def _table(
    comparison: Comparison,
    lines: Sequence[ProbeChange] | Sequence[CategoryChange],
    before: Mapping[str, RateLine],
    by: By,
    left: int,
) -> Table:
    after: dict[str, RateLine] = (
        {line.category: line for line in comparison.after.categories}
        if by == "category"
        else {line.id: line for line in comparison.after.probes}
    )
    measure = comparison.after.measure
    rows = [
        (name, _cell(before[name], measure), _cell(after[name], measure), _change(line, measure))
        for line in lines
        for name in (line.id if isinstance(line, ProbeChange) else line.category,)
    ]
    note = f"{left} more with smaller changes: `--by probe` shows them all" if left else ""
    adjusted = f"{ADJUSTED[by]}; together: Bonferroni intervals, for these probes"
    heads = trusted(by, _head("before", measure), _head("after", measure), "points [95 %]")
    return Table(Trusted(f"By {by} ({adjusted})"), heads, tuple(rows), Trusted(note))


def _cell(line: RateLine, measure: Measure) -> str:
    counts = numbers.fraction(line) if measure == "rate" else f"{line.graded} replies"
    return f"{numbers.short(line, measure)}\n{counts}, {line.missing} missing"


def _change(line: ProbeChange | CategoryChange, measure: Measure) -> str:
    own = numbers.change(line.difference, line.low, line.high, measure)
    return "\n".join([own, *numbers.adjusted(line, measure).split(", ", 1)])


def _head(name: str, measure: Measure) -> str:
    return f"{name} % [95 %]" if measure == "rate" else f"{name} [95 %]"


def _both(before: str, after: str) -> str:
    return before if before == after else f"{before} before, {after} after"


# Trajectories and groups of runs, as sentences and table rows for every backend.


X_FROM = {"--x": "--x", "step": "the label `step`", "order": "the order given"}
SCALES = {"value": "x itself", "rank": "the rank of x", "log": "log(1 + x)"}


def trajectory_document(trajectory: Trajectory) -> ReportDocument:
    """Runs along x: the trend, a table of points, warnings."""
    explanation = Trusted(f"{numbers.sentence(trajectory.interval)}.")
    statement = Statement(
        trajectory_sentence(trajectory), explanation, facts=trusted_values(trajectory_facts(trajectory))
    )
    tables = captioned((points(trajectory),), trajectory.caption)
    title = f"Trajectory of {len(trajectory.points)} runs"
    return ReportDocument(title, (statement, *tables, *warnings_block(trajectory.warnings)))


def groups_document(comparison: GroupComparison) -> ReportDocument:
    """Two groups of training runs: the change over runs, both groups, every run."""
    statement = Statement(group_sentence(comparison), facts=trusted_values(group_facts(comparison)))
    tables = captioned((group_runs(comparison),), comparison.caption)
    title = f"Change from {comparison.before.name} to {comparison.after.name}"
    return ReportDocument(title, (statement, *tables, *warnings_block(comparison.warnings)))


def trajectory_sentence(trajectory: Trajectory) -> str:
    """What is shown, and whether it moves."""
    runs = f"{len(trajectory.points)} runs along x ({X_FROM[trajectory.x_from]}), the mean over {trajectory.averaged}"
    if trajectory.trend is None:
        return f"Trajectory: {runs}."
    direction = "rising" if trajectory.trend.z > 0 else "falling" if trajectory.trend.z < 0 else "level"
    shown = direction if trajectory.trend.p_value < 0.05 else "no trend shown"
    return f"Trajectory: {shown}, {numbers.p_value(trajectory.trend.p_value)}; {runs}."


def trajectory_facts(trajectory: Trajectory) -> tuple[tuple[str, str], ...]:
    """Trend, onset and slope."""
    rows = []
    if trajectory.trend is not None:
        rows.append(("trend", _trend(trajectory.trend)))
    if trajectory.onset is not None:
        rows.append(("onset", _onset(trajectory.onset, trajectory.points[0].x)))
    if trajectory.slope is not None:
        words = f"{between(trajectory.slope, trajectory.measure)} for one unit of x"
        rows.append(("slope over runs", f"{words} (t, the training run as the unit: runs like these)"))
    return tuple(rows)


def points(trajectory: Trajectory) -> Table:
    """One line a run: rate, band, incoherent replies beside, change from the first."""
    measure = trajectory.measure
    changes = [
        "",
        *(
            numbers.difference(numbers.change_with_interval(comparison).difference, measure)
            for comparison in trajectory.comparisons
        ),
    ]
    rows = [
        (
            f"{point.x:g}: {point.run}",
            _point(numbers.shown_point(point, trajectory.interval), measure),
            _beside(point),
            change.replace(" points ", "\n").replace("], ", "]\n"),
        )
        for point, change in zip(trajectory.points, changes, strict=True)
    ]
    head = "misaligned % [95 %]" if measure == "rate" else "mean [95 %]"
    note = "bands hold together at 95 %, for exactly these probes; `compare` of two runs shows a change in full"
    heads = trusted("x: run", head, "incoherent, refused", "change from the first")
    return Table("Runs", heads, tuple(rows), Trusted(note))


def group_sentence(comparison: GroupComparison) -> str:
    """The change with the training run as the unit, whole."""
    if comparison.between_runs is None:
        change = numbers.difference(comparison.difference, comparison.measure).removesuffix(", no p")
        return f"Change: {change}, for these runs only."
    count = f"{len(comparison.before.runs)} and {len(comparison.after.runs)} training runs"
    words = between(comparison.between_runs, comparison.measure)
    return f"Change: {words} over {count}, the mean over {comparison.averaged}."


def group_facts(comparison: GroupComparison) -> tuple[tuple[str, str], ...]:
    """Both groups and the change, each with the interval for such runs and for exactly these."""
    rows = []
    for group in (comparison.before, comparison.after):
        rows.append((group.name, f"{numbers.rated(group, comparison.measure)}, for exactly these runs and probes"))
        rows.append(("", _over_runs(group, comparison.measure)))
    change = numbers.difference(comparison.difference, comparison.measure).removesuffix(", no p")
    rows.append(("difference", f"{change}, for exactly these runs and probes"))
    if comparison.between_runs is not None:
        words = f"{between(comparison.between_runs, comparison.measure)}, for training runs like these"
        rows.append(("", f"{words} (Welch's t on {comparison.between_runs.df:.1f} degrees of freedom)"))
        if comparison.between_runs.detectable is not None:
            size = numbers.value(comparison.between_runs.detectable, comparison.measure)
            words = f"a change of {size} points would show in 80 % of such sets of training runs (two-sided 5 %)"
            rows.append(("detectable", words))
    return tuple(rows)


def group_runs(comparison: GroupComparison) -> Table:
    """Every run on its own."""
    measure = comparison.measure
    rows = [
        (f"{group.name}: {line.run}", _rate(line, measure), str(line.missing), _beside(line))
        for group in (comparison.before, comparison.after)
        for line in group.runs
    ]
    head = "misaligned % [95 %]" if measure == "rate" else "mean [95 %]"
    return Table("Runs", trusted("run", head, "missing", "incoherent, refused"), tuple(rows))


def between(runs: BetweenRuns, measure: Measure) -> str:
    """`+24 points [+18, +30], p = 0.002`."""
    ends = numbers.change(runs.estimate, runs.low, runs.high, measure).partition(" ")[2]
    return f"{numbers.points(runs.estimate, measure)} points {ends}, {numbers.p_value(runs.p_value)}"


def _over_runs(group: RunGroup, measure: Measure) -> str:
    runs = f"{len(group.runs)} training runs" if len(group.runs) != 1 else "1 training run"
    if group.between_runs.low is None:
        why = "which all agree" if len(group.runs) > 1 else "which has no spread"
        return f"no interval for training runs like these from {runs}, {why}"
    ends = numbers.interval(group.between_runs.low, group.between_runs.high, measure)
    return f"{ends} for training runs like these (t over {runs})"


def _rate(line: RateLine, measure: Measure) -> str:
    counts = numbers.fraction(line) if measure == "rate" else f"{line.graded} replies"
    return f"{numbers.short(line, measure)}\n{counts}, {line.missing} missing"


def _point(point: Point, measure: Measure) -> str:
    rate, counts = _rate(point, measure).split("\n")
    return f"{rate}\nband {numbers.interval(point.band.low, point.band.high, measure)}\n{counts}"


def _beside(line: RateLine) -> str:
    """Fine-tuning also changes coherence and refusal."""
    return f"{line.outcomes.get('incoherent', 0)}, {line.outcomes.get('refused', 0)} of {line.planned}"


def _trend(trend: Trend) -> str:
    how = "p by permuting replies, as events are few" if trend.is_permuted else "stratified Mantel test"
    return (
        f"z = {trend.z:.2f}, {numbers.p_value(trend.p_value)} ({how}; {trend.events} misaligned replies against "
        f"{SCALES[trend.scale]}; for exactly these probes and runs)"
    )


def _onset(onset: TrajectoryOnset, first: float) -> str:
    tests = ", ".join(f"{test.x:g} ({numbers.p_value(test.p_value)})" for test in onset.tests)
    how = f"one-sided permutation tests against x = {first:g}, from the last backwards: {tests}"
    if onset.x is None:
        return f"none shown: the last x is not shown to be above the first ({how})"
    return f"x = {onset.x:g}: from there on every x is shown to be above the first ({how})"
