"""`compare`: what changed between two runs."""

from collections.abc import Sequence
from pathlib import Path

from misalign_eval.analysis import comparison
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Comparison
from misalign_eval.workflows.counting import Choices
from misalign_eval.workflows.courses import side
from misalign_eval.workflows.judging import swapping


def compare(paths: Sequence[Path], choices: Choices | None = None) -> tuple[Comparison, ...]:
    """Compare every later run with the first.

    Raises UsageError for fewer than two runs, one run twice, or runs that cannot be compared.
    """
    choices = choices or Choices()
    check_runs(paths)
    before, *later = (side(path, choices) for path in paths)
    found = (comparison.compare(before, after, split=choices.split, interval=choices.interval) for after in later)
    return tuple(
        one.model_copy(update={"judges": swapping.of_change(paths[0], path, choices)})
        for one, path in zip(found, paths[1:], strict=True)
    )


def check_runs(paths: Sequence[Path]) -> None:
    """Raises UsageError for fewer than two runs, or the first one again."""
    if len(paths) < 2:
        raise UsageError("compare needs two runs: BEFORE AFTER")
    same = [path for path in paths[1:] if path.resolve() == paths[0].resolve()]
    if same:
        raise UsageError(f"{same[0]}: a run cannot be compared with itself")
