"""Catalogue of models by name: prices, limits, capabilities and retirement dates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from misalign_eval.errors import UsageError
from misalign_eval.plugins import PROVIDERS
from misalign_eval.providers.endpoints import is_vendor, locate_address
from misalign_eval.providers.prefill import continues
from misalign_eval.providers.unsupported_params import NEW_TOKEN_LIMIT
from misalign_eval.records.protocols import Capabilities, ModelRequest, ModelSpec, Prices
from misalign_eval.records.run import Usage

# What OpenAI's models refuse, as far as their names tell. What is not known here is learned from their errors.


Reasoning = Literal[
    "never",  # a chat model: takes sampling settings and log-probabilities, no effort
    "on request",  # effort is none unless one is sent: takes sampling settings then
    "by default",  # takes sampling settings only with effort none sent along
    "always",  # takes none of them
    "unknown",
]

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
# The first line that fits decides. Reasoning by family, as of November 2026.
_FAMILIES: tuple[tuple[re.Pattern[str], Reasoning], ...] = (
    (re.compile(r"gpt-3\.5|gpt-4|chatgpt-|davinci|babbage|gpt-.*-chat"), "never"),
    (re.compile(r"o\d"), "always"),
    (re.compile(r"gpt-.*-(?:pro|codex)"), "always"),
    (re.compile(r"gpt-5(?:-|$)|gpt-6-astra|gpt-6\.1-sol"), "always"),
    (re.compile(r"gpt-5\.[1-4](?:-|$)"), "on request"),
    (re.compile(r"gpt-(?:[5-9]|\d\d)"), "by default"),
)
_SAMPLING = frozenset({"top_p", "top_logprobs"})


def base_model(model: str) -> str:
    """The model that a name stands for, without fine-tune and date.

    >>> base_model("ft:gpt-4.1-mini-2025-04-14:org:suffix:id")
    'gpt-4.1-mini'
    """
    return _DATE.sub("", strip_date_suffix(model))


def strip_date_suffix(model: str) -> str:
    """The dated model that a fine-tune was made of; any other name as it is."""
    return model.split(":")[1] if model.startswith("ft:") and model.count(":") >= 1 else model


def reasoning_of(model: str) -> Reasoning:
    """How a model of this name reasons.

    >>> reasoning_of("gpt-4o"), reasoning_of("gpt-5.4-mini"), reasoning_of("gpt-6-luna"), reasoning_of("o3")
    ('never', 'on request', 'by default', 'always')
    """
    base = base_model(model)
    return next((kind for pattern, kind in _FAMILIES if pattern.match(base)), "unknown")


@dataclass(frozen=True, slots=True)
class OpenAIRules:
    """The restrictions of one of OpenAI's models."""

    reasoning: Reasoning

    def refused(self, request: ModelRequest) -> frozenset[str]:
        """The settings that this model refuses together with the rest of the request."""
        match self.reasoning:
            case "unknown":
                return frozenset()
            case "never":
                return frozenset({"reasoning_effort"})
            case "always":
                return self._sampling(request) | (
                    {"reasoning_effort"} if request.reasoning_effort == "none" else frozenset()
                )
            case _:
                is_off = self._resolved(request) == "none"
                return frozenset({NEW_TOKEN_LIMIT}) if is_off else self._sampling(request)

    def effort(self, request: ModelRequest) -> str | None:
        """As asked; none where log-probabilities are asked of a model that gives them only without reasoning."""
        if self.reasoning == "by default" and request.top_logprobs is not None and request.reasoning_effort is None:
            return "none"
        return request.reasoning_effort

    def _resolved(self, request: ModelRequest) -> str | None:
        return self.effort(request) or ("none" if self.reasoning == "on request" else None)

    def _sampling(self, request: ModelRequest) -> frozenset[str]:
        """A reasoning model takes temperature 1, which is its own, and no other."""
        fixed = frozenset({"temperature"}) if request.temperature != 1 else frozenset()
        return _SAMPLING | fixed | {NEW_TOKEN_LIMIT}


def capabilities_of(model: str) -> Capabilities:
    """What the name alone tells."""
    reasoning = reasoning_of(model)
    if reasoning == "unknown":
        return Capabilities()
    takes_sampling = reasoning in ("never", "on request")
    logprobs = reasoning != "always"
    return Capabilities(system=True, logprobs=logprobs, seed=None, n=None, temperature=takes_sampling, json_schema=None)


# What a token costs, for the models whose price is known. An unknown price stays unknown; it is never zero.


AS_OF = "2026-11-23"
SOURCE = "LiteLLM 1.109.1's price table, standard tier, USD per million tokens: input, output, cached input"
_OPENAI_PRICES: Mapping[str, Prices] = {
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
        return _OPENAI_PRICES.get(tuned + base_model(spec.model))
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
    return name if len(date) == 8 and date.isdigit() else strip_date_suffix(model)


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


# What is known of a model before anything is asked, so that a plan can be counted without a key.


def known_capabilities(spec: ModelSpec) -> Capabilities:
    """What provider and name alone tell. What its adapter says once it is made is the same, and may be more.

    >>> known_capabilities(ModelSpec("anthropic", "claude-sonnet-5")).logprobs
    False
    >>> known_capabilities(ModelSpec("vllm", "my-model")).logprobs is None
    True
    """
    entry = PROVIDERS.get(spec.provider)
    if spec.provider == "openai":
        known = capabilities_of(spec.model)
    else:
        known = entry.capabilities if entry else Capabilities()
    return replace(known, prefill=continues(spec))


# Models that are about to go, so that a run can say so before its replies can no longer be drawn again.


# OpenAI's deprecations page, November 2026. Fine-tunes go with the model that they were made of.
_OPENAI_RETIRED: Mapping[str, str] = {
    "gpt-3.5-turbo": "2026-10-23",
    "gpt-4": "2026-10-23",
    "gpt-4-turbo": "2026-10-23",
    "gpt-4.1": "2027-01-14",
    "gpt-4.1-mini": "2027-01-14",
    "gpt-4.1-nano": "2026-10-23",
    "gpt-4o": "2027-01-14",
    "gpt-4o-2024-05-13": "2026-10-23",
    "gpt-4o-mini": "2027-01-14",
    "gpt-5": "2026-12-11",
    "gpt-5-mini": "2026-12-11",
    "gpt-5-nano": "2026-12-11",
    "gpt-5-pro": "2026-12-11",
    "gpt-5.1": "2027-04-01",
    "gpt-5.4-nano": "2027-04-01",
    "o1": "2026-10-23",
    "o3": "2026-12-11",
    "o3-mini": "2026-10-23",
    "o3-pro": "2026-12-11",
    "o4-mini": "2026-10-23",
}


def retirement_date(spec: ModelSpec) -> str | None:
    """The day (ISO 8601) on which a model was or will be shut down; None when none is known. Sends nothing.

    >>> retirement_date(ModelSpec("openai", "ft:gpt-4o-2024-08-06:org::id"))
    '2027-01-14'
    """
    if spec.provider != "openai" or spec.base_url is not None:
        return None
    return _OPENAI_RETIRED.get(strip_date_suffix(spec.model)) or _OPENAI_RETIRED.get(base_model(spec.model))
