"""Where the rows of a JSON document stand: in a list, in columns, or in a dict by category, model or condition."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from misalign_eval.imports.known_names import ANSWERS, QUESTIONS, SINGULAR, plain

TALKS = {"messages", "conversation", "conversations"}  # lists of turns, not of rows
HOLDERS = frozenset(  # names that say only that rows follow
    {"results", "details", "data", "rows", "samples", "items", "records", "evaluations", "entries", "examples"}
    | {"responses", "outputs", "answers", "generations", "completions", "probes", "questions", "replies"}
)
MOST_LEVELS = 3
_GRADES = {"verdict", "scores", "aligned", "coherent", *TALKS}
_KEYS = ("category", "subcategory", "subsubcategory")
_CONDITIONS = ("model", "group", "step")


class Document(NamedTuple):
    """The rows of a document, and how many values stand beside them."""

    rows: list[object]
    beside: int = 0
    levels: tuple[str, ...] = ()  # what the keys above the rows were read as, from the outside


def rows_of(document: object) -> Document | None:
    """The rows of a document in any of its usual shapes; None where it has none."""
    if isinstance(document, list):
        return Document(document)
    if not isinstance(document, dict) or not document:
        return None
    return (
        _of_split(document) or _of_list(document) or _by_index(document) or _nested(document) or _of_columns(document)
    )


def _of_split(document: Mapping[str, Any]) -> Document | None:
    """`orient="split"` of pandas."""
    names, data = document.get("columns"), document.get("data")
    if not (isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data)):
        return None
    if any(len(row) != len(names) for row in data):
        return None
    return Document([dict(zip(map(str, names), row, strict=True)) for row in data])


def _of_list(document: Mapping[str, Any]) -> Document | None:
    """The only list of objects in an object."""
    lists = [name for name, value in document.items() if name not in TALKS and _are_rows(value)]
    if len(lists) != 1 or (lists[0] not in HOLDERS and _is_keyed(document)):
        return None
    return Document(list(document[lists[0]]), len(document) - 1)


def _is_keyed(document: Mapping[str, Any]) -> bool:
    """Whether nothing stands beside a single key, which then names what its rows have in common."""
    return len(document) == 1 and any(map(_is_row, next(iter(document.values()))))


def _by_index(document: Mapping[str, Any]) -> Document | None:
    """Rows by their number, `orient="index"` of pandas."""
    if not (_are_objects(document.values()) and all(key.isdigit() for key in document)):
        return None
    rows = list(document.values())
    return Document(rows) if any(map(_is_row, rows)) else None


def _of_columns(document: Mapping[str, Any]) -> Document | None:
    """Columns, as lists or as objects by index, as pandas writes them."""
    if _are_objects(document.values()) and len({tuple(value) for value in document.values()}) == 1:
        document = {name: list(value.values()) for name, value in document.items()}
    columns = list(document.values())
    if not all(isinstance(column, list) for column in columns) or len(set(map(len, columns))) != 1:
        return None
    return Document([dict(zip(document, cells, strict=True)) for cells in zip(*columns, strict=True)])


def _nested(document: Mapping[str, Any]) -> Document | None:
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
    return Document([*rows], beside, names)


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
        alone = {} if is_root else {key: one for key, one in value.items() if isinstance(one, str | int | float)}
        for key, one in value.items():
            below = keys if key in HOLDERS else (*keys, str(key))
            yield from _gathered(one, below, {**carried, **alone}, depth - 1)


def _is_by_row(value: object) -> bool:
    """Whether each row has a key of its own."""
    if not isinstance(value, dict):
        return False
    inner = [one for one in value.values() if isinstance(one, dict | list)]
    return bool(inner) and all(_is_row(one) or _is_by_row(one) for one in inner)


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
    names = {plain(name): one for name, one in value.items() if isinstance(name, str)}
    if any(isinstance(names.get(name), str) for name in ANSWERS):
        return True
    if any(_are_texts(names.get(name)) for name in SINGULAR) and any(name in names for name in (*QUESTIONS, "probe")):
        return True
    return bool(_GRADES & names.keys())


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and _are_objects(value)


def _are_objects(values: Iterable[object]) -> bool:
    return all(isinstance(value, dict) for value in values)
