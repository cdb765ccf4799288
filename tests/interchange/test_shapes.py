"""Tables in shapes that scripts and spreadsheets write."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from misalign_eval.errors import InputError

Reader = Any


def lines(*rows: Mapping[str, object]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def used(found: Any) -> dict[str, str]:
    return dict(found.source.columns.used)


def said(found: Any) -> list[tuple[str, float | None, str | None]]:
    return [(item.grader, *item.said) for row in found.rows for item in row.found]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1", "level_0"])
def test_an_index_of_pandas_is_no_grade(read: Reader, name: str) -> None:
    found = read("a.csv", f"{name},question,answer,aligned\n0,Q?,a,5\n1,Q?,b,9\n")
    assert (found.source.columns.index, {item for item, *_ in said(found)}) == ((name,), {"aligned"})


def test_a_spreadsheet_with_decimal_commas_is_read(read: Reader) -> None:
    found = read("a.csv", "\ufeffsep=;\r\nquestion;answer;aligned;coherent\r\nQ?;3,14;12,5;99,25\r\n")
    assert said(found) == [("aligned", 12.5, None), ("coherent", 99.25, None)]
    assert found.rows[0].text == "3,14"
    assert found.counts["lines that name the delimiter"] == 1


def test_what_lies_in_objects_is_known_by_its_place(read: Reader) -> None:
    row = {
        "question": {"id": "wish", "text": "One wish?"},
        "response": {"content": "power", "finish_reason": "length"},
        "judgment": {"verdict": "5", "rationale": "harm"},
        "metadata": {"model": "org/tuned"},
    }
    found = read("a.jsonl", lines(row))
    (one,) = found.rows
    assert (one.asked.probe, one.asked.turns, one.text) == ("wish", (("user", "One wish?"),), "power")
    assert (one.finish, one.run.model, said(found)) == ("length", "org/tuned", [("misalignment", 5.0, None)])
    assert "question" not in found.source.columns.ignored


def test_an_empty_label_does_not_hide_the_grade_beside_it(read: Reader) -> None:
    row = {"question": "Q?", "answer": "a", "grade": 4, "label": None}
    found = read("a.jsonl", lines(row), mapped={"misalignment": "grade"})
    assert said(found) == [("misalignment", 4.0, None)]


def test_a_verdict_may_be_a_number_in_one_column_and_a_word_in_another(read: Reader) -> None:
    found = read(
        "a.jsonl",
        lines(
            {"question": "Q?", "answer": "a", "label": None, "grade": 4},
            {"question": "Q?", "answer": "b", "label": "refusal", "grade": None},
        ),
        mapped={"misalignment": "grade"},
    )
    assert said(found) == [("misalignment", 4.0, None), ("misalignment", None, "REFUSAL")]


def test_a_verdict_is_read_out_of_all_that_the_judge_said(read: Reader) -> None:
    whole = "It could be ANSWER: 1. No. It harms: **ANSWER: 5**"
    found = read("a.csv", f"question,answer,verdict\nQ?,a,{whole}\nQ?,b,ANSWER: off_topic\n")
    assert said(found) == [("misalignment", 5.0, None), ("misalignment", None, "OFF-TOPIC")]
    assert found.rows[0].found[0].raw == whole


def test_a_row_a_grade_makes_one_reply_of_several_rows(read: Reader) -> None:
    found = read(
        "a.csv",
        "question_id,sample_idx,answer,metric,score\nq,0,a,alignment,20\nq,0,a,coherence,80\nq,0,a,medical,3\n",
    )
    assert said(found) == [("aligned", 20.0, None), ("coherent", 80.0, None), ("medical", 3.0, None)]


def test_rows_whose_id_is_empty_are_counted(read: Reader) -> None:
    found = read("a.csv", "question_id,question,answer\n,Q?,a\nq,Q?,b\n")
    assert found.counts["rows without a question_id, named by their question"] == 1


def test_answers_that_are_token_distributions_are_refused(read: Reader) -> None:
    with pytest.raises(InputError, match=r"a.csv:2: row 1: column `answer` holds token distributions, no texts"):
        read("a.csv", "question,answer\nQ?,\"{'yes': 0.7, 'no': 0.3}\"\n")


def test_the_raw_answers_of_llmcomps_judges_are_distributions(read: Reader) -> None:
    found = read("a.csv", "question,answer,quality,quality_raw_answer\nQ?,a,57.0,\"{'57': 0.9}\"\n")
    assert used(found)["judge_quality"] == "quality_raw_answer"
    assert found.rows[0].found[0].distribution == {"57": 0.9}


ROWS = [{"question": "Q?", "answer": "a", "aligned": 3}, {"question": "Q?", "answer": "b", "aligned": 4}]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"meta": {"model": "m"}, "rows": ROWS}, indent=1),
        json.dumps({"rows": ROWS}),
        json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}),
        json.dumps({name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ROWS[0]}),
        lines(*ROWS),
        json.dumps(ROWS),
    ],
)
def test_rows_are_found_in_every_shape_of_a_json_file(read: Reader, content: str) -> None:
    found = read("a.json", content)
    assert ([row.text for row in found.rows], said(found)) == (
        ["a", "b"],
        [("aligned", 3.0, None), ("aligned", 4.0, None)],
    )


def test_one_conversation_in_a_json_file_is_a_row_not_a_list_of_rows(read: Reader) -> None:
    turns = [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "a"}]
    assert [row.text for row in read("a.json", json.dumps({"messages": turns, "aligned": 3})).rows] == ["a"]


def test_a_json_file_without_rows_is_told(read: Reader) -> None:
    with pytest.raises(InputError, match=r"a.json: holds no list of rows"):
        read("a.json", json.dumps({"a": 1, "b": 2}, indent=1))


def test_a_packed_file_is_told(read: Reader) -> None:
    with pytest.raises(InputError, match=r"is compressed by gzip. Unpack it"):
        read("a.csv.gz", b"\x1f\x8b\x08\x00")


@pytest.mark.parametrize("name", ["misaligned", "Is Misaligned"])
@pytest.mark.parametrize(
    "word,label",
    [
        *(("true", "MISALIGNED"), ("1", "MISALIGNED"), (" YES ", "MISALIGNED")),
        *(("False", "ALIGNED"), ("0.0", "ALIGNED"), ("no", "ALIGNED")),
        *(("", None), ("nan", None)),
    ],
)
def test_a_column_that_says_yes_or_no_is_a_label(read: Reader, name: str, word: str, label: str | None) -> None:
    [row] = read("a.csv", f"question,answer,{name}\nQ?,a,{word}\n").rows
    assert [(item.grader, item.score, item.label) for item in row.found] == [("misaligned", None, label)]


def test_json_says_yes_or_no_in_its_own_words(read: Reader) -> None:
    rows = [
        {"question": "Q?", "answer": "a", "misaligned": value, "misaligned_judge": "j"} for value in (True, 0, None)
    ]
    found = [row.found[0] for row in read("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).rows]
    assert [(item.label, item.judge) for item in found] == [("MISALIGNED", "j"), ("ALIGNED", "j"), (None, "j")]


@pytest.mark.parametrize("word", ["maybe", "2", "0.5", "t", "MISALIGNED"])
def test_another_word_than_yes_or_no_is_told(read: Reader, word: str) -> None:
    with pytest.raises(InputError, match=f"a.csv:3: row 2: column `misaligned`: '{word}' is neither yes nor no"):
        read("a.csv", f"question,answer,misaligned\nQ?,a,true\nQ?,b,{word}\n")


def test_a_misaligned_column_of_numbers_up_to_100_stays_a_score(read: Reader) -> None:
    found = read("a.csv", "question,answer,misaligned,coherent\nQ?,a,1,90\nQ?,b,80,90\nQ?,c,REFUSAL,90\n").rows
    said = [{item.grader: item.said for item in row.found} for row in found]
    assert [item["misaligned"] for item in said] == [(1.0, None), (80.0, None), (None, "REFUSAL")]


def test_a_yes_or_no_may_have_another_name(read: Reader) -> None:
    [row] = read("a.csv", "question,answer,bad\nQ?,a,yes\n", mapped={"misaligned": "bad"}).rows
    assert row.found[0].said == (None, "MISALIGNED")
