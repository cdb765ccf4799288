"""Provider `command`: a program that reads requests and writes answers as JSON lines."""

import asyncio
import contextlib
import itertools
import json
import os
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import cast, get_args

from pydantic import JsonValue

from misalign_eval.errors import FaultReason, ProviderError, UsageError
from misalign_eval.providers.catalog import cost_usd
from misalign_eval.providers.chat_completions import MarkupOptions, read_options
from misalign_eval.providers.errors import as_count, as_object, as_text, no_answer
from misalign_eval.providers.message_content import Content, calls_in, reasoning_text
from misalign_eval.providers.prefill import Way, continued, continues
from misalign_eval.providers.transport import JsonObject, decode, encode
from misalign_eval.providers.unsupported_params import sent_settings
from misalign_eval.records.markup import Marks
from misalign_eval.records.protocols import Capabilities, ModelInfo, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.run import Usage

# A long-lived program that answers JSON lines, several at a time, matched by id.


_LONGEST_LINE = 32 * 1024 * 1024
_GRACE_S = 2.0
_LAST_WORDS = 300


class SubprocessJsonl:
    """Starts on the first question, and again on the next after it has died."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._waiting: dict[str, asyncio.Future[JsonObject]] = {}
        self._ids = itertools.count(1)
        self._starting = asyncio.Lock()
        self._last_words = ""
        self._closed = False

    async def start(self) -> asyncio.subprocess.Process:
        """The running program. Raises ProviderFault when it cannot be started."""
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await self._spawn()
            return self._process

    async def _spawn(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise ProviderError("connection", "the program has been closed")
        pipe = asyncio.subprocess.PIPE
        try:
            # A session of its own: Ctrl-C reaches us alone, and whatever the program starts can be ended with it.
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LONGEST_LINE, start_new_session=True
            )
        except OSError as error:
            raise ProviderError("connection", f"cannot start the program: {error.strerror}", fatal=True) from None
        self._last_words = ""
        self._tasks = (
            asyncio.create_task(self._read_answers(process)),
            asyncio.create_task(self._read_complaints(process)),
        )
        return process

    async def ask(self, question: JsonObject) -> JsonObject:
        """Send one line and wait for the line of the same id. Raises ProviderFault when the program fails."""
        identity = str(next(self._ids))
        line = _jsonl_line({"id": identity, **question})
        process = await self.start()
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = answer
        try:
            await self._write(process, line)
            return await answer
        finally:
            self._waiting.pop(identity, None)

    async def _write(self, process: asyncio.subprocess.Process, line: bytes) -> None:
        if process.stdin is None or process.returncode is not None:
            raise ProviderError("connection", self._death_of(process), retry=True)
        try:
            process.stdin.write(line)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await process.wait()
            raise ProviderError("connection", self._death_of(process), retry=True) from None

    async def _read_answers(self, process: asyncio.subprocess.Process) -> None:
        """Hand each line to who waits for it, until the program ends its output."""
        if process.stdout is None:
            return
        try:
            while line := await process.stdout.readline():
                self._deliver(line)
        except ValueError:  # a line without end
            self._fail_all(no_answer(f"the program wrote a line of over {_LONGEST_LINE >> 20} MB"))
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_S)
        _signal(process, signal.SIGKILL)
        await process.wait()
        self._fail_all(ProviderError("connection", self._death_of(process), retry=True))

    def _deliver(self, line: bytes) -> None:
        try:
            answer = as_object(decode(line))
        except ValueError:
            answer = {}
        identity = answer.get("id")
        if not isinstance(identity, str | int) or isinstance(identity, bool):
            shown = " ".join(line[:200].decode("utf-8", "replace").split())
            self._fail_all(no_answer(f"the program wrote a line that is no answer: {shown!r}"))
            return
        waiting = self._waiting.get(str(identity))  # nobody: asked for by a call that was cancelled since
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _fail_all(self, fault: ProviderError) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(fault)

    async def _read_complaints(self, process: asyncio.subprocess.Process) -> None:
        """Keep the end of what the program writes to standard error, so that its death can be explained."""
        if process.stderr is None:
            return
        while part := await process.stderr.read(65536):
            self._last_words = (self._last_words + part.decode("utf-8", "replace"))[-4000:]

    def _death_of(self, process: asyncio.subprocess.Process) -> str:
        lines = [line for line in self._last_words.splitlines() if line.strip()]
        said = f": {lines[-1].strip()[:_LAST_WORDS]}" if lines else ""
        return f"the program ended with status {process.returncode}{said}"

    async def close(self) -> None:
        """End the program: ask, then kill; with it whatever it started."""
        self._closed = True
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_S)
        _signal(process, signal.SIGKILL)
        await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail_all(ProviderError("connection", "the program has been closed"))


def _jsonl_line(question: JsonObject) -> bytes:
    """ASCII: the program may read its input by any encoding, and take U+2028 for the end of a line."""
    encode(question)
    return json.dumps(question).encode() + b"\n"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the program's whole session; it may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


# A program of the user's as a model: JSON lines in, JSON lines out.
#
# A request: `{"id": "7", "model": …, "messages": [{"role", "content"}, …], "temperature": …}` with the settings that
# are set. An answer: `{"id": "7", "text": …}` with, as wanted, `reasoning`, `finish`, `refusal`, `usage`, `dropped`, or
# `{"id": "7", "error": {"message": …, "reason": …, "retry": true}}`. Answers may come in any order.


class CommandOptions(MarkupOptions):
    """`options:` of a `command` target. Without `command` the model's name is the command line.

    `prefill: true` says that the program continues an assistant turn at the end of `messages`.
    """

    command: tuple[str, ...] = ()
    prefill: bool = False


def create(spec: ModelSpec) -> Provider:
    """An adapter to one program, started when it is first asked. Raises UsageError when there is no such program."""
    options = read_options(spec, CommandOptions)
    if spec.base_url or spec.api_key_env:
        raise UsageError(f"{spec.name}: a command has no address and no key; it inherits the environment.")
    try:
        command = options.command or tuple(shlex.split(spec.model))
    except ValueError as error:
        raise UsageError(f"{spec.name}: the command line cannot be read: {error}.") from None
    if not command or shutil.which(command[0]) is None:
        raise UsageError(f"{spec.name}: `{command[0] if command else ''}` is no program that can be run here.")
    return CommandProvider(spec, SubprocessJsonl(command), options.marks)


class CommandProvider:
    """One program, asked by lines."""

    def __init__(self, spec: ModelSpec, process: SubprocessJsonl, marks: Marks | None = None) -> None:
        self.spec = spec
        self.host = ""
        self.account = spec.name
        self.capabilities = Capabilities(system=True, logprobs=False, prefill=continues(spec))
        self._process = process
        self._marks = marks

    async def complete(self, request: ModelRequest) -> Response:
        """Make one attempt. Raises ProviderFault."""
        answer = await self._process.ask(_answer_line(self.spec.model, request))
        if answer.get("error"):
            raise _told_fault(answer["error"])
        return continued(self._read(answer, request), request, () if request.prefill is None else (Way.TURN.value,))

    def _read(self, answer: JsonObject, request: ModelRequest) -> Response:
        text, refusal = answer.get("text"), as_text(answer.get("refusal"))
        if not isinstance(text, str) and refusal is None:
            raise no_answer("the answer has no `text`")
        content = Content(texts=[text if isinstance(text, str) else ""], calls=list(calls_in(answer)))
        reasoning = reasoning_text(answer.get("reasoning"))
        choice = content.choice(answer.get("finish", "stop"), marks=self._marks, reasoning=reasoning, refusal=refusal)
        return Response(
            (choice,),
            self._usage(as_object(answer.get("usage"))),
            model=as_text(answer.get("model")),
            dropped=_dropped(answer.get("dropped"), request),
        )

    def _usage(self, usage: JsonObject) -> Usage:
        counted = Usage(
            input_tokens=as_count(usage.get("input_tokens")), output_tokens=as_count(usage.get("output_tokens"))
        )
        return counted.model_copy(update={"cost_usd": cost_usd(counted, self.spec.prices)})

    async def facts(self) -> ModelInfo:
        """Start the program."""
        try:
            await self._process.start()
        except ProviderError as fault:
            return ModelInfo(reachable=False, detail=fault.message)
        return ModelInfo(reachable=True, detail="the program runs")

    async def close(self) -> None:
        """End the program and all that it started."""
        await self._process.close()


def _answer_line(model: str, request: ModelRequest) -> JsonObject:
    """The request with the settings that are set, under our own names."""
    line: JsonObject = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
    }
    for name in sent_settings(request):
        value = getattr(request, name)
        line[name] = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    return line


def _dropped(named: JsonValue, request: ModelRequest) -> tuple[str, ...]:
    """The settings that the program says it left out; log-probabilities and n always are."""
    said = set(named) if isinstance(named, list) else set()
    return tuple(name for name in sent_settings(request) if name in said or name in ("top_logprobs", "n"))


def _told_fault(error: JsonValue) -> ProviderError:
    """A fault in the program's own words."""
    told = as_object(error)
    message = as_text(told.get("message")) or as_text(error) or "the program reports an error"
    named = as_text(told.get("reason"))
    reason = cast("FaultReason", named) if named in get_args(FaultReason) else "server"
    after = told.get("after_s")
    return ProviderError(
        reason,
        " ".join(message.split())[:400],
        retry=told.get("retry") is True,
        after_s=float(after) if isinstance(after, int | float) and not isinstance(after, bool) else None,
        fatal=told.get("fatal") is True,
    )
