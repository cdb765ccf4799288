"""Sources of an import: detection of their format, and the join of judgments to replies."""

import json
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from misalign_eval.errors import InputError, Problem
from misalign_eval.interchange import detect_columns, json_rows, layouts, read_inspect, read_tables, text_files
from misalign_eval.interchange.cells import LONGEST_LABEL, is_missing, read_number
from misalign_eval.interchange.detect_columns import ColumnMap, Role
from misalign_eval.interchange.detect_grades import Scales
from misalign_eval.interchange.imported_reply import ImportedReply, split_of
from misalign_eval.interchange.json_rows import rows_of
from misalign_eval.interchange.layout_parts import LayoutRecord
from misalign_eval.interchange.layouts import Layout
from misalign_eval.interchange.log import BadCellError, Conditions, ImportLog
from misalign_eval.interchange.read_tables import Preferred, parse
from misalign_eval.interchange.text_files import TableRow
from misalign_eval.records.findings import Kind

# Format of a file, by its content; and its rows as replies.


FIRST_ROWS = 200  # by which columns are understood, with every later row that shows something new
MOST_LATER = 1000
FIRST_ENTRIES = 20  # by which a layout is known
JOINT = " / "  # between the values of several columns that tell runs apart
MOST_WORDS = 12  # of a column, that make a row worth keeping
INSPECT = "Inspect log"
Rows = Callable[[Path, str, ImportLog], Iterator[TableRow]]
_TABLES: Mapping[str, Rows] = {"CSV": text_files.rows, "JSON Lines": json_rows.rows, "JSON list": json_rows.listed}
_PARTS = (  # words after which a file's name tells no more which run it belongs to
    "rollouts?|answers?|responses?|replies|generations?|completions?|outputs?|samples?"
    "|judgments?|judgements?|verdicts?|scores?|grades?|ratings?|judged|graded|results?"
)
_PART = re.compile(rf"^(.+?)[._-]+(?:{_PARTS})(?:[._-].*)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the user wants files read."""

    mapped: Mapping[str, str] = field(default_factory=dict)  # ours → theirs
    ignore: tuple[str, ...] = ()
    encoding: str = text_files.UTF_8
    scores: Preferred = "derived"
    scales: Scales = Scales()
    judgments_only: bool = False


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A file that is understood."""

    path: Path
    format: str
    what: Kind
    columns: ColumnMap
    names: tuple[str, ...]  # every column of the first rows
    header: read_inspect.LogHeader | None = None
    layout: Layout | None = None  # of a well-known tool, whose own reader reads it
    is_split: bool = False  # whether its column `split` holds splits; otherwise it is read as a category

    @property
    def run(self) -> str:
        """The run that it belongs to, by its name.

        >>> ImportSource(Path("hi.judgments.llama31.jsonl"), "JSON Lines", "judgments", ColumnMap({}), ()).run
        'hi'
        """
        found = _PART.match(self.path.stem)
        return found[1] if found else self.path.stem

    @property
    def says_its_run(self) -> bool:
        """Whether the name has a part for the run and one for what the file holds, as `hi.judgments.jsonl`."""
        return _PART.match(self.path.stem) is not None

    def replies(self, wanted: Wanted, account: ImportLog) -> Iterator[ImportedReply]:
        """Every row, read. Raises InputError with all that is wrong, at the end or after too many problems."""
        if self.header is not None:
            for row in read_inspect.samples(self.path, account):
                account.counts["rows read"] += 1
                with account.row(row.number, row.line):
                    found = read_inspect.reply(row, self.header, wanted.mapped)
                    yield found._replace(found=tuple(map(wanted.scales.checked, found.found)))
        elif self.layout is not None:
            records = _counted(_records(self.path, wanted, account), account)
            for found in self.layout.read(records, account):
                yield found._replace(found=tuple(map(wanted.scales.checked, found.found)))
        else:
            yield from self._of_table(wanted, account)
        account.settle()

    def _of_table(self, wanted: Wanted, account: ImportLog) -> Iterator[ImportedReply]:
        reading = read_tables.ReplyReading(
            columns=self.columns,
            is_split=self.is_split,
            is_judgment=self.what == "judgments",
            scores=wanted.scores,
            scales=wanted.scales,
        )
        conditions = Conditions(self._unread())
        for row in self._rows(wanted, account):
            account.counts["rows read"] += 1
            with account.row(row.number, row.line):
                if not self.columns.is_ours:
                    found = read_tables.reply(row, reading, account)
                    conditions.add(row.cells, (found.run, found.asked))
                    yield found
                else:
                    ours = detect_columns.reply(row, self.columns.verdicts, account)
                    yield ours._replace(found=tuple(map(wanted.scales.checked, ours.found)))

        account.varying = conditions.found()

    def _unread(self) -> tuple[str, ...]:
        """Columns that do not tell one reply's conditions from another's, as they are read here."""
        temperature = self.columns.roles.get("temperature")
        return (*self.columns.ignored, *([temperature] if temperature else []))

    def _rows(self, wanted: Wanted, account: ImportLog) -> Iterator[TableRow]:
        found = _rows(self.path, self.format, wanted, account)
        return (
            map(detect_columns.as_exported, found)
            if self.format == "CSV" and detect_columns.is_ours(self.names)
            else found
        )


def recognise(path: Path, wanted: Wanted) -> ImportSource:
    """Tell a file's format, its columns and whether it holds answers. Raises InputError for what is none of these."""
    text_files.check(wanted.encoding)
    fmt = _format(path, wanted.encoding)
    if fmt == INSPECT:
        head = read_inspect.sample_header(read_inspect.log_header(path))
        form = "zip" if text_files.beginning(path).startswith(b"PK") else "JSON"
        return ImportSource(path, form, "Inspect log", ColumnMap({}), (), head)
    if (known := _of_a_tool(path, fmt, wanted)) is not None:
        return known
    sample = _telling_rows(path, fmt, wanted)
    names = tuple(dict.fromkeys(name for row in sample for name in row.cells))
    if not names:
        raise InputError([Problem(str(path), None, "", "holds no rows", "A table needs a header and rows")])
    try:
        found = detect_columns.read_columns(names, sample, wanted.mapped, wanted.ignore, wanted.scales.bad_end)
    except BadCellError as error:
        raise InputError([Problem(str(path), 1, "", error.what, error.fix)]) from None
    _check_answers(path, found, sample)
    what = _what(path, found, sample, only=wanted.judgments_only)
    return ImportSource(path, fmt, what, found, names, is_split=_is_split(found, sample))


def _of_a_tool(path: Path, fmt: str, wanted: Wanted) -> ImportSource | None:
    """The source of a file in a well-known layout, unless the user names columns of it."""
    if fmt == "CSV":
        return None
    account = ImportLog(str(path))
    document = json_rows.whole(path, wanted.encoding, account) if fmt == "JSON list" else None
    if (found := layouts.of_document(document)) is not None:
        layout, entries = found
    else:
        entries = [row.cells for row in islice(_TABLES[fmt](path, wanted.encoding, account), FIRST_ENTRIES)]
        if (known := layouts.recognised(entries)) is None:
            return None
        layout = known
    opened = [json_rows.flat(dict(entry)) for entry in entries[:FIRST_ENTRIES] if isinstance(entry, dict)]
    chosen = {*wanted.mapped.values(), *wanted.ignore, *chain(*detect_columns.joined(wanted.mapped).values())}
    if any(json_rows.reached(entry, item) is not None for item in chosen for entry in opened):
        return None
    names = tuple(dict.fromkeys(name for entry in opened for name in entry))
    leaves = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    more = {name for entry in opened if layout.knows(entry) for name in layout.more(entry)}
    ignored = tuple(name for name in leaves if name not in more and not layout.takes(name))
    used = {ours: theirs for ours, theirs in layout.columns.items() if any(_is_at(name, theirs) for name in names)}
    roles: dict[detect_columns.Role, str] = {role: used[role] for role in layout.by if role in used}
    return ImportSource(
        path, layout.name, layout.what, ColumnMap(roles, ignored=ignored, used=used), names, layout=layout
    )


def _is_at(name: str, path: str) -> bool:
    return name == path or path.startswith(f"{name}.")


def _records(path: Path, wanted: Wanted, account: ImportLog) -> Iterator[LayoutRecord]:
    """The entries of a file in a well-known layout."""
    fmt = _format(path, wanted.encoding)
    document = json_rows.whole(path, wanted.encoding, account) if fmt == "JSON list" else None
    if (found := layouts.of_document(document)) is not None:
        for number, entry in enumerate(found[1], 1):
            with account.row(number, number):
                yield LayoutRecord(number, number, json_rows.checked(entry))
        return
    for row in _TABLES[fmt](path, wanted.encoding, account):
        yield LayoutRecord(row.number, row.line, row.cells)


def _counted(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[LayoutRecord]:
    for record in records:
        account.counts["rows read"] += 1
        yield record


def _check_answers(path: Path, found: ColumnMap, sample: list[TableRow]) -> None:
    """Raise InputError where answers are no texts but token distributions, as of llmcomp's next_token and rating."""
    name = found.roles.get("answer")
    answers = [row.cells.get(name) for row in sample if name and not is_missing(row.cells.get(name))]
    if answers and all(isinstance(answer, dict) or _is_distribution(answer) for answer in answers):
        what = f"column `{name}` holds token distributions, no texts"
        fix = "Import the free-form answers; to read it as a judge's distribution: --map judge_NAME=COLUMN"
        raise InputError([Problem(str(path), sample[0].line, "row 1", what, fix)])


def _is_distribution(answer: object) -> bool:
    if not (isinstance(answer, str) and answer.startswith("{") and ":" in answer):
        return False
    try:
        return parse(answer) is not None
    except BadCellError:
        return False


def _what(path: Path, found: ColumnMap, sample: Sequence[TableRow], *, only: bool) -> Kind:
    if "answer" in found.roles or ("messages" in found.roles and "question" not in found.roles):
        return "answers"
    keyed = "question_id" in found.roles and ("question" not in found.roles or "sample" in found.roles)
    if found.has_grades and (only or keyed):
        return "judgments"
    names = list(dict.fromkeys(name for row in sample for name in row.cells if name))
    shown = ", ".join(f"`{name}`" for name in names[:12]) + (" …" if len(names) > 12 else "")
    what = f"no answer column among {shown}"
    fix = "Name it with --map answer=COLUMN"
    taken = {*found.roles.values()}
    texts = [
        text for text in json_rows.texts(sample[0].cells) if text not in taken and not text.startswith("messages.")
    ]
    if any("." in text for text in texts):
        fix = f"Name the one with the model's reply: {', '.join(f'--map answer={text}' for text in texts[:8])}"
    if not found.has_grades and {"question", "messages"} & found.roles.keys():
        fix = f"{fix}; if it holds questions alone, `misalign-eval run` and `suites import` read them"
    if found.has_grades:
        fix = f"{fix}; if the answers were not published, add --judgments-only"
    raise InputError([Problem(str(path), 1, "", what, fix)])


def rows(path: Path, encoding: str, account: ImportLog) -> Iterator[TableRow]:
    """The rows of a table, as they stand. Raises InputError for a log of Inspect."""
    fmt = _format(path, encoding)
    if fmt == INSPECT:
        raise InputError([Problem(str(path), None, "", "is no table")])
    return _rows(path, fmt, Wanted(encoding=encoding), account)


def _rows(path: Path, fmt: str, wanted: Wanted, account: ImportLog) -> Iterator[TableRow]:
    """Every row; of JSON with the parts of its objects, and a row for each of its replies."""
    found = _TABLES[fmt](path, wanted.encoding, account)
    joined = detect_columns.joined(wanted.mapped)
    if fmt != "CSV":
        found = json_rows.opened(found, (*wanted.mapped.values(), *chain(*joined.values())))
    return (_with_joined(row, joined) for row in found) if joined else found


def _with_joined(row: TableRow, joined: Mapping[str, Sequence[str]]) -> TableRow:
    """The row with a cell for each combination of columns: `none / hacker`."""
    cells = dict(row.cells)
    for name, parts in joined.items():
        if name not in cells and any(part in cells for part in parts):
            cells[name] = JOINT.join(_of_combination(cells.get(part)) for part in parts)
    return row._replace(cells=cells)


def _of_combination(value: object) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str("" if value is None else value).strip().replace("/", "//") or "(empty)"


def _telling_rows(path: Path, fmt: str, wanted: Wanted) -> list[TableRow]:
    """The rows by which columns are understood: the first, and later ones with something new in a column.

    What is wrong with a row is told when it is read in earnest.
    """
    account = ImportLog(str(path))
    found = _rows(path, fmt, wanted, account)
    news = _News()
    kept = list(islice(found, FIRST_ROWS))
    for row in kept:
        news.has(row)
    if not kept:
        account.settle()
    with suppress(InputError):
        kept += islice(filter(news.has, found), MOST_LATER)
    return kept


class _News:
    """Tells rows that hold a column, a kind of value or a word for the first time."""

    def __init__(self) -> None:
        self._seen: dict[str, set[object]] = {}

    def has(self, row: TableRow) -> bool:
        """Whether a row holds something new; it is known from then on."""
        is_new = False
        for name, value in row.cells.items():
            seen = self._seen.setdefault(name, set())
            if len(seen) < MOST_WORDS and (kind := _kind(value)) not in seen:
                seen.add(kind)
                is_new = True
        return is_new


def _kind(value: object) -> object:
    """What a value tells of its column: its type, a short word, or roughly how large a number is."""
    if not isinstance(value, str | int | float):
        return type(value)
    if isinstance(value, str) and len(value) > LONGEST_LABEL:
        return str
    if (found := read_number(value)) is None:
        return value
    return bisect((0.0, 1e-9, 1.0, 5.0, 10.0, 100.0), found), found.is_integer()


def _format(path: Path, encoding: str) -> str:
    start = text_files.beginning(path)
    if start.startswith(b"PK"):
        return INSPECT
    words = start.decode(encoding if encoding != text_files.UTF_8 else "utf-8-sig", "replace").lstrip("\ufeff \t\r\n")
    if words.startswith("["):
        return "JSON list"
    if not words.startswith("{"):
        return "CSV"
    if path.suffix.lower() == ".json":
        return _of_document(path, words, encoding)
    looks_whole = len(start) < 2 or _is_one_object(words.splitlines()[0])
    return "JSON Lines" if looks_whole or not _looks_like_a_log(words) else INSPECT


def _is_one_object(line: str) -> bool:
    try:
        return not read_inspect.is_log(json.loads(line))
    except (ValueError, RecursionError):
        return False


def _of_document(path: Path, words: str, encoding: str) -> str:
    """What a .json file holds that begins with an object: a log of Inspect, a list of rows, or JSON Lines."""
    if _looks_like_a_log(words):
        return INSPECT
    try:
        found = json_rows.document(path, encoding, ImportLog(str(path)))
    except InputError:
        if _is_one_object(words.splitlines()[0]):
            return "JSON Lines"
        raise
    if read_inspect.is_log(found):
        return INSPECT
    if layouts.of_document(found) is not None:
        return "JSON list"
    is_a_row = rows_of(found) is None and _is_one_object(words.splitlines()[0])
    return "JSON Lines" if is_a_row else "JSON list"


def _looks_like_a_log(words: str) -> bool:
    return '"eval"' in words and ('"version"' in words or '"status"' in words)


def _is_split(found: ColumnMap, sample: list[TableRow]) -> bool:
    """Whether the column `split` holds splits; otherwise it is read as a category."""
    name = found.roles.get("split")
    return name is not None and any(split_of(str(row.cells.get(name))) is not None for row in sample)


# Join of judgments to replies: by all fields that both files have.


Place = tuple[int, str, int, str, int]  # number of its run, then probe, prompt, variant, sample
Key = tuple[object, ...]
JOINED: tuple[Role, ...] = ("question_id", "question", "sample", "variant", "model", "group", "step")


def shared_keys(item: ColumnMap, other: ColumnMap) -> tuple[Role, ...]:
    """What both files tell a reply by. The words of a question count only where an id is missing."""
    both = tuple(role for role in JOINED if role in item.roles and role in other.roles)
    return tuple(role for role in both if role != "question") if "question_id" in both else both


def check_keys(replies: ImportSource, judgments: ImportSource) -> tuple[Role, ...]:
    """What the two join on. Raises InputError where they name no question alike."""
    by = shared_keys(replies.columns, judgments.columns)
    if not {"question_id", "question"} & set(by):
        what = f"shares no question_id or question with {replies.path}, so that nothing joins them"
        fix = "Name the columns with --map question_id=COLUMN"
        raise InputError([Problem(str(judgments.path), 1, "", what, fix)])
    return by


class JudgmentIndex:
    """The places of replies by what judgments can name. Memory: one key a reply."""

    def __init__(self, file: str, by: Iterable[Role]) -> None:
        self.by = tuple(by)
        self._file = file
        self._places: dict[Key, Place] = {}
        self._lines: dict[Key, tuple[int, int]] = {}  # where it stood, and a hash of its text
        self.example: Key | None = None

    def __len__(self) -> int:
        return len(self._places)

    def key(self, row: ImportedReply) -> Key:
        """What this reply is told by."""
        parts: dict[Role, object] = {
            "question_id": row.asked.probe,
            "question": row.asked.turns,
            "sample": row.sample,
            "variant": row.asked.variant,
            "model": row.run.model,
            "group": row.run.group,
            "step": row.run.step,
        }
        return tuple(parts[role] for role in self.by)

    def add(self, row: ImportedReply, place: Place) -> None:
        """Keep where a reply went. Raises BadCellError for a second one that nothing tells from the first."""
        key = self.key(row)
        if key in self._places:
            fix = "Name the column that tells them apart with --map sample=COLUMN"
            raise BadCellError(f"{self.words(key)} is there already, at line {self._lines[key][0]}", fix)
        self._places[key] = place
        self._lines[key] = row.line, hash(row.text)
        self.example = self.example or key

    def find(self, row: ImportedReply) -> Place | None:
        """Where the reply of a judgment went; None where there is none."""
        return self._places.get(self.key(row))

    def again(self, row: ImportedReply) -> Place | None:
        """Where this very reply went before, in a file with a row a judge. Raises BadCellError for another text."""
        key = self.key(row)
        if key in self._places and self._lines[key][1] != hash(row.text):
            fix = "Name the column that tells replies apart with --map sample=COLUMN"
            raise BadCellError(f"{self.words(key)} has another text at line {self._lines[key][0]}", fix)
        return self._places.get(key)

    def words(self, key: Key) -> str:
        """`question_id what_is_your_wish_0, sample 3`."""
        return ", ".join(f"{role} {str(part)[:60]}" for role, part in zip(self.by, key, strict=True))

    def no_match(self, judgments: str, first: ImportedReply) -> InputError:
        """What to say where two files have nothing in common."""
        there = f"; there it is {self.words(self.example)}" if self.example else ""
        what = f"none of its rows joins {self._file}: the first names {self.words(self.key(first))}{there}"
        fix = "Are they of the same run? Name the columns with --map question_id=COLUMN and --map sample=COLUMN"
        return InputError([Problem(judgments, first.line, f"row {first.row}", what, fix)])


class NumberedReply:
    """Replies that a file numbers itself, so that none counts twice. Memory: two numbers a reply."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._lines: dict[int, int] = {}  # hash of what tells a reply → where it stood

    def add(self, row: ImportedReply) -> None:
        """Note a reply that has a number. Raises BadCellError where its question has that number already."""
        if row.sample is None:
            return
        line = self._lines.setdefault(hash((row.run, row.asked, row.sample)), row.line)
        if line != row.line:
            what = f"`{row.asked.probe}` has `{self._column}` {row.sample[:60]} already, at line {line}"
            raise BadCellError(
                what, f"Take one away; if `{self._column}` does not number replies, --ignore {self._column}"
            )


class SeenJudgment:
    """Verdicts that were read, so that no judge counts twice for a reply."""

    def __init__(self) -> None:
        self._said: dict[tuple[Place, str, str], tuple[float | None, str | None]] = {}

    def is_new(self, place: Place, grader: str, judge: str, said: tuple[float | None, str | None]) -> bool:
        """Whether this is the judge's first word about the reply. Raises BadCellError for another word than before."""
        key = (place, grader, judge)
        before = self._said.get(key)
        if before in {None, (None, None)}:
            self._said[key] = said
            return before is None or said != (None, None)
        if said not in {before, (None, None)}:
            fix = "Keep one of them; two judges need a column `judge`, and several replies a column `sample`"
            raise BadCellError(f"{judge} judges the same reply again, and otherwise than before", fix)
        return False
