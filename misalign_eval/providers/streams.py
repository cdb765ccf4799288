"""Answers that come as a stream of events, put together to what a whole answer of their dialect would have been."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import JsonValue

from misalign_eval.errors import ProviderFault
from misalign_eval.providers.reading import as_object, as_objects, no_answer
from misalign_eval.providers.wire import JsonObject, decode

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
            _add(choices.setdefault(index if isinstance(index, int) else 0, {"message": {}}), piece)
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
                return answer | {"usage": usage, "content": [blocks[place] for place in sorted(blocks)]}
    raise _broken_off()


def _add_to_block(block: JsonObject, delta: JsonObject) -> None:
    """A piece of a text or of a thought; the input of a call comes as pieces of its JSON."""
    for name in ("text", "thinking", "partial_json"):
        piece = delta.get(name)
        if isinstance(piece, str):
            kept = "input" if name == "partial_json" else name
            before = block.get(kept)
            block[kept] = f"{before}{piece}" if isinstance(before, str) else piece


def _broken_off() -> ProviderFault:
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


def _add(choice: JsonObject, piece: JsonObject) -> None:
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
