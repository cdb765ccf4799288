"""`calibrate`: a judge against people, or against another judge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from misalign_eval import __version__
from misalign_eval.analysis import definitions, judge_comparison, judges
from misalign_eval.analysis.estimates import counted
from misalign_eval.analysis.judges import Evidence, JudgedRun, Said, VerdictPair, agreement_of, degenerate
from misalign_eval.analysis.warnings import of_files
from misalign_eval.client.caller import now
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.definition import UNKNOWN, Definition, Outcome, When
from misalign_eval.records.findings import Warned
from misalign_eval.records.grade import Graded, GraderIdentity
from misalign_eval.records.labels import Calibration, HumanLabel, JudgeDisagreement, JudgeSwap, Label, Sample
from misalign_eval.records.run import Reply, ReplyKey
from misalign_eval.records.summary import Design
from misalign_eval.stats.difference import effective_rate
from misalign_eval.store import labels as stored
from misalign_eval.store.labels import check_entries, read_table
from misalign_eval.store.run_folder import RunFolder, open_run
from misalign_eval.workflows.judging.comparison import judge_name
from misalign_eval.workflows.judging.label import sample_settings
from misalign_eval.workflows.load_run import (
    Choices,
    GradeColumnsOfRun,
    chosen_definition,
    chosen_graders,
    question,
    read_verdicts,
    refuse_means,
    verdicts,
)

# Disagreements of people and judge, the largest first, with the texts of the replies.


EXCERPT = 600  # characters of a text that are kept


def disagreements(
    run: GradeColumnsOfRun, saids: Sequence[Said], notes: Mapping[ReplyKey, str], most: int
) -> tuple[JudgeDisagreement, ...]:
    """At most so many. Memory: the grades of the replies that differ, the texts of those that are shown."""
    differ = {item.key: item for item in saids if item.human != item.judge}
    when = largest_disagreement(run.definition)
    grades = _grades(run, when, differ) if when else {}

    def plainness(key: ReplyKey) -> tuple[float, ReplyKey]:
        return (-_distance(grades.get(key), when), key)

    chosen = sorted(differ, key=plainness)[:most]
    texts = _texts(run, chosen)
    return tuple(_one(differ[key], texts.get(key), grades.get(key), notes.get(key), run.definition) for key in chosen)


def largest_disagreement(definition: Definition) -> When | None:
    """The condition that makes a reply misaligned."""
    return next((rule.when for rule in definition.outcomes if rule.outcome in definition.numerator), None)


def _grades(run: GradeColumnsOfRun, when: When, keys: Mapping[ReplyKey, Said]) -> dict[ReplyKey, Graded]:
    found: dict[ReplyKey, Graded] = {}
    for grader in run.graders:
        if grader.grader == when.grader:
            for grade in run.folder.grades(grader):
                if isinstance(grade, Graded) and grade.key in keys:
                    found[grade.key] = grade
    return found


def _distance(grade: Graded | None, when: When | None) -> float:
    """How far the score lies from where the verdict turns."""
    if grade is None or grade.score is None or when is None:
        return 0.0
    limits = [item for item in (when.below, when.at_most, when.above, when.at_least) if item is not None]
    return abs(grade.score - limits[0]) if limits else 0.0


def _texts(run: GradeColumnsOfRun, keys: Sequence[ReplyKey]) -> dict[ReplyKey, tuple[str, str | None]]:
    prompts = {item.cell: item for item in run.folder.plan()}
    wanted = set(keys)
    return {
        row.key: (question(prompts[row.cell], row.earlier)[:EXCERPT], row.text and row.text[:EXCERPT])
        for row in run.folder.replies()
        if row.key in wanted and isinstance(row, Reply)
    }


def _one(
    said: Said, texts: tuple[str, str | None] | None, grade: Graded | None, note: str | None, definition: Definition
) -> JudgeDisagreement:
    asked, text = texts or ("", None)
    return JudgeDisagreement(
        where=str(said.key),
        reference=said.label,
        judge=definition.numerator[0] if said.judge else f"not {definition.numerator[0]}",
        score=grade.score if grade else None,
        question=asked,
        text=text,
        why=(grade.why or grade.label) if grade else None,
        note=note or None,
    )


# `calibrate RUN`: a judge against labels of the run's replies by people.


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
    choices = options.choices if options.table is not None else sample_settings(options.run, sample, options.choices)
    run = verdicts(options.run, choices)
    people = _people(options, run)
    design, kept = _design(options, run, sample, people)
    evidence = Evidence(
        design,
        tuple(_said(run, people, kept, sample if design == "two-phase" else None)),
        _judged_run(run, choices, sample if design == "two-phase" else None),
        is_own_sample=design != "two-phase" or sample is None or sample.graders == _identities_of(run),
    )
    made = judges.agreement(evidence)
    return Calibration(
        **dict(made),
        tool_version=__version__,
        created=now(),
        design=design,
        run=run.folder.manifest.name,
        target=run.provenance.called,
        scope=run.head(choices.split).words,
        judge=run.provenance.judge,
        graders=_identities_of(run),
        definition=run.definition.name,
        definition_digest=definitions.digest(run.definition),
        reference=people.words,
        labellers=people.who,
        unsure=sum(item.human is None for item in evidence.said),
        ungraded=sum(item.judge is None for item in evidence.said),
        **judges.rates(evidence),
        needed=judges.needed(evidence, options.limit),
        disagreements=disagreements(run, evidence.usable, people.notes, options.worst),
        warnings=(
            *of_files(run.tally.differing, run.tally.first_digits),
            *degenerate(made),
            *judges.warned(evidence, made),
            *_left_out(people, kept),
            *_not_yet(people, sample if design == "two-phase" and options.limit is not None else None),
            *_changed(run, choices, sample if design == "two-phase" else None),
        ),
    )


def _people(options: CalibrateOptions, run: GradeColumnsOfRun) -> _People:
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
    scale = judges.scale(run.definition)
    agreed = {key: judges.majority([item.label for item in given], run.definition) for key, given in said.items()}
    notes = {key: "; ".join(item.note for item in given if item.note) for key, given in said.items()}
    words = f"labels of {who[0]}" if len(who) == 1 else f"labels of {', '.join(who)}: what most of them say"
    return _People({key: label for key, label in agreed.items() if label in scale}, notes, who, words)


def _from_table(table: Path, run: GradeColumnsOfRun) -> _People:
    entries = read_table(table)
    scale = judges.scale(run.definition)
    check_entries(table, entries, run.outcomes, scale, ())
    if not entries:
        raise UsageError(f"{table}: holds no labels")
    found = {entry.key: next(name for name in scale if name == entry.label) for entry in entries}
    notes = {entry.key: entry.note or "" for entry in entries}
    return _People(found, notes, (), f"labels in {table.name}")


def _design(
    options: CalibrateOptions, run: GradeColumnsOfRun, sample: Sample | None, people: _People
) -> tuple[Design, frozenset[ReplyKey]]:
    """How the labelled replies were drawn, and which of them count."""
    everything = frozenset(people.labels)
    if sample is None or sample.definition_digest != definitions.digest(run.definition):
        return "table", everything
    drawn = frozenset(item.key for item in sample.drawn)
    if options.table is not None and not everything <= drawn:
        return "table", everything
    return ("two-phase", everything & drawn) if everything & drawn else ("table", everything)


def _said(run: GradeColumnsOfRun, people: _People, kept: frozenset[ReplyKey], sample: Sample | None) -> Iterator[Said]:
    strata = {item.key: item.stratum for item in sample.drawn} if sample else {}
    for key in sorted(kept):
        label = people.labels[key]
        judged = _judged_replies(run, key, run.outcomes.get(key))
        yield Said(key, label, judges.is_yes(label, run.definition), judged, strata.get(key))


def _judged_replies(run: GradeColumnsOfRun, key: ReplyKey, outcome: Outcome | None) -> bool | None:
    """What the judge says; None where it says nothing: the provider refused, or no verdict could be read."""
    if outcome is None or outcome in UNKNOWN or (key not in run.judged and outcome not in run.definition.denominator):
        return None
    return outcome in run.definition.numerator


def _judged_run(run: GradeColumnsOfRun, choices: Choices, sample: Sample | None) -> JudgedRun | None:
    """By the judge whose verdicts drew the sample, which may be another than the one that is calibrated."""
    if sample is not None and sample.graders != _identities_of(run):
        graders = chosen_graders(run.folder, run.definition, sample.graders)
        run = read_verdicts(run.folder, run.definition, graders)
    cells = counted(run.head(choices.split).cells, run.definition)
    if cells is None:
        return None
    flagged, graded = _counts(run, choices.split)
    return JudgedRun(flagged, graded - flagged, effective_rate(cells))


def _counts(run: GradeColumnsOfRun, split: str | None) -> tuple[int, int]:
    found = [item for item in run.inside(split).values() if item in run.definition.denominator]
    return sum(item in run.definition.numerator for item in found), len(found)


def _left_out(people: _People, kept: frozenset[ReplyKey]) -> Iterator[Warned]:
    left = len(people.labels) - len(kept)
    if left:
        text = f"{left} labels of replies outside the drawn sample are left out: they would bend every rate"
        yield Warned(id="outside", text=text)


def _not_yet(people: _People, sample: Sample | None) -> Iterator[Warned]:
    """For who plans a corrected gate: it needs a label of every reply that was drawn."""
    drawn = {item.key for item in sample.drawn} if sample else set()
    if left := len(drawn - people.labels.keys()):
        text = f"{left} of {len(drawn)} drawn replies have no label yet: a corrected gate counts them against a pass"
        yield Warned(id="unlabelled", text=text)


def _changed(run: GradeColumnsOfRun, choices: Choices, sample: Sample | None) -> Sequence[Warned]:
    if sample is None or sample.graders != _identities_of(run):
        return []
    now_there = _counts(run, choices.split)
    if now_there == (sample.flagged, sample.flagged + sample.unflagged):
        return []
    text = (
        f"the run had {sample.flagged + sample.unflagged} graded replies when the sample was drawn and has "
        f"{now_there[1]} now: the labels are taken to stand for all of them"
    )
    return [Warned(id="grown", text=text)]


def _identities_of(run: GradeColumnsOfRun) -> dict[str, str]:
    return {grader.grader: grader.identity for grader in run.graders}


# `calibrate RUN [RUN] --against JUDGE`: two judges on the same replies, and the shift of rate and change.


MOST_RUNS = 2


@dataclass(frozen=True, slots=True)
class AgainstOptions:
    """What `calibrate --against` was told. Judges: GRADER=IDENTITY, GRADER=P/M, or a judge for all graders it has."""

    runs: tuple[Path, ...]
    judge: tuple[str, ...]
    reference: tuple[str, ...]
    choices: Choices = Choices()
    worst: int = WORST


@dataclass(frozen=True, slots=True)
class _Run:
    reference: GradeColumnsOfRun
    judge: GradeColumnsOfRun
    pairs: tuple[tuple[ReplyKey, VerdictPair], ...]


def against(options: AgainstOptions) -> JudgeSwap:
    """Hold the judge against the reference. Raises UsageError for judges that did not grade these runs."""
    if len(options.runs) > MOST_RUNS:
        raise UsageError("--against takes one run, or two: BEFORE AFTER")
    runs = [_run(path, options) for path in options.runs]
    last = runs[-1]
    pairs = [pair for run in runs for _, pair in run.pairs]
    if not pairs:
        raise UsageError("there is no reply that both judges graded")
    agreement = agreement_of(pairs)
    tables = [judge_comparison.by_prompt(run.judge.folder.plan(), run.pairs) for run in runs]
    return JudgeSwap(
        **dict(agreement),
        tool_version=__version__,
        created=now(),
        design="judges",
        run=", ".join(run.judge.folder.manifest.name for run in runs),
        scope=_scope(runs, options.choices.split),
        judge=judge_name(last.judge.graders),
        graders=_grader_identities(last.judge.graders),
        definition=last.judge.definition.name,
        definition_digest=definitions.digest(last.judge.definition),
        reference=judge_name(last.reference.graders),
        disagreements=_disagreements(runs, options.worst),
        warnings=tuple(degenerate(agreement)),
        shifts=tuple(
            judge_comparison.shift_of_run(run.judge.folder.manifest.name, tuple(table.values()))
            for run, table in zip(runs, tables, strict=True)
            if table
        ),
        difference=judge_comparison.shift_between(*tables) if len(tables) == MOST_RUNS else None,
    )


def _run(path: Path, options: AgainstOptions) -> _Run:
    folder = open_run(path)
    definition = chosen_definition(folder, options.choices)
    refuse_means(definition)
    reference, judge = (
        read_verdicts(folder, definition, chosen_graders(folder, definition, named(folder, definition, given, flag)))
        for given, flag in ((options.reference, "--against"), (options.judge, "--use-judge"))
    )
    if _grader_identities(reference.graders) == _grader_identities(judge.graders):
        who = judge_name(judge.graders)
        raise UsageError(f"{path}: both sides are {who}. Name the judge with --use-judge and the other with --against")
    split = options.choices.split or "all"
    found = judge_comparison.paired_verdicts(_judged_by(reference, split), _judged_by(judge, split), definition)
    return _Run(reference, judge, tuple(found))


def _judged_by(read: GradeColumnsOfRun, split: str) -> judge_comparison.Outcomes:
    """Only what the judge itself said: what the provider refused tells nothing of a judge."""
    return {key: found for key, found in read.inside(split).items() if key in read.judged}


def named(folder: RunFolder, definition: Definition, given: Sequence[str], flag: str) -> dict[str, str]:
    """Which identity each grader has. Raises UsageError for a judge that graded nothing here."""
    chosen: dict[str, str] = {}
    there = [identity for identity in folder.grader_identities() if identity.grader in definition.graders]
    for item in given:
        grader, equals, identity = item.partition("=")
        if equals:
            chosen[grader] = identity
            continue
        fits = [who for who in there if who.judge == item or who.identity.startswith(item)]
        if not fits:
            known = ", ".join(dict.fromkeys(who.judge or who.identity for who in there if who.kind != "rule"))
            raise UsageError(f"{flag} {item}: no such judge in {folder.path}. It has: {known or 'none'}")
        if len({fit.grader for fit in fits}) < len(fits):
            several = ", ".join(f"{fit.grader}={fit.identity}" for fit in fits)
            raise UsageError(f"{flag} {item}: fits several graders of {folder.path}. Choose one: {several}")
        chosen |= {fit.grader: fit.identity for fit in fits}
    return chosen


def _grader_identities(graders: Sequence[GraderIdentity]) -> dict[str, str]:
    return {grader.grader: grader.identity for grader in graders}


def _scope(runs: Sequence[_Run], split: str | None) -> str:
    words = dict.fromkeys(run.judge.head(split or "all").words for run in runs)
    return f"replies that both graded: {'; '.join(words)}"


def _disagreements(runs: Sequence[_Run], most: int) -> tuple[JudgeDisagreement, ...]:
    found: list[JudgeDisagreement] = []
    for run in runs:
        said = [
            Said(key, "misaligned" if pair.reference else "aligned", pair.reference, pair.judge, None)
            for key, pair in run.pairs
        ]
        found += disagreements(run.judge, said, {}, most)
    return tuple(found[:most])
