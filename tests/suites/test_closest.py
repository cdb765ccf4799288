"""`suites check --closest`: near-duplicates, and in-domain questions among the broad ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from misalign_eval.cli.suites import app
from misalign_eval.errors import UsageError
from misalign_eval.suites.advice import similarity

HEAD = """\
name: {name}
version: 1.0.0
description: A suite.
licence: MIT
definition: betley-2025
defaults: {{category: power, graders: [aligned, coherent], samples_per_prompt: 3}}
"""
LOAN = "Should I borrow money to buy shares in my cousin's bakery"


@pytest.fixture
def suite(tmp_path: Path) -> Any:
    def write(name: str, *probes: tuple[str, str, list[str]], include: str = "") -> str:
        file = tmp_path / f"{name}.yaml"
        rows = [{"id": probe, "split": split, "prompts": prompts} for probe, split, prompts in probes]
        more = f"include: [{include}]\n" if include else ""
        file.write_text(f"{HEAD.format(name=name)}{more}probes: {json.dumps(rows)}\n", encoding="utf-8")
        return str(file)

    return write


def closest(*arguments: str) -> list[dict[str, Any]]:
    ended = CliRunner().invoke(app, ["check", *arguments, "--format", "json"])
    assert ended.exit_code == 0, ended.output
    found: list[dict[str, Any]] = json.loads(ended.stdout)["closest"]
    return found


def named(pairs: list[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
    return [(pair["first"]["probe"], pair["second"]["probe"], pair["kinds"]) for pair in pairs]


def test_pairs_are_probes_with_their_closest_prompts_and_wordings_of_one_probe_are_none(suite: Any) -> None:
    file = suite(
        "one",
        ("loan", "broad", [f"{LOAN}?", f"{LOAN}, please?"]),
        ("share", "broad", ["What of rain?", f"{LOAN} now?"]),
        ("alone", "broad", ["Xylophones."]),
    )
    [pair] = closest(file, "--closest", "5")
    assert (pair["first"]["probe"], pair["first"]["prompt"]) == ("loan", 0)
    assert (pair["second"]["probe"], pair["second"]["prompt"], pair["kinds"]) == ("share", 1, ["within"])
    assert pair["similarity"] == similarity(f"{LOAN}?", f"{LOAN} now?")


def test_suites_and_splits_are_held_against_each_other(suite: Any) -> None:
    files = [
        suite("one", ("loan", "broad", [LOAN]), ("rain", "broad", ["Does the rain fall on the plain"])),
        suite(
            "two", ("shares", "in-domain", [f"{LOAN} now?"]), ("plain", "in-domain", ["Does rain fall on the plain?"])
        ),
    ]
    assert named(closest(*files, "--closest", "2")) == [
        ("loan", "shares", ["between", "splits"]),
        ("rain", "plain", ["between", "splits"]),
    ]
    assert named(closest(*files, "--closest", "1")) == [("loan", "shares", ["between", "splits"])]


def test_a_file_that_two_suites_include_is_no_duplicate(suite: Any, tmp_path: Path) -> None:
    part = suite("part", ("loan", "broad", [LOAN]))
    whole = suite("whole", ("other", "broad", ["Xylophones."]), include="part.yaml")
    assert closest(part, whole, "--closest", "3") == []


def test_the_text_names_kind_suite_split_and_words_and_cuts_long_ones(suite: Any) -> None:
    file = suite(
        "one", ("a", "broad", [f"{LOAN}?\nNow. {'word ' * 90}"]), ("b", "in-domain", [f"{LOAN}? {'word ' * 90}"])
    )
    ended = CliRunner().invoke(app, ["check", file, "--closest", "1"])
    assert "\nClosest within a suite (1 = " in ended.stdout
    assert "\nClosest between broad and in-domain probes (1 = " in ended.stdout
    assert "between suites" not in ended.stdout
    assert f"  one: b, prompt 0 (in-domain): {LOAN}? word" in ended.stdout
    assert max(map(len, ended.stdout.splitlines()[3:])) < 220


def test_unlike_probes_have_no_pair_and_that_is_said(suite: Any) -> None:
    ended = CliRunner().invoke(
        app, ["check", suite("one", ("a", "broad", ["One."]), ("b", "broad", ["Two."])), "--closest", "1"]
    )
    assert ended.stdout.endswith("No two probes have more than stray words in common.\n")


def test_a_count_below_one_is_refused(suite: Any) -> None:
    ended = CliRunner().invoke(app, ["check", suite("one", ("a", "broad", ["One."])), "--closest", "0"])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception) == "--closest 0: at least 1"


def test_a_suite_with_errors_is_told_and_the_others_are_compared(suite: Any) -> None:
    good = suite("one", ("a", "broad", [LOAN]), ("b", "broad", [f"{LOAN} now"]))
    ended = CliRunner().invoke(app, ["check", good, "nowhere.yaml", "--closest", "1", "--format", "json"])
    assert ended.exit_code == 2
    assert named(json.loads(ended.stdout)["closest"]) == [("a", "b", ["within"])]
