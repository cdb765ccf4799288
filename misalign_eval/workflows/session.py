"""One run folder while it is being extended: its target, its graders, its open files, and what it lacks."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, Self

from misalign_eval.plan import request_key, request_seed
from misalign_eval.records.grade import ControlGrade, Graded, GraderIdentity, Subject, Ungraded
from misalign_eval.records.plan import PlannedPrompt, ReplyKey
from misalign_eval.records.protocols import Grader
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.replies.caller import Caller
from misalign_eval.replies.collect import collect
from misalign_eval.results.folder import RunFolder
from misalign_eval.results.layout import CONTROLS, REPLIES
from misalign_eval.results.rows import RowWriter
from misalign_eval.workflows.subject import is_gradable, written


class Work(NamedTuple):
    """One reply to collect."""

    session: "Session"
    prompt: PlannedPrompt
    sample: int


@dataclass
class Session:
    """A folder open for writing. Use as a context manager: the files are closed and durable on leaving."""

    folder: RunFolder
    prompts: Sequence[PlannedPrompt]
    graders: Sequence[Grader]
    caller: Caller | None = None  # None: this session only grades
    replied: set[ReplyKey] = field(default_factory=set)
    graded: dict[str, set[ReplyKey]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what to know of how the run goes on
    orphans: int = 0  # grades that were there without their replies
    _keys: dict[tuple[str, int, str], str] = field(default_factory=dict)
    _replies: RowWriter = field(init=False)
    _grades: dict[str, RowWriter] = field(init=False, default_factory=dict)
    _controls: RowWriter | None = field(init=False, default=None)  # None: the suite has no written replies
    _files: ExitStack = field(init=False, default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Open the files, cutting what a crash has torn, and read what is there."""
        self._replies = self._open(self.folder.path / REPLIES)
        self.replied = {row.key for row in self.folder.replies() if isinstance(row, Reply)}
        if self.folder.manifest.controls and self.graders:
            self._controls = self._open(self.folder.path / CONTROLS)
        for grader in self.graders:
            who = grader.identity
            file = self.folder.add_grader(who)
            settled = {row.key for row in self._settled(who)}
            if not settled <= self.replied:
                self.orphans += self.folder.forget_orphans(who, self.replied)
            self.graded[who.grader] = settled & self.replied
            self._grades[who.grader] = self._open(file)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every file."""
        self._files.close()

    @property
    def repairs(self) -> tuple[str, ...]:
        """What was found and mended on opening, in words."""
        path = self.folder.path
        torn = f"{path}: cut {self.repaired_bytes} bytes of a row that a crash had torn; it is asked again"
        lost = f"{path}: dropped {self.orphans} grades of replies that are not there; the next replies are others"
        return (*self.notes, *([torn] if self.repaired_bytes else []), *([lost] if self.orphans else []))

    @property
    def repaired_bytes(self) -> int:
        """How much a crash had torn off the ends of the files."""
        return sum(writer.repaired_bytes for writer in (self._replies, *self._grades.values()))

    @property
    def wanted(self) -> int:
        """Replies still to collect."""
        return sum(
            (prompt.probe, prompt.prompt, prompt.variant, sample) not in self.replied
            for prompt in self.prompts
            for sample in range(prompt.samples)
        )

    async def ask(self, prompt: PlannedPrompt, sample: int) -> Reply | Failure:
        """Collect one reply and write its row."""
        if self.caller is None:
            raise RuntimeError("this session only grades")
        manifest = self.folder.manifest
        row = await collect(
            self.caller,
            prompt,
            sample,
            request_key=self._request_key(prompt),
            seed=request_seed(manifest.seed, prompt.prompt_digest, sample),
        )
        self._replies.write(row)
        return row

    def write_grade(self, row: Graded | Ungraded, grader: str) -> None:
        """Append a grade."""
        self._grades[grader].write(row)

    def controls(self) -> Iterator[tuple[Subject, Grader]]:
        """The written replies that a grader has not settled."""
        planned = self.folder.manifest.controls if self._controls is not None else ()
        settled = {
            (one.grader, one.identity, one.row.probe)
            for one in (self.folder.control_grades() if planned else ())
            if isinstance(one.row, Graded) or one.row.reason != "failed"
        }
        for control in planned:
            for grader in self.graders:
                who = grader.identity
                named = (who.grader, who.identity, control.prompt.probe)
                if who.grader in control.prompt.graders and named not in settled:
                    yield written(control), grader

    def write_control(self, row: Graded | Ungraded, who: GraderIdentity) -> None:
        """Append what a grader said of a written reply."""
        if self._controls is not None:
            self._controls.write(ControlGrade(grader=who.grader, identity=who.identity, row=row))

    def graders_for(self, prompt: PlannedPrompt, reply: Reply) -> list[Grader]:
        """The graders that this reply still needs."""
        return [
            grader
            for grader in self.graders
            if grader.identity.grader in prompt.graders
            and (
                prompt.messages or grader.identity.kind == "rule"
            )  # no judge can grade an answer to an unknown question
            and reply.key not in self.graded[grader.identity.grader]
            and is_gradable(reply, grader.identity, self.folder.manifest.definition)
        ]

    def ungraded_replies(self) -> Iterator[tuple[PlannedPrompt, Reply]]:
        """Replies from earlier sessions that a grader has not settled."""
        prompts = {(prompt.probe, prompt.prompt, prompt.variant): prompt for prompt in self.prompts}
        for row in self.folder.replies():
            prompt = prompts.get(row.key[:3])
            if isinstance(row, Reply) and prompt is not None:
                yield prompt, row

    def sync(self) -> None:
        """Make every row durable."""
        for writer in (self._replies, *self._grades.values(), *([self._controls] if self._controls else [])):
            writer.sync()

    def _request_key(self, prompt: PlannedPrompt) -> str:
        """The key that all samples of a prompt share; computing it costs as much as writing a row."""
        name = (prompt.probe, prompt.prompt, prompt.variant)
        if name not in self._keys:
            manifest = self.folder.manifest
            self._keys[name] = request_key(prompt, manifest.target, manifest.seed)
        return self._keys[name]

    def _open(self, path: Path) -> RowWriter:
        writer = RowWriter(path)
        self._files.callback(writer.close)
        return writer

    def _settled(self, who: GraderIdentity) -> Iterator[Graded | Ungraded]:
        """Grades that stand. One that failed for want of an answer from the judge is asked for again."""
        return (row for row in self.folder.grades(who) if isinstance(row, Graded) or row.reason != "failed")


def in_rounds(groups: Collection[Sequence[Session]]) -> Iterator[Work]:
    """The work of several sessions, round by round: sample 0 of every prompt, then sample 1 …

    The sessions of one group share their plan, and take turns prompt by prompt, so that a drifting server touches all.
    """
    yield from _chain_rounds([_rounds(group) for group in groups])


def _rounds(group: Sequence[Session]) -> Iterator[list[Work]]:
    most = max((prompt.samples for session in group for prompt in session.prompts), default=0)
    for sample in range(most):
        yield [
            Work(session, prompt, sample)
            for prompts in zip_longest(*(session.prompts for session in group))
            for session, prompt in zip(group, prompts, strict=True)
            if prompt is not None
            and sample < prompt.samples
            and ReplyKey(prompt.probe, prompt.prompt, prompt.variant, sample) not in session.replied
        ]


def _chain_rounds(groups: Sequence[Iterator[list[Work]]]) -> Iterator[Work]:
    for rounds in zip_longest(*groups, fillvalue=[]):
        for work in rounds:
            yield from work
