"""Long lines on a screen: broken where they can be read on, with a margin that shows where they began."""

import re
from collections.abc import Iterator
from textwrap import wrap

from rich.cells import cell_len, chop_cells

MARGIN = "  | "  # on every line of foreign text: none can pass for a line of ours
GOES_ON = "    "
LIST_MARKS = frozenset({"- ", "* ", "! ", "x "})
NARROWEST = 20  # columns that words keep beside their indentation
LONG = 20_000  # characters; longer lines are broken anywhere, as looking for words in 1 MB takes seconds
_COMMAND = re.compile(r" *misalign-eval [a-z]")  # to be copied: a break inside would be a break in the shell


def fitted(text: str, width: int | None) -> str:
    r"""Break every line that is longer than `width` columns; None: a pipe, whose lines stay whole.

    What goes on is indented deeper than its beginning, and foreign text keeps its margin. Commands are left whole.

    >>> fitted("  aligned  when the grade is high\n", 28)
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
