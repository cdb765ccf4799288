"""Messages of a chat as foreign files write them: roles under several names, content as text or in parts."""

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import JsonValue

from misalign_eval.suites.foreign.fields import shown, unsendable
from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.tree import Marked
from misalign_eval.yaml_source.nodes import Node, dotted

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "gpt": "assistant",
    "ai": "assistant",  # LangChain's
}
_TEXT_KINDS = ("text", "input_text", "output_text")


class Turn(NamedTuple):
    """One message."""

    role: str  # system, user or assistant
    text: Marked


class Talk(NamedTuple):
    """A conversation: the system prompt, if there is one, and the turns."""

    system: Marked | None
    turns: list[Turn]


def read(notes: Notes, items: Iterable[tuple[tuple[str | int, ...], Node]]) -> Talk | None:
    """A list of messages. None where one of them is at fault, which is noted."""
    before = len(notes.problems)
    turns = [found for place, item in items if (found := _turn(notes, place, item)) is not None]
    system = turns.pop(0).text if turns and turns[0].role == "system" else None
    for late in [turn.text for turn in turns if turn.role == "system"]:
        what = "a system message after the first message cannot be sent by every provider"
        notes.wrong(late.line, late.place, what, "Put it first, or take it away.")
    return None if len(notes.problems) > before else Talk(system, turns)


def _turn(notes: Notes, place: tuple[str | int, ...], item: Node) -> Turn | None:
    where = dotted(place)
    value = item.plain()
    if not isinstance(value, dict):
        notes.wrong(item.line, where, f"should be a message with `role` and `content`, not {shown(value)}")
        return None
    role = value.get("role", value.get("from", value.get("type")))
    if not isinstance(role, str) or role not in ROLES:
        known = "system, user, assistant"
        notes.wrong(item.line, where, f"role {shown(role)} is not one of {known}", "Take the message away.")
        return None
    content = text_of(_content(value))
    if content is None or not content.strip():
        lacking = "the message has no text" if content is None else "the message is empty"
        notes.wrong(item.line, where, lacking, "Only text can be sent.")
        return None
    if (what := unsendable(content)) is not None:
        notes.wrong(item.line, where, what, "Take it away.")
        return None
    return Turn(ROLES[role], Marked(content, item.line, where))


def _content(message: dict[str, JsonValue]) -> JsonValue:
    """What a message says: under `content`, ShareGPT's `value`, Gemini's `parts` or LangChain's `data`."""
    if "content" in message or "value" in message:
        return message.get("content", message.get("value"))
    data = message.get("data")
    return data.get("content") if isinstance(data, dict) else message.get("parts")


def text_of(content: JsonValue) -> str | None:
    """The text of a message: as it is, from `{content_type, parts}`, or from a list of text parts. None: no text.

    >>> text_of({"content_type": "text", "parts": ["Hello ", "you"]}), text_of([{"type": "image_url"}])
    ('Hello you', None)
    """
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        parts = content.get("parts")
        is_text = content.get("content_type", "text") == "text" and isinstance(parts, list)
        return text_of(parts) if is_text else None
    if not isinstance(content, list) or not content:
        return None
    texts = [text for part in content if (text := _part(part)) is not None]
    return "".join(texts) if len(texts) == len(content) else None


def _part(part: JsonValue) -> str | None:
    if isinstance(part, dict) and (part.get("type") in _TEXT_KINDS or part.keys() == {"text"}):
        text = part.get("text")
        return text if isinstance(text, str) else None
    return part if isinstance(part, str) else None
