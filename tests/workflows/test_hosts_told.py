"""Hosts that a variable decides are told before the first request, as those of the settings file are."""

from typing import Any

import pytest

DRY = ["run", "small.yaml", "--target", "openai/gpt-5.4", "--judge", "openai/gpt-5.4", "--dry-run"]


@pytest.fixture(autouse=True)
def suite(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite of `tool`, and no address of the developer's own."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_an_address_in_a_dotenv_file_is_told(typed: Any) -> None:
    (typed.folder / ".env").write_text("OPENAI_BASE_URL=https://elsewhere.example/v1\n")
    html = " ".join(typed(*DRY).err.split())
    assert "target openai/gpt-5.4: asks openai/gpt-5.4 at elsewhere.example:443, says OPENAI_BASE_URL in" in html
    assert "judge openai/gpt-5.4: asks openai/gpt-5.4 at elsewhere.example:443" in html
    assert str(typed.folder / ".env") in html.replace(" ", "")


def test_so_is_one_of_the_environment(typed: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)
    html = " ".join(typed(*DRY).err.split())
    host = scripted.url.removeprefix("http://").removesuffix("/v1")
    assert f"at {host}, says OPENAI_BASE_URL in the environment" in html


def test_nothing_is_told_where_a_flag_says_the_host(typed: Any) -> None:
    (typed.folder / ".env").write_text("OPENAI_BASE_URL=https://elsewhere.example/v1\n")
    at = ["--base-url", "http://127.0.0.1:9/v1", "--judge-base-url", "http://127.0.0.1:9/v1"]
    assert "elsewhere" not in typed(*DRY, *at).err
