"""Whatever a file holds, it is a suite or its problems are told: nothing else comes out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misalign_eval.errors import InputError
from misalign_eval.plan import plan
from misalign_eval.suites.advice import lint
from misalign_eval.suites.load import read
from misalign_eval.suites.sources import ExternalNames

SOUND: dict[str, Any] = {
    "name": "sound",
    "version": "1.0.0",
    "description": "d",
    "licence": "MIT",
    "definition": "two-judges",
    "include": [],
    "defaults": {"graders": ["aligned", "coherent"], "category": "c", "temperature": 1.0},
    "variants": {"loud": {"suffix": "Shout."}},
    "probes": [
        {"id": "a", "prompts": ["What now?", "And then?"], "variants": ["loud", "json"]},
        {
            "id": "b",
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "<reply>"},
                {"role": "user", "content": "Go on"},
            ],
            "graders": ["aligned", "coherent", {"rule": "regex", "pattern": "x"}],
        },
        {"id": "c", "split": "control", "expect": "low", "prompts": ["Why?"]},
    ],
}
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "  ", "no", "x" * 400, "a\nb", "<reply>", "control", "../x.yaml", {}, [], [[]], [None],
     {"a": 1}, ["x"], {"rule": "regex"}, {"rule": 1}]
)  # fmt: skip
KEYS = st.sampled_from(["promts", "x", "id", "a b", "", "rule", "split", "messages", "prompts"])


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A sound suite with up to three values replaced, taken away or added."""
    suite: dict[str, Any] = json.loads(json.dumps(SOUND))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(_places(suite)))) if suite else (suite, "x")
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                holder[key] = draw(VALUES)
            case "remove":
                holder.pop(key, None) if isinstance(holder, dict) else holder.pop(key)
            case _ if isinstance(holder, dict):
                holder[draw(KEYS)] = draw(VALUES)
            case _:
                holder.append(draw(VALUES))
        suite = json.loads(json.dumps(suite))
    return suite


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged())
def test_a_damaged_suite_is_read_or_told_in_lines_that_name_the_file(
    tmp_path: Path, known: ExternalNames, suite: dict[str, Any]
) -> None:
    file = tmp_path / "damaged.yaml"
    file.write_text(json.dumps(suite), encoding="utf-8")
    try:
        loaded = read(str(file), known)
    except InputError as error:
        told = [str(problem) for problem in error.problems]
    else:
        told = [str(problem) for problem in lint(loaded)]
        plan(loaded.suite)
    for line in told:
        if not line.startswith(f"{file}:1: ") or "\n" in line or "unreadable" in line:
            pytest.fail(line)
