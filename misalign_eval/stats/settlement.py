"""What would settle it? Replies at which an inconclusive gate would decide, if rates stay as observed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from misalign_eval.stats.difference import EffectiveRate, mover_difference
from misalign_eval.stats.gates import ALPHA, check_limit, check_margin
from misalign_eval.stats.intervals import clopper_pearson_high, clopper_pearson_low

_MOST_REPLIES: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Settlement:
    """Total replies (per run) at which the verdict would come if the rates stay as observed; None: never.

    Half of such runs decide earlier and half later.
    """

    to_pass: int | None
    to_fail: int | None


def rate_settlement(
    rate: float, limit: float, *, alpha_pass: float = ALPHA, alpha_fail: float = ALPHA, design_effect: float = 1.0
) -> Settlement:
    """Replies at which a rate gate would pass, or fail, at the observed ``rate`` (fractions).

    Raises ValueError unless 0 <= rate <= 1, limit is in (0, 1) and design_effect > 0.

    >>> rate_settlement(0.0, 0.02), rate_settlement(0.1, 0.02).to_pass
    (Settlement(to_pass=149, to_fail=None), None)
    """
    check_limit(limit)
    _check_settlement(rate, design_effect)

    def passes(replies: int) -> bool:
        size = replies / design_effect
        return clopper_pearson_high(rate * size, size, alpha_pass) < limit

    def fails(replies: int) -> bool:
        size = replies / design_effect
        return clopper_pearson_low(rate * size, size, alpha_fail) > limit

    return Settlement(
        _first(passes) if rate < limit else None,
        _first(fails) if rate > limit else None,
    )


def difference_settlement(
    before: float,
    after: float,
    margin: float,
    *,
    alpha_pass: float = ALPHA,
    alpha_fail: float = ALPHA,
    design_effect: float = 1.0,
) -> Settlement:
    """Replies per run at which a difference gate would pass, or fail, at the observed rates (fractions).

    Raises ValueError as ``rate_settlement``.

    >>> difference_settlement(0.0, 0.0, 0.01)
    Settlement(to_pass=268, to_fail=None)
    """
    check_margin(margin)
    _check_settlement(before, design_effect)
    _check_settlement(after, design_effect)

    def interval_end(replies: int, alpha: float, *, high: bool) -> float:
        size = replies / design_effect
        interval = mover_difference(EffectiveRate(before, size), EffectiveRate(after, size), 1 - 2 * alpha).interval
        return interval.high if high else interval.low

    return Settlement(
        _first(lambda n: interval_end(n, alpha_pass, high=True) < margin) if after - before < margin else None,
        _first(lambda n: interval_end(n, alpha_fail, high=False) > margin) if after - before > margin else None,
    )


def _check_settlement(rate: float, design_effect: float) -> None:
    if not (0 <= rate <= 1 and design_effect > 0):
        raise ValueError(f"need a rate in [0, 1] and a positive design effect, got {rate} and {design_effect}")


def _first(holds: Callable[[int], bool]) -> int | None:
    """Smallest number for which a condition that stays true holds; None beyond ten million."""
    high = 1
    while not holds(high):
        high *= 2
        if high > _MOST_REPLIES:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
