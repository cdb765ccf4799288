"""People's labels behind a check of the corrected rate."""

from collections import Counter

from misalign_eval.analysis import definitions, labels
from misalign_eval.analysis.gate_corrected import Labels, Stratum
from misalign_eval.records.label import Stratum as Name
from misalign_eval.results import labels as stored
from misalign_eval.workflows.counting import Counted


def labels_of(run: Counted) -> Labels | None:
    """What most labellers say of the run's sample; None without one, or where it was drawn by another judge.

    Raises InputError for a labels file with faults.
    """
    sample, definition = stored.sample_of(run.folder.path), run.tally.definition
    if sample is None or sample.graders != run.provenance.graders:
        return None
    if sample.definition_digest != definitions.digest(definition):
        return None
    everyone = [stored.labels_of(run.folder.path, name) for name in stored.labellers(run.folder.path)]
    counts: Counter[tuple[Name, bool | None]] = Counter()
    for one in sample.drawn:
        given = [said[one.key].label for said in everyone if one.key in said]
        if given:
            counts[one.stratum, labels.is_yes(labels.majority(given, definition), definition)] += 1
    flagged, unflagged = (
        Stratum(counts[name, True], counts[name, False], counts[name, None]) for name in ("flagged", "unflagged")
    )
    return Labels(flagged, unflagged, sample.split)
