"""`import` and `merge` work in a hidden folder; what a killed one leaves there is swept away, and nothing else."""

import signal
import subprocess
import sys
from typing import Any

import pytest

Tool = Any  # the fixture of conftest.py
KILLED = """
import os, signal, sys
from misalign_eval.cli.main import main
from misalign_eval.workflows.importing import writer
writer._remove = lambda _: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[1:1] = ["{}"]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", [["merge", "s1", "s2"], ["import", "answers.csv"]], ids=lambda item: item[0])
def test_what_a_command_left_that_was_killed_at_its_end_goes_next_time(tool: Tool, command: list[str]) -> None:
    (tool.folder / "answers.csv").write_text("question,answer,aligned,coherent\nWhy?,Because.,90,95\n")
    for shard in (1, 2) if command[0] == "merge" else ():
        assert tool(*tool.asking("tuned", "--out", f"s{shard}", "--shard", f"{shard}/2", "-q")).code == 0
    name, *rest = command
    code = [sys.executable, "-c", KILLED.format(name), *rest, "--out", "all"]
    ended = subprocess.run(code, cwd=tool.folder, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    users = [
        tool.folder / ".x.merging-1",
        tool.folder / ".notes.importing-1",
        tool.folder / ".all.merging-old",
    ]
    for mine in users:
        mine.mkdir()
        (mine / "notes.txt").write_text("mine")
    assert len([*tool.folder.glob(".all.*-[0-9]*")]) == 1
    assert (tool.folder / "all" / "run.json").is_file()
    again = tool(*command, "--out", "elsewhere")
    assert again.code == 0, again.err
    assert sorted(tool.folder.glob(".*")) == sorted(users)
