"""Validation of YAML documents against records, with messages that name line and fix."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from misalign_eval.errors import InputError, Problem, did_you_mean
from misalign_eval.yaml_source.document import Document, Loc

# What pydantic's error types mean to somebody who wrote a YAML file.


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


# Checking a document against a record, and saying what pydantic found in the words of the file's author.


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlFault:
    """A problem and the place in the document that it is about."""

    loc: Loc
    problem: Problem


@dataclass(frozen=True, slots=True)
class _Located:
    """A pydantic error, its place in the document, and the branch of a union that complained (empty outside unions)."""

    loc: Loc
    branch: Loc
    at: int  # how many parts of `loc` come before the branch
    error: ErrorDetails

    @property
    def is_about_the_whole(self) -> bool:
        return len(self.loc) == self.at and is_wrong_type(self.error)


def parse(document: Document, model: type[Model]) -> Model:
    """The document as a record. Raises InputError with every problem of the file and of its fields."""
    found, faults = check(document, model)
    problems = merged(document, faults)
    if found is None or problems:
        raise InputError(problems)
    return found


def check(document: Document, model: type[Model]) -> tuple[Model | None, list[YamlFault]]:
    """The document as a record, or None and what is wrong with its fields. Does not look at `document.problems`."""
    try:
        return model.model_validate_json(json.dumps(document.root.plain())), []
    except ValidationError as error:
        return None, faults(document, model, error.errors(include_url=False))


def merged(document: Document, faults: Sequence[YamlFault]) -> list[Problem]:
    """The file's own problems and those of its fields by line, without the second of two about one value."""
    places = {(problem.line, problem.where) for problem in document.problems}
    rest = [fault.problem for fault in faults if (fault.problem.line, fault.problem.where) not in places]
    unique = list(dict.fromkeys([*document.problems, *rest]))
    return sorted(unique, key=lambda problem: problem.line or 0)


def faults(document: Document, model: type[BaseModel], errors: Sequence[ErrorDetails]) -> list[YamlFault]:
    """What pydantic found, in words, one fault for each value even where it tried several branches of a union."""
    groups: dict[Loc, list[_Located]] = {}
    for located in _without_echoes([_locate(document, error) for error in errors]):
        groups.setdefault(located.loc[: located.at] if located.branch else located.loc, []).append(located)
    return [fault for group in groups.values() for fault in _group(document, model, group)]


def _locate(document: Document, error: ErrorDetails) -> _Located:
    """Split pydantic's location into what the file holds and the names of union branches in between."""
    loc: Loc = ()
    branch: Loc = ()
    at = 0
    for index, part in enumerate(error["loc"]):
        last_of_missing = error["type"] == "missing" and index == len(error["loc"]) - 1
        if last_of_missing or document.holds((*loc, part)):
            loc = (*loc, part)
        else:
            at = at if branch else len(loc)
            branch = (*branch, part)
    return _Located(loc, branch, at if branch else len(loc), error)


def _without_echoes(found: list[_Located]) -> list[_Located]:
    """Drop "too short" of a list that is short only because its items are at fault."""
    holders = {item.loc[:length] for item in found for length in range(len(item.loc))}
    return [item for item in found if item.error["type"] != "too_short" or item.loc not in holders]


def _group(document: Document, model: type[BaseModel], group: list[_Located]) -> Iterator[YamlFault]:
    """Of a union, the branches that looked inside know more than those that refused the whole value."""
    inside = [located for located in group if not located.is_about_the_whole]
    branches = {located.branch[:1] for located in group}
    if len(branches) > 1 and not inside:
        whole = group[0].loc
        yield YamlFault(whole, document.problem(whole, *wrong_type([located.error for located in group])))
        return
    for located in inside if len(branches) > 1 else group:
        what, fix = describe(located.error, known_keys(model, located.error["loc"][:-1]))
        yield YamlFault(located.loc, document.problem(located.loc, what, fix))


def known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the record takes at `loc`; several records where a union leaves the choice."""
    kinds: list[Any] = [model]
    for part in loc:
        kinds = [below for kind in kinds for below in _below(kind, part)] or kinds
    names = [name for kind in kinds for name in _fields(kind)]
    return list(dict.fromkeys(names))


def _fields(kind: Any) -> dict[str, Any]:  # noqa: ANN401  any annotation
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}


def _below(kind: Any, part: str | int) -> Iterator[Any]:  # noqa: ANN401  any annotation
    """What stands at a key or an index of a value of this kind."""
    if part in (fields := _fields(kind)):
        yield from _leaves(fields[str(part)])
    elif get_origin(kind) is dict and isinstance(part, str):
        yield from _leaves(get_args(kind)[1])
    elif get_origin(kind) in (tuple, list) and isinstance(part, int):
        yield from _leaves(get_args(kind)[0])


def _leaves(kind: Any) -> Iterator[Any]:  # noqa: ANN401  any annotation
    if get_origin(kind) is Annotated:
        yield from _leaves(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for branch in get_args(kind):
            yield from _leaves(branch)
    else:
        yield kind
