"""A run folder received from a stranger: every text in it that its format leaves free is hostile, names and ids too."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from pydantic import TypeAdapter, ValidationError

from misalign_eval.records.grade import GRADE_ROW, GraderIdentity
from misalign_eval.records.run import ROW, PlannedPrompt, RunManifest

LONGEST = 300
# Names that other places of the folder, or the program, know by these letters.
KEPT = {"variant", "graders", "grader", "identity", "primary", "format", "host", "outcomes", "denominator",
        "numerator", "served_as"}  # fmt: skip
Value = Any  # JSON of any shape
Check = Callable[[bytes], object]


def write_received(run: Path, into: Path, texts: Sequence[str], created: str) -> None:
    """Copy a run folder with one of the texts behind every free string; the same string gets the same text."""
    shutil.copytree(run, into)
    for name in ("run.lock", "summary.json", "report.md", "report.html"):
        (into / name).unlink(missing_ok=True)
    for name in ("labels", "calibrations"):
        shutil.rmtree(into / name, ignore_errors=True)
    manifest = json.loads((into / "run.json").read_bytes())
    labels = {"group": "g", **{f"{text[:40]}{number}": "l" for number, text in enumerate(texts)}}
    (into / "run.json").write_bytes(_bytes({**manifest, "labels": labels, "created": created}))
    _rewrite(into / "run.json", RunManifest.model_validate_json, texts)
    _rewrite(into / "plan.jsonl", TypeAdapter(PlannedPrompt).validate_json, texts)
    _rewrite(into / "replies.jsonl", ROW.validate_json, texts)
    for file in (into / "grades").glob("*.json"):
        identity = json.loads(file.read_bytes())
        del identity["run"]  # the run's own name is another now
        file.write_bytes(_bytes(identity))
        _rewrite(file, GraderIdentity.model_validate_json, texts)
    for file in (into / "grades").glob("*.jsonl"):
        _rewrite(file, GRADE_ROW.validate_json, texts)


def _rewrite(file: Path, check: Check, texts: Sequence[str]) -> None:
    """Each document of the file, a string at a time: what its format refuses stays."""
    data = file.read_bytes()
    lines = [data] if file.suffix == ".json" else data.splitlines()
    free: dict[tuple[str, ...], bool] = {}
    out = []
    for line in lines:
        document = json.loads(line)
        for path in list(_strings(document, ())):
            shape = tuple("*" if isinstance(part, int) else part for part in path)
            if free.setdefault(shape, _is_free(document, path, check)):
                _put(document, path, texts)
        check(_bytes(document))
        out.append(_bytes(document) + b"\n")
    file.write_bytes(b"".join(out))


def _strings(value: Value, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in KEPT:
                yield from _strings(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, index))
    elif isinstance(value, str):
        yield path


def _is_free(document: Value, path: tuple[Any, ...], check: Check) -> bool:
    if path[-1] in {"suite_digest", "definition_digest", "prompt_digest", "request_key", "created", "at"}:
        return _takes(document, path, "\x1b[2J", check)
    return path[-1] != "content" and _takes(document, path, "some other words", check)


def _takes(document: Value, path: tuple[Any, ...], text: str, check: Check) -> bool:
    other = json.loads(json.dumps(document))
    _at(other, path)[path[-1]] = text
    try:
        check(_bytes(other))
    except ValidationError:
        return False
    return True


def _put(document: Value, path: tuple[Any, ...], texts: Sequence[str]) -> None:
    holder = _at(document, path)
    there = holder[path[-1]]
    holder[path[-1]] = f"{there}{texts[crc32(there.encode('utf-8', 'replace')) % len(texts)]}"[:LONGEST]


def _at(document: Value, path: tuple[Any, ...]) -> Value:
    for part in path[:-1]:
        document = document[part]
    return document


def _bytes(document: Value) -> bytes:
    """JSON; half a surrogate pair, which no file of ours holds, as the sign of what is lost."""
    text = json.dumps(document, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
