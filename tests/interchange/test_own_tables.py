"""Tables that `export` wrote come back cell for cell, whatever a cell holds; those of others stand as they are."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from misalign_eval.interchange import write_tables
from misalign_eval.interchange.columns import COLUMNS, Row
from misalign_eval.interchange.imported_reply import ImportedReply
from misalign_eval.interchange.log import ImportLog
from misalign_eval.interchange.sources import Wanted, recognise
from misalign_eval.records import csv_cells

QUICK = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
HOSTILE = ("=1+1", "'=x", "''=x", "'", "''", "'quoted'", "-5", "@x", "\t=x", "\n", "\r\nx", "a\rb", "\uff1dx", "nan")
CODES = (
    "\x1b[2J",
    r"\x1b",
    r"\x5cx1b",
    r"\\x1b",
    "\\\x1b",
    r"C:\x41",
    r"\u202e",
    "\u202e",
    r"\ud7ff",
    r"'\x1b",
    "\x00=",
)
TEXTS = st.one_of(st.text(alphabet="='\"-+@\t\r\n\\x1b5cu20ef \x1b\x00\u202e\uff1d,;", min_size=1), st.text(min_size=1))


def row_of(text: str) -> Row:
    known: Row = {"key": "p/0/plain#0", "probe": "p", "prompt": 0, "variant": "plain", "sample": 0, "kind": "reply"}
    row: Row = {"question": text, "system": text, "reply": text, "reasoning": text, "has_text": True}
    return {column.name: None for column in COLUMNS} | known | row


def read(name: str, data: bytes, **wanted: object) -> ImportedReply:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        how = Wanted(**wanted)  # type: ignore[arg-type]
        [found] = recognise(path, how).replies(how, ImportLog(name))
        return found


def as_csv(text: str) -> bytes:
    return b"".join(write_tables.csv_parts(COLUMNS, iter([row_of(text)]), write_tables.Losses()))


def every(text: str) -> tuple[str, ...]:
    return (text,) * 4


def texts(row: ImportedReply) -> tuple[str | None, ...]:
    return row.text, row.reasoning, row.asked.system, row.asked.turns[0][1]


@pytest.mark.slow
@QUICK
@given(TEXTS)
def test_a_cell_of_our_own_csv_comes_back_as_it_was(text: str) -> None:
    assert texts(read("a.csv", as_csv(text))) == every(text)


@pytest.mark.parametrize("text", [*HOSTILE, *CODES])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_hostile_cells_come_back_as_they_were(text: str, form: str) -> None:
    data = as_csv(text) if form == "csv" else b"".join(write_tables.jsonl_parts(iter([row_of(text)])))
    assert texts(read(f"a.{form}", data)) == every(text)


@pytest.mark.slow
@QUICK
@given(TEXTS, TEXTS)
@example("=x", "'=x")
@example("\x1b", r"\x1b")
def test_no_two_texts_share_a_cell(one: str, other: str) -> None:
    assert (csv_cells.safe(one) == csv_cells.safe(other)) is (one == other)


@QUICK
@given(st.text())
def test_a_cell_that_our_export_never_writes_is_read_without_a_traceback(cell: str) -> None:
    assert len(csv_cells.restored(cell)) <= len(cell)


def test_our_csv_is_ours_also_with_a_column_left_out_by_the_user() -> None:
    assert read("a.csv", as_csv("=1+1"), ignore=("tags",)).text == "=1+1"


def test_cells_of_others_are_read_as_they_stand() -> None:
    assert read("a.csv", b"question,answer\nQ?,'=1+1\n").text == "'=1+1"
    assert read("a.csv", b"question,answer\nQ?,\\x1b\n").text == r"\x1b"
