"""`compare`: what changed between two runs."""

from collections.abc import Sequence
from pathlib import Path

from misalign_eval.analysis import comparison
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Comparison
from misalign_eval.workflows.counting import Choices
from misalign_eval.workflows.courses import side


def compare(paths: Sequence[Path], choices: Choices | None = None) -> tuple[Comparison, ...]:
    """Compare every later run with the first.

    Raises UsageError for fewer than two runs, one run twice, or runs that cannot be compared.
    """
    choices = choices or Choices()
    if len(paths) < 2:
        raise UsageError("compare needs two runs: BEFORE AFTER")
    same = [path for path in paths[1:] if path.resolve() == paths[0].resolve()]
    if same:
        raise UsageError(f"{same[0]}: a run cannot be compared with itself")
    before, *later = (side(path, choices) for path in paths)
    return tuple(comparison.compare(before, after, split=choices.split, interval=choices.interval) for after in later)
