"""One provider, asked with all that a long run needs: places, retries, time limits, accounting, a reason to stop."""

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from misalign_eval.errors import OtherModelError, ProviderFault, RunStoppedError
from misalign_eval.records.protocols import ModelRequest, Provider, Response
from misalign_eval.records.served import Served
from misalign_eval.replies.limiter import Limiter
from misalign_eval.replies.meter import Meter
from misalign_eval.replies.retry import LOAD, RetryPolicy, persist

FATAL_IN_A_ROW = 3  # wrong key, unknown model: three different requests agree
FAILED_FROM_THE_START = 10  # nothing ever came back: ten requests, each with all its attempts
UNREACHABLE_FROM_THE_START = 3  # refused, unknown host: no use in trying ten …
ATTEMPTS_AT_THE_SILENT = 3  # … nor in trying each as often as one that is known to be there
LONGEST_NAME = 200  # of a model, as its server tells it


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what it took to get it."""

    response: Response
    attempts: int
    latency_s: float  # of the attempt that answered


class FailedError(Exception):
    """A request that ended without an answer after all its attempts."""

    def __init__(self, fault: ProviderFault, attempts: int, response: Response | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.attempts = attempts
        self.response = response  # of another model than the one asked for


@dataclass(slots=True)
class Caller:
    """Asks one provider. Shares its limiter with the callers of the same account and its meter with the whole run."""

    provider: Provider
    limiter: Limiter
    meter: Meter
    policy: RetryPolicy
    rng: Random = field(default_factory=lambda: Random(0))  # noqa: S311  jitter is no secret
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    answered: bool = False
    served: Served | None = None  # holds the model that answers against the one asked for; None: not held
    met: Callable[[str], None] = lambda _: None  # is told what to know of the name by which the model first answers
    accept: str = "--served-as"  # the flag that accepts another name
    stranger: RunStoppedError | None = None  # another model has answered: no request is sent any more
    _failed: int = 0
    _fatal: int = 0
    _is_met: bool = False
    _door: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(self, request: ModelRequest) -> Answer:
        """Get an answer. Raises FailedError after the last attempt, RunStoppedError when none can succeed any more.

        The first request goes alone, until it is known which model answers: no other is spent on a wrong one.
        """
        if not self._is_met:
            async with self._door:
                if not self._is_met:
                    try:
                        return await self._call(request)
                    finally:
                        self._is_met = True
        return await self._call(request)

    async def _call(self, request: ModelRequest) -> Answer:
        if self.stranger is not None:
            raise self.stranger
        made, queued_s = 0, 0.0

        async def attempt(number: int) -> Answer:
            nonlocal made, queued_s
            made, came = number, self.clock()
            await self.limiter.acquire()
            started = self.clock()
            queued_s += started - came
            return await self._attempt(request, number, started)

        def busy_s() -> float:
            """Others' turns are not counted, or a slow server would cost those at the end their answers."""
            return self.clock() - queued_s

        try:
            answer = await persist(attempt, policy=self.policy, rng=self.rng, clock=busy_s, sleep=self.sleep)
        except ProviderFault as fault:
            self._note_failure(fault)
            raise FailedError(fault, made) from fault
        self.answered, self._fatal = True, 0
        self._hold(answer, made)
        return answer

    def _hold(self, answer: Answer, made: int) -> None:
        """Raise FailedError for an answer of another model, after which no request is sent any more."""
        held, name = self.served, answer.response.model
        if held is None or not name:
            return
        if held.admits(name):
            if not self._is_met and (words := held.words(name)):
                self.met(f"{self.provider.spec.name} {words}")
            return
        asked = f"`{self.provider.spec.model}`" if held.first in {None, self.provider.spec.model} else f"`{held.first}`"
        name = " ".join(name.split())[:LONGEST_NAME]
        what = f"answered by another model: `{name}`, not {asked}"
        fault = ProviderFault("other_model", what, fatal=True)
        if self.stranger is None:
            where = f"{self.provider.spec.name} at {self.provider.host or 'this machine'}"
            accept = f"{self.accept} {shlex.quote(name)}"
            fix = f"Correct the name or the address; if it is the model that you mean, add {accept}, "
            self.stranger = OtherModelError(f"{where}: {what}. {fix}or `served_as:` in misalign-eval.yaml", accept)
        raise FailedError(fault, made, answer.response)

    async def ask(self, request: ModelRequest) -> Response:
        """What a judge is given: `call` without the bookkeeping. Raises ProviderFault or RunStoppedError."""
        try:
            return (await self.call(request)).response
        except FailedError as failed:
            raise (self.stranger or failed.fault) from failed

    async def _attempt(self, request: ModelRequest, number: int, started: float) -> Answer:
        usage = None
        try:
            self.meter.start()
        except RunStoppedError:
            self.limiter.failed()
            raise
        try:
            async with asyncio.timeout(self.policy.attempt_s):
                response = await self.provider.complete(request)
            usage = response.usage
        except TimeoutError as error:
            self.limiter.refused(started, None)
            raise self._timed_out() from error
        except ProviderFault as fault:
            if fault.reason in LOAD:
                self.limiter.refused(started, fault.after_s)
            else:
                self.limiter.failed()
            if fault.reason == "connection" and not self.answered and number >= ATTEMPTS_AT_THE_SILENT:
                fault.retry = False
            raise
        except BaseException:
            self.limiter.failed()
            raise
        finally:
            self.meter.end(usage)
        self.limiter.succeeded()
        return Answer(response, number, self.clock() - started)

    def _timed_out(self) -> ProviderFault:
        return ProviderFault("timeout", f"no complete answer within {self.policy.attempt_s:g} s", retry=True)

    def _note_failure(self, fault: ProviderFault) -> None:
        """Stop the run when this provider fails on everything, before thousands of requests say the same."""
        self._failed += 1
        self._fatal = self._fatal + 1 if fault.fatal else 0
        unreachable = fault.reason == "connection" and self._failed >= UNREACHABLE_FROM_THE_START
        hopeless = not self.answered and (self._failed >= FAILED_FROM_THE_START or unreachable)
        if self._fatal >= FATAL_IN_A_ROW or hopeless:
            name = self.provider.spec.name
            raise RunStoppedError(f"{name} at {self.provider.host or 'this machine'}: {fault.message}") from fault
