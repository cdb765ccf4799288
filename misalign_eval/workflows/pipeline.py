"""The pipeline: collects replies and grades them at the same time."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from misalign_eval.errors import NoScoreError, RunStoppedError, UnreadJudgeError
from misalign_eval.graders.folder import Method
from misalign_eval.graders.judge import SAYS_NOTHING
from misalign_eval.records.grade import Graded, Subject, Ungraded, Verdict
from misalign_eval.records.protocols import Grader
from misalign_eval.records.run import JUDGE_CONTROL, Failure, PlannedPrompt, Reply
from misalign_eval.store.run_folder import RunFolder
from misalign_eval.workflows.load_run import subject
from misalign_eval.workflows.session import Session, Work

# The pipeline: replies are collected, graded and written as they come; target and judge work at the same time.


SYNC_S = 0.5  # rows are durable within a second
GRACE_S = 10.0  # how long a stopped run waits for the answers in flight
NO_LOGPROBS_LIMIT = 3  # from a judge that never gave any
NO_LOGPROBS_ANY_MORE = 30  # from one that did: a gateway may answer from another server now and then
PARTIAL_LIMIT = 3  # numbers of which only a part is known …
PARTIAL_SHARE = 0.05  # … where they are more than this share of a judge's answers
UNREAD_LIMIT = 20  # answers in a row without a verdict
UNREAD = {"unparsable", "low_mass", "truncated", "refused", "partial_number"}
QUOTED = 200  # characters of such an answer
SAMPLED = "Resume with --judge-method sampled, or choose another judge"
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


class SilentWatcher:
    """A watcher that shows nothing, for programs that call a workflow."""

    def begin(self, sessions: Sequence[Session]) -> None:
        """Show nothing."""

    def replied(self, session: Session, row: Reply | Failure) -> None:
        """Show nothing."""

    def graded(self, session: Session, row: Graded | Ungraded, *, grader: str, by_judge: bool) -> None:
        """Show nothing."""

    def looked(self, words: str) -> None:
        """Show nothing."""

    def met(self, words: str) -> None:
        """Show nothing: the notes of the result say it too."""

    def abandoned(self) -> None:
        """Show nothing."""


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


@dataclass(slots=True)
class _Heard:
    """What one grader's judge has answered so far."""

    name: str
    answers: int = 0
    no_logprobs: int = 0  # in a row
    gave_logprobs: bool = False
    partial: int = 0
    begun: int = 0
    unread: set[int] = field(default_factory=set)  # begun after all that were read, by their number
    read_up_to: int = 0  # the answer begun last of those that were read
    last: Ungraded | None = None

    def begin(self) -> int:
        """Number one grade, from 1. Answers that cannot be read are asked for again, and end after later ones."""
        self.begun += 1
        return self.begun

    def add(self, row: Graded | Ungraded, number: int) -> None:
        """Count one grade, of the number that it was given."""
        reason = row.reason if isinstance(row, Ungraded) else None
        self.answers += 1
        self.partial += reason == "partial_number"
        self.no_logprobs = self.no_logprobs + 1 if reason == "no_logprobs" else 0
        self.gave_logprobs |= row.distribution is not None
        self.last = row if isinstance(row, Ungraded) else None
        if reason in UNREAD and number > self.read_up_to:
            self.unread.add(number)
        elif reason not in {*UNREAD, "failed"}:
            self.read_up_to = max(self.read_up_to, number)
            self.unread = {item for item in self.unread if item > self.read_up_to}

    def useless(self, *, at_end: bool = False) -> NoScoreError | None:
        """Why asking for log-probabilities is of no use; at the end also where there were few answers, all alike."""
        if self.last is None:
            return None
        few = at_end and self.answers == max(self.no_logprobs, self.partial)
        if self.no_logprobs >= (NO_LOGPROBS_ANY_MORE if self.gave_logprobs else NO_LOGPROBS_LIMIT) or (
            few and self.no_logprobs
        ):
            gives = "none" if self.last.message == SAYS_NOTHING else f"none: {self.last.message}"
            return NoScoreError(f"{self.name} needs log-probabilities and this server gives {gives}. {SAMPLED}")
        if (self.partial >= PARTIAL_LIMIT and self.partial > PARTIAL_SHARE * self.answers) or few:
            return NoScoreError(f"{self.name} cannot be read from log-probabilities: {self.last.message}. {SAMPLED}")
        return None

    def unreadable(self) -> UnreadJudgeError | None:
        """Why asking at all is of no use."""
        if self.last is None or len(self.unread) < UNREAD_LIMIT:
            return None
        what = f"no verdict in {len(self.unread)} answers in a row, since {self.last.message}"
        return UnreadJudgeError(f"{self.name}: {what}. The last one: {_quoted(self.last)}")


@dataclass
class Pipeline:
    """Runs the work of some sessions to its end, or until something stops it."""

    sessions: Sequence[Session]
    work: Iterator[Work]
    watcher: Watcher
    reply_places: int
    grade_places: int
    decider: Decider | None = None
    handles_signals: bool = True  # needs the main thread; False: whoever cancels the task stops the run
    stopped_by: RunStoppedError | signal.Signals | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: dict[str, _Heard] = field(default_factory=dict)  # by grader

    async def run(self) -> None:
        """Collect and grade. What stopped it, if anything, is left in `stopped_by`; every row is on disk."""
        self._queue: asyncio.Queue[tuple[Session, Subject, Grader]] = asyncio.Queue(BACKLOG * self.grade_places)
        self.watcher.begin(self.sessions)
        self._consult()
        with _signals(self.stop, self.watcher.abandoned) if self.handles_signals else nullcontext():
            syncing = asyncio.create_task(self._sync_now_and_then())
            try:
                await self._until_done_or_stopped()
            finally:
                syncing.cancel()
        if self.stopped_by is None:
            self._check_few()

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
            for seen, grader in session.controls():
                await self._queue.put((session, seen, grader))
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
            is_control = seen.variant == JUDGE_CONTROL  # asked for, too, where the replies were decided early
            if not self._stopping.is_set() or (is_control and self.stopped_by is None):
                await self._grade_one(session, seen, grader)
            self._queue.task_done()

    async def _grade_one(self, session: Session, seen: Subject, grader: Grader) -> None:
        is_judge = grader.identity.kind != "rule"
        number = self._heard_of(grader).begin() if is_judge else 0
        try:
            found = await grader.grade(seen)
            values: dict[str, Any] = {**vars(found), **seen.key._asdict()}
            kind = Graded if isinstance(found, Verdict) else Ungraded
            row = kind.model_construct(**values)  # both parts were checked when they were made
            if seen.variant == JUDGE_CONTROL:
                session.write_control(row, grader.identity)
                if is_judge:
                    self._check_judge(row, grader, number)
                return
            session.write_grade(row, grader.identity.grader)
        except RunStoppedError as error:
            self.stop(error)
            return
        self.watcher.graded(session, row, grader=grader.identity.grader, by_judge=is_judge)
        if self.decider:
            self.decider.graded(row, grader.identity.grader)
            self._consult()
        if is_judge:
            self._check_judge(row, grader, number)

    def _heard_of(self, grader: Grader) -> _Heard:
        who = grader.identity
        return self._heard.setdefault(who.grader, _Heard(f"judge {who.judge}: grader `{who.grader}`"))

    def _check_judge(self, row: Graded | Ungraded, grader: Grader, number: int) -> None:
        """A judge that gives nothing to read will not begin to: stop before it has graded nothing, expensively.

        `number`: which grade of this grader it is, in the order in which they were begun, from 1.
        """
        heard = self._heard_of(grader)
        heard.add(row, number)
        if isinstance(row, Ungraded) and (why := heard.useless() or heard.unreadable()):
            self.stop(why)

    def _check_few(self) -> None:
        """The same of a run that was over before a judge had given so many answers."""
        for heard in self._heard.values():
            if why := heard.useless(at_end=True):
                self.stop(why)

    async def _sync_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            try:
                for session in self.sessions:
                    await asyncio.to_thread(session.sync)
            except RunStoppedError as error:
                self.stop(error)
                return


def _quoted(row: Ungraded) -> str:
    """What the judge said last, in one line."""
    said = [vote.raw for vote in row.votes if vote.raw] or [row.raw or ""]
    return json.dumps(said[-1][:QUOTED], ensure_ascii=False) + ("…" if len(said[-1]) > QUOTED else "")


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
        self._heard = [item for item in heard if item != signal.SIGHUP or signal.getsignal(item) != signal.SIG_IGN]

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


# Fallback from log-probabilities to sampled answers, where a judge's server gives none that make a score.
#
# The two are not the same measure and have grades of their own. What the abandoned one has graded stays in the folder,
# and is no longer what is reported.


Make = Callable[[Method | None], Sequence[Grader]]
"""Builds the graders of a run, with their judges read as is said, or as each judge allows."""


def fallback_note(why: NoScoreError) -> str:
    """What is told of it."""
    return f"{str(why).split('. Resume with')[0]}. Its answers are sampled instead, as by --judge-method sampled"


def withdraw(folders: Iterable[RunFolder], only: Mapping[str, str] | None = None) -> None:
    """Take back that grades by log-probabilities are those that count, so that sampled answers may take their place.

    `only`: grader → identity, of those that were at work, where the run has others.
    """
    for folder in folders:
        primary = dict(folder.manifest.primary)
        for identity in folder.grader_identities():
            is_read_so = identity.kind == "ensemble" or identity.settings.get("method") == "logprobs"
            was_at_work = only is None or only.get(identity.grader) == identity.identity
            if is_read_so and was_at_work and primary.get(identity.grader) == identity.identity:
                del primary[identity.grader]
        folder.update(folder.manifest.model_copy(update={"primary": primary}))


def as_before(make: Make, folders: Iterable[RunFolder]) -> Sequence[Grader]:
    """The graders, with judges read as each allows; by sampled answers where these runs went over to them before."""
    usual, there = make(None), list(folders)
    sampled = make("sampled") if there else usual
    pairs = list(zip(usual, sampled, strict=True))
    return sampled if any(_went_over(folder, *pair) for folder in there for pair in pairs) else usual


def _went_over(folder: RunFolder, usual: Grader, sampled: Grader) -> bool:
    who, other = usual.identity, sampled.identity
    if who == other:
        return False
    if folder.manifest.primary.get(who.grader) == other.identity:
        return True
    known = {(identity.grader, identity.identity) for identity in folder.grader_identities()}
    if (other.grader, other.identity) not in known:
        return False
    return (who.grader, who.identity) not in known or all(row.kind == "ungraded" for row in folder.grades(who))
