"""Recorded answers come back for the conversation they were given to, each once, and for no other."""

import json
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.records.protocols import ModelSpec, Provider
from misalign_eval.records.suite import Message


def texts(kit: Any, path: Path, *requests: Any, **options: Any) -> list[str]:
    async def work(provider: Provider) -> list[str]:
        return [(await provider.complete(request)).choices[0].text for request in requests]

    found: list[str] = kit.using(ModelSpec("replay", str(path), options=options), work)
    return found


def test_a_table_is_answered_from_in_order(kit: Any, tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text('\ufeffprompt,response\nHi?,one\n"Two\nlines, ""quoted""",x\nHi?,two\n', encoding="utf-8")
    hello = kit.question("Hi?")
    assert texts(kit, table, hello, kit.question('Two\nlines, "quoted"'), hello) == ["one", "x", "two"]


def test_an_answer_is_never_given_twice(kit: Any, tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("prompt,response\nHi?,one\n")
    with pytest.raises(ProviderError, match="only 1 recorded answers to this prompt, all given: Hi") as caught:
        texts(kit, table, kit.question("Hi?"), kit.question("Hi?"))
    assert (caught.value.reason, caught.value.retry) == ("bad_request", False)


def test_a_prompt_that_was_not_recorded_is_a_fault_that_says_so(kit: Any, tmp_path: Path) -> None:
    table = tmp_path / "answers.jsonl"
    table.write_text('{"question": "Hi?", "answer": "one"}\n')
    with pytest.raises(ProviderError, match="no recorded answer to this prompt: Who"):
        texts(kit, table, kit.question("Who?"))
    with pytest.raises(ProviderError, match="under this system prompt"):
        texts(kit, table, kit.question("Hi?", system="Be brief."))


def test_a_system_prompt_is_part_of_the_conversation(kit: Any, tmp_path: Path) -> None:
    table = tmp_path / "answers.jsonl"
    rows = [
        {"system": "Be brief.", "prompt": "Hi?", "response": "brief"},
        {"system": "", "prompt": "Hi?", "response": "plain"},
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert texts(kit, table, kit.question("Hi?"), kit.question("Hi?", system="Be brief.")) == ["plain", "brief"]


def test_columns_may_have_other_names(kit: Any, tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("frage,antwort\nHi?,one\n")
    assert texts(kit, table, kit.question("Hi?"), prompt_column="frage", response_column="antwort") == ["one"]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.csv", "promt,response\nHi?,x\n", "no prompt column. Did you mean `promt`"),
        ("a.csv", "prompt,response\n", "holds no answer"),
        ("a.csv", 'prompt,response\n"Hi?,x\n', "a.csv:"),
        ("a.csv", "prompt,response\nHi?\n", "a.csv:2: `prompt` and `response` must both be text"),
        ("a.jsonl", '{"prompt": "x", "response": 3}\n', "a.jsonl:1:"),
        ("a.jsonl", '{"prompt"\n{"prompt": "x", "response": "y"}\n', "a.jsonl:1: not JSON"),
        ("a.txt", "x", "is no run folder"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_before_any_request(
    kit: Any, tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as caught:
        kit.open(ModelSpec("replay", str(tmp_path / name)))
    assert words in str(caught.value)


def test_a_path_that_is_not_there_is_refused(kit: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UsageError, match="does not exist"):
            kit.open(ModelSpec("replay", str(path)))


def test_scripted_turns_are_answered_one_by_one(kit: Any, harness: Any, tmp_path: Path) -> None:
    if harness.spec().provider != "replay":
        pytest.skip("about run folders")
    harness.will(kit.answer("last"), kit.question("one", "<reply>", "three"))
    rows = tmp_path / "replies.jsonl"
    rows.write_text(json.dumps(json.loads(rows.read_text()) | {"earlier": ["first"]}) + '\n{"kind": "reply", "pro')
    first = kit.question("one")
    last = kit.question("one", "first", "three")
    assert texts(kit, tmp_path, first, last) == ["first", "last"]
    assert last.messages[1] == Message(role="assistant", content="first")
