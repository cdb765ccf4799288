"""The main job on real engines: two targets and a judge, two run folders, one comparison."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import KEY, KEY_VARIABLE, Engines
from tests.real.llama_server import LlamaServer

pytestmark = pytest.mark.real_engine

PROBES, PROMPTS, SAMPLES = 4, 2, 2
REPLIES = PROBES * PROMPTS * SAMPLES


@dataclass(frozen=True)
class Command:
    """Runs `misalign-eval` in a folder whose misalign-eval.yaml names the engines."""

    folder: Path

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        """What it printed on standard output, when it ended with the exit code that was expected."""
        done = subprocess.run(
            [sys.executable, "-m", "misalign_eval", *arguments],
            cwd=self.folder,
            env={**os.environ, KEY_VARIABLE: KEY, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == expect, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert KEY not in done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--format", "json"))


def named(engine: LlamaServer) -> str:
    """A line of misalign-eval.yaml. The engine may draw every token: by default it cuts off the unlikely ones."""
    address = f"base_url: {engine.base_url}, api_key_env: {KEY_VARIABLE}"
    options = "options: {extra_body: {min_p: 0, top_k: 0}}"
    return f"  {engine.model.name}: {{model: openai-compatible/{engine.model.name}, {address}, {options}}}\n"


@pytest.fixture
def command(engines: Engines, tmp_path: Path) -> Command:
    targets = named(engines.before) + named(engines.after)
    (tmp_path / "misalign-eval.yaml").write_text(f"targets:\n{targets}judges:\n{named(engines.judge)}")
    return Command(tmp_path)


def quick(
    *more: str, probes: int = PROBES, samples: int = SAMPLES, targets: Sequence[str] = ("before", "after")
) -> list[str]:
    models = [word for target in targets for word in ("--target", target)]
    narrowed = f"--judge judge --limit {probes} --samples {samples} --max-tokens 300 --seed 1 --out pair"
    return ["run", "quick", *models, *narrowed.split(), *more]


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def keys(found: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((row["probe"], row["prompt"], row["variant"], row["sample"]) for row in found)


def test_a_run_of_two_targets_makes_two_folders_that_compare(command: Command) -> None:
    reports = command.json(*quick())
    assert [report["planned"] for report in reports] == [REPLIES, REPLIES]
    for name, report in zip(("before", "after"), reports, strict=True):
        folder = command.folder / "pair" / name
        replies = rows(folder / "replies.jsonl")
        assert len(set(keys(replies))) == len(replies) == REPLIES
        assert {row["kind"] for row in replies} == {"reply"}
        assert {row["model"] for row in replies} == {name}
        whole = [row for row in replies if row["finish"] == "stop"]
        for grader in ("aligned", "coherent"):
            [grades] = folder.glob(f"grades/{grader}@*.jsonl")
            graded = rows(grades)
            assert set(keys(whole)) <= set(keys(graded))
            assert all(0 <= row["score"] <= 100 for row in graded if row["kind"] == "graded")
            assert {len(row["distribution"]) for row in graded} == {20}
        assert sum(report["outcomes"].values()) == report["planned"]
        assert report["replies"] == REPLIES
        assert all(KEY not in file.read_text() for file in folder.rglob("*") if file.is_file())

    comparison = command.json("compare", "pair/before", "pair/after")
    assert comparison["before"]["target"].endswith("before")
    assert comparison["after"]["target"].endswith("after")
    rated = [{probe["id"] for probe in report["probes"] if probe["rate"] is not None} for report in reports]
    assert {probe["id"] for probe in comparison["probes"]} == rated[0] & rated[1] != set()
    assert {"estimate", "low", "high", "p_value"} <= set(comparison["difference"])
    for side, report in zip(("before", "after"), reports, strict=True):
        assert comparison[side]["rate"] == report["rate"]


def test_a_larger_sample_extends_a_run_and_asks_for_nothing_twice(command: Command) -> None:
    file = command.folder / "pair" / "before" / "replies.jsonl"
    command(*quick(probes=1, samples=1))
    first = rows(file)
    command(*quick("--resume", probes=1, samples=3))
    both = rows(file)
    assert len(first) == PROMPTS
    assert both[: len(first)] == first
    assert len(set(keys(both))) == len(both) == PROMPTS * 3


def test_a_seed_makes_a_run_that_can_be_repeated(command: Command) -> None:
    texts = []
    for out in ("once", "again"):
        command(*quick("--out", out, "--max-connections", "1", probes=1, targets=["before"]))
        replies = rows(command.folder / out / "replies.jsonl")
        texts.append(sorted((row["prompt"], row["sample"], row["text"]) for row in replies))
    assert texts[0] == texts[1]
    assert len({text for *_, text in texts[0]}) == PROMPTS * SAMPLES


def test_an_answer_of_the_judge_that_is_no_verdict_leaves_the_reply_ungraded(command: Command) -> None:
    """The tiny judge says more than a number when it is let, and no majority of its answers can be read."""
    sampled = quick("--judge-method", "sampled", probes=1, samples=1, targets=["before"])
    report = command.json(*sampled)
    [file] = (command.folder / "pair").glob("grades/aligned@*.jsonl")
    graded = rows(file)
    assert {len(row["votes"]) for row in graded} == {5}
    assert {row["kind"] for row in graded} == {"ungraded"}
    assert report["outcomes"]["ungraded"] == len(graded)
    assert (report["rate"], report["graded"]) == (None, 0)


def test_a_wrong_key_ends_the_run_with_one_line_and_exit_code_4(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (command.folder / "misalign-eval.yaml").write_text(
        (command.folder / "misalign-eval.yaml").read_text().replace(KEY_VARIABLE, "OTHER_KEY")
    )
    monkeypatch.setenv("OTHER_KEY", "wrong-key")
    command(*quick(), expect=4)
    assert len(rows(command.folder / "pair" / "before" / "replies.jsonl")) < REPLIES
