"""One run in numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

from misalign_eval.analysis import estimands, warnings
from misalign_eval.analysis.estimates import by_probe, probe_line, suite_line
from misalign_eval.analysis.selection import SPLITS, Headline, grouped, headline
from misalign_eval.analysis.tally import Cell, Tally
from misalign_eval.records.analysis import (
    Bounds,
    CategoryLine,
    Estimand,
    ProbeLine,
    Provenance,
    RunSummary,
    SplitLine,
    VariantLine,
    Warned,
)
from misalign_eval.records.definition import Definition
from misalign_eval.records.suite import PLAIN


def summarise(
    tally: Tally, provenance: Provenance, *, split: str | None = None, interval: Estimand = "suite"
) -> RunSummary:
    """Read the rate, its intervals and every breakdown off the counts.

    `split` chooses the headline's probes (see `selection.headline`), `interval` the one that pages show. Raises
    UsageError for a split that is not there, or an interval that a mean score does not have.
    """
    estimands.check_interval(interval, tally.definition)
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
        intervals=estimands.of_rate(head.cells, definition, interval, Bounds(low=line.low, high=line.high)),
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
    return {**dict(line), "intervals": estimands.of_rate(cells, definition, interval, suite)}


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
