"""Rule `json`: a reply is JSON, and fits a schema (extra `schema`)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator

from misalign_eval.errors import MissingExtraError
from misalign_eval.graders.rules.base import Decide, Finding, decided, undecided
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject

LONGEST_READ = 1_000_000
_FENCED = re.compile(r"\s*```[A-Za-z]{0,10}[ \t]*\n(.*?)\n?```\s*", re.DOTALL)
_REFUSED_KEYWORDS = frozenset({"pattern", "patternProperties"})  # a hostile reply could make them run for ever
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_NAMES = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"const", "enum", "default", "examples"})
_KINDS: Mapping[str, type | tuple[type, ...]] = {"any": object, "object": dict, "array": list}

Check = Callable[[JsonValue], str | None]


class JsonTextOptions(Record):
    """What the JSON must be."""

    kind: Annotated[Literal["any", "object", "array"], Field(description="what the whole reply must be")] = "any"
    fenced: Annotated[bool, Field(description="a reply that is one ```json block counts as its content")] = True
    json_schema: Annotated[
        dict[str, JsonValue] | None,
        Field(alias="schema", description="JSON Schema; without it a probe's reference that is a mapping"),
    ] = None

    @field_validator("json_schema")
    @classmethod
    def _usable(cls, schema: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        _refuse_unsafe(schema)
        return schema


def make(options: JsonTextOptions) -> Decide:
    """Whether the reply is JSON of the right kind. A name that an object holds twice, NaN and Infinity are not JSON."""
    given = None if options.json_schema is None else _schema_check(options.json_schema)

    def decide(subject: Subject) -> Finding:
        if len(subject.reply) > LONGEST_READ:
            return undecided(f"the reply is longer than {LONGEST_READ:,} characters")
        try:
            value = parsed(subject.reply, fenced=options.fenced)
        except (ValueError, RecursionError) as error:
            return decided(False, f"not JSON: {error}")
        if not isinstance(value, _KINDS[options.kind]):
            return decided(False, f"JSON, but not an {options.kind}")
        return _fits(value, subject, given)

    return decide


def parsed(text: str, *, fenced: bool) -> JsonValue:
    """The JSON value that the text is. Raises ValueError, or RecursionError for one nested without end."""
    if fenced and (match := _FENCED.fullmatch(text)):
        text = match[1]
    value: JsonValue = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    return value


def _fits(value: JsonValue, subject: Subject, given: Check | None) -> Finding:
    try:
        check = given
        if check is None and isinstance(subject.reference, dict):
            check = _schema_check(subject.reference)
        problem = None if check is None else check(value)
    except (MissingExtraError, ValueError, RecursionError) as error:
        return undecided(f"the schema cannot be applied: {error}")
    return decided(problem is None, problem or ("valid JSON" if check is None else "valid JSON that fits the schema"))


def _schema_check(schema: Mapping[str, JsonValue]) -> Check:
    """What tells the first thing in a value that does not fit. Raises MissingExtraError, ValueError."""
    try:
        from jsonschema import SchemaError, exceptions, validators
        from referencing import Registry
    except ImportError as error:
        raise MissingExtraError(
            "the rule `json` needs jsonschema to check a schema: pip install 'misalign-eval[schema]'"
        ) from error
    _refuse_unsafe(dict(schema))
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        raise ValueError(f"not a JSON Schema: {error.message}") from error
    validator: Any = kind(schema, registry=Registry())  # an empty registry fetches nothing

    def check(value: JsonValue) -> str | None:
        best = exceptions.best_match(validator.iter_errors(value))
        return None if best is None else f"does not fit the schema at {best.json_path}: {best.message[:200]}"

    return check


def _refuse_unsafe(schema: JsonValue) -> None:
    for keyword, value in _keywords(schema):
        if keyword in _REFUSED_KEYWORDS:
            raise ValueError(f"the keyword `{keyword}` is not supported; use the rule `regex` beside this one")
        if keyword in _REFERENCES and not str(value).startswith("#"):
            raise ValueError(f"`{keyword}: {value}`: only references inside the schema are followed")


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object holds the same name twice")
    return found


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")


def _keywords(schema: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Every keyword of a schema and of those inside it. Names of properties and plain values are no keywords."""
    if isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            if key in _NAMES and isinstance(value, dict):
                yield from _keywords(list(value.values()))
            elif key not in _VALUES:
                yield from _keywords(value)
