"""Reads a run folder into counts: which graders are read, by which definition, row by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from misalign_eval.analysis import definitions, warnings
from misalign_eval.analysis.answers import Answers
from misalign_eval.analysis.beside import other_grader
from misalign_eval.analysis.lint import Linter
from misalign_eval.analysis.provenance import provenance
from misalign_eval.analysis.readings import Recount, readings
from misalign_eval.analysis.selection import headline
from misalign_eval.analysis.tally import CellKey, GradeTable, Tally
from misalign_eval.analysis.worst import Worst
from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.records.analysis import Estimand, OtherGrader, Provenance, WorstReply
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.results.folder import RunFolder, open_run
from misalign_eval.workflows.health import linting
from misalign_eval.workflows.judging import calibrations


@dataclass(frozen=True, slots=True)
class Choices:
    """How to read runs, when not as they say themselves."""

    definition: str | None = None  # a preset or a file
    use_judge: Mapping[str, str] = field(default_factory=dict)  # grader → identity, its beginning, or provider/model
    split: str | None = None
    interval: Estimand = "suite"
    sensitivity: bool = False  # count in every other way too

    @property
    def are_plain(self) -> bool:
        """Whether the runs are read as they say themselves, so that the result may be kept in their folders."""
        return self == Choices()


@dataclass(frozen=True, slots=True)
class Counted:
    """A run that was read once."""

    folder: RunFolder
    tally: Tally
    provenance: Provenance
    worst: tuple[WorstReply, ...]
    recount: Recount | None = None
    linter: Linter | None = None  # None: the replies were not looked at


def count(path: Path, choices: Choices, *, worst: int = 0, whole: bool = False, lint: bool = False) -> Counted:
    """Read all rows of a run once, keeping the `worst` replies; `whole`: also those after early stopping.

    `lint`: look at the replies and verdicts, too, as they go by.

    Raises UsageError for choices that do not fit.
    """
    folder = open_run(path)
    definition = chosen_definition(folder, choices)
    graders = chosen_graders(folder, definition, choices.use_judge)
    others = _other_graders(folder, graders) if choices.sensitivity else ()
    decided = None if whole else folder.decided_at
    plan = needed(folder.plan(), decided)
    linter = linting.linter(plan, definition) if lint else None
    answers = Answers(folder.manifest.target)
    table = grade_table(folder, (*graders, *others), linter, answers)
    tally, worst_replies = Tally(plan, definition), Worst(definition, worst)
    recount = Recount(plan, readings(definition, table.graders)) if choices.sensitivity else None
    tally.answers = answers
    inside = _headline_keys(tally, choices.split)
    for row in folder.replies():
        if decided is not None and row.sample >= decided:
            continue
        answers.note(row)
        grades = table.of(row.key)
        found = tally.add(row, grades)
        if (row.probe, row.prompt, row.variant) in inside:
            worst_replies.add(row, grades, found)
        if recount is not None and found is not None:
            recount.add(row, grades)
        if linter is not None:
            linter.add(row, grades, found)
    tally.differing, tally.first_digits = folder.differing, folder.first_digits(graders)
    known = calibrations.note(path, definition, graders, headline(tally.cells(), choices.split))
    source = provenance(folder.manifest, definition, graders, known)
    return Counted(folder, tally, source, worst_replies.replies(), recount, linter)


def refuse_unsound(run: Counted) -> None:
    """Raise InputError for a run on which nothing can be decided: two processes wrote it, or its scores are wrong."""
    found = [*_contradictions(run.folder), *_first_digits(run.folder, run.tally.first_digits)]
    if found:
        raise InputError(found)


def refuse_contradictions(folder: RunFolder) -> None:
    """Two processes wrote a run: there is no telling which of its rows count. Raises InputError."""
    if found := list(_contradictions(folder)):
        raise InputError(found)


def refuse_first_digits(folder: RunFolder, graders: Iterable[GraderIdentity]) -> None:
    """Raise InputError where scores of these graders are those of first digits: no others are to be added to them."""
    if found := list(_first_digits(folder, folder.first_digits(graders))):
        raise InputError(found)


def _contradictions(folder: RunFolder) -> Iterator[Problem]:
    fix = "Two processes wrote this run, so nothing is decided on it. Collect it anew"
    for name, keys in folder.contradictions().items():
        yield Problem(str(folder.path / name), None, "", f"different rows under one key, for {keys} of them", fix)


def _first_digits(folder: RunFolder, rows: Mapping[str, int]) -> Iterator[Problem]:
    """`rows`: by file of grades."""
    fix = f"Grade anew: misalign-eval regrade {folder.path} --judge P/M --judge-method sampled --primary"
    for name, count in rows.items():
        what = f"{count} scores of a judge that shows no number of two digits: {warnings.FIRST_DIGITS}"
        yield Problem(str(folder.path / name), None, "", what, fix)


def needed(plan: Sequence[PlannedPrompt], decided: int | None) -> tuple[PlannedPrompt, ...]:
    """The plan without what early stopping found that it does not need."""
    if decided is None:
        return tuple(plan)
    return tuple(one.model_copy(update={"samples": min(one.samples, decided)}) for one in plan)


def chosen_definition(folder: RunFolder, choices: Choices) -> Definition:
    """The definition that was asked for, or the run's own."""
    return definitions.load(choices.definition) if choices.definition else folder.manifest.definition


def chosen_graders(
    folder: RunFolder, definition: Definition, use_judge: Mapping[str, str]
) -> tuple[GraderIdentity, ...]:
    """Whose grades the definition reads: the one asked for, else the run's primary, else the only one there is.

    Raises UsageError for a grader or an identity that the run does not have, or where there is no telling which.
    """
    for grader in use_judge:
        if grader not in definition.graders:
            known = did_you_mean(grader, definition.graders)
            raise UsageError(f"--use-judge {grader}: definition `{definition.name}` reads no such grader. {known}")
    there = folder.grader_identities()
    found = (
        _chosen(folder, [who for who in there if who.grader == name], name, use_judge.get(name))
        for name in definition.graders
    )
    return tuple(who for who in found if who is not None)


def graders_beside(folder: RunFolder, definition: Definition) -> tuple[OtherGrader, ...]:
    """What every grader found that the definition does not read, each judge of it for itself."""
    everyone = folder.grader_identities()
    there = [*dict.fromkeys(who.grader for who in everyone)]
    beside = [who for who in everyone if who.grader not in definition.graders]
    return tuple(other_grader(who, folder.grades(who), there) for who in beside)


def grade_table(
    folder: RunFolder,
    graders: tuple[GraderIdentity, ...],
    linter: Linter | None = None,
    answers: Answers | None = None,
) -> GradeTable:
    """The grades of these graders, in the few bytes that decide outcomes; a linter sees each whole."""
    table = GradeTable()
    for who in graders:
        table.add(who.grader, _seen(who, folder.grades(who), linter, answers))
    return table


def _seen(
    who: GraderIdentity, grades: Iterable[Graded | Ungraded], linter: Linter | None, answers: Answers | None
) -> Iterator[Graded | Ungraded]:
    for grade in grades:
        if linter is not None:
            linter.grade(who, grade)
        if answers is not None:
            answers.judged(who, grade)
        yield grade


def _other_graders(folder: RunFolder, chosen: tuple[GraderIdentity, ...]) -> tuple[GraderIdentity, ...]:
    """Graders that only other definitions read; one of which there are several, none of them primary, is left out."""
    there = folder.grader_identities()
    done = {who.grader for who in chosen}
    primary = folder.manifest.primary
    found = []
    for name in dict.fromkeys(who.grader for who in there if who.grader not in done):
        ours = [who for who in there if who.grader == name]
        fits = [who for who in ours if who.identity == primary.get(name)] or ours
        found += fits if len(fits) == 1 else []
    return tuple(found)


def _headline_keys(tally: Tally, split: str | None) -> set[CellKey]:
    """The cells of the headline: a control that is meant to be bad is not among the worst replies."""
    prompts = (cell.prompt for cell in headline(tally.cells(), split).cells)
    return {(one.probe, one.prompt, one.variant) for one in prompts}


def _chosen(folder: RunFolder, there: list[GraderIdentity], grader: str, asked: str | None) -> GraderIdentity | None:
    names = ", ".join(f"{who.identity} ({who.judge or who.kind})" for who in there)
    if asked is not None:
        fits = [who for who in there if who.judge == asked or who.identity.startswith(asked)]
        if len(fits) != 1:
            problem = "fits several graders of" if fits else "is not in"
            raise UsageError(f"--use-judge {grader}={asked} {problem} {folder.path}. It has: {names or 'none'}")
        return fits[0]
    primary = folder.manifest.primary.get(grader)
    fits = [who for who in there if who.identity == primary] or there
    if len(fits) > 1:
        raise UsageError(f"{folder.path}: several graders `{grader}`: {names}. Choose one with --use-judge {grader}=…")
    return fits[0] if fits else None
