"""`export`: every planned reply of a run with all that belongs to it, in the format of a file's extension."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.analysis.counts import Tally
from misalign_eval.analysis.outcomes import outcome
from misalign_eval.analysis.summary import summarise
from misalign_eval.analysis.warnings import of_files
from misalign_eval.errors import UsageError
from misalign_eval.files import atomic_write
from misalign_eval.interchange import columns, write_inspect, write_tables
from misalign_eval.interchange.columns import About, ExportItem
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GRADE_ROW, Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import ROW, Failure, PlannedPrompt, Reply, ReplyKey
from misalign_eval.store import lock
from misalign_eval.store.run_folder import RunFolder, as_counted, open_run
from misalign_eval.store.run_table import NumberedRow, RowPlaces
from misalign_eval.workflows.load_run import Choices, chosen_graders, count, question

Rows = RowPlaces[Reply | Failure]
Grades = RowPlaces[Graded | Ungraded]
TABLES = (".csv", ".jsonl", ".parquet")
LOGS = (".eval", ".json")
_LISTED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}[:-]\d{2}[:-]\d{2}")
EXTENSIONS = (*TABLES, *LOGS)


def check(files: Sequence[Path]) -> None:
    """Refuse a file that cannot be written, before the work. Raises UsageError, MissingExtraError."""
    for file in files:
        if file.suffix.lower() not in EXTENSIONS:
            named = ", ".join(TABLES)
            raise UsageError(f"-o {file}: the extension must name the format: {named}, or an Inspect log: .eval, .json")
        if not file.parent.is_dir():
            raise UsageError(f"-o {file}: there is no folder `{file.parent}`")
        if file.suffix.lower() == ".parquet":
            write_tables.check()


def columns_of(path: Path) -> tuple[columns.TableColumn, ...]:
    """The columns that a table of this run has. Raises UsageError for a folder that holds none."""
    folder = open_run(path)
    return columns.columns(_graders(folder, Choices(), folder.manifest.definition))


def export(path: Path, files: Sequence[Path], choices: Choices) -> Iterator[str]:
    """Write each file whole; gives what there is to say about it. Memory: 8 bytes a planned reply and grader.

    Raises UsageError for choices that do not fit or a file that cannot be written, InputError for a broken row.
    """
    check(files)
    with _opened(path, choices) as opened:
        about, tally = opened.about, opened.tally
        for warning in of_files(tally.differing, tally.first_digits):
            yield f"{path}: {warning.text} ({warning.id})"
        for file in files:
            losses = write_tables.Losses()
            items = opened.items()
            _write(file, _PARTS[file.suffix.lower()](about, iter(items), losses))
            yield from _told(file, items, opened.replies.unplanned, losses)


def samples(path: Path, choices: Choices) -> Iterator[tuple[About, ExportItem]]:
    """Every planned reply in the order of the plan, with the run that it belongs to. Raises as `export`."""
    with _opened(path, choices) as opened:
        for item in opened.items():
            yield opened.about, item


@contextmanager
def _opened(path: Path, choices: Choices) -> "Iterator[_Opened]":
    counted = count(path, choices)
    folder, definition = counted.folder, counted.tally.definition
    graders = _graders(folder, choices, definition)
    numbered, last = NumberedRow(folder.plan()), _Last()
    with ExitStack() as stack:
        replies = stack.enter_context(_replies(folder, numbered, last))
        grades = {name: stack.enter_context(_grades(folder, numbered, grader)) for name, grader in graders.items()}
        about = About(
            manifest=folder.manifest,
            definition=definition,
            graders=graders,
            summary=summarise(counted.tally, counted.provenance),
            plan=numbered.prompts,
            wanted=sum(cell.prompt.samples for cell in counted.tally.cells()),
            collected=sum(cell.prompt.samples - cell.not_collected for cell in counted.tally.cells()),
            finished=last.at,
        )
        yield _Opened(about, counted.tally, replies, grades, folder)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A run whose rows can be read in the order of the plan, while its files are open."""

    about: About
    tally: Tally
    replies: Rows
    grades: Mapping[str, Grades]
    folder: RunFolder

    def items(self) -> "_Items":
        """The planned replies, from the first."""
        return _Items(self.about, self.replies, self.grades, self.folder)


class _Last:
    """The latest time of a row."""

    at: str | None = None

    def __call__(self, row: Reply | Failure) -> None:
        self.at = max(self.at or "", row.at)


class _Items:
    """The planned replies in the order of the plan, read one at a time."""

    def __init__(self, about: About, replies: Rows, grades: Mapping[str, Grades], folder: RunFolder) -> None:
        self._about = about
        self._replies = replies
        self._grades = grades
        self._decided = folder.decided_at
        self._held = folder.held
        self.given = self.absent = 0
        self.run, self.definition = about.manifest.name, about.definition.name

    def __iter__(self) -> Iterator[ExportItem]:
        """Every planned reply; of those that early stopping did not need, only what came all the same."""
        number = 0
        for prompt in self._about.plan:
            for sample in range(prompt.samples):
                found = self._replies.at(number)
                row = None if found is None else as_counted(found, self._held)
                if row is not None or self._decided is None or sample < self._decided:
                    self.given += 1
                    self.absent += row is None
                    yield self._item(prompt, sample, number, row)
                number += 1

    def _item(self, prompt: PlannedPrompt, sample: int, number: int, row: Reply | Failure | None) -> ExportItem:
        grades = {name: grade for name, places in self._grades.items() if (grade := places.at(number)) is not None}
        return ExportItem(
            key=ReplyKey(*prompt.cell, sample),
            prompt=prompt,
            question=question(prompt, row.earlier if isinstance(row, Reply) else ()),
            row=row,
            outcome=outcome(row, grades, self._about.definition),
            is_counted=self._decided is None or sample < self._decided,
            grades=grades,
        )


def _graders(folder: RunFolder, choices: Choices, definition: Definition) -> dict[str, GraderIdentity]:
    """Everyone who graded, by the name of their columns: first those whose grades the definition reads."""
    read = chosen_graders(folder, definition, choices.use_judge)
    others = sorted(
        (identity for identity in folder.grader_identities() if identity not in read),
        key=lambda identity: identity.grader,
    )
    return columns.names_of([*read, *others])


def _replies(folder: RunFolder, numbered: NumberedRow, seen: Callable[[Reply | Failure], None]) -> Rows:
    file, held = folder.path / lock.REPLIES, folder.held
    return RowPlaces(file, ROW, numbered, lambda row: isinstance(as_counted(row, held), Reply), seen)


def _grades(folder: RunFolder, numbered: NumberedRow, identity: GraderIdentity) -> Grades:
    file = lock.grades_file(folder.path, identity.grader, identity.identity)
    return RowPlaces(file, GRADE_ROW, numbered, lambda row: isinstance(row, Graded))


def _write(file: Path, parts: Iterator[bytes]) -> None:
    try:
        atomic_write(file, parts, mode=0o666)
    except OSError as error:
        raise UsageError(f"-o {file}: cannot be written: {error.strerror or error}") from error


def _csv(about: About, items: Iterator[ExportItem], losses: write_tables.Losses) -> Iterator[bytes]:
    return write_tables.csv_parts(columns.columns(about.graders), columns.rows(about, items), losses)


def _json_lines(about: About, items: Iterator[ExportItem], _: write_tables.Losses) -> Iterator[bytes]:
    return write_tables.jsonl_parts(columns.rows(about, items))


def _parquet(about: About, items: Iterator[ExportItem], _: write_tables.Losses) -> Iterator[bytes]:
    return write_tables.parquet_parts(columns.columns(about.graders), columns.rows(about, items))


_PARTS: Mapping[str, Callable[[About, Iterator[ExportItem], write_tables.Losses], Iterator[bytes]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".eval": lambda about, items, _: write_inspect.archive(about, items),
    ".json": lambda about, items, _: write_inspect.document(about, items),
}


def _told(file: Path, items: _Items, unplanned: int, losses: write_tables.Losses) -> Iterator[str]:
    is_log = file.suffix.lower() in LOGS
    what = f"{items.given - items.absent} samples" if is_log else f"{items.given} rows"
    yield f"{file}: {what} of run `{items.run}`, outcomes by definition {items.definition}"
    if is_log and items.absent:
        yield f"{file}: {items.absent} planned replies were not collected; the log has no sample of them"
    if file.suffix.lower() == ".json" and not _LISTED.match(file.name):
        yield f"{file}: Inspect lists a .json log only under a name such as 2026-01-31T10-00-00_suite.json"
    if unplanned:
        yield f"{file}: {unplanned} rows belong to no planned reply and are left out"
    if losses.words:
        yield f"{file}: {losses.words}"
