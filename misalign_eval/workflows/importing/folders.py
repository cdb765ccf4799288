"""Where imported runs go: beside their place until all is read, then into it at once."""

import errno
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path
from typing import Literal

from misalign_eval.errors import UsageError
from misalign_eval.imports.foreign import RunKey
from misalign_eval.results import layout
from misalign_eval.results.lock import writing
from misalign_eval.results.private import make_folder
from misalign_eval.results.rows import stopped
from misalign_eval.results.whole import write_whole
from misalign_eval.workflows.naming import slug

RunId = tuple[str, RunKey]  # the name of its file, and what the file says
Work = Literal["importing", "merging"]
_HIDDEN = re.compile(r"\.(.+)\.(?:importing|merging)-[0-9]{1,10}", re.DOTALL)


def check_place(out: Path, maker: str = "an import", *, may_be_empty: bool = False) -> None:
    """Raise UsageError for a place where there is something already: what is made is a folder of its own.

    Sweeps away what killed commands have left beside it.
    """
    _sweep(out)
    is_free = may_be_empty and out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    if not is_free and (out.exists() or out.is_symlink()):
        what = "holds a run already" if (out / layout.MANIFEST).is_file() else "is there already"
        raise UsageError(f"{out}: {what}. Choose another --out; {maker} makes a folder of its own")


@contextmanager
def beside(out: Path, work: Work = "importing") -> Iterator[Path]:
    """A hidden folder beside `out`, private to its owner, that is gone afterwards unless `settle` has moved it.

    What a killed process leaves there says that it is no run, and goes when such a command is next given here. Raises
    UsageError where nothing can be written.
    """
    folder = out.parent / f".{out.name}.{work}-{getpid()}"
    _sweep(out)
    try:
        make_folder(folder, exist_ok=False)
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        with writing(folder):
            try:
                _mark(folder, out)
                yield folder
            finally:
                _remove(folder)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _unwritable(out, error) from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # still there and empty: a full disk let no file be made in it


def _mark(folder: Path, out: Path) -> None:
    """Say that this is no run. Who finds these words in a folder that nobody holds may remove it."""
    try:
        write_whole(folder / layout.UNFINISHED, [b"What was made here did not finish. Remove this folder.\n"])
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> UsageError:
    return UsageError(f"{out}: cannot be written: {error.strerror}. Choose another --out")


def _sweep(out: Path) -> None:
    """Remove the work of commands that were killed beside `out`; of one that lives, the lock is held.

    Of this very place all of it goes. Of another place only what says itself that it is left over, which it does for as
    long as its maker holds it.
    """
    for folder in out.parent.glob(".*"):
        made = _HIDDEN.fullmatch(folder.name)
        if made is None or folder.is_symlink() or not folder.is_dir():
            continue
        if made[1] == out.name or (folder / layout.UNFINISHED).is_file():
            with suppress(UsageError), writing(folder):
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a hidden folder, what marks it as left over last: a kill in between leaves it marked."""
    with suppress(OSError):
        marks = [folder / name for name in (layout.LOCK, layout.UNFINISHED)]
        for inside in {*folder.iterdir()} - {*marks}:
            if inside.is_dir() and not inside.is_symlink():
                shutil.rmtree(inside, ignore_errors=True)
            else:
                inside.unlink()
        for mark in marks:
            mark.unlink(missing_ok=True)
        folder.rmdir()


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
