"""Shared parts of the layout readers: prompts and messages, texts, and grades."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import JsonValue

from misalign_eval.interchange.cells import is_missing, read_label, read_number, shown_value
from misalign_eval.interchange.imported_reply import ImportedGrade, ImportedPrompt, ImportedReply, RunKey, Turn
from misalign_eval.interchange.log import BadCellError
from misalign_eval.interchange.read_tables import FINISHES, TURN_ROLES, named

_MESSAGE_ROLES = {"system", "user", "assistant"}


class LayoutRecord(NamedTuple):
    """One object of a file."""

    number: int
    line: int
    entry: Mapping[str, Any]


def foreign(
    record: LayoutRecord,
    about: ImportedPrompt,
    text: str | None,
    *,
    model: str | None = None,
    failure: str | None = None,
    found: tuple[ImportedGrade, ...] = (),
    finish: object = None,
    reasoning: str | None = None,
    category: str | None = None,
    reference: JsonValue = None,
    temperature: float | None = None,
) -> ImportedReply:
    """A reply, or a failure, which has neither a text nor grades."""
    return ImportedReply(
        row=record.number,
        line=record.line,
        run=RunKey(model or None),
        asked=about,
        sample=None,
        text=None if failure else text,
        reasoning=reasoning,
        finish=FINISHES.get(str(finish or "").lower(), "unknown"),
        failure=failure,
        found=() if failure else found,
        category=category,
        temperature=temperature,
        reference=reference,
    )


def asked(probe: str | None, prompt: object) -> ImportedPrompt:
    """What was asked, named by its words where it has no name. Raises BadCellError for what asks nothing."""
    system, turns = conversation(prompt)
    if not turns and probe is None:
        raise BadCellError(f"{shown_value(prompt)} asks nothing", "The prompt must be there, as text or as messages")
    return ImportedPrompt(probe or named("\n\n".join(content for _, content in turns)), turns, system)


def conversation(prompt: object) -> tuple[str | None, tuple[Turn, ...]]:
    """System prompt and turns of a text, of messages, or of messages written as a text."""
    if isinstance(prompt, str):
        messages = _as_messages(prompt)
        if messages is None:
            return None, () if is_missing(prompt) else (("user", prompt),)
        prompt = messages
    turns = [_turn(item) for item in prompt] if isinstance(prompt, list) else []
    system = "\n\n".join(content for role, content in turns if role == "system")
    return system or None, tuple((role, content) for role, content in turns if role != "system")


def _as_messages(prompt: str) -> list[Any] | None:
    if not prompt.lstrip().startswith("["):
        return None
    try:
        document = json.loads(prompt)
    except (ValueError, RecursionError):
        return None
    is_talk = (
        isinstance(document, list) and document and all(isinstance(item, dict) and "role" in item for item in document)
    )
    return document if is_talk else None


def _turn(message: object) -> Turn:
    about = object_of(message)
    role = str(about.get("role") or about.get("type"))
    role = TURN_ROLES.get(role, role)
    if role not in _MESSAGE_ROLES:
        raise BadCellError(
            f"{shown_value(message)} is no turn of a conversation", 'Write {"role": "user", "content": "…"}'
        )
    return role, words(about) or ""


def words(message: Mapping[str, Any]) -> str | None:
    """The text of a message, which may come in parts; None where it has none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_of(content, "text")
    found = [str(item["text"]) for item in objects(content) if isinstance(item.get("text"), str)]
    return "".join(found) if found else None


def texts(replies: object) -> Sequence[str]:
    """The texts in lists of lists. Raises BadCellError for log-likelihoods, which are no replies."""
    found: list[str] = []
    for reply in replies if isinstance(replies, list) else [replies]:
        if isinstance(reply, list):
            if len(reply) == 2 and read_number(reply[0]) is not None and str(reply[1]) in {"True", "False"}:
                fix = "Import the samples of a task that generates text"
                raise BadCellError("holds log-likelihoods of choices, no replies", fix)
            found += texts(reply)
        elif isinstance(reply, str):
            found.append(reply)
        else:
            raise BadCellError(f"{shown_value(reply)} is no reply", "Import the samples of a task that generates text")
    return found


def written(value: object) -> str | None:
    """A reply as text: structured output as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def grade(grader: str, value: object, *, why: str | None = None) -> ImportedGrade:
    """A grade as the file gives it: a number on the tool's own scale, a label, or none."""
    if is_missing(value):
        return ImportedGrade(grader, reason="not_given", message="the file gives no score", why=why)
    if (score := read_number(value)) is not None:
        return ImportedGrade(grader, score=score, why=why)
    try:
        return ImportedGrade(grader, label=read_label(value), why=why)
    except BadCellError as error:
        return ImportedGrade(grader, reason="unparsable", message=error.what, why=why)


def flag(grader: str, value: object) -> ImportedGrade:
    """1 or true for the bad end. Raises BadCellError for another value."""
    if is_missing(value):
        return ImportedGrade(grader, reason="not_given", message="the file gives no label")
    if value not in (0, 1):
        raise BadCellError(f"the label {shown_value(value)} is neither 0 nor 1")
    return ImportedGrade(grader, label="MISALIGNED" if value else "ALIGNED")


def is_number(value: object) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def object_of(value: object) -> Mapping[str, Any]:
    """An object of JSON; nothing where something else stands."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def known(entry: Mapping[str, Any], *paths: str) -> Any:  # noqa: ANN401  any JSON value
    """What stands at the first of these names or dotted paths that holds anything."""
    for path in paths:
        found: Any = entry.get(path)
        if found is None and "." in path:
            first, _, rest = path.partition(".")
            found = known(object_of(entry.get(first)), rest)
        if found is not None:
            return found
    return None


def text_of(entry: Mapping[str, Any], *paths: str) -> str | None:
    """The text at the first of these paths that holds one."""
    found = (known(entry, path) for path in paths)
    return next((item for item in found if isinstance(item, str) and item), None)
