"""People's labels behind a check of the corrected rate."""

from collections import Counter
from pathlib import Path

from misalign_eval.analysis import definitions, gate_people
from misalign_eval.analysis.gate_corrected import Labels
from misalign_eval.errors import InputError, Problem
from misalign_eval.records.label import Sample
from misalign_eval.results import labels as stored
from misalign_eval.results import layout
from misalign_eval.results.rows import content
from misalign_eval.stats.two_phase import split_budget
from misalign_eval.workflows.counting import Counted


def labels_of(run: Counted) -> Labels | None:
    """What people say of the run's sample; None without labels of one, or where it was drawn by another judge.

    Raises InputError for a labels file with faults or a torn end, and for a sample that is not whole.
    """
    path, definition = run.folder.path, run.tally.definition
    sample = stored.sample_of(path)
    if sample is None or sample.graders != run.provenance.graders:
        return None
    if sample.definition_digest != definitions.digest(definition):
        return None
    _check_whole(path, sample)
    everyone = {name: _given(path, name) for name in stored.labellers(path)}
    return gate_people.together(sample, everyone, gate_people.Judged.of(run.tally.cells(), definition))


def _given(path: Path, labeller: str) -> gate_people.Given:
    """The labels that stand. A row that was cut off may have taken one of them back: `label` may pass over it."""
    file = layout.labels_file(path, labeller)
    standing = {key: row.label for key, row in stored.labels_of(path, labeller).items()}
    rows = content(file)
    if rows and not rows.endswith(b"\n"):
        fix = f"Restore it, or let `misalign-eval label {path} --labeller {labeller}` cut it off and ask again"
        raise InputError([Problem(str(file), None, "", "its last row is torn", fix)])
    return standing


def _check_whole(path: Path, sample: Sample) -> None:
    """A reply that is not in the sample is not missed. Raises InputError where some were lost from it, or are twice."""
    strata = Counter(one.stratum for one in sample.drawn)
    there = strata["flagged"], strata["unflagged"]
    drawn = split_budget(sample.labels, sample.flagged, sample.unflagged)
    if there != drawn or len({one.key for one in sample.drawn}) < len(sample.drawn):
        what = f"holds {there[0]} flagged and {there[1]} other replies, and {drawn[0]} and {drawn[1]} were drawn"
        raise InputError([Problem(str(layout.sample_file(path)), None, "drawn", what, "Restore it from a backup")])
