"""A foreign suite file: its values with their lines, its tables, and the conversion report."""

import csv
import io
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, NamedTuple

from pydantic import JsonValue

from misalign_eval.errors import InputError, Problem
from misalign_eval.yaml_source.document import Document
from misalign_eval.yaml_source.nodes import FLATTER, MAX_DEPTH, TOO_DEEP, Node

# Conversion report: problems of a foreign file, and losses. All are collected and reported at once.


@dataclass(slots=True)
class _Loss:
    problem: Problem
    times: int = 1

    @property
    def told(self) -> Problem:
        """With the number of times."""
        what = f"{self.problem.what} ({self.times} times)" if self.times > 1 else self.problem.what
        return replace(self.problem, what=what)


@dataclass(slots=True)
class ConversionReport:
    """Problems and losses of one file. A loss that many questions share is said once, with their number."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    slips: set[str] = field(default_factory=set)  # unknown keys that were told
    _losses: dict[tuple[str, str], _Loss] = field(default_factory=dict)

    def wrong(self, line: int | None, where: str, what: str, fix: str = "") -> None:
        """Something that the author of the file must mend."""
        self.problems.append(Problem(self.file, line, where, " ".join(what.split()), fix))

    def lost(self, line: int | None, where: str, what: str, fix: str = "") -> None:
        """Something that the file says and a suite does not, or that was decided for it."""
        known = self._losses.get((what, fix))
        if known is None:
            self._losses[what, fix] = _Loss(Problem(self.file, line, where, " ".join(what.split()), fix))
        else:
            known.times += 1

    @property
    def losses(self) -> tuple[Problem, ...]:
        """In the order in which they were first met."""
        return tuple(loss.told for loss in self._losses.values())

    def stop(self, line: int | None, what: str, fix: str = "") -> InputError:
        """The error that ends reading here, with all the problems so far."""
        self.wrong(line, "", what, fix)
        return InputError(self.problems)


# Positioned documents: in the shape of our suite files, with the lines and places of the foreign file.


Loc = tuple[str | int, ...]


class Marked(NamedTuple):
    """A value of the suite, and where the foreign file says it."""

    value: Any
    line: int
    place: str = ""


@dataclass(frozen=True, slots=True)
class Translated(Document):
    """A document that was made from a foreign file. Its messages name the place in that file."""

    places: Mapping[Loc, str] = field(default_factory=dict, repr=False)

    def problem(self, loc: Loc, what: str, fix: str = "") -> Problem:
        """A problem at the foreign place of the nearest thing that has one."""
        near = (loc[:length] for length in range(len(loc), 0, -1))
        place = next((self.places[item] for item in near if item in self.places), "")
        return Problem(self.file, self.line_of(loc), place, " ".join(what.split()), fix)


def document(file: str, content: dict[str, Any]) -> Translated:
    """The content of a suite file, its values Marked where the foreign file has them."""
    places: dict[Loc, str] = {}
    return Translated(file, _node(content, 1, (), places), (), places)


def plain_node(value: JsonValue, line: int) -> Node:
    """A value of JSON as a tree whose every part stands on one line."""
    return _node(value, line, (), {})


def _node(value: Any, line: int, loc: Loc, places: dict[Loc, str]) -> Node:  # noqa: ANN401  JSON, or Marked
    if isinstance(value, Marked):
        if value.place:
            places[loc] = value.place
        return _node(value.value, value.line, loc, places)
    if isinstance(value, list | tuple):
        return Node(line, items=[_node(item, line, (*loc, index), places) for index, item in enumerate(value)])
    if isinstance(value, dict):
        entries = {}
        for key, item in value.items():
            node = _node(item, line, (*loc, key), places)
            entries[key] = (node.line, node)
        return Node(line, entries=entries)
    return Node(line, value)


# Line numbers of the values of a JSON file, which Python's own reader does not give.


def tree(value: JsonValue, text: str) -> Node:
    """The value with the line of each part. A text is looked for after the one before it; other parts follow on."""
    return _Places(text).node(value)


class _Places:
    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
        self._place = 0

    def node(self, part: JsonValue) -> Node:
        if isinstance(part, list):
            items = [self.node(item) for item in part]
            return Node(items[0].line if items else self._line(), items=items)
        if isinstance(part, dict):
            entries = {}
            for key, item in part.items():
                self._go_to(key)
                line = self._line()
                entries[key] = (line, self.node(item))
            return Node(min((line for line, _ in entries.values()), default=self._line()), entries=entries)
        if isinstance(part, str):
            self._go_to(part)
        return Node(self._line(), part)

    def _go_to(self, part: str) -> None:
        written = (json.dumps(part, ensure_ascii=flag) for flag in (False, True))
        self._place = max(self._place, *(self._text.find(item, self._place) for item in written))

    def _line(self) -> int:
        return bisect_right(self._starts, self._place)


# Rows of CSV and of JSON Lines, each a mapping with its line. Bounded; every broken row is reported.


LONGEST_CELL = 131_072  # characters; the limit of Python's own reader
MOST_ROWS = 20_000
DELIMITERS = (",", "\t", ";")
_TOO_MANY = f"more than {MOST_ROWS:,} prompts"


class TooDeepError(ValueError):
    """JSON that is nested more deeply than a suite may be."""


class QuestionTable(NamedTuple):
    """The rows of a file, and what it says of itself."""

    columns: tuple[str, ...]
    rows: tuple[Node, ...]


def header_of(text: str) -> tuple[str, ...]:
    """The column names of what may be CSV: of the delimiter that gives the most; lower case, without white space.

    >>> header_of("id;Question ")
    ('id', 'question')
    """
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    return tuple(_name(cell) for cell in _cells(first, _delimiter(first)))


def csv_table(text: str, notes: ConversionReport) -> QuestionTable:
    """The rows of a CSV file. A repeated header is left out and said."""
    rows = _lines(text, notes)
    try:
        _, header = next(rows)
    except StopIteration:
        raise notes.stop(1, "the table is empty") from None
    columns = tuple(_name(cell) for cell in header)
    if doubled := {name for name in columns if name and columns.count(name) > 1}:
        raise notes.stop(1, f"two columns are named `{min(doubled)}`", "Rename one.")
    found = [_row(columns, line, cells, notes) for line, cells in rows if not _is_header(columns, line, cells, notes)]
    _check_number(len(found), notes)
    return QuestionTable(columns, tuple(node for node in found if node is not None))


def json_lines(text: str, notes: ConversionReport) -> QuestionTable:
    """The rows of JSON lines: objects, or bare strings, which become `{"prompt": …}`."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found.append(_json_row(line, number, notes))
    _check_number(len(found), notes)
    rows = tuple(node for node in found if node is not None)
    columns = dict.fromkeys(key for node in rows for key in node.entries or {})
    return QuestionTable(tuple(columns), rows)


def parsed(text: str) -> JsonValue:
    """JSON. Raises ValueError for what is none and for a key that occurs twice, TooDeepError for deep nesting."""
    try:
        value: JsonValue = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise TooDeepError(TOO_DEEP) from None
    _check_depth(value)
    return value


def _check_depth(value: JsonValue) -> None:
    """How deep the parser of JSON goes depends on the interpreter; our own functions go as deep as for YAML."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        held = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        if not held:
            return
        level = [item for items in held for item in items]
    raise TooDeepError(TOO_DEEP)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:40]!a} occurs twice")
        found[key] = value
    return found


def _json_row(line: str, number: int, notes: ConversionReport) -> Node | None:
    try:
        value = parsed(line)
    except TooDeepError as error:
        notes.wrong(number, "", str(error), FLATTER)
        return None
    except ValueError as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        notes.wrong(number, "", f"not valid JSON: {said}", "Each line holds one object.")
        return None
    if isinstance(value, str):
        value = {"prompt": value}
    if not isinstance(value, dict):
        notes.wrong(number, "", "should be an object or a text", "Each line holds one object.")
        return None
    return plain_node(value, number)


def _lines(text: str, notes: ConversionReport) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line that it begins on."""
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise notes.stop(line, *_as_words(str(error))) from None
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _as_words(said: str) -> tuple[str, str]:
    if "field limit" in said:
        return f"a cell of more than {LONGEST_CELL:,} characters", "A prompt is shorter: is a quotation mark missing?"
    if "unexpected end of data" in said:
        return "a quotation mark that opens here never closes", "Close it, or double it inside a quoted cell."
    return f"not valid CSV: {said}", "Quote cells that hold quotation marks, and double those inside."


def _row(columns: tuple[str, ...], line: int, cells: list[str], notes: ConversionReport) -> Node | None:
    if len(cells) != len(columns):
        what = f"{len(cells)} cells in a table of {len(columns)} columns"
        notes.wrong(line, "", what, "Quote cells that hold the delimiter.")
        return None
    values: dict[str, JsonValue] = {
        name or "(no name)": cell for name, cell in zip(columns, cells, strict=True) if cell.strip()
    }
    return plain_node(values, line)


def _is_header(columns: tuple[str, ...], line: int, cells: list[str], notes: ConversionReport) -> bool:
    if tuple(_name(cell) for cell in cells) != columns:
        return False
    notes.lost(line, "", "the header is repeated here; the row is left out")
    return True


def _check_number(rows: int, notes: ConversionReport) -> None:
    if not rows and not notes.problems:
        raise notes.stop(None, "no rows", "A table holds a header and at least one question.")
    if rows > MOST_ROWS:
        raise notes.stop(None, _TOO_MANY, "Take a sample of them.")


def _delimiter(line: str) -> str:
    return max(DELIMITERS, key=lambda sign: len(_cells(line, sign)))


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _name(cell: str) -> str:
    return cell.strip().casefold()
