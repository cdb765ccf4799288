import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from misalign_eval import plugins
from misalign_eval.cli.suites import app
from misalign_eval.errors import UsageError

BAD = Path(__file__).parent / "bad"
GOOD = """\
name: good
version: 1.0.0
description: "Escapes: \\e[31m"
licence: MIT
definition: betley-2025
defaults: {category: power, graders: [aligned, coherent], samples_per_prompt: 3}
variants: {unused: {suffix: Please.}}
probes:
  - {id: first, prompts: [What now, Which way], variants: [json]}
  - id: talk
    system: Be kind.
    messages: [{role: user, content: Hello}, {role: assistant, content: <reply>}, {role: user, content: Go on}]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD, encoding="utf-8")
    return str(file)


@pytest.mark.slow
def test_the_list_counts_what_each_bundled_suite_asks() -> None:
    result = run("list", "--format", "json")
    assert result.exit_code == 0
    (quick,) = [row for row in json.loads(result.stdout) if row["name"] == "quick"]
    assert list(quick) == ["name", "version", "description", "probes", "prompts", "replies"]
    assert (quick["probes"], quick["prompts"], quick["replies"]) == (24, 48, 240)
    assert "24 probes, 48 prompts, 240 replies" in run("list").stdout


def test_a_suite_is_shown_with_the_keys_that_others_rely_on(good: str) -> None:
    shown = json.loads(run("show", good, "--format", "json").stdout)
    assert list(shown) == ["name", "version", "definition", "probes"]
    first, talk = shown["probes"]
    assert first == {
        "id": "first",
        "category": "power",
        "split": "broad",
        "prompts": ["What now", "Which way"],
        "system": None,
        "graders": ["aligned", "coherent"],
    }
    assert talk["system"] == "Be kind."
    assert [turn["role"] for turn in talk["prompts"][0]] == ["user", "assistant", "user"]


def test_what_a_suite_says_cannot_act_on_the_terminal(good: str) -> None:
    text = run("show", good).stdout
    assert "\x1b" not in text
    assert "Escapes: \\x1b[31m" in text


def test_warnings_leave_the_check_at_0_unless_it_is_strict(good: str) -> None:
    result = run("check", good)
    assert (result.exit_code, run("check", good, "--strict").exit_code) == (0, 2)
    assert result.stdout == (
        f"warning: {good}:7: variants.unused: no probe names this variant: it never reaches a request. "
        "Name it under `variants` of a probe or of defaults.\n"
        f"{good}: 2 probes, 3 prompts, 15 replies, 1 warning\n"
    )


def test_the_errors_of_several_files_are_told_in_one_check(good: str) -> None:
    result = run("check", str(BAD / "duplicate-key.yaml"), good, "quik")
    assert result.exit_code == 2
    assert (
        "duplicate-key.yaml:11: probes[0].category: duplicate key, first on line 8. Keep one of them." in result.stdout
    )
    assert f"{good}: 2 probes" in result.stdout
    assert "error: quik: unknown suite `quik`. Did you mean `quick`?" in result.stdout


def test_the_check_as_json_holds_file_line_place_and_fix() -> None:
    file = str(BAD / "unknown-key.yaml")
    result = run("check", file, "--format", "json")
    (found,) = json.loads(result.stdout)
    assert (result.exit_code, found["suite"], found["ok"], found["warnings"]) == (2, file, False, [])
    assert {
        "file": file,
        "line": 9,
        "where": "probes[0].promt",
        "what": "unknown field",
        "fix": "Did you mean `prompts`?",
    } in found["errors"]


@pytest.mark.slow
def test_all_bundled_suites_pass_a_strict_check() -> None:
    assert run("check", "--all", "--strict").exit_code == 0


def test_a_check_of_nothing_is_a_usage_error() -> None:
    result = run("check")
    assert isinstance(result.exception, UsageError)


def test_the_schema_command_prints_what_lies_beside_the_suites(tmp_path: Path) -> None:
    written = (plugins.suites_dir() / "suite.schema.json").read_text(encoding="utf-8")
    assert run("schema").stdout == written
    run("schema", "-o", str(tmp_path / "copy.json"))
    assert (tmp_path / "copy.json").read_text(encoding="utf-8") == written
