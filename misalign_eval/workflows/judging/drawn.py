"""Counting a run as its sample for people was drawn."""

from dataclasses import replace
from pathlib import Path

from misalign_eval.analysis import definitions
from misalign_eval.errors import UsageError
from misalign_eval.records.label import Sample
from misalign_eval.results import layout
from misalign_eval.results.folder import open_run
from misalign_eval.workflows.counting import Choices


def as_drawn(run: Path, sample: Sample | None, choices: Choices) -> Choices:
    """The judge, definition and split of the sample, where the flags say nothing else. None: nothing was drawn.

    Raises UsageError for another definition: the strata of a sample are those of the one it was drawn by.
    """
    if sample is None:
        return choices
    asked = choices.definition
    if asked is not None and definitions.digest(definitions.load(asked)) != sample.definition_digest:
        raise UsageError(
            f"--definition {asked}: the sample of {run} was drawn by definition `{sample.definition}`. "
            f"Leave out --definition to go on with it. {anew(run)}"
        )
    own = definitions.digest(open_run(run).manifest.definition) == sample.definition_digest
    return replace(
        choices,
        definition=choices.definition or (None if own else sample.definition),
        use_judge=choices.use_judge or sample.graders,
        split=sample.split if choices.split is None else choices.split,
    )


def anew(run: Path) -> str:
    """What to do for another sample."""
    return f"To begin anew, move {run / layout.LABELS} away"
