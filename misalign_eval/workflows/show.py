"""`show`: replies by filter; the sample of replies on a page; cases of CI files."""

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from misalign_eval.analysis.align import AlignedPrompt
from misalign_eval.analysis.counts import LETTERS, NOTHING, Cell, GradeTable
from misalign_eval.analysis.outcomes import outcome
from misalign_eval.analysis.summary import LowestScoring, summarise
from misalign_eval.analysis.warnings import of_files
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.definition import OUTCOMES, UNKNOWN, Definition, Outcome
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.pages import ProbeCase, RunCases, ShownGrade, ShownReply
from misalign_eval.records.run import CellKey, Failure, PlannedPrompt, Reply, ReplyKey
from misalign_eval.records.suite import PLAIN
from misalign_eval.records.summary import ProbeLine, ReplyExample, ReplyExamples
from misalign_eval.store.run_folder import RunFolder, open_run
from misalign_eval.workflows.load_run import (
    Choices,
    CountedRun,
    chosen_definition,
    chosen_graders,
    count,
    grade_table,
    needed,
)

# `show`: the replies of a run, with their outcomes and grades.


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


def show(path: Path, wanted: Filter, choices: Choices | None = None) -> ReplyExamples:
    """Read the replies that fit. Raises UsageError for a filter that nothing in the run can fit."""
    choices = choices or Choices()
    folder = open_run(path)
    definition = chosen_definition(folder, choices)
    graders = chosen_graders(folder, definition, choices.use_judge)
    plan = {item.cell: item for item in folder.plan()}
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
    examples = tuple(_example_rows(folder, chosen, keys, plan, graders))
    return ReplyExamples(
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
        prompt = self._plan.get(row.cell)
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
    ordered = sorted(keys, key=lambda key: (place[key.cell], key.sample))
    return ordered[wanted.offset :] if wanted.limit is None else ordered[wanted.offset : wanted.offset + wanted.limit]


def _example_rows(
    folder: RunFolder,
    chosen: list[ReplyKey],
    outcomes: dict[ReplyKey, Outcome],
    plan: dict[CellKey, PlannedPrompt],
    graders: Collection[GraderIdentity],
) -> Iterable[ReplyExample]:
    """Read the rows again for the few that are shown: a run's texts are never all in memory."""
    asked = set(chosen)
    rows = {row.key: row for row in folder.replies() if row.key in asked}
    grades: dict[ReplyKey, dict[str, Graded | Ungraded]] = {key: {} for key in chosen}
    for identity in _everyone(folder, graders):
        for grade in folder.grades(identity):
            if grade.key in asked:
                grades[grade.key][identity.grader] = grade
    for key in chosen:
        prompt = plan[key.cell]
        yield ReplyExample(prompt=prompt, row=rows[key], outcome=outcomes[key], grades=grades[key])


def _everyone(folder: RunFolder, graders: Collection[GraderIdentity]) -> list[GraderIdentity]:
    """The graders that the definition reads, and of every other one the primary."""
    read = {grader.grader for grader in graders}
    others = {
        identity.grader: identity for identity in reversed(folder.grader_identities()) if identity.grader not in read
    }
    return [*graders, *(others[name] for name in sorted(others))]


def _unread(folder: RunFolder, graders: Collection[GraderIdentity]) -> frozenset[ReplyKey]:
    """The replies that some grader looked at and could not grade."""
    rows = (grade for identity in _everyone(folder, graders) for grade in folder.grades(identity))
    return frozenset(grade.key for grade in rows if isinstance(grade, Ungraded))


def _check(wanted: Filter, plan: Iterable[PlannedPrompt]) -> None:
    prompts = list(plan)
    known: dict[str, tuple[tuple[str, ...], list[str]]] = {
        "key": (wanted.keys, [str(key) for key in _planned(prompts)] if wanted.keys else []),
        "outcome": (wanted.outcomes, list(OUTCOMES)),
        "probe": (wanted.probes, sorted({prompt.probe for prompt in prompts})),
        "category": (wanted.categories, sorted({prompt.category for prompt in prompts})),
    }
    for option, (given, there) in known.items():
        for name in given:
            if name not in there:
                raise UsageError(f"--{option} {name}: none in this run. {did_you_mean(name, there)}")


def _planned(prompts: Iterable[PlannedPrompt]) -> Iterator[ReplyKey]:
    for prompt in prompts:
        for sample in range(prompt.samples):
            yield ReplyKey(*prompt.cell, sample)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {pattern}: not a regular expression: {error}") from error


# Test cases of CI files: for each probe its counts, and the replies that were counted as misaligned or failed.


@dataclass
class _Kept:
    """What is remembered of a probe while the rows stream by."""

    worst: LowestScoring
    lost: ReplyKey | None = None
    rows: int = 0
    planned: int = 0
    seconds: float | None = field(default=None)


def cases(path: Path, choices: Choices | None = None) -> RunCases:
    """Read a run. Raises UsageError for a folder that holds none, or choices that do not fit it."""
    choices = choices or Choices()
    counted = count(path, choices)
    summary = summarise(counted.tally, counted.provenance, split=choices.split, interval=choices.interval)
    plan = _plain(needed(counted.folder.plan(), counted.folder.decided_at))
    kept = _follow(counted, plan, choices)
    shown = _case_examples(path, choices, kept.values())
    expect = {prompt.probe: prompt.expect for prompt in plan.values()}
    return RunCases(
        summary=summary,
        cases=tuple(_case(line, expect[line.id], kept[line.id], shown) for line in summary.probes),
    )


def _plain(plan: Iterable[PlannedPrompt]) -> dict[CellKey, PlannedPrompt]:
    """The prompts that a probe's line is made of: in their plain form, of probes without one all of them."""
    plan = list(plan)
    has_plain = {prompt.probe for prompt in plan if prompt.variant == PLAIN}
    wanted = (prompt for prompt in plan if prompt.variant == PLAIN or prompt.probe not in has_plain)
    return {item.cell: item for item in wanted}


def _follow(counted: CountedRun, plan: dict[CellKey, PlannedPrompt], choices: Choices) -> dict[str, _Kept]:
    definition = counted.tally.definition
    table = grade_table(counted.folder, chosen_graders(counted.folder, definition, choices.use_judge))
    kept: dict[str, _Kept] = {}
    for prompt in plan.values():
        kept.setdefault(prompt.probe, _Kept(LowestScoring(definition, 1))).planned += prompt.samples
    for row in counted.folder.replies():
        prompt_of_row = plan.get(row.cell)
        if prompt_of_row is not None and row.sample < prompt_of_row.samples:
            _note(kept[row.probe], row, table, definition)
    return kept


def _note(item: _Kept, row: Reply | Failure, table: GradeTable, definition: Definition) -> None:
    grades = table.of(row.key)
    found = outcome(row, grades, definition)
    item.rows += 1
    item.worst.add(row, grades, found)
    if found in UNKNOWN and (item.lost is None or row.key < item.lost):
        item.lost = row.key
    if isinstance(row, Reply) and row.latency_s is not None:
        item.seconds = (item.seconds or 0.0) + row.latency_s


def _worst_key(item: _Kept) -> ReplyKey | None:
    return next((ReplyKey(it.probe, it.prompt, it.variant, it.sample) for it in item.worst.replies()), None)


def _case_examples(path: Path, choices: Choices, kept: Iterable[_Kept]) -> dict[ReplyKey, ReplyExample]:
    keys = {key for item in kept for key in (item.lost, _worst_key(item)) if key is not None}
    if not keys:
        return {}
    found = show(path, Filter(keys=tuple(map(str, sorted(keys)))), choices)
    return {example.row.key: example for example in found.examples}


def _case(line: ProbeLine, expect: str | None, item: _Kept, shown: dict[ReplyKey, ReplyExample]) -> ProbeCase:
    worst = _worst_key(item)
    return ProbeCase.model_validate(
        {
            "line": line,
            "expect": expect,
            "worst": shown.get(worst) if worst else None,
            "lost": shown.get(item.lost) if item.lost else None,
            "not_collected": item.planned - item.rows,
            "seconds": item.seconds,
        }
    )


# Sample of replies for a page, with their grades. Texts are read once, for these alone.
#
# Memory: the kept texts (bounded by REPLIES and CHARACTERS), and as in counting a few bytes for each row.


REPLIES = 10_000  # on one page, all runs together
CHARACTERS = 24_000_000  # of texts, all runs together; what is past them is left out
CUT = 20_000  # characters kept of one text
JUDGE_CUT = 4_000  # characters kept of a judge's words


Place = tuple[int, int]  # a line of the line-up, a sample


def chosen(lines: Sequence[AlignedPrompt], definition: Definition, most: int = REPLIES) -> dict[Place, int]:
    """Which samples of which prompts a page shows, each with its rank: the last ones go first if texts are too long.

    All of them where there is room. Else up to half of the room goes to those that some run counts in the
    numerator, and the rest to the first samples of every prompt, so that no probe is left out.
    """
    places = list(_by_round(lines))
    size = max(map(len, lines), default=1)
    room = max(most // size, 1)
    if len(places) <= room:
        return {place: rank for rank, place in enumerate(places)}
    letters = {LETTERS[name] for name in definition.numerator}
    found = islice((place for place in places if _is_any(lines, place, letters)), room // 2)
    kept = dict.fromkeys(found)
    for place in places:
        if len(kept) >= room:
            break
        kept.setdefault(place)
    return {place: rank for rank, place in enumerate(kept)}


def _by_round(lines: Sequence[AlignedPrompt]) -> Iterator[Place]:
    rounds = max((len(cell.in_order) for line in lines for cell in line if cell is not None), default=0)
    for sample in range(rounds):
        for number, line in enumerate(lines):
            if any(cell is not None and cell.in_order[sample : sample + 1] not in {"", NOTHING} for cell in line):
                yield number, sample


def _is_any(lines: Sequence[AlignedPrompt], place: Place, letters: set[str]) -> bool:
    number, sample = place
    return any(cell is not None and cell.in_order[sample : sample + 1] in letters for cell in lines[number])


def keys_of(lines: Sequence[AlignedPrompt], run: int, places: Mapping[Place, int]) -> dict[ReplyKey, tuple[Place, int]]:
    """The chosen replies of one run under its own names, each with its place and rank."""
    found = {}
    for place, rank in places.items():
        cell: Cell | None = lines[place[0]][run]
        if cell is not None:
            found[ReplyKey(*cell.prompt.cell, place[1])] = place, rank
    return found


@dataclass(slots=True)
class KeptReplies:
    """Texts of one run, cut, and no more of them than `characters` in all: those of the highest rank go first."""

    wanted: dict[ReplyKey, tuple[Place, int]]
    characters: int
    shown: dict[Place, ShownReply] = field(default_factory=dict)
    grades: dict[ReplyKey, list[ShownGrade]] = field(default_factory=dict)
    _sizes: list[tuple[int, Place, ReplyKey, int]] = field(default_factory=list)  # a heap, the highest rank on top
    _total: int = 0

    def grade(self, name: str, rows: Iterable[Graded | Ungraded]) -> Iterator[Graded | Ungraded]:
        """Pass the rows of one grader on, keeping what they say of wanted replies."""
        for row in rows:
            key = row.key
            if key in self.wanted:
                self.grades.setdefault(key, []).append(kept := shown_grade(name, row))
                self._hold(key, _grade_size(kept))
            yield row

    def keep(self, key: ReplyKey, reply: ShownReply) -> None:
        """Keep one wanted reply."""
        self.shown[self.wanted[key][0]] = reply
        self._hold(key, _reply_size(reply))

    def _hold(self, key: ReplyKey, size: int) -> None:
        place, rank = self.wanted[key]
        heapq.heappush(self._sizes, (-rank, place, key, size))
        self._total += size
        while self._total > self.characters:
            _, place, dropped, freed = heapq.heappop(self._sizes)
            self._total -= freed
            self.shown.pop(place, None)
            self.grades.pop(dropped, None)
            self.wanted.pop(dropped, None)


def shown_reply(
    row: Reply | Failure, outcome: Outcome, grades: Sequence[ShownGrade], *, is_disputed: bool
) -> ShownReply:
    """A row as a page shows it, long texts cut."""
    said = tuple(grades)
    if isinstance(row, Failure):
        why = f"{row.reason}: {row.message}"[:JUDGE_CUT]
        return ShownReply(outcome=outcome, text=None, failure=why, grades=said)
    return ShownReply(
        outcome=outcome,
        text=_cut(row.text, CUT),
        finish=row.finish,
        finish_word=row.finish_word,
        calls=tuple(f"{call.name} {call.arguments}"[:JUDGE_CUT] for call in row.calls),
        leaked=_cut(row.leaked, JUDGE_CUT),
        earlier=tuple(item[:CUT] for item in row.earlier),
        reasoning=_cut(row.reasoning, CUT),
        refusal=_cut(row.refusal, JUDGE_CUT),
        whole=len(row.text) if row.text is not None and len(row.text) > CUT else None,
        grades=said,
        is_disputed=is_disputed,
    )


def shown_grade(name: str, row: Graded | Ungraded) -> ShownGrade:
    """A grade as a page shows it, the judge's words cut."""
    votes = tuple(vote.model_copy(update={"raw": None}) for vote in row.votes)
    raw, mass = _cut(row.raw, JUDGE_CUT), row.number_mass
    grade = ShownGrade(name, raw=raw, number_mass=mass, distribution=row.distribution, votes=votes)
    if isinstance(row, Ungraded):
        return replace(grade, problem=f"{row.reason}: {row.message}"[:JUDGE_CUT])
    return replace(grade, score=row.score, label=row.label, why=_cut(row.why, JUDGE_CUT))


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]


def _reply_size(reply: ShownReply) -> int:
    texts = (reply.text, reply.failure, reply.reasoning, reply.refusal, reply.leaked, *reply.calls, *reply.earlier)
    return sum(len(text) for text in texts if text)


def _grade_size(grade: ShownGrade) -> int:
    """Of a distribution about what its JSON has."""
    texts = (grade.label, grade.why, grade.problem, grade.raw)
    return sum(len(text) for text in texts if text) + 16 * len(grade.distribution or ()) + 40 * len(grade.votes)
