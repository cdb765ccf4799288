"""Output of commands: a record in the chosen format, to the terminal, a pager or files."""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.files import atomic_write

if TYPE_CHECKING:
    from misalign_eval.records.document import ReportDocument
    from misalign_eval.records.gate import Gate
    from misalign_eval.records.summary import Comparison, Report
    from misalign_eval.workflows.gate import GateOptions
    from misalign_eval.workflows.load_run import Choices


# The pager: long text on a terminal goes through the user's own.


# For less, where the user has not said otherwise: leave the text on the screen, and `n` goes to the next reply.
LESS = "-FX +/^==="


def is_wanted() -> bool:
    """Whether somebody sits there who can page: keys and screen are a terminal that can move its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Columns of the screen; None where standard output is none, so that lines stay whole for other programs.

    `stream`: ask of this one in place of standard output.
    """
    stream = stream or sys.stdout
    if not stream.isatty():
        return None
    if os.environ.get("COLUMNS", "").isdecimal() or stream is sys.stdout:
        return shutil.get_terminal_size().columns
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Text as it goes to this stream: on a screen no line is longer than it."""
    columns = terminal_width(stream)
    if columns is None:
        return text
    from misalign_eval.reports.backends.terminal import wrap_cells

    return wrap_cells(text, columns)


def page(text: str) -> bool:
    """Show the text in the pager; False where there is none, or it did not start. Text that fits is not paged."""
    if text.count("\n") < shutil.get_terminal_size().lines:
        return False
    command = shlex.split(os.environ.get("PAGER") or "less")
    if not command or command == ["cat"]:
        return False
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # The user's own choice of a program, as everywhere where PAGER is read.
        done = subprocess.run(  # noqa: S603
            command, input=text.encode(encoding, "backslashreplace"), env={"LESS": LESS} | os.environ, check=False
        )
    except OSError:
        return False
    return done.returncode not in {126, 127}


# Output of results: the chosen format on standard output, and a file for each `-o`.


FORMAT_OF_EXTENSION = {
    ".txt": "text",
    ".json": "json",
    ".jsonl": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".md": "markdown",
    ".html": "html",
    ".xml": "junit",
    ".csv": "csv",
}
COMMENT = ".comment.md"  # the short Markdown; a plain `.md` holds everything
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def check_format(known: Collection[str], fmt: str, files: Sequence[Path] = ()) -> None:
    """Refuse a format or an extension that this command cannot write. Call it before the work, not after.

    Raises UsageError.
    """
    if fmt not in known:
        raise UsageError(f"unknown format `{fmt}`. {did_you_mean(fmt, sorted(known))}")
    for file in files:
        if format_of(file) not in known:
            able = [suffix for suffix, name in FORMAT_OF_EXTENSION.items() if name in known]
            able += [COMMENT] if "comment" in known else []
            raise UsageError(f"-o {file}: the extension must name the format: {', '.join(able)}")
        if not file.parent.is_dir():
            raise UsageError(f"-o {file}: there is no folder `{file.parent}`")
        if stat.S_ISDIR(_mode(file)):
            raise UsageError(f"-o {file}: is a folder. Name a file")


def _mode(file: Path) -> int:
    """The kind of what lies there; 0 for nothing. Raises OSError for a name that the file system does not take."""
    try:
        return file.stat().st_mode
    except FileNotFoundError:
        return 0


def format_of(file: Path) -> str | None:
    """The format that a file's name asks for; None where it asks for none that is known."""
    name = file.name.lower()
    return "comment" if name.endswith(COMMENT) else FORMAT_OF_EXTENSION.get(file.suffix.lower())


def emit(renderers: Mapping[str, Callable[[], str]], fmt: str, files: Sequence[Path]) -> None:
    """Print the format `fmt` to standard output and write each file in the format of its extension.

    Only what is asked for is rendered. Raises UsageError for an unknown format or a file that cannot be written.
    """
    check_format(renderers.keys(), fmt, files)
    save(renderers, files)
    text = renderers[fmt]()
    print_text(fitted(text) if fmt == "text" else text)


def pages(*documents: "ReportDocument") -> "Renderers":
    """The formats that people read, of documents one below the other."""

    def text() -> str:
        from misalign_eval.reports.backends.terminal import render  # rich is slow to import

        return render(*documents)

    def markdown() -> str:
        from misalign_eval.reports.backends.markdown import render

        return render(*documents)

    return {"text": text, "markdown": markdown}


def save(renderers: Mapping[str, Callable[[], str]], files: Sequence[Path]) -> None:
    """Write each file in the format of its extension, which was checked. Raises UsageError as `write_file` does."""
    for file in files:
        write_file(file, _COLOUR.sub("", renderers[format_of(file) or ""]()))


def print_text(text: str) -> None:
    """To standard output, whatever letters it takes."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def write_file(file: Path, text: str) -> None:
    """Whole or not at all: a report that was there stays until the new one is complete. Raises UsageError."""
    try:
        atomic_write(file, [text.encode("utf-8", "backslashreplace")], mode=0o666)
    except OSError as error:
        raise UsageError(f"-o {file}: cannot be written: {error.strerror}") from error


# Listings of names with descriptions, fitted to the screen.


GAP = "  "
NARROWEST = 24  # columns that the last cell keeps beside the others; with less room it goes below them


def listed(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Cells below each other; the last of a row goes on under its own beginning.

    `width`: columns, else those of the screen. Where standard output is no screen a row stays one line.
    """
    room = width or terminal_width()
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "".join(f"{line.rstrip()}\n" for row in rows for line in _lines(row, sizes, room))


def _lines(row: Sequence[str], sizes: Sequence[int], room: int | None) -> Iterator[str]:
    from textwrap import wrap

    head = "".join(f"{cell:<{size}}{GAP}" for cell, size in zip(row[:-1], sizes, strict=True))
    if room is None or len(head) + len(row[-1]) <= room:
        yield head + row[-1]
        return
    margin = len(head) if room - len(head) >= NARROWEST else 2 * len(GAP)
    if margin < len(head):
        yield head
        head = " " * margin
    for number, part in enumerate(wrap(row[-1], max(room - margin, NARROWEST), break_on_hyphens=False)):
        yield (" " * margin if number else head) + part


# CI formats of every command that reports: JUnit XML, a short comment, annotations.


FORMATS = ("junit", "comment", "github")
Renderers = Mapping[str, Callable[[], str]]


def of_runs(paths: Sequence[Path], reports: "Sequence[Report]", choices: "Choices | None" = None) -> Renderers:
    """Of runs, each for itself."""

    def junit() -> str:
        from misalign_eval.reports.backends import ci
        from misalign_eval.workflows.show import cases

        return ci.runs_junit([cases(path, choices) for path in paths])

    def comment() -> str:
        from misalign_eval.reports.backends import markdown as markdown_backend

        return markdown_backend.runs(reports)

    def github() -> str:
        from misalign_eval.reports.backends import ci

        return ci.run_annotations(reports)

    return {"junit": junit, "comment": comment, "github": github}


def of_pair(paths: Sequence[Path], comparison: "Comparison", choices: "Choices") -> Renderers:
    """Of two runs, before and after."""

    def junit() -> str:
        from misalign_eval.reports.backends import ci
        from misalign_eval.workflows.show import cases

        return ci.comparison_junit(comparison, cases(paths[1], choices))

    def comment() -> str:
        from misalign_eval.reports.backends import markdown as markdown_backend

        return markdown_backend.comparison_comment(comparison)

    def github() -> str:
        from misalign_eval.reports.backends import ci

        return ci.comparison_annotations(comparison)

    return {"junit": junit, "comment": comment, "github": github}


def of_gate(gate: "Gate", options: "GateOptions") -> Renderers:
    """Of a verdict."""

    def junit() -> str:
        from misalign_eval.reports.backends import ci
        from misalign_eval.workflows.gate import worst_replies

        return ci.gate_junit(gate, worst_replies(options) if gate.verdict == "fail" else ())

    def comment() -> str:
        from misalign_eval.reports.backends import markdown as markdown_backend
        from misalign_eval.workflows.gate import behind

        return markdown_backend.gate(gate, *behind(options))

    def github() -> str:
        from misalign_eval.reports.backends import ci

        return ci.gate_annotations(gate)

    return {"junit": junit, "comment": comment, "github": github}
