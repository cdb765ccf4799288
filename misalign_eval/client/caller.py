"""The client: calls a provider with concurrency limit, retries, time limits and budget; a request becomes a row."""

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from misalign_eval.client.limiter import Limiter
from misalign_eval.errors import OtherModelError, ProviderError, RunStoppedError
from misalign_eval.records.model_names import Served
from misalign_eval.records.protocols import ModelRequest, Provider, Response
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, Usage
from misalign_eval.records.suite import REPLY_MARK, Message

# Retry decisions: typed, bounded in count and in time.


T = TypeVar("T")
LOAD = frozenset({"rate_limit", "overloaded"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of one request, in seconds. `attempt_s` is for one attempt, `total_s` for all with the waits between.

    The wait for a free place at the account does not count. A server that says it is busy is asked more often than one
    that fails: behind a tight quota, many requests wait for the same second, and each refusal tells how long.
    """

    attempts: int = 6
    attempts_under_load: int = 40
    attempt_s: float = 300.0
    total_s: float = 900.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What to do after a fault."""

    retry: bool
    why: str
    wait_s: float = 0.0


def decide(fault: ProviderError, *, attempt: int, elapsed_s: float, policy: RetryPolicy, rng: Random) -> RetryDecision:
    """Look at one fault after attempt number `attempt` (from 1), `elapsed_s` seconds after the first began.

    The wait is the server's own Retry-After when it gives one, else exponential with full jitter in its upper half.
    """
    if not fault.retry:
        return RetryDecision(False, f"{fault.reason}: asking again cannot help")
    if attempt >= (policy.attempts_under_load if fault.reason in LOAD else policy.attempts):
        return RetryDecision(False, f"{fault.reason}: {attempt} attempts made")
    backoff = min(policy.longest_wait_s, policy.first_wait_s * 2 ** (attempt - 1))
    wait_s = backoff * rng.uniform(0.5, 1.0) if fault.after_s is None else fault.after_s + rng.uniform(0.0, 0.25)
    if elapsed_s + wait_s > policy.total_s:
        return RetryDecision(
            False, f"{fault.reason}: waiting {wait_s:.0f} s would pass the limit of {policy.total_s:.0f} s"
        )
    return RetryDecision(True, fault.reason, wait_s)


async def persist(
    attempt: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy,
    rng: Random,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Call `attempt(1)`, then again while `decide` says so. Raises the last ProviderFault.

    The first attempt runs outside tenacity: its loop costs as much as a small request, and most need no second.
    """
    started = clock()
    try:
        return await attempt(1)
    except ProviderError as fault:
        first = decide(fault, attempt=1, elapsed_s=clock() - started, policy=policy, rng=rng)
        if not first.retry:
            raise
    return await _again(attempt, first, started, policy=policy, rng=rng, clock=clock, sleep=sleep)


async def _again(
    attempt: Callable[[int], Awaitable[T]],
    decision: RetryDecision,
    started: float,
    *,
    policy: RetryPolicy,
    rng: Random,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    from tenacity import AsyncRetrying, RetryCallState

    await sleep(decision.wait_s)

    def judge(state: RetryCallState) -> bool:
        nonlocal decision
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, ProviderError):
            return False
        made = state.attempt_number + 1
        decision = decide(fault, attempt=made, elapsed_s=clock() - started, policy=policy, rng=rng)
        return decision.retry

    retrying = AsyncRetrying(retry=judge, wait=lambda _: decision.wait_s, sleep=sleep, reraise=True)
    async for turn in retrying:
        with turn:
            return await attempt(turn.retry_state.attempt_number + 1)
    raise AssertionError("tenacity ends by returning or raising")


# Budget: spending is counted before each request leaves, so that a limit stops the run before the next call.


@dataclass(slots=True)
class Budget:
    """Requests and money of a run, target and judge together. `spent_*` start with what earlier sessions spent."""

    max_requests: int | None = None
    max_cost_usd: float | None = None
    requests: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0  # answers whose cost is unknown
    in_flight: int = 0
    answers: int = 0

    def start(self) -> None:
        """Count a request that is about to leave. Raises RunStoppedError when a limit forbids it."""
        if self.max_requests is not None and self.requests >= self.max_requests:
            raise RunStoppedError(f"--max-requests {self.max_requests} reached. Raise it and resume to go on")
        if self.max_cost_usd is not None and self._expected_usd() > self.max_cost_usd:
            raise RunStoppedError(
                f"--max-cost {self.max_cost_usd:g} USD: {self.cost_usd:.4f} spent, and the next call could pass it. "
                "Raise it and resume to go on"
            )
        self.requests += 1
        self.in_flight += 1

    def end(self, usage: Usage | None) -> None:
        """Count what an attempt cost; None for an attempt without an answer."""
        self.in_flight -= 1
        if usage is None:
            return
        self.answers += 1
        if usage.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += usage.cost_usd

    def _expected_usd(self) -> float:
        """Spent, plus the calls in flight and the next one at the mean price so far."""
        mean = self.cost_usd / self.answers if self.answers else 0.0
        return self.cost_usd + mean * (self.in_flight + 1)


# The caller of one provider: concurrency, retries, time limits, accounting, a reason to stop.


FATAL_IN_A_ROW = 3  # wrong key, unknown model: three different requests agree
FAILED_FROM_THE_START = 10  # nothing ever came back: ten requests, each with all its attempts
UNREACHABLE_FROM_THE_START = 3  # refused, unknown host: no use in trying ten …
ATTEMPTS_AT_THE_SILENT = 3  # … nor in trying each as often as one that is known to be there
LONGEST_NAME = 200  # of a model, as its server tells it


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A response, and what it took to get it."""

    response: Response
    attempts: int
    latency_s: float  # of the attempt that answered


class FailedError(Exception):
    """A request that ended without an answer after all its attempts."""

    def __init__(self, fault: ProviderError, attempts: int, response: Response | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.attempts = attempts
        self.response = response  # of another model than the one asked for


@dataclass(slots=True)
class Caller:
    """Asks one provider. Shares its limiter with the callers of the same account and its meter with the whole run."""

    provider: Provider
    limiter: Limiter
    meter: Budget
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

    async def call(self, request: ModelRequest) -> ProviderAnswer:
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

    async def _call(self, request: ModelRequest) -> ProviderAnswer:
        if self.stranger is not None:
            raise self.stranger
        made, queued_s = 0, 0.0

        async def attempt(number: int) -> ProviderAnswer:
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
        except ProviderError as fault:
            self._note_failure(fault)
            raise FailedError(fault, made) from fault
        self.answered, self._fatal = True, 0
        self._hold(answer, made)
        return answer

    def _hold(self, answer: ProviderAnswer, made: int) -> None:
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
        fault = ProviderError("other_model", what, fatal=True)
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

    async def _attempt(self, request: ModelRequest, number: int, started: float) -> ProviderAnswer:
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
        except ProviderError as fault:
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
        return ProviderAnswer(response, number, self.clock() - started)

    def _timed_out(self) -> ProviderError:
        return ProviderError("timeout", f"no complete answer within {self.policy.attempt_s:g} s", retry=True)

    def _note_failure(self, fault: ProviderError) -> None:
        """Stop the run when this provider fails on everything, before thousands of requests say the same."""
        self._failed += 1
        self._fatal = self._fatal + 1 if fault.fatal else 0
        unreachable = fault.reason == "connection" and self._failed >= UNREACHABLE_FROM_THE_START
        hopeless = not self.answered and (self._failed >= FAILED_FROM_THE_START or unreachable)
        if self._fatal >= FATAL_IN_A_ROW or hopeless:
            name = self.provider.spec.name
            raise RunStoppedError(f"{name} at {self.provider.host or 'this machine'}: {fault.message}") from fault


# A planned request, from its first turn to its row.


def now() -> str:
    """UTC to the millisecond, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def ask_once(
    caller: Caller, prompt: PlannedPrompt, sample: int, *, request_key: str, seed: int | None
) -> Reply | Failure:
    """Ask the target each of its turns. Ends as exactly one Reply or one Failure; raises only RunStoppedError."""
    conversation = [Message(role="system", content=prompt.system)] if prompt.system else []
    answers: list[ProviderAnswer] = []
    about: dict[str, Any] = {
        "probe": prompt.probe,
        "prompt": prompt.prompt,
        "variant": prompt.variant,
        "sample": sample,
        "prompt_digest": prompt.prompt_digest,
        "request_key": request_key,
    }
    try:
        for message in (*prompt.messages, Message(role="assistant", content=REPLY_MARK)):
            if message.role != "assistant" or message.content != REPLY_MARK:
                conversation.append(message)
                continue
            answers.append(await caller.call(_request(conversation, prompt, seed)))
            choice = answers[-1].response.choices[0]
            if choice.finish not in {"stop", "unknown"}:
                break  # a conversation that was refused, blocked or cut off ends there and counts as that
            conversation.append(Message(role="assistant", content=choice.text))
    except FailedError as failed:
        fault = failed.fault
        attempts = sum(answer.attempts for answer in answers) + failed.attempts
        return Failure(
            **about,
            at=now(),
            attempts=attempts,
            reason=fault.reason,
            message=fault.message,
            status=fault.status,
            model=failed.response.model if failed.response else None,
        )
    return _reply(about, answers)


def _request(conversation: list[Message], prompt: PlannedPrompt, seed: int | None) -> ModelRequest:
    sampling = prompt.sampling
    return ModelRequest(
        messages=tuple(conversation),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=seed,
        reasoning_effort=sampling.reasoning_effort,
    )


def _reply(about: dict[str, Any], answers: list[ProviderAnswer]) -> Reply:
    last = answers[-1].response
    choice = last.choices[0]
    return Reply(
        **about,
        at=now(),
        attempts=sum(answer.attempts for answer in answers),
        text=choice.text,
        earlier=tuple(answer.response.choices[0].text for answer in answers[:-1]),
        reasoning=choice.reasoning,
        finish=choice.finish,
        finish_word=choice.finish_word,
        calls=choice.calls,
        leaked=choice.leaked,
        refusal=choice.refusal,
        usage=Usage.total([answer.response.usage for answer in answers]),
        latency_s=round(answers[-1].latency_s, 3),
        model=last.model,
        fingerprint=last.fingerprint,
        request_id=last.request_id,
        route=last.route,
        dropped=last.dropped,
        prefilled=last.prefilled,
        streamed=last.streamed,
    )
