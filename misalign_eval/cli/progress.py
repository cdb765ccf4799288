"""Progress bars and the live view of a run."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from textwrap import wrap
from types import TracebackType
from typing import Self

from rich.console import Console

from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.run import Failure, Reply
from misalign_eval.reports import numbers
from misalign_eval.reports.backends.terminal import ASCII, err
from misalign_eval.reports.escape import one_line
from misalign_eval.reports.figures.theme import distinct_names
from misalign_eval.workflows.live import LiveRate
from misalign_eval.workflows.session import Session

# Live view: a line for each target with its live rate, and a line of totals.
#
# Drawn by hand, without a thread: each line is written over the one before and only its rest is cleared, so that
# nothing flickers. It is drawn when a row comes, and at most so often that drawing takes a fiftieth of the time.


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
        self._runs = {id(session): LiveRate(session) for session in sessions}
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


def _lines(names: Sequence[str], runs: Sequence[LiveRate], width: int, height: int) -> list[str]:
    """A line for each run; long names give way to the numbers, and no two of them look the same.

    On a narrow screen that is high enough the numbers stand below the name.
    """
    right = [_numbers(run) for run in runs]
    longest = max(map(len, names), default=0)
    room = width - max(map(len, right), default=0) - len(GAP)
    if room < min(longest, LEGIBLE_NAME) and 2 * len(runs) <= height:
        short = distinct_names(names, lambda name: len(name) <= width)
        return [line for name, said in zip(names, right, strict=True) for line in (short[name], f"{GAP}{said}")]
    short = distinct_names(names, lambda name: len(name) <= max(room, NARROWEST_NAME))
    size = max(map(len, short.values()), default=0)
    return [f"{short[name]:<{size}}{GAP}{said}" for name, said in zip(names, right, strict=True)]


def _numbers(run: LiveRate) -> str:
    """`120/480  6.0 % [2.1, 16.2] (3/50, 2 ungraded)`."""
    rate = numbers.rated(run.line()) if run.has_rate else f"{run.failures} failed"
    return f"{run.ended}/{run.planned}{GAP}{rate}"


def _bar(runs: Sequence[LiveRate]) -> str:
    ended, planned = sum(run.ended for run in runs), sum(run.planned for run in runs)
    filled = BAR * ended // max(planned, 1)
    return f"[{'#' * filled}{'-' * (BAR - filled)}]"


def _name(session: Session, sessions: Sequence[Session]) -> str:
    """The target; with the suite in front where there are several."""
    manifest = session.folder.manifest
    is_alone = len({session.folder.manifest.suite for session in sessions}) == 1
    return manifest.target.called if is_alone else f"{manifest.suite}: {manifest.target.called}"


# Progress on standard error: a live view in a terminal, plain lines elsewhere, nothing when quiet.


PLAIN_LINE_EVERY_S = 15.0


@dataclass
class Counts:
    """What this session has seen go by. For the eye only: results are read from the rows."""

    wanted: int = 0
    replies: int = 0
    failures: int = 0
    again: int = 0  # requests that were sent once more for the same reply
    grades: int = 0
    ungraded: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    evidence: str = ""  # of a gate that may end the run

    def line(self, elapsed_s: float) -> str:
        """`120/240 replies, 2 failed, 5 sent again, 236 grades, 1 ungraded, 31.0 replies/s, $0.42`."""
        ended = self.replies + self.failures
        parts = [f"{ended}/{self.wanted} replies", f"{self.failures} failed" if self.failures else ""]
        parts += [f"{self.again} sent again" if self.again else ""]
        parts += [f"{self.grades} grades", f"{self.ungraded} ungraded" if self.ungraded else ""]
        parts += [f"{ended / elapsed_s:.1f}/s" if elapsed_s > 0 else "", self.left(elapsed_s), self.cost, self.evidence]
        return ", ".join(part for part in parts if part)

    def left(self, elapsed_s: float) -> str:
        """`about 4 min left`, if replies keep coming as they did; nothing before the first and in the last second.

        >>> Counts(wanted=100, replies=20).left(elapsed_s=60.0)
        'about 4 min left'
        """
        ended = self.replies + self.failures
        if not 0 < ended < self.wanted:
            return ""
        left_s = elapsed_s * (self.wanted - ended) / ended
        if left_s < 1:
            return ""  # the last ones are those that wait for another attempt
        return f"about {left_s / 60:.0f} min left" if left_s >= 90 else f"about {left_s:.0f} s left"

    @property
    def cost(self) -> str:
        """What is known of the money."""
        if self.unpriced and not self.cost_usd:
            return "cost unknown"
        return f"${self.cost_usd:.4f}" + (" and an unknown part" if self.unpriced else "")


@dataclass
class RunProgress:
    """Watches a run. Use as a context manager."""

    quiet: bool = False
    again: str = ""  # the command that goes on, for who ends the run at once
    counts: Counts = field(default_factory=Counts)
    _started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)
    _live: "Live | None" = None

    def __enter__(self) -> Self:
        """Nothing is drawn before the folders are open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the last state on the screen."""
        if self._live:
            self._live.draw(*self._totals())

    def begin(self, sessions: Sequence[Session]) -> None:
        """The folders are open; this much is to do. A terminal that can move its cursor gets a live view."""
        self.counts.wanted = sum(session.wanted for session in sessions)
        console = err()
        if console.is_terminal and not console.is_dumb_terminal and not self.quiet:
            self._live = Live(console, sessions)
        self._started = self._last_line = time.monotonic()

    def replied(self, session: Session, row: Reply | Failure) -> None:
        """A reply or failure has been written."""
        if self._live:
            self._live.replied(session, row)
        if isinstance(row, Reply):
            self.counts.replies += 1
            self._pay(row.usage.cost_usd)
        else:
            self.counts.failures += 1
        self.counts.again += max(row.attempts - 1, 0)
        self._show()

    def graded(self, session: Session, row: Graded | Ungraded, *, grader: str, by_judge: bool) -> None:
        """A grade has been written."""
        if self._live:
            self._live.graded(session, row, grader)
        if isinstance(row, Graded):
            self.counts.grades += 1
        else:
            self.counts.ungraded += 1
        if by_judge:
            self._pay(row.usage.cost_usd)
        self._show()

    def looked(self, words: str) -> None:
        """A gate that may end the run has looked."""
        self.counts.evidence = words

    def met(self, words: str) -> None:
        """A model has answered for the first time, by another name than it was asked by."""
        from misalign_eval.cli.options import print_note
        from misalign_eval.reports.escape import one_line

        if self._live:
            self._live.clear()
        print_note(one_line(words))

    def abandoned(self) -> None:
        """Somebody will not wait for the answers in flight."""
        from misalign_eval.cli.options import print_note

        how = f" To go on:\n  {self.again}" if self.again else ""
        print_note(f"ended at once. Every answer that came is kept.{how}")

    def _pay(self, cost_usd: float | None) -> None:
        if cost_usd is None:
            self.counts.unpriced += 1
        else:
            self.counts.cost_usd += cost_usd

    def _totals(self) -> list[str]:
        """The counts, and below them how the evidence of a gate stands."""
        line = replace(self.counts, evidence="").line(time.monotonic() - self._started)
        return [line, self.counts.evidence] if self.counts.evidence else [line]

    def _show(self) -> None:
        now = time.monotonic()
        if self._live:
            if self._live.is_due(now):
                self._live.draw(*self._totals())
        elif not self.quiet and now - self._last_line >= PLAIN_LINE_EVERY_S:
            self._last_line = now
            err().print(self.counts.line(now - self._started))
