"""Comparison of two runs over their shared prompts: changes of rates, their intervals and tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from misalign_eval.analysis import comparability, estimates, sensitivity, warnings
from misalign_eval.analysis.align import Paired, keep, pair
from misalign_eval.analysis.counts import Cell, DefinitionRecount, Headline, Tally, grouped, headline
from misalign_eval.analysis.estimates import graded
from misalign_eval.analysis.summary import summarise_cells
from misalign_eval.errors import UsageError
from misalign_eval.records.base import Bounds
from misalign_eval.records.definition import Definition
from misalign_eval.records.findings import Warned
from misalign_eval.records.summary import CategoryChange, Comparison, Estimand, ProbeChange, Provenance
from misalign_eval.stats.cautions import FEWEST_CHANGED, has_few_changes
from misalign_eval.stats.difference import benjamini_hochberg, bonferroni_level, holm


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One run of a comparison."""

    tally: Tally
    provenance: Provenance
    recount: DefinitionRecount | None = None  # for the sensitivity table


def compare(
    before: ComparedSide, after: ComparedSide, *, split: str | None = None, interval: Estimand = "suite"
) -> Comparison:
    """Compare two runs that were counted by the same definition.

    Raises UsageError when the runs share no prompt, were counted by different definitions, or have mean scores and
    another interval than SUITE is asked for.
    """
    definition = after.tally.definition
    estimates.check_interval(interval, definition)
    comparability.refuse_definitions(before.provenance, after.provenance)
    paired = pair(before.tally.cells(), after.tally.cells())
    if not paired.after:
        raise UsageError(comparability.nothing_shared(before.provenance, after.provenance))
    head = _headline(paired, split, definition)
    warned = [
        *_of_files(before, after),
        *comparability.of_runs(before.provenance, after.provenance, paired),
        *_left_out(head, definition),
        *_of_sides(head, definition, interval),
        *_of_change(head, definition),
        *warnings.of_judge(after.provenance),
    ]
    comparison = _comparison(paired, head, (before.provenance, after.provenance), definition, interval, warned)
    if before.recount is None or after.recount is None:
        return comparison
    return comparison.model_copy(update={"sensitivity": sensitivity.of_change(before.recount, after.recount, split)})


@dataclass(frozen=True, slots=True)
class _Head:
    """The pairs that the headline is made of; `left_out` of the shared ones have no graded reply on one side."""

    before: Headline
    after: Headline
    left_out: int


def _headline(paired: Paired, split: str | None, definition: Definition) -> _Head:
    """The headline's pairs with graded replies on both sides; with none, all of its pairs."""
    after = headline(paired.after, split)
    chosen = {id(cell) for cell in after.cells}
    inside = keep(paired, (id(cell) in chosen for cell in paired.after))
    both = (graded(a, definition) and graded(b, definition) for a, b in zip(inside.before, inside.after, strict=True))
    usable = keep(inside, map(bool, both))
    shown = usable if usable.after else inside
    return _Head(
        Headline(shown.before, after.splits, after.variant),
        Headline(shown.after, after.splits, after.variant),
        left_out=len(inside.after) - len(usable.after),
    )


def _comparison(
    paired: Paired,
    head: _Head,
    sources: tuple[Provenance, Provenance],
    definition: Definition,
    interval: Estimand,
    warned: list[Warned],
) -> Comparison:
    counts = estimates.pair_counts(head.before.cells, head.after.cells, definition)
    whole = estimates.estimate_change(head.before.cells, head.after.cells, definition, interval)
    before = summarise_cells(paired.before, head.before, definition, sources[0], interval=interval)
    after = summarise_cells(paired.after, head.after, definition, sources[1], interval=interval)
    return Comparison(
        definition=definition.name,
        before=before,
        after=after,
        difference=whole.whole,
        ratio=estimates.ratio(counts),
        odds_ratio=estimates.odds_ratio(counts),
        generalises=estimates.generalises(counts, whole.intervals.general if whole.intervals else Bounds()),
        detectable=whole.detectable,
        interval=interval,
        probes=_probes(head, definition),
        categories=_categories(head, definition, interval),
        warnings=tuple(warned),
    )


def _probes(head: _Head, definition: Definition) -> tuple[ProbeChange, ...]:
    pairs = _by(head, lambda cell: cell.prompt.probe)
    found = {probe: estimates.estimate_change(*pair, definition, None) for probe, pair in pairs.items()}
    level = bonferroni_level(0.95, max(len(pairs), 1))
    category = {cell.prompt.probe: cell.prompt.category for cell in head.after.cells}
    adjusted = _adjusted([item.mid for item in found.values()], benjamini_hochberg)
    return tuple(
        ProbeChange(
            id=probe,
            category=category[probe],
            **_line(item),
            p_value=item.mid,
            p_adjusted=p,
            bonferroni=estimates.suite_bounds(*pairs[probe], definition, level),
        )
        for (probe, item), p in zip(found.items(), adjusted, strict=True)
    )


def _categories(head: _Head, definition: Definition, interval: Estimand) -> tuple[CategoryChange, ...]:
    pairs = _by(head, lambda cell: cell.prompt.category)
    wanted = None if interval == "suite" else interval
    found = {category: estimates.estimate_change(*pair, definition, wanted) for category, pair in pairs.items()}
    adjusted = _adjusted([item.exact for item in found.values()], holm)
    level = bonferroni_level(0.95, max(len(pairs), 1))
    return tuple(
        CategoryChange(
            category=category,
            **_line(item),
            p_value=item.exact,
            p_adjusted=p,
            intervals=item.intervals,
            bonferroni=estimates.suite_bounds(*pairs[category], definition, level),
        )
        for (category, item), p in zip(found.items(), adjusted, strict=True)
    )


def _by(head: _Head, name: Callable[[Cell], str]) -> dict[str, tuple[tuple[Cell, ...], tuple[Cell, ...]]]:
    before, after = grouped(head.before.cells, name), grouped(head.after.cells, name)
    return {key: (before[key], members) for key, members in after.items()}


def _line(change: estimates.Change) -> dict[str, Any]:
    values = {"before": change.before, "after": change.after, "difference": change.difference}
    return {**values, "low": change.suite.low, "high": change.suite.high}


def _adjusted(p_values: Sequence[float | None], adjust: Callable[[list[float]], Any]) -> list[float | None]:
    known = [p for p in p_values if p is not None]
    values = iter(adjust(known).tolist() if known else ())
    return [None if p is None else float(next(values)) for p in p_values]


def _left_out(head: _Head, definition: Definition) -> list[Warned]:
    shared = len(head.after.cells) + head.left_out
    if not head.left_out:
        return []
    if definition.measure == "rate" and not estimates.pair_counts(head.before.cells, head.after.cells, definition):
        return [Warned(id="nothing-graded", text="no shared prompt has a reply that counts in both runs")]
    text = f"{head.left_out} of {shared} shared prompts have no reply that counts in one of the runs and are left out"
    return [Warned(id="prompts-left-out", text=text)]


def _of_sides(head: _Head, definition: Definition, interval: Estimand) -> list[Warned]:
    found = [
        Warned(id=warning.id, text=f"{name}: {warning.text}")
        for name, side in (("before", head.before), ("after", head.after))
        for warning in warnings.of_cells(side.cells, definition, interval)
    ]
    if any(warning.id == "W7" for warning in found):
        return found
    return found + warnings.of_unknown_shares(head.before.cells, head.after.cells)


def _of_files(before: ComparedSide, after: ComparedSide) -> Iterator[Warned]:
    for name, side in (("before", before), ("after", after)):
        for warning in warnings.of_files(side.tally.differing, side.tally.first_digits):
            yield Warned(id=warning.id, text=f"{name}: {warning.text}")


def _of_change(head: _Head, definition: Definition) -> list[Warned]:
    counts = estimates.pair_counts(head.before.cells, head.after.cells, definition)
    if counts is None or not has_few_changes(counts[0].probe_means, counts[1].probe_means):
        return []
    text = f"fewer than {FEWEST_CHANGED} probes changed at all: no test over probes can say that the change is general"
    return [Warned(id="W5", text=text)]
