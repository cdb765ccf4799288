"""One writer a folder. The kernel drops the lock when its process dies, however it dies, so none can be stale."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from misalign_eval.errors import FolderLockedError, UsageError
from misalign_eval.results.layout import LOCK
from misalign_eval.results.private import make_folder
from misalign_eval.results.whole import sweep


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
        with suppress(OSError):  # a full disk: the lock holds without the name of its holder
            os.ftruncate(file, 0)
            os.pwrite(file, f"pid {os.getpid()}\n".encode(), 0)
        sweep(folder)
        yield
    finally:
        os.close(file)


def hold(stack: ExitStack, folders: Iterable[Path]) -> set[Path]:
    """Hold folders that are only read, each once, so that nobody writes them; the stack frees them.

    Gives those that take no files (an archive), resolved: they can still be read. Raises FolderLockedError.
    """
    unwritable = set()
    for folder in dict.fromkeys(one.resolve() for one in folders):
        try:
            stack.enter_context(writing(folder))
        except FolderLockedError:
            raise
        except UsageError:
            unwritable.add(folder)
    return unwritable
