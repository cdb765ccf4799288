"""File names of a run folder, and its lock: one writer at a time."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from misalign_eval.errors import FolderLockedError, RunStoppedError, UsageError
from misalign_eval.files import make_folder, remove_temporaries

# Names of the files of a run folder. No other module spells them.


MANIFEST = "run.json"
PLAN = "plan.jsonl"
REPLIES = "replies.jsonl"
GRADES = "grades"
CONTROLS = "controls.jsonl"  # what judges said of written replies
LOOKS = "looks.jsonl"
LOCK = "run.lock"
SUMMARY = "summary.json"
REPORT = "report.md"
PAGE = "report.html"
DERIVED = (SUMMARY, REPORT, PAGE)  # can be rebuilt from the rest
UNFINISHED = "unfinished"  # in a folder that an import has not filled yet
LABELS = "labels"
SAMPLE = "sample.json"
CALIBRATIONS = "calibrations"
INNER = (GRADES, LABELS, CALIBRATIONS)  # the folders that a run folder may hold


def grades_file(folder: Path, grader: str, identity: str) -> Path:
    """Path of a grader's rows: `grades/aligned@3fa9c1d20b7e.jsonl`."""
    return folder / GRADES / f"{grader}@{identity}.jsonl"


def identity_file(folder: Path, grader: str, identity: str) -> Path:
    """Path of the description of that grader: the same name with `.json`."""
    return folder / GRADES / f"{grader}@{identity}.json"


def labels_file(folder: Path, labeller: str) -> Path:
    """Path of a labeller's rows: `labels/anna.jsonl`."""
    return folder / LABELS / f"{labeller}.jsonl"


def sample_file(folder: Path) -> Path:
    """Which replies people were asked to label."""
    return folder / LABELS / SAMPLE


# The lock: one writer for each folder. The kernel drops it when its process dies, so none can be stale.


class Held:
    """A lock that this process holds, as long as its file is the one that was locked.

    Whoever removes or replaces the file lets a second process lock its successor.
    """

    def __init__(self, file: Path, opened: os.stat_result) -> None:
        self._file = file
        self._opened = opened.st_dev, opened.st_ino

    def check(self) -> None:
        """Raise RunStoppedError when the file is gone or another one: what is written now may meet another writer."""
        try:
            there = os.lstat(self._file)
        except OSError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != self._opened:
            raise RunStoppedError(
                f"{self._file}: removed or replaced while this process was writing here, so that another may write, "
                "too. Nothing more is written. Let one process end, look with `doctor`, then resume"
            )


_HELD: dict[Path, Held] = {}  # by run folder, resolved


@contextmanager
def _noted(folder: Path, held: Held) -> Iterator[None]:
    spec = folder.resolve()
    before = _HELD.get(spec)
    _HELD[spec] = held
    try:
        yield
    finally:
        if before is None:
            del _HELD[spec]
        else:
            _HELD[spec] = before


def held_over(file: Path) -> Held | None:
    """The lock that this process holds over a file of a run, which lies in its folder or in one of that."""
    spec = file.parent.resolve()
    return _HELD.get(spec) or _HELD.get(spec.parent)


@contextmanager
def writing(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Make the folder if need be, private to its owner, and hold it for writing; `lock` names the file that is held.

    A link in the place of the lock is not followed: the folder may be a stranger's. Raises FolderLockedError when
    another process has it, UsageError when it cannot be written.
    """
    try:
        make_folder(folder)
        file = os.open(folder / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}. Choose another --out") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(file, 64).decode("ascii", "replace").strip() or "unknown"
            raise FolderLockedError(
                f"{folder}: another process ({holder}) is writing this run. Wait for it, or choose another --out"
            ) from error
        except OSError as error:
            raise UsageError(f"{folder}: cannot be locked: {error.strerror}. Choose another --out") from error
        held = Held(folder / lock, os.fstat(file))
        with suppress(OSError):  # a full disk: the lock holds without the name of its holder
            os.ftruncate(file, 0)
            os.pwrite(file, f"pid {os.getpid()}\n".encode(), 0)
        remove_temporaries(folder)
        with _noted(folder, held):
            yield
    finally:
        os.close(file)


def hold(stack: ExitStack, folders: Iterable[Path]) -> set[Path]:
    """Hold folders that are only read, each once, so that nobody writes them; the stack frees them.

    Gives those that take no files (an archive), resolved: they can still be read. Raises FolderLockedError.
    """
    unwritable = set()
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        try:
            stack.enter_context(writing(folder))
        except FolderLockedError:
            raise
        except UsageError:
            unwritable.add(folder)
    return unwritable
