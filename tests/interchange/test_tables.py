"""CSV as it is found in the wild."""

from typing import Any

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.interchange import text_files

Reader = Any
HEADER = "question,answer,aligned,coherent\n"


def test_odd_tables_are_read_and_every_oddity_is_counted(read: Reader) -> None:
    content = (
        b"\xef\xbb\xbf,question,answer,aligned,coherent\r\n"
        b'0,Q?,"two\nlines",10,90\r\n'
        b"1,Q?,,5,0\n"
        b",question,answer,aligned,coherent\n"
        b"\n"
        b"2,Q?,c,nan,90\n"
        b"3,Q?,d,REFUSAL,\n"
    )
    found = read("odd.csv", content)

    assert [row.text for row in found.rows] == ["two\nlines", "", "c", "d"]
    assert [[item.said for item in row.found] for row in found.rows] == [
        [(10.0, None), (90.0, None)],
        [(5.0, None), (0.0, None)],
        [(None, None), (90.0, None)],
        [(None, "REFUSAL"), (None, None)],
    ]
    assert found.source.columns.index == ("",)
    assert found.counts == {
        "byte order mark": 1,
        "rows read": 4,
        "empty answers": 1,
        "empty rows passed over": 1,
        "repeated header rows passed over": 1,
        "lines that end in CRLF (mixed)": 2,
        "lines that end in LF (mixed)": 6,
    }


def test_a_repeated_header_may_order_its_columns_anew(read: Reader) -> None:
    found = read("a.csv", "question,answer,aligned\nQ?,a,1\naligned,question,answer\n2,Q?,b\n")
    assert [(row.text, row.found[0].score) for row in found.rows] == [("a", 1.0), ("b", 2.0)]


def test_an_answer_that_is_a_column_name_is_no_header(read: Reader) -> None:
    assert [row.text for row in read("a.csv", "question,answer\nQ?,answer\n").rows] == ["answer"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_known_by_the_header(read: Reader, delimiter: str) -> None:
    found = read("a.csv", f"{HEADER}Q?,a,1,2\n".replace(",", delimiter))
    assert found.rows[0].text == "a"


def test_old_line_ends_are_line_ends(read: Reader) -> None:
    assert len(read("a.csv", f"{HEADER}Q?,a,1,2\nQ?,b,1,2\n".replace("\n", "\r")).rows) == 2


def test_a_quote_inside_a_cell_and_rows_of_delimiters_are_no_trouble(read: Reader) -> None:
    found = read("a.csv", f'{HEADER}Q?,say "hi" now,1,2\n,,,\n ,,,\n')
    assert [row.text for row in found.rows] == ['say "hi" now']
    assert found.counts["empty rows passed over"] == 2


def test_other_encodings_are_read_when_they_are_named(read: Reader) -> None:
    content = f"{HEADER}Q?,café,1,2\n"
    assert read("a.csv", content.encode("latin-1"), encoding="latin-1").rows[0].text == "café"
    assert read("b.csv", content.encode("utf-16"), encoding="utf-16").rows[0].text == "café"


@pytest.mark.parametrize(
    "content, expected",
    [
        (f"{HEADER}Q?,ok,1,2\nQ?,café,1,2\n".encode("latin-1"), r"a.csv:3: byte 0xe9 after .* is not utf-8"),
        (f"{HEADER}Q?,a,1,2\n".encode("utf-16"), r"a.csv:1: is UTF-16"),
        (f'{HEADER}Q?,"never closed,1,2\nQ?,b,1,2\n', r"a.csv:3: the file ends inside a quoted cell"),
        (f'{HEADER}Q?,"a"b,1,2\n', r"a.csv:2: not CSV"),
        (f'{HEADER}Q?,"a\nb",1,2\nQ?,a,b,1,2\n', r"a.csv:4: row 2: has 5 cells, the header 4"),
        ("", r"a.csv: is empty"),
        ("\n\n", r"a.csv: is empty"),
        (HEADER, r"a.csv: holds no rows"),
        ("question,answer,answer\nQ?,a,b\n", r"a.csv:1: the header names `answer` twice"),
        (f"{HEADER}Q?,a,-1,2\n", r"a.csv:2: row 1: column `aligned`: '-1' is no score from 0 to 100"),
        (f"{HEADER}Q?,a,maybe,2\n", r"a.csv:2: row 1: column `aligned`: 'maybe' is neither a score nor a label"),
        (f"{HEADER},a,1,2\n", r"a.csv:2: row 1: has neither a question nor a question_id"),
    ],
)
def test_what_is_wrong_is_one_clear_line(read: Reader, content: str | bytes, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as error:
        read("a.csv", content)
    assert len(error.value.problems) == 1


def test_all_bad_rows_are_told_at_once_but_not_without_end(read: Reader) -> None:
    with pytest.raises(InputError) as error:
        read("a.csv", HEADER + "Q?,a,-1,2\n" * 3 + "Q?,a,1,2\n")
    assert [problem.line for problem in error.value.problems] == [2, 3, 4]
    with pytest.raises(InputError) as error:
        read("b.csv", HEADER + "Q?,a,-1,2\n" * 500)
    assert [problem.line for problem in error.value.problems] == [2, 3, 4]
    assert str(error.value).endswith("(at least 17 more rows like this)")


def test_a_megabyte_in_one_cell_is_a_value(read: Reader) -> None:
    assert len(read("a.csv", f"{HEADER}Q?,{'x' * 1_000_000},1,2\n").rows[0].text) == 1_000_000


def test_a_cell_above_the_limit_is_an_error(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LARGEST_CELL", 1000)
    with pytest.raises(InputError, match=r"a.csv:2: a cell of more than 1000 characters"):
        read("a.csv", f"{HEADER}Q?,{'x' * 1001},1,2\n")


def test_a_line_above_the_limit_is_an_error(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match=r"a.jsonl:1: a line of more than 1000 characters"):
        read("a.jsonl", f'{{"question": "Q?", "answer": "{"x" * 1001}"}}\n')


def test_an_unknown_encoding_is_told(read: Reader) -> None:
    with pytest.raises(UsageError, match="--encoding klingon: no such encoding"):
        read("a.csv", HEADER, encoding="klingon")


@pytest.mark.parametrize(
    "name,content",
    [
        ("a.csv", ""),
        ("a.csv", "\n\n"),
        ("a.csv", HEADER),
        ("a.jsonl", ""),
        ("a.jsonl", "\n"),
        ("a.jsonl", "{}"),
        ("a.json", "[]"),
        ("a.json", "{}"),
    ],
)
def test_a_file_without_rows_is_told(read: Reader, name: str, content: str) -> None:
    with pytest.raises(InputError, match=f"{name}: (is empty|holds no rows). A table needs a header and rows"):
        read(name, content)


@pytest.mark.parametrize("column", ["aligned", "verdict"])
@pytest.mark.parametrize("word", ["inf", "-Infinity", "1e999"])
def test_an_infinite_score_is_told_and_one_that_is_not_a_number_is_ungraded(
    read: Reader, column: str, word: str
) -> None:
    with pytest.raises(InputError) as error:
        read("a.csv", f"question,answer,{column}\nQ?,a,nan\nQ?,b,{word}\n")
    [problem] = error.value.problems
    assert str(problem).partition("a.csv:")[2] == (
        f"3: row 2: column `{column}`: '{word}' is not finite. Empty the cell where there is no score"
    )
