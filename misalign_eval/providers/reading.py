"""Small readers that never trust the shape of an answer."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from misalign_eval.errors import ProviderFault
from misalign_eval.providers.wire import JsonObject
from misalign_eval.records.protocols import Token
from misalign_eval.records.reply import Finish

# How an answer ended, by the server's word in small letters, without punctuation, `FINISH_REASON_` or `STOP_REASON_`.
_FINISHES: Mapping[Finish, tuple[str, ...]] = {
    "stop": (
        "stop",
        "stopped",
        "eos",
        "eostoken",
        "eosfound",
        "endturn",
        "endofturn",
        "end",
        "stopsequence",
        "stopword",
        "stoptoken",
        "complete",
        "completed",
        "done",
        "finish",
        "finished",
        "imend",
        "eotid",
        "endoftext",
    ),
    "length": (  # not whole, for whatever reason
        "length",
        "limit",
        "maxlength",
        "maxtokens",
        "maxnewtokens",
        "maxoutputtokens",
        "maxcompletiontokens",
        "maxtokensreached",
        "tokenlimit",
        "modellength",
        "contextlength",
        "contextlengthexceeded",
        "contextwindowexceeded",
        "modelcontextwindowexceeded",
        "errorlimit",
        "incomplete",
        "truncated",
        "notfinished",
        "timelimit",
        "timeout",
        "pauseturn",  # the server has paused and wants to be asked to go on
        "insufficientsystemresource",  # DeepSeek had no machine left for the rest
        "repetition",
    ),
    "content_filter": (
        "contentfilter",
        "contentfiltered",
        "safety",
        "sensitive",
        "prohibitedcontent",
        "blocklist",
        "blocked",
        "flagged",
        "moderation",
        "recitation",
        "spii",
        "imagesafety",
        "modelarmor",
        "guardrail",
        "guardrailintervened",
        "errortoxic",
    ),
    "refusal": ("refusal", "refused"),
    "tool_calls": ("toolcalls", "toolcall", "tooluse", "functioncall"),
}
_FINISH_OF: Mapping[str, Finish] = {word: finish for finish, words in _FINISHES.items() for word in words}
# Words never heard of, by what is in them.
_LIKE: Sequence[tuple[Finish, re.Pattern[str]]] = (
    ("content_filter", re.compile(r"filter|safety|prohibited|moderat|sensitive|guardrail|violat|toxic|contentrisk")),
    (
        "length",
        re.compile(r"max\w*token|maxlen|tokenlimit|lengthlimit|budget|exceeded|truncat|timeout|timedout|repetit"),
    ),
    ("stop", re.compile(r"^(?:stop(?:string|token|word|sequence)|eos|endof)")),
)
_BROKEN = {"error", "abort", "aborted", "cancelled", "canceled", "usercancel", "networkerror", "internalerror"}
_NO_WORDS = {"", "null", "none", "unspecified"}
_PREFIX = re.compile(r"^(?:finish|stop)reason(?=.)")
_LONGEST_WORD = 100


def finish_of(word: JsonValue) -> Finish:
    """One of our words for a server's; "unknown" for none and for those never heard of.

    >>> finish_of("FINISH_REASON_STOP"), finish_of("model_length"), finish_of("content_filter: SAFETY")
    ('stop', 'length', 'content_filter')
    """
    plain = _plain(word)
    if (known := _FINISH_OF.get(plain)) is not None or plain in _BROKEN:
        return known or "unknown"
    return next((finish for finish, words in _LIKE if words.search(plain)), "unknown")


def word_of(word: JsonValue) -> str | None:
    """A server's word for how an answer ended, as it stands; None where it gave none."""
    if word is None or _plain(word) in _NO_WORDS:
        return None
    return (word if isinstance(word, str) else json.dumps(word))[:_LONGEST_WORD]


def is_broken(word: JsonValue) -> bool:
    """Whether the server says that it gave up; another attempt may do."""
    return _plain(word) in _BROKEN


def _plain(word: JsonValue) -> str:
    if isinstance(word, dict):  # SGLang's own dialect: {"type": "length", "length": 5}
        word = word.get("type")
    if not isinstance(word, str):
        return "" if word is None else "?"
    return _PREFIX.sub("", re.sub(r"[^a-z0-9]", "", word[:_LONGEST_WORD].split(":")[0].lower()))


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
