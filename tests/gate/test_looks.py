"""Every reading of a run is a look: with more data, another judge, another definition, another policy."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.records.grade import Graded, GraderIdentity
from misalign_eval.records.policy import Stopping
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import open_run

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
FORMATS = ("text", "json", "markdown", "html", "junit", "github", "comment")
EXAMPLES = Path(__file__).parents[2] / "results" / "example"
KIND = GraderIdentity(grader="verdict", identity="77b0e2aa41cd", kind="judge", judge="openai/kind")
BAD = {f"p{number}": "am" * 20 for number in range(10)}
RULE = "checks: [{kind: rate, limit: 30%}]\n"


def kind_judge(path: Path) -> None:
    """Another judge has found all of the same replies aligned."""
    folder = open_run(path)
    rows = RowWriter(folder.add_grader(KIND))
    for reply in folder.replies():
        rows.write(Graded(label="aligned", **reply.key._asdict()))
    rows.close()


def looks(path: Path) -> int:
    return len((path / "looks.jsonl").read_text().splitlines())


@pytest.mark.parametrize("fmt", FORMATS)
def test_another_judge_is_another_look_and_every_output_names_it(typed: Typed, folder: Make, fmt: str) -> None:
    kind_judge(folder("run", BAD))
    assert typed("gate", "run", "--max-rate", "30%", "--use-judge", "verdict=openai/judge")[0] == 1
    code, said = typed("gate", "run", "--max-rate", "30%", "--use-judge", "verdict=openai/kind", "--format", fmt)
    assert code == 0, said
    assert all(word in said for word in ("look 2 at this run", "another judge", "3fa9c1d2", "77b0e2aa")), said


def test_another_definition_is_another_look(typed: Typed, folder: Make, definition: Any) -> None:
    folder("run", BAD)
    kinder = json.loads(definition.model_dump_json(exclude_none=True)) | {"name": "kinder"}
    kinder["outcomes"] = [
        {"outcome": "aligned", "when": {"grader": "verdict", "label": ["misaligned", "aligned"]}},
    ]
    Path("kinder.yaml").write_text(json.dumps(kinder))
    assert typed("gate", "run", "--max-rate", "30%")[0] == 1
    code, said = typed("gate", "run", "--max-rate", "30%", "--definition", "kinder.yaml")
    assert (code, "another definition" in said) == (0, True), said
    assert "in any of its 2 looks" in said


def test_another_policy_is_another_look_and_the_same_is_none(typed: Typed, folder: Make) -> None:
    folder("run", BAD)
    assert typed("gate", "run", "--max-rate", "30%")[0] == 1
    code, said = typed("gate", "run", "--max-rate", "60%")
    assert (code, "another policy" in said) == (0, True), said
    typed("gate", "run", "--max-rate", "60%", "--format", "json")
    assert json.loads(_json(typed, "gate", "run", "--max-rate", "60%"))["looks"] == 2


def _json(typed: Typed, *arguments: str) -> str:
    typed(*arguments, "--format", "json", "-o", "found.json")
    return Path("found.json").read_text()


def test_a_run_that_stopped_early_counts_other_readings_too(typed: Typed, folder: Make, policy: Make) -> None:
    stopping = Stopping(policy=policy({"kind": "rate", "limit": 0.3}), cap=40)
    kind_judge(folder("run", BAD, stopping=stopping))
    assert typed("gate", "run", "--use-judge", "verdict=openai/judge")[0] == 1
    code, said = typed("gate", "run", "--use-judge", "verdict=openai/kind")
    assert (code, "look 2 at this run: an earlier look had another judge" in said) == (0, True), said


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_policy_can_forbid_a_second_reading(typed: Typed, folder: Make, fmt: str) -> None:
    kind_judge(folder("run", BAD))
    Path("once.yaml").write_text(f"{RULE}looks: {{most: 1}}\n")
    assert typed("gate", "run", "--policy", "once.yaml", "--use-judge", "verdict=openai/judge")[0] == 1
    asked = ("gate", "run", "--policy", "once.yaml", "--use-judge", "verdict=openai/kind", "--format", fmt)
    code, said = typed(*asked)
    assert (code, "the policy allows 1 look" in said) == (3, True), said
    assert typed("gate", "run", "--policy", "once.yaml", "--use-judge", "verdict=openai/judge")[0] == 1


def test_the_same_reading_again_is_within_one_look(typed: Typed, folder: Make) -> None:
    folder("run", dict.fromkeys(BAD, "a" * 40))
    Path("once.yaml").write_text(f"{RULE}looks: {{most: 1}}\n")
    for _ in range(2):
        code, said = typed("gate", "run", "--policy", "once.yaml")
        assert code == 0, said
    assert looks(Path("run")) == 2


def test_a_failed_check_is_not_hidden_by_one_that_could_not_pass(typed: Typed, folder: Make) -> None:
    folder("run", {**BAD, "small": "m" * 3})
    code, said = typed("gate", "run", "--max-rate", "30%", "--max-probe", "5%")
    assert (code, "Gate: FAIL" in said, "5 % cannot be passed" in said) == (1, True, True), said
    assert looks(Path("run")) == 1


def test_nor_by_a_corrected_one_without_labels(typed: Typed, folder: Make) -> None:
    folder("run", BAD)
    Path("policy.yaml").write_text("checks: [{kind: rate, limit: 30%}, {kind: rate, limit: 2%, corrected: true}]\n")
    code, said = typed("gate", "run", "--policy", "policy.yaml")
    assert (code, "there are no labels of a sample of this run" in said) == (1, True), said
    assert "rate-corrected: inconclusive" in said


def test_a_check_that_cannot_pass_is_refused_where_none_failed(typed: Typed, folder: Make) -> None:
    folder("run", {**dict.fromkeys(BAD, "a" * 40), "small": "a" * 3})
    code, said = typed("gate", "run", "--max-rate", "30%", "--max-probe", "5%")
    assert (code, "5 % cannot be passed" in said) == (2, True), said
    assert not (Path("run") / "looks.jsonl").exists()


def _tree(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_a_gate_on_the_shipped_example_leaves_it_as_it_was(typed: Typed) -> None:
    before = _tree(EXAMPLES)
    run = str(EXAMPLES / "bad-code")
    code, said = typed("gate", run, "--max-rate", "20%")
    assert (code, "an example that ships with misalign-eval is left as it is" in said) == (1, True), said
    assert typed("gate", run, "--baseline", str(EXAMPLES / "aligned"), "--max-increase", "10pp")[0] == 1
    assert _tree(EXAMPLES) == before


def test_a_limit_of_looks_needs_a_folder_that_keeps_them(typed: Typed) -> None:
    Path("once.yaml").write_text("checks: [{kind: rate, limit: 90%}]\nlooks: {most: 1}\n")
    code, said = typed("gate", str(EXAMPLES / "bad-code"), "--policy", "once.yaml")
    assert (code, "looks.jsonl of this run is not written" in said) == (3, True), said
