"""Append-only JSON Lines: each row is written whole or not at all, and read one at a time."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from misalign_eval.errors import InputError, Problem, RunStoppedError, UsageError
from misalign_eval.files import make_folder
from misalign_eval.records.base import Record
from misalign_eval.store.lock import held_over

T = TypeVar("T")
TAIL_BYTES = 1 << 16
NO_FILE = "no file, where a file of the run belongs"


def encode(record: Record) -> bytes:
    """One line of JSON, UTF-8, with its newline. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return record.model_dump_json(exclude_none=True).encode() + b"\n"
    except PydanticSerializationError:
        text = json.dumps(record.model_dump(exclude_none=True), ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode() + b"\n"


def repair_tail(path: Path) -> int:
    """Cut a torn last line (a crash in mid-write) off the file. Gives the number of bytes cut; 0 when it was whole."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - TAIL_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
        return size - end


class RowWriter:
    """Appends rows to one file. A row is with the operating system when `write` returns, on the disk after `sync`.

    Raises RunStoppedError when the disk takes no more; the file then ends with the last whole row. UsageError: a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        if path.is_symlink():  # a stranger's run folder would have us write where it points
            raise UsageError(f"{path}: a link. Rows are written into the folder alone: put the file itself there")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: {NO_FILE}. Move it away")
        self.repaired_bytes = repair_tail(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._size = os.fstat(self._file).st_size  # ours alone: the folder is locked
        self._dirty = False
        self._held = held_over(path)

    def write(self, record: Record) -> None:
        """Append one row. Raises RunStoppedError also when the folder's lock was taken from this process."""
        if self._held is not None:
            self._held.check()
        data = encode(record)
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise torn_tail(self.path, error) from error
        self._size += len(data)
        self._dirty = True

    def sync(self) -> None:
        """Make every row written so far durable."""
        if not self._dirty:
            return
        self._dirty = False
        try:
            os.fsync(self._file)
        except OSError as error:
            raise torn_tail(self.path, error) from error

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            os.close(self._file)


def torn_tail(path: Path, error: OSError) -> RunStoppedError:
    """What to tell when a file cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return RunStoppedError(f"{path}: the disk is full. Free some space, then resume; every whole row is kept")
    return RunStoppedError(f"{path}: cannot write: {error.strerror or error}")


def read_rows(path: Path, adapter: TypeAdapter[T]) -> Iterator[T]:
    """Give the rows of a file one at a time; a torn last line is passed over, as `repair_tail` would cut it.

    Raises InputError with file and line for a row that is not of its format, and for what is no file.
    """
    file = open_append(path)
    if file is None:
        return
    validate = adapter.validator.validate_json  # what the adapter calls, without its own bookkeeping for every row
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield validate(line)
            except ValidationError as error:
                raise InputError([_problem(path, number, error)]) from error


def open_append(path: Path) -> BinaryIO | None:
    """Open a file of a run for reading; None where there is none. A link is followed: file stores are made of them.

    Raises InputError for a link to nothing, what cannot be read, and what is no file (a pipe would wait for ever).
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError([Problem(str(path), None, "", "a link to nothing", "Fetch the file itself")]) from None
        return None
    except OSError as error:
        raise InputError([Problem(str(path), None, "", f"cannot be read: {error.strerror}")]) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise InputError([Problem(str(path), None, "", NO_FILE, "Restore it from a backup")])
    return os.fdopen(number, "rb")


def read_content(path: Path) -> bytes:
    """All of a small file; nothing where there is none. Raises InputError as `open_append` does."""
    file = open_append(path)
    if file is None:
        return b""
    with file:
        return file.read()


def _problem(path: Path, number: int, error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return Problem(str(path), number, where, f"not a row of this format: {first['msg']}", "Restore it from a backup")
