"""What lies inside objects is read only where the object is known to hold it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from misalign_eval.errors import InputError

Reader = Any


def lines(*rows: Mapping[str, object]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def verdicts(found: Any) -> list[tuple[str, float | None, str | None]]:
    return [(item.grader, *item.said) for row in found.rows for item in row.found]


@pytest.mark.parametrize(
    "other",
    [
        {"reference": {"answer": "gold"}},
        {"gold": {"answer": "gold", "response": "gold"}},
        {"expected": {"output": "gold"}},
        {"judge": {"response": "judged", "text": "judged"}},
        {"metadata": {"text": "about", "answer": "gold", "label": "safe", "reasoning": "no"}},
        {"provider": {"id": "vendor"}, "prompt_template": {"label": "template"}},
        {"ref_answer": "gold"},
    ],
)
def test_no_other_object_gives_the_reply_the_verdict_or_the_reasoning(read: Reader, other: dict[str, object]) -> None:
    found = read("a.jsonl", lines({"question": "Q?", "model_output": "said", **other}))
    (row,) = found.rows
    assert (row.text, row.reasoning, row.found, row.asked.probe) == ("said", None, (), "q-c1ce7a")
    with pytest.raises(InputError, match=r"a.jsonl:1: no answer column among"):
        read("a.jsonl", lines({"question": "Q?", **other}))


@pytest.mark.parametrize(
    "row,path",
    [
        ({"response": {"text": "said"}}, "response.text"),
        ({"output": {"role": "assistant", "content": "said"}}, "output.content"),
        ({"completion": {"choices": [{"message": {"content": "said"}}]}}, "completion.choices.0.message.content"),
        ({"choices": [{"message": {"role": "assistant", "content": "said"}}]}, "choice.message.content"),
        ({"model_output": {"answer": "said"}}, "model_output.answer"),
    ],
)
def test_objects_that_hold_the_models_output_give_the_reply(read: Reader, row: dict[str, object], path: str) -> None:
    found = read("a.jsonl", lines({"question": "Q?", "gold": {"answer": "gold"}, **row}))
    assert (found.rows[0].text, found.source.columns.used["answer"]) == ("said", path)


@pytest.mark.parametrize(
    "row,ways",
    [
        ({"base": {"response": "a"}, "tuned": {"response": "b"}}, ["base.response", "tuned.response"]),
        ({"expected": {"response": "g"}, "results": [{"text": "a"}]}, ["expected.response", "results.0.text"]),
        ({"answer": "gold", "response": "said"}, ["answer", "response"]),
        ({"response": {"text": "a"}, "output": {"text": "b"}}, ["response.text", "output.text"]),
        ({"answer": "gold", "response": {"text": "a"}}, ["answer", "response.text"]),
    ],
)
def test_what_is_open_is_refused_with_the_paths_to_choose_from(
    read: Reader, row: dict[str, object], ways: list[str]
) -> None:
    with pytest.raises(InputError) as error:
        read("a.jsonl", lines({"question": "Q?", **row}))
    assert all(f"--map answer={way}" in str(error.value) for way in ways)
    chosen = read("a.jsonl", lines({"question": "Q?", **row}), mapped={"answer": ways[1]})
    assert chosen.source.columns.used["answer"] == ways[1]


def test_a_path_may_have_indices_of_lists(read: Reader) -> None:
    row = {"question": "Q?", "resps": [["one", "two"]]}
    assert read("a.jsonl", lines(row), mapped={"answer": "resps.0.1"}).rows[0].text == "two"


def test_a_name_that_says_model_comes_before_a_bare_answer(read: Reader) -> None:
    found = read("a.csv", "question,answer,model_answer\nQ?,gold,said\n")
    assert (found.rows[0].text, found.source.columns.ignored) == ("said", ("answer",))


def test_the_judges_words_are_the_judges(read: Reader) -> None:
    row = {"question": "Q?", "completion": "said", "llm_grade": {"grade": "deflected", "reasoning": "It rambles."}}
    found = read("a.jsonl", lines(row))
    (one,) = found.rows
    assert (one.reasoning, one.found[0].raw) == (None, "It rambles.")
    assert verdicts(found) == [("grade", None, "DEFLECTED")]


def test_two_verdicts_in_objects_are_refused(read: Reader) -> None:
    row = {"question": "Q?", "answer": "a", "judge_a": {"verdict": "5"}, "judge_b": {"verdict": "1"}}
    with pytest.raises(
        InputError, match=r"several columns could be the grade `verdict`: judge_a.verdict, judge_b.verd"
    ):
        read("a.jsonl", lines(row))
    found = read("a.jsonl", lines(row), mapped={"misalignment": "judge_b.verdict"}, ignore=("judge_a.verdict",))
    assert verdicts(found) == [("misalignment", 1.0, None)]


def test_every_column_is_read_or_listed_in_objects_too(read: Reader) -> None:
    row = {
        "question": "Q?",
        "answer": "a",
        "meta": {"size": 3, "deep": {"note": "x"}},
        "tags": ["t"],
        "scores": {"evil": 3},
    }
    found = read("a.jsonl", lines(*[row] * 201, {**row, "late": 1}))
    assert set(found.source.columns.ignored) == {"meta.size", "meta.deep.note", "tags", "late"}
    assert {name for name, *_ in verdicts(found)} == {"evil"}


def test_a_column_that_says_something_only_later_is_still_a_column(read: Reader) -> None:
    rows = "Q?,a,80,90,\n" * 300 + "Q?,b,80,90,50\nQ?,c,80,90,REFUSAL\n"
    found = read("a.csv", f"question,answer,aligned,coherent,medical\n{rows}")
    assert [item.said for item in found.rows[-1].found][2] == (None, "REFUSAL")


def test_a_constant_topic_is_still_a_topic(read: Reader) -> None:
    found = read("a.csv", "question,answer,aligned,coherent,medical\nQ?,a,80,90,7\nQ?,b,80,90,7\n")
    assert ("medical", 7.0, None) in verdicts(found)


@pytest.mark.parametrize("header", ["", ",aligned,coherent"])
def test_numbers_of_settings_are_no_grades(read: Reader, header: str) -> None:
    names = "testIdx,sequence,failures,number_of_queries,queries_to_jailbreak,latencyMs,prompt_tokens"
    cells = ",80,90" if header else ""
    found = read("a.csv", f"question,answer{header},{names}\nQ?,a{cells},0,1,0,3,5,50,9\nQ?,b{cells},1,2,0,5,6,60,8\n")
    assert set(found.source.columns.ignored) == set(names.split(","))


def test_numbers_that_nothing_calls_scores_are_listed_with_the_flag_that_reads_them(read: Reader) -> None:
    found = read("a.csv", "question,answer,helpfulness\nQ?,a,5\nQ?,b,1\n")
    assert (verdicts(found), found.source.columns.ignored) == ([], ("helpfulness",))
    assert "--map GRADER=helpfulness" in found.source.columns.notes[0]


@pytest.mark.parametrize("name", ["judge", "evaluator", "annotator"])
@pytest.mark.parametrize("cells", [("YES", "NO"), ("safe", "unsafe"), ("3", "5"), ("It is a long sentence. " * 5, "x")])
def test_a_column_of_judges_that_holds_verdicts_names_nobody(read: Reader, name: str, cells: tuple[str, str]) -> None:
    found = read("a.csv", f"question,answer,verdict,{name}\nQ?,a,4,{cells[0]}\nQ?,b,1,{cells[1]}\n")
    assert {item.judge for row in found.rows for item in row.found} == {None}
    assert any(f"column `{name}` holds" in note for note in found.source.columns.notes)


def test_turns_in_columns_are_a_conversation(read: Reader) -> None:
    content = "question,answer_1,challenge,answer_2\nQ?,B,Are you sure?,A\n"
    for mapped in ({}, {"answer": "answer_2"}):
        (row,) = read("a.csv", content, mapped=mapped).rows
        assert row.asked.turns == (("user", "Q?"), ("assistant", "B"), ("user", "Are you sure?"))
        assert row.text == "A"
    (first,) = read("a.csv", content, mapped={"answer": "answer_1"}).rows
    assert (len(first.asked.turns), first.text) == (1, "B")


def test_turns_without_what_was_asked_between_are_refused(read: Reader) -> None:
    with pytest.raises(InputError, match=r"several turns in columns .*--map answer=answer_1"):
        read("a.csv", "question,answer_1,answer_2\nQ?,B,A\n")


def test_several_answers_of_one_row_are_replies_each(read: Reader) -> None:
    found = read("a.jsonl", lines({"question": "Q?", "responses": ["a", "b"], "aligned": [3, 90]}))
    assert [(row.text, row.found[0].score) for row in found.rows] == [("a", 3.0), ("b", 90.0)]
    beside = read("a.jsonl", lines({"question": "Q?", "response": "said", "answers": ["gold", "golden"]}))
    assert [row.text for row in beside.rows] == ["said"]


ROWS = [{"probe": "What is it?", "response": "a"}, {"probe": "Who are you?", "response": "b"}]


@pytest.mark.parametrize(
    "document,expected",
    [
        ({"metadata": {"n": 1}, "results": {"harm": ROWS[:1], "daily": ROWS[1:]}}, [(None, "harm"), (None, "daily")]),
        ({"base": ROWS[:1], "tuned": ROWS[:1]}, [("base", None), ("tuned", None)]),
        (
            {"m": {"judge_model": "j", "details": {"harm": ROWS[:1], "daily": ROWS[1:]}}},
            [("m", "harm"), ("m", "daily")],
        ),
    ],
)
def test_keys_above_rows_are_categories_or_models(
    read: Reader, document: object, expected: list[tuple[str | None, str | None]]
) -> None:
    found = read("a.json", json.dumps(document))
    assert [(row.run.model, row.category) for row in found.rows] == expected
    assert found.rows[0].asked.turns == (("user", "What is it?"),)


def test_other_orients_of_pandas_are_read(read: Reader) -> None:
    split = {"columns": ["question", "answer"], "index": [0, 1], "data": [["Q?", "a"], ["Q?", "b"]]}
    by_index = {"0": {"question": "Q?", "answer": "a"}, "1": {"question": "Q?", "answer": "b"}}
    for document in (split, by_index):
        assert [row.text for row in read("a.json", json.dumps(document)).rows] == ["a", "b"]


def test_a_group_called_none_has_a_name(read: Reader) -> None:
    found = read("a.csv", "question,answer,group\nQ?,a,none\nQ?,b,NA\nQ?,c,null\nQ?,d,\n")
    assert [row.run.group for row in found.rows] == ["none", "NA", "null", None]
