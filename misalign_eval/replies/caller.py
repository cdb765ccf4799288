"""One provider, asked with all that a long run needs: places, retries, time limits, accounting, a reason to stop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from misalign_eval.errors import ProviderFault, RunStoppedError
from misalign_eval.records.protocols import ModelRequest, Provider, Response
from misalign_eval.replies.limiter import Limiter
from misalign_eval.replies.meter import Meter
from misalign_eval.replies.retry import LOAD, RetryPolicy, persist

FATAL_IN_A_ROW = 3  # wrong key, unknown model: three different requests agree
FAILED_FROM_THE_START = 10  # nothing ever came back: ten requests, each with all its attempts
UNREACHABLE_FROM_THE_START = 3  # refused, unknown host: no use in trying ten …
ATTEMPTS_AT_THE_SILENT = 3  # … nor in trying each as often as one that is known to be there


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what it took to get it."""

    response: Response
    attempts: int
    latency_s: float  # of the attempt that answered


class FailedError(Exception):
    """A request that ended without an answer after all its attempts."""

    def __init__(self, fault: ProviderFault, attempts: int) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.attempts = attempts


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
    _failed: int = 0
    _fatal: int = 0

    async def call(self, request: ModelRequest) -> Answer:
        """Get an answer. Raises FailedError after the last attempt, RunStoppedError when none can succeed any more."""
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
        return answer

    async def ask(self, request: ModelRequest) -> Response:
        """What a judge is given: `call` without the bookkeeping. Raises ProviderFault or RunStoppedError."""
        try:
            return (await self.call(request)).response
        except FailedError as failed:
            raise failed.fault from failed

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
