"""Comparison of two judges on the same replies: their agreement, and the shift of verdicts and rates."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from misalign_eval.analysis.counts import GradeTable
from misalign_eval.analysis.judges import VerdictPair
from misalign_eval.analysis.outcomes import Grade, Grades, outcome
from misalign_eval.records.base import Bounds, Estimated
from misalign_eval.records.definition import OUTCOMES, UNKNOWN, Definition, Outcome
from misalign_eval.records.grade import Vote
from misalign_eval.records.labels import ShiftOfChange, ShiftOfRun
from misalign_eval.records.pages import Opinion
from misalign_eval.records.run import PlannedPrompt, Reply, ReplyKey
from misalign_eval.stats.agreement import GraderTable
from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import DifferenceEstimate, discordant, shift, shift_of_change, suite_difference
from misalign_eval.stats.intervals import Interval
from misalign_eval.stats.rates import suite_rate

# Two judges: agreement, the shift of the rate, and the change that each of them sees.


Outcomes = Mapping[ReplyKey, Outcome]


def paired_verdicts(
    reference: Outcomes, judge: Outcomes, definition: Definition
) -> Iterator[tuple[ReplyKey, VerdictPair]]:
    """Every reply that both graded: misaligned or not."""
    for key, found in reference.items():
        other = judge.get(key)
        if other is not None and found not in UNKNOWN and other not in UNKNOWN:
            yield key, VerdictPair(key.probe, found in definition.numerator, other in definition.numerator)


@dataclass(frozen=True, slots=True)
class PairedJudges:
    """Counts of one prompt under two judges."""

    probe: str
    both: int
    reference_only: int
    judge_only: int
    replies: int


def by_prompt(plan: Sequence[PlannedPrompt], found: Sequence[tuple[ReplyKey, VerdictPair]]) -> dict[str, PairedJudges]:
    """By what was asked (its digest), so that prompts of two runs meet whatever their probes are called."""
    digests = {prompt.cell: prompt.prompt_digest for prompt in plan}
    names = {prompt.prompt_digest: prompt.probe for prompt in reversed(plan)}
    counts: dict[str, list[int]] = {}
    for key, pair in found:
        row = counts.setdefault(digests[key.cell], [0, 0, 0, 0])
        row[0] += pair.reference and pair.judge
        row[1] += pair.reference and not pair.judge
        row[2] += pair.judge and not pair.reference
        row[3] += 1
    return {digest: PairedJudges(names[digest], *row) for digest, row in counts.items()}


@dataclass(frozen=True, slots=True)
class _Columns:
    """One run as the statistics take it."""

    reference: Cells
    judge: Cells
    reference_only: Cells
    judge_only: Cells


def _columns(rows: Sequence[PairedJudges]) -> _Columns:
    places = {probe: place for place, probe in enumerate(dict.fromkeys(row.probe for row in rows))}
    probes = [places[row.probe] for row in rows]
    trials = [row.replies for row in rows]

    def cells(hits: Sequence[int]) -> Cells:
        return Cells.of(np.array(hits), trials, probes)

    return _Columns(
        cells([row.both + row.reference_only for row in rows]),
        cells([row.both + row.judge_only for row in rows]),
        cells([row.reference_only for row in rows]),
        cells([row.judge_only for row in rows]),
    )


def shift_of_run(run: str, rows: Sequence[PairedJudges]) -> ShiftOfRun:
    """Both rates and the shift from one judge to the other, for exactly these probes."""
    found = _columns(rows)
    moved = shift(discordant(found.reference_only, found.judge_only))
    return ShiftOfRun(run=run, reference=_rate(found.reference), judge=_rate(found.judge), shift=of_difference(moved))


def shift_between(before: Mapping[str, PairedJudges], after: Mapping[str, PairedJudges]) -> ShiftOfChange | None:
    """The change under each judge over the prompts of both runs; None where they share none."""
    shared = [digest for digest in after if digest in before]
    if not shared:
        return None
    # Under the names of the run after, so that probes weigh the same in both.
    first = [_named(before[digest], after[digest].probe) for digest in shared]
    one, other = _columns(first), _columns([after[digest] for digest in shared])
    by_reference = suite_difference(one.reference, other.reference)
    by_judge = suite_difference(one.judge, other.judge)
    moved = shift_of_change(
        discordant(one.reference_only, one.judge_only), discordant(other.reference_only, other.judge_only)
    )
    return ShiftOfChange(
        reference=of_difference(by_reference),
        judge=of_difference(by_judge),
        shift=of_difference(moved),
        kept=change_kept(by_reference, by_judge),
        same_direction=same_direction(by_reference, by_judge),
    )


def _named(row: PairedJudges, probe: str) -> PairedJudges:
    return PairedJudges(probe, row.both, row.reference_only, row.judge_only, row.replies)


def change_kept(primary: DifferenceEstimate, other: DifferenceEstimate) -> float | None:
    """The other judge's change as a share of the primary one's; None where that is not shown to differ from 0."""
    return None if 0 in primary.interval or not primary.estimate else other.estimate / primary.estimate


def same_direction(primary: DifferenceEstimate, other: DifferenceEstimate) -> bool | None:
    """Whether both changes go one way; None where one is not shown to differ from 0."""
    if 0 in primary.interval or 0 in other.interval:
        return None
    return (primary.estimate > 0) == (other.estimate > 0)


def of_difference(estimate: DifferenceEstimate) -> Estimated:
    """As a record."""
    return Estimated(estimate=estimate.estimate, low=estimate.interval.low, high=estimate.interval.high)


def as_difference(estimated: Estimated) -> DifferenceEstimate | None:
    """Back from a record; None where it holds nothing."""
    if estimated.estimate is None or estimated.low is None or estimated.high is None:
        return None
    return DifferenceEstimate(estimated.estimate, Interval(estimated.low, estimated.high))


def _rate(cells: Cells) -> Estimated:
    estimate = suite_rate(cells)
    return Estimated(estimate=estimate.rate, low=estimate.interval.low, high=estimate.interval.high)


# Confusion of two judges, outcome by outcome.


@dataclass(frozen=True, slots=True)
class SecondJudge:
    """Another judge's grades of graders that the definition reads."""

    name: str
    table: GradeTable

    def counted(self, reply: Reply, grades: Grades, definition: Definition) -> Outcome | None:
        """What the reply is counted as with this judge's grades in place of the run's; None where it has none."""
        theirs = self.table.of(reply.key)
        if not theirs:
            return None
        kept = {name: grade for name, grade in grades.items() if name not in self.table.graders}
        return outcome(reply, {**kept, **theirs}, definition)


def is_split(reply: Reply, grades: Grades, votes: Mapping[str, Sequence[Vote]], definition: Definition) -> bool:
    """Whether single votes of an ensemble (by grader) would put the reply on both sides of the numerator."""
    sides = set()
    for name in definition.graders:
        for vote in votes.get(name, ()):
            seen = {**grades, name: Grade(vote.score, vote.label)}
            sides.add(outcome(reply, seen, definition) in definition.numerator)
    return len(sides) > 1


def opinion(
    run: str, judges: tuple[str, str], pairs: Counter[tuple[Outcome, Outcome]], numerator: Sequence[Outcome]
) -> Opinion:
    """Both judges' outcomes of the same replies as a matrix, and how far they agree on the numerator."""
    seen = [name for name in OUTCOMES if any(name in pair for pair in pairs)]
    both = {pair: n for pair, n in pairs.items() if not UNKNOWN & set(pair)}
    judged = sum(both.values())
    opinion = Opinion(
        run=run,
        first=judges[0],
        second=judges[1],
        outcomes=tuple(seen),
        counts=tuple(tuple(pairs.get((row, column), 0) for column in seen) for row in seen),
        judged=judged,
        agreement=None,
    )
    return opinion.model_copy(update=_agreement(both, set(numerator))) if judged else opinion


def _agreement(both: Mapping[tuple[Outcome, Outcome], int], yes: set[Outcome]) -> dict[str, object]:
    def count(*wanted: bool) -> int:
        return sum(n for (first, second), n in both.items() if (first in yes, second in yes) == wanted)

    table = GraderTable(count(True, True), count(True, False), count(False, True), count(False, False))
    share = table.agreement()
    ends = Bounds(low=share.interval.low, high=share.interval.high)
    return {"agreement": share.estimate, "interval": ends, "kappa": table.cohen_kappa(), "ac1": table.gwet_ac1()}
