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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_different_grades_of_one_reply_are_an_error_for_a_gate(typed: Any, scripted: Any) -> None:
    typed(*asking(scripted))
    file = next((typed.folder / "r" / "grades").glob("aligned@*.jsonl"))
    row = json.loads(file.read_text().splitlines()[0])
    with file.open("a") as out:
        out.write(f"{json.dumps({**row, 'score': 3.0})}\n")
    ended = typed("gate", "r", "--max-rate", "60%", code=2)
    assert "different rows under one key" in " ".join(ended.err.split())


def written_twice(typed: Any, scripted: Any, *more: str) -> None:
    """A run that holds two different replies to one request, and two different grades of another."""
    typed(*asking(scripted, *more))
    for name, changed in (("replies.jsonl", {"text": "Something else."}), ("grades/aligned@*.jsonl", {"score": 3.0})):
        file = next((typed.folder / "r").glob(name))
        row = json.loads(file.read_text().splitlines()[3])
        with file.open("a") as out:
            out.write(f"{json.dumps({**row, **changed})}\n")


@pytest.mark.slow
def test_every_command_that_reads_numbers_tells_of_rows_that_contradict_each_other(typed: Any, scripted: Any) -> None:
    written_twice(typed, scripted)
    typed(*asking(scripted)[:-1], "other", "--seed", "2")
    (typed.folder / "labels.csv").write_text("probe,sample,label\nneighbour,0,aligned\ntown,1,misaligned\n")
    for format_ in ("text", "json", "markdown"):
        for command in (["report", "r"], ["compare", "r", "other"], ["compare", "other", "r"]):
            told = typed(*command, "--format", format_).out
            assert told.count("contradicting-rows") == 2, (command, format_)
    assert "before: replies.jsonl: 1 key has rows that differ" in " ".join(typed("compare", "r", "other").out.split())
    typed("report", "r", "-o", "page.html")
    assert "contradicting-rows" in (typed.folder / "page.html").read_text()
    assert typed("show", "r").out.count("contradicting-rows") == 2
    assert len(json.loads(typed("show", "r", "--format", "json").out)["warnings"]) == 2
    assert typed("show", "r", "--format", "jsonl").err.count("contradicting-rows") == 2
    assert typed("export", "r", "-o", "rows.csv").err.count("contradicting-rows") == 2
    assert typed("calibrate", "r", "--labels", "labels.csv").out.count("contradicting-rows") == 2
    assert typed("power", "--pilot", "r", "--max-rate", "30%").out.count("contradicting-rows") == 2
    judged = ("--judge", "openai-compatible/judge", "--judge-base-url", scripted.url)
    assert typed("regrade", "r", *judged, "-q").out.count("contradicting-rows") == 2


@pytest.mark.slow
def test_nothing_is_made_of_rows_that_contradict_each_other(typed: Any, scripted: Any) -> None:
    written_twice(typed, scripted, "--shard", "1/2")
    other = [*asking(scripted, "--shard", "2/2")]
    other[other.index("r")] = "s"
    typed(*other)
    for command in (["export", "r", "--baseline", "b.json"], ["merge", "s", "r", "--out", "m"]):
        html = " ".join(typed(*command, code=2).err.split())
        assert "r/replies.jsonl: different rows under one key" in html
        assert "different rows under one key, for 1 of them" in html.partition("aligned@")[2]
    assert not (typed.folder / "b.json").exists()
    assert not (typed.folder / "m").exists()


@pytest.mark.slow
def test_an_answer_of_another_model_that_was_asked_for_again_contradicts_nothing(typed: Any, scripted: Any) -> None:
    typed(*asking(scripted))
    file = typed.folder / "r" / "replies.jsonl"
    lines = file.read_text().splitlines()
    stranger = {**json.loads(lines[0]), "text": "I am another.", "model": "gpt-1-other"}
    file.write_text("\n".join([json.dumps(stranger), *lines]) + "\n")
    assert typed("gate", "r", "--max-rate", "60%").code == 0


@pytest.fixture
def first_digits(typed: Any, scripted: Any) -> Path:
    """A run as earlier versions scored it, by a judge that writes 95 as 9 and 5."""
    typed(*asking(scripted))
    for file in (typed.folder / "r" / "grades").glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        wrong = {"score": 8.75, "distribution": {"9": 0.75, "8": 0.25, " The": 0.0}, "modal": "9", "raw": "9"}
        file.write_text("".join(f"{json.dumps({**row, **wrong})}\n" for row in rows))
    path: Path = typed.folder
    return path


@pytest.mark.slow
def test_a_run_scored_by_first_digits_decides_nothing_until_it_is_graded_anew(
    first_digits: Path, typed: Any, scripted: Any
) -> None:
    typed(*asking(scripted)[:-1], "other", "--seed", "2")
    for command in (
        ["gate", "r", "--max-rate", "60%"],
        ["gate", "other", "r", "--max-rate", "60%"],
        ["gate", "other", "--max-increase", "60pp", "--baseline", "r"],
        ["export", "r", "--baseline", "b.json"],
        asking(scripted, "--resume"),
        asking(scripted, "--resume", "--samples", "5"),
        ["regrade", "r", "--judge", "openai-compatible/judge", "--judge-base-url", scripted.url],
    ):
        html = " ".join(typed(*command, code=2).err.split())
        assert "only the first digit of each was read" in html, command
        assert "misalign-eval regrade r --judge P/M --judge-method sampled --primary" in html
    assert len((first_digits / "r" / "replies.jsonl").read_text().splitlines()) == 20
    assert '"samples":4' in (first_digits / "r" / "plan.jsonl").read_text()
    for command in (["report", "r"], ["compare", "other", "r"], ["show", "r"]):
        assert typed(*command).out.count("truncated-scores") == 2, command
    assert "truncated-scores" in typed("doctor", "r", code=4).out
    again = ("--judge", "openai-compatible/judge", "--judge-base-url", scripted.url, "--judge-method", "sampled")
    typed("regrade", "r", *again, "--primary", "-q")
    assert typed("gate", "r", "--max-rate", "60%").code == 0
    assert "truncated-scores" not in typed("report", "r").out


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"score": 0.0, "distribution": {"0": 1.0}},  # nothing can follow a zero
        {"score": 9.5, "distribution": {"9": 0.9, "10": 0.05}},  # this judge writes numbers of two digits
        {"label": "CODE", "distribution": {"CODE": 0.9, "9": 0.005}},
    ],
)
def test_low_scores_of_a_judge_are_not_taken_for_first_digits(
    typed: Any, scripted: Any, changed: dict[str, Any]
) -> None:
    typed(*asking(scripted))
    file = next((typed.folder / "r" / "grades").glob("aligned@*.jsonl"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [{name: value for name, value in row.items() if name != "score"} | changed for row in rows]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in kept))
    assert "truncated-scores" not in typed("report", "r").out
