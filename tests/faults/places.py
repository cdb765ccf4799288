"""Where a run is written: a full disk, a folder that takes nothing, one that moves, two writers, a clock that jumps.

    python tests/faults/places.py [--only disk ...] [--sizes 8 24 ...]

Full disks and read-only folders need a mount namespace of one's own (root, or user namespaces); what cannot be tried
here is skipped with the reason. Exit status 1 when something was wrong.
"""

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.faults.killing import verdict
from tests.faults.tool import Ended, Facts, Started, Tool, facts, forget, serving, suite, table

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


SIZES_KIB = (4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72)  # the last are enough for all rows
INSIDE = "MISALIGN_EVAL_TEST_NAMESPACE"
Row = tuple[str, str, str]  # what was tried, what was seen, and what was wrong with it
CONNECTIONS = ("--max-connections", "4", "-q")


class Places:
    """One tool, one server, one undisturbed run, and everything that may happen to its folder."""

    def __init__(self, tool: Tool, sizes: Sequence[int]) -> None:
        self.tool = tool
        self.sizes = sizes
        (tool.folder / "suite.yaml").write_text(suite(6, 5))
        assert tool(*self.run("whole")).code == 0
        self.whole: Facts = facts(tool.folder / "whole")

    def run(self, out: str) -> list[str]:
        """The command that fills a folder, or goes on with it."""
        return self.tool.asking("varied", "--out", out, *CONNECTIONS, "--resume")

    def check(self, what: str, out: str, ended: Ended, seen: str) -> Row:
        """The run is now what it would have been."""
        if ended.code:
            return what, seen, f"exit code {ended.code}: {ended.err[-300:]}"
        same = facts(self.tool.folder / out) == self.whole
        same = same and verdict(self.tool, out) == verdict(self.tool, "whole")
        return what, seen, "" if same else "rows, totals or verdict differ"

    def begun(self, out: str, rows: int = 5) -> Started:
        """A run that has written some replies, and goes on."""
        started = self.tool.start(*self.run(out))
        file = self.tool.folder / out / "replies.jsonl"
        while not started.is_over() and not (file.exists() and file.read_bytes().count(b"\n") >= rows):
            time.sleep(0.002)
        return started

    def disk(self) -> Iterator[Row]:
        """A disk of every size from too small to begin to nearly large enough."""
        if why := no_mounts():
            yield "a full disk", f"skipped: {why}", ""
            return
        for size in self.sizes:
            place = self.tool.folder / f"disk{size}"
            place.mkdir()
            mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place))
            ended = self.tool(*self.run(f"disk{size}/run"))
            full = "the disk is full" in ended.err or "No space left on device" in ended.err
            wrong = "" if ended.code in (0, 2, 4) and (full or not ended.code) else f"{ended.code}: {ended.err[-300:]}"
            mount("-o", "remount,size=8m", str(place))
            again = self.tool(*self.run(f"disk{size}/run"))
            seen = f"exit {ended.code}, told: {full}; with room again: exit {again.code}"
            what, seen, odd = self.check(f"a disk of {size} KiB", f"disk{size}/run", again, seen)
            yield what, seen, wrong or odd

    def read_only(self) -> Iterator[Row]:
        """A folder that takes nothing more."""
        if why := no_mounts():
            yield "a read-only folder", f"skipped: {why}", ""
            return
        self.begun("archive").send(signal.SIGKILL)
        place = str(self.tool.folder / "archive")
        mount("--bind", place, place)
        mount("-o", "remount,ro,bind", place)
        codes = {name: self.tool(*line) for name, line in self.read_only_commands().items()}
        wrong = [
            f"{name}: {code.code}, {code.err[-200:]}" for name, code in codes.items() if code.code not in (0, 2, 3)
        ]
        wrong += [] if "cannot be written" in codes["run"].err else ["run does not say why"]
        subprocess.run(["umount", place], check=True)
        seen = ", ".join(f"{name} {code.code}" for name, code in codes.items())
        what, seen, odd = self.check("a read-only folder", "archive", self.tool(*self.run("archive")), seen)
        yield what, seen, "; ".join(wrong) or odd

    def read_only_commands(self) -> dict[str, list[str]]:
        """Writing is refused, reading works."""
        judge = ["--judge", "openai-compatible/judge", "--judge-base-url", self.tool.url]
        return {
            "run": self.run("archive"),
            "regrade": ["regrade", "archive", *judge],
            "report": ["report", "archive"],
            "gate": ["gate", "archive", "--max-rate", "10%"],
        }

    def moved(self) -> Iterator[Row]:
        """A folder that is somewhere else when it is gone on with."""
        started = self.begun("before")
        started.send(signal.SIGKILL)
        started.wait()
        (self.tool.folder / "elsewhere").mkdir()
        (self.tool.folder / "before").rename(self.tool.folder / "elsewhere" / "after")
        ended = self.tool(*self.run("elsewhere/after"))
        yield self.check("a folder that moved", "elsewhere/after", ended, f"exit {ended.code}")

    def two(self) -> Iterator[Row]:
        """Two processes and one folder; then a lock that a dead process has left."""
        first = self.begun("both")
        second = self.tool(*self.run("both"))
        ended = first.wait()
        refused = second.code == 2 and f"another process (pid {first.pid}) is writing" in second.err
        what, seen, odd = self.check("two writers", "both", ended, f"second: exit {second.code}, refused: {refused}")
        yield what, seen, odd or ("" if refused else second.err[-300:])
        forget(self.tool.url)
        holder = self.begun("stale")
        holder.send(signal.SIGKILL)
        holder.wait()
        left = (self.tool.folder / "stale" / "run.lock").read_text().strip()
        ended = self.tool(*self.run("stale"))
        yield self.check("a lock of the dead", "stale", ended, f"left by {left}; exit {ended.code}")

    def clock(self) -> Iterator[Row]:
        """A wall clock that jumps back and forth; a monotonic one, which timeouts go by, does not."""
        if (library := faketime()) is None:
            yield "a clock that jumps", "skipped: python -m pip install libfaketime makes it possible", ""
            return
        for what, jumps in (("jumps back", ("+0", "-3h")), ("jumps to and fro", ("+0", "+2d", "-2d", "+1h"))):
            out = f"clock{len(jumps)}"
            ended = self.under(library, jumps, *self.run(out))
            took = f"exit {ended.code} after {ended.took_s:.1f} s"
            yield self.check(f"a clock that {what}", out, ended, took)
        hung = self.tool.asking("fault-hang", "--out", "hung", "--timeout", "2", "--limit", "1", "--samples", "1", "-q")
        ended = self.under(library, ("+0", "-3h", "+3h"), *hung)
        wrong = "" if ended.code == 4 and 6 <= ended.took_s < 20 else f"{ended.code} after {ended.took_s:.1f} s"
        yield "a clock that jumps while all hangs", f"exit {ended.code} after {ended.took_s:.1f} s", wrong

    def under(self, library: str, jumps: tuple[str, ...], *arguments: str) -> Ended:
        """Carry out a command while its wall clock jumps every half second."""
        file = self.tool.folder / "clock"
        file.write_text(jumps[0] + "\n")
        faked = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
        started = self.tool.fresh(*arguments, env={**faked, "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        turn = 0
        while not started.is_over():
            time.sleep(0.3)
            turn += 1
            file.write_text(jumps[turn % len(jumps)] + "\n")
        return started.wait()


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def no_mounts() -> str:
    """Why no file system can be mounted here; nothing where it can."""
    return "" if os.environ.get(INSIDE) else "no mount namespace can be made here (root or user namespaces needed)"


def faketime() -> str | None:
    """The preloaded library of the package libfaketime, where it is installed."""
    spec = importlib.util.find_spec("libfaketime")
    places = spec.submodule_search_locations if spec else None
    found = [path for place in places or () for path in Path(place).rglob("libfaketime.so.1")]
    return str(found[0]) if found else None


def in_a_namespace() -> int | None:
    """This command again, where it may mount; None where that is not possible, or is so already."""
    if os.environ.get(INSIDE):
        return None
    for flags in (["-m"], ["-rm"]):
        if subprocess.run(["unshare", *flags, "true"], check=False, capture_output=True).returncode == 0:
            command = ["unshare", *flags, sys.executable, *sys.argv]
            return subprocess.run(command, check=False, env={**os.environ, INSIDE: "1"}).returncode
    return None


def main() -> int:
    """Try everything, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES_KIB, help="of the full disks, in KiB")
    options = parser.parse_args()
    try:
        ended = in_a_namespace()
    except FileNotFoundError:  # no unshare
        ended = None
    if ended is not None:
        return ended
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, serving("--latency-ms", "10") as url:
        places = Places(Tool(Path(folder), url), options.sizes)
        tried: dict[str, Callable[[], Iterator[Row]]] = {
            "disk": places.disk, "read-only": places.read_only, "moved": places.moved, "two": places.two,
            "clock": places.clock,
        }  # fmt: skip
        for name, item in tried.items():
            if not options.only or name in options.only:
                rows += item()
        for disk in Path(folder).glob("disk*"):
            subprocess.run(["umount", str(disk)], check=False)
    print(table(("tried", "seen", "wrong"), [(what, seen, odd or "nothing") for what, seen, odd in rows]))
    return 1 if any(odd for _, _, odd in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
