"""One command, stopped at some moment, gone on with, and compared with the same command left alone."""

import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.tool import Ended, Facts, Started, Tool, asked, facts, forget, row_files, whole_lines

CONNECTIONS = 4
PHASES = ("start", "planned", "collecting", "grading", "finishing", "ended")
TORN = b'{"kind":"reply","probe":"probe-1","pro'


@dataclass(frozen=True)
class Command:
    """Something to be stopped. `make` gives what it is typed as; `again` what one types to go on."""

    name: str
    run: str  # the folder that it makes or extends
    make: Callable[[], list[str]]
    again: Callable[[], list[str]]
    prepare: Callable[[Tool], None] = lambda _: None  # what must be there before it
    twice: int = CONNECTIONS  # requests that may be asked again after each stop


@dataclass
class Undisturbed:
    """How a command ends when nobody stops it."""

    facts: Facts
    code: int
    verdict: tuple[int, str]
    took_s: float


@dataclass
class Tried:
    """What came of one moment."""

    phase: str
    how: str
    problems: list[str] = field(default_factory=list)
    twice: int = 0
    lost: int = 0
    torn: bool = False


def verdict(tool: Tool, run: str) -> tuple[int, str]:
    """What a gate says of a run, by exit code and word."""
    ended = tool("gate", run, "--max-rate", "10%", "--format", "json")
    return ended.code, str(ended.json["verdict"]) if ended.out else ended.err


def undisturbed(tool: Tool, command: Command, times_over: int) -> Undisturbed:
    """Carry it out some times, and keep how it ended and how long it took (the median)."""
    times = []
    for _ in range(times_over):
        clear(tool, command)
        ended = tool(*command.make())
        times.append(ended.took_s)
    assert ended.code in (0, 1), ended.err
    found = facts(tool.folder / command.run)
    return Undisturbed(found, ended.code, verdict(tool, command.run), sorted(times)[len(times) // 2])


def clear(tool: Tool, command: Command) -> None:
    """Leave nothing of an earlier time, and put what the command starts from in its place."""
    run = tool.folder / command.run
    for path in (run, *run.parent.glob(f".{run.name}.*")):
        shutil.rmtree(path, ignore_errors=True)
    command.prepare(tool)
    forget(tool.url)


def phase_of(run: Path, whole: Facts, over: bool) -> str:
    """Where a command was when it was stopped, read from what it left."""
    if over:
        return "ended"
    if not (run / "run.json").exists():
        return "start"
    rows = [whole_lines(file).count(b"\n") for file in row_files(run)]
    if not sum(rows):
        return "planned"
    if rows[0] < len(whole.replies):
        return "collecting"
    return "grading" if sum(rows) < whole.rows else "finishing"


def reached(run: Path, whole: Facts, phase: str) -> bool:
    """Whether a command has just come to a phase."""
    if phase == "folder":
        return run.exists() or any(run.parent.glob(f".{run.name}.*"))
    if phase == "plan":
        return any(run.glob("*plan.jsonl*"))
    if phase == "summary":
        return any(run.glob(".summary.json.*")) or (run / "report.md").exists()
    return PHASES.index(phase_of(run, whole, over=False)) >= PHASES.index(phase)


NAMED = ("folder", "plan", "planned", "collecting", "grading", "finishing", "summary")


def stop_at(started: Started, run: Path, whole: Undisturbed, moment: float | str, number: int) -> None:
    """Wait for a moment (a share of the usual time, or a phase by its name), then send the signal."""
    until = started.at + (whole.took_s * moment if isinstance(moment, float) else 30.0)
    while time.monotonic() < until and not started.is_over():
        if isinstance(moment, str):
            if reached(run, whole.facts, moment):
                break
        else:
            time.sleep(min(0.002, max(0.0, until - time.monotonic())))
    started.send(number)


def try_moment(
    tool: Tool, command: Command, whole: Undisturbed, moments: Sequence[float | str], number: int, rng: Random
) -> Tried:
    """Stop a command at each of some moments in turn, then let it end, and compare."""
    clear(tool, command)
    run = tool.folder / command.run
    tried = Tried("ended", "")
    allowed, lines, said = 0, {}, ""
    for place, moment in enumerate(moments):
        started = tool.start(*(command.again() if place else command.make()))
        stop_at(started, run, whole, moment, number)
        ended = started.wait()
        if ended.code in (0, 1) or not is_stopped(ended, number, tried):
            said = ended.err
            continue
        tried.phase = phase_of(run, whole.facts, over=False)
        lines = {file: whole_lines(file) for file in row_files(run)}
        cut = damage(run, started, rng) if number == signal.SIGKILL and command.twice else 0
        tried.torn = cut > 0  # of the last stop: what told of an earlier one was stopped itself
        clean = number != signal.SIGKILL and "stopped by" in ended.err
        allowed += (0 if clean else command.twice) + (cut == 2)
        if cut == 2:
            lines = {}
    if tried.phase == "ended":
        return tried
    ended = tool(*command.again())
    compare(tool, command, whole, ended, tried)
    tried.lost = sum(not (file.exists() and file.read_bytes().startswith(data)) for file, data in lines.items())
    tried.twice = sum(count - 1 for count in asked(tool.url).values())
    if tried.twice > allowed:
        tried.problems.append(f"{tried.twice} requests asked twice, where {allowed} were in flight")
    if tried.lost:
        tried.problems.append("a row that was there has changed")
    if tried.torn and "cut " not in said + ended.err:
        tried.problems.append("a torn row was not told of")
    return tried


def is_stopped(ended: Ended, number: int, tried: Tried) -> bool:
    """Whether it ended as this signal should end it; anything else is noted."""
    if ended.code == 128 + number:
        return True
    tried.problems.append(f"ended with {ended.code}: {ended.err[-300:]}")
    return False


def damage(run: Path, started: Started, rng: Random) -> int:
    """What a power failure may do to a file that the command wrote.

    1 leaves half a row at its end, 2 takes the end of its last row, 0 does nothing.
    """
    kind = rng.choice((0, 0, 1, 2))
    files = [file for file in row_files(run) if file.exists() and file.stat().st_size]
    files = [file for file in files if file.stat().st_mtime_ns > started.at_ns]
    if not kind or not files:
        return 0
    file = rng.choice(files)
    if kind == 1:
        with file.open("ab") as out:
            out.write(TORN[: rng.randint(1, len(TORN))])
    else:
        data = file.read_bytes()
        last = len(data) - data[:-1].rfind(b"\n") - 1
        file.write_bytes(data[: len(data) - rng.randint(1, last - 1)])
    return kind


def compare(tool: Tool, command: Command, whole: Undisturbed, ended: Ended, tried: Tried) -> None:
    """Everything that a reader could see must be as it would have been."""
    if ended.code != whole.code:
        tried.problems.append(f"went on to exit code {ended.code}, not {whole.code}: {ended.err[-300:]}")
        return
    now, was = facts(tool.folder / command.run), whole.facts
    for what, item, other in (
        ("replies", now.replies, was.replies),
        ("grades", now.grades, was.grades),
        ("repeated rows", now.twice, was.twice),
        ("summary", now.summary if was.summary else {}, was.summary),
        ("verdict", verdict(tool, command.run), whole.verdict),
    ):
        if item != other:
            tried.problems.append(f"{what} differ")
    left = [path.name for path in (tool.folder / command.run).rglob(".*")]
    beside = (tool.folder / command.run).parent.glob(f".{Path(command.run).name}.*")
    left += [path.name for path in beside]
    if left:
        tried.problems.append(f"left behind: {', '.join(left)}")
