"""What OpenAI's models refuse, as far as their names tell. What is not known here is learned from their errors."""

import re
from dataclasses import dataclass
from typing import Literal

from misalign_eval.providers.restrictions import NEW_TOKEN_LIMIT
from misalign_eval.records.protocols import Capabilities, ModelRequest

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
    return _DATE.sub("", undecorated(model))


def undecorated(model: str) -> str:
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
