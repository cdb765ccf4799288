"""What a run took, in words."""

from typing import Protocol


class Side(Protocol):
    """Requests, tokens and money of the target or of the judges."""

    requests: int
    answers: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    unpriced: int


class Spent(Protocol):
    """Both sides."""

    @property
    def target(self) -> Side:
        """The model under test."""

    @property
    def judges(self) -> Side:
        """Everyone who graded."""


def cost_lines(spent: Spent) -> list[str]:
    """A line a side that was asked: `  target: 240 requests, 9,120 + 61,440 tokens, $0.0644`."""
    sides = (("target", spent.target), ("judges", spent.judges))
    return [f"  {name}: {_side(side)}" for name, side in sides if side.requests]


def _side(side: Side) -> str:
    cached = f" ({side.cached_tokens:,} cached)" if side.cached_tokens else ""
    return f"{side.requests:,} requests, {side.input_tokens:,}{cached} + {side.output_tokens:,} tokens, {_money(side)}"


def _money(side: Side) -> str:
    """An unknown price is said to be unknown, also of a part."""
    if side.unpriced == side.answers:
        return "cost unknown"
    rest = f" and an unknown cost of {side.unpriced:,} answers" if side.unpriced else ""
    return f"${side.cost_usd:.4f}{rest}"
