"""The members of an Inspect `.eval` log, read one at a time and never written to disk."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from misalign_eval.errors import InputError, MissingExtraError, Problem, UsageError

LARGEST_MEMBER = 1 << 26  # bytes, unpacked: a sample is held whole, in several times that
LARGEST_LOG = 1 << 28  # bytes, unpacked, of a log that is more than MOST_PACKED times as small as it
MOST_PACKED = 100  # times; texts of models pack to a tenth
ZSTANDARD = 93  # the method that Inspect packs with, which Python's zipfile does not know before 3.14
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises InputError for one that is cut off or damaged, or unpacks to far too much."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, struct.error, NotImplementedError, ValueError, OverflowError):
        fix = "It is cut off or damaged: copy it again, or let Inspect recover it"
        raise InputError([Problem(str(path), None, "", "is no whole zip archive", fix)]) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    with archive:
        _check_sum(path, archive)
        yield archive


def _check_sum(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise InputError for an archive that unpacks to far more than any evaluation writes."""
    unpacked, packed = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if unpacked > LARGEST_LOG and unpacked > MOST_PACKED * packed:
        what = (
            f"{packed / (1 << 20):.1f} MiB that unpack to {unpacked >> 20}, {unpacked // max(packed, 1)} times as much"
        )
        fix = "No log of an evaluation does; write it as JSON if it is one: inspect log convert --to json"
        raise InputError([Problem(str(path), None, "", what, fix)])


def member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One member, unpacked and checked. Raises InputError, or MissingExtraError where Zstandard is not installed."""
    if info.file_size > LARGEST_MEMBER:
        what = f"{info.file_size >> 20} MiB unpacked: more than {LARGEST_MEMBER >> 20}"
        raise InputError([Problem(str(path), None, info.filename, what, "Split the log")])
    try:
        found = _zstandard(path, info) if info.compress_type == ZSTANDARD else _unpacked(archive, info)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, RuntimeError, OSError, ValueError) as error:
        raise InputError([Problem(str(path), None, info.filename, f"is damaged: {error}", "Copy it again")]) from None
    if len(found) != info.file_size or zlib.crc32(found) != info.CRC:
        what = "is damaged: its length or checksum is another"
        raise InputError([Problem(str(path), None, info.filename, what, "Copy it again")])
    return found


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        return file.read(info.file_size + 1)


def _zstandard(path: Path, info: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError(
            f"{path}: packed with Zstandard. Install what reads it: pip install 'misalign-eval[inspect]', "
            "or write the log as JSON: inspect log convert --to json"
        ) from None
    try:
        unpacked = zstandard.ZstdDecompressor().stream_reader(_packed(path, info))
        return bytes(unpacked.read(info.file_size + 1))
    except zstandard.ZstdError as error:
        raise zipfile.BadZipFile(str(error)) from None


def _packed(path: Path, info: zipfile.ZipInfo) -> bytes:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        *_, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name + extra, 1)
        return file.read(info.compress_size)
