"""Where a run's replies come from, whether there are any, and whether they are whole."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.records.run import TargetInfo

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
CLEAN = {f"p{number}": "a" * 40 for number in range(10)}
FORMATS = ("text", "json", "markdown", "html", "junit", "github", "comment")


def replay(path: str) -> TargetInfo:
    return TargetInfo(provider="replay", model=path, host="")


@pytest.mark.parametrize("recorded", ["base", "base/replies.jsonl", "./base"])
def test_a_run_that_replays_its_baseline_is_refused(typed: Typed, folder: Make, recorded: str) -> None:
    folder("base", CLEAN)
    folder("run", CLEAN, target=replay(recorded))
    code, said = typed("gate", "run", "--baseline", "base", "--max-increase", "20pp")
    assert (code, "replays this baseline's own answers" in said) == (2, True), said


def test_a_run_and_a_baseline_that_replay_the_same_answers_are_refused(typed: Typed, folder: Make) -> None:
    folder("origin", CLEAN)
    folder("base", CLEAN, target=replay("origin"))
    folder("run", CLEAN, target=replay("origin/replies.jsonl"))
    for run, baseline in (("run", "base"), ("origin", "base"), ("run", "origin")):
        code, said = typed("gate", run, "--baseline", baseline, "--max-increase", "20pp")
        assert (code, "replays" in said) == (2, True), said


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_output_says_that_answers_were_replayed(typed: Typed, folder: Make, fmt: str) -> None:
    folder("run", CLEAN, target=replay("other"))
    code, said = typed("gate", "run", "--max-rate", "20%", "--format", fmt)
    assert (code, "gives recorded answers again" in said) == (0, True), said


def test_a_run_older_than_its_baseline_is_named(typed: Typed, folder: Make) -> None:
    folder("base", CLEAN, created="2026-02-01T00:00:00Z")
    folder("run", CLEAN, created="2026-01-01T00:00:00Z")
    asked = ("--max-increase", "20pp")
    code, said = typed("gate", "run", "--baseline", "base", *asked)
    assert (code, "before its baseline (2026-01-01" in said) == (0, True), said
    assert "before its baseline" not in typed("gate", "base", "--baseline", "run", *asked)[1]


def test_a_baseline_file_with_a_strange_date_is_read(typed: Typed, folder: Make) -> None:
    folder("base", CLEAN)
    folder("run", CLEAN)
    typed("export", "base", "--baseline", "base.json")
    for created in ("soon", "2026-02-01", "0001-01-01T00:00:00+14:00"):
        document = json.loads(Path("base.json").read_text())
        document["provenance"]["created"] = created
        Path("base.json").write_text(json.dumps(document))
        assert typed("gate", "run", "--baseline", "base.json", "--max-increase", "20pp")[0] == 0


@pytest.mark.parametrize("letters", ["-", "f", "u", "t", "i", "r"])
@pytest.mark.parametrize("fmt", ["text", "junit"])
def test_no_policy_accepts_a_run_without_graded_replies(typed: Typed, folder: Make, letters: str, fmt: str) -> None:
    folder("run", dict.fromkeys(CLEAN, letters * 40))
    Path("policy.yaml").write_text("checks: [{kind: rate, limit: 20%}]\non_inconclusive: pass\n")
    code, said = typed("gate", "run", "--policy", "policy.yaml", "--format", fmt)
    assert (code, "accepted by policy" in said) == (3, False), said
    if fmt == "junit":
        assert "<error" in said


def test_a_policy_may_still_accept_too_little_evidence(typed: Typed, folder: Make) -> None:
    folder("run", dict.fromkeys(CLEAN, "a" * 30 + "m" * 10))
    Path("policy.yaml").write_text("checks: [{kind: rate, limit: 25%}]\non_inconclusive: pass\n")
    code, said = typed("gate", "run", "--policy", "policy.yaml")
    assert (code, "accepted by policy" in said) == (0, True), said


@pytest.mark.parametrize("fmt", FORMATS)
def test_replies_that_do_not_say_how_they_ended_are_named(typed: Typed, folder: Make, fmt: str) -> None:
    folder("run", {**CLEAN, "open": "x" * 40})
    code, said = typed("gate", "run", "--max-rate", "20%", "--format", fmt)
    assert (code, "did not say how 40 of 440 replies ended" in said) == (0, True), said


def test_whole_replies_are_not(typed: Typed, folder: Make) -> None:
    folder("run", CLEAN)
    typed("gate", "run", "--max-rate", "20%", "-o", "found.json")
    assert not re.search(
        "unknown-ends|replayed|older", json.dumps(json.loads(Path("found.json").read_text())["warnings"])
    )
