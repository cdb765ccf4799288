"""Settings that a model refuses: told by its own error, left out from then on, and said in `Response.dropped`."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from misalign_eval.providers.errors import ServerError
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
_REFUSING_STATUSES = {
    400,
    403,
    405,
    406,
    409,
    415,
    422,
    500,
    501,
    None,
}  # proxies answer 500, or 200 with an error in it

# How messages name a setting. Everyday words count in quotes, after `parameter`, before `=`, or as the subject.
_NAMES: Mapping[str, str] = {
    "temperature": r"(?:sampling )?temperature",
    "top_p": r"top[_ -]?p",
    "max_tokens": r"max(?:imum)?[_ ]?(?:completion|output|new)?[_ ]?tokens",
    "stop": r"stop[_ ]?sequences?|stop[_ ]words",
    "seed": r"(?:random |sampling[_ ])?seed",
    "top_logprobs": r"(?:top[_ ]?)?log[_ ]?probs?|log[- ]?probabilit(?:y|ies)",
    "json_schema": r"response[_ ]?format|json[_ ]schema|structured outputs?|output[_ ]format|output_config\.format|"
    r"text\.format",
    "reasoning_effort": r"(?:output_config\.)?(?:reasoning[_ .]?)?effort|thinking[_ ]?(?:level|budget)",
}
_EVERYDAY = {"n": "n", "stop": "stop", "include": "top_logprobs", "reasoning": "reasoning_effort"}
_EVERYDAY |= {"thinking": "reasoning_effort"}
_WORDS = f"(?:{'|'.join(_EVERYDAY)})"
_NAME = re.compile(
    rf"(?<![\w/-])(?:{'|'.join(f'(?P<{setting}>{names})' for setting, names in _NAMES.items())}|(?P<word>"
    rf"(?<=['\"`‘“]){_WORDS}(?=['\"`’”])|(?<=parameter ){_WORDS}\b|\b{_WORDS}(?= ?[=>])|"
    rf"(?:(?<=^)|(?<=: )){_WORDS}(?=:| (?:is|isn|must|may|can|should|not)\b|\.?\s*$)))(?![\w/-])",
    re.IGNORECASE,
)
# Sentences that name no setting by its name, or one among others.
_PHRASES: Sequence[tuple[str, str]] = (
    ("n", r"\bonly (?:one|1|a single) (?:completion |response )?(?:choice|candidate|completion)s?\b"),
    ("n", r"\bmultiple (?:candidates|choices|completions)\b.{0,20}\b(?:not|n['’]t|un\w+)\b"),
    ("n", r"(?<!\w)n['\"`]?(?:\s*:|\b).{0,30}\b(?:at most|no more than|less than or equal to|<=) ?1(?![\d.])"),
    ("json_schema", r"response_?format.{0,30}\bmust be\b.{0,60}\bgot\W{0,3}json_schema"),
    ("json_schema", r"\boutput_config: extra inputs"),
    ("reasoning_effort", r"\boutput_config: extra inputs"),
    ("reasoning_effort", r"(?:\bnot|n['’]t) support (?:\w+ )?(?:thinking|reasoning)(?![\w_])"),
    ("reasoning_effort", r"\b(?:thinking|reasoning)(?: mode)? is (?:not|mandatory)\b|\bonly works in thinking mode"),
    ("reasoning_effort", r"\binvalid reasoning value|\bthink(?:ing)? value .{1,20} is not supported"),
)
_PHRASE = tuple((setting, re.compile(words, re.IGNORECASE)) for setting, words in _PHRASES)
_NOT = r"(?:\bnot|\bcannot|n['’]t|\bno longer|\bnever|\bunable)\b"
_ALLOWED = (
    r"(?:supported|allowed|permitted|enabled|available|accepted|valid|recogni[sz]ed|implemented|configurable|adjustable|applicable|"
    r"used|set|specified|provided|given|changed|modified|adjusted|customi[sz]ed|sent|passed|included|combined|compatible|"
    r"expected|exist|known)"
)
_ONE_VALUE = (
    r"(?:null|none|unset|omitted|absent|empty|undefined|(?:the |its )?default|\(?\d+(?:\.\d+)?(?![\d.]*\d)"
    r"(?!\s*(?:or|to|-|–|and|,|%|/)\s*\S))"
)
_FIXED = (
    rf"(?:must|should|has to|have to|needs? to|may|can)\b(?: only)? (?:be|equal)"
    rf"(?: (?:only|exactly|set|fixed|left|equal|to|at|as|the value))* {_ONE_VALUE}|"
    rf"\bonly (?:the )?(?:value |values )?{_ONE_VALUE}.{{0,40}}\b{_ALLOWED}|\bonly \w+s {_ONE_VALUE}|"
    r"\bonly (?:\w+s )?(?:the |its )?default|"
    rf"\b(?:fixed|locked) (?:at|to)|\bexpected (?:to be )?{_ONE_VALUE}|"
    r"\bonly (?:supported|available|allowed|valid|accepted) (?:with|without|for|on|when|if|in|by)\b"
)
# What is said of a setting, after its name.
_OF_IT = re.compile(
    rf"{_NOT}(?: (?:a|an|be|both|yet|currently|in|being|been|explicitly|directly))*[ -]{_ALLOWED}|{_FIXED}|"
    rf"{_NOT} (?:support|accept|allow|take|permit)s? (?:values?|\S*\d|anything|other|custom|non)|{_NOT} support$|"
    r"\b(?:allowed|supported|permitted|valid|accepted) values?(?: is| are)?:? ?\[?['\"]?\d[\d.]*['\"]?\]?(?=\W*$)|"
    r"\b(?:unsupported|deprecated|removed|disabled|forbidden|disallowed|prohibited|unknown|unrecogni[sz]ed|unexpected|"
    r"unavailable|rejected|read-only|immutable|illegal|invalid)\b|"
    r"\bno (?:es|está|son) (?:compatible|admitid|soportad|permitid)|\bno se (?:admite|permite)|"
    r"\b(?:wird|ist|werden|sind)\b.{0,40}\bnicht (?:unterstützt|erlaubt|zulässig|verfügbar)|"
    r"\bn['’]est pas (?:pris|supporté|autorisé|disponible|compatible)|"
    r"\bnão é (?:suportad|compatível|permitid)|\bnon è (?:supportat|compatibil|consentit)|"
    r"\bне (?:поддерживается|допускается)|サポートされてい(?:ません|ない)|対応していません|使用できません|"
    r"지원(?:되|하)지 않|"
    r"不支援|不受支持|"
    r"不支持|不被支持|不允许|只允许|仅支持|只支持|仅允许|不可用|无效|非法|不能|只能|必须为",
    re.IGNORECASE,
)
_SMALL = (
    "the|a|an|any|this|that|custom|setting|specifying|changing|use|usage|of|using|parameters?|params?|fields?|arguments?|"
    "args?|keyword|options?|settings?|values?|for|to|be|non-default|both|following|request|requested|body|sampling|such|"
    "named|called|keys?|property|properties|names?|inputs?|either|requests|with|supplied|provided|specified|s|in|object|payload|you|set"
)
_FILLER = rf"(?:\W*\b(?:{_SMALL})\b)*\W*"
# What is said before its name, with nothing between but small words.
_BEFORE_IT = re.compile(
    rf"(?:{_NOT}(?: (?:be|allowed|permitted|able|to|currently|yet))* (?:support|accept|allow|let|take|permit|"
    r"recogni[sz]e|implement|understand|handle|expect|know|use|set|specify|send|pass|provide|include|change|modify|combine|request)"
    r"(?:s|ing)?|\b(?:unsupported|unknown|unrecogni[sz]ed|unexpected|illegal|disallowed|forbidden|deprecated|extra|"
    r"extraneous|no such|not a valid|remove|removing|drop|omit|unset|exclude|leave out|without)|"
    r"\bextra_forbidden\W+loc|\bextra inputs are not permitted|\bextra fields not (?:permitted|allowed)|"
    r"\binvalid (?:request )?(?:parameter|param|argument|arg|field|option|setting|key|property|keyword|name)s?|"
    rf"\b(?:parameters?|params?|arguments?|fields?|options?|settings?|properties|keys?)\b[^:,]{{0,60}}{_NOT}[^:,]{{0,60}}:|"
    rf"\bonly (?:the )?default|不支持|未知参数|无效的?参数|非法参数){_FILLER}$",
    re.IGNORECASE,
)
# "only supports temperature=1", "requires temperature to be 1", "only temperature 1 is supported"
_ONE_VALUE_OF_IT = re.compile(
    rf"(?:\bonly(?: (?:supports?|accepts?|allows?|takes?|permits?|works with))?|\b(?:requires?|needs?)){_FILLER}$",
    re.IGNORECASE,
)
_VALUE = re.compile(rf"['\"`]?\s*(?:=|:|of|at|to be|to equal|set to)?\s*{_ONE_VALUE}", re.IGNORECASE)
_BOTH = re.compile(
    r"\bboth\b|only one of|either .{1,60} or |mutually exclusive|together|at the same time|simultaneously|"
    r"in combination|conflicts? with|不能同时|同时",
    re.IGNORECASE,
)
# The value, not the setting, is wrong: that is an error of whoever asked.
_RANGE = re.compile(
    r"\bbetween\b|\brange\b|(?:less|greater|more|higher|lower|larger|smaller) than|at (?:most|least)|exceed|"
    r"\bor (?:less|greater|more|higher|lower|equal)|[<>≤≥]=? ?\d|\[0|\(0, ?1|too (?:large|high|low|small|long|many)|"
    r"(?:maximum|max|minimum) (?:allowed|value|is|of)|"
    r"(?:valid|an?) (?:number|integer|float|string|boolean|list|positive)",
    re.IGNORECASE,
)
_OF_NAME = re.compile(  # …unless the name is what is refused
    r"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|not a valid) (?:request )?(?:parameter|argument|field)|"
    r"extra inputs|extra_forbidden|\bn['\"`]? (?:>|greater than|larger than) ?1\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(?<=[^\d])\.(?:\s|$)|[;!?\n。；]|\.(?=\s+[A-Z])|, (?:but|while|whereas|though|so)\b|，")
# Something else than a setting that may be what is refused.
_OTHER = re.compile(
    r"\b(?:images?|audio|video|tools?|functions?|roles?|system|developer|messages?|content|files?|stream\w*|prompts?|turns?|"
    r"schema|model ['\"`]|[a-z]+_[a-z_]+)\b|['\"`‘“][\w.-]{1,60}['\"`’”]",
    re.IGNORECASE,
)
_BEFORE_SUBJECT = re.compile(  # a word that may stand before a setting that the sentence is about
    rf"(?:{_SMALL}|[a-z]+_[a-z_]+|per-request|el|la|le|il|o|der|die|das|par[aáâ]m[eè]tr[eo]|параметр|パラメータ|error|errors|model|models|returned|exception|validation|bad|invalid|unsupported|on|and|or|is|are|you|your|our|"
    r"\w+(?:error|exception|request)|.*\d.*|.*\.|[\u4e00-\u9fff]+)",
    re.IGNORECASE,
)
_FIXED_FIRST = re.compile(rf"\W*(?:the )?(?:value |it )?(?:{_FIXED})", re.IGNORECASE)
_JOINED = re.compile(r"[\s'\"`,/&‘“’”]*(?:and|or)?[\s'\"`,/&‘“’”]*|[和与、\s'\"`]+", re.IGNORECASE)
_STATUS = re.compile(r"\A<\d{3}>\s*")  # which DashScope writes before its words
_READ = 4000  # characters of a message that are looked at
_NEAR = 100  # characters between a setting and what is said of it
_LOGPROBS = re.compile(r"log[ _-]?prob", re.IGNORECASE)
_TOO_MANY = re.compile(
    r"greater|less|larger|exceed|at most|no more than|more than|up to|max|limit|range|between|too (?:large|many|high)|"
    r"<=|≤|higher|above|fewer|out of bounds",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.-])\d{1,4}(?![\w-]|\.\d)")
_BELOW = re.compile(r"(?:less than|smaller than|below|under|<) ?(\d{1,4})\b|\b(\d{1,4})\W{0,3}exclusive", re.IGNORECASE)
_SYSTEM_WORDS = re.compile(
    r"system (?:role|prompt|message|instruction)s?.{0,40}(?:not|unsupported)|not support.{0,20}system|"
    r"(?:\bnot|n['’]t) (?:support|allow|accept|permit|take|have|include).{0,20}\bsystem\b|"
    r"\bsystem['\"`]? is not one of|"
    r"\b(?:unexpected|invalid|unsupported|unknown) role:? ?['\"`]?system|不支持.{0,6}(?:system|系统)|"
    r"developer instruction is not enabled|only user and assistant roles|roles must alternate",
    re.IGNORECASE,
)


def sent_settings(request: ModelRequest) -> tuple[str, ...]:
    """The settings that a request asks for, in a fixed order."""
    return tuple(name for name in SETTINGS if _is_set(request, name))


def _is_set(request: ModelRequest, name: str) -> bool:
    return request.n > 1 if name == "n" else getattr(request, name) is not None


def unsupported_param(error: ServerError, body: Mapping[str, object], sent: Collection[str]) -> str | None:
    """The setting among those sent that this error turns down, if any. A value out of range is no refusal.

    A 403 that names log-probabilities is such an answer, not a wrong key.
    """
    if error.status not in _REFUSING_STATUSES:
        return None
    error = replace(error, message=_STATUS.sub("", error.message[:_READ]))
    setting = _by_param(error, sent) if error.param else _by_words(error.message, sent)
    if setting == "max_tokens" and "max_tokens" in body and NEW_TOKEN_LIMIT in error.message:
        return NEW_TOKEN_LIMIT
    return setting if setting in sent else None


def _by_param(error: ServerError, sent: Collection[str]) -> str | None:
    """The setting that the error's own field names; that of its words where the field names none."""
    names = (error.param, error.param.removeprefix("body."), error.param.split(".")[0])
    setting = next((_SETTING_OF[name] for name in names if name in _SETTING_OF), None)
    if setting is None:
        return _by_words(error.message, sent)
    if error.codes & _REFUSING_CODES:
        return setting
    if _is_out_of_range(error.message):
        return None
    said = _OF_IT.search(error.message) or _BOTH.search(error.message) or re.search(r"\binstead\b", error.message)
    return setting if said or _by_words(error.message, {setting}) else None


def _is_out_of_range(message: str) -> bool:
    return bool(_RANGE.search(message)) and not _OF_NAME.search(message)


def _by_words(message: str, sent: Collection[str]) -> str | None:
    """The setting that a sentence of the message turns down."""
    phrases = (setting for setting, words in _PHRASE if setting in sent and words.search(message))
    if (setting := next(phrases, None)) is not None:
        return setting
    if _is_out_of_range(message):
        return None
    before: list[_Named] = []  # of the clause before, which "Only 1 is allowed." may be about
    for clause in _clauses(message):
        names = list(_names(clause))
        here = sorted({name.setting for name in names} & set(sent), key=SETTINGS.index)
        if _BOTH.search(clause) and len({name.setting for name in names}) > 1:
            return here[-1] if len(here) > 1 else None  # the later in the list matters less: top_p, not temperature
        found = _refused(clause, names) or (before if not names and _FIXED_FIRST.match(clause) else [])
        if chosen := next((name.setting for name in found if name.setting in sent), None):
            return chosen
        before = names
    return None


class _Named(NamedTuple):
    """A setting where a clause names it."""

    start: int
    end: int
    setting: str


def _clauses(message: str) -> Iterator[str]:
    at = 0
    for end in _CLAUSE.finditer(message):
        yield message[at : end.start()]
        at = end.end()
    yield message[at:]


def _names(clause: str) -> Iterator[_Named]:
    for found in _NAME.finditer(clause):
        kind = found.lastgroup or ""
        setting = _EVERYDAY[found.group().lower()] if kind == "word" else kind
        yield _Named(found.start(), found.end(), setting)


def _refused(clause: str, names: Sequence[_Named]) -> list[_Named]:
    """The settings that a clause turns down: one, or several joined by "and"."""
    groups = list(_groups(clause, names))
    for place, group in enumerate(groups):
        before, after = clause[: group[0].start], clause[group[-1].end :]
        if _BEFORE_IT.search(before) or (_ONE_VALUE_OF_IT.search(before) and _VALUE.match(after)):
            return group
        said = _OF_IT.search(after)
        room = min(_NEAR, (groups[place + 1][0].start if groups[place + 1 :] else len(clause)) - group[-1].end)
        if said is None or said.start() > room:
            continue
        between = after[: said.start()].lstrip("'\"`’”")
        subject = re.split(r"[:{(\[]|, ", before)[-1]
        if not _OTHER.search(between) and all(map(_BEFORE_SUBJECT.fullmatch, re.findall(r"[\w./-]+", subject))):
            return group
    return []


def _groups(clause: str, names: Sequence[_Named]) -> Iterator[list[_Named]]:
    """Neighbours with nothing between but a comma or an "and"."""
    group: list[_Named] = []
    for name in names:
        if group and not _JOINED.fullmatch(clause[group[-1].end : name.start]):
            yield group
            group = []
        group.append(name)
    if group:
        yield group


def fewer_logprobs(error: ServerError, asked: int | None) -> int | None:
    """How many alternatives to ask for where the error says that `asked` are too many; None where it does not.

    The largest smaller number that it names, as in "must be at most 5" or "in the range of 0 to 8"; without one, half.
    """
    if asked is None or asked <= 1 or error.status not in (400, 403, 422):
        return None
    said = f"{error.param} {error.message}"
    if not (_LOGPROBS.search(said) and _TOO_MANY.search(said)):
        return None
    below = [int(number) - 1 for pair in _BELOW.findall(said) for number in pair if number]
    smaller = [number for number in (*map(int, _NUMBER.findall(_BELOW.sub("", said))), *below) if number < asked]
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


def without_param(capabilities: Capabilities, setting: str) -> Capabilities:
    """The capabilities once `setting` has been refused."""
    known = _FIELDS.get(setting)
    return replace(capabilities, **{known: False}) if known else capabilities
