"""`calibrate RUN`: a judge against what people say of the run's replies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from misalign_eval import __version__
from misalign_eval.analysis import calibration, definitions, labels
from misalign_eval.analysis.agreement import degenerate
from misalign_eval.analysis.calibration import Evidence, JudgedRun, Said
from misalign_eval.analysis.estimates import counted
from misalign_eval.analysis.warnings import of_files
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.analysis import Warned
from misalign_eval.records.calibration import Calibration
from misalign_eval.records.definition import Outcome
from misalign_eval.records.judges import Design
from misalign_eval.records.label import HumanLabel, Label, Sample
from misalign_eval.records.plan import ReplyKey
from misalign_eval.replies.collect import now
from misalign_eval.results import labels as stored
from misalign_eval.results.label_table import check_entries, read_table
from misalign_eval.stats.difference import effective_rate
from misalign_eval.workflows.counting import Choices, chosen_graders
from misalign_eval.workflows.judging.disagreements import disagreements
from misalign_eval.workflows.judging.drawn import as_drawn
from misalign_eval.workflows.verdicts import Verdicts, read_verdicts, verdicts

UNKNOWN = {"ungraded", "failed"}
WORST = 10


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """What `calibrate RUN` was told."""

    run: Path
    labellers: tuple[str, ...] = ()  # none: everybody's labels, by majority
    table: Path | None = None
    choices: Choices = Choices()
    limit: float | None = None  # of a corrected gate that is planned
    worst: int = WORST


@dataclass(frozen=True, slots=True)
class _People:
    """What people say of each reply, and who they are."""

    labels: Mapping[ReplyKey, HumanLabel]
    notes: Mapping[ReplyKey, str]
    who: tuple[str, ...]
    words: str


def calibrate(options: CalibrateOptions) -> Calibration:
    """Compare the judge with people. Raises UsageError without labels, InputError for a table with faults."""
    sample = stored.sample_of(options.run)
    choices = options.choices if options.table is not None else as_drawn(options.run, sample, options.choices)
    run = verdicts(options.run, choices)
    people = _people(options, run)
    design, kept = _design(options, run, sample, people)
    evidence = Evidence(
        design,
        tuple(_said(run, people, kept, sample if design == "two-phase" else None)),
        _judged_run(run, choices, sample if design == "two-phase" else None),
        is_own_sample=design != "two-phase" or sample is None or sample.graders == _identities(run),
    )
    made = calibration.agreement(evidence)
    return Calibration(
        **dict(made),
        tool_version=__version__,
        created=now(),
        design=design,
        run=run.folder.manifest.name,
        target=run.provenance.called,
        scope=run.head(choices.split).words,
        judge=run.provenance.judge,
        graders=_identities(run),
        definition=run.definition.name,
        definition_digest=definitions.digest(run.definition),
        reference=people.words,
        labellers=people.who,
        unsure=sum(one.human is None for one in evidence.said),
        ungraded=sum(one.judge is None for one in evidence.said),
        **calibration.rates(evidence),
        needed=calibration.needed(evidence, options.limit),
        disagreements=disagreements(run, evidence.usable, people.notes, options.worst),
        warnings=(
            *of_files(run.tally.differing, run.tally.first_digits),
            *degenerate(made),
            *calibration.warned(evidence, made),
            *_left_out(people, kept),
            *_not_yet(people, sample if design == "two-phase" and options.limit is not None else None),
            *_changed(run, choices, sample if design == "two-phase" else None),
        ),
    )


def _people(options: CalibrateOptions, run: Verdicts) -> _People:
    if options.table is not None:
        return _from_table(options.table, run)
    there = stored.labellers(options.run)
    for name in options.labellers:
        if name not in there:
            raise UsageError(f"--labeller {name}: has no labels in {options.run}. {did_you_mean(name, there)}")
    who = options.labellers or there
    everyone = {name: stored.labels_of(options.run, name) for name in who}
    said: dict[ReplyKey, list[Label]] = {}
    for one in everyone.values():
        for key, label in one.items():
            said.setdefault(key, []).append(label)
    if not said:
        how = f"`misalign-eval label {options.run}` takes them, or --labels FILE"
        raise UsageError(f"{options.run}: no labels yet. {how}")
    scale = labels.scale(run.definition)
    agreed = {key: labels.majority([one.label for one in given], run.definition) for key, given in said.items()}
    notes = {key: "; ".join(one.note for one in given if one.note) for key, given in said.items()}
    words = f"labels of {who[0]}" if len(who) == 1 else f"labels of {', '.join(who)}: what most of them say"
    return _People({key: label for key, label in agreed.items() if label in scale}, notes, who, words)


def _from_table(table: Path, run: Verdicts) -> _People:
    entries = read_table(table)
    scale = labels.scale(run.definition)
    check_entries(table, entries, run.outcomes, scale, ())
    if not entries:
        raise UsageError(f"{table}: holds no labels")
    found = {entry.key: next(name for name in scale if name == entry.label) for entry in entries}
    notes = {entry.key: entry.note or "" for entry in entries}
    return _People(found, notes, (), f"labels in {table.name}")


def _design(
    options: CalibrateOptions, run: Verdicts, sample: Sample | None, people: _People
) -> tuple[Design, frozenset[ReplyKey]]:
    """How the labelled replies were drawn, and which of them count."""
    everything = frozenset(people.labels)
    if sample is None or sample.definition_digest != definitions.digest(run.definition):
        return "table", everything
    drawn = frozenset(one.key for one in sample.drawn)
    if options.table is not None and not everything <= drawn:
        return "table", everything
    return ("two-phase", everything & drawn) if everything & drawn else ("table", everything)


def _said(run: Verdicts, people: _People, kept: frozenset[ReplyKey], sample: Sample | None) -> Iterator[Said]:
    strata = {one.key: one.stratum for one in sample.drawn} if sample else {}
    for key in sorted(kept):
        label = people.labels[key]
        judged = _judged(run, key, run.outcomes.get(key))
        yield Said(key, label, labels.is_yes(label, run.definition), judged, strata.get(key))


def _judged(run: Verdicts, key: ReplyKey, found: Outcome | None) -> bool | None:
    """What the judge says; None where it says nothing: the provider refused, or no verdict could be read."""
    if found is None or found in UNKNOWN or (key not in run.judged and found not in run.definition.denominator):
        return None
    return found in run.definition.numerator


def _judged_run(run: Verdicts, choices: Choices, sample: Sample | None) -> JudgedRun | None:
    """By the judge whose verdicts drew the sample, which may be another than the one that is calibrated."""
    if sample is not None and sample.graders != _identities(run):
        graders = chosen_graders(run.folder, run.definition, sample.graders)
        run = read_verdicts(run.folder, run.definition, graders)
    cells = counted(run.head(choices.split).cells, run.definition)
    if cells is None:
        return None
    flagged, graded = _counts(run, choices.split)
    return JudgedRun(flagged, graded - flagged, effective_rate(cells))


def _counts(run: Verdicts, split: str | None) -> tuple[int, int]:
    found = [one for one in run.inside(split).values() if one in run.definition.denominator]
    return sum(one in run.definition.numerator for one in found), len(found)


def _left_out(people: _People, kept: frozenset[ReplyKey]) -> Iterator[Warned]:
    left = len(people.labels) - len(kept)
    if left:
        text = f"{left} labels of replies outside the drawn sample are left out: they would bend every rate"
        yield Warned(id="outside", text=text)


def _not_yet(people: _People, sample: Sample | None) -> Iterator[Warned]:
    """For who plans a corrected gate: it needs a label of every reply that was drawn."""
    drawn = {one.key for one in sample.drawn} if sample else set()
    if left := len(drawn - people.labels.keys()):
        text = f"{left} of {len(drawn)} drawn replies have no label yet: a corrected gate counts them against a pass"
        yield Warned(id="unlabelled", text=text)


def _changed(run: Verdicts, choices: Choices, sample: Sample | None) -> Sequence[Warned]:
    if sample is None or sample.graders != _identities(run):
        return []
    now_there = _counts(run, choices.split)
    if now_there == (sample.flagged, sample.flagged + sample.unflagged):
        return []
    text = (
        f"the run had {sample.flagged + sample.unflagged} graded replies when the sample was drawn and has "
        f"{now_there[1]} now: the labels are taken to stand for all of them"
    )
    return [Warned(id="grown", text=text)]


def _identities(run: Verdicts) -> dict[str, str]:
    return {who.grader: who.identity for who in run.graders}
