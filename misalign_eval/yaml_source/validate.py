"""Checking a document against a record, and saying what pydantic found in the words of the file's author."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from misalign_eval.errors import InputError, Problem
from misalign_eval.yaml_source.document import Document, Loc
from misalign_eval.yaml_source.words import describe, is_wrong_type, wrong_type

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
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


def check(document: Document, model: type[Model]) -> tuple[Model | None, list[Fault]]:
    """The document as a record, or None and what is wrong with its fields. Does not look at `document.problems`."""
    try:
        return model.model_validate_json(json.dumps(document.root.plain())), []
    except ValidationError as error:
        return None, faults(document, model, error.errors(include_url=False))


def merged(document: Document, found: Sequence[Fault]) -> list[Problem]:
    """The file's own problems and those of its fields by line, without the second of two about one value."""
    places = {(problem.line, problem.where) for problem in document.problems}
    rest = [fault.problem for fault in found if (fault.problem.line, fault.problem.where) not in places]
    unique = list(dict.fromkeys([*document.problems, *rest]))
    return sorted(unique, key=lambda problem: problem.line or 0)


def faults(document: Document, model: type[BaseModel], errors: Sequence[ErrorDetails]) -> list[Fault]:
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
    holders = {one.loc[:length] for one in found for length in range(len(one.loc))}
    return [one for one in found if one.error["type"] != "too_short" or one.loc not in holders]


def _group(document: Document, model: type[BaseModel], group: list[_Located]) -> Iterator[Fault]:
    """Of a union, the branches that looked inside know more than those that refused the whole value."""
    inside = [located for located in group if not located.is_about_the_whole]
    branches = {located.branch[:1] for located in group}
    if len(branches) > 1 and not inside:
        whole = group[0].loc
        yield Fault(whole, document.problem(whole, *wrong_type([located.error for located in group])))
        return
    for located in inside if len(branches) > 1 else group:
        what, fix = describe(located.error, known_keys(model, located.error["loc"][:-1]))
        yield Fault(located.loc, document.problem(located.loc, what, fix))


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
