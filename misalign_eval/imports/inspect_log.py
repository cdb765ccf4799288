"""Logs of Inspect: a sample and an epoch are a reply; its scores are grades by scorer."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports import text
from misalign_eval.imports.account import Account
from misalign_eval.imports.inspect_zip import member, opened
from misalign_eval.imports.json_stream import Values
from misalign_eval.imports.tables import Row

ATTACHMENT = "attachment://"
HEADERS = ("header.json", "_journal/start.json")  # the second alone where the evaluation did not end


def is_log(document: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON document is a log of Inspect."""
    return isinstance(document, dict) and isinstance(document.get("eval"), dict) and "model" in document["eval"]


def header(path: Path) -> dict[str, Any]:
    """What the log says of the whole evaluation. Raises InputError for a file that is no log."""
    if not _is_zip(path):
        return _document(path)
    with opened(path) as archive:
        names = set(archive.namelist())
        there = next((name for name in HEADERS if name in names), None)
        if there is None:
            raise InputError([Problem(str(path), None, "", "a zip without header.json: no log of Inspect")])
        found = _parsed(path, there, member(path, archive, archive.getinfo(there)))
    if not is_log(found):
        raise InputError([Problem(str(path), None, there, "names no model: no log of Inspect")])
    return found


def samples(path: Path, account: Account) -> Iterator[Row]:
    """Every sample with its attachments put back, by id and epoch. Raises InputError for a damaged one."""
    found = _of_zip(path) if _is_zip(path) else _of_json(path)
    for number, sample in enumerate(found, 1):
        if not isinstance(sample, dict) or "id" not in sample:
            raise InputError([Problem(str(path), None, f"sample {number}", "has no id")])
        account.counts["samples that ended in an error"] += bool(sample.get("error"))
        yield Row(number, number, _whole(sample, _attachments(sample)))


def _of_zip(path: Path) -> Iterator[Any]:
    with opened(path) as archive:
        for info in archive.infolist():
            if info.filename.startswith("samples/") and info.filename.endswith(".json"):
                yield _parsed(path, info.filename, member(path, archive, info))


def _document(path: Path) -> dict[str, Any]:
    """All of a JSON log but its samples, which are many and read one at a time."""
    values = Values(path, text.UTF_8, Account(str(path)))
    found = {name: values.value() for name in values.members() if not _passed_over(name, values)}
    values.end()
    if not is_log(found):
        raise InputError([Problem(str(path), None, "", "is no log of Inspect")])
    return found


def _passed_over(name: str, values: Values) -> bool:
    if name != "samples" or values.peek() != "[":
        return False
    for _ in values.items():
        pass
    return True


def _of_json(path: Path) -> Iterator[object]:
    values = Values(path, text.UTF_8, Account(str(path)))
    for name in values.members():
        if name == "samples" and values.peek() == "[":
            yield from values.items()
        else:
            values.value()


def _parsed(path: Path, name: str, data: bytes) -> Any:  # noqa: ANN401  any JSON value
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError([Problem(str(path), None, name, f"not JSON: {error}", "Copy it again")]) from None


def _attachments(sample: Mapping[str, Any]) -> Mapping[str, str]:
    found = sample.get("attachments")
    return found if isinstance(found, dict) else {}


def _whole(sample: Mapping[str, Any], attachments: Mapping[str, str]) -> dict[str, object]:
    """The parts that are read, with texts that Inspect keeps apart put back. Its events are long and not read."""
    read = ("id", "epoch", "input", "target", "messages", "output", "scores", "score", "metadata", "error", "limit")
    return {name: _resolved(sample[name], attachments) for name in read if name in sample}


def _resolved(value: Any, attachments: Mapping[str, str]) -> Any:  # noqa: ANN401  any JSON value
    match value:
        case str() if value.startswith(ATTACHMENT):
            return attachments.get(value.removeprefix(ATTACHMENT), value)
        case dict():
            return {key: _resolved(inner, attachments) for key, inner in value.items()}
        case list():
            return [_resolved(inner, attachments) for inner in value]
    return value


def _is_zip(path: Path) -> bool:
    return text.beginning(path).startswith(b"PK")
