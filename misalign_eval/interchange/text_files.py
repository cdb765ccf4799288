"""Readers of CSV, JSON Lines and JSON files, one row at a time, with line numbers."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self, TextIO

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.interchange.log import BadCellError, ImportLog

# Lines of a text file, with a BOM, mixed line ends or a wrong encoding.


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


def read_lines(path: Path, encoding: str, account: ImportLog) -> Iterator[str]:
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


def pieces(path: Path, encoding: str, account: ImportLog) -> Iterator[str]:
    """The text in pieces of any length, for formats whose lines say nothing. Raises as `read_lines` does."""
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


def _opened(path: Path, encoding: str, account: ImportLog) -> TextIO:
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


# Rows of a CSV file, streamed, with any delimiter and line ends, and with headers repeated in its middle.


LARGEST_CELL = 1 << 24  # characters
INDEX = re.compile(r"|unnamed:[ _]?\d+(?:\.\d+)*|level_0|__index_level_0__")  # how pandas names an index, in lower case
_SAID = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)  # how Excel is told the delimiter, in a line before the header
DELIMITERS = ",;\t|"


class TableRow(NamedTuple):
    """One row of a file. A cell of a CSV file is text; of a JSON file it is any JSON value."""

    number: int  # from 1; the header is none
    line: int  # on which it begins
    cells: Mapping[str, object]


def rows(path: Path, encoding: str, account: ImportLog) -> Iterator[TableRow]:
    """Every row under its header. Repeated headers and empty rows are counted and passed over.

    Raises InputError with the line for what is no CSV: a quote that never ends, a cell above `LARGEST_CELL`.
    """
    lines = read_lines(path, encoding, account)
    first = next((line for line in lines if line.strip()), None)
    said = None if first is None else _SAID.fullmatch(first.strip())
    if said is not None:
        account.counts["lines that name the delimiter"] += 1
        first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InputError([Problem(str(path), None, "", "is empty", "A table needs a header and rows")])
    before = csv.field_size_limit(LARGEST_CELL)
    try:
        yield from _read(path, _chained(first, lines), said[1] if said else _delimiter(first), account)
    finally:
        csv.field_size_limit(before)


def _read(path: Path, lines: Iterator[str], delimiter: str, account: ImportLog) -> Iterator[TableRow]:
    reader = _Reader(path, lines, delimiter)
    header = _header(path, next(reader, []))
    names = set(header)
    number, line = 0, reader.line + 1
    for cells in reader:
        start, line = line, reader.line + 1
        if not any(map(str.strip, cells)):
            account.counts["empty rows passed over"] += 1
            continue
        if len(cells) == len(header) and cells[-1].strip() in names and _is_header(cells, names):
            header = [cell.strip() for cell in cells]
            account.counts["repeated header rows passed over"] += 1
            continue
        number += 1
        if len(cells) != len(header):
            what = f"has {len(cells)} cells, the header {len(header)}"
            account.problem(number, start, BadCellError(what, "Quote cells that hold the delimiter or a line end"))
            continue
        yield TableRow(number, start, dict(zip(header, cells, strict=True)))


class _Reader:
    """`csv.reader`, with errors that name the file and the line."""

    def __init__(self, path: Path, lines: Iterator[str], delimiter: str) -> None:
        self._path = path
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)

    @property
    def line(self) -> int:
        """The last line that was read."""
        return self._reader.line_num

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self._reader)
        except csv.Error as error:
            raise InputError([_no_csv(self._path, self.line, str(error))]) from None


def _no_csv(path: Path, line: int, message: str) -> Problem:
    if "field larger" in message:
        fix = "Cut it, or leave the column out"
        return Problem(str(path), line, "", f"a cell of more than {LARGEST_CELL} characters", fix)
    if "end of data" in message:
        fix = "Close it, or write a quote inside a cell twice"
        return Problem(str(path), line, "", "the file ends inside a quoted cell: a quote was never closed", fix)
    return Problem(str(path), line, "", f"not CSV: {message}", "Write a quote inside a quoted cell twice")


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        what = f"the header names `{min(twice)}` twice"
        raise InputError([Problem(str(path), 1, "", what, "Give each column a name of its own")])
    return header


def _is_header(cells: Sequence[str], names: set[str]) -> bool:
    """A header again, be its columns in another order."""
    return {cell.strip() for cell in cells} == names


def _delimiter(header: str) -> str:
    """The one that the header has most of; a comma where it has none."""
    return max(DELIMITERS, key=header.count)


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


# A JSON document read value by value, so that a list of any length takes the memory of its largest row.


_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder()
_LONGEST_WORD = 16  # characters; what may be cut off at the end of a piece, such as -Infinity or \\u202e


class Values:
    """The values of one document, in the order of the file. Each must be taken before the next is asked for.

    Every method raises InputError with the line for what is no JSON, and for a single value above `LONGEST_LINE`.
    """

    def __init__(self, path: Path, encoding: str, account: ImportLog) -> None:
        self._path = path
        self._pieces = pieces(path, encoding, account)
        self._text = ""
        self._place = 0  # in the text; what lies before it is taken
        self._lines = 1  # at the beginning of the text

    def peek(self) -> str:
        """The next character that is no space, left where it is; empty at the end of the file."""
        while True:
            while self._place < len(self._text) and self._text[self._place] in _SPACE:
                self._place += 1
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read_on():
                return ""

    def items(self) -> Iterator[object]:
        """The items of the list that comes next."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        yield self.value()
        while self._take(",]") == ",":
            yield self.value()

    def members(self) -> Iterator[str]:
        """The names in the object that comes next; the value of each is to be taken before the next."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            name = self.value()
            self._take(":")
            yield str(name)
            if self._take(",}") == "}":
                return

    def value(self) -> object:
        """The value that comes next, whole."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._place)
            except RecursionError:
                raise self._wrong("nested too deeply") from None
            except json.JSONDecodeError as error:
                if self._is_broken(error) or not self._read_on():
                    raise self._wrong(f"not JSON: {error.msg}", error.pos) from None
            except ValueError as error:  # a number of more digits than Python reads
                raise self._wrong(f"not JSON: {error}") from None
            else:
                # What follows tells whether a number ends here, as `1` does not before `.5` in the next piece.
                if end <= len(self._text) - _LONGEST_WORD or not self._read_on():
                    self._place = end
                    return found

    def end(self) -> None:
        """Nothing may come any more."""
        if self.peek():
            raise self._wrong("not JSON: something follows the end of the document")

    def _is_broken(self, error: json.JSONDecodeError) -> bool:
        """Whether no further text could mend it."""
        is_open = error.msg.startswith("Unterminated string")
        return not is_open and error.pos < len(self._text) - _LONGEST_WORD

    def _take(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            raise self._wrong(f"not JSON: {' or '.join(wanted)} is missing")
        self._place += 1
        return found

    def _read_on(self) -> bool:
        """At least double what is not taken yet, so that a long value is read twice at most; False at the end."""
        kept = self._text[self._place :]
        if len(kept) > LONGEST_LINE:
            raise self._wrong(f"a value of more than {LONGEST_LINE} characters", fix="Leave the largest parts out")
        more: list[str] = []
        for piece in self._pieces:
            more.append(piece)
            if sum(map(len, more)) >= len(kept):
                break
        if more:
            self._lines += self._text.count("\n", 0, self._place)
            self._text, self._place = "".join([kept, *more]), 0
        return bool(more)

    def _wrong(self, what: str, place: int | None = None, fix: str = "Is it cut off?") -> InputError:
        line = self._lines + self._text.count("\n", 0, self._place if place is None else place)
        return InputError([Problem(str(self._path), line, "", what, fix)])
