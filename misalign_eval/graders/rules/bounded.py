"""One regular expression in a process of its own, killed when a search takes too long."""

import json
import subprocess
import sys
import weakref
from pathlib import Path
from threading import Event, Lock, Timer

TIME_LIMIT_S = 2.0
_WORKER = Path(__file__).with_name("bounded_worker.py")


class Matcher:
    """Searches texts for one pattern. The process is started by the first search and again after one was killed."""

    def __init__(self, pattern: str, flags: int = 0, *, whole: bool = False, limit_s: float = TIME_LIMIT_S) -> None:
        self._asked = {"pattern": pattern, "flags": flags, "whole": whole, "limit_s": limit_s}
        self._limit_s = limit_s
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def search(self, text: str) -> tuple[int, int] | None:
        """Where the first match begins and ends. Raises TimeoutError after the limit, OSError when nothing runs."""
        with self._lock:
            process, too_late = self._running(), Event()
            timer = Timer(self._limit_s, _stop, (process, too_late))
            timer.start()
            try:
                answer = _exchange(process, json.dumps({**self._asked, "text": text}))
            finally:
                timer.cancel()
                timer.join()
            if answer is None or too_late.is_set():
                self._process = None
                _end(process)
        if answer is None:
            raise TimeoutError if too_late.is_set() else OSError("the process ended before it answered")
        return None if answer == [] else (answer[0], answer[1])

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-I", "-S", str(_WORKER)]
            process = subprocess.Popen(  # noqa: S603  our own file
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us, not for it
            )
            weakref.finalize(self, _end, process)
            self._process = process
        return self._process


def _exchange(process: "subprocess.Popen[bytes]", question: str) -> list[int] | None:
    """One question and its answer; None when the process ended before it answered."""
    if process.stdin is None or process.stdout is None:  # pragma: no cover  both were asked for
        raise OSError("no pipe to the process")
    try:
        process.stdin.write(question.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    if not line.endswith(b"\n"):
        return None
    answer: list[int] = json.loads(line)
    return answer


def _stop(process: "subprocess.Popen[bytes]", too_late: Event) -> None:
    too_late.set()
    process.kill()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
