"""Two runs over the prompts that they share: what changed, by how much, and could it be chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from misalign_eval.analysis import differs, warnings
from misalign_eval.analysis.estimates import counted, graded, score_cells
from misalign_eval.analysis.pairing import Paired, keep, pair
from misalign_eval.analysis.selection import Headline, grouped, headline
from misalign_eval.analysis.summary import summarise_cells
from misalign_eval.analysis.tally import Cell, Tally
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import (
    CategoryChange,
    Comparison,
    Difference,
    Generalises,
    ProbeChange,
    Provenance,
    Ratio,
    RunSummary,
    Warned,
)
from misalign_eval.records.definition import Definition
from misalign_eval.stats.cautions import FEWEST_CHANGED, has_few_changes
from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import suite_difference, suite_ratio
from misalign_eval.stats.general import can_generalise, general_difference
from misalign_eval.stats.means import mean_difference
from misalign_eval.stats.multiplicity import benjamini_hochberg, holm
from misalign_eval.stats.permutation import permutation_test


@dataclass(frozen=True, slots=True)
class Side:
    """One run of a comparison."""

    tally: Tally
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class _Change:
    """The difference of some shared cells; p-values for a screen (mid) and for a claim (exact)."""

    before: float | None
    after: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    mid: float | None = None
    exact: float | None = None


def compare(before: Side, after: Side, *, split: str | None = None) -> Comparison:
    """Compare two runs that were counted by the same definition.

    Raises UsageError when the runs share no prompt, or were counted by different definitions.
    """
    definition = after.tally.definition
    differs.refuse_definitions(before.provenance, after.provenance)
    paired = pair(before.tally.cells(), after.tally.cells())
    if not paired.after:
        raise UsageError(differs.nothing_shared(before.provenance, after.provenance))
    head = _headline(paired, split, definition)
    warned = [
        *differs.of_runs(before.provenance, after.provenance, paired),
        *_left_out(head, definition),
        *_of_sides(head, definition),
        *_of_change(head, definition),
    ]
    return _comparison(paired, head, (before.provenance, after.provenance), definition, warned)


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
    paired: Paired, head: _Head, sources: tuple[Provenance, Provenance], definition: Definition, warned: list[Warned]
) -> Comparison:
    whole = _change(head.before.cells, head.after.cells, definition)
    sides = _summaries(paired, head, sources, definition)
    return Comparison(
        definition=definition.name,
        before=sides[0],
        after=sides[1],
        difference=Difference(estimate=whole.difference, low=whole.low, high=whole.high, p_value=whole.mid),
        ratio=_ratio(head, definition),
        generalises=_generalises(head, definition),
        probes=_probes(head, definition),
        categories=_categories(head, definition),
        warnings=tuple(warned),
    )


def _summaries(
    paired: Paired, head: _Head, sources: tuple[Provenance, Provenance], definition: Definition
) -> tuple[RunSummary, RunSummary]:
    before = summarise_cells(paired.before, head.before, definition, sources[0])
    after = summarise_cells(paired.after, head.after, definition, sources[1])
    return before, after


def _counts(head: _Head, definition: Definition) -> tuple[Cells, Cells] | None:
    before, after = counted(head.before.cells, definition), counted(head.after.cells, definition)
    if definition.measure == "mean" or before is None or after is None:
        return None
    return (before, after) if before.hits.size == after.hits.size == len(head.after.cells) else None


def _ratio(head: _Head, definition: Definition) -> Ratio:
    counts = _counts(head, definition)
    if counts is None:
        return Ratio(estimate=None, low=None, high=None)
    found = suite_ratio(*counts)
    return Ratio(estimate=found.estimate, low=found.interval.low, high=found.interval.high)


def _generalises(head: _Head, definition: Definition) -> Generalises:
    counts = _counts(head, definition)
    if counts is None or not can_generalise(counts[1].probe_count):
        return Generalises(estimate=None, low=None, high=None, holds=None)
    before, after = counts
    found = general_difference(before.probe_means, after.probe_means)
    holds = found.low > 0 or found.high < 0
    return Generalises(estimate=after.rate - before.rate, low=found.low, high=found.high, holds=holds)


def _change(before: Sequence[Cell], after: Sequence[Cell], definition: Definition) -> _Change:
    """Change of some pairs, all of which are graded on both sides (or none is)."""
    if definition.measure == "mean":
        return _mean_change(before, after)
    a, b = counted(before, definition), counted(after, definition)
    if a is None or b is None or a.hits.size != b.hits.size:
        return _Change(None if a is None else a.rate, None if b is None else b.rate)
    found, test = suite_difference(a, b), permutation_test(a, b)
    return _Change(a.rate, b.rate, found.estimate, found.interval.low, found.interval.high, test.mid, test.exact)


def _mean_change(before: Sequence[Cell], after: Sequence[Cell]) -> _Change:
    """No exact test exists for mean scores: the interval has to do."""
    a, b = score_cells(before), score_cells(after)
    if a is None or b is None or a.means.size != b.means.size:
        return _Change(None if a is None else a.mean, None if b is None else b.mean)
    found = mean_difference(a, b)
    if found.interval is None:
        return _Change(a.mean, b.mean, found.estimate)
    return _Change(a.mean, b.mean, found.estimate, found.interval.low, found.interval.high)


def _by(head: _Head, name: Callable[[Cell], str], definition: Definition) -> dict[str, _Change]:
    before, after = grouped(head.before.cells, name), grouped(head.after.cells, name)
    return {key: _change(before[key], members, definition) for key, members in after.items()}


def _probes(head: _Head, definition: Definition) -> tuple[ProbeChange, ...]:
    changes = _by(head, lambda cell: cell.prompt.probe, definition)
    category = {cell.prompt.probe: cell.prompt.category for cell in head.after.cells}
    adjusted = _adjusted([change.mid for change in changes.values()], benjamini_hochberg)
    return tuple(
        ProbeChange(id=probe, category=category[probe], **_line(change), p_value=change.mid, p_adjusted=p)
        for (probe, change), p in zip(changes.items(), adjusted, strict=True)
    )


def _categories(head: _Head, definition: Definition) -> tuple[CategoryChange, ...]:
    changes = _by(head, lambda cell: cell.prompt.category, definition)
    adjusted = _adjusted([change.exact for change in changes.values()], holm)
    return tuple(
        CategoryChange(category=category, **_line(change), p_value=change.exact, p_adjusted=p)
        for (category, change), p in zip(changes.items(), adjusted, strict=True)
    )


def _line(change: _Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("before", "after", "difference", "low", "high")}


def _adjusted(p_values: Sequence[float | None], adjust: Callable[[list[float]], Any]) -> list[float | None]:
    known = [p for p in p_values if p is not None]
    values = iter(adjust(known).tolist() if known else ())
    return [None if p is None else float(next(values)) for p in p_values]


def _left_out(head: _Head, definition: Definition) -> list[Warned]:
    shared = len(head.after.cells) + head.left_out
    if not head.left_out:
        return []
    if definition.measure == "rate" and not _counts(head, definition):
        return [Warned(id="nothing-graded", text="no shared prompt has a reply that counts in both runs")]
    text = f"{head.left_out} of {shared} shared prompts have no reply that counts in one of the runs and are left out"
    return [Warned(id="prompts-left-out", text=text)]


def _of_sides(head: _Head, definition: Definition) -> list[Warned]:
    return [
        Warned(id=warning.id, text=f"{name}: {warning.text}")
        for name, side in (("before", head.before), ("after", head.after))
        for warning in warnings.of_cells(side.cells, definition)
    ]


def _of_change(head: _Head, definition: Definition) -> list[Warned]:
    counts = _counts(head, definition)
    if counts is None or not has_few_changes(counts[0].probe_means, counts[1].probe_means):
        return []
    text = f"fewer than {FEWEST_CHANGED} probes changed at all: no test over probes can say that the change is general"
    return [Warned(id="W5", text=text)]
