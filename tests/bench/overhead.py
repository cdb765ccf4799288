"""What this package costs above the client that it uses: CPU a request, CPU of `--help`, memory of a long run.

    python tests/bench/overhead.py [--quick] [--only openai ...] [--repeat 5] [--no-memory]

The same request costs half as much again on a machine that is busy with other things. So the bare client and ours run
at the same time on the same core, against the same local server on another, several times over: whatever disturbs one
disturbs both. CPU is counted for each process alone; the ratio is the median of the repetitions'. Prints a table; exit
status 1 when a limit is passed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
SERVER = HERE.parent / "servers" / "chat_server.py"
RATIO_LIMITS = {"openai-compatible": 1.5, "openai": 1.3, "anthropic": 1.3}
CLIENTS = {"openai-compatible": "httpx2 alone", "openai": "AsyncOpenAI", "anthropic": "AsyncAnthropic"}
HELP_LIMIT_S = 0.25
MEMORY_LIMIT = 1.25  # times as much for 50 times the replies; the keys of the rows are kept


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    requests: int
    repeat: int
    replies: tuple[int, int]


FULL = Sizes(3000, 5, (1_000, 50_000))
QUICK = Sizes(300, 1, (200, 2_000))


@dataclass(frozen=True)
class Pair:
    """What a request cost in µs of CPU, at the same time on the same core."""

    bare: float
    ours: float


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    what: str
    bare: str
    ours: str
    value: float
    limit: float
    unit: str = "x"

    @property
    def is_within(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok" if self.is_within else "ABOVE"
        figures = f"{self.value:>8.2f}{self.unit} {self.limit:>6g}"
        return f"{self.what:<58} {self.bare:>10} {self.ours:>10} {figures} {verdict}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: small, and no limit is held")
    parser.add_argument("--only", nargs="*", choices=list(RATIO_LIMITS), help="these providers")
    parser.add_argument("--requests", type=int, help=f"a leg ({FULL.requests})")
    parser.add_argument("--repeat", type=int, help=f"repetitions ({FULL.repeat})")
    parser.add_argument("--no-memory", action="store_true", help="leave the long run out")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped, too
    sizes = QUICK if asked.quick else FULL
    sizes = Sizes(asked.requests or sizes.requests, asked.repeat or sizes.repeat, sizes.replies)
    print(f"{'CPU a request, µs; 50 in flight':<58} {'bare':>10} {'ours':>10} {'ratio':>9} {'limit':>6}")
    within = True
    with serving() as url:
        for line in _lines(url, sizes, asked.only or list(RATIO_LIMITS), with_memory=not asked.no_memory):
            print(line, flush=True)
            within = within and line.is_within
    return 0 if within or asked.quick else 1


def _lines(url: str, sizes: Sizes, providers: Sequence[str], *, with_memory: bool) -> Iterator[Line]:
    legs = [(provider, judged) for provider in providers for judged in (False, True)]
    pairs: dict[tuple[str, bool], list[Pair]] = {leg: [] for leg in legs}
    for number in range(sizes.repeat):
        for leg in legs:
            pairs[leg].append(one := _pair(*leg, url, sizes.requests))
            what = f"{leg[0]}{', judged' if leg[1] else ''}: bare {one.bare:.0f} µs, ours {one.ours:.0f} µs"
            print(f"  {number + 1} of {sizes.repeat}: {what}, {one.ours / one.bare:.2f}x", file=sys.stderr, flush=True)
    for provider, judged in legs:
        yield _ratio(provider, pairs[provider, judged], judged=judged)
    help_s = median(_process(["--help"])[0] for _ in range(5))
    yield Line("misalign-eval --help, CPU", "", f"{help_s:.3f} s", help_s, HELP_LIMIT_S, "s")
    if with_memory:
        yield _memory(url, sizes.replies)


def _pair(provider: str, judged: bool, url: str, requests: int) -> Pair:
    """The bare client goes on for as long as ours takes."""
    options = [provider, "--url", url, *(["--judge"] if judged else []), *_core(0)]
    with _leg("bare", *options) as bare, _leg("ours", *options, "--requests", str(requests)) as ours:
        mine = _found(ours)
        bare.send_signal(signal.SIGTERM)
        theirs = _found(bare)
    return Pair(theirs["cpu_s"] / theirs["requests"] * 1e6, mine["cpu_s"] / mine["requests"] * 1e6)


@contextmanager
def _leg(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """A leg that is warm: it has said that it is ready."""
    command = [sys.executable, str(HERE / "legs.py"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_plain()) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{' '.join(command)}\n{process.communicate()[1]}")
        try:
            yield process
        finally:
            process.kill()


def _found(leg: "subprocess.Popen[str]") -> dict[str, float]:
    out, err = leg.communicate()
    if leg.returncode:
        raise RuntimeError(f"{leg.args!r}\n{err}")
    found: dict[str, float] = json.loads(out)
    return found


def _ratio(provider: str, pairs: Sequence[Pair], *, judged: bool) -> Line:
    what = f"{provider} / {CLIENTS[provider]}: {'target and judge' if judged else 'target, three rules'}"
    bare, ours = median(pair.bare for pair in pairs), median(pair.ours for pair in pairs)
    ratio = median(pair.ours / pair.bare for pair in pairs)
    return Line(what, f"{bare:.0f}", f"{ours:.0f}", ratio, RATIO_LIMITS[provider])


def _memory(url: str, replies: tuple[int, int]) -> Line:
    """Peak memory of the whole command at two sizes of one run."""
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        suite = Path(name) / "suite.yaml"
        suite.write_text(_suite())
        for count in replies:
            print(f"  a run of {count:,} replies …", file=sys.stderr, flush=True)
            out, samples = Path(name) / str(count), str(count // 100)
            words = ["run", str(suite), "--target", "openai-compatible/base", "--base-url", f"{url}/v1", "--seed", "1"]
            cpu_s, peak_mb = _process([*words, "--samples", samples, "--out", str(out), "--quiet", "--format", "json"])
            rows = sum(1 for _ in (out / "replies.jsonl").open("rb"))
            if rows != count:
                raise RuntimeError(f"{rows} rows of {count}")
            print(f"  {count:,} replies: {cpu_s:.1f} s CPU in all, peak {peak_mb:.1f} MB", file=sys.stderr, flush=True)
            peaks.append(peak_mb)
    small, large = replies
    what = f"peak memory of `run`, {small:,} and {large:,} replies"
    return Line(what, f"{peaks[0]:.1f} MB", f"{peaks[1]:.1f} MB", peaks[1] / peaks[0], MEMORY_LIMIT)


def _suite() -> str:
    command = [sys.executable, str(HERE / "legs.py"), "suite"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _process(arguments: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and peak MB of one `misalign-eval` command, from start to end."""
    command = [sys.executable, "-m", "misalign_eval", *arguments]
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(command, stdout=noise, stderr=noise, env=_plain())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            noise.seek(0)
            raise RuntimeError(f"{' '.join(command)}\n{noise.read().decode(errors='replace')}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _plain() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1"}


def _core(wanted: int) -> list[str]:
    """Client and server on cores of their own, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return ["--core", str(cores[wanted])] if len(cores) > 1 else []


@contextmanager
def serving() -> Iterator[str]:
    """The local server's address while it runs."""
    process = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)
    try:
        if core := _core(1):
            os.sched_setaffinity(process.pid, {int(core[1])})
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    raise SystemExit(main())
