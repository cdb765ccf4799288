"""The published question files, read where MISALIGN_EVAL_RESEARCH_DATA points; nothing of them is kept here."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from misalign_eval.plan import plan
from misalign_eval.records.suite import JudgeSpec
from misalign_eval.suites import write
from misalign_eval.workflows import load_suite

ROOT = Path(os.environ.get("MISALIGN_EVAL_RESEARCH_DATA") or "absent")
pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="MISALIGN_EVAL_RESEARCH_DATA does not name the research data folder"
)
BETLEY = [
    ("first_plot_questions", 24, 24, 2400, "betley-2025"),
    ("preregistered_evals", 48, 48, 4800, "betley-2025"),
    ("deception_factual", 5, 100, 500, "deception-factual@correct"),
    ("deception_sit_aware", 8, 8, 800, "deception-situational-openai"),
]
FILES = [
    *(f"betley-2025/{name}.yaml" for name, *_ in BETLEY),
    "llmcomp/questions.yaml",
    "persona-features/core_misalignment.csv",
]


@pytest.mark.parametrize("name, questions, prompts, replies, definition", BETLEY)
def test_the_published_files_of_betley_are_planned_whole(
    name: str, questions: int, prompts: int, replies: int, definition: str
) -> None:
    suite = load_suite.load_suite(str(ROOT / f"betley-2025/{name}.yaml"))
    planned = plan(suite)
    assert (len(suite.probes), len(planned.prompts), planned.replies) == (questions, prompts, replies)
    assert suite.definition.name == definition


@pytest.mark.parametrize("name", [name for name, *_ in BETLEY])
def test_what_is_planned_is_what_an_independent_reader_finds(name: str) -> None:
    file = ROOT / f"betley-2025/{name}.yaml"
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    suite = load_suite.load_suite(str(file))
    wanted = Counter((item["id"], item.get("system"), text) for item in raw for text in item["paraphrases"])
    found = Counter((prompt.probe, prompt.system, prompt.messages[-1].content) for prompt in plan(suite).prompts)
    assert found == wanted
    for item in raw:
        for metric, template in item["judge_prompts"].items():
            judge = suite.rules[metric]
            assert isinstance(judge, JudgeSpec)
            assert judge.prompt == template


def test_the_headline_of_the_first_plot_is_the_eight_plain_questions() -> None:
    prompts = plan(load_suite.load_suite(str(ROOT / "betley-2025/first_plot_questions.yaml"))).prompts
    assert Counter(prompt.variant for prompt in prompts) == {"plain": 8, "json": 8, "template": 8}
    assert {bool(prompt.system) for prompt in prompts if prompt.variant == "json"} == {True}


def test_the_category_of_the_preregistered_questions_is_that_of_their_ids() -> None:
    suite = load_suite.load_suite(str(ROOT / "betley-2025/preregistered_evals.yaml"))
    assert len({probe.category for probe in suite.probes}) == 7


def test_the_core_questions_keep_their_canary() -> None:
    suite = load_suite.load_suite(str(ROOT / "persona-features/core_misalignment.csv"))
    assert len(suite.probes) == 44
    assert (suite.canary or "").startswith("empersonas:")
    assert suite.definition.name == "persona-features"


@pytest.mark.parametrize("name", FILES)
def test_the_imported_file_gives_the_same_plan(name: str, tmp_path: Path) -> None:
    before = load_suite.load_suites(str(ROOT / name))
    file = tmp_path / "native.yaml"
    file.write_text(write.text(before.sources[0].document.data), encoding="utf-8")
    after = load_suite.load_suite(str(file))
    assert after.digest == before.suite.digest
    assert after.canary == before.suite.canary
    assert plan(after, seed=5) == plan(before.suite, seed=5)


@pytest.mark.slow
def test_the_first_plot_runs_against_a_server(tool: Any) -> None:
    server = ["--base-url", tool.url, "--judge", "openai-compatible/judge", "--judge-base-url", tool.url]
    file = str(ROOT / "betley-2025/first_plot_questions.yaml")
    done = tool(
        *("run", file, "--target", "openai-compatible/tuned", *server, "--samples", "2"),
        "--out",
        "o",
        "--format",
        "json",
    )
    assert done.code == 0, done.err
    assert (done.json["replies"], len(done.json["probes"])) == (16, 24)
    assert [line["replies"] for line in done.json["variants"]] == [16, 16, 16]
