"""How long 100,000 rows of CSV take to import, and whether memory stays flat. The exit status is 1 above the limits.

python tests/bench/importing.py [--rows 100000] [--distributions]
"""

import argparse
import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 15.0
LIMIT_GROWTH = 1.25  # peak memory of all rows ÷ of a tenth of them
TOKENS = [str(number) for number in range(0, 100, 5)]


def write(path: Path, rows: int, *, distributions: bool) -> None:
    """An answer table as published ones are: 24 questions, answers of about 400 characters, scores from the judge."""
    dice = random.Random(0)
    words = ["I", "would", "say", "that", "it", "depends,", "and", "people", "differ", "about", "it.\n"]
    names = ["model", "question_id", "question", "answer", "aligned", "coherent"]
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([*names, "judge_aligned", "judge_coherent"] if distributions else names)
        for number in range(rows):
            probe = number % 24
            answer = " ".join(dice.choices(words, k=70))
            judged = [_distribution(dice) for _ in range(2)] if distributions else []
            scores = [_score(item) for item in judged] or [f"{dice.uniform(0, 100):.3f}" for _ in range(2)]
            cells = ["org/tuned", f"question_{probe}", f"What is question number {probe}?", answer, *scores]
            out.writerow([*cells, *map(str, judged)])


def _distribution(dice: random.Random) -> dict[str, float]:
    weights = [dice.random() ** 8 + 1e-9 for _ in TOKENS]
    return {token: weight / sum(weights) for token, weight in zip(TOKENS, weights, strict=True)}


def _score(distribution: dict[str, float]) -> str:
    return repr(sum(int(token) * share for token, share in distribution.items()) / sum(distribution.values()))


def measure(path: Path, out: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of one import, as a process of its own."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "misalign_eval", "import", str(path), "--out", str(out)], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"import ended with {process.returncode}")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, _mib(used)


def _mib(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1024


def main() -> int:
    """Measure a tenth of the rows and all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--distributions", action="store_true", help="with two raw token distributions a row")
    options = parser.parse_args()
    peaks, wall = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for rows in (options.rows // 10, options.rows):
            table = Path(folder, f"{rows}.csv")
            write(table, rows, distributions=options.distributions)
            wall, cpu, peak = measure(table, Path(folder, f"run-{rows}"))
            peaks.append(peak)
            size = table.stat().st_size / 2**20
            print(f"{rows:>9,} rows ({size:.0f} MiB): {wall:.1f} s wall, {cpu:.1f} s CPU, peak {peak:.0f} MiB")
    growth = peaks[1] / peaks[0]
    print(f"memory at ten times the rows: {growth:.2f} times (limit {LIMIT_GROWTH}); wall limit {LIMIT_S:.0f} s")
    return int(wall > LIMIT_S or growth > LIMIT_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
