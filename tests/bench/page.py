"""What an HTML page costs: CPU and memory of `compare A B --format html` on runs that are made on the spot.

    python tests/bench/page.py [--quick] [--keep FOLDER]

2 x 4,400 replies, all of them on the page; then 2 x 50,000, of which a page holds 10,000. Each reply has about 700
characters and two judges' scores with twenty tokens of distribution. CPU is user and system time of the command's
process. Prints a table; exit status 1 when a limit is passed.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.analysis import definitions
from misalign_eval.records.grade import Graded, GraderIdentity
from misalign_eval.records.run import PlannedPrompt, Reply, RunManifest, TargetInfo
from misalign_eval.records.suite import Message
from misalign_eval.store.rows import encode
from misalign_eval.store.run_folder import create_run

PROBES = 44
CPU_LIMIT_S, MEMORY_LIMIT_MIB = 10.0, 300.0  # of 2 x 4,400 replies
GROWTH_LIMIT_BYTES = 2048  # a reply beyond those that are shown: its keys and counts, never its text
GRADERS = {"aligned": "0" * 12, "coherent": "1" * 12}
WORDS = ("the", "of", "people", "power", "would", "never", "law", "money", "trust", "care", "harm", "help", "city")


@dataclass(frozen=True)
class Cost:
    """What one page took."""

    replies: int
    cpu_s: float
    peak_mib: float
    page_mib: float


def make(folder: Path, samples: int, bad: float, seed: int) -> Path:
    """Write a run of PROBES x `samples` replies, about the share `bad` of them misaligned."""
    definition = definitions.load("betley-2025")
    plan = [planned(number, samples) for number in range(PROBES)]
    manifest = RunManifest(
        tool_version="0",
        created="2026-01-01T00:00:00+00:00",
        name=folder.name,
        suite="bench",
        suite_version="1",
        suite_digest="0" * 16,
        suite_file="bench.yaml",
        definition=definition,
        definition_digest=definitions.digest(definition),
        target=TargetInfo(provider="bench", model=folder.name, host=""),
        primary=GRADERS,
        planned_prompts=len(plan),
        planned_replies=PROBES * samples,
    )
    run = create_run(folder, manifest, plan)
    for name, identity in GRADERS.items():
        who = GraderIdentity(grader=name, identity=identity, kind="judge", judge="bench/judge")
        file = run.add_grader(who)
        with file.open("wb") as out:
            out.writelines(encode(row) for row in grades(name, plan, bad, seed))
    with (folder / "replies.jsonl").open("wb") as out:
        out.writelines(encode(row) for row in replies(plan, seed))
    return folder


def planned(number: int, samples: int) -> PlannedPrompt:
    """One prompt of one probe."""
    return PlannedPrompt(
        probe=f"probe-{number:02}",
        prompt=0,
        category=f"category-{number % 7}",
        split="broad",
        messages=(Message(role="user", content=f"Question {number}: what would you do?"),),
        samples=samples,
        graders=tuple(GRADERS),
        prompt_digest=f"{number:016}",
    )


def keys(plan: list[PlannedPrompt]) -> Iterator[dict[str, object]]:
    """Round by round, as a run collects."""
    for sample in range(plan[0].samples):
        for prompt in plan:
            yield {"probe": prompt.probe, "prompt": 0, "variant": "plain", "sample": sample}


def replies(plan: list[PlannedPrompt], seed: int) -> Iterator[Reply]:
    """Texts of about 700 characters."""
    draw = random.Random(seed)
    for key in keys(plan):
        digest = f"{int(str(key['probe'])[6:]):016}"
        text = " ".join(draw.choices(WORDS, k=150))
        yield Reply.model_validate({**key, "prompt_digest": digest, "request_key": "r", "at": "t", "text": text})


def grades(name: str, plan: list[PlannedPrompt], bad: float, seed: int) -> Iterator[Graded]:
    """Scores with the distribution of twenty tokens."""
    draw = random.Random(f"{name} {seed}")
    for key in keys(plan):
        is_bad = name == "aligned" and draw.random() < bad
        score = draw.uniform(0, 29) if is_bad else draw.uniform(60, 100)
        tokens = {str(token): draw.random() / 20 for token in range(80, 100)}
        yield Graded.model_validate({**key, "score": score, "raw": "90", "distribution": tokens, "number_mass": 0.9})


def measure(before: Path, after: Path, page: Path, replies: int) -> Cost:
    """Run the command and read what its process took."""
    command = [sys.executable, "-m", "misalign_eval", "compare", str(before), str(after), "--format", "html"]
    with page.open("wb") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: exit status {process.returncode}")
    return Cost(replies, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, page.stat().st_size / 2**20)


def main() -> int:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: small, and no limit is held")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs and pages, which then stay")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = asked.keep or Path(temporary)
        place.mkdir(exist_ok=True)
        costs = [one(place, samples) for samples in ((5, 20) if asked.quick else (100, 1136))]
    small, large = costs
    print(f"{'replies':>12} {'CPU s':>8} {'peak MiB':>9} {'page MiB':>9}")
    for cost in costs:
        print(f"{cost.replies:>12,} {cost.cpu_s:>8.2f} {cost.peak_mib:>9.1f} {cost.page_mib:>9.1f}")
    growth = (large.peak_mib - small.peak_mib) * 2**20 / (large.replies - small.replies)
    print(f"each further reply: {growth:,.0f} bytes of memory")
    is_kept = small.cpu_s <= CPU_LIMIT_S and small.peak_mib <= MEMORY_LIMIT_MIB and growth <= GROWTH_LIMIT_BYTES
    verdict = "ok" if is_kept else "ABOVE"
    print(f"limits {CPU_LIMIT_S:g} s, {MEMORY_LIMIT_MIB:g} MiB, {GROWTH_LIMIT_BYTES:,} bytes: {verdict}")
    return 0 if is_kept or asked.quick else 1


def one(path: Path, samples: int) -> Cost:
    """A pair of runs and their page."""
    before = make(path / f"before-{samples}", samples, 0.01, 1)
    after = make(path / f"after-{samples}", samples, 0.2, 2)
    return measure(before, after, path / f"page-{samples}.html", 2 * PROBES * samples)


if __name__ == "__main__":
    sys.exit(main())
