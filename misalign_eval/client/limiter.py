"""Adaptive concurrency for each account: additive increase, multiplicative decrease, with a trial of each decrease."""

import asyncio
from collections import deque
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

# Backoff trial: refusals are due to our load if they stop once half as many requests are in flight.


SIGMAS = 4.0  # above what chance brings; a wrong cut costs a round or two
A_FEW = 4  # refusals more than tolerated, during a trial, are answer enough
FIRST_LOOK = 8  # answers, at least
LONGER = 4  # times as many, where the first look finds refusals
MOST_TOLERATED = 0.45  # where more is refused, fewer requests are right whosever fault it is


@dataclass(slots=True)
class Count:
    """Answers of any kind since a moment, and how many of them were refusals for overload."""

    seen: int = 0
    refused: int = 0

    def is_above(self, share: float) -> bool:
        """Whether more were refused than that share and chance explain. Any refusal is above a share of 0.

        >>> Count(seen=100, refused=40).is_above(0.3), Count(seen=100, refused=60).is_above(0.3)
        (False, True)
        """
        expected = share * self.seen
        return self.refused > expected + SIGMAS * sqrt(expected)


class BackoffTrial:
    """A cut is a question to the server: what it refuses at half the places, it does not refuse because of us.

    Overload by a client that goes a little too far vanishes at half of it; refusals that meet a request by chance, or
    by the load of others, do not. Their share is `tolerated` from then on, and the places are given back.
    """

    def __init__(self) -> None:
        self.tolerated = 0.0
        self._before: Count | None = None
        self._first_look = 0

    @property
    def is_on(self) -> bool:
        """Whether a cut is being tried."""
        return self._before is not None

    def is_load(self, count: Count) -> bool:
        """Whether what was refused since the last change asks for fewer requests."""
        if self._before is not None:
            return count.refused > MOST_TOLERATED * count.seen + A_FEW
        return count.is_above(self.tolerated)

    def expect(self, count: Count) -> None:
        """Tolerate no more than what comes: the share may fall without a trial, never rise."""
        self.tolerated = min(self.tolerated, count.refused / count.seen)

    def begin(self, count: Count, places: float) -> None:
        """Half of `places` were taken, since this was refused.

        From one refusal to the next, growing by one a round, lie 3/8 places² answers where they alone are the reason.
        There is nothing to try then, nor to gain: so rare a refusal does not keep the places low.
        """
        if count.seen < max(FIRST_LOOK, places * places / 4):
            self._before = count
            self._first_look = max(FIRST_LOOK, int(places / 2))

    def is_over(self, count: Count) -> bool:
        """Whether enough was seen."""
        return count.seen >= self._first_look * (LONGER if count.refused else 1)

    def end(self, count: Count) -> bool:
        """Learn from it; gives whether the cut was for nothing."""
        before, self._before = self._before, None
        share = count.refused / count.seen
        self.tolerated = share if share <= MOST_TOLERATED else 0.0
        return before is not None and self.tolerated > 0 and not before.is_above(share)


# The limiter of one account: slow start, backoff when the server refuses, waits for Retry-After.


START = 8
HAND_OVER_EVERY = 8
ROUNDS = 4  # of answers, and at least …
ENOUGH = 100  # … so many, until they are counted anew


class Clock(Protocol):
    """Seconds that never run back. `time.monotonic` is one."""

    def __call__(self) -> float:
        """Now, in seconds."""


class Limiter:
    """Additive increase, multiplicative decrease, as TCP does it: the limit doubles a round until the first refusal.

    `limit` moves between 1 and `most`. Retry-After holds every request of the account. A server that refuses one
    request in ten whatever we do would keep TCP's rule at a handful of places for ever; so each cut is a trial
    (`BackoffTrial`), and taken back where it changes nothing.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.in_flight = 0
        self._clock = clock
        self._ceiling = float(most)  # lower while a cut is tried
        self._starting = True
        self._trial = BackoffTrial()
        self._taken = (self.limit, True)  # limit and start before the cut that is tried
        self._counted_from = 0
        self._refused = 0
        self._paused_until = 0.0
        self._last_cut = -1e9
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = 0

    async def acquire(self) -> None:
        """Wait for a free place. Whoever has just come back may go again before those who wait, seven times of eight.

        It goes at once on the connection that it has left warm; a place that is handed over is empty until the next
        turn of the event loop, and a pool of half-idle connections costs a quarter of a request.
        """
        await self._place()
        try:
            while (pause_s := self._paused_until - self._clock()) > 0:  # noqa: ASYNC110  it ends by the clock alone
                await asyncio.sleep(pause_s)
        except asyncio.CancelledError:
            self._leave()
            raise

    async def _place(self) -> None:
        if self.in_flight < int(self.limit):
            self.in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place  # whoever wakes us has already counted us in
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()
            raise

    def succeeded(self) -> None:
        """A request came back: its place is free, and there may be room for more."""
        if self.limit < self._ceiling:
            self.limit = min(self._ceiling, self.limit + (1.0 if self._starting else 1.0 / self.limit))
        elif self._ceiling < self.most:  # cheaper than to ask the trial, and true while one is on
            self._look()
        self._leave()

    def failed(self) -> None:
        """A request failed for a reason that has nothing to do with load."""
        self._leave()

    def refused(self, started_at: float, after_s: float | None) -> None:
        """The server is overloaded: halve the limit, once for all the requests that were in flight together."""
        if started_at >= self._last_cut:
            self._refused += 1
            count = self._count()
            if self._trial.is_load(count):
                self._cut(count)
            elif self._trial.is_on:
                self._look()
            elif count.seen > max(ENOUGH, ROUNDS * self.limit):
                self._trial.expect(count)
                self._count_anew(self._left)
        if after_s is not None:
            self._paused_until = max(self._paused_until, self._clock() + after_s)
        self._leave()

    def _count(self) -> Count:
        """What came back since the last change, this one too; what was in flight then says nothing of it."""
        return Count(max(self._refused, self._left + 1 - self._counted_from), self._refused)

    def _count_anew(self, place: int) -> None:
        self._counted_from, self._refused = place, 0

    def _cut(self, count: Count) -> None:
        self._last_cut = self._clock()
        self._taken = (self.limit, self._starting)
        self._starting = False
        used = min(self.limit, self.in_flight)
        self.limit = max(1.0, used / 2)
        self._trial.begin(count, used)
        self._ceiling = self.limit if self._trial.is_on else float(self.most)
        self._count_anew(self._left + self.in_flight)

    def _look(self) -> None:
        """End the trial of a cut when enough was seen."""
        count = self._count()
        if not self._trial.is_over(count):
            return
        self._ceiling = float(self.most)
        if self._trial.end(count):
            self.limit, self._starting = self._taken
        self._count_anew(self._left)

    def _leave(self) -> None:
        self.in_flight -= 1
        self._left += 1
        if self._waiting and self._left % HAND_OVER_EVERY:
            asyncio.get_running_loop().call_soon(self._hand_over)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the free places to those who wait, the longest wait first."""
        while self._waiting and self.in_flight < int(self.limit):
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)
