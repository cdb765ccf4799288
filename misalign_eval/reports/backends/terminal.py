"""Terminal backend: documents as rich text, one function for each kind of block, and the two consoles."""

import re
import sys
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from textwrap import wrap
from typing import TextIO, assert_never

from rich.cells import cell_len, chop_cells
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from misalign_eval.records.document import (
    Bars,
    Block,
    Excerpts,
    Facts,
    Findings,
    Pairs,
    Quotations,
    ReportDocument,
    Statement,
    Table,
    Tone,
    Warnings,
)
from misalign_eval.records.findings import Level
from misalign_eval.reports.escape import one_line

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
MARKS: dict[Level, str] = {"error": "x ", "warning": "! ", "note": "- "}
EXCERPT = 220  # characters of a reply in a list
QUOTED = 300  # characters of each text of a disagreement


STYLES: dict[Tone, str] = {
    "strong": "bold",
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
}


def render(*documents: ReportDocument) -> str:
    """Documents one below the other, each block under an empty line."""
    parts: list[RenderableType] = []
    for document in documents:
        if parts:
            parts.append("")
        if document.tone is not None:
            parts.append(Text(one_line(document.title), style=STYLES[document.tone]))
        for place, block in enumerate(document.blocks):
            parts += ["", *_block(block)] if place else _block(block)
    return rendered(*parts)


def _block(block: Block) -> Iterator[RenderableType]:
    match block:
        case Statement():
            yield from _statement(block)
        case Facts():
            yield from _facts(block)
        case Table():
            yield from _table(block)
        case Bars():
            yield from _bars(block)
        case Excerpts():
            yield from _excerpts(block)
        case Quotations():
            yield from _quotations(block)
        case Warnings():
            yield from _warnings(block)
        case Findings():
            yield from _findings(block)
        case _:
            assert_never(block)


def _statement(statement: Statement) -> Iterator[RenderableType]:
    if statement.sources:
        yield _pairs(statement.sources)
        yield ""
    yield Text(one_line(statement.sentence), style="bold")
    if statement.facts:
        yield _pairs(statement.facts)
    if statement.explanation:
        yield Text(one_line(statement.explanation))


def _table(table: Table) -> Iterator[RenderableType]:
    """A table of words with what it was measured with below."""
    first, *others = map(one_line, table.columns)
    columns = [Column(first, overflow="fold", ratio=1)]
    columns += [Column(name, justify="right", no_wrap=False) for name in others]
    shown = Grid(*columns, title=None, box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    for row in table.rows:
        shown.add_row(*(Text(one_line(cell)) for cell in row[: table.names]), *row[table.names :])
    yield Text(one_line(table.title), style="bold")
    yield shown
    if table.note:
        yield Text(f"({one_line(table.note)})", style="dim")
    yield Text(one_line(table.caption), style="dim")


def _warnings(block: Warnings) -> Iterator[RenderableType]:
    """Every warning in words, its id behind."""
    yield Text("Warnings", style="bold")
    for warning in block.warnings:
        yield _hanging("! ", Text(one_line(f"{warning.text} ({warning.id})"), style="yellow"))


def _findings(block: Findings) -> Iterator[RenderableType]:
    """Findings, marked by how grave they are."""
    styles = {"error": "bold red", "warning": "yellow", "note": ""}
    yield Text(one_line(block.title), style="bold")
    for line in block.lines:
        yield _hanging(MARKS[line.level], Text(one_line(line.text), style=styles[line.level]))


def _facts(block: Facts) -> Iterator[RenderableType]:
    if block.title:
        yield Text(one_line(block.title), style="bold")
    yield _pairs(block.pairs)


def _pairs(pairs: Pairs) -> RenderableType:
    """Names and what they are, one a line."""
    shown = Grid.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for name, what in pairs:
        shown.add_row(Text(one_line(name), style="dim"), Text(one_line(what)))
    return shown


def _bars(bars: Bars) -> Iterator[RenderableType]:
    shown = Grid.grid(Column(), Column(justify="right"), Column(), padding=(0, 2, 0, 0))
    for name, count in bars.rows:
        # A single reply still gets a mark: a bar of nothing would say zero.
        width = max(1, round(BAR_WIDTH * count / max(bars.whole, 1)))
        shown.add_row(Text(one_line(name)), str(count), "█" * width)
    yield Text(one_line(bars.title), style="bold")
    yield shown
    yield Text(one_line(bars.caption), style="dim")


def _excerpts(block: Excerpts) -> Iterator[RenderableType]:
    hint = f" ({block.hint})" if block.hint else ""
    yield Text(one_line(f"{block.title}{hint}"), style="bold")
    for excerpt in block.excerpts:
        yield Text(one_line(excerpt.title))
        yield _hanging("  | ", Text(one_line(excerpt.text, EXCERPT)))


def _quotations(block: Quotations) -> Iterator[RenderableType]:
    yield Text(one_line(block.title), style="bold")
    for quotation in block.quotations:
        yield Text(one_line(quotation.title))
        texts = [(name, one_line(text, QUOTED)) for name, text in quotation.texts]
        yield Padding(_pairs(tuple(texts)), (0, 0, 0, 2))


def _hanging(mark: str, text: Text) -> RenderableType:
    shown = Grid.grid(Column(no_wrap=True), Column(overflow="fold"))
    shown.add_row(Text(mark), text)
    return Padding(shown, 0, expand=False)


# Long lines on a screen: broken where they can be read on, with a margin that shows where they began.


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
