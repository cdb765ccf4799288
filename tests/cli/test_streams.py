"""Standard streams that are closed, full or left, and screens without a size: what is said, and which exit code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from misalign_eval.cli import terminal

EXAMPLE = Path(__file__).parents[2] / "results" / "example"
PASSES = ("gate", "aligned", "--max-rate", "90%")
FAILS = ("gate", "bad-code", "--max-rate", "3%")
CLOSED = "misalign-eval: standard output cannot be written: it is closed\n"
FULL = "misalign-eval: standard output cannot be written: No space left on device\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("streams")
    for name in ("aligned", "bad-code"):
        shutil.copytree(EXAMPLE / name, where / name)
    return where


def _shell(folder: Path, arguments: tuple[str, ...], ending: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """The command line as a shell starts it, with a redirection."""
    command = f'"$@" {ending}'
    return subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-m", "misalign_eval", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | more,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("suites", "list"), PASSES], ids=" ".join)
@pytest.mark.parametrize("ending,told", [(">&-", CLOSED), (">/dev/full", FULL)])
def test_output_that_is_lost_is_told_in_one_line_and_ends_with_4(
    folder: Path, arguments: tuple[str, ...], ending: str, told: str
) -> None:
    done = _shell(folder, arguments, ending)
    assert (done.returncode, done.stderr) == (4, told)


@pytest.mark.slow
def test_no_verdict_is_promised_by_its_code_where_nobody_could_read_it(folder: Path) -> None:
    assert _shell(folder, FAILS, "").returncode == 1
    assert _shell(folder, FAILS, ">/dev/full").returncode == 4


@pytest.mark.slow
def test_unbuffered_output_is_no_other(folder: Path) -> None:
    done = _shell(folder, PASSES, ">/dev/full", PYTHONUNBUFFERED="1")
    assert (done.returncode, done.stderr) == (4, FULL)


@pytest.mark.slow
def test_an_error_keeps_its_own_code_and_words_where_no_output_was_due(folder: Path) -> None:
    done = _shell(folder, ("report", "nowhere"), ">&-")
    assert (done.returncode, "nowhere" in done.stderr, "standard output" in done.stderr) == (2, True, False)


@pytest.mark.slow
@pytest.mark.parametrize("arguments,code", [(PASSES, 0), (FAILS, 1), (("suites", "list"), 0)])
def test_a_reader_who_leaves_changes_no_exit_code(folder: Path, arguments: tuple[str, ...], code: int) -> None:
    done = _shell(folder, arguments, '| true; exit "${PIPESTATUS[0]}"')
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.slow
def test_a_command_without_any_stream_still_has_its_code(folder: Path) -> None:
    assert _shell(folder, FAILS, "<&- >&- 2>&-").returncode == 4
    assert _shell(folder, ("report", "nowhere"), "2>/dev/full").returncode == 2
    assert _shell(folder, ("suites", "list"), "<&-").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [{"COLUMNS": "0"}, {"COLUMNS": "abc", "LINES": "0"}, {"COLUMNS": "-5"}])
def test_an_impossible_size_of_the_screen_is_as_good_as_none(folder: Path, sizes: dict[str, str]) -> None:
    assert _shell(folder, PASSES, "", **sizes).stdout.startswith("Gate: PASS\nrun ")


def test_a_size_that_can_be_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "²")
    terminal.drop_zero_terminal_size()
    assert (os.environ["COLUMNS"], "LINES" in os.environ) == ("120", False)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("doctor",), ("run", "quick", "--target", "embedded/aligned")])
def test_a_working_folder_that_is_gone_is_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "gone").mkdir()
    tool = f'"{sys.executable}" -P -m misalign_eval {" ".join(arguments)}'
    done = _shell(tmp_path, (), f"--version >/dev/null; cd gone && rmdir ../gone && exec {tool}")
    told = "misalign-eval: the folder that you stand in has been deleted. Change to another one\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("doctor",), ("run", "organism", "--target", "openai/gpt-5.4")])
def test_an_env_file_that_is_no_text_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00abc")
    done = _shell(tmp_path, arguments, "")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"misalign-eval: {tmp_path / '.env'}: is no text in UTF-8")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_was_typed_wrongly_acts_on_no_terminal(folder: Path) -> None:
    for words in (("report", "--\u202eflip"), ("\u202eflip",), ("--\u202eflip",), ("suites", "\u202eflip")):
        ended = _shell(folder, words, "")
        assert (ended.returncode, "\\u202eflip" in ended.stderr, "\u202e" in ended.stderr) == (2, True, False), ended
