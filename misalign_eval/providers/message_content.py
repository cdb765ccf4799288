"""Content of an answer: text, reasoning, refusal and calls, whole or from a stream of events."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from misalign_eval.errors import ProviderError
from misalign_eval.providers.errors import as_object, as_objects, as_text, finish_of, no_answer, word_of
from misalign_eval.providers.transport import JsonObject, decode
from misalign_eval.records.markup import Marks, join_thoughts, without_markup
from misalign_eval.records.protocols import Choice, Token
from misalign_eval.records.run import ToolCall

# What the message of an answer holds: text, reasoning, a refusal and calls, in whatever parts a server writes.


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
            _add_part(content, part)
    elif value is not None:
        raise no_answer(f"a message whose content is no text but {type(value).__name__}")
    return content


def _add_part(content: Content, part: JsonValue) -> None:
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


# Answers that come as a stream of events, put together to what a whole answer of their dialect would have been.


WANTED = re.compile(
    r"stream\W{0,3}\s*(?:must|has to|needs? to|should)\s*be\s*(?:set to\s*)?\W?true|only (?:supports? )?stream|"
    r"(?:requires?|supports? only) stream|non-?stream\w* (?:\w+ ){0,4}not supported|stream\w* is required",
    re.IGNORECASE,
)
ASK: JsonObject = {"stream": True}
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def is_stream(content_type: str, content: bytes) -> bool:
    """Whether an answer is a stream of events, asked for or not."""
    return content_type.startswith("text/event-stream") or content.lstrip().startswith((b"data:", b"event:"))


def whole(content: bytes) -> JsonObject:
    """The answer that a stream tells in pieces, in the dialect of its events; an error in it is given as it is.

    Raises ProviderFault for a stream that ends before the event that says how the answer ended, which was cut off, and
    ValueError for an event that is no JSON.
    """
    events = list(_events(content))
    for event in events:
        if event.get("error"):
            return event
        if event.get("type") == "error":  # of Responses, without an object of its own
            return {"error": event}
    kinds = {kind for event in events if isinstance(kind := event.get("type"), str)}
    if "message_start" in kinds:
        return _message(events)
    if any(kind.startswith("response.") for kind in kinds):
        return _response(events)
    return _completion(events)


def _completion(events: Iterable[JsonObject]) -> JsonObject:
    """Chat Completions: each choice ends with a finish reason."""
    answer: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    for event in events:
        usage = event.get("usage")
        answer |= {name: value for name, value in event.items() if name not in ("choices", "usage") and value}
        answer |= {"usage": usage} if usage else {}
        for piece in as_objects(event.get("choices")):
            index = piece.get("index")
            _add_delta(choices.setdefault(index if isinstance(index, int) else 0, {"message": {}}), piece)
    if not choices or any(choice.get("finish_reason") is None for choice in choices.values()):
        raise _broken_off()
    return answer | {"choices": [choices[index] for index in sorted(choices)]}


def _response(events: Iterable[JsonObject]) -> JsonObject:
    """Responses: the last event holds the whole answer; where it lacks the output, the events before have told it."""
    items: dict[int, JsonObject] = {}
    texts: dict[int, list[str]] = {}
    for event in events:
        place, delta = _index(event.get("output_index")), event.get("delta")
        match event.get("type"):
            case "response.output_item.done":
                items[place] = as_object(event.get("item"))
            case "response.output_text.delta" if isinstance(delta, str):
                texts.setdefault(place, []).append(delta)
            case "response.completed" | "response.incomplete" | "response.failed":
                answer = as_object(event.get("response"))
                return answer if answer.get("output") else answer | {"output": _output(items, texts)}
    raise _broken_off()


def _output(items: Mapping[int, JsonObject], texts: Mapping[int, Sequence[str]]) -> list[JsonValue]:
    said: dict[int, JsonObject] = {
        place: {"type": "message", "content": [{"type": "output_text", "text": "".join(pieces)}]}
        for place, pieces in texts.items()
    }
    found = said | dict(items)
    return [found[place] for place in sorted(found)]


def _message(events: Iterable[JsonObject]) -> JsonObject:
    """Messages: a message, its blocks in pieces, how it ended, and that it has ended."""
    answer: JsonObject = {}
    usage: JsonObject = {}
    blocks: dict[int, JsonObject] = {}
    for event in events:
        place, delta = _index(event.get("index")), as_object(event.get("delta"))
        match event.get("type"):
            case "message_start":
                answer = dict(as_object(event.get("message")))
                usage = dict(as_object(answer.get("usage")))
            case "content_block_start":
                blocks[place] = dict(as_object(event.get("content_block")))
            case "content_block_delta":
                _add_to_block(blocks.setdefault(place, {"type": "text"}), delta)
            case "message_delta":
                answer |= delta
                usage |= {name: value for name, value in as_object(event.get("usage")).items() if value is not None}
            case "message_stop" if answer.get("stop_reason") is not None:
                return answer | {"usage": usage, "content": [blocks[block] for block in sorted(blocks)]}
    raise _broken_off()


def _add_to_block(block: JsonObject, delta: JsonObject) -> None:
    """A piece of a text or of a thought; the input of a call comes as pieces of its JSON."""
    for name in ("text", "thinking", "partial_json"):
        piece = delta.get(name)
        if isinstance(piece, str):
            kept = "input" if name == "partial_json" else name
            before = block.get(kept)
            block[kept] = f"{before}{piece}" if isinstance(before, str) else piece


def _broken_off() -> ProviderError:
    return no_answer("the stream broke off before its end")


def _index(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0


def _events(content: bytes) -> Iterator[JsonObject]:
    """The JSON of each event; an event may stand on several lines. `[DONE]` and comments are passed over."""
    for block in re.split(rb"\r\n\r\n|\n\n|\r\r", content):
        lines = [line[5:].removeprefix(b" ") for line in block.splitlines() if line.startswith(b"data:")]
        data = b"\n".join(lines).strip()
        if data and data != b"[DONE]":
            yield as_object(decode(data))


def _add_delta(choice: JsonObject, piece: JsonObject) -> None:
    message = as_object(choice["message"])
    delta = as_object(piece.get("delta")) or as_object(piece.get("message"))
    for name, value in delta.items():
        if name in _TEXTS and isinstance(value, str):
            before = message.get(name)
            message[name] = f"{before}{value}" if isinstance(before, str) else value
        elif name == "tool_calls":
            message[name] = _calls(_list(message.get(name)), as_objects(value))
        elif isinstance(value, list):
            message[name] = [*_list(message.get(name)), *value]
        elif value is not None:
            message.setdefault(name, value)
    if piece.get("finish_reason") is not None:
        choice["finish_reason"] = piece["finish_reason"]
    if tokens := _list(as_object(piece.get("logprobs")).get("content")):
        choice["logprobs"] = {"content": [*_list(as_object(choice.get("logprobs")).get("content")), *tokens]}


def _calls(calls: list[JsonValue], pieces: Iterable[JsonObject]) -> list[JsonValue]:
    """A call comes in pieces, too: its name, then its arguments bit by bit. Its index says to which they belong."""
    found = {_index(as_object(call).get("index")): as_object(call) for call in calls}
    for piece in pieces:
        place = _index(piece["index"]) if "index" in piece else len(found)
        before, function = found.get(place), as_object(piece.get("function"))
        if before is None:
            found[place] = piece | {"index": place, "function": dict(function)}
            continue
        kept = as_object(before["function"])
        for name in ("name", "arguments"):
            if isinstance(bit := function.get(name), str):
                kept[name] = f"{kept.get(name) or ''}{bit}"
    return [found[place] for place in sorted(found)]


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
