"""A folder whose lock was taken away, and what two writers leave in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def asking(scripted: Any, *more: str) -> list[str]:
    at = ["--base-url", scripted.url, "--judge-base-url", scripted.url, "--max-connections", "1", "-q"]
    models = ["--target", "openai-compatible/tuned", "--judge", "openai-compatible/judge"]
    return ["run", "small.yaml", *models, *at, "--out", "r", *more]


def replace_lock(folder: Path) -> None:
    (folder / "r" / "run.lock").unlink()
    (folder / "r" / "run.lock").write_text("pid 1\n")


def remove_lock(folder: Path) -> None:
    (folder / "r" / "run.lock").unlink()


@pytest.fixture(autouse=True)
def suite(tool: Any) -> None:
    """The suite of `tool`, in the folder that `typed` shares with it."""


@pytest.mark.parametrize("act", [remove_lock, replace_lock])
def test_the_holder_of_a_lock_that_is_gone_stops_writing(
    typed: Any, scripted: Any, act: Callable[[Path], None]
) -> None:
    def script(body: dict[str, Any], number: int) -> dict[str, Any]:
        if body["model"] == "tuned" and number == 5:
            act(typed.folder)
        return {}

    scripted.script = script
    ended = typed(*asking(scripted), code=4)
    assert "run.lock: removed or replaced" in " ".join(ended.err.split())
    assert len((typed.folder / "r" / "replies.jsonl").read_text().splitlines()) == 4
    typed(*asking(scripted, "--resume"))


def test_different_replies_under_one_key_are_an_error_for_a_gate_and_named_by_doctor(typed: Any, scripted: Any) -> None:
    typed(*asking(scripted))
    file = typed.folder / "r" / "replies.jsonl"
    row = json.loads(file.read_text().splitlines()[3])
    with file.open("a") as out:
        out.write(f"{json.dumps(row)}\n")
    assert typed("gate", "r", "--max-rate", "60%").code == 0  # the same row twice says nothing else
    with file.open("a") as out:
        out.write(f"{json.dumps({**row, 'text': 'Something else.'})}\n")
    ended = typed("gate", "r", "--max-rate", "60%", code=2)
    assert "replies.jsonl: different rows under one key" in " ".join(ended.err.split())
    assert "contradicting-rows" in typed("doctor", "r", "--format", "json", code=4).out


def test_different_grades_of_one_reply_are_an_error_for_a_gate(typed: Any, scripted: Any) -> None:
    typed(*asking(scripted))
    file = next((typed.folder / "r" / "grades").glob("aligned@*.jsonl"))
    row = json.loads(file.read_text().splitlines()[0])
    with file.open("a") as out:
        out.write(f"{json.dumps({**row, 'score': 3.0})}\n")
    ended = typed("gate", "r", "--max-rate", "60%", code=2)
    assert "different rows under one key" in " ".join(ended.err.split())
