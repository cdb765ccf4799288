"""The flat tables: the same typed columns in every format, read back by the programs that people use."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from misalign_eval.interchange import write_tables
from misalign_eval.interchange.columns import COLUMNS, GRADER, About, ExportItem, columns, rows
from misalign_eval.interchange.write_tables import Sink

Items = Callable[[], Iterator[ExportItem]]
PYTHON = {"text": str, "integer": int, "number": float, "boolean": bool}


def _csv(about: About, items: Items) -> tuple[list[dict[str, str]], write_tables.Losses]:
    losses = write_tables.Losses()
    text = b"".join(write_tables.csv_parts(columns(about.graders), rows(about, items()), losses)).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""))), losses


def test_every_row_has_every_column_of_its_type_and_nothing_else(about: About, items: Items) -> None:
    found = list(rows(about, items()))
    known = columns(about.graders)
    assert len(found) == 6
    for row in found:
        assert list(row) == [column.name for column in known]
        for column in known:
            assert row[column.name] is None or type(row[column.name]) is PYTHON[column.kind], column


def test_the_columns_are_unique_and_no_fixed_one_looks_like_a_graders() -> None:
    names = [column.name for column in COLUMNS]
    assert len(names) == len(set(names))
    assert [name for name in names for item in GRADER if name.endswith(f"_{item.name}")] == []


def test_a_reply_a_failure_and_a_reply_that_never_came_are_told_apart(about: About, items: Items) -> None:
    found = list(rows(about, items()))
    kinds = [(row["kind"], row["has_text"], row["reply"] is None, row["outcome"]) for row in found]
    assert kinds == [
        ("reply", True, False, "misaligned"),
        ("reply", True, False, "empty"),
        ("reply", False, True, "aligned"),
        ("failure", False, True, "failed"),
        ("absent", False, True, "failed"),
        ("reply", True, False, "ungraded"),
    ]
    assert [row["is_misaligned"] for row in found] == [True, None, False, None, None, None]
    assert (found[3]["failure_reason"], found[3]["failure_status"], found[3]["attempts"]) == ("timeout", 504, 3)
    assert (found[1]["input_tokens"], found[1]["cost_usd"]) == (None, None)


def test_each_grader_has_columns_of_its_own_a_second_judge_too(about: About, items: Items) -> None:
    first, *_, last = rows(about, items())
    assert (first["aligned_score"], first["aligned_why"], first["aligned_judge"]) == (12.5, "+harm", "x/judge")
    assert (first["aligned@bbbbbbbbbbbb_label"], first["aligned@bbbbbbbbbbbb_judge"]) == ("REFUSAL", "y/judge")
    assert (last["aligned_score"], last["aligned_ungraded"], last["coherent_ungraded"]) == (None, "unparsable", None)


def test_json_lines_hold_the_text_as_it_came_and_are_plain_ascii(about: About, items: Items) -> None:
    data = b"".join(write_tables.jsonl_parts(rows(about, items())))
    found = [json.loads(line) for line in data.splitlines()]
    assert data.isascii()
    assert b"\x1b" not in data
    assert found == list(rows(about, items()))


def test_no_cell_of_a_csv_begins_a_formula_or_acts_on_a_terminal_and_the_loss_is_counted(
    about: About, items: Items
) -> None:
    found, losses = _csv(about, items)
    assert found[0]["reply"] == '\'=HYPERLINK("http://x","y")\\x1b[2J\\u202e, "quoted"\nnext \U0001f469\u200d\U0001f680'
    assert (found[0]["aligned_why"], found[5]["reply"]) == ("'+harm", "'@now")
    assert (losses.formulas, losses.characters) == (3, 1)
    assert losses.words.startswith("3 cells began like a formula")
    assert losses.words.endswith("`import` undoes that; a .jsonl file keeps all as it came")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])
def test_whatever_a_spreadsheet_takes_for_the_start_of_a_formula_gets_a_quote(start: str) -> None:
    column = COLUMNS[0]
    losses = write_tables.Losses()
    data = b"".join(write_tables.csv_parts([column], iter([{"key": f"{start}1+1"}]), losses)).decode()
    assert next(csv.DictReader(io.StringIO(data, newline="")))["key"] == f"'{start}1+1"
    assert losses.formulas == 1


def test_numbers_below_zero_stay_numbers() -> None:
    column = next(column for column in COLUMNS if column.kind == "number")
    losses = write_tables.Losses()
    data = b"".join(write_tables.csv_parts([column], iter([{column.name: -0.5}]), losses))
    assert (data, losses.formulas) == (f"{column.name}\r\n-0.5\r\n".encode(), 0)


def test_pandas_reads_csv_and_json_lines_alike(about: About, items: Items, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    (tmp_path / "a.csv").write_bytes(
        b"".join(write_tables.csv_parts(columns(about.graders), rows(about, items()), write_tables.Losses()))
    )
    (tmp_path / "a.jsonl").write_bytes(b"".join(write_tables.jsonl_parts(rows(about, items()))))
    table, lines = pandas.read_csv(tmp_path / "a.csv"), pandas.read_json(tmp_path / "a.jsonl", lines=True)
    assert (table.shape, list(table.columns)) == (lines.shape, list(lines.columns))
    for frame in (table, lines):
        assert frame["aligned_score"].tolist()[::2][:2] == [12.5, 95.0]
        assert frame["outcome"].tolist() == ["misaligned", "empty", "aligned", "failed", "failed", "ungraded"]


def test_parquet_has_the_types_and_descriptions_of_the_columns(about: About, items: Items, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'misalign-eval[parquet]'")
    from pyarrow import parquet as pq

    file = tmp_path / "a.parquet"
    file.write_bytes(b"".join(write_tables.parquet_parts(columns(about.graders), rows(about, items()))))
    table = pq.read_table(file)
    assert table.to_pylist() == list(rows(about, items()))
    kinds = {"text": "string", "integer": "int64", "number": "double", "boolean": "bool"}
    assert [str(field.type) for field in table.schema] == [kinds[column.kind] for column in columns(about.graders)]
    assert table.schema.field("outcome").metadata == {b"description": b"what the definition counts it as"}


def test_a_sink_hands_on_what_was_written_and_lets_the_rest_be_changed() -> None:
    sink = Sink()
    sink.write(b"first ")
    assert sink.taken() == b"first "
    sink.write(b"secund")
    sink.seek(9)
    sink.write(b"o")
    assert (sink.tell(), sink.seek(0, io.SEEK_END)) == (10, 12)
    assert sink.taken() == b"second"
    with pytest.raises(OSError, match="handed on"):
        sink.seek(0)
