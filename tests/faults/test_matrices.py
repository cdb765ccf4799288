"""The matrices of this folder, small: each is the command that a person types, with few moments, faults and places."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(300)  # they wait more than they compute, on a busy machine for long
@pytest.mark.parametrize(
    "command",
    [
        ["crash.py", "--moments", "5", "--seed", "7", "--only", "run"],
        ["crash.py", "--moments", "2", "--seed", "7", "--only", "regrade", "merge"],
        ["faults.py", "--only", "429", "reset-body", "wrong-types", "big-chunked", "101", "infinite", "--no-mix"],
        ["faults.py", "--only-proxy", "407", "403", "502", "echo", "close-tunnel", "reset-body", "headers"],
        ["faults.py", "--no-matrix", "--replies", "60", "--each", "0.02", "--slow", "0.001"],
        ["places.py", "--only", "disk", "moved", "two", "--sizes", "8", "24"],
    ],
    ids=" ".join,
)
def test_a_short_matrix_finds_nothing_wrong(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / command[0]), *command[1:]], capture_output=True, text=True, timeout=290, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
