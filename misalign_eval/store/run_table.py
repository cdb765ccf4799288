"""Index of the rows of a file by the plan: 8 bytes of memory for each planned reply, whatever the rows hold."""

from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from misalign_eval.errors import InputError, Problem
from misalign_eval.records.run import CellKey, PlannedPrompt, ReplyKey
from misalign_eval.store.rows import open_append


class Keyed(Protocol):
    """A row of a reply or a grade."""

    @property
    def key(self) -> ReplyKey:
        """The reply that it belongs to."""


T = TypeVar("T", bound=Keyed)
_NONE = -1


class NumberedRow:
    """The planned replies of a run, numbered in the order of the plan."""

    def __init__(self, plan: Iterable[PlannedPrompt]) -> None:
        self.prompts = tuple(plan)
        self.count = 0
        self._first: dict[CellKey, tuple[int, int]] = {}
        for prompt in self.prompts:
            self._first[prompt.cell] = (self.count, prompt.samples)
            self.count += prompt.samples

    def number(self, key: ReplyKey) -> int | None:
        """The number of a reply; None when it was not planned."""
        first, samples = self._first.get(key.cell, (0, 0))
        return first + key.sample if 0 <= key.sample < samples else None


class RowPlaces(Generic[T]):
    """Where the row that counts begins, for each planned reply. Use as a context manager: it holds the file open.

    `is_final` tells a row that stands, the first of which counts, from one that a later row may replace (a failure, a
    reply that was not graded): of those the last counts, where there is no final one. Raises InputError for a row that
    is not of its format; a torn last line is passed over.
    """

    def __init__(
        self,
        path: Path,
        adapter: TypeAdapter[T],
        numbered: NumberedRow,
        is_final: Callable[[T], bool],
        seen: Callable[[T], None] = lambda _: None,
    ) -> None:
        self.unplanned = 0
        self._path = path
        self._validate: Callable[[bytes], T] = adapter.validator.validate_json
        self._numbered = numbered
        self._begins = array("q", [_NONE]) * numbered.count
        self._stands = bytearray(numbered.count)
        self._file: BinaryIO | None = open_append(path)
        self._scan(is_final, seen)

    def __enter__(self) -> Self:
        """The file is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def at(self, number: int) -> T | None:
        """The row of the planned reply of this number; None where there is none."""
        begins = self._begins[number]
        if self._file is None or begins == _NONE:
            return None
        self._file.seek(begins)
        return self._validate(self._file.readline())

    def _scan(self, is_final: Callable[[T], bool], seen: Callable[[T], None]) -> None:
        begins = 0
        for line, data in enumerate(self._file or (), 1):
            if not data.endswith(b"\n"):
                return
            try:
                row = self._validate(data)
            except ValidationError as error:
                problem = Problem(
                    str(self._path), line, "", "not a row of this format", "`doctor RUN` says what is wrong"
                )
                raise InputError([problem]) from error
            seen(row)
            self._note(self._numbered.number(row.key), begins, is_final=is_final(row))
            begins += len(data)

    def _note(self, number: int | None, begins: int, *, is_final: bool) -> None:
        if number is None:
            self.unplanned += 1
        elif not self._stands[number]:
            self._begins[number] = begins
            self._stands[number] = is_final
