"""Small readers that never trust the shape of an answer."""

import math
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from misalign_eval.errors import ProviderFault
from misalign_eval.providers.wire import JsonObject
from misalign_eval.records.protocols import Token
from misalign_eval.records.reply import Finish

_FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "tool_use": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "recitation": "content_filter",
    "spii": "content_filter",
    "refusal": "refusal",
}


def finish_of(word: JsonValue) -> Finish:
    """One of our words for a server's; "unknown" for none and for those never heard of."""
    return _FINISHES.get(word.lower(), "unknown") if isinstance(word, str) else "unknown"


def as_object(value: JsonValue) -> JsonObject:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: JsonValue) -> list[JsonObject]:
    """The objects of a list; nothing when it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: JsonValue) -> str | None:
    """The text, or None when it is none or empty."""
    return value if isinstance(value, str) and value else None


def as_count(value: JsonValue) -> int | None:
    """A count of tokens; None when the server gave none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_amount(value: JsonValue) -> float | None:
    """A finite amount, zero or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def tokens_of(value: JsonValue) -> tuple[Token, ...]:
    """Tokens with their alternatives, from the list that both of OpenAI's dialects use."""
    return tuple(token for item in as_objects(value) if (token := _token(item)) is not None)


def _token(item: JsonObject) -> Token | None:
    text, logprob = item.get("token"), _logprob(item)
    if not isinstance(text, str) or logprob is None:
        return None
    return Token(text, logprob, _alternatives(as_objects(item.get("top_logprobs"))))


def _alternatives(items: Iterable[JsonObject]) -> dict[str, float]:
    """Log-probability by text. Different tokens may have the same text: their probabilities add up."""
    top: dict[str, float] = {}
    for item in items:
        text, logprob = item.get("token"), _logprob(item)
        if isinstance(text, str) and logprob is not None:
            top[text] = logprob if text not in top else _add(top[text], logprob)
    return top


def _add(first: float, second: float) -> float:
    """log(exp(first) + exp(second))."""
    high, low = max(first, second), min(first, second)
    return high + math.log1p(math.exp(low - high))


def _logprob(item: JsonObject) -> float | None:
    value = item.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def no_answer(what: str) -> ProviderFault:
    """An answer of status 200 that answers nothing; the next attempt may."""
    return ProviderFault("invalid_response", what, retry=True)
