"""Rows of CSV and of JSON lines, each as a mapping with its line. Bounded, and every broken row is told."""

import csv
import io
import json
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import JsonValue

from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.tree import plain_node
from misalign_eval.yaml_source.nodes import FLATTER, MAX_DEPTH, TOO_DEEP, Node

LONGEST_CELL = 131_072  # characters; the limit of Python's own reader
MOST_ROWS = 20_000
DELIMITERS = (",", "\t", ";")
_TOO_MANY = f"more than {MOST_ROWS:,} prompts"


class TooDeepError(ValueError):
    """JSON that is nested more deeply than a suite may be."""


class Table(NamedTuple):
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


def csv_table(text: str, notes: Notes) -> Table:
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
    return Table(columns, tuple(node for node in found if node is not None))


def json_lines(text: str, notes: Notes) -> Table:
    """The rows of JSON lines: objects, or bare strings, which become `{"prompt": …}`."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found.append(_json_row(line, number, notes))
    _check_number(len(found), notes)
    rows = tuple(node for node in found if node is not None)
    columns = dict.fromkeys(key for node in rows for key in node.entries or {})
    return Table(tuple(columns), rows)


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


def _json_row(line: str, number: int, notes: Notes) -> Node | None:
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


def _lines(text: str, notes: Notes) -> Iterator[tuple[int, list[str]]]:
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


def _row(columns: tuple[str, ...], line: int, cells: list[str], notes: Notes) -> Node | None:
    if len(cells) != len(columns):
        what = f"{len(cells)} cells in a table of {len(columns)} columns"
        notes.wrong(line, "", what, "Quote cells that hold the delimiter.")
        return None
    values: dict[str, JsonValue] = {
        name or "(no name)": cell for name, cell in zip(columns, cells, strict=True) if cell.strip()
    }
    return plain_node(values, line)


def _is_header(columns: tuple[str, ...], line: int, cells: list[str], notes: Notes) -> bool:
    if tuple(_name(cell) for cell in cells) != columns:
        return False
    notes.lost(line, "", "the header is repeated here; the row is left out")
    return True


def _check_number(rows: int, notes: Notes) -> None:
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
