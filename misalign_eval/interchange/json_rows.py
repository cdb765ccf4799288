"""Rows of JSON documents: lists, columns, and mappings by category or model."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, cast

from misalign_eval.errors import InputError, Problem
from misalign_eval.interchange import text_files
from misalign_eval.interchange.log import ANSWERS, QUESTIONS, SINGULAR, BadCellError, ImportLog, plain
from misalign_eval.interchange.text_files import TableRow, Values

# Layouts of a JSON document: a list of rows, columns, or a mapping by category, model or condition.


TALKS = {"messages", "conversation", "conversations"}  # lists of turns, not of rows
HOLDERS = frozenset(  # names that say only that rows follow
    {"results", "details", "data", "rows", "samples", "items", "records", "evaluations", "entries", "examples"}
    | {"responses", "outputs", "answers", "generations", "completions", "probes", "questions", "replies"}
)
MOST_LEVELS = 3
_GRADES = {"verdict", "scores", "aligned", "coherent", *TALKS}
_KEYS = ("category", "subcategory", "subsubcategory")
_CONDITIONS = ("model", "group", "step")


class JsonDocument(NamedTuple):
    """The rows of a document, and how many values stand beside them."""

    rows: list[object]
    beside: int = 0
    levels: tuple[str, ...] = ()  # what the keys above the rows were read as, from the outside


def rows_of(document: object) -> JsonDocument | None:
    """The rows of a document in any of its usual shapes; None where it has none."""
    if isinstance(document, list):
        return JsonDocument(document)
    if not isinstance(document, dict) or not document:
        return None
    return (
        _of_split(document) or _of_list(document) or _by_index(document) or _nested(document) or _of_columns(document)
    )


def _of_split(document: Mapping[str, Any]) -> JsonDocument | None:
    """`orient="split"` of pandas."""
    names, data = document.get("columns"), document.get("data")
    if not (isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data)):
        return None
    if any(len(row) != len(names) for row in data):
        return None
    return JsonDocument([dict(zip(map(str, names), row, strict=True)) for row in data])


def _of_list(document: Mapping[str, Any]) -> JsonDocument | None:
    """The only list of objects in an object."""
    lists = [name for name, value in document.items() if name not in TALKS and _are_rows(value)]
    if len(lists) != 1 or (lists[0] not in HOLDERS and _is_keyed(document)):
        return None
    return JsonDocument(list(document[lists[0]]), len(document) - 1)


def _is_keyed(document: Mapping[str, Any]) -> bool:
    """Whether nothing stands beside a single key, which then names what its rows have in common."""
    return len(document) == 1 and any(map(_is_row, next(iter(document.values()))))


def _by_index(document: Mapping[str, Any]) -> JsonDocument | None:
    """Rows by their number, `orient="index"` of pandas."""
    if not (_are_objects(document.values()) and all(key.isdigit() for key in document)):
        return None
    rows = list(document.values())
    return JsonDocument(rows) if any(map(_is_row, rows)) else None


def _of_columns(document: Mapping[str, Any]) -> JsonDocument | None:
    """Columns, as lists or as objects by index, as pandas writes them."""
    if _are_objects(document.values()) and len({tuple(value) for value in document.values()}) == 1:
        document = {name: list(value.values()) for name, value in document.items()}
    columns = list(document.values())
    if not all(isinstance(column, list) for column in columns) or len(set(map(len, columns))) != 1:
        return None
    return JsonDocument([dict(zip(document, cells, strict=True)) for cells in zip(*columns, strict=True)])


def _nested(document: Mapping[str, Any]) -> JsonDocument | None:
    """Rows one to three keys down. The keys, and what stands beside the rows of one key, become columns."""
    if _is_row(document):
        return None
    found = list(_gathered(document, (), {}, MOST_LEVELS + 2, is_root=True))
    if not found or max(len(keys) for keys, _, _ in found) > MOST_LEVELS:
        return None
    asked = [(keys, _question(row)) for keys, _, row in found]
    names = _levels(asked, {name for _, _, row in found for name in row}, is_by_row=_is_by_row(document))
    rows = [{**dict(zip(names, keys, strict=False)), **carried, **row} for keys, carried, row in found]
    beside = sum(not isinstance(value, dict | list) for value in document.values())
    return JsonDocument([*rows], beside, names)


Gathered = tuple[tuple[str, ...], Mapping[str, Any], Mapping[str, Any]]  # keys, what stands beside, row


def _gathered(
    value: object, keys: tuple[str, ...], carried: Mapping[str, Any], depth: int, *, is_root: bool = False
) -> Iterator[Gathered]:
    if isinstance(value, list):
        yield from ((keys, carried, row) for row in value if isinstance(row, dict) and _is_row(row))
    elif isinstance(value, dict) and depth:
        if _is_row(value):
            yield keys, carried, value
            return
        alone = {} if is_root else {key: item for key, item in value.items() if isinstance(item, str | int | float)}
        for key, item in value.items():
            below = keys if key in HOLDERS else (*keys, str(key))
            yield from _gathered(item, below, {**carried, **alone}, depth - 1)


def _is_by_row(value: object) -> bool:
    """Whether each row has a key of its own."""
    if not isinstance(value, dict):
        return False
    inner = [item for item in value.values() if isinstance(item, dict | list)]
    return bool(inner) and all(_is_row(item) or _is_by_row(item) for item in inner)


def _levels(found: Sequence[tuple[tuple[str, ...], str]], taken: Iterable[str], *, is_by_row: bool) -> tuple[str, ...]:
    """What the keys are: conditions where the same question comes under several of them, else categories.

    The outermost of several levels is a condition where nothing speaks against it. Keys of single rows are their ids.
    """
    deepest = max(len(keys) for keys, _ in found)
    used, names = set(taken), []
    for level in range(deepest):
        is_condition = (level == 0 and deepest > 1) or _recurs(found, level)
        usual: tuple[str, ...] = _CONDITIONS if is_condition else _KEYS
        if is_by_row and level == deepest - 1 and not _recurs(found, level):
            usual = ("question_id",)
        name = next((name for name in usual if name not in used), f"key_{level + 1}")
        used.add(name)
        names.append(name)
    return tuple(names)


def _recurs(found: Sequence[tuple[tuple[str, ...], str]], level: int) -> bool:
    under: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for keys, question in found:
        if question and len(keys) > level:
            under[(*keys[:level], *keys[level + 1 :], question)].add(keys[level])
    return any(len(keys) > 1 for keys in under.values())


def _question(row: Mapping[str, Any]) -> str:
    named = {plain(name): value for name, value in row.items()}
    return next((str(named[name]) for name in (*QUESTIONS, "probe") if isinstance(named.get(name), str)), "")


def _is_row(value: object) -> bool:
    """Whether an object is a row: it has an answer, or grades."""
    if not isinstance(value, dict):
        return False
    names = {plain(name): item for name, item in value.items() if isinstance(name, str)}
    if any(isinstance(names.get(name), str) for name in ANSWERS):
        return True
    if any(_are_texts(names.get(name)) for name in SINGULAR) and any(name in names for name in (*QUESTIONS, "probe")):
        return True
    return bool(_GRADES & names.keys())


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and _are_objects(value)


def _are_objects(values: Iterable[object]) -> bool:
    return all(isinstance(value, dict) for value in values)


# Rows of a JSON Lines file or of a JSON list, streamed; of other JSON documents, held whole.


LARGEST_DOCUMENT = 1 << 29  # bytes of a document that is no list, held whole in about three times that
BESIDE = "values beside the rows, not read"
MOST_INNER = 200  # keys of an object whose parts have names of their own
MOST_TOKENS = 16  # numbers in an object that is more than a distribution over tokens
MOST_STEPS = 8  # of a list or object, in a list of paths for people
DEEPEST = 5  # objects in objects


def rows(path: Path, encoding: str, account: ImportLog) -> Iterator[TableRow]:
    """One object a line. Empty lines are counted and passed over; what is no object is a problem of its row."""
    number = 0
    for line_number, line in enumerate(text_files.read_lines(path, encoding, account), 1):
        if not line.strip():
            account.counts["empty rows passed over"] += 1
            continue
        number += 1
        with account.row(number, line_number):
            yield TableRow(number, line_number, _object(line))


def listed(path: Path, encoding: str, account: ImportLog) -> Iterator[TableRow]:
    """The objects of one JSON list, streamed where the file is that list. A row stands for its line."""
    for number, value in enumerate(_values(path, encoding, account), 1):
        with account.row(number, number):
            yield TableRow(number, number, checked(value))


def _values(path: Path, encoding: str, account: ImportLog) -> Iterator[object]:
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


def whole(path: Path, encoding: str, account: ImportLog) -> object:
    """The document of a file that holds a single object; None for lists and JSON Lines, which are read one by one."""
    try:
        if Values(path, encoding, account).peek() != "{":
            return None
        return document(path, encoding, account)
    except InputError:
        return None


def document(path: Path, encoding: str, account: ImportLog) -> object:
    """A whole JSON document. Raises InputError with the line for what is none, or is too large to hold."""
    if path.stat().st_size > LARGEST_DOCUMENT:
        what = f"larger than {LARGEST_DOCUMENT >> 20} MiB and no list: rows inside an object are read all at once"
        fix = "Write the list alone, [{…}, …], or JSON Lines, one object a line: of these any length is read"
        raise InputError([Problem(str(path), None, "", what, fix)])
    try:
        return json.loads("".join(text_files.pieces(path, encoding, account)))
    except RecursionError:
        raise InputError([Problem(str(path), None, "", "nested too deeply")]) from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise InputError([Problem(str(path), line, "", f"not JSON: {error}", "Is it cut off?")]) from None


def opened(rows: Iterator[TableRow], paths: Sequence[str]) -> Iterator[TableRow]:
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
    if all(isinstance(item, str | None) for item in value):
        return any(value) and name != "choices"
    return all(isinstance(item, dict) and "role" not in item for item in value)


def _is_parallel(value: object, length: int) -> TypeGuard[list[object]]:
    """Whether a list has a value for each reply."""
    if not isinstance(value, list) or len(value) != length:
        return False
    return all(item is None or isinstance(item, str | int | float) for item in value)


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
