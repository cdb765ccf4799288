"""What a program writes to a terminal, read from the other side."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path


def all_from(terminal: int) -> bytes:
    """Everything until the program closes its side. Waits 100 s for each piece."""
    pieces = []
    while select.select([terminal], [], [], 100)[0]:
        try:
            if not (some := os.read(terminal, 65536)):
                break
        except OSError:  # Linux says so when the other side has closed
            break
        pieces.append(some)
    return b"".join(pieces)


def on_screen(arguments: list[str], where: Path, columns: int) -> tuple[int, list[str]]:
    """Run the command with both outputs on a terminal so wide; its exit code, and the lines without their colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment = clean | {"TERM": "xterm", "PAGER": "cat", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "misalign_eval", *arguments]
    process = subprocess.Popen(command, cwd=where, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = all_from(ours).decode()
    os.close(ours)
    return process.wait(timeout=100), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n").split("\n")
