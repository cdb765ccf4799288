"""The number of requests in flight follows the server: up while it answers, down when it is overloaded."""

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from misalign_eval.client.limiter import FIRST_LOOK, HAND_OVER_EVERY, START, Limiter


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


def test_after_a_refusal_half_the_places_are_tried_and_then_grow_by_one_a_round() -> None:
    async def run() -> list[float]:
        limiter = Limiter(16, FakeClock())
        await fill(limiter)
        limiter.refused(started_at=100.0, after_s=None)
        for _ in range(START - 1):  # they were in flight, and say nothing of half the places
            limiter.succeeded()
        limits = [limiter.limit]
        for _ in range(FIRST_LOOK + 4):
            await limiter.acquire()
            limiter.succeeded()
            limits.append(limiter.limit)
        return limits

    limits = asyncio.run(run())
    assert set(limits[:FIRST_LOOK]) == {START / 2}
    assert START / 2 + 0.7 < limits[-1] < START / 2 + 1.3


@dataclass
class Server:
    """Refuses a share of requests by chance, and all above its room."""

    by_chance: float = 0.0
    room: int = 1000
    chance: Random = field(default_factory=lambda: Random(7))

    def rounds(self, limiter: Limiter, clock: FakeClock, number: int) -> list[float]:
        """Let it answer so many times all that is in flight; gives the limit after each."""
        limits = []
        for _ in range(number):
            at = clock.now
            clock.now += 1
            places = int(limiter.limit)
            for place in range(places):
                limiter.in_flight = places  # somebody always waits for the place that is left
                if place >= self.room or self.chance.random() < self.by_chance:
                    limiter.refused(at, None)
                else:
                    limiter.succeeded()
            limits.append(limiter.limit)
        return limits


@pytest.mark.parametrize("share", [0.05, 0.15, 0.33])
def test_refusals_that_half_the_places_do_not_mend_leave_the_places_as_they_are(share: float) -> None:
    limiter = Limiter(50, clock := FakeClock())
    limits = Server(by_chance=share).rounds(limiter, clock, 400)
    assert sum(limits[100:]) / 300 > 30


@pytest.mark.parametrize("room", [1, 2, 3, 4, 10, 30])
def test_refusals_above_the_room_of_a_server_keep_the_places_near_it(room: int) -> None:
    limiter = Limiter(50, clock := FakeClock())
    limits = Server(room=room).rounds(limiter, clock, 400)
    assert room * 0.6 <= sum(limits[100:]) / 300 <= room * 1.1 + 0.5


def test_a_server_that_refuses_more_than_it_answers_is_left_alone() -> None:
    limiter = Limiter(50, clock := FakeClock())
    server = Server(by_chance=0.3)
    server.rounds(limiter, clock, 100)
    server.by_chance = 0.95
    assert max(server.rounds(limiter, clock, 200)[50:]) < 8


def test_room_that_returns_is_used_again() -> None:
    limiter = Limiter(50, clock := FakeClock())
    server = Server(by_chance=0.95)
    server.rounds(limiter, clock, 100)
    server.by_chance = 0.0
    assert server.rounds(limiter, clock, 100)[-1] == 50


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

    monkeypatch.setattr("misalign_eval.client.limiter.asyncio.sleep", sleep)
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
