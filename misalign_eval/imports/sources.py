"""What a file is, told by its content; and its rows as replies."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports import columns, inspect_log, inspect_samples, json_rows, own_tables, replies, tables, text
from misalign_eval.imports.account import Account, BadCellError
from misalign_eval.imports.cells import is_missing
from misalign_eval.imports.columns import Columns
from misalign_eval.imports.distributions import parse
from misalign_eval.imports.foreign import Foreign
from misalign_eval.imports.grades import Preferred
from misalign_eval.imports.splits import split_of
from misalign_eval.imports.tables import Row
from misalign_eval.records.imported import Kind

FIRST_ROWS = 200  # by which columns are understood; every row is checked when it is read
INSPECT = "Inspect log"
Rows = Callable[[Path, str, Account], Iterator[Row]]
_TABLES: Mapping[str, Rows] = {"CSV": tables.rows, "JSON Lines": json_rows.rows, "JSON list": json_rows.listed}
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
    encoding: str = text.UTF_8
    scores: Preferred = "derived"
    judgments_only: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is understood."""

    path: Path
    format: str
    what: Kind
    columns: Columns
    names: tuple[str, ...]  # every column of the first rows
    header: inspect_samples.Header | None = None

    @property
    def run(self) -> str:
        """The run that it belongs to, by its name.

        >>> Source(Path("hi.judgments.llama31.jsonl"), "JSON Lines", "judgments", Columns({}), ()).run
        'hi'
        """
        found = _PART.match(self.path.stem)
        return found[1] if found else self.path.stem

    @property
    def says_its_run(self) -> bool:
        """Whether the name has a part for the run and one for what the file holds, as `hi.judgments.jsonl`."""
        return _PART.match(self.path.stem) is not None

    def replies(self, wanted: Wanted, account: Account) -> Iterator[Foreign]:
        """Every row, read. Raises InputError with all that is wrong, at the end or after too many problems."""
        if self.header is not None:
            for row in inspect_log.samples(self.path, account):
                account.counts["rows read"] += 1
                with account.row(row.number, row.line):
                    yield inspect_samples.reply(row, self.header, wanted.mapped)
        else:
            yield from self._of_table(wanted, account)
        account.settle()

    def _of_table(self, wanted: Wanted, account: Account) -> Iterator[Foreign]:
        reading = replies.Reading(
            columns=self.columns,
            is_split=_is_split(self.columns, self._first(wanted)),
            is_judgment=self.what == "judgments",
            scores=wanted.scores,
        )
        for row in self._rows(wanted, account):
            account.counts["rows read"] += 1
            with account.row(row.number, row.line):
                if not self.columns.is_ours:
                    yield replies.reply(row, reading, account)
                elif (found := own_tables.reply(row, self.columns.verdicts, account)) is not None:
                    yield found

    def _rows(self, wanted: Wanted, account: Account) -> Iterator[Row]:
        found = _TABLES[self.format](self.path, wanted.encoding, account)
        return map(own_tables.as_exported, found) if self.format == "CSV" and own_tables.is_ours(self.names) else found

    def _first(self, wanted: Wanted) -> list[Row]:
        return _first_rows(self.path, self.format, wanted.encoding)


def recognise(path: Path, wanted: Wanted) -> Source:
    """Tell a file's format, its columns and whether it holds answers. Raises InputError for what is none of these."""
    text.check(wanted.encoding)
    fmt = _format(path, wanted.encoding)
    if fmt == INSPECT:
        head = inspect_samples.header(inspect_log.header(path))
        form = "zip" if text.beginning(path).startswith(b"PK") else "JSON"
        return Source(path, form, "Inspect log", Columns({}), (), head)
    sample = _first_rows(path, fmt, wanted.encoding)
    names = tuple(dict.fromkeys(name for row in sample for name in row.cells))
    if not names:
        raise InputError([Problem(str(path), None, "", "holds no rows", "A table needs a header and rows")])
    found = columns.read(names, sample, wanted.mapped, wanted.ignore)
    _check_answers(path, found, sample)
    return Source(path, fmt, _what(path, found, names, only=wanted.judgments_only), found, names)


def _check_answers(path: Path, found: Columns, sample: list[Row]) -> None:
    """Raise InputError where answers are no texts but token distributions, as of llmcomp's next_token and rating."""
    name = found.roles.get("answer")
    answers = [row.cells.get(name) for row in sample if name and not is_missing(row.cells.get(name))]
    if answers and all(isinstance(one, dict) or _is_distribution(one) for one in answers):
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


def _what(path: Path, found: Columns, names: tuple[str, ...], *, only: bool) -> Kind:
    if "answer" in found.roles or ("messages" in found.roles and "question" not in found.roles):
        return "answers"
    keyed = "question_id" in found.roles and ("question" not in found.roles or "sample" in found.roles)
    if found.has_grades and (only or keyed):
        return "judgments"
    shown = ", ".join(f"`{name}`" for name in names[:12] if name) + (" …" if len(names) > 12 else "")
    what = f"no answer column among {shown}"
    fix = "Name it with --map answer=COLUMN"
    if found.has_grades:
        fix = f"{fix}; if the answers were not published, add --judgments-only"
    raise InputError([Problem(str(path), 1, "", what, fix)])


def rows(path: Path, encoding: str, account: Account) -> Iterator[Row]:
    """The rows of a table, as they stand. Raises InputError for a log of Inspect."""
    fmt = _format(path, encoding)
    if fmt == INSPECT:
        raise InputError([Problem(str(path), None, "", "is no table")])
    return _TABLES[fmt](path, encoding, account)


def _first_rows(path: Path, fmt: str, encoding: str) -> list[Row]:
    """The rows by which columns are understood. What is wrong with a row is told when it is read in earnest."""
    account = Account(str(path))
    found = list(islice(_TABLES[fmt](path, encoding, account), FIRST_ROWS))
    if not found:
        account.settle()
    return found


def _format(path: Path, encoding: str) -> str:
    start = text.beginning(path)
    if start.startswith(b"PK"):
        return INSPECT
    words = start.decode(encoding if encoding != text.UTF_8 else "utf-8-sig", "replace").lstrip("\ufeff \t\r\n")
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
        return not inspect_log.is_log(json.loads(line))
    except (ValueError, RecursionError):
        return False


def _of_document(path: Path, words: str, encoding: str) -> str:
    """What a .json file holds that begins with an object: a log of Inspect, a list of rows, or JSON Lines."""
    if _looks_like_a_log(words):
        return INSPECT
    try:
        found = json_rows.document(path, encoding, Account(str(path)))
    except InputError:
        if _is_one_object(words.splitlines()[0]):
            return "JSON Lines"
        raise
    if inspect_log.is_log(found):
        return INSPECT
    is_a_row = json_rows.rows_of(found) is None and _is_one_object(words.splitlines()[0])
    return "JSON Lines" if is_a_row else "JSON list"


def _looks_like_a_log(words: str) -> bool:
    return '"eval"' in words and ('"version"' in words or '"status"' in words)


def _is_split(found: Columns, sample: list[Row]) -> bool:
    """Whether the column `split` holds splits; otherwise it is read as a category."""
    name = found.roles.get("split")
    return name is not None and any(split_of(str(row.cells.get(name))) is not None for row in sample)
