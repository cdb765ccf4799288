"""Which refusals are our doing: those that are gone once half as many requests are in flight."""

from dataclasses import dataclass
from math import sqrt

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


class Trial:
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
