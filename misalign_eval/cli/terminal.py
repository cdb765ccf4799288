"""The terminal: streams that survive a closed pipe, and single key presses."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


# Standard output and standard error that may be closed, full, or without a reader.


LOST = 4
VERDICTS = (None, 0, 1, 3)  # exit codes that promise an output
SIZES = ("COLUMNS", "LINES")


def drop_zero_terminal_size() -> None:
    """A screen of no columns shows nothing: `COLUMNS=0` and `COLUMNS=abc` are as good as unset."""
    for name in SIZES:
        said = os.environ.get(name, "")
        if name in os.environ and not (said.isascii() and said.isdecimal() and int(said) > 0):
            del os.environ[name]


@contextmanager
def tolerant_streams() -> Iterator[None]:
    """While in force, no stream that fails ends the command. Leaves with SystemExit where the command does.

    A reader who has left (`| head`) has seen enough: the exit code is the command's own. Output that is lost for any
    other reason is told in one line, and the code that promises it becomes 4. What standard error loses nobody can be
    told.
    """
    _fill_gaps()
    out = _guard("stdout")
    _guard("stderr")
    code: object = 0
    try:
        yield
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    if out is not None and out.lost is not None:
        sys.stderr.write(f"misalign-eval: standard output cannot be written: {out.lost}\n")
        code = LOST if code in VERDICTS else code
    raise SystemExit(code)


class _Lossy(FileIO):
    """A file that takes everything. What the first failure was stands in `lost`; a reader who left is none."""

    lost: str | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:  # an almost full disk takes a part, and only then says so
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.lost = "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        return size


def _fill_gaps() -> None:
    """Put the null device where a stream is closed (`>&-`), or the next file that is opened would take its number.

    In the place of standard output it is open for reading alone, so that writing there fails as it should.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            file = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if file != number:
                os.dup2(file, number)
                os.close(file)
            if name == "stdin":
                sys.stdin = open(number, encoding="utf-8", closefd=False)  # noqa: SIM115  for as long as the process


def _guard(name: str) -> _Lossy | None:
    """Put a lossy file below a standard stream; None where somebody else has taken the stream's place."""
    old = getattr(sys, name)
    if old is not None and (old is not getattr(sys, f"__{name}__") or not isinstance(old, TextIOWrapper)):
        return None
    raw = _Lossy(1 if name == "stdout" else 2, "w", closefd=False)
    is_unbuffered = old is not None and old.write_through  # PYTHONUNBUFFERED
    new = TextIOWrapper(
        raw if is_unbuffered else BufferedWriter(raw),
        encoding=old.encoding if old else "utf-8",
        errors=old.errors if old else "backslashreplace",
        newline="\n",
        line_buffering=old is None or old.line_buffering,
        write_through=is_unbuffered,
    )
    setattr(sys, name, new)
    return raw


# Key presses; without a terminal, the characters that are piped in.


END = "\x04"  # Ctrl-D, which ends the input of a terminal that is read line by line


def is_terminal() -> bool:
    """Whether a person sits there."""
    return sys.stdin.isatty()


def read_key() -> str | None:
    """The next key; None at the end of the input. Line ends and spaces are passed over."""
    while True:
        pressed = sys.stdin.read(1)
        if not pressed or pressed == END:
            return None
        if not pressed.isspace():
            return pressed


def read_line() -> str:
    """The rest of a line, as for a note."""
    with _whole_lines():
        return sys.stdin.readline().strip()


@contextmanager
def pressed_alone() -> Iterator[None]:
    """While in force a key counts without Enter, and is not shown. Without a terminal nothing changes."""
    if not is_terminal():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def _whole_lines() -> Iterator[None]:
    """A line as people type it: shown, and with a working backspace."""
    if not is_terminal():
        yield
        return
    import termios

    now = termios.tcgetattr(sys.stdin)
    typed = termios.tcgetattr(sys.stdin)
    typed[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, typed)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, now)
