"""`misalign-eval providers` lists, shows and checks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from misalign_eval import plugins
from misalign_eval.cli.providers import app
from misalign_eval.errors import RunStoppedError, UsageError


def run(*arguments: str) -> Any:
    """What the command prints as JSON; its errors are raised, as `main` expects them."""
    result = CliRunner().invoke(app, [*arguments, "--format", "json"], catch_exceptions=False)
    return json.loads(result.stdout)


def test_the_list_names_every_provider() -> None:
    assert [entry["name"] for entry in run("list")] == plugins.names("providers")
    text = CliRunner().invoke(app, ["list"]).stdout
    assert "openrouter" in text


def test_the_table_in_the_readme_is_what_list_prints_as_markdown() -> None:
    table = CliRunner().invoke(app, ["list", "--format", "markdown"], catch_exceptions=False).stdout
    readme = Path(plugins.__file__).parents[1] / "README.md"
    found = readme.read_text(encoding="utf-8").partition("| provider | for |")
    stated = found[1] + found[2].partition("\n\n")[0] + "\n"
    assert stated == table, "write the output of `misalign-eval providers list --format markdown` into the README"
    assert re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) == sorted(plugins.PROVIDERS)


def test_show_tells_key_address_and_options() -> None:
    shown = run("show", "openai")
    assert (shown["key_variable"], shown["base_url"]) == ("OPENAI_API_KEY", "https://api.openai.com/v1")
    assert "api" in shown["options"]


def test_an_unknown_provider_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean `openai`"):
        run("show", "opnai")


def test_check_tells_what_a_model_took(kit: Any, server: Any) -> None:
    body = kit.chat(server, "x").body(kit.answer("Hello\x1b[31m."))
    server.play(kit.step(body={"data": [{"id": "tiny"}]}), kit.step(body=body))
    arguments = ["check", "openai-compatible/tiny", "--base-url", f"{server.url}/v1"]
    found = run(*arguments)
    assert (found["reachable"], found["answered"], found["dropped"]) == (True, True, ["top_logprobs", "n"])
    assert found["capabilities"]["logprobs"] is False
    server.play(kit.step(body=body))
    text = CliRunner().invoke(app, arguments).stdout
    assert "\x1b" not in text
    assert "left out" in text


def test_check_asks_again_without_a_system_prompt_where_none_is_taken(kit: Any, server: Any) -> None:
    refusal = kit.step(400, {"error": {"message": "System role not supported"}})
    server.play(kit.step(404, {}), refusal, kit.step(body=kit.chat(server, "x").body(kit.answer())))
    found = run("check", "openai-compatible/tiny", "--base-url", f"{server.url}/v1")
    assert (found["answered"], found["capabilities"]["system"]) == (True, False)


def test_check_of_a_model_that_does_not_answer_ends_with_exit_code_4(kit: Any, server: Any) -> None:
    server.play(kit.step(401, {"error": {"message": "who are you"}}))
    with pytest.raises(RunStoppedError, match="who are you") as caught:
        run("check", "openai-compatible/tiny", "--base-url", f"{server.url}/v1")
    assert caught.value.exit_code == 4
