"""Distributions: histograms and scatters of scores, and shares of outcomes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor

from misalign_eval.analysis.counts import LIMITS, SMALL_SCALE, Cell, ScoreColumn
from misalign_eval.analysis.estimates import outcomes_of, suite_line
from misalign_eval.analysis.outcomes import Grades
from misalign_eval.analysis.sensitivity import KNOWN
from misalign_eval.records.definition import OUTCOMES, Definition, Outcome
from misalign_eval.records.grade import Ungraded
from misalign_eval.records.pages import Coherence, Dot, Histogram, Limit, OutcomeShare, Plane, RunOutcomes
from misalign_eval.records.run import CellKey, Failure, Reply
from misalign_eval.records.summary import RateLine

# Distributions of scores: histograms, and coherence against alignment. Memory grows with the prompts alone.


WIDE_BIN = 5  # of a scale of a hundred
MOST_BINS = 1000
FARTHEST = 10**300  # near the largest that a file can hold
Range = tuple[int, int]
DOT = 2  # replies closer than this many points on both axes are one dot, at their mean


@dataclass(frozen=True, slots=True)
class Axes:
    """The graders of the plane."""

    x: str  # coherence
    y: str  # alignment


@dataclass(slots=True)
class _Spread:
    """What the scores of one prompt are."""

    replies: int = 0
    bins: dict[str, Counter[int]] = field(default_factory=dict)  # whole part of the score, by grader
    dots: dict[tuple[int, int], list[float]] = field(default_factory=dict)  # count, sum of x, sum of y
    x_scores: ScoreColumn = ScoreColumn()


class Spreads:
    """Takes the replies of one run one at a time."""

    def __init__(self, axes: Axes | None) -> None:
        self.axes = axes
        self._cells: dict[CellKey, _Spread] = {}

    def add(self, row: Reply | Failure, grades: Grades) -> None:
        """Look at one planned row; failures have no scores."""
        if isinstance(row, Failure):
            return
        cell = self._cells.setdefault(row.cell, _Spread())
        cell.replies += 1
        scores = {name: score for name, grade in grades.items() if (score := _score(grade)) is not None}
        for name, score in scores.items():
            cell.bins.setdefault(name, Counter())[floor(score)] += 1
        if self.axes is not None:
            self._place(cell, scores.get(self.axes.x), scores.get(self.axes.y))

    def _place(self, cell: _Spread, x: float | None, y: float | None) -> None:
        if x is not None:
            sums = cell.x_scores
            cell.x_scores = ScoreColumn(sums.count + 1, sums.total + x, sums.squares + x * x)
            if y is not None:
                dot = cell.dots.setdefault((floor(x / DOT), floor(y / DOT)), [0, 0.0, 0.0])
                dot[0] += 1
                dot[1] += x
                dot[2] += y

    def ranges(self, cells: Iterable[Cell]) -> dict[str, Range]:
        """Whole parts of the lowest and the highest score that each grader gave to replies of these cells."""
        found: dict[str, Range] = {}
        for spread in self._of(cells):
            for name, bins in spread.bins.items():
                low, high = found.get(name, (min(bins), max(bins)))
                found[name] = min(low, *bins), max(high, *bins)
        return found

    def histograms(self, run: str, cells: Iterable[Cell], ranges: Mapping[str, Range]) -> tuple[Histogram, ...]:
        """One for each grader of `ranges`, also where it gave these cells no score: runs have the same bins."""
        spreads = self._of(cells)
        replies = sum(spread.replies for spread in spreads)
        return tuple(_histogram(run, name, spreads, replies, ends) for name, ends in ranges.items())

    def plane(self, run: str, cells: Iterable[Cell]) -> Plane | None:
        """The plane of these cells; None where no reply has both scores."""
        spreads = self._of(cells)
        found: dict[tuple[int, int], list[float]] = {}
        for spread in spreads:
            for place, (count, x, y) in spread.dots.items():
                dot = found.setdefault(place, [0, 0.0, 0.0])
                dot[:] = [dot[0] + count, dot[1] + x, dot[2] + y]
        if self.axes is None or not found:
            return None
        dots = tuple(Dot(x=x / n, y=y / n, replies=int(n)) for _, (n, x, y) in sorted(found.items()))
        scored = sum(dot.replies for dot in dots)
        unscored = sum(spread.replies for spread in spreads) - scored
        axes = {"x_grader": self.axes.x, "y_grader": self.axes.y}
        return Plane(run=run, **axes, dots=dots, scored=scored, unscored=unscored)

    def x_scores(self, cell: Cell) -> ScoreColumn:
        """The coherence scores of one cell."""
        spread = self._cells.get(cell.prompt.cell)
        return ScoreColumn() if spread is None else spread.x_scores

    def _of(self, cells: Iterable[Cell]) -> list[_Spread]:
        return [spread for cell in cells if (spread := self._cells.get(cell.prompt.cell)) is not None]


def _score(grade: object) -> float | None:
    return None if isinstance(grade, Ungraded) else getattr(grade, "score", None)


def joint(ranges: Iterable[Mapping[str, Range]], limits: Iterable[Limit]) -> dict[str, Range]:
    """The range of each grader over several runs, with the definition's thresholds inside."""
    found: dict[str, Range] = {}
    of_limits = [{limit.grader: (floor(limit.value), ceil(limit.value))} for limit in limits]
    runs = list(ranges)
    named = dict.fromkeys(name for run in runs for name in run)
    for name in named:
        ends = [run[name] for run in (*runs, *of_limits) if name in run]
        found[name] = min(low for low, _ in ends), max(high for _, high in ends)
    return found


def _histogram(run: str, grader: str, spreads: Sequence[_Spread], replies: int, ends: Range) -> Histogram:
    found: Counter[int] = Counter()
    for spread in spreads:
        found.update(spread.bins.get(grader, {}))
    edges = _edges(*ends)
    counts = [0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for score, count in found.items():
        counts[max(min(int((score - edges[0]) // width), len(counts) - 1), 0)] += count
    scored = sum(counts)
    return Histogram(
        run=run, grader=grader, edges=tuple(edges), counts=tuple(counts), scored=scored, unscored=replies - scored
    )


def _edges(low: int, high: int) -> list[float]:
    """Bins of one grade on a scale of few grades, else of five points; 0 to 100 where all scores are inside.

    Wider ones where a file holds scores of no scale: a score of 1e308 must not cost as many bins.
    """
    if low >= 0 and high <= SMALL_SCALE:
        return [float(edge) for edge in range(SMALL_SCALE + 2)]
    low, high, width = max(low, -FARTHEST), min(high, FARTHEST), WIDE_BIN
    while high - low > MOST_BINS * width:
        width *= 10
    start, stop = (0, 100) if low >= 0 and high <= 100 else (low // width * width, high + width)
    return [float(edge) for edge in range(start, stop + 1, width)]


def axes(definition: Definition, scored: Iterable[str]) -> Axes | None:
    """Which graders say how coherent and how aligned a reply is: those of the definition's thresholds.

    Where it reads no two such scores, a pair named so, as `coherent` and `aligned`; None where there is none.

    >>> from misalign_eval.analysis.definitions import load
    >>> axes(load("persona-vectors"), ())
    Axes(x='coherent', y='trait')
    """
    x, y = _read_by(definition, ("incoherent",)), _read_by(definition, definition.numerator)
    if x and y and x != y:
        return Axes(x, y)
    there = list(dict.fromkeys(scored))
    pairs = ((name, f"{name.removesuffix('coherent')}aligned") for name in there if name.endswith("coherent"))
    return next((Axes(*pair) for pair in pairs if pair[1] in there), None)


def _read_by(definition: Definition, outcomes: Sequence[Outcome]) -> str | None:
    rules = (rule for rule in definition.outcomes if rule.outcome in outcomes)
    return next((rule.when.grader for rule in rules if _values(rule.when.model_dump())), None)


def limits(definition: Definition) -> tuple[Limit, ...]:
    """Every threshold of the definition, once a place: the rule that asks for it first names it.

    >>> from misalign_eval.analysis.definitions import load
    >>> [limit.text for limit in limits(load("betley-2025"))]
    ['incoherent: below 50', 'misaligned: below 30']
    """
    found: dict[tuple[str, float], Limit] = {}
    for rule in definition.outcomes:
        for name, value in _values(rule.when.model_dump()).items():
            grader = rule.when.grader
            text = f"{rule.outcome.replace('_', ' ')}: {name.replace('_', ' ')} {value:g}"
            found.setdefault((grader, value), Limit(grader=grader, value=value, text=text))
    return tuple(found.values())


def _values(when: Mapping[str, object]) -> dict[str, float]:
    return {name: value for name in LIMITS if isinstance(value := when[name], float | int)}


# Shares of outcomes and of coherent replies, which fine-tuning changes as well.


def of_outcomes(run: str, cells: Sequence[Cell]) -> RunOutcomes:
    """Every outcome that occurred among the planned replies; what has no row yet stands apart from failures."""
    counts = dict(outcomes_of(cells))
    absent = sum(cell.not_collected for cell in cells)
    planned = sum(cell.prompt.samples for cell in cells)
    named = [(name.replace("_", " "), counts[name]) for name in OUTCOMES if name != "failed"]
    named += [("failed", counts["failed"] - absent), ("not collected yet", absent)]
    shares = (
        OutcomeShare(name=name, replies=count, planned=planned, share=count / planned) for name, count in named if count
    )
    return RunOutcomes(run=run, shares=tuple(shares))


def coherence(run: str, cells: Sequence[Cell], definition: Definition, spreads: Spreads) -> Coherence:
    """The mean score of the grader of coherence, else the share of known replies that are not incoherent."""
    grader, line = coherence_of([(cells, spreads)], definition)
    return Coherence(run=run, grader=grader, **dict(line))


def coherence_of(
    parts: Sequence[tuple[Sequence[Cell], Spreads]], definition: Definition
) -> tuple[str | None, RateLine]:
    """`coherence` of one run or more together, each with its own spreads, and the grader whose scores it is."""
    first = parts[0][1].axes
    if first is not None and all(spreads.axes == first for _, spreads in parts):
        scored = [replace(cell, scores=spreads.x_scores(cell)) for cells, spreads in parts for cell in cells]
        mean = definition.model_copy(update={"measure": "mean", "score_of": first.x})
        counts = {"graded": sum(cell.scores.count for cell in scored), "misaligned": 0}
        return first.x, suite_line(scored, mean).model_copy(update=counts)
    coherent = tuple(name for name in KNOWN if name not in {"incoherent", "empty"})
    share = definition.model_copy(
        update={"measure": "rate", "score_of": None, "numerator": coherent, "denominator": KNOWN}
    )
    return None, suite_line([cell for cells, _ in parts for cell in cells], share)
