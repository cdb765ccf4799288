"""One writer a folder. The kernel drops the lock when its process dies, however it dies, so none can be stale."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from misalign_eval.errors import FolderLockedError, UsageError
from misalign_eval.results.layout import LOCK


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make the folder if need be, private to its owner, and hold it for writing.

    Raises FolderLockedError when another process has it, UsageError when it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
        os.ftruncate(file, 0)
        os.pwrite(file, f"pid {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
