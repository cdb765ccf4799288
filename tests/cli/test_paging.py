"""`show` on a terminal: through the pager of the user, and in parts everywhere."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminals import all_from

PAGER = """#!{python}
import sys
text = sys.stdin.read()
print("PAGED", text.count("==="), "\\x1b" in text)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("paging")
    asked = ["organism", "--target", "embedded/bad-code", "--judge", "embedded/judge", "--limit", "4", "--samples", "3"]
    command = [sys.executable, "-m", "misalign_eval", "run", *asked, "--out", "run"]
    subprocess.run(command, cwd=where, capture_output=True, check=True, timeout=100)
    return where / "run"


def shown(run: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "misalign_eval", "show", str(run), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


def on_terminal(run: Path, pager: str, *arguments: str, **more: str) -> str:
    """What is on a terminal of 24 lines after `show`."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PAGER": pager, "LINES": "24", "COLUMNS": "80", "NO_COLOR": "1"} | more
    command = [sys.executable, "-m", "misalign_eval", "show", str(run), *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    text = all_from(ours).decode()
    os.close(ours)
    assert process.wait(timeout=100) == 0
    return text


@pytest.fixture
def pager(tmp_path: Path) -> str:
    file = tmp_path / "a pager"
    file.write_text(PAGER.format(python=sys.executable))
    file.chmod(0o755)
    return f"'{file}'"


@pytest.mark.slow
def test_what_does_not_fit_the_screen_goes_through_the_pager_whole(run: Path, pager: str) -> None:
    assert on_terminal(run, pager).strip() == "PAGED 36 False"


@pytest.mark.slow
def test_what_fits_is_printed(run: Path, pager: str) -> None:
    assert "PAGED" not in on_terminal(run, pager, "--limit", "1", LINES="100")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--no-pager"], ["--format", "json"]])
def test_no_pager_where_none_is_wanted(run: Path, pager: str, arguments: list[str]) -> None:
    assert "PAGED" not in on_terminal(run, pager, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cat", "no-such-pager-here", ""])
def test_without_a_pager_the_replies_are_printed(run: Path, name: str) -> None:
    assert on_terminal(run, name, LESS="-FX", PATH=str(Path(sys.executable).parent)).count("=== ") == 36


@pytest.mark.slow
def test_in_a_pipe_nothing_is_paged(run: Path) -> None:
    assert shown(run).count("=== ") == 20


@pytest.mark.slow
def test_offset_goes_on_where_the_last_page_ended(run: Path) -> None:
    keys = [line.split()[1] for line in shown(run, "--limit", "36").splitlines() if line.startswith("=== ")]
    first, second = shown(run, "--limit", "5"), shown(run, "--limit", "5", "--offset", "5")
    pages = [[line.split()[1] for line in page.splitlines() if line.startswith("=== ")] for page in (first, second)]
    assert pages == [keys[:5], keys[5:10]]
    assert first.splitlines()[-1] == "5 of 36 matching replies: --limit shows more, --offset 5 the next"
    assert second.splitlines()[-1] == "6 to 10 of 36 matching replies: --limit shows more, --offset 10 the next"
    assert shown(run, "--offset", "36") == "0 of 36 matching replies: --offset 36 is past the last\n"
