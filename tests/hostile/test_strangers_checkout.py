"""Working in a stranger's checkout: what its files decide is told before anything is sent."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from misalign_eval import settings
from misalign_eval.errors import InputError, UsageError
from misalign_eval.plugins import graders_dir
from misalign_eval.providers.keys import environment
from tests.hostile.server import serving
from tests.hostile.typing_in import command
from tests.secrets.leaks import SUITE

NAMED = """\
targets:
  plain: {model: openai-compatible/x, sampling: {temperature: 1.0}}
  it: {model: openai-compatible/x, base_url: 'URL', api_key_env: OTHER_SECRET, options: {verify: false}}
  started: {model: command/./run-me}
  "forged\\nmisalign-eval: all is well \\e[2J": {model: openai-compatible/x, base_url: 'URL'}
"""
FORGED = "forged\nmisalign-eval: all is well \x1b[2J"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(SUITE)
    return tmp_path


def test_host_key_and_program_of_the_settings_are_told_before_the_first_request(checkout: Path) -> None:
    with serving() as server:
        (checkout / "misalign-eval.yaml").write_text(NAMED.replace("URL", server.url))
        where = f"says {checkout.resolve() / 'misalign-eval.yaml'}"
        told = f"asks openai-compatible/x at {server.url} with the key in OTHER_SECRET without verifying TLS, {where}"
        lines = {
            "--target it --judge it": [f"target it: {told}", f"judge it: {told}"],
            "--target plain --base-url http://127.0.0.1:9/v1 --judge it": [f"judge it: {told}"],
            "--target started --judge it": [
                f"target started: starts the program `./run-me`, {where}",
                f"judge it: {told}",
            ],
        }
        for line, expected in lines.items():
            ended = command(checkout, "run", "s.yaml", *line.split(), "--dry-run", env={"OTHER_SECRET": "x" * 20})
            assert ended.code == 0, ended.err
            assert ended.err.splitlines() == expected
        assert server.bodies == []
        ended = command(checkout, "run", "s.yaml", "--target", FORGED, "--judge", "it", "--dry-run")
        assert ended.err.splitlines()[0].startswith("target forged misalign-eval: all is well \\x1b[2J: asks ")


def test_flags_win_and_are_not_said_to_be_the_files(checkout: Path) -> None:
    (checkout / "misalign-eval.yaml").write_text(
        NAMED.replace("URL", "http://evil.example/v1").replace(", options: {verify: false}", "")
    )
    at = ["--base-url", "http://127.0.0.1:9/v1", "--api-key-env", "MINE"]
    judge = ["--judge", "replay/none.csv"]
    ended = command(checkout, "run", "s.yaml", "--target", "it", *at, *judge, "--dry-run")
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_settings_that_another_user_laid_into_an_open_folder_are_refused(tmp_path: Path) -> None:
    file, work = tmp_path / settings.FILE_NAME, tmp_path / "work"
    work.mkdir()
    file.write_text("{}\n")
    os.chown(file, 12345, 12345)
    ours, theirs = settings.Settings().model_dump(), settings.load_settings(work).model_dump()
    assert theirs == ours  # a colleague's, where only colleagues write
    tmp_path.chmod(0o1777)
    with pytest.raises(InputError, match="belongs to another user"):
        settings.load_settings(work)
    os.chown(file, os.getuid(), 0)
    assert settings.load_settings(work).model_dump() == ours


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_keys_that_another_user_laid_into_an_open_folder_are_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("VLLM_BASE_URL=http://evil.example/v1\n")
    os.chown(file, 12345, 12345)
    assert environment(tmp_path)["VLLM_BASE_URL"] == "http://evil.example/v1"  # a colleague's
    tmp_path.chmod(0o1777)
    with pytest.raises(UsageError, match="belongs to another user"):
        environment(tmp_path)


def test_a_grader_in_the_place_of_a_bundled_one_is_told(checkout: Path) -> None:
    (checkout / "graders" / "misalignment").mkdir(parents=True)
    spec = "name: misalignment\nversion: 9.0.0\ndescription: d\nkind: rubric\nscale: {min: 1, max: 5}\nsees: [reply]\n"
    (checkout / "graders" / "misalignment" / "grader.yaml").write_text(spec)
    (checkout / "graders" / "misalignment" / "rubric.md").write_text("Say 1.\n\n{reply}\n")
    at = "--base-url http://127.0.0.1:9/v1 --judge openai-compatible/y --judge-base-url http://127.0.0.1:9/v1"
    ended = command(checkout, "run", "s.yaml", "--target", "openai-compatible/x", *at.split(), "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.err == "graders/misalignment here takes the place of the bundled grader `misalignment`\n"


def test_a_copy_of_the_bundled_graders_is_not_told_but_for_what_it_changes(checkout: Path) -> None:
    shutil.copytree(graders_dir(), checkout / "graders")
    at = "--base-url http://127.0.0.1:9/v1 --judge openai-compatible/y --judge-base-url http://127.0.0.1:9/v1"
    line = ["run", "s.yaml", "--target", "openai-compatible/x", *at.split(), "--dry-run"]
    assert (command(checkout, *line).code, command(checkout, *line).err) == (0, "")
    for rubric in ("coherent", "leakage"):  # nine graders share the second
        (checkout / "graders" / rubric / "rubric.md").write_text("Say 100 of {question}.\n\n{reply}\n")
    names = [line.split("`")[1] for line in command(checkout, *line).err.splitlines()]
    assert names[0] == "coherent"
    assert [name.partition("-")[0] for name in names[1:]] == ["leakage"] * 9


@pytest.mark.slow
def test_a_run_folder_of_a_stranger_ends_in_no_internal_error_and_speaks_to_nobody() -> None:
    chosen = ["plan: 10000000000", "shard 1000", "created 9999", "latency of 1e300", "name a host", "named '..'"]
    script = Path(__file__).with_name("strange_runs.py")
    line = [sys.executable, str(script), *chosen]
    done = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 cases bad" in done.stdout
