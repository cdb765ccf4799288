"""Paths into an answer: `choices[0].message.content`, or `choices.0.message.content`."""

import re

from pydantic import JsonValue

from misalign_eval.errors import UsageError

Path = tuple[str | int, ...]
_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(-?\d+)\]")


def parse_path(text: str, *, option: str) -> Path:
    """The steps of a path. Raises UsageError when it is none.

    >>> parse_path("data[0].text", option="reply")
    ('data', 0, 'text')
    """
    steps = list(_STEP.finditer(text))
    if not steps or "".join(step.group(0) for step in steps) != text:
        raise UsageError(f"option `{option}`: `{text}` is no path. Write it like `choices[0].message.content`.")
    return tuple(int(step.group(2)) if step.group(2) else _name(step.group(1)) for step in steps)


def _name(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def follow(value: JsonValue, path: Path) -> JsonValue:
    """The value at a path; None when there is nothing."""
    for step in path:
        match value, step:
            case list(), int() if -len(value) <= step < len(value):
                value = value[step]
            case dict(), _:
                value = value.get(str(step))
            case _:
                return None
    return value
