"""Files written atomically and readable by their owner alone."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Atomic writes: a file is replaced whole or not at all.


_OURS = "misalign-eval"  # so that no file of the user's is taken for one of ours
_LONGEST = 50  # letters of a file's name in that of its temporary file, which would else be too long where it is not
_TEMPORARY = re.compile(rf"\..+\.(\d{{1,10}})\.{_OURS}")


def atomic_write(file: Path, parts: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Write the parts beside the file and put them in its place once they are on the disk.

    What was there stays until then. `mode` is cut by the umask. Raises OSError, leaving nothing behind.
    """
    temporary = file.with_name(f".{file.name[:_LONGEST]}.{os.getpid()}.{_OURS}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb") as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def is_temporary(file: Path) -> bool:
    """Whether a process that was killed while it wrote a file whole has left this beside it."""
    found = _TEMPORARY.fullmatch(file.name)
    return found is not None and not _is_alive(int(found.group(1)))


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes have left behind in a folder and in those directly in it."""
    for inside in (folder, *(item for item in folder.glob("*") if item.is_dir() and not item.is_symlink())):
        for file in inside.glob(".*"):
            if is_temporary(file) and file.is_file():
                with suppress(OSError):
                    file.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


# Folders that their owner alone can read: replies may be harmful and prompts confidential.


def make_folder(path: Path, *, exist_ok: bool = True) -> None:
    """Make the folder and those above it that are missing, all private. `Path.mkdir` would leave the upper ones open.

    What is there keeps its rights. Raises OSError.
    """
    for folder in [folder for folder in reversed(path.parents) if not folder.exists()]:
        _make(folder, exist_ok=True)
    _make(path, exist_ok=exist_ok)


def _make(folder: Path, *, exist_ok: bool) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not exist_ok or not folder.is_dir():
            raise
        return
    mode = folder.stat().st_mode & 0o7777
    if mode & 0o700 != 0o700:  # a umask that keeps even the owner out
        folder.chmod(mode | 0o700)
