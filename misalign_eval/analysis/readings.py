"""Other ways to count the same rows: every preset that fits, and the definition with each of its thresholds moved."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import fsum

from misalign_eval.analysis import definitions
from misalign_eval.analysis.outcomes import Grades, outcome
from misalign_eval.analysis.tally import Cell, CellKey, Scores
from misalign_eval.records.analysis import Reading
from misalign_eval.records.definition import Definition, Outcome, OutcomeRule, When
from misalign_eval.records.grade import Ungraded
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Failure, Reply

LIMITS = ("below", "at_most", "above", "at_least")
SMALL_SCALE = 10  # a threshold up to this is on a scale of few grades, where a step is one grade
SCALE_TOP = 100


@dataclass(frozen=True, slots=True)
class Recounted:
    """One way to count, in words and as a definition."""

    reading: Reading
    name: str
    definition: Definition


def readings(definition: Definition, graders: Iterable[str]) -> tuple[Recounted, ...]:
    """The definition itself, the presets that read only `graders`, and each threshold moved down and up.

    A preset for tables without a grade of coherence is no reading of rows that have one.
    """
    known, seen = set(graders), {definitions.digest(definition)}
    found = [Recounted("as defined", definition.name, definition)]
    for preset in map(definitions.load, definitions.names()):
        digest = definitions.digest(preset)
        if digest not in seen and known.issuperset(preset.graders) and not _passes_over_coherence(preset, known):
            seen.add(digest)
            found.append(Recounted("definition", preset.name, preset))
    return (*found, *_moved_thresholds(definition))


def _passes_over_coherence(preset: Definition, known: set[str]) -> bool:
    return definitions.COHERENT in known - set(preset.graders) and preset.graders == ("aligned",)


def _moved_thresholds(definition: Definition) -> Iterator[Recounted]:
    """Of a rule pair such as `below 30` and `at least 30` both move together."""
    done: set[tuple[str, float]] = set()
    for rule in definition.outcomes:
        for limit in LIMITS:
            value = getattr(rule.when, limit)
            place = (rule.when.grader, value)
            if value is None or place in done or rule.when.grader == definition.score_of:
                continue
            done.add(place)
            step = _step(rule, value, definition)
            for moved in (value - step, value + step):
                if 0 < moved < SCALE_TOP:
                    name = f"{rule.outcome}: {rule.when.grader} {limit.replace('_', ' ')} {moved:g}"
                    yield Recounted("threshold", name, _with_threshold(definition, *place, moved))


def _step(rule: OutcomeRule, value: float, definition: Definition) -> float:
    if value <= SMALL_SCALE:
        return 1.0
    return 5.0 if rule.outcome in definition.numerator else 10.0


def _with_threshold(definition: Definition, grader: str, value: float, moved: float) -> Definition:
    def changed(when: When) -> When:
        hit = {name: moved for name in LIMITS if when.grader == grader and getattr(when, name) == value}
        return when.model_copy(update=hit)

    rules = tuple(rule.model_copy(update={"when": changed(rule.when)}) for rule in definition.outcomes)
    return definition.model_copy(update={"outcomes": rules})


@dataclass(slots=True)
class _Counter:
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    replies: int = 0
    scores: list[float] = field(default_factory=list)


class Recount:
    """Counts rows in several ways at once. Give it each planned row once, as `Tally.add` took it."""

    def __init__(self, plan: Iterable[PlannedPrompt], ways: Sequence[Recounted]) -> None:
        self.ways = tuple(ways)
        self._plan = {(one.probe, one.prompt, one.variant): one for one in plan}
        self._counters: dict[CellKey, list[_Counter]] = {key: [_Counter() for _ in self.ways] for key in self._plan}

    def add(self, row: Reply | Failure, grades: Grades) -> None:
        """Count one row in every way."""
        counters = self._counters[row.probe, row.prompt, row.variant]
        for way, counter in zip(self.ways, counters, strict=True):
            found = outcome(row, grades, way.definition)
            counter.outcomes[found] = counter.outcomes.get(found, 0) + 1
            counter.replies += isinstance(row, Reply)
            wanted = way.definition.score_of
            if wanted and found in way.definition.denominator:
                grade = grades.get(wanted)
                if grade is not None and not isinstance(grade, Ungraded) and grade.score is not None:
                    counter.scores.append(grade.score)

    def cells(self, way: Recounted) -> tuple[Cell, ...]:
        """Every cell of the plan as counted in one of the ways."""
        place = self.ways.index(way)
        return tuple(_cell(prompt, self._counters[key][place]) for key, prompt in self._plan.items())


def _cell(prompt: PlannedPrompt, counter: _Counter) -> Cell:
    counts, scores = dict(counter.outcomes), counter.scores
    absent = prompt.samples - sum(counts.values())
    if absent:
        counts["failed"] = counts.get("failed", 0) + absent
    sums = Scores(len(scores), fsum(scores), fsum(score * score for score in scores))
    return Cell(prompt, counts, counter.replies, absent, obeyed=0, most_alike=0, scores=sums)
