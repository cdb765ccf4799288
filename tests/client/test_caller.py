"""A caller gets an answer or a reason, keeps count, and ends a run that cannot succeed."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.client.caller import Budget, Caller, FailedError, ProviderAnswer, RetryPolicy
from misalign_eval.client.limiter import Limiter
from misalign_eval.errors import ProviderError, RunStoppedError
from misalign_eval.records.protocols import Capabilities, Choice, ModelInfo, ModelRequest, ModelSpec, Response
from misalign_eval.records.run import Usage
from misalign_eval.records.suite import Message

REQUEST = ModelRequest(messages=(Message(role="user", content="hello"),))
HELLO = Response((Choice("hello", "stop"),), usage=Usage(input_tokens=3, output_tokens=1, cost_usd=0.25))


class FakeProvider:
    """Does what each call's step says."""

    host = "fake:1"
    account = "fake"
    capabilities = Capabilities()
    spec = ModelSpec("fake", "model")

    def __init__(self, step: Callable[[int], Any]) -> None:
        self.calls = 0
        self.step = step

    async def complete(self, request: ModelRequest) -> Response:
        self.calls += 1
        result = self.step(self.calls)
        if isinstance(result, Exception):
            raise result
        if not isinstance(result, Response):
            await result
        return result if isinstance(result, Response) else HELLO

    async def facts(self) -> ModelInfo:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to release."""


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def caller(provider: FakeProvider, meter: Budget | None = None, **policy: Any) -> Caller:
    limiter = Limiter(4, lambda: 0.0)
    return Caller(provider, limiter, meter or Budget(), RetryPolicy(**{"attempts": 3, **policy}), sleep=no_sleep)


def test_an_answer_says_how_many_attempts_it_took() -> None:
    provider = FakeProvider(lambda n: HELLO if n == 2 else ProviderError("server", "oops", status=500, retry=True))
    answer = asyncio.run(caller(provider).call(REQUEST))
    assert isinstance(answer, ProviderAnswer)
    assert (answer.response, answer.attempts) == (HELLO, 2)


def test_a_request_that_fails_says_why_and_after_how_many_attempts() -> None:
    provider = FakeProvider(lambda _: ProviderError("server", "oops", status=500, retry=True))
    with pytest.raises(FailedError) as caught:
        asyncio.run(caller(provider).call(REQUEST))
    assert (caught.value.fault.reason, caught.value.attempts) == ("server", 3)


def test_an_attempt_that_takes_too_long_is_a_timeout_even_when_the_adapter_hangs() -> None:
    provider = FakeProvider(lambda _: asyncio.sleep(60))
    with pytest.raises(FailedError) as caught:
        asyncio.run(caller(provider, attempt_s=0.01, attempts=2).call(REQUEST))
    assert (caught.value.fault.reason, provider.calls) == ("timeout", 2)


def test_the_wait_for_a_free_place_is_no_time_of_the_request() -> None:
    now = 0.0

    class Busy(Limiter):
        async def acquire(self) -> None:
            nonlocal now
            now += 100.0
            await super().acquire()

    def fail(_: int) -> ProviderError:
        nonlocal now
        now += 4.0
        return ProviderError("server", "oops", status=500, retry=True)

    policy = RetryPolicy(attempts=9, total_s=10.0, first_wait_s=0.0)
    asked = Caller(FakeProvider(fail), Busy(4, lambda: now), Budget(), policy, clock=lambda: now, sleep=no_sleep)
    with pytest.raises(FailedError) as caught:
        asyncio.run(asked.call(REQUEST))
    assert caught.value.attempts == 3  # 12 s of its own, 300 s of waiting for others


def test_every_place_is_free_again_after_faults_timeouts_and_cancellation() -> None:
    async def run() -> int:
        asked = caller(FakeProvider(lambda n: HELLO if n % 3 else asyncio.sleep(60)), attempt_s=0.01, attempts=1)
        results = await asyncio.gather(*(asked.call(REQUEST) for _ in range(9)), return_exceptions=True)
        assert any(isinstance(result, ProviderAnswer) for result in results)
        task = asyncio.create_task(caller(FakeProvider(lambda _: asyncio.sleep(60))).call(REQUEST))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return asked.limiter.in_flight

    assert asyncio.run(run()) == 0


def test_three_fatal_faults_in_a_row_stop_the_run_with_one_line() -> None:
    provider = FakeProvider(lambda _: ProviderError("auth", "401 wrong key", status=401, fatal=True))

    async def run() -> None:
        asked = caller(provider)
        for _ in range(2):
            with pytest.raises(FailedError):
                await asked.call(REQUEST)
        await asked.call(REQUEST)

    with pytest.raises(RunStoppedError, match=r"^fake/model at fake:1: 401 wrong key$"):
        asyncio.run(run())
    assert provider.calls == 3


def test_faults_that_come_and_go_do_not_stop_a_run() -> None:
    provider = FakeProvider(lambda n: HELLO if n == 1 else ProviderError("server", "oops", status=500))

    async def run() -> int:
        asked = caller(provider)
        await asked.call(REQUEST)
        failed = 0
        for _ in range(20):
            try:
                await asked.call(REQUEST)
            except FailedError:
                failed += 1
        return failed

    assert asyncio.run(run()) == 20


def test_a_server_that_refuses_the_connection_stops_the_run_after_three_requests() -> None:
    provider = FakeProvider(lambda _: ProviderError("connection", "refused", retry=True))

    async def run() -> None:
        asked = caller(provider, attempts=6)
        for _ in range(10):
            try:
                await asked.call(REQUEST)
            except FailedError:
                continue

    with pytest.raises(RunStoppedError, match="refused"):
        asyncio.run(run())
    assert provider.calls == 9


def test_the_request_limit_stops_before_the_next_call() -> None:
    provider, meter = FakeProvider(lambda _: HELLO), Budget(max_requests=2)

    async def run() -> None:
        asked = caller(provider, meter)
        for _ in range(3):
            await asked.call(REQUEST)

    with pytest.raises(RunStoppedError, match="--max-requests 2 reached"):
        asyncio.run(run())
    assert provider.calls == 2


def test_the_cost_limit_stops_before_the_call_that_could_pass_it() -> None:
    provider, meter = FakeProvider(lambda _: HELLO), Budget(max_cost_usd=0.8)

    async def run() -> None:
        asked = caller(provider, meter)
        for _ in range(9):
            await asked.call(REQUEST)

    with pytest.raises(RunStoppedError, match=r"--max-cost 0\.8 USD: 0\.7500 spent"):
        asyncio.run(run())
    assert (provider.calls, meter.cost_usd) == (3, 0.75)


def test_an_unknown_cost_is_counted_as_unknown_not_as_nothing() -> None:
    unpriced = Response((Choice("hello", "stop"),), usage=Usage(input_tokens=3))
    meter = Budget()
    asyncio.run(caller(FakeProvider(lambda _: unpriced), meter).call(REQUEST))
    assert (meter.unpriced, meter.cost_usd) == (1, 0.0)
