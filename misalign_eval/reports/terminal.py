"""Reports as terminal pages: readable at 80 columns, without colour, without Unicode. Nothing hostile is markup."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from misalign_eval.records.analysis import Comparison, Provenance, Report, RunSummary, Warned, WorstReply
from misalign_eval.records.power import Power
from misalign_eval.records.trajectory import GroupComparison, Trajectory
from misalign_eval.reports import changes, courses, estimand, judge_tables, lint_words, outlook, tables
from misalign_eval.reports.console import rendered
from misalign_eval.reports.escape import one_line
from misalign_eval.reports.tables import By, Table

BAR_WIDTH = 40
EXCERPT = 220


def run_report(report: Report, by: Sequence[By] = ()) -> str:
    """One run: headline, breakdowns, outcomes, worst replies, warnings."""
    summary = estimand.shown(report.summary)
    parts: list[RenderableType] = [
        _provenance(summary),
        "",
        Text(tables.sentence(summary), style="bold"),
        Text(tables.second_sentence(summary)),
    ]
    for table in tables.breakdowns(summary, by):
        parts += ["", grid(table, tables.caption(summary))]
    more = tables.sensitivity(summary)
    if more is not None:
        parts += ["", grid(more, tables.caption(summary))]
    for table in judge_tables.of_run(summary.judges):
        parts += ["", grid(table._replace(note=one_line(table.note)), tables.caption(summary))]
    for table in tables.other_graders(summary):
        safe = table._replace(title=one_line(table.title), note=one_line(table.note))
        parts += ["", grid(safe, tables.caption(summary))]
    parts += ["", _outcomes(summary)]
    if report.worst:
        parts += ["", *_worst(report.worst)]
    if summary.warnings:
        parts += ["", *warned(summary.warnings)]
    if summary.lint is not None:
        parts += ["", Text(lint_words.TITLE, style="bold"), *linted(lint_words.section(summary.lint, summary.warnings))]
    return rendered(*parts)


def comparison(found: Sequence[Comparison], by: Sequence[changes.By] = ()) -> str:
    """Two runs in full; of more, each against the first, with an overview before."""
    parts: list[RenderableType] = []
    if len(found) > 1:
        parts += [grid(changes.overview([*map(estimand.shown_change, found)]), changes.caption(found[0])), ""]
    for one in map(estimand.shown_change, found):
        parts += [pairs(changes.provenance(one)), "", Text(changes.sentence(one), style="bold")]
        parts += [pairs(changes.facts(one)), Text(changes.intervals(one))]
        more = [table for table in (changes.sensitivity(one),) if table is not None]
        for table in (*changes.breakdowns(one, by), *more, changes.outcome_table(one)):
            parts += ["", grid(table, changes.caption(one))]
        for table in judge_tables.of_change(one.judges):
            parts += ["", grid(table._replace(note=one_line(table.note)), changes.caption(one))]
        if one.warnings:
            parts += ["", *warned(one.warnings)]
        parts.append("")
    return rendered(*parts)


def grid(table: Table, caption: str) -> RenderableType:
    """A table of words with what it was measured with below."""
    columns = [Column(table.columns[0], overflow="fold", ratio=1)]
    columns += [Column(name, justify="right", no_wrap=False) for name in table.columns[1:]]
    shown = Grid(*columns, title=None, box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    for row in table.rows:
        shown.add_row(*(Text(one_line(cell) if place == 0 else cell) for place, cell in enumerate(row)))
    below = [Text(f"({table.note})", style="dim")] if table.note else []
    return Group(Text(table.title, style="bold"), shown, *below, Text(one_line(caption), style="dim"))


def warned(warnings: Iterable[Warned]) -> Iterator[RenderableType]:
    """Every warning in words, its id behind."""
    yield Text("Warnings", style="bold")
    for warning in warnings:
        yield _hanging("! ", Text(one_line(f"{warning.text} ({warning.id})"), style="yellow"))


def linted(lines: Iterable[lint_words.Line]) -> Iterator[RenderableType]:
    """Findings, marked by how grave they are."""
    styles = {"error": "bold red", "warning": "yellow", "note": ""}
    for line in lines:
        yield _hanging(lint_words.MARKS[line.level], Text(one_line(line.text), style=styles[line.level]))


def pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and what they are, one a line."""
    shown = Grid.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for name, what in rows:
        shown.add_row(Text(one_line(name), style="dim"), Text(one_line(what)))
    return shown


def _provenance(source: Provenance) -> RenderableType:
    return pairs(tables.provenance(source))


def _outcomes(summary: RunSummary) -> RenderableType:
    shown = Grid.grid(Column(), Column(justify="right"), Column(), padding=(0, 2, 0, 0))
    rows = tables.outcome_rows(summary)
    for name, count in rows:
        # A single reply still gets a mark: a bar of nothing would say zero.
        width = max(1, round(BAR_WIDTH * count / max(summary.planned, 1)))
        shown.add_row(name, str(count), "█" * width)
    title = Text(f"Outcomes of the {summary.planned} planned replies behind the headline", style="bold")
    return Group(title, shown, Text(one_line(tables.caption(summary)), style="dim"))


def _worst(worst: Iterable[WorstReply]) -> Iterator[RenderableType]:
    yield Text("Worst replies (`show` prints them whole)", style="bold")
    for reply in worst:
        yield Text(one_line(tables.worst_title(reply)))
        yield _hanging("  | ", Text(one_line(tables.excerpt(reply), EXCERPT)))


def _hanging(mark: str, text: Text) -> RenderableType:
    shown = Grid.grid(Column(no_wrap=True), Column(overflow="fold"))
    shown.add_row(Text(mark), text)
    return Padding(shown, 0, expand=False)


def trajectory(found: Trajectory) -> str:
    """Runs along x: the trend, a table of points, warnings."""
    parts: list[RenderableType] = [Text(one_line(courses.trajectory_sentence(found)), style="bold")]
    parts += [pairs(courses.trajectory_facts(found)), Text(f"{estimand.sentence(found.interval)}."), ""]
    parts.append(grid(courses.points(found), found.caption))
    if found.warnings:
        parts += ["", *warned(found.warnings)]
    return rendered(*parts)


def groups(found: GroupComparison) -> str:
    """Two groups of training runs: the change over runs, both groups, every run."""
    parts: list[RenderableType] = [Text(one_line(courses.group_sentence(found)), style="bold")]
    parts += [pairs(courses.group_facts(found)), "", grid(courses.group_runs(found), found.caption)]
    if found.warnings:
        parts += ["", *warned(found.warnings)]
    return rendered(*parts)


def power(found: Power) -> str:
    """What a plan can show: the likely end, what it takes, the simulated procedure, warnings."""
    parts: list[RenderableType] = [Text(outlook.sentence(found), style="bold"), pairs(outlook.facts(found))]
    for table in outlook.tables(found):
        parts += ["", grid(table, outlook.caption(found))]
    if found.warnings:
        parts += ["", *warned(found.warnings)]
    return rendered(*parts)
