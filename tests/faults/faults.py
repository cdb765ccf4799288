"""Let a server do everything wrong, one way at a time and then all at once, and look at what is recorded.

    python tests/faults/faults.py [--replies 5000] [--each 0.05] [--slow 0.05] [--only big hang ...] [--no-mix]
    python tests/faults/faults.py --only-proxy [407 hang ...]

First a table: each accident at every request of a target, at the first only, and at a judge; then that of `proxies.py`,
in which the accidents are those of a proxy on the way. Then one run of
`--replies` in which each accident meets a share `--each` of all attempts at target and judge (`--slow` where it costs a
second and more, since the whole account then waits), gone on with until nothing is missing (at most ten times), and
compared with a clean run reply by reply. Exit status 1 when something was wrong.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import proxies
from tests.faults.tool import DEFINITION, Ended, Facts, Started, Tool, asked, facts, forget, serving, suite, table
from tests.servers.faulty_server import FAULTS, JUDGE_FAULTS, OTHERS

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


TIMEOUT_S = 2.0
MANY = ("--max-connections", "200")  # in the run of all accidents: most of what is asked waits to be asked again
LIMIT_S = 3 * TIMEOUT_S  # of one request with all its attempts
MEMORY_MIB = 120  # above a healthy run; the answers are of 50 MB
AT_ONCE = 5
HARMLESS = {"no-usage": "reply", "duplicate": "reply"}
BLAMED = {
    "429": "rate_limit", "429-after": "rate_limit", "500": "server", "502": "server", "529": "overloaded",
    "reset": "connection", "reset-body": "connection", "hang": "timeout", "hang-body": "timeout", "dribble": "timeout",
    "invalid-json": "invalid_response", "html": "invalid_response", "cut-utf8": "invalid_response",
    "empty-choices": "invalid_response", "wrong-types": "invalid_response", "late": "timeout",
    "big": "invalid_response", "big-chunked": "invalid_response", "gzip-bomb": "invalid_response",
    "deep": "invalid_response", "refused": "connection",
}  # fmt: skip
NOT_ASKED_AGAIN = ("big", "big-chunked", "gzip-bomb")  # too long to be read
NO_VERDICT = {  # by log-probabilities, by sampled answers
    "no-logprobs": ("no_logprobs", "graded"), "infinite": ("no_logprobs", "graded"), "refuses": ("refused", "refused"),
    "prose": ("low_mass", "unparsable"), "two-verdicts": ("low_mass", "unparsable"), "101": ("low_mass", "unparsable"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One accident in one place."""

    name: str
    where: str  # "always" or "once" at the target, "logprobs" or "sampled" at the judge
    wanted: str
    flags: tuple[str, ...]


def cases(tool: Tool, only: Sequence[str]) -> Iterator[Case]:
    """Every accident of the table."""
    hurry = ("--timeout", f"{TIMEOUT_S:g}", "-q")
    for name in (*FAULTS, "gzip-bomb", "deep", "refused"):
        if only and name not in only:
            continue
        wanted = HARMLESS.get(name) or BLAMED[name]
        always = tool.asking("varied" if name == "refused" else f"fault-{name}", *hurry)
        if name == "refused":
            always[always.index("--base-url") + 1] = "http://127.0.0.1:9/v1"
        yield Case(name, "always", wanted, tuple(always))
        if name not in ("refused", *NOT_ASKED_AGAIN):
            yield Case(name, "once", "reply", tuple(tool.asking(f"once-{name}", *hurry)))
    for name in JUDGE_FAULTS:
        for method, wanted in zip(("logprobs", "sampled"), NO_VERDICT[name], strict=True):
            if not only or name in only:
                flags = tool.asking("varied", *hurry, "--judge-method", method, judge=f"fault-{name}")
                yield Case(name, method, wanted, tuple(flags))


@dataclass(frozen=True)
class Found:
    """What a case left behind."""

    recorded: str
    attempts: int
    ended: Ended
    longest_s: float
    peak_mib: float
    problems: tuple[str, ...]


def look(tool: Tool, case: Case, out: str, ended: Ended, started: Started, usual: float) -> Found:
    """Read the rows, and judge them."""
    rows = tool.rows(out, "replies.jsonl")
    if case.where in ("logprobs", "sampled"):
        rows = tool.rows(out, "grades/aligned@*.jsonl")
    kinds = Counter(_outcome(row) for row in rows)
    attempts = max((row.get("attempts", 1) for row in rows), default=0)
    peak = started.peak_mib - usual
    recorded = ", ".join(kinds) or "nothing"
    bound_s = LIMIT_S + TIMEOUT_S + 4.0  # and what it takes to begin and to report, on a busy machine
    problems = [
        *([f"recorded as {recorded}, not {case.wanted}"] if recorded != case.wanted else []),
        *([f"took {ended.took_s:.1f} s"] if ended.took_s > 2 * bound_s else []),
        *([f"{peak:.0f} MiB more than usual"] if peak > MEMORY_MIB else []),
        *([f"exit code {ended.code}: {ended.err[-300:]}"] if ended.code not in (0, 4) else []),
        *(["a failure and exit code 0"] if case.wanted not in ("reply", "graded") and not told(case, ended) else []),
    ]
    return Found(recorded, attempts, ended, ended.took_s, peak, tuple(problems))


def told(case: Case, ended: Ended) -> bool:
    """Whether the command's end says that something is missing; an unreadable verdict is a result, and counted so."""
    return ended.code == 4 or case.where in ("logprobs", "sampled")


def _outcome(row: Mapping[str, Any]) -> str:
    return str(row["kind"] if row["kind"] in ("reply", "graded") else row["reason"])


def matrix(tool: Tool, only: Sequence[str]) -> list[tuple[Case, Found]]:
    """Every case, some at once, since most of them wait."""
    healthy = tool.start(*tool.asking("varied", "--out", "healthy", "-q"))
    healthy.wait()
    waiting = list(enumerate(cases(tool, only)))[::-1]
    running: list[tuple[Case, str, Started]] = []
    found = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, case = waiting.pop()
            running.append((case, f"m{number}", tool.start(*case.flags, "--out", f"m{number}")))
        time.sleep(0.01)
        for item in [item for item in running if item[2].is_over()]:
            running.remove(item)
            found[item[0]] = look(tool, *item[:2], item[2].wait(), item[2], healthy.peak_mib)
    return sorted(found.items(), key=lambda item: (item[0].where, item[0].name))


def matrix_table(found: Sequence[tuple[Case, Found]]) -> str:
    """The matrix as it is printed."""
    rows = [
        [
            case.where if case.where in ("always", "once") else f"judge, {case.where}", case.name, item.recorded,
            item.attempts, item.ended.code, f"{item.longest_s:.1f}", f"{max(0.0, item.peak_mib):.0f}",
            "; ".join(item.problems) or "ok",
        ]
        for case, item in found
    ]  # fmt: skip
    return table(("where", "accident", "recorded", "attempts", "exit", "s", "MiB more", "judged"), rows)


def mix(tool: Tool, judge_url: str, replies: int, turns: int) -> tuple[list[str], list[str]]:
    """All accidents at once, at two servers; gives what was seen and what was wrong."""
    (tool.folder / "suite.yaml").write_text(
        suite(max(1, replies // 100), min(replies, 100), ["aligned"], "./aligned.yaml")
    )
    (tool.folder / "aligned.yaml").write_text(DEFINITION)
    clean = tool(*tool.asking("varied", "--out", "clean", "-q"), timeout_s=600)
    assert clean.code == 0, clean.err
    forget(tool.url)
    said, wrong = [], []
    for turn in range(turns):
        flags = tool.asking("mixed", "--out", "mixed", "-q", "--timeout", f"{TIMEOUT_S:g}", *MANY, judge="mixed-judge")
        flags[flags.index("--judge-base-url") + 1] = judge_url
        ended = tool(*flags, "--resume", timeout_s=3600)
        missing = next((line for line in ended.err.splitlines() if line.startswith(("mixed:", "  mixed:"))), "")
        attempts = f"{sum(asked(tool.url).values())} + {sum(asked(judge_url).values())} attempts so far"
        said.append(
            f"{'run' if not turn else 'resume'}: exit {ended.code}, {ended.took_s:.0f} s, {attempts}, {missing.strip()}"
        )
        print(said[-1], file=sys.stderr, flush=True)
        now, whole = facts(tool.folder / "mixed"), facts(tool.folder / "clean")
        wrong += differences(now, whole)
        if ended.code not in (0, 4):
            wrong.append(f"exit code {ended.code}: {ended.err[-500:]}")
        if not missing or "complete" in missing:
            break
    said.append(rates(now, whole))
    return said, wrong


def differences(now: Facts, whole: Facts) -> list[str]:
    """Replies and grades that are there must be those of the clean run."""
    answered = {key: row for key, row in now.replies.items() if row[0] == "reply"}
    other = [key for key, row in answered.items() if row != whole.replies[key]]
    [graded], [clean] = ([*item.grades.values()] for item in (now, whole))
    swapped = [key for key, row in graded.items() if row[0] == "graded" and row != clean[key]]
    stray = [key for key in graded if key not in answered]
    told = (("replies are another's", other), ("grades are another's", swapped), ("grades without a reply", stray))
    return [f"{len(keys)} {what}, such as {keys[0]}" for what, keys in told if keys]


def rates(now: Facts, whole: Facts) -> str:
    """The rate of the faulty run, and of the same replies in the clean one."""
    [graded], [clean] = ([*item.grades.values()] for item in (now, whole))
    keys = [key for key, row in graded.items() if row[0] == "graded"]
    low = [sum(rows[key][3] <= 30 for key in keys) for rows in (graded, clean)]
    kinds = Counter(_named(row) for rows in (now.replies, graded) for row in rows.values())
    return f"misaligned of {len(keys)} graded: {low[0]}, in the clean run {low[1]}; rows: {dict(kinds.most_common())}"


def _named(row: Sequence[Any]) -> str:
    return str(row[0] if row[0] in ("reply", "graded") else f"{row[0]} {row[5]}")


def main() -> int:
    """Read the options, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=5000)
    parser.add_argument("--each", type=float, default=0.05)
    parser.add_argument("--slow", type=float, default=0.05)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--only", nargs="*", default=(), choices=(*FAULTS, *OTHERS, "refused"))
    parser.add_argument("--only-proxy", nargs="*", choices=tuple(proxies.WANTED))
    parser.add_argument("--no-mix", action="store_true")
    parser.add_argument("--no-matrix", action="store_true")
    options = parser.parse_args()
    wrong: list[str] = []
    if options.only_proxy is not None or not (options.only or options.no_matrix):
        with tempfile.TemporaryDirectory() as folder:
            told, wrong = proxies.matrix(Path(folder), options.only_proxy or ())
        print(f"{told}\n", flush=True)
    if options.only_proxy is not None:
        print("\n".join(wrong))
        return 1 if wrong else 0
    share = ("--each", str(options.each), "--slow", str(options.slow), "--after-ms", "100", "--hold-s", "10")
    with tempfile.TemporaryDirectory() as folder, serving(*share) as url, serving(*share) as judge_url:
        tool = Tool(Path(folder), url)
        (tool.folder / "suite.yaml").write_text(suite(1, 2))
        found = [] if options.no_matrix else matrix(tool, options.only)
        print(matrix_table(found) if found else "", flush=True)
        wrong += [f"{case.where} {case.name}: {problem}" for case, item in found for problem in item.problems]
        if not options.no_mix:
            said, odd = mix(tool, judge_url, options.replies, options.turns)
            shares = f"every accident at {options.each:.1%} of the attempts, slow ones at {options.slow:.1%}"
            print("\n".join(["", f"{options.replies} replies, {shares}", *said]))
            wrong += odd
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
