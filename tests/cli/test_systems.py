"""A system without the locks and signals of POSIX is told so in one line."""

import subprocess
import sys

import pytest

START = "from misalign_eval.cli.main import main; main()"
HIDDEN = (
    "import sys\nfor name in ('fcntl', 'termios', 'tty', 'pty', 'pwd', 'grp', 'resource'): sys.modules[name] = None\n",
    "import signal\ndel signal.SIGHUP\n",
)


@pytest.mark.parametrize("hide", HIDDEN)
@pytest.mark.parametrize("command", ["doctor", "suites list", "run quick --target openai/x"])
def test_without_posix_every_command_says_in_one_line_what_is_supported(hide: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", hide + START, *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "misalign-eval: runs on Linux and macOS; on Windows use it inside the Windows Subsystem for Linux (WSL)"
    ]
