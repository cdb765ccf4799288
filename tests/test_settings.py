"""Names of models, and the file that names targets and judges."""

from pathlib import Path

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.records.protocols import ModelSpec
from misalign_eval.records.suite import Sampling
from misalign_eval.settings import Settings, load_settings, parse_model, resolve, sampling_of

FILE = """
targets:
  base:
    model: openai-compatible/tiny
    base_url: http://127.0.0.1:8000/v1
    options: {extra_body: {top_k: 40}}
  tuned:
    model: openai/ft:gpt-4.1-mini-2025-04-14:org::id
    api_key_env: LAB_KEY
    prices: {input: 0.8, output: 3.2, cached_input: 0.2}
    sampling: {temperature: 0.7, max_tokens: 300}
judges:
  careful: {model: "anthropic:claude-sonnet-5-5"}
run: {max_connections: 20}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "misalign-eval.yaml"


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("openai/gpt-5.4", ("openai", "gpt-5.4")),
        ("openai:gpt-5.4", ("openai", "gpt-5.4")),
        ("openai/ft:gpt-4o-2024-08-06:org:s:id", ("openai", "ft:gpt-4o-2024-08-06:org:s:id")),
        ("openai:ft:gpt-4o:org::id", ("openai", "ft:gpt-4o:org::id")),
        ("openrouter/vendor/model:free", ("openrouter", "vendor/model:free")),
        ("ollama/llama3:8b", ("ollama", "llama3:8b")),
        ("sglang:base:adapter", ("sglang", "base:adapter")),
        ("openai-compatible/meta-llama/Llama-3", ("openai-compatible", "meta-llama/Llama-3")),
        ("replay//abs/path", ("replay", "/abs/path")),
        ("command/python -m bot", ("command", "python -m bot")),
    ],
)
def test_a_name_is_split_once(text: str, wanted: tuple[str, str]) -> None:
    assert parse_model(text) == wanted


@pytest.mark.parametrize(
    "text, advice",
    [
        ("gpt-5.4", "Did you mean `openai/gpt-5.4`?"),
        ("ft:gpt-4o:org::id", "Did you mean `openai/ft:gpt-4o:org::id`?"),
        ("o3", "Did you mean `openai/o3`?"),
        ("claude-sonnet-5-5", "Did you mean `anthropic/claude-sonnet-5-5`?"),
        ("gemini-3.8-flash", "Did you mean `gemini/gemini-3.8-flash`?"),
        ("opnai/gpt-5.4", "unknown provider `opnai`. Did you mean `openai`?"),
        ("meta-llama/Llama-3", "`openai-compatible/meta-llama/Llama-3` with `--base-url`"),
        ("llama3", "`openai-compatible/llama3` with `--base-url`"),
        ("openai/", "names no model"),
        ("openai: ", "names no model"),
        ("", "is empty"),
    ],
)
def test_a_name_that_cannot_be_split_says_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_model(text)
    assert advice in str(caught.value)


def test_without_a_file_nothing_is_set(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()


def test_the_nearest_file_above_is_read(file: Path, tmp_path: Path) -> None:
    file.write_text(FILE)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load_settings(inner).run.max_connections == 20


def test_a_named_target_becomes_a_model(file: Path) -> None:
    file.write_text(FILE)
    settings = load_settings(file.parent)
    base = ModelSpec(
        "openai-compatible", "tiny", "http://127.0.0.1:8000/v1", options={"extra_body": {"top_k": 40}}, given="base"
    )
    tuned = ModelSpec(
        "openai", "ft:gpt-4.1-mini-2025-04-14:org::id", api_key_env="LAB_KEY", prices=(0.8, 3.2, 0.2), given="tuned"
    )
    assert resolve("base", settings) == base
    assert resolve("tuned", settings) == tuned
    assert resolve("careful", settings) == ModelSpec("anthropic", "claude-sonnet-5-5", given="careful")
    assert sampling_of("tuned", settings) == Sampling(temperature=0.7, max_tokens=300)
    assert sampling_of("openai/gpt-5.4", settings) == Sampling()


def test_flags_win_over_the_file(file: Path) -> None:
    file.write_text(FILE)
    spec = resolve("base", load_settings(file.parent), base_url="http://other:1/v1", api_key_env="MINE")
    assert (spec.base_url, spec.api_key_env) == ("http://other:1/v1", "MINE")


def test_a_name_of_both_a_target_and_a_judge_is_looked_up_in_its_role(file: Path) -> None:
    file.write_text("targets: {x: {model: openai/a}}\njudges: {x: {model: openai/b}}\n")
    settings = load_settings(file.parent)
    assert (resolve("x", settings).model, resolve("x", settings, role="judges").model) == ("a", "b")


def test_a_name_that_is_neither_shows_the_names_there_are(file: Path) -> None:
    file.write_text(FILE)
    with pytest.raises(UsageError, match=r"Named in misalign-eval\.yaml: base, careful, tuned"):
        resolve("bsae", load_settings(file.parent))


def test_everything_wrong_in_the_file_is_said_at_once_with_lines(file: Path) -> None:
    file.write_text(
        "targets:\n  a:\n    modle: openai/x\n  b:\n    model: openai/x\n    base_ulr: http://x\nruns: {}\n"
    )
    with pytest.raises(InputError) as caught:
        load_settings(file.parent)
    places = {(problem.line, problem.where) for problem in caught.value.problems}
    assert {(3, "targets.a.modle"), (6, "targets.b.base_ulr"), (7, "runs")} <= places


def test_every_model_of_the_file_is_checked_with_its_line(file: Path) -> None:
    file.write_text("targets:\n  a: {model: gpt-4o}\njudges:\n  b: {model: opnai/x}\n")
    with pytest.raises(InputError) as caught:
        load_settings(file.parent)
    assert [problem.line for problem in caught.value.problems] == [2, 4]


@pytest.mark.parametrize(
    "line",
    [
        "api_key: sk-abcdefghijklmnopqrstuv",
        "api_key: anything",
        "api_key_env: sk-abcdefghijklmnopqrstuv",
        "options: {extra_body: {token: hunter2hunter2}}",
        'options: {headers: {x: "Bearer abcdef"}}',
        "options: {list: [sk-ant-abcdefghijklmnopqrstuv]}",
    ],
)
def test_no_key_may_stand_in_the_file(file: Path, line: str) -> None:
    file.write_text(f"targets:\n  a:\n    model: openai/gpt-5.4\n    {line}\n")
    with pytest.raises(InputError) as caught:
        load_settings(file.parent)
    [problem] = caught.value.problems
    assert (problem.line, problem.what) == (4, "no key may stand in this file")
    assert "api_key_env: NAME_OF_THE_VARIABLE" in problem.fix
    assert not any(secret in str(caught.value) for secret in ("sk-a", "anything", "hunter2", "abcdef"))


def test_a_key_in_place_of_its_variable_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError) as caught:
        resolve("openai/x", Settings(), api_key_env="sk-secret-value")
    assert "sk-secret" not in str(caught.value)
