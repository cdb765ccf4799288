"""The summary of one run: its rates, lowest-scoring replies, ensemble members, and other graders."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from math import fsum
from typing import Any

from misalign_eval.analysis import definitions, estimates, warnings
from misalign_eval.analysis.counts import SPLITS, Cell, Headline, Tally, grouped, headline
from misalign_eval.analysis.estimates import by_probe, probe_line, suite_line
from misalign_eval.analysis.judges import YesWhen
from misalign_eval.analysis.outcomes import Grade, Grades, holds
from misalign_eval.records.base import Bounds
from misalign_eval.records.definition import Definition, Outcome, When
from misalign_eval.records.findings import Warned
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded, Vote
from misalign_eval.records.run import Failure, Reply, ReplyKey
from misalign_eval.records.suite import PLAIN
from misalign_eval.records.summary import (
    CategoryLine,
    Estimand,
    MemberVotes,
    OtherGrader,
    ProbeLine,
    Provenance,
    RunSummary,
    SplitLine,
    VariantLine,
    WorstReply,
)
from misalign_eval.stats.intervals import clopper_pearson


def summarise(
    tally: Tally, provenance: Provenance, *, split: str | None = None, interval: Estimand = "suite"
) -> RunSummary:
    """Read the rate, its intervals and every breakdown off the counts.

    `split` chooses the headline's probes (see `selection.headline`), `interval` the one that pages show. Raises
    UsageError for a split that is not there, or an interval that a mean score does not have.
    """
    estimates.check_interval(interval, tally.definition)
    cells = tally.cells()
    head = headline(cells, split)
    return summarise_cells(
        cells,
        head,
        tally.definition,
        provenance,
        interval=interval,
        more_warnings=tuple(warnings.of_run(tally, cells, head, provenance, interval)),
    )


def summarise_cells(
    cells: Sequence[Cell],
    head: Headline,
    definition: Definition,
    provenance: Provenance,
    *,
    interval: Estimand = "suite",
    more_warnings: tuple[Warned, ...] = (),
) -> RunSummary:
    """`summarise`, for cells that were chosen elsewhere."""
    line = suite_line(head.cells, definition)
    return RunSummary(
        **dict(provenance),
        **dict(line),
        measure=definition.measure,
        averaged=head.words,
        not_collected=sum(cell.not_collected for cell in head.cells),
        intervals=estimates.of_rate(head.cells, definition, interval, Bounds(low=line.low, high=line.high)),
        interval=interval,
        probes=tuple(_probes(cells, definition)),
        categories=tuple(_categories(head, definition, interval)),
        splits=tuple(_splits(cells, definition, interval)),
        variants=tuple(_variants(cells, head, definition, interval)),
        warnings=more_warnings,
    )


def _probes(cells: Sequence[Cell], definition: Definition) -> Iterator[ProbeLine]:
    """Every probe of the run in its plain form; those without one in all of theirs."""
    for probe, members in by_probe(cells).items():
        plain = tuple(cell for cell in members if cell.prompt.variant == PLAIN) or members
        prompt = plain[0].prompt
        yield ProbeLine(id=probe, category=prompt.category, split=prompt.split, **dict(probe_line(plain, definition)))


def _group_line(cells: Sequence[Cell], definition: Definition, interval: Estimand) -> dict[str, Any]:
    """A line of several probes; other intervals than SUITE are worked out only when they are shown."""
    line = suite_line(cells, definition)
    if interval == "suite":
        return dict(line)
    suite = Bounds(low=line.low, high=line.high)
    return {**dict(line), "intervals": estimates.of_rate(cells, definition, interval, suite)}


def _categories(head: Headline, definition: Definition, interval: Estimand) -> Iterator[CategoryLine]:
    for category, members in grouped(head.cells, lambda cell: cell.prompt.category).items():
        yield CategoryLine(category=category, **_group_line(members, definition, interval))


def _splits(cells: Sequence[Cell], definition: Definition, interval: Estimand) -> Iterator[SplitLine]:
    for split in SPLITS:
        members = tuple(cell for cell in cells if cell.prompt.split == split and cell.prompt.variant == PLAIN)
        if members:
            yield SplitLine(split=split, **_group_line(members, definition, interval))


def _variants(
    cells: Sequence[Cell], head: Headline, definition: Definition, interval: Estimand
) -> Iterator[VariantLine]:
    inside = tuple(cell for cell in cells if cell.prompt.split in head.splits)
    for variant, members in grouped(inside, lambda cell: cell.prompt.variant).items():
        yield VariantLine(variant=variant, **_group_line(members, definition, interval))


# Lowest-scoring replies by the definition, kept while the rows stream by.


EXCERPT = 2000  # characters kept of each: enough for any report


class LowestScoring:
    """Keeps the `most` worst replies of the numerator; memory does not grow with the run."""

    def __init__(self, definition: Definition, most: int = 5) -> None:
        self._definition = definition
        self._most = most
        self._rules = [rule.when for rule in definition.outcomes if rule.outcome in definition.numerator]
        self._kept: list[tuple[float, ReplyKey, WorstReply]] = []  # sorted, the worst first

    def add(self, row: Reply | Failure, grades: Grades, found: Outcome | None) -> None:
        """Look at one counted row."""
        if isinstance(row, Failure) or found not in self._definition.numerator or not self._most:
            return
        for when in self._rules:
            grade = grades.get(when.grader)
            if grade is not None and not isinstance(grade, Ungraded) and holds(when, grade):
                self._keep(row, when, grade.score, grade.label)
                return

    def replies(self) -> tuple[WorstReply, ...]:
        """The worst first; the same for any order of the rows."""
        return tuple(reply for _, _, reply in self._kept)

    def _keep(self, reply: Reply, when: When, score: float | None, label: str | None) -> None:
        place = (-_badness(when, score), reply.key)
        if len(self._kept) == self._most and place > self._kept[-1][:2]:
            return
        self._kept.append((*place, _worst(reply, when.grader, score, label)))
        self._kept.sort(key=lambda entry: entry[:2])
        del self._kept[self._most :]


def _badness(when: When, score: float | None) -> float:
    """Higher is worse: a low score where the rule asks for one below a limit, else a high one."""
    if score is None:
        return 0.0
    low_is_bad = when.below is not None or when.at_most is not None
    return -score if low_is_bad else score


def _worst(reply: Reply, grader: str, score: float | None, label: str | None) -> WorstReply:
    return WorstReply(
        probe=reply.probe,
        prompt=reply.prompt,
        variant=reply.variant,
        sample=reply.sample,
        grader=grader,
        score=score,
        label=label,
        text=None if reply.text is None else reply.text[:EXCERPT],
    )


# Ensemble members: the rate by the votes of each.


def member_votes(
    rows: Iterable[Graded | Ungraded], yes: YesWhen, inside: Container[ReplyKey]
) -> tuple[MemberVotes, ...]:
    """What each member said of the replies `inside`, in the order of the votes; nothing where no row keeps votes."""
    asked: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for row in rows:
        if row.key in inside:
            for name, vote in _named(row.votes):
                is_silent = (vote.score, vote.label) == (None, None)
                asked[name] += 1
                answered[name] += not is_silent
                agreed[name] += not is_silent and yes(Grade(vote.score, vote.label))
    return tuple(_member(name, yes, agreed[name], answered[name], asked[name]) for name in asked)


def _named(votes: Iterable[Vote]) -> Iterator[tuple[str, Vote]]:
    """Votes by their judge; of one model that sits at two addresses the second is numbered."""
    seen: Counter[str] = Counter()
    for vote in votes:
        seen[vote.judge] += 1
        yield vote.judge if seen[vote.judge] == 1 else f"{vote.judge} ({seen[vote.judge]})", vote


def _member(name: str, yes: YesWhen, agreed: int, answered: int, asked: int) -> MemberVotes:
    interval = clopper_pearson(agreed, answered) if answered else None
    return MemberVotes(
        estimate=agreed / answered if answered else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        grader=yes.grader,
        judge=name,
        means=yes.words,
        yes=agreed,
        replies=answered,
        silent=asked - answered,
    )


# Other graders: counts of those that the definition does not read.


USUAL_SCALE = (0.0, 100.0)
BANDS = 5


def other_grader(identity: GraderIdentity, grades: Iterable[Graded | Ungraded], there: Sequence[str]) -> OtherGrader:
    """The counts of one grader. `there` names every grader of the run: a preset is named that these suffice for."""
    labels: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    scores: list[float] = []
    for grade in grades:
        if isinstance(grade, Ungraded):
            reasons[grade.reason] += 1
        elif grade.score is not None:
            scores.append(grade.score)
        else:
            labels[grade.label or ""] += 1
    return OtherGrader(
        grader=identity.grader,
        identity=identity.identity,
        judge=identity.judge,
        graded=len(scores) + labels.total(),
        ungraded=reasons.total(),
        labels=dict(labels.most_common()),
        bands=_bands(scores, identity.scale or USUAL_SCALE),
        mean=fsum(scores) / len(scores) if scores else None,
        reasons=dict(reasons.most_common()),
        definition=_counting(identity.grader, there),
    )


def _bands(scores: Sequence[float], scale: tuple[float, float]) -> dict[str, int]:
    """How many scores lie in each fifth of the scale, as `0 to 20`; the last one with its end."""
    if not scores:
        return {}
    low, high = scale
    ends = [low + (high - low) * number / BANDS for number in range(BANDS + 1)]
    found = Counter(min(max(sum(score >= end for end in ends[1:]), 0), BANDS - 1) for score in scores)
    return {f"{ends[band]:g} to {ends[band + 1]:g}": found[band] for band in range(BANDS)}


def _counting(grader: str, there: Sequence[str]) -> str | None:
    """A preset that reads this grader and no other than the run has: the one named like it first."""
    names = sorted(definitions.names(), key=lambda name: (name != grader, name))
    presets = (definitions.load(name) for name in names)
    return next(
        (preset.name for preset in presets if grader in preset.graders and set(preset.graders) <= set(there)), None
    )
