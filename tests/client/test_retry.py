"""Asking again: only when it can help, no longer and no more often than allowed, never sooner than the server says."""

import asyncio
from random import Random

import pytest

from misalign_eval.client.caller import RetryPolicy, decide, persist
from misalign_eval.errors import ProviderError

POLICY = RetryPolicy(attempts=4, total_s=100.0, first_wait_s=1.0, longest_wait_s=8.0)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Script:
    """An attempt that fails with each fault in turn, then answers."""

    def __init__(self, *faults: ProviderError) -> None:
        self.faults = list(faults)
        self.numbers: list[int] = []

    async def __call__(self, number: int) -> str:
        self.numbers.append(number)
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


def run(script: Script, time: Time, policy: RetryPolicy = POLICY) -> str:
    return asyncio.run(persist(script, policy=policy, rng=Random(1), clock=time.clock, sleep=time.sleep))


def busy(after_s: float | None = None) -> ProviderError:
    return ProviderError("rate_limit", "slow down", status=429, retry=True, after_s=after_s)


def test_an_answer_at_once_costs_one_attempt_and_no_wait() -> None:
    script, time = Script(), Time()
    assert run(script, time) == "answer"
    assert (script.numbers, time.slept) == ([1], [])


def test_a_fault_that_time_heals_is_asked_again_with_growing_waits() -> None:
    script, time = Script(busy(), busy(), busy()), Time()
    assert run(script, time) == "answer"
    assert script.numbers == [1, 2, 3, 4]
    assert [0.5 <= time.slept[0] <= 1, 1 <= time.slept[1] <= 2, 2 <= time.slept[2] <= 4] == [True] * 3


def test_the_last_fault_is_raised_when_the_attempts_are_spent() -> None:
    script, time = Script(*[ProviderError("server", "oops", status=500, retry=True) for _ in range(9)]), Time()
    with pytest.raises(ProviderError, match="oops"):
        run(script, time)
    assert script.numbers == [1, 2, 3, 4]


def test_a_busy_server_is_asked_more_often_but_not_for_ever() -> None:
    script, time = Script(*[busy(after_s=0.1) for _ in range(99)]), Time()
    with pytest.raises(ProviderError, match="slow down"):
        run(script, time, RetryPolicy(attempts=4, attempts_under_load=20, total_s=100.0))
    assert len(script.numbers) == 20


def test_a_quota_error_is_not_asked_again() -> None:
    script, time = Script(ProviderError("quota", "no money", status=429)), Time()
    with pytest.raises(ProviderError, match="no money"):
        run(script, time)
    assert (script.numbers, time.slept) == ([1], [])


def test_a_hopeless_fault_after_a_hopeful_one_ends_the_request() -> None:
    script, time = Script(busy(), ProviderError("auth", "key withdrawn", status=401, fatal=True)), Time()
    with pytest.raises(ProviderError, match="key withdrawn"):
        run(script, time)
    assert script.numbers == [1, 2]


def test_retry_after_is_honoured_and_not_undercut() -> None:
    script, time = Script(busy(after_s=12.0), busy(after_s=3.0)), Time()
    assert run(script, time) == "answer"
    assert 12.0 <= time.slept[0] <= 12.25
    assert 3.0 <= time.slept[1] <= 3.25


def test_a_wait_beyond_the_total_time_is_not_begun() -> None:
    decision = decide(busy(after_s=101.0), attempt=1, elapsed_s=0.0, policy=POLICY, rng=Random(0))
    assert (decision.retry, decision.why) == (False, "rate_limit: waiting 101 s would pass the limit of 100 s")


def test_the_time_already_spent_counts() -> None:
    assert decide(busy(), attempt=1, elapsed_s=99.9, policy=POLICY, rng=Random(0)).retry is False


def test_an_error_that_is_no_provider_fault_passes_through() -> None:
    class Broken(Script):
        async def __call__(self, number: int) -> str:
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(Broken(), Time())
