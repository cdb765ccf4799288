"""A long-lived program that answers JSON lines, several at a time, matched by id."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
from collections.abc import Sequence

from misalign_eval.errors import ProviderFault
from misalign_eval.providers.reading import as_object, no_answer
from misalign_eval.providers.wire import JsonObject, decode, encode

_LONGEST_LINE = 32 * 1024 * 1024
_GRACE_S = 2.0
_LAST_WORDS = 300


class LineProcess:
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
            raise ProviderFault("connection", "the program has been closed")
        pipe = asyncio.subprocess.PIPE
        try:
            # A session of its own: Ctrl-C reaches us alone, and whatever the program starts can be ended with it.
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LONGEST_LINE, start_new_session=True
            )
        except OSError as error:
            raise ProviderFault("connection", f"cannot start the program: {error.strerror}", fatal=True) from None
        self._last_words = ""
        self._tasks = (
            asyncio.create_task(self._read_answers(process)),
            asyncio.create_task(self._read_complaints(process)),
        )
        return process

    async def ask(self, question: JsonObject) -> JsonObject:
        """Send one line and wait for the line of the same id. Raises ProviderFault when the program fails."""
        identity = str(next(self._ids))
        line = _line({"id": identity, **question})
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
            raise ProviderFault("connection", self._death_of(process), retry=True)
        try:
            process.stdin.write(line)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await process.wait()
            raise ProviderFault("connection", self._death_of(process), retry=True) from None

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
        self._fail_all(ProviderFault("connection", self._death_of(process), retry=True))

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

    def _fail_all(self, fault: ProviderFault) -> None:
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
        self._fail_all(ProviderFault("connection", "the program has been closed"))


def _line(question: JsonObject) -> bytes:
    """ASCII: the program may read its input by any encoding, and take U+2028 for the end of a line."""
    encode(question)
    return json.dumps(question).encode() + b"\n"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the program's whole session; it may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
