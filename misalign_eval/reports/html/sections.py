"""What stands under each heading, for whichever of the records a page has."""

from collections.abc import Iterator, Sequence

from misalign_eval.records.analysis import Comparison, RunSummary, Warned
from misalign_eval.records.charts import Estimate, IntervalChart, IntervalRow
from misalign_eval.records.gate import CheckResult, Gate
from misalign_eval.records.page import Page
from misalign_eval.reports import changes, courses, estimand, judge_tables, tables, verdicts
from misalign_eval.reports.charts import changes as change_charts
from misalign_eval.reports.charts import courses as course_charts
from misalign_eval.reports.charts import runs as run_charts
from misalign_eval.reports.charts import spreads
from misalign_eval.reports.html import linted, parts
from misalign_eval.reports.html.markup import Html, el
from misalign_eval.reports.html.parts import Section


def of_page(page: Page) -> Iterator[Section]:
    """In the order in which they are read; those with nothing to say are left out."""
    if page.gate is not None:
        yield Section("gate", "Gate", tuple(_gate(page.gate)))
    yield Section("measured", "What was measured", tuple(_measured(page)))
    if page.trajectory is not None:
        chart = course_charts.curves(page.trajectory, page.distributions)
        rest = parts.table(courses.points(page.trajectory), page.trajectory.caption)
        yield Section("curves", "Along the runs", (parts.chart(chart), rest))
    if page.groups is not None:
        charts = tuple(parts.chart(one) for one in course_charts.of_groups(page.groups))
        yield Section("groups", "Groups", charts)
    yield Section("outcomes", "Outcomes", (parts.chart(spreads.outcomes(page.distributions)),))
    yield from _breakdowns(page)
    yield from _scores(page)
    yield from _sensitivity(page)
    yield Section("warnings", "Warnings", (parts.warnings(warnings_of(page)), *linted.blocks(page)))


def warnings_of(page: Page) -> tuple[Warned, ...]:
    """Of whatever the page is about, each once: what a gate says of its run is what its change says of `after`."""
    found: list[Warned] = []
    for record in (page.gate, page.trajectory, page.groups, page.comparison):
        found += record.warnings if record is not None else ()
    for one in page.reports:
        name = f"{one.summary.run}: " if len(page.reports) > 1 else ""
        found += [warning.model_copy(update={"text": f"{name}{warning.text}"}) for warning in one.summary.warnings]
    once: dict[tuple[str, str], Warned] = {}
    for warning in found:
        text = warning.text.removeprefix("after: ") if page.gate is not None else warning.text
        once.setdefault((warning.id, text), warning)
    return tuple(once.values())


def _measured(page: Page) -> Iterator[Html]:
    for one in page.reports:
        summary = estimand.shown(one.summary)
        yield parts.facts((*tables.provenance(summary), *_counts(summary)))
    if page.comparison is not None:
        found = estimand.shown_change(page.comparison)
        yield el("p", f"{changes.sentence(found)} {changes.intervals(found)}")
        yield parts.facts((*changes.facts(found), *changes.provenance(found), *_both_counts(found)))
    if page.trajectory is not None:
        yield el("p", f"{courses.trajectory_sentence(page.trajectory)} {estimand.sentence(page.trajectory.interval)}.")
        yield parts.facts((*courses.trajectory_facts(page.trajectory), ("counted by", page.trajectory.caption)))
    if page.groups is not None:
        yield el("p", courses.group_sentence(page.groups))
        yield parts.facts((*courses.group_facts(page.groups), ("counted by", page.groups.caption)))


def _counts(summary: RunSummary) -> tuple[tuple[str, str], ...]:
    return (
        ("replies", f"{summary.replies} of {summary.planned} planned, {summary.graded} counted by the definition"),
        ("missing", _missing(summary)),
    )


def _both_counts(found: Comparison) -> tuple[tuple[str, str], ...]:
    sides = (("before", found.before), ("after", found.after))
    words = (f"{name} {one.replies} of {one.planned} planned, {one.graded} counted" for name, one in sides)
    missing = (f"{name}: {_missing(one)}" for name, one in sides)
    return ("replies", "; ".join(words)), ("missing", "; ".join(missing))


def _missing(summary: RunSummary) -> str:
    ungraded, failed = (summary.outcomes.get(name, 0) for name in ("ungraded", "failed"))
    return f"{summary.missing}: {ungraded} could not be graded, {failed} failed or not collected"


def _breakdowns(page: Page) -> Iterator[Section]:
    if page.reports:
        charts = [chart for number in range(len(page.reports)) for chart in _rates(page, number)]
        yield Section("rates", "Rates", tuple(parts.chart(one) for one in charts))
    found = page.comparison or (page.trajectory.comparisons[-1] if page.trajectory else None)
    if found is not None:
        shown_change = estimand.shown_change(found)
        title = "Before and after" if page.comparison else f"From {found.before.run} to {found.after.run}"
        yield Section("changes", title, tuple(parts.chart(one) for one in change_charts.breakdowns(shown_change)))


def _rates(page: Page, number: int) -> list[IntervalChart]:
    """The charts of one run, named by it where there are several."""
    shown = estimand.shown(page.reports[number].summary)
    charts = list(run_charts.breakdowns(shown))
    if len(page.reports) == 1:
        return charts
    return [one.model_copy(update={"id": f"{one.id}-{number}", "title": f"{shown.run}: {one.title}"}) for one in charts]


def _scores(page: Page) -> Iterator[Section]:
    plane = spreads.planes(page.distributions)
    drawn = [parts.chart(one) for one in spreads.histograms(page.distributions)]
    if plane is not None:
        drawn.insert(0, parts.chart(plane))
    if drawn:
        yield Section("scores", "Scores", tuple(drawn))
    matrices = (*spreads.opinions(page.distributions), *spreads.people(page.people))
    judged = (*_under_each_judge(page), *map(parts.chart, matrices))
    if judged:
        yield Section("judges", "Judges", judged)


def _under_each_judge(page: Page) -> Iterator[Html]:
    """The headline or the change once more under every judge that graded it."""
    for one in page.reports:
        for table in (*judge_tables.of_run(one.summary.judges), *tables.other_graders(one.summary)):
            yield parts.table(table, tables.caption(one.summary))
    if page.comparison is not None:
        for table in judge_tables.of_change(page.comparison.judges):
            yield parts.table(table, changes.caption(page.comparison))


def _sensitivity(page: Page) -> Iterator[Section]:
    change = page.comparison or (page.trajectory.comparisons[-1] if page.trajectory else None)
    found = [(tables.sensitivity(one.summary), tables.caption(one.summary)) for one in page.reports]
    if change is not None:
        found.append((changes.sensitivity(change), changes.caption(change)))
    drawn = tuple(parts.table(table, caption) for table, caption in found if table is not None)
    if drawn:
        words = el("p", "A result that changes its sign here is a result of the counting.")
        yield Section("sensitivity", "Counted otherwise", (words, *drawn))


def _gate(found: Gate) -> Iterator[Html]:
    yield parts.facts(verdicts.provenance(found))
    rates = [one for one in found.checks if one.kind != "difference"]
    rises = [one for one in found.checks if one.kind == "difference"]
    if rates:
        yield parts.chart(_checks(found, rates, "Rate against the limit", "misaligned replies, %"))
    if rises:
        yield parts.chart(_checks(found, rises, "Rise against the margin", "rise, points"))
    for check in found.checks:
        yield el("h3", verdicts.check_title(check))
        yield parts.facts(verdicts.check_rows(check, found.measured))
    yield parts.table(verdicts.companions(found), verdicts.caption(found))


def _checks(found: Gate, checks: Sequence[CheckResult], title: str, axis: str) -> IntervalChart:
    """Estimates with both bounds, and the limits that they are held against."""
    rows = (
        IntervalRow(
            name=verdicts.check_title(one),
            values=(Estimate(value=one.estimate, low=one.low, high=one.high, text=_bound(found, one)),),
        )
        for one in checks
    )
    return IntervalChart(
        id=f"gate-{checks[0].kind}",
        title=title,
        description="Estimate with its bounds; the broken line is the limit.",
        head="check",
        axis=axis,
        measure="rate",
        series=("bound",),
        value_head="bound that decides",
        rows=tuple(rows),
        limits=tuple(dict.fromkeys(one.limit for one in checks)),
    )


def _bound(found: Gate, check: CheckResult) -> str:
    return dict(verdicts.check_rows(check, found.measured))["bound"]
