"""Labels on disk: one append-only file a labeller, and the sample that all of them were asked about."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.records.label import LABEL_ROW, SAMPLE_FORMAT, Label, Sample, Withdrawn
from misalign_eval.records.plan import ReplyKey
from misalign_eval.results import layout
from misalign_eval.results.private import make_folder
from misalign_eval.results.rows import content, encode, read, stopped
from misalign_eval.results.whole import write_whole

Labels = dict[ReplyKey, Label]


def labellers(folder: Path) -> tuple[str, ...]:
    """Everyone who labelled replies of this run, sorted."""
    return tuple(sorted(file.stem for file in (folder / layout.LABELS).glob("*.jsonl")))


def labels_of(folder: Path, labeller: str) -> Labels:
    """The labels that stand, in the order in which they were given.

    Raises InputError with file and line for a row of another format, and for a second label of one reply.
    """
    file = layout.labels_file(folder, labeller)
    standing: Labels = {}
    for number, row in enumerate(read(file, LABEL_ROW), 1):
        if isinstance(row, Withdrawn):
            standing.pop(row.key, None)
        elif row.key in standing:
            fix = "Leave one of them; a label that was taken back needs a row of kind `withdrawn` before the next"
            raise InputError([Problem(str(file), number, "", f"a second label for {row.key}", fix)])
        else:
            standing[row.key] = row
    return standing


def sample_of(folder: Path) -> Sample | None:
    """The sample that was drawn from this run; None where none was. Raises InputError for a file that is none."""
    file = layout.sample_file(folder)
    if not (said := content(file)):
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
    file = layout.sample_file(folder)
    try:
        make_folder(file.parent)
        write_whole(file, _lines(sample))
    except OSError as error:
        raise stopped(file, error) from error


def _lines(sample: Sample) -> Iterator[bytes]:
    yield encode(sample)
