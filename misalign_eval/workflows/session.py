"""The session of one run: its open folder, its models, and what is still to be done."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, Self

from misalign_eval.client.caller import Budget, Caller, ask_once
from misalign_eval.client.limiter import Limiter
from misalign_eval.errors import ProviderError, RunStoppedError, UsageError
from misalign_eval.plan import request_key, request_seed
from misalign_eval.plugins import load
from misalign_eval.providers.catalog import price_of
from misalign_eval.providers.keys import reject_keys_in_arguments
from misalign_eval.records.grade import ControlGrade, Graded, GraderIdentity, Subject, Ungraded, judges_of
from misalign_eval.records.model_names import Served
from misalign_eval.records.protocols import Grader, JudgeHandle, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.run import CellKey, Failure, PlannedPrompt, Reply, ReplyKey
from misalign_eval.records.suite import Sampling
from misalign_eval.settings import Role, Settings, resolve, sampling_of
from misalign_eval.store.lock import CONTROLS, REPLIES
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import RunFolder
from misalign_eval.workflows.load_run import is_gradable, written
from misalign_eval.workflows.options import RequestLimits, TargetAddress

# The session: a run folder that is being extended, with its target, graders, open files and missing replies.


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
    _keys: dict[CellKey, str] = field(default_factory=dict)
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
            ReplyKey(*prompt.cell, sample) not in self.replied
            for prompt in self.prompts
            for sample in range(prompt.samples)
        )

    async def ask(self, prompt: PlannedPrompt, sample: int) -> Reply | Failure:
        """Collect one reply and write its row."""
        if self.caller is None:
            raise RuntimeError("this session only grades")
        manifest = self.folder.manifest
        row = await ask_once(
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
            (grade.grader, grade.identity, grade.row.probe)
            for grade in (self.folder.control_grades() if planned else ())
            if isinstance(grade.row, Graded) or grade.row.reason != "failed"
        }
        for control in planned:
            for grader in self.graders:
                who = grader.identity
                named = (who.grader, who.identity, control.prompt.probe)
                if who.grader in control.prompt.graders and named not in settled:
                    yield written(control), grader

    def write_control(self, row: Graded | Ungraded, identity: GraderIdentity) -> None:
        """Append what a grader said of a written reply."""
        if self._controls is not None:
            self._controls.write(ControlGrade(grader=identity.grader, identity=identity.identity, row=row))

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
        prompts = {prompt.cell: prompt for prompt in self.prompts}
        for row in self.folder.replies():
            prompt = prompts.get(row.cell)
            if isinstance(row, Reply) and prompt is not None:
                yield prompt, row

    def sync(self) -> None:
        """Make every row durable."""
        for writer in (self._replies, *self._grades.values(), *([self._controls] if self._controls else [])):
            writer.sync()

    def _request_key(self, prompt: PlannedPrompt) -> str:
        """The key that all samples of a prompt share; computing it costs as much as writing a row."""
        name = prompt.cell
        if name not in self._keys:
            manifest = self.folder.manifest
            self._keys[name] = request_key(prompt, manifest.target, manifest.seed)
        return self._keys[name]

    def _open(self, path: Path) -> RowWriter:
        writer = RowWriter(path)
        self._files.callback(writer.close)
        return writer

    def _settled(self, identity: GraderIdentity) -> Iterator[Graded | Ungraded]:
        """Grades that stand. One that failed for want of an answer from the judge is asked for again."""
        return (row for row in self.folder.grades(identity) if isinstance(row, Graded) or row.reason != "failed")


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
            if prompt is not None and sample < prompt.samples and (*prompt.cell, sample) not in session.replied
        ]


def _chain_rounds(groups: Sequence[Iterator[list[Work]]]) -> Iterator[Work]:
    for rounds in zip_longest(*groups, fillvalue=[]):
        for work in rounds:
            yield from work


# Callers of providers: one limiter for each account, one budget for each run.


_UNSET = Sampling()
_FLAG = re.compile(r"(?<![\w-])--(base-url|api-key-env)\b")


def named(
    names: Sequence[str], at: TargetAddress, settings: Settings, role: Role, sampling: Sampling = _UNSET
) -> tuple[ModelSpec, ...]:
    """What the names of a flag stand for; `sampling` are the flags about how judges are asked, which win over the file.

    Raises UsageError for a name that stands for nothing, or holds a key.
    """
    flags = ("--target", "--base-url") if role == "targets" else ("--judge", "--judge-base-url")
    typed = dict(zip(flags, ([*names, *at.served_as], [at.base_url or ""]), strict=True))
    reject_keys_in_arguments(typed, [at.api_key_env] if at.api_key_env else [])
    try:
        found = [resolve(name, settings, base_url=at.base_url, api_key_env=at.api_key_env, role=role) for name in names]
    except UsageError as error:
        raise UsageError(of_judge(str(error))) if role == "judges" else error from None
    specs = tuple(replace(spec, served_as=(*spec.served_as, *at.served_as)) for spec in found)
    if role == "targets":
        return specs
    return tuple(
        replace(spec, sampling=_sampling(sampling_of(name, settings, role), sampling))
        for name, spec in zip(names, specs, strict=True)
    )


def _sampling(of_file: Sampling, of_flags: Sampling) -> Sampling:
    return of_file.model_copy(update=of_flags.model_dump(exclude_none=True))


def of_judge(text: str) -> str:
    """The same advice for a judge: its address and key have flags of their own.

    >>> of_judge("give `--base-url` or --judge-base-url")
    'give `--judge-base-url` or --judge-base-url'
    """
    return _FLAG.sub(r"--judge-\1", text)


def check_prices(limits: RequestLimits, specs: Sequence[ModelSpec]) -> None:
    """A limit in dollars cannot be kept where a price is unknown. Raises UsageError."""
    if limits.max_cost_usd is None:
        return
    if unknown := [spec.name for spec in specs if price_of(spec) is None]:
        raise UsageError(
            f"--max-cost: no price is known for {', '.join(dict.fromkeys(unknown))}. Name the model in "
            "misalign-eval.yaml with `prices:`, or limit the run with --max-requests"
        )


@dataclass
class Models:
    """Every provider of a run. Making one checks its key and address; nothing is sent."""

    limits: RequestLimits
    meter: Budget = field(init=False)
    _limiters: dict[str, Limiter] = field(default_factory=dict)
    met: Callable[[str], None] = lambda _: None  # is told by which name a model first answers, where it is another
    _callers: list[Caller] = field(default_factory=list)
    _judges: list[JudgeHandle] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start to count."""
        self.meter = Budget(self.limits.max_requests, self.limits.max_cost_usd)

    def caller(self, spec: ModelSpec, *, accept: str = "--served-as") -> Caller:
        """The caller of a model; `accept` is the flag that accepts another name.

        Raises UsageError for a missing key or an address that is none.
        """
        provider: Provider = load("providers", spec.provider)(spec)
        limiter = self._limiters.setdefault(provider.account, Limiter(self.limits.max_connections, time.monotonic))
        served = Served(spec.provider, spec.model, spec.served_as)
        policy = self.limits.retry
        caller = Caller(provider, limiter, self.meter, policy, served=served, met=self.met, accept=accept)
        self._callers.append(caller)
        return caller

    def judge(self, spec: ModelSpec) -> JudgeHandle:
        """The same, as a grader is given it. Its errors name the flags of judges."""
        try:
            caller = self.caller(spec, accept="--judge-served-as")
        except UsageError as error:
            raise type(error)(of_judge(str(error))) if type(error) is UsageError else error from None
        provider = caller.provider

        async def ask(request: ModelRequest) -> Response:
            try:
                return await caller.ask(request)
            except ProviderError as fault:
                fault.message = of_judge(fault.message)
                raise
            except RunStoppedError as error:
                error.args = (of_judge(str(error)),)
                raise

        handle = JudgeHandle(spec, provider.host, lambda: provider.capabilities, ask)
        self._judges.append(handle)
        return handle

    def notes(self) -> tuple[str, ...]:
        """What servers of judges did not give as it was asked, in words."""
        fewest = {handle.spec.name: handle.capabilities().top_logprobs for handle in self._judges}
        return tuple(
            f"judge {name}: its server gives at most {most} log-probabilities of a token, and {most} were asked for"
            for name, most in fewest.items()
            if most is not None
        )

    def remember(self, folder: RunFolder) -> None:
        """Hold the models that answer from now on also against those that answered earlier in this run."""
        held = {caller.provider.spec.name: caller.served for caller in self if caller.served is not None}
        target = folder.manifest.target
        if (served := held.get(target.name)) is not None:
            served.accepted = (*served.accepted, *target.served_as)
            rows = (row for row in folder.replies() if isinstance(row, Reply))
            served.admits(next((row.model for row in rows if row.model), None))
        for identity in folder.grader_identities():
            if identity.kind != "rule":
                for judge, name in next(
                    filter(None, (judges_of(identity, row) for row in folder.all_grades(identity))), ()
                ):
                    if (served := held.get(judge)) is not None:
                        served.admits(name)

    def places(self, callers: Sequence[Caller]) -> int:
        """How many workers keep these callers' accounts busy."""
        return self.limits.max_connections * max(1, len({caller.provider.account for caller in callers}))

    def __iter__(self) -> Iterator[Caller]:
        """Every caller made so far."""
        return iter(self._callers)

    async def close(self) -> None:
        """Release connections and processes."""
        for caller in self:
            await caller.provider.close()
