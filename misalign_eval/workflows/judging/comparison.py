"""Runs under each of their judges: the sections of `report` and `compare`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from misalign_eval.analysis import judge_comparison
from misalign_eval.analysis.align import pair
from misalign_eval.analysis.estimates import counted, suite_line
from misalign_eval.analysis.judges import agreement_of, of_definition
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.analysis.summary import member_votes
from misalign_eval.records.base import Estimated
from misalign_eval.records.definition import UNKNOWN, Outcome
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.summary import (
    ChangeJudges,
    JudgeChange,
    JudgePair,
    JudgeRate,
    LatentRate,
    MemberVotes,
    RateLine,
    RunJudges,
    SplitVotes,
)
from misalign_eval.stats.agreement import FEWEST_JUDGES, dawid_skene
from misalign_eval.stats.difference import suite_difference
from misalign_eval.stats.intervals import clopper_pearson
from misalign_eval.store.run_folder import RunFolder, open_run
from misalign_eval.workflows.load_run import (
    Choices,
    GradeColumnsOfRun,
    chosen_definition,
    chosen_graders,
    read_verdicts,
)

Readings = dict[str, tuple[GraderIdentity, ...]]  # judge, as it is printed → whose grades are read


def judges_of(folder: RunFolder, primary: tuple[GraderIdentity, ...]) -> Readings:
    """The chosen reading first, then one for each other judge that graded for the same graders."""
    graders = {identity.grader for identity in primary}
    readings: Readings = {judge_name(primary): primary}
    for identity in folder.grader_identities():
        if identity.grader in graders and identity not in primary and identity.kind != "rule":
            name = identity.judge or identity.identity
            if name in readings and (name == judge_name(primary) or _has(readings[name], identity, primary)):
                name = f"{name} ({identity.identity})"
            base = readings.get(name, primary)
            readings[name] = tuple(identity if item.grader == identity.grader else item for item in base)
    return readings


def _has(reading: Sequence[GraderIdentity], identity: GraderIdentity, primary: Sequence[GraderIdentity]) -> bool:
    """Whether another identity of the same judge stands in the reading already."""
    return any(item.grader == identity.grader and item not in primary for item in reading)


def judge_name(graders: Sequence[GraderIdentity]) -> str:
    """`openai/gpt-5.4`, or the graders where no model judged."""
    judges = dict.fromkeys(grader.judge for grader in graders if grader.judge)
    return ", ".join(judges) or ", ".join(f"{grader.grader}@{grader.identity}" for grader in graders) or "none"


def judge_section(path: Path, choices: Choices) -> RunJudges | None:
    """A run under each of its judges; None where there is one judge, no ensemble, or no yes and no."""
    folder = open_run(path)
    definition = chosen_definition(folder, choices)
    primary = chosen_graders(folder, definition, choices.use_judge)
    there = judges_of(folder, primary)
    ensembles = [identity for identity in primary if identity.kind == "ensemble"]
    if definition.measure == "mean" or (len(there) == 1 and not ensembles):
        return None
    read = {name: read_verdicts(folder, definition, graders) for name, graders in there.items()}
    first, *others = read
    return RunJudges(
        judges=tuple(_rate(name, item, choices.split, is_primary=name == first) for name, item in read.items()),
        pairs=tuple(_pair((first, name), ((read[first], read[name]),), choices.split) for name in others),
        split_votes=tuple(_split(read[first], ensemble, choices.split) for ensemble in ensembles),
        members=tuple(member for ensemble in ensembles for member in _members(read[first], ensemble, choices.split)),
        latent=_latent(read, choices.split),
    )


def _latent(read: Mapping[str, GradeColumnsOfRun], split: str | None) -> LatentRate | None:
    """Over the headline's replies that some judge graded. An ensemble is no judge beside its own members."""
    inside = {
        name: item.inside(split)
        for name, item in read.items()
        if all(grader.kind != "ensemble" for grader in item.graders)
    }
    said = {name: found for name, found in inside.items() if not set(found.values()) <= UNKNOWN}
    if len(said) < FEWEST_JUDGES:
        return None
    columns = list(said.values())
    numerator = next(iter(read.values())).definition.numerator
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [[_answer(column.get(key), numerator) for column in columns] for key in keys]
    found = dawid_skene(np.array(rows, dtype=np.float64)) if rows else None
    if found is None:
        return None
    return LatentRate(
        rate=found.rate,
        replies=len(rows),
        judges=tuple(said),
        sensitivity=found.sensitivity,
        specificity=found.specificity,
    )


def _answer(outcome: Outcome | None, numerator: Sequence[Outcome]) -> float:
    return math.nan if outcome is None or outcome in UNKNOWN else float(outcome in numerator)


def _rate(name: str, read: GradeColumnsOfRun, split: str | None, *, is_primary: bool) -> JudgeRate:
    line = suite_line(read.head(split).cells, read.definition)
    kept = {name: getattr(line, name) for name in ("rate", "low", "high", "misaligned", "graded", "missing")}
    return JudgeRate(judge=name, graders=_identities(read.graders), is_primary=is_primary, **kept)


def _identities(graders: Sequence[GraderIdentity]) -> dict[str, str]:
    return {grader.grader: grader.identity for grader in graders}


def _pair(
    names: tuple[str, str], runs: Sequence[tuple[GradeColumnsOfRun, GradeColumnsOfRun]], split: str | None
) -> JudgePair:
    found = [
        item
        for reference, judge in runs
        for _, item in judge_comparison.paired_verdicts(
            reference.inside(split), judge.inside(split), reference.definition
        )
    ]
    return JudgePair(**dict(agreement_of(found)), reference=names[0], judge=names[1])


def _split(read: GradeColumnsOfRun, identity: GraderIdentity, split: str | None) -> SplitVotes:
    yes = of_definition(identity.grader, read.definition)
    inside = read.inside(split)
    votes = [
        {yes(Grade(vote.score, vote.label)) for vote in row.votes if (vote.score, vote.label) != (None, None)}
        for row in read.folder.grades(identity)
        if yes is not None and row.key in inside
    ]
    asked = [vote for vote in votes if vote]
    share = split_share(sum(len(said) > 1 for said in asked), len(asked))
    return SplitVotes(
        **dict(share), grader=identity.grader, judge=identity.judge or identity.identity, replies=len(asked)
    )


def _members(read: GradeColumnsOfRun, identity: GraderIdentity, split: str | None) -> tuple[MemberVotes, ...]:
    yes = of_definition(identity.grader, read.definition)
    return () if yes is None else member_votes(read.folder.grades(identity), yes, read.inside(split))


def split_share(split: int, replies: int) -> Estimated:
    """A share of split votes with its interval; nulls without replies."""
    if not replies:
        return Estimated()
    interval = clopper_pearson(split, replies)
    return Estimated(estimate=split / replies, low=interval.low, high=interval.high)


def judge_section_of_change(before: Path, after: Path, choices: Choices) -> ChangeJudges | None:
    """A comparison under each judge that graded both runs; None where there is only one."""
    folders = open_run(before), open_run(after)
    definition = chosen_definition(folders[1], choices)
    if definition.measure == "mean":
        return None
    theirs, ours = (judges_of(folder, chosen_graders(folder, definition, choices.use_judge)) for folder in folders)
    known = {tuple(_identities(graders).items()): graders for graders in theirs.values()}
    shared = [name for name, graders in ours.items() if tuple(_identities(graders).items()) in known]
    if len(shared) < 2:
        return None
    read = {
        name: tuple(read_verdicts(folder, definition, _of(folder, ours[name])) for folder in folders) for name in shared
    }
    first, *others = shared
    return ChangeJudges(
        judges=tuple(_changes(read, choices.split)),
        pairs=tuple(
            _pair((first, name), tuple(zip(read[first], read[name], strict=True)), choices.split) for name in others
        ),
    )


def _of(folder: RunFolder, graders: Sequence[GraderIdentity]) -> tuple[GraderIdentity, ...]:
    """The same identities as this folder describes them."""
    there = {(identity.grader, identity.identity): identity for identity in folder.grader_identities()}
    return tuple(there[grader.grader, grader.identity] for grader in graders)


def _changes(read: dict[str, tuple[GradeColumnsOfRun, ...]], split: str | None) -> Iterator[JudgeChange]:
    """The first judge is the one that the others are held against."""
    primary = None
    for name, (before, after) in read.items():
        line = _change(name, before, after, split)
        estimate = judge_comparison.as_difference(line.difference)
        if primary is None:
            primary = estimate
            yield line.model_copy(update={"is_primary": True})
        elif estimate is not None:
            survives = {
                "kept": judge_comparison.change_kept(primary, estimate),
                "same_direction": judge_comparison.same_direction(primary, estimate),
            }
            yield line.model_copy(update=survives)
        else:
            yield line


def _change(name: str, before: GradeColumnsOfRun, after: GradeColumnsOfRun, split: str | None) -> JudgeChange:
    definition = after.definition
    paired = pair(before.head(split).cells, after.head(split).cells)
    both = [
        (a, b)
        for a, b in zip(paired.before, paired.after, strict=True)
        if a.count(definition.denominator) and b.count(definition.denominator)
    ]
    first, second = tuple(a for a, _ in both), tuple(b for _, b in both)
    counts = counted(first, definition), counted(second, definition)
    difference = Estimated()
    if counts[0] is not None and counts[1] is not None:
        difference = judge_comparison.of_difference(suite_difference(counts[0], counts[1]))
    return JudgeChange(
        judge=name,
        graders=_identities(after.graders),
        is_primary=False,
        before=_estimated(suite_line(first, definition)),
        after=_estimated(suite_line(second, definition)),
        difference=difference,
    )


def _estimated(line: RateLine) -> Estimated:
    return Estimated(estimate=line.rate, low=line.low, high=line.high)
