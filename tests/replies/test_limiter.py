"""The number of requests in flight follows the server: up while it answers, down when it is overloaded."""

import asyncio

import pytest

from misalign_eval.replies.limiter import HAND_OVER_EVERY, START, Limiter


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def fill(limiter: Limiter) -> int:
    """Take places until one has to wait; gives how many there were."""
    taken = 0
    while True:
        try:
            async with asyncio.timeout(0.01):
                await limiter.acquire()
        except TimeoutError:
            return taken
        taken += 1


def test_a_run_starts_slowly() -> None:
    assert asyncio.run(fill(Limiter(50, FakeClock()))) == START


def test_the_start_is_never_above_the_limit_asked_for() -> None:
    assert asyncio.run(fill(Limiter(3, FakeClock()))) == 3


def test_each_round_of_answers_doubles_the_places_until_the_limit() -> None:
    async def rounds() -> list[int]:
        limiter = Limiter(30, FakeClock())
        seen = []
        for _ in range(3):
            taken = await fill(limiter)
            seen.append(taken)
            for _ in range(taken):
                limiter.succeeded()
        return seen

    assert asyncio.run(rounds()) == [8, 16, 30]


def test_a_refusal_halves_once_for_all_the_requests_in_flight_together() -> None:
    async def run() -> float:
        clock = FakeClock()
        limiter = Limiter(16, clock)
        await fill(limiter)
        clock.now += 1
        for _ in range(START):
            limiter.refused(started_at=100.0, after_s=None)
        return limiter.limit

    assert asyncio.run(run()) == START / 2


def test_after_a_refusal_the_places_grow_by_one_a_round() -> None:
    async def run() -> float:
        limiter = Limiter(16, FakeClock())
        await fill(limiter)
        limiter.refused(started_at=100.0, after_s=None)
        for _ in range(START - 1):
            limiter.succeeded()
        for _ in range(4):
            await limiter.acquire()
            limiter.succeeded()
        return limiter.limit

    limit = asyncio.run(run())
    assert 5.0 < limit < 7.0


def test_the_limit_never_falls_below_one() -> None:
    async def run() -> float:
        clock = FakeClock()
        limiter = Limiter(4, clock)
        for _ in range(10):
            await limiter.acquire()
            clock.now += 1
            limiter.refused(started_at=clock.now, after_s=None)
        return limiter.limit

    assert asyncio.run(run()) == 1.0


def test_retry_after_holds_every_request_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    async def run() -> None:
        limiter = Limiter(4, clock)
        await limiter.acquire()
        limiter.refused(started_at=clock.now, after_s=7.0)
        await limiter.acquire()

    monkeypatch.setattr("misalign_eval.replies.limiter.asyncio.sleep", sleep)
    asyncio.run(run())
    assert slept == [7.0]


def test_a_waiter_that_is_cancelled_does_not_keep_its_place() -> None:
    async def run() -> int:
        limiter = Limiter(1, FakeClock())
        await limiter.acquire()
        waiter = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.succeeded()  # offers the place to the waiter …
        await asyncio.sleep(0)
        waiter.cancel()  # … who is gone before it goes
        await asyncio.gather(waiter, return_exceptions=True)
        return limiter.in_flight

    assert asyncio.run(run()) == 0


def test_those_who_wait_are_not_overtaken_for_ever() -> None:
    async def run() -> int:
        limiter = Limiter(1, FakeClock())
        await limiter.acquire()
        waiter = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        turns = 0
        while not waiter.done():
            limiter.succeeded()
            if limiter.in_flight == 0:
                await limiter.acquire()  # overtakes
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(run()) <= HAND_OVER_EVERY


def test_a_place_that_nobody_takes_again_goes_to_who_waits() -> None:
    async def run() -> bool:
        limiter = Limiter(1, FakeClock())
        await limiter.acquire()
        waiter = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.succeeded()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return waiter.done()

    assert asyncio.run(run())
