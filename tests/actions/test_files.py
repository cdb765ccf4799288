"""The action and the example workflows as files: what they name exists, and nothing is put into a shell."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from misalign_eval import __version__

ACTION = Path(__file__).parents[2] / ".github" / "actions" / "misalign-eval"
EXAMPLES = [ACTION / "examples" / name for name in ("pull-request.yml", "nightly.yml")]


def read(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  our own; `on` stays a word


@pytest.fixture(scope="module")
def action() -> Any:
    return read(ACTION / "action.yml")


def test_every_input_is_described_and_used(action: Any) -> None:
    named = set(re.findall(r"\binputs\.([a-z-]+)", (ACTION / "action.yml").read_text()))
    assert named == set(action["inputs"])
    assert all(
        set(item) <= {"description", "default", "required"} and item["description"]
        for item in action["inputs"].values()
    )


def test_every_step_that_is_named_exists(action: Any) -> None:
    named = set(re.findall(r"\bsteps\.([a-z]+)\.outputs\.([a-z-]+)", (ACTION / "action.yml").read_text()))
    steps = {item["id"]: item for item in action["runs"]["steps"] if "id" in item}
    assert {step for step, _ in named} <= set(steps)
    for step, output in named - {("upload", "artifact-url")}:
        assert f"{output}=" in (ACTION / f"{step}.sh").read_text(), (step, output)


def test_every_step_is_a_script_with_a_shell_and_no_expression_in_it(action: Any) -> None:
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        if "uses" in step:
            continue
        assert step["shell"] == "bash"
        found = re.fullmatch(r'bash "\$GITHUB_ACTION_PATH/([a-z]+\.sh)"', step["run"])
        assert found
        script = (ACTION / found[1]).read_text()
        given = set(step.get("env", {}))
        assert {name for name in given if not re.search(rf"\b{name}\b", script)} == {"GH_TOKEN"} & given


def test_no_script_reads_a_key_or_traces_its_commands() -> None:
    for script in ACTION.glob("*.sh"):
        text = script.read_text()
        assert not re.search(r"set -[a-z]*x|_API_KEY|GH_TOKEN|(?<![-\w])eval\b", text), script.name


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_uses_the_action_as_it_is(file: Path, action: Any) -> None:
    workflow = read(file)
    assert {"name", "on", "permissions", "jobs"} <= set(workflow)
    for job in workflow["jobs"].values():
        [step] = [item for item in job["steps"] if "/misalign-eval@" in item.get("uses", "")]
        assert step["uses"] == "OWNER/misalign-eval/.github/actions/misalign-eval@REF"
        assert set(step["with"]) <= set(action["inputs"])
        assert all(re.fullmatch(r"\$\{\{ secrets\.\w+ \}\}", value) for value in step["env"].values())
        assert not any("${{" in item.get("run", "") for item in job["steps"])


def test_a_pull_request_may_be_commented_on_and_a_night_needs_no_right() -> None:
    rights = [read(file)["permissions"] for file in EXAMPLES]
    assert rights == [{"contents": "read", "pull-requests": "write"}, {"contents": "read"}]


def test_the_workflows_of_this_repository_are_its_checks_and_ask_no_model() -> None:
    files = list((ACTION.parents[1] / "workflows").iterdir())
    assert not {file.name for file in files} & {file.name for file in EXAMPLES}
    for file in files:
        assert "secrets" not in file.read_text()
        workflow = read(file)
        assert workflow["permissions"] == {"contents": "read"}
        for step in (item for job in workflow["jobs"].values() for item in job["steps"]):
            assert not re.search(r"\$\{\{", step.get("run", ""))
            if command := step.get("run", "").split():
                assert os.access(ACTION.parents[2] / command[0], os.X_OK)


def test_what_the_repository_uses_is_pinned_to_a_commit(action: Any) -> None:
    workflows = [read(file) for file in (ACTION.parents[1] / "workflows").iterdir()]
    jobs = [action["runs"], *(job for workflow in workflows for job in workflow["jobs"].values())]
    used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert used
    assert [item for item in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", item)] == []


def test_a_copied_action_and_the_gitlab_job_install_this_version() -> None:
    for file in (ACTION / "install.sh", ACTION / "examples" / "gitlab-ci.yml"):
        assert re.findall(r"misalign-eval==(\S+)", file.read_text()) == [__version__], file.name


def test_the_gitlab_job_hands_its_junit_file_over_whatever_the_verdict() -> None:
    [job] = read(ACTION / "examples" / "gitlab-ci.yml").values()
    assert job["artifacts"] == {
        "when": "always", "paths": ["out"], "reports": {"junit": "out/misalign-eval.xml"},
    }  # fmt: skip
    assert job["allow_failure"] == {"exit_codes": "3"}
    assert "-o out/misalign-eval.xml" in job["script"][-1]


def test_the_readme_names_what_the_action_has(action: Any) -> None:
    text = (ACTION / "README.md").read_text()
    assert set(re.findall(r"^    ([a-z-]+): ", text, re.MULTILINE)) <= {*action["inputs"], "OPENAI_API_KEY"}
