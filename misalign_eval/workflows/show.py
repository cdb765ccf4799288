"""`show`: the replies of a run themselves, with what they were counted as and what the graders said."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.analysis.outcomes import outcome
from misalign_eval.analysis.tally import CellKey
from misalign_eval.analysis.warnings import of_files
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.analysis import Example, Examples
from misalign_eval.records.definition import OUTCOMES, Definition, Outcome
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.plan import PlannedPrompt, ReplyKey
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.results.folder import RunFolder, open_run
from misalign_eval.workflows.counting import Choices, chosen_definition, chosen_graders, grade_table


@dataclass(frozen=True, slots=True)
class Filter:
    """Which replies to show; every part that is set must hold."""

    outcomes: tuple[str, ...] = ()
    misaligned: bool = False  # whatever the definition counts in its numerator
    ungraded: bool = False  # replies that any grader could not grade, beside the outcomes asked for
    keys: tuple[str, ...] = ()  # as probe/prompt/variant#sample
    probes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    grep: str | None = None  # a regular expression, in any case, looked for in the reply
    limit: int | None = None
    offset: int = 0  # of those that fit, in the order of the plan, so many are left out first


def show(path: Path, wanted: Filter, choices: Choices | None = None) -> Examples:
    """Read the replies that fit. Raises UsageError for a filter that nothing in the run can fit."""
    choices = choices or Choices()
    folder = open_run(path)
    definition = chosen_definition(folder, choices)
    graders = chosen_graders(folder, definition, choices.use_judge)
    plan = {(one.probe, one.prompt, one.variant): one for one in folder.plan()}
    _check(wanted, plan.values())
    table = grade_table(folder, graders)
    fits = _Fits(wanted, definition, plan, _unread(folder, graders) if wanted.ungraded else frozenset())
    keys: dict[ReplyKey, Outcome] = {}
    for row in folder.replies():
        found = outcome(row, table.of(row.key), definition)
        if fits(row, found):
            keys[row.key] = found
    warned = tuple(of_files(folder.differing, folder.first_digits(graders)))
    chosen = _part(keys, plan, wanted)
    examples = tuple(_examples(folder, chosen, keys, plan, graders))
    return Examples(
        run=folder.manifest.name,
        definition=definition.name,
        matching=len(keys),
        examples=examples,
        warnings=warned,
    )


class _Fits:
    def __init__(
        self,
        wanted: Filter,
        definition: Definition,
        plan: dict[CellKey, PlannedPrompt],
        unread: Collection[ReplyKey],
    ) -> None:
        self._wanted = wanted
        self._unread = unread
        self._plan = plan
        self._pattern = _compiled(wanted.grep)
        self._outcomes: set[str] = set(wanted.outcomes)
        if wanted.misaligned:
            self._outcomes |= set(definition.numerator)

    def __call__(self, row: Reply | Failure, found: Outcome) -> bool:
        prompt = self._plan.get((row.probe, row.prompt, row.variant))
        is_counted = not self._outcomes or found in self._outcomes or row.key in self._unread
        if prompt is None or not is_counted:
            return False
        if self._wanted.keys and str(row.key) not in self._wanted.keys:
            return False
        if self._wanted.probes and row.probe not in self._wanted.probes:
            return False
        if self._wanted.categories and prompt.category not in self._wanted.categories:
            return False
        text = row.message if isinstance(row, Failure) else row.text
        return self._pattern is None or (text is not None and self._pattern.search(text) is not None)


def _part(keys: Iterable[ReplyKey], plan: dict[CellKey, PlannedPrompt], wanted: Filter) -> list[ReplyKey]:
    place = {cell: number for number, cell in enumerate(plan)}
    ordered = sorted(keys, key=lambda key: (place[key.probe, key.prompt, key.variant], key.sample))
    return ordered[wanted.offset :] if wanted.limit is None else ordered[wanted.offset : wanted.offset + wanted.limit]


def _examples(
    folder: RunFolder,
    chosen: list[ReplyKey],
    outcomes: dict[ReplyKey, Outcome],
    plan: dict[CellKey, PlannedPrompt],
    graders: Collection[GraderIdentity],
) -> Iterable[Example]:
    """Read the rows again for the few that are shown: a run's texts are never all in memory."""
    asked = set(chosen)
    rows = {row.key: row for row in folder.replies() if row.key in asked}
    grades: dict[ReplyKey, dict[str, Graded | Ungraded]] = {key: {} for key in chosen}
    for who in _everyone(folder, graders):
        for grade in folder.grades(who):
            if grade.key in asked:
                grades[grade.key][who.grader] = grade
    for key in chosen:
        prompt = plan[key.probe, key.prompt, key.variant]
        yield Example(prompt=prompt, row=rows[key], outcome=outcomes[key], grades=grades[key])


def _everyone(folder: RunFolder, graders: Collection[GraderIdentity]) -> list[GraderIdentity]:
    """The graders that the definition reads, and of every other one the primary."""
    read = {who.grader for who in graders}
    others = {who.grader: who for who in reversed(folder.grader_identities()) if who.grader not in read}
    return [*graders, *(others[name] for name in sorted(others))]


def _unread(folder: RunFolder, graders: Collection[GraderIdentity]) -> frozenset[ReplyKey]:
    """The replies that some grader looked at and could not grade."""
    rows = (grade for who in _everyone(folder, graders) for grade in folder.grades(who))
    return frozenset(grade.key for grade in rows if isinstance(grade, Ungraded))


def _check(wanted: Filter, plan: Iterable[PlannedPrompt]) -> None:
    prompts = list(plan)
    known: dict[str, tuple[tuple[str, ...], list[str]]] = {
        "key": (wanted.keys, [str(key) for key in _planned(prompts)] if wanted.keys else []),
        "outcome": (wanted.outcomes, list(OUTCOMES)),
        "probe": (wanted.probes, sorted({one.probe for one in prompts})),
        "category": (wanted.categories, sorted({one.category for one in prompts})),
    }
    for option, (given, there) in known.items():
        for name in given:
            if name not in there:
                raise UsageError(f"--{option} {name}: none in this run. {did_you_mean(name, there)}")


def _planned(prompts: Iterable[PlannedPrompt]) -> Iterator[ReplyKey]:
    for one in prompts:
        for sample in range(one.samples):
            yield ReplyKey(one.probe, one.prompt, one.variant, sample)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {pattern}: not a regular expression: {error}") from error
