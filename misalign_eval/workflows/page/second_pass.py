"""A run that was counted is read once more, for a page: texts, how scores are spread, what other judges say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from misalign_eval.analysis.distributions import Spreads, axes
from misalign_eval.analysis.outcomes import Grade, outcome
from misalign_eval.analysis.second_opinion import OtherJudge, is_split, opinion
from misalign_eval.analysis.tally import Cell, CellKey, GradeTable
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.distributions import Opinion
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.workflows.counting import Counted
from misalign_eval.workflows.page.exhibits import Kept, Place, shown_reply

Pairs = Counter[tuple[Outcome, Outcome]]


@dataclass(frozen=True, slots=True)
class Pass:
    """What the second reading of one run found. `cells` are those of the headline."""

    label: str
    cells: tuple[Cell, ...]
    kept: Kept
    dropped: frozenset[Place]  # wanted, and no room for the text
    spreads: Spreads
    opinions: tuple[Opinion, ...]
    graders: tuple[GraderIdentity, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class _Judges:
    """The grades of a run: those that count, and each other judge's."""

    main: GradeTable
    others: tuple[OtherJudge, ...]
    shown: tuple[GraderIdentity, ...]


def second_pass(run: Counted, label: str, kept: Kept, cells: tuple[Cell, ...]) -> Pass:
    """Read grades, then replies. `kept` says which texts are wanted and holds them afterwards."""
    wanted = frozenset(place for place, _ in kept.wanted.values())
    folder, definition = run.folder, run.tally.definition
    judges = _read_grades(run, kept)
    spreads = Spreads(axes(definition, judges.main.graders))
    inside = {(cell.prompt.probe, cell.prompt.prompt, cell.prompt.variant) for cell in cells}
    pairs: list[Pairs] = [Counter() for _ in judges.others]
    planned = {(one.probe, one.prompt, one.variant): one.samples for one in _plan(run)}
    rows = 0
    for row in folder.replies():
        if row.sample >= planned.get((row.probe, row.prompt, row.variant), 0):
            continue
        rows += 1
        grades = judges.main.of(row.key)
        spreads.add(row, grades)
        _look(row, grades, definition, judges, pairs, inside, kept)
    left = frozenset(place for place, _ in kept.wanted.values())
    names = _name(judges.shown, run)
    found = (
        opinion(label, (names, other.name), counts, definition.numerator)
        for other, counts in zip(judges.others, pairs, strict=True)
        if counts
    )
    return Pass(label, cells, kept, wanted - left, spreads, tuple(found), judges.shown, rows)


def _look(
    row: Reply | Failure,
    grades: Mapping[str, Grade],
    definition: Definition,
    judges: _Judges,
    pairs: Sequence[Pairs],
    inside: set[CellKey],
    kept: Kept,
) -> None:
    """Count one row by every judge, and keep it where it is wanted."""
    found = outcome(row, grades, definition)
    is_disputed = False
    if isinstance(row, Reply):
        for other, counts in zip(judges.others, pairs, strict=True):
            theirs = other.counted(row, grades, definition)
            if theirs is not None and (row.probe, row.prompt, row.variant) in inside:
                counts[found, theirs] += 1
            both = {found, theirs} - {None, "ungraded"}
            is_disputed |= len({name in definition.numerator for name in both}) > 1
    key = (row.probe, row.prompt, row.variant, row.sample)
    if key in kept.wanted:
        said = kept.grades.pop(key, [])
        is_disputed |= isinstance(row, Reply) and is_split(
            row, grades, {one.name: one.votes for one in said}, definition
        )
        kept.keep(key, shown_reply(row, found, said, is_disputed=is_disputed))


def _read_grades(run: Counted, kept: Kept) -> _Judges:
    """Every grader that the definition reads, the primary of each other one, and other judges of the former."""
    folder, read = run.folder, run.provenance.graders
    there = folder.grader_identities()
    main = [who for who in there if read.get(who.grader) == who.identity]
    extra = {who.grader: who for who in reversed(there) if who.grader not in read}
    table = GradeTable()
    for who in (*main, *(extra[name] for name in sorted(extra))):
        table.add(who.grader, kept.grade(who.grader, folder.grades(who)))
    second = [who for who in there if who.grader in read and read[who.grader] != who.identity]
    others: dict[str, GradeTable] = {}
    for who in second:
        rows = kept.grade(f"{who.grader} ({_called(who)})", folder.grades(who))
        others.setdefault(_called(who), GradeTable()).add(who.grader, rows)
    judges = tuple(OtherJudge(name, found) for name, found in others.items())
    return _Judges(table, judges, (*main, *(extra[name] for name in sorted(extra)), *second))


def _called(who: GraderIdentity) -> str:
    return who.judge or f"{who.kind} {who.identity}"


def _name(shown: Sequence[GraderIdentity], run: Counted) -> str:
    """Who decides in the run itself."""
    read = run.provenance.graders
    return ", ".join(dict.fromkeys(_called(who) for who in shown if read.get(who.grader) == who.identity)) or "the run"


def _plan(run: Counted) -> list[PlannedPrompt]:
    return [cell.prompt for cell in run.tally.cells()]
