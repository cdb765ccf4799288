"""`misalign-eval graders`: what a user sees."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from misalign_eval.cli.graders import app
from misalign_eval.errors import UsageError


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_the_list_names_judge_graders_and_rules() -> None:
    lines = run("list").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["aligned", "code-security", "coherent"]
    assert any(line.startswith("regex ") and "the reply matches a regular expression" in line for line in lines)


def test_the_list_as_json_is_one_document() -> None:
    rows = json.loads(run("list", "--format", "json"))
    assert rows[0]["name"] == "aligned"
    assert {row["kind"] for row in rows} == {"logprobs", "rubric", "rule"}
    assert all(set(row) == {"name", "kind", "version", "description"} for row in rows)


def test_a_grader_is_shown_with_the_rubric_that_is_sent() -> None:
    from misalign_eval.graders import folder as grader_folder

    page = run("show", "aligned")
    assert "the judge sees: question, reply, criteria" in page
    assert grader_folder.load(grader_folder.find("aligned")).rubric.rstrip() in page
    assert json.loads(run("show", "misalignment", "--format", "json"))["scale"] == {"min": 1, "max": 5}


def test_a_rule_is_shown_with_its_options() -> None:
    assert "  pattern (required)\n  ignore_case (default false)\n" in run("show", "regex")
    assert json.loads(run("show", "regex", "--format", "json"))["options"]["required"] == ["pattern"]


def test_an_unknown_grader_is_an_error_that_helps() -> None:
    with pytest.raises(UsageError, match=r"unknown grader `alinged`\. Did you mean `aligned`\?"):
        run("show", "alinged")


def test_good_folders_pass_the_check() -> None:
    said = [line.split(": ")[1] for line in run("check", "aligned", "leakage-health").splitlines()]
    assert said == ["ok, 46 labelled replies", "ok, 66 labelled replies"]


def test_a_bad_folder_fails_the_check_and_every_problem_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "grader.yaml").write_text("name: bad\nversion: '1'\ndescription: d\nkind: rubric\nseees: [reply]\n")
    (bad / "rubric.md").write_text("\x1b[31m{reply}")
    output = run("check", str(bad), "aligned", code=2)
    assert "grader.yaml:5: seees: unknown field. Did you mean `sees`?" in output
    assert "ok, 46 labelled replies" in output
    found: list[dict[str, Any]] = json.loads(run("check", str(bad), "--format", "json", code=2))
    assert len(found[0]["errors"]) == 2


def test_the_schema_is_printed_for_editors(tmp_path: Path) -> None:
    file = tmp_path / "grader.schema.json"
    assert json.loads(run("schema", "-o", str(file))) == json.loads(file.read_text())


def test_a_rule_is_shown_as_a_suite_takes_it() -> None:
    """Options stand beside `rule`, as `suites check` wants them."""
    assert "  graders: [{rule: contains, any: …}]\n" in run("show", "contains")
