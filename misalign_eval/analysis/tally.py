"""Counts a run one row at a time. Memory grows with the prompts of the plan, not with the replies or their text."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from misalign_eval.analysis import copies
from misalign_eval.analysis.answers import Answers
from misalign_eval.analysis.outcomes import Grade, Grades, outcome
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.plan import PlannedPrompt, ReplyKey
from misalign_eval.records.reply import Failure, Reply

CellKey = tuple[str, int, str]  # probe, prompt, variant
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
class Scores:
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
    scores: Scores
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
class _Counter:
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
            scores=Scores(len(scores), fsum(scores), fsum(score * score for score in scores)),
            in_order=self.in_order.decode() or NOTHING * self.prompt.samples,
            texts=bytes(self.texts),
        )


def _most_alike(texts: bytes) -> int:
    found = Counter(copies.split(texts))
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
    return copies.repeats(copies.split(cell.texts)).ljust(len(cell.in_order), "0")


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
        self.answers: Answers | None = None  # by which names target and judges answered; None: not looked at
        self.differing: Mapping[str, int] = {}  # by file: keys with several rows that differ
        self.first_digits: Mapping[str, int] = {}  # by file: scores that are those of first digits
        self._counters = {(one.probe, one.prompt, one.variant): _Counter(one) for one in plan}

    def add(self, row: Reply | Failure, grades: Grades) -> Outcome | None:
        """Count one row, and say as what; None when it was not planned.

        Raises ValueError for a second row with the same key.
        """
        counter = self._counters.get((row.probe, row.prompt, row.variant))
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

    def _look(self, counter: _Counter, reply: Reply, grades: Grades, found: Outcome) -> None:
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
                cell = (grade.probe, grade.prompt, grade.variant)
                samples = cells.get(cell)
                if samples is None:
                    samples = cells[cell] = {}
                samples[grade.sample] = Grade(grade.score, grade.label)

    def of(self, key: ReplyKey) -> dict[str, Grade]:
        """The grades of one reply by grader."""
        cell, sample = key[:3], key.sample
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
