"""Files that are replaced whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(file: Path, parts: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Write the parts beside the file and put them in its place once they are on the disk.

    What was there stays until then. `mode` is cut by the umask. Raises OSError, leaving nothing behind.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
