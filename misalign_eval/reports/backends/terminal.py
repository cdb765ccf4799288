"""Terminal backend: reports, gates and calibrations as rich text."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import groupby
from textwrap import wrap
from typing import TextIO

from rich.cells import cell_len, chop_cells
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from misalign_eval.records.findings import Diagnosis, Finding, LintFact, Warned
from misalign_eval.records.gate import Gate
from misalign_eval.records.labels import Calibration
from misalign_eval.records.power import Power
from misalign_eval.records.summary import (
    Comparison,
    GroupComparison,
    Provenance,
    Report,
    RunSummary,
    Trajectory,
    WorstReply,
)
from misalign_eval.reports import comparison as comparison_tables
from misalign_eval.reports import gate as gate_tables
from misalign_eval.reports import judges as judge_tables
from misalign_eval.reports import numbers, plans, sentences
from misalign_eval.reports import run as run_tables
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends.markdown import (
    DISAGREEMENT_EXCERPT,
    calibration_caption,
    calibration_page_facts,
    calibration_tables,
)
from misalign_eval.reports.escape import markdown as literal
from misalign_eval.reports.escape import one_line
from misalign_eval.reports.run import By, ReportTable

# Consoles: results on standard output, messages on standard error.


ASCII = str.maketrans({"≤": "<=", "≥": ">=", "×": "x", "█": "#", "→": "->", "–": "-", "…": "..."})
_CODES = re.compile(r"\x1b\[[0-9;]*m")


def out() -> Console:
    """Console of results. Without a terminal: no colour, 80 columns unless COLUMNS says otherwise."""
    return _console(sys.stdout)


def err() -> Console:
    """Console of progress, warnings and errors."""
    return _console(sys.stderr)


def rendered(*parts: RenderableType) -> str:
    """What `out()` would show, as text; with colours only when standard output is a terminal that takes them.

    Where the terminal takes no UTF-8, our own signs are written in ASCII.
    """
    console = out()
    text = _captured(console, parts)
    if not console.encoding.startswith("utf"):
        text = _in_ascii(console, parts, text)
    return "\n".join(line.rstrip() for line in text.split("\n")).rstrip("\n") + "\n"


def _in_ascii(console: Console, parts: Sequence[RenderableType], text: str) -> str:
    """`<=` is wider than the sign it stands for: what no longer fits is laid out once more, in less room."""
    room = console.width
    found = text.translate(ASCII)
    over = max(len(_CODES.sub("", line).rstrip()) for line in found.split("\n")) - room
    if 0 < over < room // 2:
        console.width = room - over
        return _captured(console, parts).translate(ASCII)
    return found


def _captured(console: Console, parts: Sequence[RenderableType]) -> str:
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def _console(stream: TextIO) -> Console:
    """Markup, emoji codes and highlighting are off: a reply that holds `[red]` is shown as it is."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks must not end the report
    return Console(file=stream, markup=False, emoji=False, highlight=False)


# Reports: readable at 80 columns, without colour, without Unicode. Hostile text never becomes markup.


BAR_WIDTH = 40
EXCERPT = 220


def run_report(report: Report, by: Sequence[By] = ()) -> str:
    """One run: headline, breakdowns, outcomes, worst replies, warnings."""
    summary = numbers.with_interval(report.summary)
    parts: list[RenderableType] = [
        _provenance(summary),
        "",
        Text(run_tables.sentence(summary), style="bold"),
        Text(run_tables.second_sentence(summary)),
    ]
    for table in run_tables.breakdowns(summary, by):
        parts += ["", grid(table, run_tables.caption(summary))]
    more = run_tables.sensitivity(summary)
    if more is not None:
        parts += ["", grid(more, run_tables.caption(summary))]
    for table in judge_tables.of_run(summary.judges):
        parts += ["", grid(table._replace(note=one_line(table.note)), run_tables.caption(summary))]
    for table in run_tables.other_graders(summary):
        safe = table._replace(title=one_line(table.title), note=one_line(table.note))
        parts += ["", grid(safe, run_tables.caption(summary))]
    parts += ["", _outcomes(summary)]
    if report.worst:
        parts += ["", *_worst(report.worst)]
    if summary.warnings:
        parts += ["", *warned(summary.warnings)]
    if summary.lint is not None:
        parts += ["", Text(sentences.TITLE, style="bold"), *linted(sentences.section(summary.lint, summary.warnings))]
    return rendered(*parts)


def comparison(comparisons: Sequence[Comparison], by: Sequence[comparison_tables.By] = ()) -> str:
    """Two runs in full; of more, each against the first, with an overview before."""
    parts: list[RenderableType] = []
    if len(comparisons) > 1:
        parts += [
            grid(
                comparison_tables.overview([*map(numbers.change_with_interval, comparisons)]),
                comparison_tables.caption(comparisons[0]),
            ),
            "",
        ]
    for item in map(numbers.change_with_interval, comparisons):
        parts += [pairs(comparison_tables.provenance(item)), "", Text(comparison_tables.sentence(item), style="bold")]
        parts += [pairs(comparison_tables.comparison_facts(item)), Text(comparison_tables.intervals(item))]
        more = [table for table in (comparison_tables.sensitivity(item),) if table is not None]
        for table in (*comparison_tables.breakdowns(item, by), *more, comparison_tables.outcome_table(item)):
            parts += ["", grid(table, comparison_tables.caption(item))]
        for table in judge_tables.of_change(item.judges):
            parts += ["", grid(table._replace(note=one_line(table.note)), comparison_tables.caption(item))]
        if item.warnings:
            parts += ["", *warned(item.warnings)]
        parts.append("")
    return rendered(*parts)


def grid(table: ReportTable, caption: str) -> RenderableType:
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


def linted(lines: Iterable[sentences.LintLine]) -> Iterator[RenderableType]:
    """Findings, marked by how grave they are."""
    styles = {"error": "bold red", "warning": "yellow", "note": ""}
    for line in lines:
        yield _hanging(sentences.MARKS[line.level], Text(one_line(line.text), style=styles[line.level]))


def pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and what they are, one a line."""
    shown = Grid.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for name, what in rows:
        shown.add_row(Text(one_line(name), style="dim"), Text(one_line(what)))
    return shown


def _provenance(source: Provenance) -> RenderableType:
    return pairs(run_tables.provenance(source))


def _outcomes(summary: RunSummary) -> RenderableType:
    shown = Grid.grid(Column(), Column(justify="right"), Column(), padding=(0, 2, 0, 0))
    rows = run_tables.outcome_rows(summary)
    for name, count in rows:
        # A single reply still gets a mark: a bar of nothing would say zero.
        width = max(1, round(BAR_WIDTH * count / max(summary.planned, 1)))
        shown.add_row(name, str(count), "█" * width)
    title = Text(f"Outcomes of the {summary.planned} planned replies behind the headline", style="bold")
    return Group(title, shown, Text(one_line(run_tables.caption(summary)), style="dim"))


def _worst(worst: Iterable[WorstReply]) -> Iterator[RenderableType]:
    yield Text("Worst replies (`show` prints them whole)", style="bold")
    for reply in worst:
        yield Text(one_line(run_tables.worst_title(reply)))
        yield _hanging("  | ", Text(one_line(run_tables.excerpt(reply), EXCERPT)))


def _hanging(mark: str, text: Text) -> RenderableType:
    shown = Grid.grid(Column(no_wrap=True), Column(overflow="fold"))
    shown.add_row(Text(mark), text)
    return Padding(shown, 0, expand=False)


def trajectory(trajectory: Trajectory) -> str:
    """Runs along x: the trend, a table of points, warnings."""
    parts: list[RenderableType] = [Text(one_line(comparison_tables.trajectory_sentence(trajectory)), style="bold")]
    parts += [
        pairs(comparison_tables.trajectory_facts(trajectory)),
        Text(f"{numbers.sentence(trajectory.interval)}."),
        "",
    ]
    parts.append(grid(comparison_tables.points(trajectory), trajectory.caption))
    if trajectory.warnings:
        parts += ["", *warned(trajectory.warnings)]
    return rendered(*parts)


def groups(comparison: GroupComparison) -> str:
    """Two groups of training runs: the change over runs, both groups, every run."""
    parts: list[RenderableType] = [Text(one_line(comparison_tables.group_sentence(comparison)), style="bold")]
    parts += [
        pairs(comparison_tables.group_facts(comparison)),
        "",
        grid(comparison_tables.group_runs(comparison), comparison.caption),
    ]
    if comparison.warnings:
        parts += ["", *warned(comparison.warnings)]
    return rendered(*parts)


def power(power: Power) -> str:
    """What a plan can show: the likely end, what it takes, the simulated procedure, warnings."""
    parts: list[RenderableType] = [Text(plans.sentence(power), style="bold"), pairs(plans.power_facts(power))]
    for table in plans.tables(power):
        parts += ["", grid(table, plans.caption(power))]
    if power.warnings:
        parts += ["", *warned(power.warnings)]
    return rendered(*parts)


# Line wrapping: at word boundaries, with a hanging indent.


MARGIN = "  | "  # on every line of foreign text: none can pass for a line of ours
GOES_ON = "    "
LIST_MARKS = frozenset({"- ", "* ", "! ", "x "})
NARROWEST = 20  # columns that words keep beside their indentation
LONG = 20_000  # characters; longer lines are broken anywhere, as looking for words in 1 MB takes seconds
_COMMAND = re.compile(r" *misalign-eval [a-z]")  # to be copied: a break inside would be a break in the shell


def wrap_cells(text: str, width: int | None) -> str:
    r"""Break every line that is longer than `width` columns; None: a pipe, whose lines stay whole.

    What goes on is indented deeper than its beginning, and foreign text keeps its margin. Commands are left whole.

    >>> wrap_cells("  aligned  when the grade is high\n", 28)
    '  aligned  when the\n      grade is high\n'
    """
    if width is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _fitted(line, width))


def _fitted(line: str, width: int) -> Iterator[str]:
    if (line.isascii() and len(line) <= width) or cell_len(line) <= width or _COMMAND.match(line) or "\x1b" in line:
        yield line
        return
    first, then = _margins(line, width)
    room = max(width - max(len(first), len(then)), 1)
    words = line.removeprefix(MARGIN) if first == MARGIN else line.lstrip(" ")
    for number, part in enumerate(_parts(words, room, is_foreign=first == MARGIN)):
        yield f"{then if number else first}{part}"


def _margins(line: str, width: int) -> tuple[str, str]:
    """What stands before the first part of a line, and before what goes on: below the words of a list's entry."""
    if line.startswith(MARGIN):
        return MARGIN, MARGIN
    words = line.lstrip(" ")
    spaces = len(line) - len(words)
    deeper = spaces + (2 if words[:2] in LIST_MARKS else len(GOES_ON))
    most = max(width - NARROWEST, 0)
    return " " * min(spaces, most), " " * min(deeper, most)


def _parts(line: str, room: int, *, is_foreign: bool) -> Iterator[str]:
    """Broken between words where it has any; letters may be two columns wide. Of foreign text every space is kept."""
    whole = [line] if len(line) > LONG else wrap(line, room, drop_whitespace=not is_foreign, break_on_hyphens=False)
    for part in whole:
        yield from chop_cells(part, room)


# Gates.


STYLE = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}


def gate_text(gate: Gate) -> str:
    """The verdict first, then every check, then what limits a pass."""
    parts: list[RenderableType] = [
        Text(gate_tables.verdict(gate), style=STYLE[gate.verdict]),
        pairs(gate_tables.provenance(gate)),
    ]
    for check in gate.checks:
        title = Text(one_line(gate_tables.check_title(check)), style="bold")
        parts += ["", title, pairs(gate_tables.check_rows(check, gate.measured))]
    parts += ["", grid(gate_tables.companions(gate), gate_tables.caption(gate))]
    if gate.warnings:
        parts += ["", *warned(gate.warnings)]
    return rendered(*parts)


# Calibrations.


def calibration_text(calibration: Calibration) -> str:
    """The finding first, then the table, every number, what to read, warnings."""
    parts: list[RenderableType] = [
        Text(one_line(judge_tables.title(calibration)), style="bold"),
        Text(judge_tables.sentence(calibration), style="bold"),
        pairs(judge_tables.provenance(calibration)),
    ]
    for table in calibration_tables(calibration):
        shown = table._replace(columns=tuple(map(one_line, table.columns)))
        parts += ["", grid(shown, calibration_caption(calibration))]
    parts += ["", pairs(calibration_page_facts(calibration))]
    if calibration.disagreements:
        parts += ["", Text("Where they differ most", style="bold"), *_differences(calibration)]
    if calibration.warnings:
        parts += ["", *warned(calibration.warnings)]
    return rendered(*parts)


def _differences(calibration: Calibration) -> Iterator[RenderableType]:
    for disagreement in calibration.disagreements:
        yield Text(one_line(judge_tables.disagreement_title(disagreement)))
        lines = [
            (name, one_line(text, DISAGREEMENT_EXCERPT)) for name, text in judge_tables.disagreement_lines(disagreement)
        ]
        yield Padding(pairs(lines), (0, 0, 0, 2))


# Pages of `doctor`, for the terminal or in Markdown.


FOLDER, ENVIRONMENT = "The folder", "Findings"


def terminal(diagnosis: Diagnosis) -> str:
    """Facts by section, findings, and one closing sentence."""
    parts: list[RenderableType] = []
    for section, facts in groupby(diagnosis.facts, lambda fact: fact.section):
        parts += [Text(section.capitalize(), style="bold"), pairs(map(_pair, facts)), ""]
    for title, findings in _groups(diagnosis):
        parts += [Text(title, style="bold"), *linted(_lines(findings)), ""]
    if diagnosis.warnings:
        parts += [*warned(diagnosis.warnings), ""]
    return rendered(*parts, Text(_closing(diagnosis), style="bold"))


def markdown(diagnosis: Diagnosis) -> str:
    """The same as Markdown."""
    parts = [f"# Doctor: {literal(diagnosis.of)}"]
    for section, facts in groupby(diagnosis.facts, lambda fact: fact.section):
        rows = (f"- {literal(name)}: {literal(what)}" for name, what in map(_pair, facts))
        parts.append("\n".join([f"## {section.capitalize()}", "", *rows]))
    parts += [markdown_backend.linted(title, _lines(findings)) for title, findings in _groups(diagnosis)]
    if diagnosis.warnings:
        parts.append("\n".join(markdown_backend.warned(diagnosis.warnings)))
    return "\n\n".join([*parts, f"**{literal(_closing(diagnosis))}**"]) + "\n"


def _groups(diagnosis: Diagnosis) -> Iterator[tuple[str, Sequence[Finding]]]:
    yield (ENVIRONMENT if diagnosis.of == "environment" else FOLDER), diagnosis.findings
    if diagnosis.replies is not None:
        yield sentences.TITLE, sentences.unsaid(diagnosis.replies, diagnosis.warnings)


def _lines(findings: Sequence[Finding]) -> list[sentences.LintLine]:
    return list(sentences.whole(findings)) or [sentences.LintLine("note", "nothing found")]


def _pair(fact: LintFact) -> tuple[str, str]:
    return fact.name, f"{fact.value}  ({fact.source})" if fact.source else fact.value


def _closing(diagnosis: Diagnosis) -> str:
    every = (*diagnosis.findings, *sentences.unsaid(diagnosis.replies or (), diagnosis.warnings))
    levels = [item.level for item in every]
    counts = [(levels.count(level), level) for level in ("error", "warning", "note")]
    html = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for count, level in counts if count)
    if not diagnosis.healthy:
        return f"Not healthy: {html}."
    read = any(reply.example for reply in diagnosis.replies or ())
    how = f" Read an example with: misalign-eval show {diagnosis.of} --key EXAMPLE" if read else ""
    return f"Healthy{f': {html}' if html else ''}.{how}"
