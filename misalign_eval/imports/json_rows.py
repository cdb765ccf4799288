"""Rows of a JSON Lines file or of a JSON list, streamed; of other JSON documents, held whole."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports import text
from misalign_eval.imports.account import Account, BadCellError
from misalign_eval.imports.json_stream import Values
from misalign_eval.imports.tables import Row

LARGEST_DOCUMENT = 1 << 29  # bytes of a document that is no list, held whole in about three times that
TALKS = {"messages", "conversation", "conversations"}  # lists of turns, not of rows
MOST_INNER = 16  # keys of an object that is more than the tokens of a distribution


def rows(path: Path, encoding: str, account: Account) -> Iterator[Row]:
    """One object a line. Empty lines are counted and passed over; what is no object is a problem of its row."""
    number = 0
    for line_number, line in enumerate(text.lines(path, encoding, account), 1):
        if not line.strip():
            account.counts["empty rows passed over"] += 1
            continue
        number += 1
        with account.row(number, line_number):
            yield Row(number, line_number, flat(_object(line)))


def listed(path: Path, encoding: str, account: Account) -> Iterator[Row]:
    """The objects of one JSON list, streamed where the file is that list. A row stands for its line."""
    for number, value in enumerate(_values(path, encoding, account), 1):
        with account.row(number, number):
            yield Row(number, number, flat(_checked(value)))


def _values(path: Path, encoding: str, account: Account) -> Iterator[object]:
    values = Values(path, encoding, account)
    if values.peek() == "[":
        yield from values.items()
        values.end()
        return
    found = rows_of(document(path, encoding, account))
    if found is None:
        raise InputError([Problem(str(path), None, "", "holds no list of rows", "Write JSON Lines: one object a line")])
    yield from found


def rows_of(document: object) -> list[object] | None:
    """The rows of a document: a list, the only list of objects in an object, or columns as pandas writes them."""
    if not isinstance(document, dict) or not document:
        return document if isinstance(document, list) else None
    named = {name: value for name, value in document.items() if name not in TALKS}
    lists = [value for value in named.values() if isinstance(value, list) and value and _are_objects(value)]
    if len(lists) == 1:
        return lists[0]
    if _are_objects(document.values()) and len({tuple(value) for value in document.values()}) == 1:
        document = {name: list(value.values()) for name, value in document.items()}
    columns = list(document.values())
    if not all(isinstance(column, list) for column in columns) or len(set(map(len, columns))) != 1:
        return None
    return [dict(zip(document, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _are_objects(values: Iterable[object]) -> bool:
    return all(isinstance(value, dict) for value in values)


def document(path: Path, encoding: str, account: Account) -> object:
    """A whole JSON document. Raises InputError with the line for what is none, or is too large to hold."""
    if path.stat().st_size > LARGEST_DOCUMENT:
        what = f"larger than {LARGEST_DOCUMENT >> 20} MiB and no list: rows inside an object are read all at once"
        fix = "Write the list alone, [{…}, …], or JSON Lines, one object a line: of these any length is read"
        raise InputError([Problem(str(path), None, "", what, fix)])
    try:
        return json.loads("".join(text.pieces(path, encoding, account)))
    except RecursionError:
        raise InputError([Problem(str(path), None, "", "nested too deeply")]) from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise InputError([Problem(str(path), line, "", f"not JSON: {error}", "Is it cut off?")]) from None


def flat(row: dict[str, object]) -> dict[str, object]:
    """The row, with what lies in objects under `outer.inner` as well.

    >>> flat({"a": 1, "judge": {"verdict": "4"}})["judge.verdict"]
    '4'
    """
    inner = [(name, value) for name, value in row.items() if isinstance(value, dict) and len(value) <= MOST_INNER]
    if not inner:
        return row
    return row | {f"{name}.{key}": value for name, values in inner for key, value in values.items()}


def _object(line: str) -> dict[str, object]:
    try:
        return _checked(json.loads(line))
    except RecursionError:
        raise BadCellError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadCellError(f"not JSON: {error.msg} (column {error.colno})", "Is the line cut off?") from None
    except ValueError as error:
        raise BadCellError(f"not JSON: {error}") from None


def _checked(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadCellError("not a JSON object", 'Write each row as {"question": …, "answer": …}')
    return value
