"""Settings that a model refuses: told by its own error, left out from then on, and said in `Response.dropped`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from misalign_eval.providers.faults import ServerError
from misalign_eval.records.protocols import Capabilities, ModelRequest

NEW_TOKEN_LIMIT = "max_completion_tokens"  # noqa: S105  not dropped: sent under its newer name

_SETTING_OF = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop": "stop",
    "stop_sequences": "stop",
    "seed": "seed",
    "n": "n",
    "logprobs": "top_logprobs",
    "top_logprobs": "top_logprobs",
    "include": "top_logprobs",
    "response_format": "json_schema",
    "output_config.format": "json_schema",
    "text.format": "json_schema",
    "reasoning_effort": "reasoning_effort",
    "reasoning.effort": "reasoning_effort",
    "reasoning": "reasoning_effort",
    "output_config.effort": "reasoning_effort",
    "effort": "reasoning_effort",
    "thinking": "reasoning_effort",
}
_LONGEST_FIRST = sorted(_SETTING_OF, key=len, reverse=True)
_EVERYDAY_WORDS = {"n", "stop", "seed", "include", "effort", "reasoning", "thinking"}
SETTINGS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "n",
    "top_logprobs",
    "json_schema",
    "reasoning_effort",
)
_REFUSING_CODES = {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"}
_REFUSING_WORDS = re.compile(
    r"not support|unsupported|not (?:allowed|permitted|enabled|available|accepted)|unknown|unrecognized|unexpected|"
    r"extra inputs|deprecated|cannot be (?:used|set|specified)|must be 1|only the default|instead",
    re.IGNORECASE,
)
_LOGPROBS = re.compile(r"log[ _-]?prob", re.IGNORECASE)
_TOO_MANY = re.compile(
    r"greater|less|larger|exceed|at most|no more than|more than|up to|max|limit|range|between|too (?:large|many|high)|"
    r"<=|≤|higher|above|fewer|out of bounds",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.-])\d{1,4}(?![\w-]|\.\d)")
_SYSTEM_WORDS = re.compile(
    r"system (?:role|prompt|message|instruction)s?.{0,40}(?:not|unsupported)|not support.{0,20}system|"
    r"developer instruction is not enabled|only user and assistant roles|roles must alternate",
    re.IGNORECASE,
)


def sent_settings(request: ModelRequest) -> tuple[str, ...]:
    """The settings that a request asks for, in a fixed order."""
    return tuple(name for name in SETTINGS if _is_set(request, name))


def _is_set(request: ModelRequest, name: str) -> bool:
    return request.n > 1 if name == "n" else getattr(request, name) is not None


def refused_setting(error: ServerError, body: Mapping[str, object], sent: Collection[str]) -> str | None:
    """The setting among those sent that this error turns down, if any. A value out of range is no refusal.

    A 403 that names log-probabilities is such an answer, not a wrong key.
    """
    if error.status not in (400, 403, 422, 501):
        return None
    if not (error.codes & _REFUSING_CODES or _REFUSING_WORDS.search(error.message)):
        return None
    named = _named(error)
    if named in ("max_tokens", NEW_TOKEN_LIMIT) and "max_tokens" in body and NEW_TOKEN_LIMIT in error.message:
        return NEW_TOKEN_LIMIT
    setting = _SETTING_OF.get(named) if named else None
    return setting if setting in sent else None


def _named(error: ServerError) -> str | None:
    """The parameter that the error names: its `param`, else a quoted or unmistakable word of the message."""
    for candidate in (error.param, error.param.removeprefix("body."), error.param.split(".")[0]):
        if candidate in _SETTING_OF:
            return candidate
    if error.param:
        return None
    return next((name for name in _LONGEST_FIRST if _is_named(name, error.message)), None)


def _is_named(name: str, message: str) -> bool:
    shown = re.escape(name)
    bare = rf"^{shown}(?: must|:)" if name in _EVERYDAY_WORDS else rf"\b{shown}\b"
    return bool(re.search(rf"['\"`‘“]{shown}['\"`’”]|{bare}", message, re.IGNORECASE))


def fewer_logprobs(error: ServerError, asked: int | None) -> int | None:
    """How many alternatives to ask for where the error says that `asked` are too many; None where it does not.

    The largest smaller number that it names, as in "must be at most 5" or "in the range of 0 to 8"; without one, half.
    """
    if asked is None or asked <= 1 or error.status not in (400, 403, 422):
        return None
    said = f"{error.param} {error.message}"
    if not (_LOGPROBS.search(said) and _TOO_MANY.search(said)):
        return None
    smaller = [number for number in map(int, _NUMBER.findall(said)) if number < asked]
    return max(smaller, default=asked // 2) or None


def refuses_system(error: ServerError, request: ModelRequest) -> bool:
    """Whether the error says that this model takes no system prompt."""
    has_system = any(message.role == "system" for message in request.messages)
    return has_system and bool(_SYSTEM_WORDS.search(error.message))


_FIELDS = {
    "top_logprobs": "logprobs",
    "seed": "seed",
    "n": "n",
    "temperature": "temperature",
    "json_schema": "json_schema",
    "system": "system",
}


def without(capabilities: Capabilities, setting: str) -> Capabilities:
    """The capabilities once `setting` has been refused."""
    known = _FIELDS.get(setting)
    return replace(capabilities, **{known: False}) if known else capabilities
