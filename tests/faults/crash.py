"""Kill commands at any moment, go on, and compare with commands that nobody killed.

    python tests/faults/crash.py [--moments 200] [--seed 1] [--only run ...]

`run` is killed at `--moments` moments, and half as many times stopped by SIGTERM and Ctrl-C; `regrade`, `import`,
`merge` and early stopping at a tenth of that. Prints a table; exit status 1 when anything was lost, asked more often
than it was in flight, or came out otherwise.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from tests.faults.killing import CONNECTIONS, NAMED, PHASES, Command, Tried, try_moment, undisturbed
from tests.faults.tool import Tool, serving, suite, table

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


POLICY = "checks: [{kind: rate, limit: 80%}]\n"
SHARDS = 3
IMPORTED = 4000


def commands(tool: Tool) -> Iterator[tuple[Command, float]]:
    """What is stopped, and for which share of the moments."""
    limits = ["--max-connections", str(CONNECTIONS), "-q"]

    def run() -> list[str]:
        return tool.asking("varied", "--out", "run", *limits)

    def stopping() -> list[str]:
        return tool.asking("varied", "--out", "early", *limits, "--stop-when-decided", "--policy", "policy.yaml")

    def regrade() -> list[str]:
        judge = ["--judge", "openai-compatible/judge-2", "--judge-base-url", tool.url]
        return ["regrade", "graded", *judge, *limits]

    def imported() -> list[str]:
        return ["import", "answers.jsonl", "--out", "imported"]

    def merge() -> list[str]:
        return ["merge", *(f"s{n}" for n in range(1, SHARDS + 1)), "--out", "merged"]

    def unless_made(command: Callable[[], list[str]], out: str) -> Callable[[], list[str]]:
        """What appears at once is whole when it is there: the command, typed again, is refused, and the run is read."""

        def again() -> list[str]:
            if not (tool.folder / out).exists():
                return command()
            refused = tool(*command())  # which sweeps away what the killed one has left
            assert refused.code == 2, refused.err
            return ["report", out]

        return again

    yield Command("run", "run", run, lambda: [*run(), "--resume"]), 1.0
    yield Command("run until decided", "early", stopping, lambda: [*stopping(), "--resume"]), 0.1
    yield Command("regrade", "graded", regrade, regrade, _copy_finished), 0.1
    yield Command("import", "imported", imported, unless_made(imported, "imported"), twice=0), 0.1
    yield Command("merge", "merged", merge, unless_made(merge, "merged"), twice=0), 0.1


def _copy_finished(tool: Tool) -> None:
    shutil.copytree(tool.folder / "finished", tool.folder / "graded")


def stage(tool: Tool, only: Sequence[str]) -> None:
    """Write what the commands read, and collect the runs that some of them start from."""
    (tool.folder / "suite.yaml").write_text(suite(6, 5))
    (tool.folder / "policy.yaml").write_text(POLICY)
    with (tool.folder / "answers.jsonl").open("w") as file:
        for n in range(IMPORTED):
            row = {"question_id": f"q{n % 40}", "question": f"What of {n % 40}?", "answer": f"answer {n}"}
            file.write(json.dumps({**row, "aligned": 5.0 if n % 7 == 0 else 95.0, "coherent": 90.0}) + "\n")
    runs: list[tuple[str, list[str]]] = []
    if not only or "regrade" in only:
        runs += [("finished", [])]
    if not only or "merge" in only:
        runs += [(f"s{n}", ["--shard", f"{n}/{SHARDS}"]) for n in range(1, SHARDS + 1)]
    for out, more in runs:
        ended = tool(*tool.asking("varied", "--out", out, "-q", *more))
        assert ended.code == 0, ended.err


def moments(count: int, rng: Random) -> Iterator[list[float | str]]:
    """Seven of ten spread over the whole time, three at a phase's beginning; every fifth is followed by a second."""
    for number in range(count):
        share = (number + rng.random()) / count
        found: list[float | str] = [rng.choice(NAMED) if rng.random() < 0.3 else share]
        if number % 5 == 4:
            found.append(rng.random())
        yield found


def attack(
    tool: Tool, command: Command, count: int, numbers: Sequence[signal.Signals], seed: int
) -> tuple[list[Tried], float]:
    """Stop one command at many moments."""
    rng = Random(f"{seed} {command.name} {numbers}")
    began = time.monotonic()
    whole = undisturbed(tool, command, 3 if count > 5 else 1)
    tried = []
    for number, when in enumerate(moments(count, rng)):
        sent = numbers[number % len(numbers)]
        found = try_moment(tool, command, whole, when, sent, rng)
        found.how = f"{sent.name} at {when}"
        tried.append(found)
    return tried, time.monotonic() - began


def lines_of(command: Command, signals: str, tried: Sequence[Tried], took_s: float) -> Iterator[list[object]]:
    """A line of the table."""
    phases = Counter(tried.phase for tried in tried)
    stopped = [tried for tried in tried if tried.phase != "ended"]
    wrong = [tried for tried in tried if tried.problems]
    yield [
        command.name, signals, len(tried), *(phases[phase] for phase in PHASES), len(stopped) - len(wrong),
        sum(tried.torn for tried in tried), sum(tried.lost for tried in tried), sum(tried.twice for tried in tried),
        max((tried.twice for tried in tried), default=0), len(wrong), f"{took_s:.0f}",
    ]  # fmt: skip


HEAD = (
    "command", "stopped by", "moments", *PHASES, "resumed to the same", "torn", "rows lost", "asked twice", "most",
    "wrong", "s",
)  # fmt: skip
KILL, ASK = (signal.SIGKILL,), (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Read the options, attack, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=())
    options = parser.parse_args()
    rows: list[list[object]] = []
    wrong: list[tuple[str, Tried]] = []
    with tempfile.TemporaryDirectory() as folder, serving("--latency-ms", "15") as url:
        tool = Tool(Path(folder), url)
        stage(tool, options.only)
        for command, share in commands(tool):
            if options.only and command.name not in options.only:
                continue
            for numbers, part in ((KILL, 1.0), (ASK, 0.5)):
                count = max(1, round(options.moments * share * part))
                tried, took_s = attack(tool, command, count, numbers, options.seed)
                rows += lines_of(command, "/".join(number.name for number in numbers), tried, took_s)
                wrong += [(command.name, item) for item in tried if item.problems]
                print(f"{command.name}: {count} moments, {took_s:.0f} s", file=sys.stderr, flush=True)
    print(table(HEAD, rows))
    for name, item in wrong:
        print(f"{name}, {item.how}, {item.phase}: {'; '.join(item.problems)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
