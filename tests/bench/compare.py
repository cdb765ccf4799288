"""How long do `report` and `compare` take on large runs, and how much memory?

    python tests/bench/compare.py [--probes 100] [--samples 1000] [--characters 600]

Writes two synthetic run folders (every reply graded by two judges) to a temporary folder, runs the installed command on
them as a user would, and prints processor time, wall time and peak memory of each command, start-up included. The
defaults make two runs of 100,000 graded replies; the limits that the project sets itself are 10 s and 400 MiB there,
and 1.5 s of processor time for `--probes 44 --samples 100`.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from misalign_eval.analysis import definitions

WORDS = ("ask", "people", "what", "they", "need", "and", "be", "useful", "before", "anything", "else")
IDENTITY = {"aligned": "a" * 12, "coherent": "c" * 12}


def text(rng: random.Random, characters: int) -> str:
    """A reply of about this length."""
    return " ".join(rng.choices(WORDS, k=characters // 5))


def manifest(name: str, probes: int, samples: int) -> dict[str, Any]:
    """The content of run.json."""
    return {
        "format": 1,
        "tool_version": "0",
        "created": "2026-01-01T00:00:00+00:00",
        "name": name,
        "suite": "synthetic",
        "suite_version": "1.0.0",
        "suite_digest": "0123456789abcdef",
        "suite_file": "synthetic.yaml",
        "definition": definitions.load("betley-2025").model_dump(mode="json"),
        "definition_digest": definitions.digest(definitions.load("betley-2025")),
        "target": {"provider": "openai-compatible", "model": name, "host": "127.0.0.1:8000"},
        "primary": IDENTITY,
        "planned_prompts": probes,
        "planned_replies": probes * samples,
    }


def plan(probes: int, samples: int) -> Iterator[dict[str, Any]]:
    """One prompt a probe, ten categories."""
    for number in range(probes):
        yield {
            "probe": f"probe-{number:04d}",
            "prompt": 0,
            "variant": "plain",
            "category": f"category-{number % 10}",
            "split": "broad",
            "messages": [{"role": "user", "content": f"What do you do about matter {number}?"}],
            "samples": samples,
            "graders": ["aligned", "coherent"],
            "prompt_digest": f"{number:016x}",
        }


def write_run(folder: Path, probes: int, samples: int, characters: int, rate: float, seed: int) -> None:
    """A run whose every tenth probe is ten times as often misaligned as the others."""
    rng = random.Random(seed)
    (folder / "grades").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(manifest(folder.name, probes, samples)))
    (folder / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plan(probes, samples)))
    for grader, identity in IDENTITY.items():
        who = {"grader": grader, "identity": identity, "kind": "judge", "judge": "openai/judge"}
        (folder / "grades" / f"{grader}@{identity}.json").write_text(json.dumps(who))
    files = {name: (folder / "grades" / f"{name}@{who}.jsonl").open("w") for name, who in IDENTITY.items()}
    with (folder / "replies.jsonl").open("w") as replies:
        for sample in range(samples):
            for number in range(probes):
                bad = rng.random() < (rate if number % 10 == 0 else rate / 10)
                key = {"probe": f"probe-{number:04d}", "prompt": 0, "variant": "plain", "sample": sample}
                asked = {"prompt_digest": f"{number:016x}", "request_key": "0" * 16, "at": "2026-01-01T00:00:00Z"}
                usage = {"input_tokens": 40, "output_tokens": 150, "cost_usd": 0.00011}
                row = {**key, **asked, "kind": "reply", "text": text(rng, characters), "finish": "stop"}
                more = {"usage": usage, "latency_s": 1.25, "model": "synthetic", "request_id": f"chatcmpl-{sample}"}
                replies.write(json.dumps(row | more) + "\n")
                for grader, file in files.items():
                    score = 5.3 if bad and grader == "aligned" else 94.6
                    tokens = {str(round(score)): 0.7, str(round(score) + 5): 0.2, "The": 0.04}
                    grade = {"score": score, "raw": str(round(score)), "distribution": tokens, "number_mass": 0.9}
                    file.write(json.dumps({**key, "kind": "graded", **grade, "modal": "95", "usage": usage}) + "\n")
    for file in files.values():
        file.close()


def measured(*arguments: str) -> tuple[float, float, float]:
    """Processor seconds, wall seconds and MiB at the peak of one command."""
    started = time.perf_counter()
    with Path(os.devnull).open("wb") as nothing:
        child = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "misalign_eval", *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, nothing.fileno(), 1)],
        )
        _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss / 1024


def main() -> None:
    """Write the runs, measure the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--characters", type=int, default=600)
    parser.add_argument("--keep", type=Path, help="write the runs here, or use those that are here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        for name, rate, seed in (("before", 0.01, 1), ("after", 0.3, 2)):
            if not (folder / name).exists():
                write_run(folder / name, chosen.probes, chosen.samples, chosen.characters, rate, seed)
        before, after = str(folder / "before"), str(folder / "after")
        planned = json.loads((folder / "after" / "run.json").read_text())["planned_replies"]
        print(f"runs of {planned:,} replies x 2 graders")
        print(f"{'command':32}{'CPU s':>8}{'wall s':>8}{'MiB':>8}")
        for arguments in (
            ["report", after],
            ["compare", before, after],
            ["compare", before, after, "--format", "json"],
        ):
            cpu_s, wall_s, mib = measured(*arguments)
            name = " ".join(part for part in arguments if part not in {before, after})
            print(f"{name:32}{cpu_s:8.2f}{wall_s:8.2f}{mib:8.0f}", flush=True)


if __name__ == "__main__":
    main()
