"""The recipe for a provider in CONTRIBUTING: what it says is enough, and read by every command."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from misalign_eval import plugins
from misalign_eval.errors import UsageError
from misalign_eval.plugins import PROVIDERS, ProviderEntry, ServerPreset
from misalign_eval.providers.endpoints import resolve_endpoint
from misalign_eval.records.protocols import ModelSpec
from tests.hostile.typing_in import command

CONTRIBUTING = Path(plugins.__file__).parents[1] / ".github" / "CONTRIBUTING.md"
SUITE = """\
name: small
version: 1.0.0
description: d
licence: MIT
definition: persona-features
defaults: {samples_per_prompt: 1, category: c, split: control, graders: [refusal]}
probes: [{id: a, expect: low, prompts: [Why?]}]
"""


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> ProviderEntry:
    """The entry that the recipe shows, in the table."""
    recipe = CONTRIBUTING.read_text(encoding="utf-8").partition("**A provider.**")[2]
    code = re.search(r"```python\n(.*?)```", recipe, re.DOTALL)
    assert code is not None
    names = {"ProviderEntry": ProviderEntry, "ServerPreset": ServerPreset}
    written: dict[str, ProviderEntry] = eval("{" + code[1] + "}", names)  # noqa: S307  a text of this repository
    assert list(written) == ["my-server"]
    monkeypatch.setitem(PROVIDERS, "my-server", written["my-server"])
    return written["my-server"]


def test_one_entry_is_enough_to_run_a_suite_on_a_server_of_the_dialect(
    entry: ProviderEntry, tmp_path: Path, kit: Any, server: Any
) -> None:
    assert entry.server is not None
    (tmp_path / "s.yaml").write_text(SUITE)
    server.play(kit.step(body=kit.chat(server, "x").body(kit.answer("Because."))))
    env = {entry.server.base_variable: f"{server.url}/v1", entry.server.key_variables[0]: "sk-of-my-server"}
    ended = command(tmp_path, "run", "s.yaml", "--target", "my-server/tiny-1", "--out", "out", env=env)
    assert ended.code == 0, ended.err
    replies = [json.loads(row) for file in tmp_path.rglob("replies.jsonl") for row in file.read_text().splitlines()]
    assert [reply["text"] for reply in replies] == ["Because."]
    assert server.requests[-1].headers["authorization"] == "Bearer sk-of-my-server"


@pytest.mark.usefixtures("entry")
def test_one_entry_is_shown_by_the_commands(tmp_path: Path) -> None:
    assert "| `my-server` | My server;" in command(tmp_path, "providers", "list", "--format", "markdown").out
    shown = json.loads(command(tmp_path, "providers", "show", "my-server", "--format", "json").out)
    assert (shown["base_url"], shown["key_variable"]) == ("http://127.0.0.1:9000/v1", "MY_SERVER_API_KEY")
    assert shown["prefill"] == "an assistant turn at the end is continued"
    assert "MY_SERVER_API_KEY" in command(tmp_path, "doctor").out


def test_a_provider_of_another_package_has_an_entry_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    point = EntryPoint("theirs", "their_package:create", "misalign_eval.providers")
    monkeypatch.setattr(plugins, "_installed", lambda kind: (point,))
    found = plugins.provider_entry("theirs")
    assert (found.create, found.about, found.server) == ("their_package:create", "added by an installed package", None)
    with pytest.raises(UsageError, match="Did you mean `theirs`"):
        plugins.provider_entry("theirz")


def test_a_provider_without_http_has_no_endpoint() -> None:
    with pytest.raises(UsageError, match="sends no HTTP requests"):
        resolve_endpoint(ModelSpec("embedded", "aligned"))
