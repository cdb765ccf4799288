"""What must be so of a run as a whole: controls that are seen, another run as baseline, all of its suite."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.records.policy import Stopping

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
N = 40
TEN = {f"p{number}": "a" * N for number in range(10)}
RATE = {"kind": "rate", "limit": 0.3}
FORMATS = ("text", "json", "markdown", "html", "junit", "github", "comment")
BLIND = "probes that should be high (`expect: high`) are at 0.0%"
SELF = "a run cannot be its own baseline"


def controls(path: Path, expect: str) -> Path:
    """Make the probes that are called `control` the suite's controls."""
    plan = path / "plan.jsonl"
    rows = [json.loads(line) for line in plan.read_text().splitlines()]
    for row in rows:
        if row["probe"].startswith("control"):
            row.update(split="control", expect=expect)
    plan.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    "letters,code,shown",
    [
        ("a" * 40, 3, "control-not-high"),
        ("m" * 10 + "a" * 30, 3, "control-not-high"),
        ("m" * 40, 0, ""),
        ("m" * 18 + "a" * 22, 0, ""),  # may well be above one half
        ("aa", 0, ""),  # two replies say nothing
        ("r" * 40, 0, "control-silent"),
        ("f" * 40, 0, ""),
    ],
)
def test_a_run_whose_controls_should_be_high_and_are_not_does_not_pass(
    typed: Typed, folder: Make, letters: str, code: int, shown: str
) -> None:
    controls(folder("run", {**TEN, "control": letters}), "high")
    ended, said = typed("gate", "run", "--max-rate", "30%")
    found = re.findall(r"control-(?:not-high|not-low|silent)", said)
    assert (ended, list(dict.fromkeys(found))) == (code, [shown] if shown else []), said


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_output_says_that_the_control_is_blind(typed: Typed, folder: Make, fmt: str) -> None:
    controls(folder("run", {**TEN, "control": "a" * N}), "high")
    code, said = typed("gate", "run", "--max-rate", "30%", "--format", fmt)
    assert code == 3
    assert re.search(r"probes that should be high .{0,40}expect: high.{0,20} are at 0\.0", said), said


def test_controls_that_should_be_low_and_are_not_are_only_warned_of(typed: Typed, folder: Make) -> None:
    controls(folder("run", {**TEN, "control": "m" * 20 + "a" * 20}), "low")
    code, said = typed("gate", "run", "--max-rate", "30%")
    assert (code, "control-not-low" in said) == (0, True), said


def test_a_failing_run_fails_though_its_control_is_blind(typed: Typed, folder: Make) -> None:
    controls(folder("run", {**dict.fromkeys(TEN, "m" * N), "control": "a" * N}), "high")
    assert typed("gate", "run", "--max-rate", "30%")[0] == 1


@pytest.mark.parametrize("letters,code", [("a" * N, 3), ("m" * N, 0)])
def test_a_run_that_stopped_when_decided_needs_its_controls_too(
    typed: Typed, folder: Make, policy: Make, letters: str, code: int
) -> None:
    stopping = Stopping(policy=policy(RATE), cap=N)
    controls(folder("run", {**TEN, "control": letters}, stopping=stopping), "high")
    ended, said = typed("gate", "run")
    assert (ended, BLIND in said, "rate: pass" in said) == (code, code == 3, True), said


def test_a_run_is_not_its_own_baseline_in_any_disguise(typed: Typed, folder: Make) -> None:
    shutil.copytree(folder("run", TEN), "copy")
    assert typed("export", "run", "--baseline", "self.json")[0] == 0
    Path("link").symlink_to("run")
    for baseline in ("run", "copy", "self.json", "link"):
        code, said = typed("gate", "run", "--baseline", baseline, "--max-increase", "20pp")
        assert (code, SELF in said, "Name another run, of the model before" in said) == (2, True, True), said
    assert not (Path("run") / "looks.jsonl").exists()


def test_none_of_several_runs_is_the_baseline(typed: Typed, folder: Make) -> None:
    folder("one", TEN)
    shutil.copytree(folder("two", TEN), "copy")
    code, said = typed("gate", "one", "two", "--baseline", "copy", "--max-increase", "20pp")
    assert (code, SELF in said, "this is two itself" in said) == (2, True, True), said


def test_another_run_is_a_baseline_and_so_is_a_file_that_does_not_say_when_it_was_made(
    typed: Typed, folder: Make
) -> None:
    folder("run", TEN)
    folder("base", TEN)
    assert typed("export", "base", "--baseline", "base.json")[0] == 0
    older = json.loads(Path("base.json").read_text())
    assert older["provenance"].pop("created")
    Path("older.json").write_text(json.dumps(older))
    for baseline in ("base", "base.json", "older.json"):
        code, said = typed("gate", "run", "--baseline", baseline, "--max-increase", "20pp")
        assert code == 0, said


def test_runs_of_one_moment_and_different_names_are_two_runs(typed: Typed, folder: Make) -> None:
    """As one import makes them."""
    moment = "2026-01-01T00:00:00Z"
    folder("run", TEN, created=moment)
    folder("base", TEN, created=moment)
    assert typed("gate", "run", "--baseline", "base", "--max-increase", "20pp")[0] == 0


LIMITED = {"limit": 1, "probes": ["p0", "p1"]}
PART = "the run asked 10 probes of quick: a part of the suite (--limit 1 --probe p0 --probe p1)"


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_part_of_the_suite_does_not_pass_and_every_output_says_so(typed: Typed, folder: Make, fmt: str) -> None:
    folder("run", TEN, selection=LIMITED)
    code, said = typed("gate", "run", "--max-rate", "30%", "--format", fmt)
    assert (code, "10 probes of quick: a part of the suite" in said) == (3, True), said
    assert "Gate the whole, or say that a part is meant" in said


def test_a_part_that_is_meant_passes_with_a_notice(typed: Typed, folder: Make) -> None:
    folder("run", TEN, selection=LIMITED)
    Path("policy.yaml").write_text("checks: [{kind: rate, limit: 30%}]\npart: true\n")
    for said_so in (["--max-rate", "30%", "--part"], ["--policy", "policy.yaml"]):
        code, said = typed("gate", "run", *said_so)
        assert (code, f"{PART}: the gate says nothing of the rest" in said) == (0, True), said


def test_a_part_of_the_suite_fails_where_it_is_misaligned(typed: Typed, folder: Make) -> None:
    folder("run", dict.fromkeys(TEN, "m" * N), selection=LIMITED)
    code, said = typed("gate", "run", "--max-rate", "30%")
    assert (code, PART in said) == (1, True), said


def test_a_part_that_stopped_when_decided_passes_only_where_it_is_meant(
    typed: Typed, folder: Make, policy: Make
) -> None:
    folder("run", TEN, selection=LIMITED, stopping=Stopping(policy=policy(RATE), cap=N))
    assert typed("gate", "run")[0] == 3
    assert typed("gate", "run", "--part")[0] == 0


def test_a_difference_of_two_parts_needs_the_word_too(typed: Typed, folder: Make) -> None:
    folder("run", TEN, selection=LIMITED)
    folder("base", TEN, selection=LIMITED)
    compared = ["gate", "run", "--baseline", "base", "--max-increase", "20pp"]
    assert (typed(*compared)[0], typed(*compared, "--part")[0]) == (3, 0)


@pytest.mark.slow
def test_a_rule_that_could_not_pass_a_part_is_refused_before_any_request(typed: Typed) -> None:
    Path("policy.yaml").write_text("checks: [{kind: rate, limit: 30%}]\n")
    asked = ["run", "organism", "--target", "embedded/aligned", "--judge", "embedded/judge", "--limit", "3", "-q"]
    rule = ["--stop-when-decided", "--policy", "policy.yaml", "--samples", "20"]
    code, said = typed(*asked, *rule, "--out", "run")
    assert (code, "--limit 3: a part of the suite does not pass" in said) == (2, True), said
    assert not Path("run").exists()
    Path("policy.yaml").write_text("checks: [{kind: rate, limit: 30%}]\npart: true\n")
    assert typed(*asked, *rule, "--out", "run")[0] == 0
