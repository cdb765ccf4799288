"""Answers of the chat dialect that come as a stream of events, put together to what a whole answer would have been."""

import re
from collections.abc import Iterator

from pydantic import JsonValue

from misalign_eval.providers.reading import as_object, as_objects, no_answer
from misalign_eval.providers.wire import JsonObject, decode

WANTED = re.compile(
    r"stream\W{0,3}\s*(?:must|has to|needs? to|should)\s*be\s*(?:set to\s*)?\W?true|only (?:supports? )?stream|"
    r"(?:requires?|supports? only) stream|non-?stream\w* (?:\w+ ){0,4}not supported|stream\w* is required",
    re.IGNORECASE,
)
ASK: JsonObject = {"stream": True, "stream_options": {"include_usage": True}}
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def is_stream(content_type: str, content: bytes) -> bool:
    """Whether an answer is a stream of events, asked for or not."""
    return content_type.startswith("text/event-stream") or content.lstrip()[:5] == b"data:"


def whole(content: bytes) -> JsonObject:
    """The chat completion that a stream tells in pieces; an error in it is given as it is.

    Raises ProviderFault for a stream that ends before any choice has a finish reason, which was cut off, and ValueError
    for an event that is no JSON.
    """
    answer: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    for event in _events(content):
        if event.get("error"):
            return event
        usage = event.get("usage")
        answer |= {name: value for name, value in event.items() if name not in ("choices", "usage") and value}
        answer |= {"usage": usage} if usage else {}
        for piece in as_objects(event.get("choices")):
            index = piece.get("index")
            _add(choices.setdefault(index if isinstance(index, int) else 0, {"message": {}}), piece)
    if not choices or any(choice.get("finish_reason") is None for choice in choices.values()):
        raise no_answer("the stream broke off before its end")
    return answer | {"choices": [choices[index] for index in sorted(choices)]}


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
        elif isinstance(value, list):
            message[name] = [*_list(message.get(name)), *value]
        elif value is not None:
            message.setdefault(name, value)
    if piece.get("finish_reason") is not None:
        choice["finish_reason"] = piece["finish_reason"]
    if tokens := _list(as_object(piece.get("logprobs")).get("content")):
        choice["logprobs"] = {"content": [*_list(as_object(choice.get("logprobs")).get("content")), *tokens]}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
