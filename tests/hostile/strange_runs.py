"""Run folders, baselines, settings and graders from strangers: whatever stands in them, nothing is run, sent or lost.

    python tests/hostile/strange_runs.py [WORD ...]

Each case spoils one thing of a run folder, or of the folder that one works in, and types commands; WORDs choose cases
by name. None may end in an internal error, take long or much memory, read or write a file elsewhere, or speak to a host
that nobody named. Prints a table; exit status 1 where one did. Memory is bounded by the system while it runs.
"""

import json
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

from tests.hostile.strange_files import MOST_MEMORY, MOST_RISE_MB
from tests.hostile.strange_run_cases import ANSWERS, RUN, SUITE, Case, cases
from tests.hostile.typing_in import Ended, command

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


MOST_S = 6
SECRET = "a secret of the user's"
KEY = "sk-proj-0123456789abcdefghij"


class Evil:
    """A host that nobody named. Counts who calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._ended = Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                self._socket.accept()[0].close()
            except TimeoutError:
                continue
            self.calls += 1

    def close(self) -> None:
        self._ended.set()


class TooLongError(Exception):
    """The command did not end in time."""


def _ring(*_: object) -> None:
    raise TooLongError


def prepare(folder: Path) -> None:
    """A run folder of our own, a second one beside it, and what is the user's."""
    (folder / "s.yaml").write_text(SUITE)
    (folder / "answers.csv").write_text(ANSWERS)
    (folder / "private").write_text(SECRET)
    ended = command(folder, *RUN.split())
    if ended.code == 70 or not (folder / "run" / "run.json").exists():
        raise RuntimeError(ended.err)
    rows = [{"probe": probe, "prompt": 0, "variant": "plain", "sample": 0, "kind": "graded", "score": 1.0}
            for probe in "ab"]  # fmt: skip
    (grades,) = (folder / "run" / "grades").glob("*.json")
    grades.with_suffix(".jsonl").write_text("".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows))


def wrong(folder: Path, line: str, evil: Evil) -> str | None:
    """What one command did that it should not."""
    before, calls = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, evil.calls
    signal.signal(signal.SIGALRM, _ring)
    signal.alarm(MOST_S)
    try:
        ended = command(folder, *line.split(), env={"OPENAI_API_KEY": KEY, "SECRET": KEY})
    except TooLongError:
        return f"did not end within {MOST_S} s"
    finally:
        signal.alarm(0)
    rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return _told(folder, ended) or (
        f"took {rise:.0f} MB" if rise > MOST_RISE_MB else "spoke to a stranger's host" if evil.calls > calls else None
    )


def _told(folder: Path, ended: Ended) -> str | None:
    last = (ended.err.strip().splitlines() or [""])[-2:]
    if ended.code == 70 or "internal error" in ended.err:
        return f"internal error: {' '.join(last)[:200]}"
    if (folder / "private").read_text() != SECRET or any(
        folder / "made" not in file.parents for file in folder.parent.rglob("owned*")
    ):
        return "wrote what is not its own"
    if SECRET in ended.out + ended.err or KEY in ended.out + ended.err:
        return "told a secret"
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink() and file.name != "private")
    return next((f"{file.name} holds a secret" for file in files if SECRET.encode() in file.read_bytes()), None)


def tried(case: Case, path: Path, evil: Evil) -> list[str]:
    """The commands of a case that did what they should not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        shutil.copytree(path, folder)
        shutil.copytree(folder / "run", folder / "run2")
        case.make(folder, evil.address)
        told = ((line, wrong(folder, line, evil)) for line in case.lines)
        return [f"{line[:50]}: {problem}" for line, problem in told if problem]


def main() -> int:
    """Try every case and print the table."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    evil, bad, commands, start = Evil(), 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        chosen = [case for case in cases() if not sys.argv[1:] or any(word in case.name for word in sys.argv[1:])]
        for case in chosen:
            found = tried(case, Path(name), evil)
            commands += len(case.lines)
            bad += bool(found)
            print(f"{case.name:52} {'BAD' if found else 'fine'}", flush=True)
            for item in found:
                print(f"    {item}", flush=True)
    evil.close()
    print(f"{len(chosen)} cases, {commands} commands: {bad} cases bad ({time.monotonic() - start:.0f} s)")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
