"""The names of the files of a run folder: the one place that knows them."""

from pathlib import Path

MANIFEST = "run.json"
PLAN = "plan.jsonl"
REPLIES = "replies.jsonl"
GRADES = "grades"
LOOKS = "looks.jsonl"
LOCK = "run.lock"
SUMMARY = "summary.json"
REPORT = "report.md"


def grades_file(folder: Path, grader: str, identity: str) -> Path:
    """Where one grader's rows are: `grades/aligned@3fa9c1d20b7e.jsonl`."""
    return folder / GRADES / f"{grader}@{identity}.jsonl"


def identity_file(folder: Path, grader: str, identity: str) -> Path:
    """Where that grader is described: the same name with `.json`."""
    return folder / GRADES / f"{grader}@{identity}.json"
