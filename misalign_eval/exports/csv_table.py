"""Rows as CSV (RFC 4180, UTF-8) that is safe to open: no cell can become a formula or act on a terminal."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from misalign_eval.exports.columns import Column, Row, Value
from misalign_eval.records import csv_cells


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


def parts(columns: Sequence[Column], rows: Iterator[Row], losses: Losses) -> Iterator[bytes]:
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
