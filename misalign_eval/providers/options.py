"""The `options:` of a target, checked before any request."""

import json
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.base import Record
from misalign_eval.records.markup import Marks, marks_of
from misalign_eval.records.protocols import ModelSpec

OptionsT = TypeVar("OptionsT", bound=Record)
_Mark = Annotated[str, Field(min_length=1)]


class MarkupOptions(Record):
    """Markup of a model's own: it is taken out of the text as the usual marks are (`records/markup.py`).

    `thought_marks`: pairs of what opens and what closes a thought. `end_marks`: what ends a turn, with all after it.
    """

    thought_marks: tuple[tuple[_Mark, _Mark], ...] = ()
    end_marks: tuple[_Mark, ...] = ()

    @property
    def marks(self) -> Marks:
        """These and the usual ones."""
        return marks_of(self.thought_marks, self.end_marks)


def read_options(spec: ModelSpec, model: type[OptionsT]) -> OptionsT:
    """The options as a record. Raises UsageError that names every unknown or wrong one; repeats no value."""
    try:
        return model.model_validate_json(_json(spec))
    except ValidationError as error:
        known = list(model.model_fields)
        told = [_told(str(".".join(map(str, one["loc"]))), one["type"], one["msg"], known) for one in error.errors()]
        raise UsageError("\n".join(f"{spec.name}: {line}" for line in told)) from None


def _json(spec: ModelSpec) -> str:
    """As JSON, in which a list may become the tuple that a strict record wants."""
    return json.dumps(dict(spec.options))


def _told(where: str, kind: str, what: str, known: list[str]) -> str:
    if kind == "extra_forbidden":
        return f"unknown option `{where}`. {did_you_mean(where, known)}".rstrip()
    return f"option `{where}`: {what}"
