"""Charts of a change: before and after, joined."""

from collections.abc import Iterable, Iterator, Mapping

from misalign_eval.records.analysis import CategoryChange, Comparison, ProbeChange, Rated
from misalign_eval.records.charts import IntervalChart, IntervalRow
from misalign_eval.reports import changes, numbers
from misalign_eval.reports.charts import estimates

Changed = ProbeChange | CategoryChange


def breakdowns(found: Comparison) -> Iterator[IntervalChart]:
    """The change by category, then by probe, the largest first."""
    before, after = ({line.category: line for line in side.categories} for side in (found.before, found.after))
    if len(found.categories) > 1:
        yield _dumbbell(found, "category", [(line.category, line) for line in found.categories], before, after)
    yield probes(found)


def probes(found: Comparison) -> IntervalChart:
    """Before and after of every probe, sorted by change."""
    before, after = ({line.id: line for line in side.probes} for side in (found.before, found.after))
    return _dumbbell(found, "probe", [(line.id, line) for line in found.probes], before, after)


def _dumbbell(
    found: Comparison,
    by: changes.By,
    lines: Iterable[tuple[str, Changed]],
    before: Mapping[str, Rated],
    after: Mapping[str, Rated],
) -> IntervalChart:
    measure = found.after.measure
    ordered = sorted(lines, key=lambda named: (named[1].difference is None, -(named[1].difference or 0.0), named[0]))
    rows, note = estimates.shown(
        IntervalRow(
            name=name,
            values=(estimates.of_rate(before[name], measure), estimates.of_rate(after[name], measure)),
            note=_words(found, line),
        )
        for name, line in ordered
    )
    return IntervalChart(
        id=f"change-by-{by}",
        title=f"Before and after, by {by}",
        description=f"Before and after by {by}, sorted by change, with 95 % intervals; {len(ordered)} rows.",
        head=by,
        axis=estimates.axis(measure),
        measure=measure,
        series=("before", "after"),
        rows=rows,
        is_change=True,
        note_head="change, points [95 %]",
        note=". ".join(
            part for part in (f"{changes.ADJUSTED[by]}; together: Bonferroni intervals, for these probes", note) if part
        ),
    )


def _words(found: Comparison, line: Changed) -> str:
    measure = found.after.measure
    return f"{estimates.of_change(line, measure)}, {numbers.adjusted(line, measure)}"
