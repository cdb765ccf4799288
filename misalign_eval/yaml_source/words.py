"""What pydantic's error types mean to somebody who wrote a YAML file."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from misalign_eval.errors import did_you_mean

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "none_required": "null",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_FILL = "Write something, or take it away."
Words = tuple[str, str]
NOT_BLANK = r"\S"  # the pattern of a text field that must hold more than white space


def is_wrong_type(error: ErrorDetails) -> bool:
    """Whether the value as a whole is of another type than the field."""
    return error["type"] in _EXPECTED


def describe(error: ErrorDetails, known: Sequence[str]) -> Words:
    """What is wrong and how to mend it; `known` are the keys that are allowed beside an unknown one."""
    kind = error["type"]
    if kind in _EXPECTED:
        return wrong_type([error])
    if kind in _BOUNDS:
        name, relation = _BOUNDS[kind]
        return f"should be {relation} {_context(error)[name]}, not {_shown(error['input'])}", ""
    if kind == "extra_forbidden":
        return "unknown field", did_you_mean(str(error["loc"][-1]), known)
    return _SPECIAL.get(kind, _as_pydantic_says)(error)


def _context(error: ErrorDetails) -> dict[str, Any]:
    return error.get("ctx", {})


def wrong_type(errors: Sequence[ErrorDetails]) -> Words:
    """Several errors about one value are the branches of a union, none of which it fits."""
    expected = list(dict.fromkeys(_EXPECTED[error["type"]] for error in errors))
    value = errors[0]["input"]
    if value is None:
        return f"should be {' or '.join(expected)}, but nothing is written here", ""
    fix = ""
    if "text" in expected and isinstance(value, bool | int | float):
        fix = f'Quote it: "{_plain(value)}".'
    elif expected == ["a list"]:
        fix = "Write each item on a line of its own, after `- `."
    return f"should be {' or '.join(expected)}, not {_shown(value)}", fix


def _literal(error: ErrorDetails) -> Words:
    known = re.findall(r"'([^']*)'", str(_context(error).get("expected", "")))
    return f"{_shown(error['input'])} is not one of {', '.join(known)}", _near(error["input"], known)


def _kind(error: ErrorDetails) -> Words:
    """A field that chooses between several records holds none of their names."""
    context = _context(error)
    known = re.findall(r"'([^']*)'", str(context["expected_tags"]))
    field = str(context["discriminator"]).strip("'")
    return f"{field}: {_shown(context['tag'])} is not one of {', '.join(known)}", _near(context["tag"], known)


def _no_kind(error: ErrorDetails) -> Words:
    field = str(_context(error)["discriminator"]).strip("'")
    return "required field is missing", f"Add `{field}:`."


def _near(value: object, known: Sequence[str]) -> str:
    hint = did_you_mean(value, known) if isinstance(value, str) else ""
    return hint if hint.startswith("Did") else ""


def _pattern(error: ErrorDetails) -> Words:
    pattern = str(_context(error)["pattern"])
    if pattern == NOT_BLANK:
        return "is empty", _FILL
    if pattern.startswith("^[A-Za-z0-9]"):
        fix = "Use letters, digits, `.`, `_` and `-`, beginning with a letter or digit."
        return f"{_shown(error['input'])} is not a name", fix
    return f"{_shown(error['input'])} does not match {pattern}", ""


def _too_short(error: ErrorDetails) -> Words:
    least = _context(error).get("min_length", 1)
    return ("is empty", _FILL) if least == 1 else (f"should have at least {least} items", "")


def _too_long(error: ErrorDetails) -> Words:
    unit = "characters" if error["type"] == "string_too_long" else "items"
    return f"has more than {_context(error)['max_length']} {unit}", ""


def _value_error(error: ErrorDetails) -> Words:
    return error["msg"].removeprefix("Value error, "), ""


def _as_pydantic_says(error: ErrorDetails) -> Words:
    return error["msg"][:1].lower() + error["msg"][1:], ""


_SPECIAL: dict[str, Callable[[ErrorDetails], Words]] = {
    "missing": lambda error: ("required field is missing", f"Add `{error['loc'][-1]}:`."),
    "literal_error": _literal,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "value_error": _value_error,
    "union_tag_invalid": _kind,
    "union_tag_not_found": _no_kind,
}


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(value: object) -> str:
    """A value as it fits into one line of a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    line = " ".join(_plain(value).split())
    return f"`{line[:57]}…`" if len(line) > 60 else f"`{line}`"
