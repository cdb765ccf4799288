"""The live view of a run: a line for each target with its rate as it forms, and a line of totals.

Drawn by hand, without a thread: each line is written over the one before and only its rest is cleared, so that nothing
flickers. It is drawn when a row comes, and at most so often that drawing takes a fiftieth of the time.
"""

import shutil
import time
from collections.abc import Sequence
from textwrap import wrap

from rich.console import Console

from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.reports import numbers
from misalign_eval.reports.console import ASCII
from misalign_eval.reports.escape import one_line
from misalign_eval.reports.shortening import distinct
from misalign_eval.workflows.following import Following
from misalign_eval.workflows.session import Session

EVERY_S = 0.25
SHARE = 50  # of the time that may go into drawing, one in this many
BAR = 10
NARROWEST_NAME = 8
LEGIBLE_NAME = 20  # with less room than this the numbers of a longer name go below it
GAP = "  "


class Live:
    """Draws on a terminal. `row` tells of what came, `draw` shows it."""

    def __init__(self, console: Console, sessions: Sequence[Session]) -> None:
        self._console = console
        self._runs = {id(session): Following(session) for session in sessions}
        self._names = [one_line(_name(session, sessions)) for session in sessions]
        self._height = 0
        self._next = 0.0

    def replied(self, session: Session, row: Reply | Failure) -> None:
        """A reply or failure has been written."""
        self._runs[id(session)].replied(row)

    def graded(self, session: Session, row: Graded | Ungraded, grader: str) -> None:
        """A grade has been written."""
        self._runs[id(session)].graded(row, grader)

    def is_due(self, now: float) -> bool:
        """Whether to draw again."""
        return now >= self._next

    def draw(self, *totals: str) -> None:
        """Write all the lines over those from before."""
        began = time.monotonic()
        size = shutil.get_terminal_size()
        lines = [line[: size.columns - 1] for line in self.lines(totals, size.columns - 1, size.lines - 1)]
        up = f"\x1b[{self._height}A" if self._height else ""
        below = "\n\x1b[K" * max(self._height - len(lines), 0)
        back = f"\x1b[{self._height - len(lines)}A" if below else ""
        text = "".join(f"\r{line}\x1b[K\n" for line in lines)
        self._console.file.write(f"{up}{text}{below}{back}")
        self._console.file.flush()
        self._height = len(lines)
        spent = time.monotonic() - began
        self._next = began + max(EVERY_S, SHARE * spent)

    def clear(self) -> None:
        """Take the lines away, so that a message can stand above those to come."""
        if self._height:
            up, empty = f"\x1b[{self._height}A", "\x1b[K\n" * self._height
            self._console.file.write(f"{up}{empty}{up}")
            self._console.file.flush()
        self._height = 0

    def lines(self, totals: Sequence[str], width: int, height: int) -> list[str]:
        """What is shown: as many targets as there is room for, then the totals."""
        runs = [*self._runs.values()]
        below = _folded([f"{_bar(runs)} {totals[0]}", *totals[1:]], width)
        room = max(height - len(below), 1)
        shown = len(runs) if len(runs) <= room else room - 1
        lines = _lines(self._names[:shown], runs[:shown], width, room)
        if left := len(runs) - shown:
            lines.append(f"... and {left} more")
        lines += below
        return lines if self._console.encoding.startswith("utf") else [line.translate(ASCII) for line in lines]


def _folded(lines: Sequence[str], width: int) -> list[str]:
    """What does not fit goes on in the next line, below the words."""
    margin = " " * (BAR + 3)
    return [part for line in lines for part in wrap(line, max(width, 2 * len(margin)), subsequent_indent=margin)]


def _lines(names: Sequence[str], runs: Sequence[Following], width: int, height: int) -> list[str]:
    """A line for each run; long names give way to the numbers, and no two of them look the same.

    On a narrow screen that is high enough the numbers stand below the name.
    """
    right = [_numbers(run) for run in runs]
    longest = max(map(len, names), default=0)
    room = width - max(map(len, right), default=0) - len(GAP)
    if room < min(longest, LEGIBLE_NAME) and 2 * len(runs) <= height:
        short = distinct(names, lambda name: len(name) <= width)
        return [line for name, said in zip(names, right, strict=True) for line in (short[name], f"{GAP}{said}")]
    short = distinct(names, lambda name: len(name) <= max(room, NARROWEST_NAME))
    size = max(map(len, short.values()), default=0)
    return [f"{short[name]:<{size}}{GAP}{said}" for name, said in zip(names, right, strict=True)]


def _numbers(run: Following) -> str:
    """`120/480  6.0 % [2.1, 16.2] (3/50, 2 ungraded)`."""
    rate = numbers.rated(run.line()) if run.has_rate else f"{run.failures} failed"
    return f"{run.ended}/{run.planned}{GAP}{rate}"


def _bar(runs: Sequence[Following]) -> str:
    ended, planned = sum(run.ended for run in runs), sum(run.planned for run in runs)
    filled = BAR * ended // max(planned, 1)
    return f"[{'#' * filled}{'-' * (BAR - filled)}]"


def _name(session: Session, sessions: Sequence[Session]) -> str:
    """The target; with the suite in front where there are several."""
    manifest = session.folder.manifest
    is_alone = len({one.folder.manifest.suite for one in sessions}) == 1
    return manifest.target.called if is_alone else f"{manifest.suite}: {manifest.target.called}"
