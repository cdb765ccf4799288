"""Writers of tables: CSV, JSON Lines, Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from misalign_eval.errors import MissingExtraError
from misalign_eval.interchange.columns import Row, TableColumn, Value
from misalign_eval.records import csv_cells

# CSV (RFC 4180, UTF-8) that is safe to open: no cell can become a formula or act on a terminal.


@dataclass(slots=True)
class Losses:
    """How many cells are not in the file as they came; `import` reads them as they came."""

    formulas: int = 0  # got a ' before them
    characters: int = 0  # hold a character that is written as its code

    @property
    def words(self) -> str:
        """One sentence; empty when nothing was lost."""
        told = (
            (self.formulas, "began like a formula and got a ' before them"),
            (self.characters, "hold control characters, or what reads like their codes, written as codes"),
        )
        found = [f"{count} {'cell' if count == 1 else 'cells'} {what}" for count, what in told if count]
        return "; ".join(found) + ". `import` undoes that; a .jsonl file keeps all as it came" if found else ""


def csv_parts(columns: Sequence[TableColumn], rows: Iterator[Row], losses: Losses) -> Iterator[bytes]:
    """The header, then a line a row. Null is an empty cell, a boolean `true` or `false`. Counts what it changes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([_text(column.name, Losses()) for column in columns])
    for row in rows:
        writer.writerow([_cell(value, losses) for value in row.values()])
        yield _emptied(buffer)
    yield _emptied(buffer)


def _emptied(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _cell(value: Value, losses: Losses) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value, losses)
    return repr(value)


def _text(text: str, losses: Losses) -> str:
    shown = csv_cells.coded(text)
    cell = csv_cells.quoted(shown)
    losses.characters += shown != text
    losses.formulas += cell != shown
    return cell


# JSON Lines: every key on every line, in plain ASCII, text exactly as it came.


def jsonl_parts(rows: Iterator[Row]) -> Iterator[bytes]:
    """The lines of the file."""
    for row in rows:
        yield json.dumps(row, allow_nan=False).encode() + b"\n"


# An append-only file object that yields its content in pieces, for writers that need a file.


class Sink(io.RawIOBase):
    """Keeps what was written since `taken`. What has been taken is out of reach: seeking before it raises OSError."""

    def __init__(self) -> None:
        self._start = 0  # of the kept bytes in the whole
        self._kept = bytearray()
        self._place = 0

    def taken(self) -> bytes:
        """Everything written since the last time."""
        found = bytes(self._kept)
        self._start += len(found)
        self._kept.clear()
        return found

    def writable(self) -> bool:
        """It can be written."""
        return True

    def seekable(self) -> bool:
        """It can be sought in, as far as it is still here."""
        return True

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place that has not been handed on. Raises OSError for any other."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._start + len(self._kept)}[whence]
        if not self._start <= base + offset <= self._start + len(self._kept):
            raise OSError("this part of the file has been handed on")
        self._place = base + offset
        return self._place

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        """Write all of it here, over what stands here."""
        place, length = self._place - self._start, memoryview(data).nbytes
        self._kept[place : place + length] = data
        self._place += length
        return length


# Parquet, typed by the table of columns. Needs pyarrow, the extra `parquet`.


BATCH = 1000  # rows of a row group: bounds the memory


def parquet_parts(columns: Sequence[TableColumn], rows: Iterator[Row]) -> Iterator[bytes]:
    """The file in pieces. Raises MissingExtraError at the first; `check` tells earlier."""
    arrow, parquet = _pyarrow()
    schema, sink = _schema(arrow, columns), Sink()
    with parquet.ParquetWriter(arrow.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        while batch := [_written(row) for row in islice(rows, BATCH)]:
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            yield sink.taken()
    yield sink.taken()


def arrow_table(columns: Sequence[TableColumn], rows: Iterator[Row]) -> Any:  # noqa: ANN401  pyarrow has no types
    """A `pyarrow.Table` of all rows, typed as the columns say. Raises MissingExtraError."""
    arrow, _ = _pyarrow()
    return arrow.Table.from_pylist([_written(row) for row in rows], schema=_schema(arrow, columns))


def _schema(arrow: Any, columns: Sequence[TableColumn]) -> Any:  # noqa: ANN401  pyarrow has no types
    kinds = {"text": arrow.string(), "integer": arrow.int64(), "number": arrow.float64(), "boolean": arrow.bool_()}
    return arrow.schema(
        [arrow.field(column.name, kinds[column.kind], metadata={"description": column.about}) for column in columns]
    )


def _written(row: Row) -> Row:
    """The row with lone surrogates, which UTF-8 cannot hold, as U+FFFD."""
    return {name: _utf8(value) if isinstance(value, str) else value for name, value in row.items()}


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check() -> None:
    """Raises MissingExtraError where pyarrow is not installed."""
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(
            "a .parquet file or an Arrow table needs pyarrow: pip install 'misalign-eval[parquet]'. "
            "Without it, .jsonl has the same flat columns"
        ) from error
    return pa, parquet
