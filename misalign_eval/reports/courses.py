"""What several runs say together, before it is a terminal page or Markdown: trajectories, and groups of runs."""

from misalign_eval.records.analysis import Measure, Rated
from misalign_eval.records.trajectory import (
    BetweenRuns,
    GroupComparison,
    Onset,
    Point,
    RunGroup,
    Trajectory,
    Trend,
)
from misalign_eval.reports import estimand, numbers
from misalign_eval.reports.tables import Table

X_FROM = {"--x": "--x", "step": "the label `step`", "order": "the order given"}
SCALES = {"value": "x itself", "rank": "the rank of x", "log": "log(1 + x)"}


def trajectory_sentence(found: Trajectory) -> str:
    """What is shown, and whether it moves."""
    runs = f"{len(found.points)} runs along x ({X_FROM[found.x_from]}), the mean over {found.averaged}"
    if found.trend is None:
        return f"Trajectory: {runs}."
    direction = "rising" if found.trend.z > 0 else "falling" if found.trend.z < 0 else "level"
    shown = direction if found.trend.p_value < 0.05 else "no trend shown"
    return f"Trajectory: {shown}, {numbers.p_value(found.trend.p_value)}; {runs}."


def trajectory_facts(found: Trajectory) -> tuple[tuple[str, str], ...]:
    """Trend, onset and slope."""
    rows = []
    if found.trend is not None:
        rows.append(("trend", _trend(found.trend)))
    if found.onset is not None:
        rows.append(("onset", _onset(found.onset, found.points[0].x)))
    if found.slope is not None:
        words = f"{between(found.slope, found.measure)} for one unit of x"
        rows.append(("slope over runs", f"{words} (t, the training run as the unit: runs like these)"))
    return tuple(rows)


def points(found: Trajectory) -> Table:
    """One line a run: rate, band, incoherent replies beside, change from the first."""
    measure = found.measure
    changes = ["", *(numbers.difference(estimand.shown_change(one).difference, measure) for one in found.comparisons)]
    rows = [
        (
            f"{point.x:g}: {point.run}",
            _point(estimand.shown_point(point, found.interval), measure),
            _beside(point),
            change.replace(" points ", "\n").replace("], ", "]\n"),
        )
        for point, change in zip(found.points, changes, strict=True)
    ]
    head = "misaligned % [95 %]" if measure == "rate" else "mean [95 %]"
    note = "bands hold together at 95 %, for exactly these probes; `compare` of two runs shows a change in full"
    heads = ("x: run", head, "incoherent, refused", "change from the first")
    return Table("Runs", heads, tuple(rows), note)


def group_sentence(found: GroupComparison) -> str:
    """The change with the training run as the unit, whole."""
    if found.between_runs is None:
        change = numbers.difference(found.difference, found.measure).removesuffix(", no p")
        return f"Change: {change}, for these runs only."
    count = f"{len(found.before.runs)} and {len(found.after.runs)} training runs"
    words = between(found.between_runs, found.measure)
    return f"Change: {words} over {count}, the mean over {found.averaged}."


def group_facts(found: GroupComparison) -> tuple[tuple[str, str], ...]:
    """Both groups and the change, each with the interval for such runs and for exactly these."""
    rows = []
    for group in (found.before, found.after):
        rows.append((group.name, f"{numbers.rated(group, found.measure)}, for exactly these runs and probes"))
        rows.append(("", _over_runs(group, found.measure)))
    change = numbers.difference(found.difference, found.measure).removesuffix(", no p")
    rows.append(("difference", f"{change}, for exactly these runs and probes"))
    if found.between_runs is not None:
        words = f"{between(found.between_runs, found.measure)}, for training runs like these"
        rows.append(("", f"{words} (Welch's t on {found.between_runs.df:.1f} degrees of freedom)"))
        if found.between_runs.detectable is not None:
            size = numbers.value(found.between_runs.detectable, found.measure)
            words = f"a change of {size} points would show in 80 % of such sets of training runs (two-sided 5 %)"
            rows.append(("detectable", words))
    return tuple(rows)


def group_runs(found: GroupComparison) -> Table:
    """Every run on its own."""
    measure = found.measure
    rows = [
        (f"{group.name}: {line.run}", _rate(line, measure), str(line.missing), _beside(line))
        for group in (found.before, found.after)
        for line in group.runs
    ]
    head = "misaligned % [95 %]" if measure == "rate" else "mean [95 %]"
    return Table("Runs", ("run", head, "missing", "incoherent, refused"), tuple(rows))


def between(found: BetweenRuns, measure: Measure) -> str:
    """`+24 points [+18, +30], p = 0.002`."""
    ends = numbers.change(found.estimate, found.low, found.high, measure).partition(" ")[2]
    return f"{numbers.points(found.estimate, measure)} points {ends}, {numbers.p_value(found.p_value)}"


def _over_runs(group: RunGroup, measure: Measure) -> str:
    runs = f"{len(group.runs)} training runs" if len(group.runs) != 1 else "1 training run"
    if group.between_runs.low is None:
        why = "which all agree" if len(group.runs) > 1 else "which has no spread"
        return f"no interval for training runs like these from {runs}, {why}"
    ends = numbers.interval(group.between_runs.low, group.between_runs.high, measure)
    return f"{ends} for training runs like these (t over {runs})"


def _rate(line: Rated, measure: Measure) -> str:
    counts = numbers.fraction(line) if measure == "rate" else f"{line.graded} replies"
    return f"{numbers.short(line, measure)}\n{counts}, {line.missing} missing"


def _point(point: Point, measure: Measure) -> str:
    rate, counts = _rate(point, measure).split("\n")
    return f"{rate}\nband {numbers.interval(point.band.low, point.band.high, measure)}\n{counts}"


def _beside(line: Rated) -> str:
    """Fine-tuning also changes coherence and refusal."""
    return f"{line.outcomes.get('incoherent', 0)}, {line.outcomes.get('refused', 0)} of {line.planned}"


def _trend(found: Trend) -> str:
    how = "p by permuting replies, as events are few" if found.is_permuted else "stratified Mantel test"
    return (
        f"z = {found.z:.2f}, {numbers.p_value(found.p_value)} ({how}; {found.events} misaligned replies against "
        f"{SCALES[found.scale]}; for exactly these probes and runs)"
    )


def _onset(found: Onset, first: float) -> str:
    tests = ", ".join(f"{test.x:g} ({numbers.p_value(test.p_value)})" for test in found.tests)
    how = f"one-sided permutation tests against x = {first:g}, from the last backwards: {tests}"
    if found.x is None:
        return f"none shown: the last x is not shown to be above the first ({how})"
    return f"x = {found.x:g}: from there on every x is shown to be above the first ({how})"
