"""Target and judge at work at the same time: replies are collected, graded and written as they come."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from misalign_eval.errors import RunStoppedError
from misalign_eval.records.grade import Graded, Subject, Ungraded, Verdict
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.protocols import Grader
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.workflows.session import Session, Work
from misalign_eval.workflows.subject import subject

SYNC_S = 0.5  # rows are durable within a second
GRACE_S = 10.0  # how long a stopped run waits for the answers in flight
NO_LOGPROBS_LIMIT = 3  # from a judge that never gave any
NO_LOGPROBS_ANY_MORE = 30  # from one that did: a gateway may answer from another server now and then
BACKLOG = 4  # replies waiting for a judge, for each place at a judge


class Watcher(Protocol):
    """Sees a run go by; draws progress, or nothing."""

    def begin(self, sessions: Sequence[Session]) -> None:
        """The folders are open; collecting begins."""

    def replied(self, session: Session, row: Reply | Failure) -> None:
        """A reply or failure has been written."""

    def graded(self, session: Session, row: Graded | Ungraded, *, grader: str, by_judge: bool) -> None:
        """A grade has been written."""

    def looked(self, words: str) -> None:
        """A gate that may end the run has looked; `words` say how the evidence stands."""

    def met(self, words: str) -> None:
        """A model has answered for the first time, by another name than it was asked by."""

    def abandoned(self) -> None:
        """A second signal ends the process at once: the last moment to say something."""


class Decider(Protocol):
    """Says when a run needs no more replies, and lets rounds begin one after another."""

    @property
    def decided(self) -> bool:
        """Whether no more replies are needed."""

    @property
    def words(self) -> str:
        """The evidence so far."""

    def replied(self, row: Reply | Failure) -> None:
        """A reply or failure has been written."""

    def graded(self, row: Graded | Ungraded, grader: str) -> None:
        """A grade has been written."""

    async def turn(self, sample: int) -> None:
        """Wait until the round of this sample number may begin."""

    def release(self) -> None:
        """Let everyone go who waits for a turn."""


@dataclass
class Pipeline:
    """Runs the work of some sessions to its end, or until something stops it."""

    sessions: Sequence[Session]
    work: Iterator[Work]
    watcher: Watcher
    reply_places: int
    grade_places: int
    decider: Decider | None = None
    stopped_by: RunStoppedError | signal.Signals | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _no_logprobs: int = 0
    _gave_logprobs: bool = False

    async def run(self) -> None:
        """Collect and grade. What stopped it, if anything, is left in `stopped_by`; every row is on disk."""
        self._queue: asyncio.Queue[tuple[Session, Subject, Grader]] = asyncio.Queue(BACKLOG * self.grade_places)
        self.watcher.begin(self.sessions)
        self._consult()
        with _signals(self.stop, self.watcher.abandoned):
            syncing = asyncio.create_task(self._sync_now_and_then())
            try:
                await self._until_done_or_stopped()
            finally:
                syncing.cancel()

    def stop(self, why: RunStoppedError | signal.Signals) -> None:
        """Take no new work. Of several reasons the first is kept."""
        if self.stopped_by is None:
            self.stopped_by = why
        self._end()

    def _end(self) -> None:
        self._stopping.set()
        if self.decider:
            self.decider.release()

    def _consult(self) -> None:
        """End the run when what it was to decide is decided."""
        if self.decider:
            self.watcher.looked(self.decider.words)
            if self.decider.decided:
                self._end()

    async def _until_done_or_stopped(self) -> None:
        everything = asyncio.create_task(self._all())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({everything, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({everything}, timeout=GRACE_S)
        finally:
            stopping.cancel()
            everything.cancel()
        try:
            await everything
        except asyncio.CancelledError:
            return
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _all(self) -> None:
        """A worker that breaks takes the others with it: the rows are safe, and the error is ours to mend."""
        async with asyncio.TaskGroup() as graders:
            grading = [graders.create_task(self._grade()) for _ in range(self.grade_places)]
            async with asyncio.TaskGroup() as collecting:
                collecting.create_task(self._feed_backlog())
                for _ in range(self.reply_places):
                    collecting.create_task(self._collect())
            await self._queue.join()
            for task in grading:
                task.cancel()

    async def _collect(self) -> None:
        for session, prompt, sample in self.work:  # one iterator for all the workers
            if self.decider:
                await self.decider.turn(sample)
            if self._stopping.is_set():
                return
            try:
                row = await session.ask(prompt, sample)
            except RunStoppedError as error:
                self.stop(error)
                return
            self.watcher.replied(session, row)
            if self.decider:
                self.decider.replied(row)
                self._consult()
            if isinstance(row, Reply):
                await self._enqueue(session, prompt, row)
            elif session.caller is not None and session.caller.stranger is not None:
                self.stop(session.caller.stranger)

    async def _feed_backlog(self) -> None:
        for session in self.sessions:
            if session.graders:
                for prompt, reply in session.ungraded_replies():
                    if reply.key in session.replied:
                        await self._enqueue(session, prompt, reply)

    async def _enqueue(self, session: Session, prompt: PlannedPrompt, reply: Reply) -> None:
        wanted = session.graders_for(prompt, reply)
        if not wanted or self._stopping.is_set():
            return
        seen = subject(prompt, reply)
        for grader in wanted:
            if _is_instant(grader):
                await self._grade_one(session, seen, grader)
            else:
                await self._queue.put((session, seen, grader))

    async def _grade(self) -> None:
        while True:
            session, seen, grader = await self._queue.get()
            if not self._stopping.is_set():
                await self._grade_one(session, seen, grader)
            self._queue.task_done()

    async def _grade_one(self, session: Session, seen: Subject, grader: Grader) -> None:
        try:
            found = await grader.grade(seen)
            values: dict[str, Any] = {**vars(found), **seen.key._asdict()}
            kind = Graded if isinstance(found, Verdict) else Ungraded
            row = kind.model_construct(**values)  # both parts were checked when they were made
            session.write_grade(row, grader.identity.grader)
        except RunStoppedError as error:
            self.stop(error)
            return
        self.watcher.graded(session, row, grader=grader.identity.grader, by_judge=grader.identity.kind != "rule")
        if self.decider:
            self.decider.graded(row, grader.identity.grader)
            self._consult()
        self._check_logprobs(row, grader)

    def _check_logprobs(self, row: Graded | Ungraded, grader: Grader) -> None:
        """A judge that gives no log-probabilities will not begin to: stop before it grades nothing, expensively."""
        if isinstance(row, Graded) or row.reason != "no_logprobs":
            self._no_logprobs = 0
            self._gave_logprobs |= row.distribution is not None
            return
        self._no_logprobs += 1
        if self._no_logprobs >= (NO_LOGPROBS_ANY_MORE if self._gave_logprobs else NO_LOGPROBS_LIMIT):
            who = grader.identity
            self.stop(
                RunStoppedError(
                    f"judge {who.judge}: grader `{who.grader}` needs log-probabilities and this server gives none. "
                    "Resume with --judge-method sampled, or choose another judge"
                )
            )

    async def _sync_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            try:
                for session in self.sessions:
                    await asyncio.to_thread(session.sync)
            except RunStoppedError as error:
                self.stop(error)
                return


def _is_instant(grader: Grader) -> bool:
    """Whether grading is quicker than handing the reply to somebody else: rules that wait for nothing."""
    return grader.identity.kind == "rule" and not getattr(grader, "is_slow", True)


class _signals:  # noqa: N801  reads as a statement: `with _signals(stop)`
    """While in force, Ctrl-C, SIGTERM and a closed terminal stop the run cleanly; a second one ends it at once.

    A terminal that closes says so twice, by itself and by its shell: that ends nothing at once. Where SIGHUP is ignored
    (`nohup`), it stays so.
    """

    def __init__(self, stop: Callable[[signal.Signals], None], abandon: Callable[[], None]) -> None:
        self._stop = stop
        self._abandon = abandon
        self._seen = False
        heard = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._heard = [one for one in heard if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in self._heard:
            loop.add_signal_handler(number, self._handle, number)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._heard:
            loop.remove_signal_handler(number)

    def _handle(self, number: signal.Signals) -> None:
        if self._seen and number != signal.SIGHUP:
            self._abandon()
            os._exit(128 + number)  # rows are with the operating system already
        self._seen = True
        self._stop(number)
