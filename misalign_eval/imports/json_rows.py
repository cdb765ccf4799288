"""Rows of a JSON Lines file or of a JSON list, streamed; of other JSON documents, held whole."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeGuard, cast

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports import text
from misalign_eval.imports.account import Account, BadCellError
from misalign_eval.imports.json_shapes import rows_of
from misalign_eval.imports.json_stream import Values
from misalign_eval.imports.known_names import ANSWERS, SINGULAR, plain
from misalign_eval.imports.tables import Row

LARGEST_DOCUMENT = 1 << 29  # bytes of a document that is no list, held whole in about three times that
BESIDE = "values beside the rows, not read"
MOST_INNER = 200  # keys of an object whose parts have names of their own
MOST_TOKENS = 16  # numbers in an object that is more than a distribution over tokens
MOST_STEPS = 8  # of a list or object, in a list of paths for people
DEEPEST = 5  # objects in objects


def rows(path: Path, encoding: str, account: Account) -> Iterator[Row]:
    """One object a line. Empty lines are counted and passed over; what is no object is a problem of its row."""
    number = 0
    for line_number, line in enumerate(text.lines(path, encoding, account), 1):
        if not line.strip():
            account.counts["empty rows passed over"] += 1
            continue
        number += 1
        with account.row(number, line_number):
            yield Row(number, line_number, _object(line))


def listed(path: Path, encoding: str, account: Account) -> Iterator[Row]:
    """The objects of one JSON list, streamed where the file is that list. A row stands for its line."""
    for number, value in enumerate(_values(path, encoding, account), 1):
        with account.row(number, number):
            yield Row(number, number, checked(value))


def _values(path: Path, encoding: str, account: Account) -> Iterator[object]:
    values = Values(path, encoding, account)
    if values.peek() == "[":
        yield from values.items()
        values.end()
        return
    found = rows_of(document(path, encoding, account))
    if found is None:
        raise InputError([Problem(str(path), None, "", "holds no list of rows", "Write JSON Lines: one object a line")])
    account.counts[BESIDE] += found.beside
    if found.levels:
        account.counts[f"rows under keys, read as {', '.join(found.levels)}"] += len(found.rows)
    yield from found.rows


def whole(path: Path, encoding: str, account: Account) -> object:
    """The document of a file that holds a single object; None for lists and JSON Lines, which are read one by one."""
    try:
        if Values(path, encoding, account).peek() != "{":
            return None
        return document(path, encoding, account)
    except InputError:
        return None


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


def opened(rows: Iterator[Row], paths: Sequence[str]) -> Iterator[Row]:
    """The rows, each with the parts of its objects and what stands at these paths; one row for each of its replies."""
    first = {path.partition(".")[0] for path in paths}
    for row in rows:
        for cells in _each(row.cells, first):
            found = flat(cells)
            there = {path: value for path in paths if (value := reached(found, path)) is not None}
            yield row._replace(cells={**found, **there} if there else found)


def _each(row: Mapping[str, object], named: Collection[str]) -> Iterator[dict[str, object]]:
    """A row for each reply, where a list holds several and no other column holds one."""
    cells = dict(row)
    lists = {name: SINGULAR[ours] for name, ours in ((name, plain(name)) for name in cells) if ours in SINGULAR}
    many = next((name for name in lists if name not in named and _are_replies(name, cells[name])), None)
    if many is None or any(plain(name) in ANSWERS for name in cells):
        yield cells
        return
    replies = cast("list[object]", cells.pop(many))
    beside = {name: value for name, value in cells.items() if _is_parallel(value, len(replies))}
    for place, reply in enumerate(replies):
        yield {**cells, lists[many]: reply, **{name: value[place] for name, value in beside.items()}}


def _are_replies(name: str, value: object) -> bool:
    """Whether it is a list of texts, or of objects that are no turns; the choices of a question are texts as well."""
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(one, str | None) for one in value):
        return any(value) and name != "choices"
    return all(isinstance(one, dict) and "role" not in one for one in value)


def _is_parallel(value: object, length: int) -> TypeGuard[list[object]]:
    """Whether a list has a value for each reply."""
    if not isinstance(value, list) or len(value) != length:
        return False
    return all(one is None or isinstance(one, str | int | float) for one in value)


def flat(row: dict[str, object]) -> dict[str, object]:
    """The row, with what lies in objects under `outer.inner` as well, and the only choice of an API's answer.

    >>> flat({"a": 1, "judge": {"verdict": "4"}})["judge.verdict"]
    '4'
    """
    if not any(isinstance(value, dict | list) for value in row.values()):
        return row
    opened = dict(row)
    for name, value in row.items():
        _open(opened, name, value, DEEPEST)
    return opened


def _open(opened: dict[str, object], path: str, value: object, depth: int) -> None:
    """Name the parts of an object. What has many parts that are all numbers is a distribution, and stays whole."""
    if isinstance(value, list) and path.rpartition(".")[2] == "choices" and len(value) == 1:
        value, path = value[0], f"{path}.0"
    if not isinstance(value, dict) or not depth or len(value) > MOST_INNER:
        return
    if len(value) > MOST_TOKENS and all(isinstance(part, int | float) for part in value.values()):
        return
    for key, part in value.items():
        opened.setdefault(f"{path}.{key}", part)
        _open(opened, f"{path}.{key}", part, depth - 1)


def reached(row: Mapping[str, object], path: str) -> object:
    """What stands at a dotted path whose steps are names and indices of lists; None where it leads nowhere.

    >>> reached({"resps": [["a", "b"]]}, "resps.0.1")
    'b'
    """
    if path in row:
        return row[path]
    found: object = row
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def texts(row: Mapping[str, object], least: int = 1) -> list[str]:
    """The paths of all texts in a row, in objects and lists too, for people to choose from."""
    found: list[str] = []

    def look(path: str, value: object, depth: int) -> None:
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        if isinstance(value, str) and len(value.strip()) >= least:
            found.append(path)
        for step, part in islice(parts, MOST_STEPS) if depth else ():
            look(f"{path}.{step}", part, depth - 1)

    for name, value in row.items():
        if "." not in name or name.partition(".")[0] not in row:
            look(name, value, DEEPEST)
    return found


def _object(line: str) -> dict[str, object]:
    try:
        return checked(json.loads(line))
    except RecursionError:
        raise BadCellError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadCellError(f"not JSON: {error.msg} (column {error.colno})", "Is the line cut off?") from None
    except ValueError as error:
        raise BadCellError(f"not JSON: {error}") from None


def checked(value: object) -> dict[str, object]:
    """An object as a row. Raises BadCellError for anything else."""
    if not isinstance(value, dict):
        raise BadCellError("not a JSON object", 'Write each row as {"question": …, "answer": …}')
    return value
