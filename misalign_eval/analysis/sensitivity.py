"""Sensitivity analysis: the headline under alternative definitions, thresholds and bounds, from the same rows.

Intervals are SUITE. Unknown replies (ungraded or failed) are bounded as in Manski 1989: all of them aligned, or all
of them misaligned.
"""

from collections.abc import Iterator, Sequence

from misalign_eval.analysis import estimates
from misalign_eval.analysis.align import Paired, keep, pair
from misalign_eval.analysis.counts import Cell, DefinitionRecount, Recounted, headline
from misalign_eval.analysis.estimates import as_draws, graded, probe_places, suite_line
from misalign_eval.records.definition import OUTCOMES, UNKNOWN, Definition, Outcome
from misalign_eval.records.summary import RateLine, Reading, SensitivityChange, SensitivityLine
from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import suite_difference
from misalign_eval.stats.rates import suite_rate
from misalign_eval.stats.unknown_replies import PartialCells

KNOWN: tuple[Outcome, ...] = tuple(name for name in OUTCOMES if name not in UNKNOWN)
ALL_ALIGNED, ALL_MISALIGNED = "every unknown reply aligned", "every unknown reply misaligned"


def of_run(recount: DefinitionRecount, split: str | None) -> tuple[SensitivityLine, ...]:
    """The headline of one run in every way. Raises UsageError for a split that is not there."""
    found = []
    for way in _ways(recount):
        cells = headline(recount.cells(_counted_as(recount, way)), split).cells
        found.append(_line(way.reading, way.name, way.definition, suite_line(cells, way.definition)))
    cells, definition = headline(recount.cells(recount.ways[0]), split).cells, recount.ways[0].definition
    return (*found, *_bounds(cells, definition))


def of_change(before: DefinitionRecount, after: DefinitionRecount, split: str | None) -> tuple[SensitivityChange, ...]:
    """The change between two runs in every way that both can be counted in."""
    first, second = _by_name(before), _by_name(after)
    found = []
    for name, way in second.items():
        if name in first:
            cells = before.cells(_counted_as(before, first[name])), after.cells(_counted_as(after, way))
            found.append(_change(way, _usable(_headline(pair(*cells), split), way.definition)))
    base = _headline(pair(before.cells(before.ways[0]), after.cells(after.ways[0])), split)
    return (*found, *_change_bounds(base, after.ways[0].definition))


def _ways(recount: DefinitionRecount) -> tuple[Recounted, ...]:
    """All that was recounted, and the definition itself over other denominators."""
    base = recount.ways[0].definition
    if base.measure == "mean":
        return recount.ways
    every = base.model_copy(update={"denominator": KNOWN})
    graded_only = ("misaligned", "aligned", *(name for name in base.numerator if name != "misaligned"))
    coherent = base.model_copy(update={"denominator": graded_only})
    share = "/".join(base.numerator)
    return (
        *recount.ways,
        Recounted("denominator", f"rate/all ({share} of all known)", every),
        Recounted("denominator", f"rate/coherent ({share} of aligned and misaligned)", coherent),
    )


def _counted_as(recount: DefinitionRecount, way: Recounted) -> Recounted:
    """Another denominator counts the same outcomes."""
    return recount.ways[0] if way.reading == "denominator" else way


def _by_name(recount: DefinitionRecount) -> dict[tuple[Reading, str], Recounted]:
    return {(way.reading, way.name): way for way in _ways(recount)}


def _line(reading: Reading, name: str, definition: Definition, rated: RateLine) -> SensitivityLine:
    return SensitivityLine(reading=reading, name=name, measure=definition.measure, **dict(rated))


def _headline(paired: Paired, split: str | None) -> Paired:
    chosen = {id(cell) for cell in headline(paired.after, split).cells}
    return keep(paired, (id(cell) in chosen for cell in paired.after))


def _usable(paired: Paired, definition: Definition) -> Paired:
    """The pairs that count in both runs; where none does, all of them, so that what is missing is still shown."""
    both = zip(paired.before, paired.after, strict=True)
    usable = keep(paired, (bool(graded(a, definition) and graded(b, definition)) for a, b in both))
    return usable if usable.after else paired


def _change(way: Recounted, paired: Paired) -> SensitivityChange:
    change = estimates.estimate_change(paired.before, paired.after, way.definition, None)
    return SensitivityChange(
        reading=way.reading,
        name=way.name,
        measure=way.definition.measure,
        before=suite_line(paired.before, way.definition),
        after=suite_line(paired.after, way.definition),
        difference=change.difference,
        low=change.suite.low,
        high=change.suite.high,
    )


def _extremes(cells: Sequence[Cell], definition: Definition) -> tuple[Cells, Cells]:
    """Every unknown reply aligned, and every one misaligned; each cell has a known or an unknown reply."""
    known = tuple(name for name in definition.denominator if name not in UNKNOWN)
    counts = PartialCells.of(
        [cell.count(definition.numerator) for cell in cells],
        [cell.count(known) for cell in cells],
        [cell.count(UNKNOWN) for cell in cells],
        probe_places(cells),
    )
    return counts.lowest, counts.highest


def _bounds(cells: Sequence[Cell], definition: Definition) -> Iterator[SensitivityLine]:
    usable = [cell for cell in cells if cell.count((*definition.denominator, *UNKNOWN))]
    if definition.measure == "mean" or not usable:
        return
    line = suite_line(cells, definition)
    for name, extreme in zip((ALL_ALIGNED, ALL_MISALIGNED), _extremes(usable, definition), strict=True):
        yield _line("unknown", name, definition, _extreme(line, extreme, usable))


def _extreme(line: RateLine, extreme: Cells, cells: Sequence[Cell]) -> RateLine:
    estimate = suite_rate(as_draws(extreme, cells))
    counts = {"misaligned": int(extreme.hits.sum()), "graded": int(extreme.trials.sum())}
    ends = {"rate": estimate.rate, "low": estimate.interval.low, "high": estimate.interval.high}
    return line.model_copy(update={**ends, **counts})


def _change_bounds(paired: Paired, definition: Definition) -> Iterator[SensitivityChange]:
    every = (*definition.denominator, *UNKNOWN)
    both = zip(paired.before, paired.after, strict=True)
    inside = keep(paired, (bool(a.count(every) and b.count(every)) for a, b in both))
    if definition.measure == "mean" or not inside.after:
        return
    first, second = _extremes(inside.before, definition), _extremes(inside.after, definition)
    lines = suite_line(inside.before, definition), suite_line(inside.after, definition)
    extremes = (
        ("every unknown reply misaligned before, aligned after", first[1], second[0]),
        ("every unknown reply aligned before, misaligned after", first[0], second[1]),
    )
    for name, before, after in extremes:
        estimate = suite_difference(as_draws(before, inside.before), as_draws(after, inside.after))
        yield SensitivityChange(
            reading="unknown",
            name=name,
            measure=definition.measure,
            before=_extreme(lines[0], before, inside.before),
            after=_extreme(lines[1], after, inside.after),
            difference=estimate.estimate,
            low=estimate.interval.low,
            high=estimate.interval.high,
        )
