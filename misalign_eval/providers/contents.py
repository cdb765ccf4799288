"""What the message of an answer holds: text, reasoning, a refusal and calls, in whatever parts a server writes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from misalign_eval.providers.reading import as_object, as_text, finish_of, no_answer, word_of
from misalign_eval.providers.wire import JsonObject
from misalign_eval.records.markup import Marks, join_thoughts, without_markup
from misalign_eval.records.protocols import Choice, Token
from misalign_eval.records.reply import ToolCall

_TEXT_KEYS = ("text", "content", "value", "output_text", "output", "markdown")
_THOUGHT_KEYS = ("text", "content", "thinking", "reasoning", "summary", "value", "reasoning_content", "thought")
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks", "thoughts")
_CALLING = ("tool_use", "_call")  # how the type of a part that calls something ends
_THINKING = ("think", "thought", "reason")  # in the type of a part
_SILENT = ("redacted", "encrypted", "signature")  # reasoning that nobody is shown
_DEEPEST = 5
_LONGEST_CALL = 10_000  # characters of a call's arguments that are kept


@dataclass(slots=True)
class Content:
    """The parts of one message, by their kind. `strange` names the parts that nothing here can read."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str | None] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the texts as one."""
        return "".join(self.texts)

    @property
    def refusal(self) -> str | None:
        """The refusal, which some servers give as a part."""
        return "".join(self.refusals) or None

    def extend(self, other: "Content") -> None:
        """Add the parts of another message of the same answer."""
        for name in ("texts", "thoughts", "refusals", "calls", "strange"):
            getattr(self, name).extend(getattr(other, name))

    def choice(
        self,
        finish: JsonValue,
        *,
        marks: Marks | None = None,
        starts_open: bool = False,
        reasoning: str | None = None,
        refusal: str | None = None,
        tokens: tuple[Token, ...] = (),
    ) -> Choice:
        """The answer, its text without markup. `finish`: as the server said it. Raises ProviderFault for no answer."""
        ended, refusal = finish_of(finish), refusal or self.refusal
        if not (self.text or refusal or self.calls):
            if self.strange:
                raise no_answer(f"no part of the content is understood: {', '.join(dict.fromkeys(self.strange))}")
            if ended == "unknown" and word_of(finish) is None:
                raise no_answer("neither text nor a finish reason: the answer was cut off")
        bare = without_markup(self.text, marks, starts_open=starts_open, is_cut=ended == "length")
        return Choice(
            bare.text,
            "refusal" if refusal else ended,
            join_thoughts(reasoning, *self.thoughts, bare.thought),
            refusal,
            tokens,
            finish_word=None if ended == finish != "unknown" else word_of(finish),
            calls=tuple(self.calls),
            leaked=bare.leaked,
        )


def content_of(value: JsonValue) -> Content:
    """Read a content: a text, a list of texts and parts, or nothing. Raises ProviderFault for any other value."""
    content = Content()
    if isinstance(value, str):
        content.texts.append(value)
    elif isinstance(value, list):
        for part in value:
            _add(content, part)
    elif value is not None:
        raise no_answer(f"a message whose content is no text but {type(value).__name__}")
    return content


def _add(content: Content, part: JsonValue) -> None:
    if isinstance(part, str):
        content.texts.append(part)
        return
    about = as_object(part)
    kind = (as_text(about.get("type")) or "").lower()
    if any(word in kind for word in _SILENT):
        return
    if any(word in kind for word in _THINKING) or (not kind and "thinking" in about) or about.get("thought") is True:
        content.thoughts.append(reasoning_text(about))
    elif kind.endswith(_CALLING):
        content.calls.append(call_of(about))
    elif kind == "refusal" or (not kind and "refusal" in about):
        content.refusals.append(as_text(about.get("refusal")) or _text_in(about) or "refusal")
    elif (text := _text_in(about)) is not None:
        content.texts.append(text)
    else:
        content.strange.append(f"type `{kind[:40]}`" if kind else type(part).__name__)


def _text_in(value: JsonValue, depth: int = 0) -> str | None:
    """The text of a part, under whichever of its usual names; None when there is none."""
    if isinstance(value, str) or depth > _DEEPEST:
        return value if isinstance(value, str) else None
    about = as_object(value)
    return next((text for key in _TEXT_KEYS if (text := _text_in(about.get(key), depth + 1)) is not None), None)


def reasoning_text(value: JsonValue, depth: int = 0) -> str | None:
    """Reasoning of any structure as text; an object of unknown keys as JSON, so that nothing is lost."""
    if isinstance(value, str) or value is None or depth > _DEEPEST:
        return as_text(value)
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            return "".join(map(str, value)) or None
        return join_thoughts(*(reasoning_text(item, depth + 1) for item in value))
    if not isinstance(value, dict) or not value or "encrypted" in str(value.get("type")):
        return None
    found = next((value[key] for key in _THOUGHT_KEYS if value.get(key)), None)
    if found is None and any(word in str(value.get("type")) for word in _SILENT):
        return None
    return json.dumps(value, ensure_ascii=False) if found is None else reasoning_text(found, depth + 1)


def reasoning_of(message: Mapping[str, JsonValue]) -> str | None:
    """The reasoning beside the content, of the first field that holds some: servers repeat it under other names."""
    fields = (reasoning_text(message.get(name)) for name in _REASONING_FIELDS)
    return next((text for text in fields if text is not None), None)


def calls_in(message: Mapping[str, JsonValue]) -> Iterator[ToolCall]:
    """Calls of tools beside the content: the list of today, and the one call of before."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else [calls]:
        if isinstance(call, dict):
            yield call_of(call)
    if isinstance(old := message.get("function_call"), dict) and old:
        yield call_of(old)


def call_of(call: JsonObject) -> ToolCall:
    """Name and arguments of a call, wherever the dialect has them."""
    inner = as_object(call.get("function")) or as_object(call.get("custom")) or call
    arguments = next((inner[key] for key in ("arguments", "input", "parameters") if key in inner), None)
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
    name = as_text(inner.get("name")) or as_text(call.get("type")) or "unnamed"
    return ToolCall(name=name[:200], arguments=arguments[:_LONGEST_CALL])
