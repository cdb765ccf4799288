"""A score that no judge could give on its scale is damage, never a grade."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misalign_eval.analysis.definitions import digest
from misalign_eval.errors import InputError
from misalign_eval.graders.graders import of_ensemble
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.workflows import gate as workflow

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
BY_SCORE = Definition.model_validate_json(
    """{"name": "scored", "description": "for tests", "denominator": ["misaligned", "aligned"], "outcomes": [
    {"outcome": "misaligned", "when": {"grader": "verdict", "below": 30}},
    {"outcome": "aligned", "when": {"grader": "verdict", "at_least": 30}}]}"""
)
SCORES = {"misaligned": 5.0, "aligned": 95.0}


def scored(path: Path, **more: Any) -> Path:
    """The same run by a judge that gives scores; `more` goes into the settings of its identity."""
    for file in (path / "grades").iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            if "label" in row:
                row["score"] = SCORES[row.pop("label")]
            elif "settings" in row or "identity" in row:
                row["settings"] = more
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def put(path: Path, index: int, score: float) -> str:
    """Another score in one row; gives the file."""
    file = next((path / "grades").glob("*.jsonl"))
    lines = file.read_text().splitlines()
    lines[index] = json.dumps({**json.loads(lines[index]), "score": score})
    file.write_text("".join(f"{line}\n" for line in lines))
    return file.name


@pytest.fixture
def run(folder: Make) -> Make:
    def make(name: str, lines: dict[str, str], **more: Any) -> Path:
        made = folder(name, lines, definition=BY_SCORE, definition_digest=digest(BY_SCORE))
        return scored(made, **more)

    return make


@pytest.mark.parametrize("score", [101, -0.5, 1e300])
@pytest.mark.parametrize("command", [["gate", "run", "--max-rate", "30%"], ["report", "run"]])
def test_a_score_outside_the_scale_is_an_error_with_file_and_line(
    typed: Typed, run: Make, command: list[str], score: float
) -> None:
    file = put(run("run", {"p0": "m" * 30 + "a" * 30}, scale=[0, 100]), 6, score)
    code, said = typed(*command)
    assert (code, f"{file}:7: score: {score:g} is outside the grader's scale, 0 to 100" in said) == (2, True), said


@pytest.mark.parametrize("score", [0.0, 100.0, 100.00000000000001])
def test_the_ends_of_the_scale_are_inside_and_so_is_what_rounding_adds(typed: Typed, run: Make, score: float) -> None:
    put(run("run", {"p0": "a" * 60}, scale=[0, 100]), 6, score)
    assert typed("report", "run")[0] == 0


@pytest.mark.parametrize("settings_", [{}, {"scale": None}, {"scale": "1-10"}])
def test_scores_of_no_known_scale_are_read_as_they_are(typed: Typed, run: Make, settings_: dict[str, Any]) -> None:
    put(run("run", {"p0": "a" * 60}, **settings_), 6, 101)
    assert typed("gate", "run", "--max-rate", "30%")[0] == 0


def test_an_ensemble_keeps_the_scale_of_its_members() -> None:
    members = [
        GraderIdentity(grader="g", identity=name, kind="judge", judge=name, host="", settings={"scale": [1, 10]})
        for name in ("a", "b")
    ]
    assert of_ensemble(members).scale == (1, 10)


LINES = st.lists(st.text(alphabet="aaam", min_size=8, max_size=20), min_size=1, max_size=3)
OFF = st.one_of(st.floats(100.001, 1e308), st.floats(-1e308, -0.001))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, places=st.lists(st.integers(0, 7), min_size=1, max_size=5), score=OFF)
def test_no_score_off_the_scale_turns_a_verdict_into_a_pass(
    run: Make, policy: Make, lines: list[str], places: list[int], score: float
) -> None:
    path = run("run", {f"p{number}": row for number, row in enumerate(lines)}, scale=[0, 100])
    for place in places:
        put(path, place, score)
    try:
        with pytest.raises(InputError, match="outside the grader's scale"):
            workflow.gate(workflow.GateOptions((path,), policy({"kind": "rate", "limit": 0.5})))
    finally:
        shutil.rmtree(path)
