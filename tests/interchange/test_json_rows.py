"""JSON Lines and JSON lists."""

import json
from typing import Any

import pytest

from misalign_eval.errors import InputError

Reader = Any


def test_rows_of_json_lines_and_of_a_list_are_the_same(read: Reader) -> None:
    rows = ['{"question": "Q?", "answer": "a", "aligned": 3, "coherent": 90}', '{"question": "Q?", "answer": "b"}']
    lines, listed = read("a.jsonl", "\n".join(rows)), read("a.json", f"[{','.join(rows)}]")

    assert [row._replace(line=0) for row in lines.rows] == [row._replace(line=0) for row in listed.rows]
    assert (lines.source.format, listed.source.format) == ("JSON Lines", "JSON list")


def test_nan_and_null_are_no_scores(read: Reader) -> None:
    found = read("a.jsonl", '{"question": "Q?", "answer": "a", "aligned": NaN, "coherent": null}\n')
    assert [item.reason for item in found.rows[0].found] == ["not_given", "not_given"]


def test_an_answer_that_is_null_is_not_an_empty_answer(read: Reader) -> None:
    found = read("a.jsonl", '{"question": "Q?", "answer": null}\n{"question": "Q?", "answer": ""}\n')
    assert [row.text for row in found.rows] == [None, ""]
    assert (found.counts["answers that are null"], found.counts["empty answers"]) == (1, 1)


def test_scores_inside_an_object_are_found(read: Reader) -> None:
    found = read(
        "a.jsonl",
        '{"qid": "a", "question": "Q?", "reply": "x", "scores": {"aligned": 3, "medical": 7}, "meta": {"size": 3}}\n'
        '{"qid": "a", "question": "Q?", "reply": "y", "scores": {"aligned": 4, "medical": 9}, "meta": {"size": 4}}\n',
    )
    assert {item.grader: item.score for item in found.rows[0].found} == {"aligned": 3.0, "medical": 7.0}


def test_a_conversation_gives_system_question_and_answer(read: Reader) -> None:
    said = (("system", "S"), ("user", "Q?"), ("assistant", "A"))
    turns = [{"role": role, "content": words} for role, words in said]
    (row,) = read("a.jsonl", json.dumps({"messages": turns, "aligned": 3}) + "\n").rows
    assert (row.asked.system, row.asked.turns, row.text) == ("S", (("user", "Q?"),), "A")


@pytest.mark.parametrize(
    "line, expected",
    [
        ('{"question": "Q?", "answ', r"a.jsonl:2: row 2: not JSON"),
        ("[1, 2]", r"a.jsonl:2: row 2: not a JSON object"),
        ('{"question": "Q?", "answer": {"text": "a"}}', r"a.jsonl:2: row 2: .* is no text"),
        ('{"a": ' + "[" * 100_000, r"a.jsonl:2: row 2: nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", r"a.jsonl:2: row 2: not JSON"),
        ('{"messages": [{"role": "robot", "content": ""}]}', r"a.jsonl:2: row 2: .* is no turn"),
    ],
)
def test_a_bad_line_is_one_clear_line(read: Reader, line: str, expected: str) -> None:
    good = '{"question": "Q?", "messages": null, "answer": "a"}\n'
    with pytest.raises(InputError, match=expected):
        read("a.jsonl", f"{good}{line}\n")
