"""Where imported runs go: beside their place until all is read, then into it at once."""

import glob
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path

from misalign_eval.errors import UsageError
from misalign_eval.imports.foreign import RunKey
from misalign_eval.results import layout
from misalign_eval.results.lock import writing
from misalign_eval.results.private import make_folder
from misalign_eval.results.rows import stopped
from misalign_eval.results.whole import write_whole
from misalign_eval.workflows.naming import slug

RunId = tuple[str, RunKey]  # the name of its file, and what the file says


def check_place(out: Path) -> None:
    """Raise UsageError for a place where there is something already: an import never adds to a folder."""
    if out.exists() or out.is_symlink():
        what = "holds a run already" if (out / layout.MANIFEST).is_file() else "is there already"
        raise UsageError(f"{out}: {what}. Choose another --out; an import makes a folder of its own")


@contextmanager
def beside(out: Path, work: str = "importing") -> Iterator[Path]:
    """A hidden folder beside `out`, private to its owner, that is gone afterwards unless `settle` has moved it.

    What a killed process leaves there says that it is no run, and goes when the command is repeated. Raises UsageError
    where nothing can be written.
    """
    folder = out.parent / f".{out.name}.{work}-{getpid()}"
    for old in out.parent.glob(f".{glob.escape(out.name)}.{work}-*"):
        _remove_if_left(old)
    try:
        make_folder(folder, exist_ok=False)
        write_whole(folder / layout.UNFINISHED, [b"What was made here did not finish. Remove this folder.\n"])
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}. Choose another --out") from error
    with writing(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    """Remove the work of a process that was killed; of one that lives, its lock is held."""
    with suppress(UsageError):
        if folder.name.rpartition("-")[2].isdecimal() and folder.is_dir() and not folder.is_symlink():
            with writing(folder):
                shutil.rmtree(folder, ignore_errors=True)


def settle(folder: Path, runs: Mapping[Path, str], out: Path) -> None:
    """Move what was written to its place: a single run to `out` itself, several under their names."""
    try:
        if len(runs) == 1:
            next(iter(runs)).rename(out)
            return
        for path, name in runs.items():
            path.rename(folder / name)
        for name in (layout.LOCK, layout.UNFINISHED):
            (folder / name).unlink()
        folder.rename(out)
    except OSError as error:
        raise stopped(out, error) from error


def names(runs: Sequence[RunId], out: Path) -> dict[RunId, str]:
    """A folder name for each run: the parts in which they differ; of a single run the name of `out`.

    >>> a, b = ("t", RunKey("org/base")), ("t", RunKey("org/tuned"))
    >>> list(names([a, b], Path("x")).values())
    ['org-base', 'org-tuned']
    """
    if len(runs) == 1:
        return {runs[0]: out.name}
    parts = [(file, *key) for file, key in runs]
    differing = [place for place in range(4) if len({part[place] for part in parts}) > 1]
    found: dict[RunId, str] = {}
    for who, part in zip(runs, parts, strict=True):
        name = slug("-".join(str(part[place] or "unnamed") for place in differing))[:120]
        taken = set(found.values())
        again = next(number for number in range(1, len(runs) + 1) if _numbered(name, number) not in taken)
        found[who] = _numbered(name, again)
    return found


def target(who: RunId) -> str:
    """The model of a run: its own name, else its group's, else the file's."""
    file, key = who
    return key.model or key.group or file


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
