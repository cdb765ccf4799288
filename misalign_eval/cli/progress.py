"""Progress on standard error: a live view in a terminal, a plain line now and then elsewhere, nothing when quiet."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.reports.console import err
from misalign_eval.workflows.session import Session

if TYPE_CHECKING:
    from misalign_eval.cli.live import Live

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
            from misalign_eval.cli.live import Live  # reads rates as they form: statistics load slowly

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
        from misalign_eval.cli.asking import say
        from misalign_eval.reports.escape import one_line

        if self._live:
            self._live.clear()
        say(one_line(words))

    def abandoned(self) -> None:
        """Somebody will not wait for the answers in flight."""
        from misalign_eval.cli.asking import say

        how = f" To go on:\n  {self.again}" if self.again else ""
        say(f"ended at once. Every answer that came is kept.{how}")

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
