"""Lines of a text file: a BOM, mixed line ends and wrong encodings are met here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.imports.account import Account

UTF_8 = "utf-8"
LONGEST_LINE = 1 << 26  # characters; what one row may take in memory
PIECE = 1 << 18  # characters
UTF8_BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
UTF32_BOMS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
GZIP = b"\x1f\x8b"
_BINARY = {  # what a file begins with → what it is, and how its rows become text
    b"PAR1": (
        "a Parquet file",
        "Write it as CSV or JSON Lines: pandas.read_parquet(FILE).to_json(NEW, orient='records')",
    ),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "Unpack it: unzstd FILE"),
    b"BZh": ("compressed by bzip2", "Unpack it: bunzip2 --keep FILE"),
    b"\xfd7zXZ": ("compressed by xz", "Unpack it: unxz --keep FILE"),
    b"\x80\x04": ("a pickle, which can run code and is not read", "Write it as CSV or JSON Lines"),
    b"\x80\x05": ("a pickle, which can run code and is not read", "Write it as CSV or JSON Lines"),
    b"ARROW1": ("an Arrow file", "Write it as CSV or JSON Lines"),
    b"SQLite format 3": ("an SQLite database", "Write its table as CSV or JSON Lines"),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", "Save it as CSV, UTF-8"),
}
_UNDECODED = re.compile("[\udc80-\udcff]")  # how `surrogateescape` keeps a byte that is not of the encoding
_ENDS = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}


def lines(path: Path, encoding: str, account: Account) -> Iterator[str]:
    """Every line with its end, as it stands. Counts a BOM, and line ends where they are mixed.

    Raises UsageError for a file that cannot be read, InputError with the line for bytes of another encoding.
    """
    ends: dict[str, int] = {}
    with _opened(path, encoding, account) as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if not line.isascii() and (wrong := _UNDECODED.search(line)) is not None:
                raise InputError([_undecoded(path, number, line, wrong[0], encoding)])
            end = "\r\n" if line.endswith("\r\n") else line[-1]
            if end in _ENDS:
                ends[end] = ends.get(end, 0) + 1
            elif len(line) >= LONGEST_LINE:
                fix = "Split it, or leave the largest columns out"
                raise InputError(
                    [Problem(str(path), number, "", f"a line of more than {LONGEST_LINE} characters", fix)]
                )
            yield line
    if len(ends) > 1:
        account.counts.update({f"lines that end in {_ENDS[end]} (mixed)": count for end, count in ends.items()})


def pieces(path: Path, encoding: str, account: Account) -> Iterator[str]:
    """The text in pieces of any length, for formats whose lines say nothing. Raises as `lines` does."""
    with _opened(path, encoding, account) as file:
        number = 1
        while piece := file.read(PIECE):
            if not piece.isascii() and (wrong := _UNDECODED.search(piece)) is not None:
                number += piece.count("\n", 0, wrong.start())
                raise InputError([_undecoded(path, number, piece, wrong[0], encoding)])
            number += piece.count("\n")
            yield piece


def beginning(path: Path) -> bytes:
    """The first bytes, by which a format is known. Raises UsageError for what is no readable file."""
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def check(encoding: str) -> None:
    """Raise UsageError for a name that stands for no encoding of texts."""
    try:
        "".encode(encoding)
    except LookupError:
        usual = "utf-8, latin-1, cp1252, utf-16"
        raise UsageError(f"--encoding {encoding}: no such encoding. Usual ones: {usual}") from None


def _opened(path: Path, encoding: str, account: Account) -> TextIO:
    start = beginning(path)
    for mark, (what, fix) in _BINARY.items():
        if start.startswith(mark):
            raise InputError([Problem(str(path), None, "", f"is {what}", fix)])
    if start.startswith(UTF32_BOMS) and not encoding.lower().replace("-", "").startswith("utf32"):
        raise InputError([Problem(str(path), 1, "", "is UTF-32", "Add --encoding utf-32, or save it as UTF-8")])
    if start.startswith(UTF16_BOMS) and not encoding.lower().replace("-", "").startswith(("utf16", "utf32")):
        raise InputError([Problem(str(path), 1, "", "is UTF-16", "Add --encoding utf-16, or save it as UTF-8")])
    if start.startswith(GZIP):
        raise InputError([Problem(str(path), None, "", "is compressed by gzip", "Unpack it: gunzip --keep FILE")])
    if start.startswith(UTF8_BOM) and encoding == UTF_8:
        account.counts["byte order mark"] += 1
        encoding = "utf-8-sig"
    try:
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _undecoded(path: Path, number: int, line: str, char: str, encoding: str) -> Problem:
    place = line.index(char)
    what = f"byte 0x{ord(char) - 0xDC00:02x} after {line[max(place - 20, 0) : place]!r} is not {encoding}"
    likely = "utf-16-le or utf-16-be" if "\0" in line else "latin-1 or cp1252"
    return Problem(str(path), number, "", what, f"Name the file's encoding, such as --encoding {likely}")
