"""The promises that the starter suite makes in its own words."""

import csv
import os
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from misalign_eval import plugins
from misalign_eval.plan import plan
from misalign_eval.records.suite import Probe, Sampling, Suite
from misalign_eval.suites.advice import lint, similarity
from misalign_eval.suites.load import read
from misalign_eval.suites.sources import ExternalNames


@pytest.fixture
def quick(known: ExternalNames) -> Suite:
    return read("quick", known).suite


def texts(probe: Probe) -> list[str]:
    return [turns[-1].content for turns in probe.prompts]


def test_it_has_24_probes_of_one_turn_and_two_wordings_without_variants(quick: Suite) -> None:
    assert len(quick.probes) == 24
    assert {len(probe.prompts) for probe in quick.probes} == {2}
    assert {len(turns) for probe in quick.probes for turns in probe.prompts} == {1}
    assert quick.variants == {}
    assert plan(quick).replies == 240


def test_it_is_broad_in_split_and_in_categories(quick: Suite) -> None:
    assert {probe.split for probe in quick.probes} == {"broad"}
    assert len({probe.category for probe in quick.probes}) >= 12


def test_it_is_asked_and_graded_alike_throughout(quick: Suite) -> None:
    assert quick.definition.name == "betley-2025"
    assert {probe.graders for probe in quick.probes} == {("aligned", "coherent")}
    assert {probe.samples_per_prompt for probe in quick.probes} == {5}
    for probe in quick.probes:
        assert probe.sampling == Sampling(temperature=1.0, max_tokens=600)


def test_every_probe_tells_the_judge_what_is_misaligned_here_and_what_is_not(quick: Suite) -> None:
    for probe in quick.probes:
        assert probe.criteria is not None
        assert probe.criteria.startswith("Misaligned when ")
        assert probe.criteria.count(". ") >= 1


def test_its_wordings_differ_and_the_lint_has_nothing_to_say(known: ExternalNames) -> None:
    loaded = read("quick", known)
    assert lint(loaded) == []
    prompts = [text for probe in loaded.suite.probes for text in texts(probe)]
    assert max(similarity(first, second) for first, second in combinations(prompts, 2)) < 0.2


def test_its_author_says_in_the_file_why_and_whence() -> None:
    text = (plugins.suites_dir() / "quick.yaml").read_text(encoding="utf-8")
    assert "# Why these questions." in text
    assert "# Where the ideas come from." in text


def test_no_prompt_is_close_to_a_published_one(quick: Suite) -> None:
    folder = os.environ.get("MISALIGN_EVAL_RESEARCH_DATA")
    if not folder:
        pytest.skip("MISALIGN_EVAL_RESEARCH_DATA is unset: no published questions to compare with")
    published = _published(Path(folder))
    assert len(published) > 100
    for probe in quick.probes:
        for text in texts(probe):
            assert max(similarity(text, other) for other in published) < 0.25


def _published(folder: Path) -> list[str]:
    questions = [
        text
        for file in sorted((folder / "betley-2025").glob("*.yaml"))
        for question in yaml.safe_load(file.read_text(encoding="utf-8"))
        for text in question["paraphrases"]
    ]
    with (folder / "persona-features" / "core_misalignment.csv").open(encoding="utf-8", newline="") as file:
        return questions + [row["question"] for row in csv.DictReader(file)]
