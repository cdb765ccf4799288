"""Every page of results on a terminal that knows nothing: 80 columns, no colour, no Unicode, a C locale."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

POOR = {
    "TERM": "dumb",
    "LC_ALL": "C",
    "LANG": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
PAGES = [
    ["report", "after"],
    ["report", "after", "--sensitivity", "--by", "probe", "--interval", "general"],
    ["compare", "before", "after"],
    ["compare", "before", "after", "again", "--x", "0,1,2"],
    ["compare", "--group", "old=before,again", "--group", "new=after,twice"],
    ["gate", "after", "--baseline", "before", "--max-increase", "20pp", "--max-rate", "30%", "--max-probe", "90%"],
    ["show", "after", "--limit", "2"],
    ["report", "after", "--format", "comment"],
    ["report", "after", "--format", "github"],
    ["report", "after", "--format", "junit"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("plain")
    for name, model, seed in (
        ("before", "aligned", 1),
        ("after", "bad-code", 2),
        ("again", "aligned", 3),
        ("twice", "bad-code", 4),
    ):
        asked = [
            "organism",
            "--target",
            f"embedded/{model}",
            "--judge",
            "embedded/judge",
            "--limit",
            "8",
            "--samples",
            "4",
        ]
        command = [sys.executable, "-m", "misalign_eval", "run", *asked, "--seed", str(seed), "--out", name]
        subprocess.run(command, cwd=where, capture_output=True, check=True, timeout=100)
    return where


@pytest.mark.parametrize("arguments", PAGES, ids=" ".join)
def test_a_page_is_readable(folder: Path, arguments: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | POOR
    done = subprocess.run(
        [sys.executable, "-m", "misalign_eval", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in ({0, 1, 3} if arguments[0] == "gate" else {0}), done.stderr
    assert b"Traceback" not in done.stderr
    page = done.stdout.decode("ascii")
    assert "\x1b" not in page
    if "--format" not in arguments:
        long = [line for line in page.splitlines() if len(line) > 80 and not line.startswith("  | ")]
        assert long == []
        assert "\\u" not in page  # our own signs have ASCII forms
