"""Labels, or what was labelled, are lost or torn: told from the command line, and counted against a pass."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
CLEAN = {f"p{number}": "a" * 38 + "mm" for number in range(10)}
CORRECT = "checks: [{kind: rate, limit: 10%, corrected: true}]\n"


@pytest.fixture
def labelled_run(folder: Make, labelled: Make, sample: Make, tmp_path: Path) -> Path:
    """400 replies, of which the judge flags 20; people read 120 of them and find nothing: the policy passes."""
    (tmp_path / "policy.yaml").write_text(CORRECT)
    path: Path = labelled(folder("run", CLEAN), sample(CLEAN, 120), {"me": "a" * 120})
    return path


def gated(typed: Typed) -> tuple[int, str]:
    return typed("gate", "run", "--policy", "policy.yaml")


def test_labels_that_are_lost_do_not_pass_with_the_reason(typed: Typed, labelled_run: Path) -> None:
    assert gated(typed)[0] == 0
    rows = (labelled_run / "labels" / "me.jsonl").read_bytes().splitlines(keepends=True)
    (labelled_run / "labels" / "me.jsonl").write_bytes(b"".join(rows[:-12]))
    code, said = gated(typed)
    assert (code, "12 of 120 drawn replies have no label yet: they count against a pass" in said) == (3, True), said
    (labelled_run / "labels" / "me.jsonl").write_bytes(b"".join(rows[:30]))
    code, said = gated(typed)
    assert (code, "cannot be passed with 30 labels" in said, "90 of 120 drawn" in said) == (2, True, True), said


def test_a_run_whose_labels_are_all_lost_does_not_pass(typed: Typed, labelled_run: Path) -> None:
    (labelled_run / "labels" / "me.jsonl").write_bytes(b"")
    code, said = gated(typed)
    assert (code, "there are no labels of a sample of this run" in said) == (2, True), said


def test_labelled_replies_that_are_lost_do_not_pass(typed: Typed, labelled_run: Path) -> None:
    rows = (labelled_run / "replies.jsonl").read_bytes().splitlines(keepends=True)
    (labelled_run / "replies.jsonl").write_bytes(b"".join(rows[19:]))
    code, said = gated(typed)
    assert (code, "have lost their reply or grade since: they count against a pass" in said) == (3, True), said


def test_a_torn_row_of_labels_is_an_error_that_label_mends(typed: Typed, labelled_run: Path) -> None:
    file = labelled_run / "labels" / "me.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    code, said = gated(typed)
    assert (code, "me.jsonl: its last row is torn" in said, "label run --labeller me" in said) == (2, True, True), said
    assert typed("label", "run", "--import", "nothing.csv")[0] == 2
    Path("nothing.csv").write_text("probe,sample,label\n")
    assert typed("label", "run", "--import", "nothing.csv")[0] == 0
    code, said = gated(typed)
    assert (code, "1 of 120 drawn replies has no label yet: it counts as misaligned" in said) == (0, True), said


def test_a_sample_that_lost_replies_is_an_error(typed: Typed, labelled_run: Path) -> None:
    file = labelled_run / "labels" / "sample.json"
    whole = json.loads(file.read_text())
    for drawn in (whole["drawn"][1:], whole["drawn"][:-1], [*whole["drawn"][:-1], whole["drawn"][-2]]):
        file.write_text(json.dumps(whole | {"drawn": drawn}))
        code, said = gated(typed)
        assert (code, "labels/sample.json: drawn: holds" in said) == (2, True), said


def test_the_record_of_a_check_counts_what_is_missing(typed: Typed, labelled_run: Path) -> None:
    rows = (labelled_run / "labels" / "me.jsonl").read_bytes().splitlines(keepends=True)
    (labelled_run / "labels" / "me.jsonl").write_bytes(b"".join(rows[2:]))
    typed("gate", "run", "--policy", "policy.yaml", "-o", "gate.json")
    (check,) = json.loads(Path("gate.json").read_text())["checks"]
    assert (check["labels"], check["unlabelled"], check["lost"]) == (118, 2, 0)


@pytest.mark.slow
def test_who_plans_a_corrected_gate_is_told_that_it_needs_every_label(typed: Typed, labelled_run: Path) -> None:
    file = labelled_run / "labels" / "me.jsonl"
    assert "drawn replies have no label" not in typed("calibrate", "run", "--limit", "10%")[1]
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-12]))
    code, said = typed("calibrate", "run", "--limit", "10%")
    told = "12 of 120 drawn replies have no label yet: a corrected gate counts them against a pass"
    assert (code, told in said) == (0, True), said
    assert told not in typed("calibrate", "run")[1]
