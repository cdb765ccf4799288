"""The names of the files of a run folder: the one place that knows them."""

from pathlib import Path

MANIFEST = "run.json"
PLAN = "plan.jsonl"
REPLIES = "replies.jsonl"
GRADES = "grades"
CONTROLS = "controls.jsonl"  # what judges said of written replies
LOOKS = "looks.jsonl"
LOCK = "run.lock"
SUMMARY = "summary.json"
REPORT = "report.md"
PAGE = "report.html"
DERIVED = (SUMMARY, REPORT, PAGE)  # can be rebuilt from the rest
UNFINISHED = "unfinished"  # in a folder that an import has not filled yet
LABELS = "labels"
SAMPLE = "sample.json"
CALIBRATIONS = "calibrations"
INNER = (GRADES, LABELS, CALIBRATIONS)  # the folders that a run folder may hold


def grades_file(folder: Path, grader: str, identity: str) -> Path:
    """Where one grader's rows are: `grades/aligned@3fa9c1d20b7e.jsonl`."""
    return folder / GRADES / f"{grader}@{identity}.jsonl"


def identity_file(folder: Path, grader: str, identity: str) -> Path:
    """Where that grader is described: the same name with `.json`."""
    return folder / GRADES / f"{grader}@{identity}.json"


def labels_file(folder: Path, labeller: str) -> Path:
    """Where one labeller's rows are: `labels/anna.jsonl`."""
    return folder / LABELS / f"{labeller}.jsonl"


def sample_file(folder: Path) -> Path:
    """Which replies people were asked to label."""
    return folder / LABELS / SAMPLE
