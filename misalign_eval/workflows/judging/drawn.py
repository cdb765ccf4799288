"""Counting a run as its sample for people was drawn."""

from dataclasses import replace
from pathlib import Path

from misalign_eval.analysis import definitions
from misalign_eval.records.label import Sample
from misalign_eval.results.folder import open_run
from misalign_eval.workflows.counting import Choices


def as_drawn(run: Path, sample: Sample | None, choices: Choices) -> Choices:
    """The judge, definition and split of the sample, where the flags say nothing else. None: nothing was drawn."""
    if sample is None:
        return choices
    own = definitions.digest(open_run(run).manifest.definition) == sample.definition_digest
    return replace(
        choices,
        definition=choices.definition or (None if own else sample.definition),
        use_judge=choices.use_judge or sample.graders,
        split=sample.split if choices.split is None else choices.split,
    )
