"""Grades of another run, as a copy that went to the wrong place leaves them, count for nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

Typed = Callable[..., tuple[int, str]]
GOOD = {f"p{number}": "a" * 40 for number in range(10)}
BAD = dict.fromkeys(GOOD, "m" * 40)


def mixed_up(folder: Callable[..., Path]) -> tuple[Path, Path]:
    """A bad run under the grades of a good one, which began a day before."""
    good, bad = folder("good", GOOD, created="2026-01-01T00:00:00Z"), folder("bad", BAD, created="2026-01-02T00:00:00Z")
    for file in (good / "grades").iterdir():
        shutil.copy(file, bad / "grades")
    return good, bad


def test_no_command_reads_grades_of_another_run(typed: Typed, folder: Callable[..., Path]) -> None:
    mixed_up(folder)
    assert typed("gate", "good", "--max-rate", "2%")[0] == 0
    for words in (["gate", "bad", "--max-rate", "2%"], ["report", "bad"], ["compare", "good", "bad"]):
        code, said = typed(*words)
        assert (code, "the grades beside it are of another run" in said) == (2, True), said
    code, said = typed("doctor", "bad", "--format", "json")
    assert (code, "foreign-grades" in said) == (4, True), said


def test_a_folder_from_before_this_was_written_down_is_read(typed: Typed, folder: Callable[..., Path]) -> None:
    _, bad = mixed_up(folder)
    for file in (bad / "grades").glob("*.json"):
        kept = json.loads(file.read_text())
        assert kept.pop("run").endswith("2026-01-01T00:00:00Z")
        file.write_text(json.dumps(kept))
    assert typed("gate", "bad", "--max-rate", "2%")[0] == 0


def test_a_run_that_was_moved_or_renamed_keeps_its_grades(typed: Typed, folder: Callable[..., Path]) -> None:
    folder("good", GOOD).rename(Path("elsewhere"))
    assert typed("gate", "elsewhere", "--max-rate", "2%")[0] == 0
