"""How many requests of one account are in flight: slow start, back off when the server says so, wait when told to."""

import asyncio
from collections import deque
from typing import Protocol

from misalign_eval.replies.trial import Count, Trial

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
    request in ten whatever we do would keep TCP's rule at a handful of places for ever; so each cut is tried (`Trial`),
    and taken back where it changes nothing.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.in_flight = 0
        self._clock = clock
        self._ceiling = float(most)  # lower while a cut is tried
        self._starting = True
        self._trial = Trial()
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
