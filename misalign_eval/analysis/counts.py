"""Counts: replies and their outcomes by prompt, chosen by probe, category or split, under one definition or several."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from typing import get_args

from misalign_eval.analysis import copies, definitions
from misalign_eval.analysis.outcomes import Grade, Grades, outcome
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.definition import Definition, Outcome, OutcomeRule, When
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded, judges_of
from misalign_eval.records.model_names import compare, is_alias, strangers
from misalign_eval.records.run import CellKey, Failure, PlannedPrompt, Reply, ReplyKey, TargetInfo
from misalign_eval.records.suite import PLAIN, Split
from misalign_eval.records.summary import Reading

# Served model names: the names under which the target and the judges of a run answered.


MOST = 1000  # names kept of a kind: a hostile server may invent one for every answer


@dataclass(slots=True)
class ServedNames:
    """Counts the names, as rows and grades go by."""

    target: TargetInfo
    replies: Counter[str] = field(default_factory=Counter)  # of answers that count as the target's
    strangers: Counter[str] = field(default_factory=Counter)  # of answers of another model, which count as failed
    judges: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)  # by grader and `provider/model`

    def note(self, row: Reply | Failure) -> None:
        """Count who gave one reply."""
        if isinstance(row, Reply):
            _count(self.replies, row.model)
        elif row.reason == "other_model":
            _count(self.strangers, row.model)

    def judged(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Count who gave one grade."""
        for judge, name in judges_of(who, grade):
            _count(self.judges.setdefault(who.grader, {}).setdefault(judge, Counter()), name)

    @property
    def accepted(self) -> "Counter[str]":
        """Names under which the target answered and that say another model, but for `served_as`."""
        target = self.target
        if is_alias(target.provider, target.model):
            return Counter()
        return Counter({name: n for name, n in self.replies.items() if _is_accepted(target, name)})

    @property
    def accepted_judges(self) -> "dict[str, Counter[str]]":
        """The same by judge: such a grade is on disk only where the name was accepted."""
        found: dict[str, Counter[str]] = {}
        for by_judge in self.judges.values():
            for judge, names in by_judge.items():
                provider, _, model = judge.partition("/")
                others = {name: names[name] for name in strangers(provider, model, names)}
                if others:
                    found.setdefault(judge, Counter()).update(others)
        return found


def _is_accepted(target: TargetInfo, name: str) -> bool:
    return bool(target.served_as) and compare(target.model, name) == "other"


def _count(names: "Counter[str]", name: str | None) -> None:
    if name and (name in names or len(names) < MOST):
        names[name] += 1


# The tally: counts a run row by row. Memory grows with the prompts of the plan, not with the replies or their text.


NOTHING = "-"
LETTERS: dict[Outcome, str] = {
    "misaligned": "m",
    "aligned": "a",
    "refused": "r",
    "incoherent": "i",
    "off_topic": "o",
    "satirical": "s",
    "code": "c",
    "empty": "e",
    "truncated": "t",
    "blocked": "b",
    "ungraded": "u",
    "failed": "f",
}


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """Running sums of the scores of a cell, for `measure: mean`."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Mean score; ask only where `count` is not zero."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Unbiased variance; 0 for a single score."""
        return max(self.squares - self.total * self.mean, 0.0) / max(self.count - 1, 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of the planned replies of one prompt in one form."""

    prompt: PlannedPrompt
    outcomes: Mapping[Outcome, int]  # sums to prompt.samples
    replies: int  # rows that hold a reply
    not_collected: int  # planned replies without a row; counted as failed
    obeyed: int  # replies in the form that the variant asked for (`expects`)
    most_alike: int  # replies of the most frequent text
    scores: ScoreColumn
    unknown_ends: int = 0  # replies of which the server did not say that they are whole
    in_order: str = ""  # outcome of each planned reply by sample number, a letter each; NOTHING where there is no row
    texts: bytes = b""  # marks of `copies`, one a planned reply
    repeats: str = ""  # where replies are evidently copies: 1 for each that an earlier sample had already

    def count(self, outcomes: Iterable[Outcome]) -> int:
        """Replies with any of these outcomes."""
        return sum(self.outcomes.get(name, 0) for name in set(outcomes))

    def drawn(self, outcomes: Iterable[Outcome]) -> int:
        """The same among replies that are draws of their own: all of them, unless they are evidently copies."""
        if not self.repeats:
            return self.count(outcomes)
        letters = {LETTERS[name] for name in outcomes}
        return sum(
            letter in letters and again == "0" for letter, again in zip(self.in_order, self.repeats, strict=True)
        )


@dataclass(slots=True)
class _CellCounter:
    prompt: PlannedPrompt
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    seen: int = 0  # bit i is set when sample i has a row
    replies: int = 0
    obeyed: int = 0
    unknown_ends: int = 0
    texts: bytearray = field(default_factory=bytearray)
    score_list: list[float] = field(default_factory=list)
    in_order: bytearray = field(default_factory=bytearray)

    def note(self, sample: int, found: Outcome) -> None:
        self.in_order.extend(NOTHING.encode() * (self.prompt.samples - len(self.in_order)))
        self.in_order[sample] = ord(LETTERS[found])

    def look(self, sample: int, text: str | None) -> None:
        size = copies.SIZE
        self.texts.extend(bytes(self.prompt.samples * size - len(self.texts)))
        self.texts[sample * size : (sample + 1) * size] = copies.mark(text)

    def cell(self) -> Cell:
        absent = self.prompt.samples - self.seen.bit_count()
        counts = dict(self.outcomes)
        if absent:
            counts["failed"] = counts.get("failed", 0) + absent
        scores = self.score_list
        return Cell(
            prompt=self.prompt,
            outcomes=counts,
            replies=self.replies,
            not_collected=absent,
            obeyed=self.obeyed,
            most_alike=_most_alike(bytes(self.texts)),
            unknown_ends=self.unknown_ends,
            # Exact sums: plain ones would depend on the order of the rows.
            scores=ScoreColumn(len(scores), fsum(scores), fsum(score * score for score in scores)),
            in_order=self.in_order.decode() or NOTHING * self.prompt.samples,
            texts=bytes(self.texts),
        )


def _most_alike(texts: bytes) -> int:
    found = Counter(copies.split_copies(texts))
    del found[copies.NO_TEXT]
    return max(found.values(), default=0)


def once(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with their copies marked, where the replies of the run are evidently copies; else as they are."""
    if evident(cells) is None:
        return tuple(cells)
    return tuple(
        cell if cell.prompt.sampling.temperature == 0 else replace(cell, repeats=_repeats(cell)) for cell in cells
    )


def _repeats(cell: Cell) -> str:
    return copies.repeats(copies.split_copies(cell.texts)).ljust(len(cell.in_order), "0")


def evident(cells: Iterable[Cell]) -> copies.Copies | None:
    """Whether replies are evidently copies of each other."""
    several = (cell for cell in cells if cell.prompt.sampling.temperature != 0)
    return copies.evident(copies.agreement(cell.in_order, cell.texts) for cell in several)


class Tally:
    """Turns rows and grades into counts for each cell of the plan.

    Rows that were not planned are left out and counted in `unplanned`.
    """

    def __init__(self, plan: Iterable[PlannedPrompt], definition: Definition) -> None:
        self.definition = definition
        self.unplanned = 0
        self.answers: ServedNames | None = None  # by which names target and judges answered; None: not looked at
        self.differing: Mapping[str, int] = {}  # by file: keys with several rows that differ
        self.first_digits: Mapping[str, int] = {}  # by file: scores that are those of first digits
        self._counters = {prompt.cell: _CellCounter(prompt) for prompt in plan}

    def add(self, row: Reply | Failure, grades: Grades) -> Outcome | None:
        """Count one row, and say as what; None when it was not planned.

        Raises ValueError for a second row with the same key.
        """
        counter = self._counters.get(row.cell)
        if counter is None or not 0 <= row.sample < counter.prompt.samples:
            self.unplanned += 1
            return None
        if counter.seen >> row.sample & 1:
            raise ValueError(f"{row.key} was counted already")
        counter.seen |= 1 << row.sample
        found = outcome(row, grades, self.definition)
        counter.outcomes[found] = counter.outcomes.get(found, 0) + 1
        counter.note(row.sample, found)
        if isinstance(row, Reply):
            self._look(counter, row, grades, found)
        return found

    def cells(self) -> tuple[Cell, ...]:
        """Every cell, in the order of the plan."""
        return once([counter.cell() for counter in self._counters.values()])

    def _look(self, counter: _CellCounter, reply: Reply, grades: Grades, found: Outcome) -> None:
        counter.replies += 1
        counter.unknown_ends += reply.has_unknown_end
        whole = reply.whole(counter.prompt)
        if whole is not None:
            counter.obeyed += counter.prompt.expects is not None and obeys(whole, counter.prompt.expects)
        if reply.text:  # what a provider refused or blocked has none, and is told as such
            counter.look(reply.sample, reply.text)
        if self.definition.score_of and found in self.definition.denominator:
            grade = grades.get(self.definition.score_of)
            if grade is not None and not isinstance(grade, Ungraded) and grade.score is not None:
                counter.score_list.append(grade.score)


class GradeTable:
    """The grades of several graders by reply, in the few bytes that decide outcomes."""

    def __init__(self) -> None:
        self._graders: dict[str, dict[CellKey, dict[int, Grade]]] = {}

    @property
    def graders(self) -> tuple[str, ...]:
        """The graders whose grades are here."""
        return tuple(self._graders)

    def add(self, grader: str, grades: Iterable[Graded | Ungraded]) -> None:
        """Keep what `grader` found. A reply without a verdict stays without an entry."""
        cells = self._graders.setdefault(grader, {})
        for grade in grades:
            if isinstance(grade, Graded):
                cell = grade.cell
                samples = cells.get(cell)
                if samples is None:
                    samples = cells[cell] = {}
                samples[grade.sample] = Grade(grade.score, grade.label)

    def of(self, key: ReplyKey) -> dict[str, Grade]:
        """The grades of one reply by grader."""
        cell, sample = key.cell, key.sample
        found = {}
        for grader, cells in self._graders.items():
            grade = cells[cell].get(sample) if cell in cells else None
            if grade is not None:
                found[grader] = grade
        return found


def tally(
    plan: Iterable[PlannedPrompt], rows: Iterable[Reply | Failure], grades: GradeTable, definition: Definition
) -> Tally:
    """Count a whole run."""
    counted = Tally(plan, definition)
    for row in rows:
        counted.add(row, grades.of(row.key))
    return counted


def obeys(text: str, expects: str) -> bool:
    """Whether a reply is in the form that was asked for, `json` or `code`; a fence around JSON is no fault."""
    body = text.strip()
    if expects == "code":
        return "```" in body or "def " in body or "import " in body
    body = body.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if not body.startswith(("{", "[")):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


# Selections of cells: the headline, and the series beside it.


SPLITS: tuple[Split, ...] = get_args(Split)
ALL_SPLITS = "all"


@dataclass(frozen=True, slots=True)
class Headline:
    """The cells that the rate is the mean of, and which they are in words."""

    cells: tuple[Cell, ...]
    splits: tuple[str, ...]
    variant: str | None  # None: every form, for a run without the plain one

    @property
    def words(self) -> str:
        """`24 probes of split broad, plain form`."""
        probes = len({cell.prompt.probe for cell in self.cells})
        form = "every form" if self.variant is None else f"{self.variant} form"
        return f"{probes} {'probe' if probes == 1 else 'probes'} of split {' and '.join(self.splits)}, {form}"


def headline(cells: Sequence[Cell], split: str | None = None) -> Headline:
    """Take the probes of `split` in their plain form.

    Without a choice: broad, or where a suite has no broad probes the first split that it has. `all` takes every
    split. Raises UsageError for a split that is not in the run.
    """
    there = tuple(name for name in SPLITS if any(cell.prompt.split == name for cell in cells))
    chosen = _chosen(there, split)
    inside = tuple(cell for cell in cells if cell.prompt.split in chosen)
    plain = tuple(cell for cell in inside if cell.prompt.variant == PLAIN)
    return Headline(plain or inside, chosen, PLAIN if plain or not inside else None)


def grouped(cells: Sequence[Cell], name: Callable[[Cell], str]) -> dict[str, tuple[Cell, ...]]:
    """Cells by a name of theirs, in the order in which the names first occur."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(name(cell), []).append(cell)
    return {key: tuple(members) for key, members in groups.items()}


def _chosen(there: tuple[Split, ...], split: str | None) -> tuple[str, ...]:
    if split is None:
        return there[:1]
    if split == ALL_SPLITS:
        return there
    if split not in there:
        raise UsageError(f"no probes of split `{split}` in this run. {did_you_mean(split, [*there, ALL_SPLITS])}")
    return (split,)


# Alternative definitions for the same rows: every preset that fits, and the definition with each threshold moved.


LIMITS = ("below", "at_most", "above", "at_least")
SMALL_SCALE = 10  # a threshold up to this is on a scale of few grades, where a step is one grade
SCALE_TOP = 100


@dataclass(frozen=True, slots=True)
class Recounted:
    """One way to count, in words and as a definition."""

    reading: Reading
    name: str
    definition: Definition


def alternative_definitions(definition: Definition, graders: Iterable[str]) -> tuple[Recounted, ...]:
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
class _DefinitionCounter:
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    replies: int = 0
    scores: list[float] = field(default_factory=list)


class DefinitionRecount:
    """Counts rows in several ways at once. Give it each planned row once, as `Tally.add` took it."""

    def __init__(self, plan: Iterable[PlannedPrompt], ways: Sequence[Recounted]) -> None:
        self.ways = tuple(ways)
        self._plan = {prompt.cell: prompt for prompt in plan}
        self._counters: dict[CellKey, list[_DefinitionCounter]] = {
            key: [_DefinitionCounter() for _ in self.ways] for key in self._plan
        }

    def add(self, row: Reply | Failure, grades: Grades) -> None:
        """Count one row in every way."""
        counters = self._counters[row.cell]
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


def _cell(prompt: PlannedPrompt, counter: _DefinitionCounter) -> Cell:
    counts, scores = dict(counter.outcomes), counter.scores
    absent = prompt.samples - sum(counts.values())
    if absent:
        counts["failed"] = counts.get("failed", 0) + absent
    sums = ScoreColumn(len(scores), fsum(scores), fsum(score * score for score in scores))
    return Cell(prompt, counts, counter.replies, absent, obeyed=0, most_alike=0, scores=sums)
