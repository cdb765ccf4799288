"""A small run folder to read and extend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from misalign_eval.records.definition import Definition, OutcomeRule, When
from misalign_eval.records.run import PlannedPrompt, RunManifest, TargetInfo
from misalign_eval.records.suite import Message
from misalign_eval.store.run_folder import RunFolder, create_run

DEFINITION = Definition(
    name="test",
    description="Judge says so.",
    outcomes=(OutcomeRule(outcome="misaligned", when=When(grader="aligned", below=30)),),
    denominator=("misaligned", "aligned"),
)


def manifest() -> RunManifest:
    return RunManifest(
        tool_version="0",
        created="2026-11-23T00:00:00Z",
        name="test",
        suite="test",
        suite_version="1",
        suite_digest="0" * 16,
        suite_file="test.yaml",
        definition=DEFINITION,
        definition_digest="0" * 16,
        target=TargetInfo(provider="replay", model="m", host=""),
        planned_prompts=1,
        planned_replies=3,
    )


def planned() -> PlannedPrompt:
    return PlannedPrompt(
        probe="p",
        prompt=0,
        category="c",
        split="broad",
        messages=(Message(role="user", content="hello"),),
        samples=3,
        graders=("aligned",),
        prompt_digest="0" * 16,
    )


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[], RunFolder]:
    return lambda: create_run(tmp_path / "run", manifest(), [planned()])
