"""Errors of servers: from status, type and message to a typed ProviderError; safe access to answers."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from misalign_eval.errors import FaultReason, ProviderError
from misalign_eval.providers.transport import HttpAnswer, JsonObject, decode, retry_after_seconds
from misalign_eval.records.protocols import Token
from misalign_eval.records.run import Finish

# What a server's refusal means: the reason, whether another attempt helps, when, and whether any ever can.


_QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "credit_balance_exhausted",
    "enforced_spend_limit_reached",
    "spend_limit_exceeded",
    "insufficient_credits",
    "insufficient_balance",
}
_QUOTA_WORDS = re.compile(
    r"credit balance|spend(?:ing)? limit|usage limits|insufficient (?:credits|balance|funds)|out of credits",
    re.IGNORECASE,
)
# Gemini says so of each minute's limit as well, but then how long to wait.
_SOFT_QUOTA_WORDS = re.compile(r"exceeded your current quota", re.IGNORECASE)
_CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
_CONTEXT_WORDS = re.compile(
    r"context (?:length|window|size)|prompt is too long|input is too long|too many (?:input )?tokens|"
    r"maximum.{0,30}tokens",
    re.IGNORECASE,
)
_MODEL_CODES = {"model_not_found", "deploymentnotfound", "model_not_available"}
_MODEL_WORDS = re.compile(r"model .{0,120}(?:does not exist|not found|is not available)|no such model", re.IGNORECASE)
_AUTH_CODES = {"invalid_api_key", "authentication_error", "invalid_authentication", "unauthenticated"}
_AUTH_WORDS = re.compile(r"api key not valid|invalid api key|incorrect api key", re.IGNORECASE)
# A filter turned the prompt or the answer down. Codes as servers give them, in small letters.
_BLOCK_CODES = {
    "content_filter",
    "content_filtered",
    "content_blocked",
    "content_flagged",
    "content_policy_violation",
    "contentpolicyviolationerror",
    "invalid_prompt",
    "cyber_policy",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "moderation_error",
    "prohibited_content",
    "data_inspection_failed",  # Alibaba
    "datainspectionfailed",
    "1301",  # Zhipu
    "sensitivecontentdetected",  # Volcengine, also for the input or the output text
    "inputtextsensitivecontentdetected",
    "outputtextsensitivecontentdetected",
    "hooks_failed",  # Portkey
}
# Names that no other error holds: proxies repeat them in their own words, under any status.
_BLOCK_NAMES = re.compile(
    r"\b(?:ContentPolicyViolation(?:Error)?|content_policy_violation|ResponsibleAIPolicyViolation|"
    r"data_?inspection_?failed|[a-z]{0,20}SensitiveContentDetected|PROHIBITED_CONTENT|"
    r"SAFETY_CHECK_TYPE_\w+|(?:in|out)put_guardrail_triggered|GUARDRAIL_INTERVENED)\b|content management policy|"
    r"code\W{1,6}content_filter\b",
    re.IGNORECASE,
)
# Sentences about a prompt that was turned down; read in the message alone, which seldom repeats the prompt.
_UNQUOTED = r"[^'\"`]{0,50}"
_FILTER = r"(?:safety|moderation|content filter|guardrails?)"
_WHY = r"(?:safety|moderation|content (?:filter|polic)|guardrail|unsafe|harmful|inappropriate|high risk)"
_RULES = r"(?:usage|content|safety|moderation|guardrail|acceptable use)"
_BAD = r"(?:inappropriate|unsafe|sensitive|harmful|prohibited)"
_BLOCK_SENTENCES = (
    rf"(?:flagged|blocked|rejected|refused|filtered)(?: \w+)? (?:by|due|because|for|as|on)\b{_UNQUOTED}\b{_WHY}",
    rf"\b{_FILTER}(?: (?:system|filters?|model|polic\w+|has|have|was|is))* (?:flagged|blocked|rejected|triggered)",
    r"\b(?:prompt|input|message|content|request|output|text)s?(?: \w+){0,4} flagged(?! as (?:invalid|malformed|too))",
    rf"trigger\w*{_UNQUOTED}content filter",
    r"\bcontent exists risk\b",  # DeepSeek
    r"\b(?:blocked|rejected)\W{1,3}(?:safety|prohibited|recitation|spii|blocklist)\b",
    r"\bblocked (?:in|out)put\b|\bprompt pattern is blocked",
    r"\bblocked (?:by (?:the )?(?:in|out)put rail|due to security config)",
    r"\bby guardrail\b|\bguardrail\w*(?: \w+){0,5} (?:failed|violated|intervened|triggered)\b",
    r"\bfailed (?:the )?content safety|\bcontent that violates\b",
    r"\binhaltsfilter|\bfiltro de conte(?:nido|údo)|\bfiltre de contenu",
    rf"violat\w+{_UNQUOTED}\b{_RULES}(?: (?:and|or|safety|moderation|usage))* (?:polic|guideline)",
    rf"(?:contain|detect|includ)\w*(?: \w+){{0,4}} {_BAD}(?: \w+){{0,2}} (?:content|information|words)\b(?!.type)",
    r"(?:considered|deemed) (?:as )?high risk",
    r"(?:不安全|敏感|违规|违禁|不当|不良)[^，。\s]{0,6}(?:内容|信息|词)",
)
_BLOCK_SENTENCE = re.compile("|".join(_BLOCK_SENTENCES), re.IGNORECASE)
_BLOCK_STATUSES = {400, 403, 422, 424, 446, 451, 500, 502, None}
_OF_ACCOUNT = re.compile(
    r"\b(?:account|organi[sz]ation|project|team|api key|ip|address)\b[^.]{0,40}\bflagged", re.IGNORECASE
)
_BLOCK_WORDS = re.compile(r"flagged|moderation", re.IGNORECASE)  # of a 403, which OpenRouter explains in other fields
_MESSAGE_LENGTH = 400
_BAD_REQUEST: tuple[FaultReason, bool, bool] = ("bad_request", False, False)


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as a server told it, in one shape for all dialects."""

    status: int | None
    message: str
    codes: frozenset[str] = frozenset()  # code, type, inner codes; lower case
    param: str = ""
    is_page: bool = False  # HTML from a proxy, a firewall or the wrong address
    body: str = ""  # as received, for words that stand in no known field
    inner: str = ""  # what a proxy repeats of its upstream's error


def read_error(answer: HttpAnswer) -> ServerError:
    """Make out the error in an answer whose status says that there is one."""
    text = answer.content[:100_000].decode("utf-8", "replace")
    try:
        payload = decode(answer.content)
    except ValueError:
        return _unstructured(answer.status, text)
    return error_in(payload, status=answer.status) or ServerError(answer.status, _brief(text), body=text)


def error_in(payload: JsonValue, *, status: int | None = None) -> ServerError | None:
    """The error that a JSON body holds, or None. Bodies of status 200 may hold one too."""
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if isinstance(error, list) and len(error) == 1:
        error = error[0]  # Cloudflare
    if isinstance(error, dict) and error:
        return _structured(error, status, payload)
    if isinstance(error, str) and error:
        return ServerError(status, _brief(error), frozenset({error.lower()}), body=str(payload))
    if status is None:
        return _structured(payload, status, payload) if payload.get("object") == "error" else None
    for field in ("message", "detail"):
        if payload.get(field):
            return _structured(payload, status, payload)
    return None


def _structured(error: dict[str, JsonValue], status: int | None, payload: dict[str, JsonValue]) -> ServerError:
    details = _details(error.get("detail"))
    message = error.get("message") or (details and details[0].message) or error.get("detail") or error.get("type")
    code = error.get("code")
    if status is None and isinstance(code, int) and 400 <= code < 600:
        status = code
    param = error.get("param") or (details[0].param if details else None)
    said = _brief(message if isinstance(message, str) else str(message or "no message"))
    behind = _upstream(error)
    if behind is not None and behind.message not in said:
        said, param = f"{said}: {behind.message}", param or behind.param
    return ServerError(
        status=status,
        message=said,
        codes=frozenset(code.lower() for code in (*_codes(error), *(detail.kind for detail in details)))
        | (behind.codes if behind else frozenset()),
        param=param if isinstance(param, str) else "",
        body=str(payload)[:20_000],
        inner=_inner(error),
    )


class _Detail(NamedTuple):
    """One complaint of a server that checks its requests by a schema."""

    message: str
    param: str
    kind: str


def _details(value: JsonValue) -> list[_Detail]:
    """The complaints in a `detail` list of FastAPI: where, what, and of which type."""
    found = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict) and isinstance(said := item.get("msg"), str):
            place, kind = item.get("loc"), item.get("type")
            steps = [step for step in place if isinstance(step, str)] if isinstance(place, list) else []
            param = ".".join(step for step in steps if step != "body")
            found.append(_Detail(f"{param}: {said}" if param else said, param, kind if isinstance(kind, str) else ""))
    return found


def _upstream(error: dict[str, JsonValue]) -> ServerError | None:
    """The error of the upstream that OpenRouter hands on as text, where it can be read."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str) and raw:
        try:
            raw = decode(raw[:20_000].encode("utf-8", "replace"))
        except ValueError:
            return ServerError(None, _brief(str(raw)[:_MESSAGE_LENGTH]))
    return error_in(raw, status=400) if isinstance(raw, dict | list) else None


def _inner(error: dict[str, JsonValue]) -> str:
    """The upstream's error as OpenRouter (`metadata.raw`) and LiteLLM (`provider_specific_fields`) hand it on."""
    metadata, fields = error.get("metadata"), error.get("provider_specific_fields")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return str([raw, fields])[:20_000]


def _codes(error: dict[str, JsonValue], depth: int = 0) -> Iterable[str]:
    for key in ("code", "type", "status", "error_code"):
        if isinstance(value := error.get(key), str):
            yield value
        elif key == "code" and isinstance(value, int):
            yield str(value)
    for key in ("details", "innererror", "inner_error", "provider_specific_fields", "error"):
        if depth < 3 and isinstance(inner := error.get(key), dict):
            yield from _codes(inner, depth + 1)


def _unstructured(status: int, text: str) -> ServerError:
    is_page = text.lstrip()[:200].lower().startswith(("<!doctype", "<html", "<head", "<?xml"))
    if not is_page:
        return ServerError(status, _brief(text) or "empty body", body=text)
    title = re.search(r"<title>(.{0,200}?)</title>", text, re.IGNORECASE | re.DOTALL)
    shown = f"an HTML page{f' “{_brief(title.group(1))}”' if title else ''} instead of JSON"
    return ServerError(status, shown, is_page=True, body=text)


def _brief(text: str) -> str:
    """One line without control characters; keys are scrubbed before a fault leaves the adapter."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(line.split())


def is_blocked(error: ServerError) -> bool:
    """Whether a filter turned the prompt down: that is an outcome of the probe, not a failure to ask.

    A server's own mistake (500, 502) is a filter's verdict only by a name that nothing else has: filters break, too.
    """
    if error.status not in _BLOCK_STATUSES:
        return False
    if error.codes & _BLOCK_CODES or _BLOCK_NAMES.search(error.message) or _BLOCK_NAMES.search(error.inner):
        return True
    if error.status in (500, 502) or _OF_ACCOUNT.search(error.message):
        return False
    if error.status == 403 and _BLOCK_WORDS.search(error.body):
        return True
    return bool(_BLOCK_SENTENCE.search(error.message))


def block_code(error: ServerError) -> str:
    """The filter's own name for what it did."""
    named = _BLOCK_NAMES.search(error.message) or _BLOCK_NAMES.search(error.inner)
    return min(error.codes & _BLOCK_CODES, default=named.group().lower() if named else "blocked")


def provider_error(error: ServerError, headers: Mapping[str, str]) -> ProviderError:
    """Turn a server's error into a typed decision."""
    wait_s = retry_after_seconds(headers, error.body)
    reason, retry, fatal = _decide(error, wait_s)
    if reason != "quota" and not fatal and (advice := headers.get("x-should-retry")) in ("true", "false"):
        retry = advice == "true"
    said = error.message if len(error.message) <= _MESSAGE_LENGTH else error.message[:_MESSAGE_LENGTH] + "…"
    return ProviderError(
        reason,
        said if error.status is None else f"{error.status}: {said}",
        status=error.status,
        retry=retry,
        after_s=wait_s if retry else None,
        fatal=fatal,
    )


def _decide(error: ServerError, wait_s: float | None) -> tuple[FaultReason, bool, bool]:
    """Reason, retry, fatal. What is said counts before the status: quotas come as 400, 402, 403 and 429."""
    if _is_quota(error, wait_s):
        return "quota", False, True
    if error.codes & _CONTEXT_CODES or (error.status in (400, 413, 422) and _CONTEXT_WORDS.search(error.message)):
        return "context_length", False, False
    if error.codes & _MODEL_CODES or (error.status in (400, 404) and _MODEL_WORDS.search(error.message)):
        return "model_not_found", False, True
    if error.codes & _AUTH_CODES or _AUTH_WORDS.search(error.message):
        return "auth", False, True
    return _by_status(error)


_STATUSES: Mapping[int, tuple[FaultReason, bool, bool]] = {
    401: ("auth", False, True),
    403: ("auth", False, True),
    404: ("model_not_found", False, True),
    407: ("auth", False, True),
    408: ("server", True, False),
    409: ("server", True, False),
    413: ("context_length", False, False),
    425: ("server", True, False),
    429: ("rate_limit", True, False),
    501: ("server", False, False),
    503: ("overloaded", True, False),
    529: ("overloaded", True, False),
}


def _by_status(error: ServerError) -> tuple[FaultReason, bool, bool]:
    if "overloaded_error" in error.codes:
        return "overloaded", True, False
    if error.status is None:
        return "invalid_response", True, False
    if error.status == 403 and error.is_page:
        return "auth", False, False  # a firewall's page may mean this one prompt
    return _STATUSES.get(error.status) or (("server", True, False) if error.status >= 500 else _BAD_REQUEST)


def _is_quota(error: ServerError, wait_s: float | None) -> bool:
    if error.status == 402 or error.codes & _QUOTA_CODES:
        return True
    if error.status not in (400, 403, 429, None):
        return False
    if _QUOTA_WORDS.search(error.message) or "PerDay" in error.body:  # the latter in Gemini's daily quota ids
        return True
    return wait_s is None and bool(_SOFT_QUOTA_WORDS.search(error.message))


# Small readers that never trust the shape of an answer.


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


def no_answer(what: str) -> ProviderError:
    """An answer of status 200 that answers nothing; the next attempt may."""
    return ProviderError("invalid_response", what, retry=True)
