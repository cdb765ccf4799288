"""The two consoles: results on standard output, everything said about the work on standard error."""

import sys
from io import TextIOWrapper
from typing import TextIO

from rich.console import Console, RenderableType

ASCII = str.maketrans({"≤": "<=", "≥": ">=", "×": "x", "█": "#", "→": "->", "–": "-", "…": "..."})


def out() -> Console:
    """Where results go. Without a terminal: no colour, 80 columns unless COLUMNS says otherwise."""
    return _console(sys.stdout)


def err() -> Console:
    """Where progress, warnings and errors go."""
    return _console(sys.stderr)


def rendered(*parts: RenderableType) -> str:
    """What `out()` would show, as text; with colours only when standard output is a terminal that takes them.

    Where the terminal takes no UTF-8, our own signs are written in ASCII.
    """
    console = out()
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    text = capture.get() if console.encoding.startswith("utf") else capture.get().translate(ASCII)
    return "\n".join(line.rstrip() for line in text.split("\n")).rstrip("\n") + "\n"


def _console(stream: TextIO) -> Console:
    """Markup, emoji codes and highlighting are off: a reply that holds `[red]` is shown as it is."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks must not end the report
    return Console(file=stream, markup=False, emoji=False, highlight=False)
