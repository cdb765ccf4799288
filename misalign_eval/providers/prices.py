"""What a token costs, for the models whose price is known. An unknown price stays unknown; it is never zero."""

from collections.abc import Mapping

from misalign_eval.errors import UsageError
from misalign_eval.providers.openai_models import base_model, undecorated
from misalign_eval.providers.servers import is_vendor, locate_address
from misalign_eval.records.protocols import ModelSpec
from misalign_eval.records.reply import Usage

Prices = tuple[float, float, float | None]

AS_OF = "2026-11-23"
SOURCE = "LiteLLM 1.109.1's price table, standard tier, USD per million tokens: input, output, cached input"
_OPENAI: Mapping[str, Prices] = {
    "gpt-4.1": (2.0, 8.0, 0.5),
    "gpt-4.1-mini": (0.4, 1.6, 0.1),
    "gpt-4o": (2.5, 10.0, 1.25),
    "gpt-4o-mini": (0.15, 0.6, 0.075),
    "gpt-5": (1.25, 10.0, 0.125),
    "gpt-5-mini": (0.25, 2.0, 0.025),
    "gpt-5-nano": (0.05, 0.4, 0.005),
    "gpt-5.1": (1.25, 10.0, 0.125),
    "gpt-5.2": (1.75, 14.0, 0.175),
    "gpt-5.4": (2.5, 15.0, 0.25),
    "gpt-5.4-mini": (0.75, 4.5, 0.075),
    "gpt-5.4-nano": (0.2, 1.25, 0.02),
    "gpt-5.5": (5.0, 30.0, 0.5),
    "gpt-5.6-luna": (0.2, 1.2, 0.02),
    "gpt-5.6-sol": (4.0, 20.0, 0.4),
    "gpt-5.6-terra": (2.0, 12.0, 0.2),
    "gpt-6-astra": (10.0, 50.0, 1.0),
    "gpt-6-luna": (0.1, 0.5, 0.01),
    "gpt-6-sol": (2.0, 10.0, 0.2),
    "gpt-6.1-sol": (2.0, 10.0, 0.1),
    "gpt-6.1-terra": (1.0, 5.0, 0.05),
    "o3": (2.0, 8.0, 0.5),
    "ft:gpt-4.1": (3.0, 12.0, 0.75),
    "ft:gpt-4.1-mini": (0.8, 3.2, 0.2),
    "ft:gpt-4.1-nano": (0.2, 0.8, 0.05),
    "ft:gpt-4o": (3.75, 15.0, 1.875),
    "ft:gpt-4o-mini": (0.3, 1.2, 0.15),
}
_ANTHROPIC: Mapping[str, Prices] = {
    "claude-haiku-4-5": (1.0, 5.0, 0.1),
    "claude-haiku-5-5": (0.1, 0.5, 0.01),
    "claude-opus-4-5": (5.0, 25.0, 0.5),
    "claude-opus-4-6": (5.0, 25.0, 0.5),
    "claude-opus-4-7": (5.0, 25.0, 0.5),
    "claude-opus-4-8": (5.0, 25.0, 0.5),
    "claude-opus-5": (5.0, 25.0, 0.5),
    "claude-opus-5-5": (4.0, 20.0, 0.2),
    "claude-sonnet-4-5": (3.0, 15.0, 0.3),
    "claude-sonnet-4-6": (3.0, 15.0, 0.3),
    "claude-sonnet-5": (2.0, 10.0, 0.2),
    "claude-sonnet-5-5": (2.0, 10.0, 0.1),
}


def price_of(spec: ModelSpec) -> Prices | None:
    """The price of a model: the user's own, else that of the table where the address is the vendor's; else None."""
    if spec.prices is not None:
        return spec.prices
    if spec.provider == "embedded":
        return (0.0, 0.0, 0.0)
    if spec.provider not in ("openai", "anthropic") or not _is_at_vendor(spec):
        return None
    if spec.provider == "openai":
        tuned = "ft:" if spec.model.startswith("ft:") else ""
        return _OPENAI.get(tuned + base_model(spec.model))
    return _ANTHROPIC.get(spec.model) or _ANTHROPIC.get(undated_claude(spec.model))


def _is_at_vendor(spec: ModelSpec) -> bool:
    try:
        return is_vendor(spec.provider, locate_address(spec))
    except UsageError:
        return False


def undated_claude(model: str) -> str:
    """A Claude model's name without its date.

    >>> undated_claude("claude-haiku-4-5-20251001")
    'claude-haiku-4-5'
    """
    name, _, date = model.rpartition("-")
    return name if len(date) == 8 and date.isdigit() else undecorated(model)


def cost_usd(usage: Usage, prices: Prices | None) -> float | None:
    """Money for the tokens of one request; None when the price or a count is unknown.

    >>> cost_usd(Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=500_000), (2.0, 8.0, 0.5))
    1.25
    """
    if prices is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    price_in, price_out, price_cached = prices
    cached = min(usage.cached_tokens or 0, usage.input_tokens) if price_cached is not None else 0
    fresh = usage.input_tokens - cached
    return (fresh * price_in + cached * (price_cached or 0.0) + usage.output_tokens * price_out) / 1e6
