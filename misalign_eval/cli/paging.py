"""Long text on a terminal: through the pager that the user has chosen."""

import os
import shlex
import shutil
import subprocess
import sys
from typing import TextIO

# For less, where the user has not said otherwise: leave the text on the screen, and `n` goes to the next reply.
LESS = "-FX +/^==="


def is_wanted() -> bool:
    """Whether somebody sits there who can page: keys and screen are a terminal that can move its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def width(stream: TextIO | None = None) -> int | None:
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
    columns = width(stream)
    if columns is None:
        return text
    from misalign_eval.reports.fitting import fitted as fit

    return fit(text, columns)


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
