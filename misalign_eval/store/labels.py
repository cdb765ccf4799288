"""Label files of a run folder, and tables of labels."""

import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.files import atomic_write, make_folder
from misalign_eval.records.labels import LABEL_ROW, SAMPLE_FORMAT, Label, LabelRetraction, Sample
from misalign_eval.records.run import ReplyKey
from misalign_eval.records.suite import PLAIN
from misalign_eval.store import lock
from misalign_eval.store.rows import encode, read_content, read_rows, torn_tail
from misalign_eval.yaml_source.document import read_at_most

# Label files: one append-only file for each labeller, and the sample that all of them were shown.


Labels = dict[ReplyKey, Label]


def labellers(folder: Path) -> tuple[str, ...]:
    """Everyone who labelled replies of this run, sorted."""
    return tuple(sorted(file.stem for file in (folder / lock.LABELS).glob("*.jsonl")))


def labels_of(folder: Path, labeller: str) -> Labels:
    """The labels that stand, in the order in which they were given.

    Raises InputError with file and line for a row of another format, and for a second label of one reply.
    """
    file = lock.labels_file(folder, labeller)
    standing: Labels = {}
    for number, row in enumerate(read_rows(file, LABEL_ROW), 1):
        if isinstance(row, LabelRetraction):
            standing.pop(row.key, None)
        elif row.key in standing:
            fix = "Leave one of them; a label that was taken back needs a row of kind `withdrawn` before the next"
            raise InputError([Problem(str(file), number, "", f"a second label for {row.key}", fix)])
        else:
            standing[row.key] = row
    return standing


def sample_of(folder: Path) -> Sample | None:
    """The sample that was drawn from this run; None where none was. Raises InputError for a file that is none."""
    file = lock.sample_file(folder)
    if not (said := read_content(file)):
        return None
    try:
        found = Sample.model_validate_json(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError([Problem(str(file), None, where, f"not a sample: {first['msg']}", "Restore it")]) from error
    if found.format > SAMPLE_FORMAT:
        raise UsageError(f"{file}: written by a newer misalign-eval. Upgrade to read it")
    return found


def keep_sample(folder: Path, sample: Sample) -> None:
    """Write labels/sample.json whole. Raises RunStoppedError when the folder takes no files."""
    file = lock.sample_file(folder)
    try:
        make_folder(file.parent)
        atomic_write(file, _lines(sample))
    except OSError as error:
        raise torn_tail(file, error) from error


def _lines(sample: Sample) -> Iterator[bytes]:
    yield encode(sample)


# Tables of labels, in CSV or JSON Lines: every problem is reported with file and line.


NEEDED = ("probe", "sample", "label")
COLUMNS = ("probe", "prompt", "variant", "sample", "label", "note")
LONGEST_FIELD = 1_000_000
MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """A line of the table."""

    line: int
    key: ReplyKey
    label: str
    note: str | None


def read_table(path: Path) -> list[LabelEntry]:
    """Read a table with columns probe, prompt (0 if absent), variant (plain if absent), sample, label, note.

    Raises UsageError for a file of another kind; InputError for one that is not there, and with every wrong line.
    """
    kinds = {".csv": _csv, ".jsonl": _jsonl}
    if path.suffix.lower() not in kinds:
        raise UsageError(f"{path}: labels are read from .csv or .jsonl")
    try:
        text = read_at_most(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError([Problem(str(path), None, "", "not UTF-8", "Save the file as UTF-8")]) from error
    entries, problems = [], []
    for line, row in kinds[path.suffix.lower()](text, path):
        found = _entry(path, line, row)
        if isinstance(found, LabelEntry):
            entries.append(found)
        else:
            problems += found
    if problems:
        raise InputError(problems)
    return entries


def check_entries(
    path: Path,
    entries: Sequence[LabelEntry],
    there: Collection[ReplyKey],
    scale: Sequence[str],
    done: Collection[ReplyKey],
) -> None:
    """Raise InputError with every label for a reply that is not there, outside the scale, or given a second time."""
    problems: list[Problem] = []
    lines: dict[ReplyKey, int] = {}
    probes = sorted({key.probe for key in there})
    for entry in entries:
        if entry.label not in scale:
            what = f"`{entry.label}` is not on the scale"
            problems.append(Problem(str(path), entry.line, "label", what, _meant(entry.label, scale)))
        if entry.key in lines:
            what = f"a second label for {entry.key}; the first is in line {lines[entry.key]}"
            problems.append(Problem(str(path), entry.line, "", what, "Leave one of them"))
        elif entry.key not in there:
            fix = "" if entry.key.probe in probes else _nearest(entry.key.probe, probes)
            problems.append(Problem(str(path), entry.line, "", f"the run has no reply {entry.key}", fix))
        elif entry.key in done:
            fix = "Leave it out, or give another --labeller"
            problems.append(Problem(str(path), entry.line, "", f"{entry.key} has a label of this labeller", fix))
        lines.setdefault(entry.key, entry.line)
    if problems:
        raise InputError(problems)


def _nearest(probe: str, probes: Sequence[str]) -> str:
    """The probe that was meant; a run has too many of them to list."""
    found = did_you_mean(probe, probes)
    return found if found.startswith("Did you") else ""


def _meant(label: str, scale: Sequence[str]) -> str:
    return did_you_mean(label, scale) or f"Known: {', '.join(scale)}."


def _csv(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    before = csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        _check_head(path, head)
        start = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                cells = dict(zip(head, row, strict=False))
                extra = {"": "more cells than columns"} if len(row) > len(head) else {}
                yield start, {**{name: cell for name, cell in cells.items() if cell != ""}, **extra}
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError([Problem(str(path), reader.line_num, "", f"not CSV: {error}")]) from error
    finally:
        csv.field_size_limit(before)


def _check_head(path: Path, head: Sequence[str]) -> None:
    unknown = [name for name in head if name not in COLUMNS]
    problems = [Problem(str(path), 1, name, "unknown column", did_you_mean(name, COLUMNS)) for name in unknown]
    problems += [Problem(str(path), 1, name, "the column is missing") for name in NEEDED if name not in head]
    problems += [Problem(str(path), 1, name, "two columns of this name") for name in set(head) if head.count(name) > 1]
    if problems:
        raise InputError(problems)


def _jsonl(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError([Problem(str(path), number, "", f"not JSON: {error}")]) from error
        if not isinstance(row, dict):
            raise InputError([Problem(str(path), number, "", "not an object", "Write one object a line")])
        yield number, row


def _entry(path: Path, line: int, row: Mapping[str, object]) -> LabelEntry | list[Problem]:
    wrong = [
        Problem(str(path), line, name, "unknown field" if name else str(row[name]), did_you_mean(name, COLUMNS))
        for name in row
        if name not in COLUMNS
    ]
    wrong += [Problem(str(path), line, name, "is missing") for name in NEEDED if name not in row]
    values = {name: _text(row.get(name)) for name in ("probe", "variant", "label", "note")}
    wrong += [Problem(str(path), line, name, "must be text") for name, value in values.items() if value is _WRONG]
    prompt, sample = _whole(row.get("prompt", 0)), _whole(row.get("sample", 0))
    for name, value in (("prompt", prompt), ("sample", sample)):
        if value is None:
            wrong.append(Problem(str(path), line, name, "must be a whole number from 0"))
    if wrong or prompt is None or sample is None:
        return wrong
    key = ReplyKey(values["probe"] or "", prompt, values["variant"] or PLAIN, sample)
    return LabelEntry(line, key, (values["label"] or "").strip(), values["note"])


_WRONG = "\x00"


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else _WRONG


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value.strip()[:12])
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
