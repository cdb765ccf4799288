"""Reports as Markdown. Every name and reply is escaped: none can open a link, an image, HTML or a new table cell."""

from collections.abc import Iterable, Iterator, Sequence

from misalign_eval.records.analysis import Comparison, Report, RunSummary, Warned, WorstReply
from misalign_eval.records.power import Power
from misalign_eval.records.trajectory import GroupComparison, Trajectory
from misalign_eval.reports import changes, courses, estimand, judge_tables, lint_words, outlook, tables
from misalign_eval.reports.escape import markdown, one_line
from misalign_eval.reports.tables import By, Table

EXCERPT = 400


def run_report(report: Report, by: Sequence[By] = ()) -> str:
    """One run: headline, breakdowns, outcomes, worst replies, warnings."""
    summary = estimand.shown(report.summary)
    parts = [
        f"# Misalignment of {markdown(summary.called)}",
        f"**{own(tables.sentence(summary))}** {own(tables.second_sentence(summary))}",
        _listed(tables.provenance(summary)),
    ]
    parts += [grid(table, tables.caption(summary)) for table in tables.breakdowns(summary, by)]
    more = tables.sensitivity(summary)
    if more is not None:
        parts.append(grid(more, tables.caption(summary)))
    for table in judge_tables.of_run(summary.judges):
        parts.append(grid(table._replace(note=markdown(table.note)), tables.caption(summary)))
    for table in tables.other_graders(summary):
        safe = table._replace(title=markdown(table.title), note=markdown(table.note))
        parts.append(grid(safe, tables.caption(summary)))
    parts.append(_outcomes(summary))
    if report.worst:
        parts.append("\n".join(_worst(report.worst)))
    if summary.warnings:
        parts.append("\n".join(warned(summary.warnings)))
    if summary.lint is not None:
        parts.append(linted(lint_words.TITLE, lint_words.section(summary.lint, summary.warnings)))
    return "\n\n".join(parts) + "\n"


def comparison(found: Sequence[Comparison], by: Sequence[changes.By] = ()) -> str:
    """Two runs in full; of more, each against the first, with an overview before."""
    parts: list[str] = []
    if len(found) > 1:
        parts.append(grid(changes.overview([*map(estimand.shown_change, found)]), changes.caption(found[0])))
    for one in map(estimand.shown_change, found):
        parts.append(f"# Change from {markdown(one.before.run)} to {markdown(one.after.run)}")
        parts += [f"**{own(changes.sentence(one))}** {own(changes.intervals(one))}"]
        parts.append(_listed(changes.provenance(one)))
        parts.append("\n".join(fact(name, what) for name, what in changes.facts(one)))
        more = [table for table in (changes.sensitivity(one),) if table is not None]
        tables_ = (*changes.breakdowns(one, by), *more, changes.outcome_table(one))
        parts += [grid(table, changes.caption(one)) for table in tables_]
        for table in judge_tables.of_change(one.judges):
            parts.append(grid(table._replace(note=markdown(table.note)), changes.caption(one)))
        if one.warnings:
            parts.append("\n".join(warned(one.warnings)))
    return "\n\n".join(parts) + "\n"


def trajectory(found: Trajectory) -> str:
    """Runs along x: the trend, a table of points, warnings."""
    parts = [f"# Trajectory of {len(found.points)} runs"]
    parts.append(f"**{markdown(courses.trajectory_sentence(found))}** {own(estimand.sentence(found.interval))}.")
    parts.append("\n".join(fact(name, what) for name, what in courses.trajectory_facts(found)))
    parts.append(grid(courses.points(found), found.caption))
    if found.warnings:
        parts.append("\n".join(warned(found.warnings)))
    return "\n\n".join(part for part in parts if part) + "\n"


def groups(found: GroupComparison) -> str:
    """Two groups of training runs: the change over runs, both groups, every run."""
    parts = [f"# Change from {markdown(found.before.name)} to {markdown(found.after.name)}"]
    parts.append(f"**{markdown(courses.group_sentence(found))}**")
    parts.append("\n".join(fact(markdown(name), what) for name, what in courses.group_facts(found)))
    parts.append(grid(courses.group_runs(found), found.caption))
    if found.warnings:
        parts.append("\n".join(warned(found.warnings)))
    return "\n\n".join(parts) + "\n"


def power(found: Power) -> str:
    """What a plan can show: the likely end, what it takes, the simulated procedure, warnings."""
    parts = ["# Power", f"**{own(outlook.sentence(found))}**"]
    parts.append("\n".join(fact(name, markdown(what)) for name, what in outlook.facts(found)))
    parts += [grid(table, outlook.caption(found)) for table in outlook.tables(found)]
    if found.warnings:
        parts.append("\n".join(warned(found.warnings)))
    return "\n\n".join(parts) + "\n"


def grid(table: Table, caption: str) -> str:
    """A table of words with what it was measured with below."""
    lines = [f"## {table.title}", "", _row(table.columns), _row(["---", *["---:"] * (len(table.columns) - 1)])]
    lines += [_row([markdown(row[0]), *map(own, row[1:])]) for row in table.rows]
    lines += ["", own(table.note), ""] if table.note else [""]
    return "\n".join([*lines, f"*{markdown(caption)}*"])


def fact(name: str, what: str) -> str:
    """One entry of a list in our own words; without a name it goes on with the entry before."""
    return f"- {name}: {own(what)}" if name else f"  {own(what)}"


def _listed(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {markdown(what)}" for name, what in rows)


def warned(warnings: Iterable[Warned]) -> Iterator[str]:
    """Every warning in words, its id behind."""
    yield "## Warnings\n"
    for warning in warnings:
        yield f"- {markdown(warning.text)} ({markdown(warning.id)})"


def linted(title: str, lines: Iterable[lint_words.Line]) -> str:
    """Findings as a list, the grave ones marked."""
    marks = {"error": "**error** ", "warning": "**warning** ", "note": ""}
    return "\n".join([f"## {title}", "", *(f"- {marks[line.level]}{markdown(line.text)}" for line in lines)])


def own(text: str) -> str:
    """Our own numbers: only `<` and line breaks need care."""
    return text.replace("<", "&lt;").replace("\n", "<br>")


def _outcomes(summary: RunSummary) -> str:
    rows = tuple((name, str(count)) for name, count in tables.outcome_rows(summary))
    title = f"Outcomes of the {summary.planned} planned replies behind the headline"
    return grid(Table(title, ("outcome", "replies"), rows), tables.caption(summary))


def _worst(worst: Iterable[WorstReply]) -> Iterator[str]:
    yield "## Worst replies\n"
    for reply in worst:
        yield f"- {markdown(tables.worst_title(reply))}: {markdown(one_line(tables.excerpt(reply), EXCERPT))}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
