"""One run in numbers."""

from collections.abc import Iterator, Sequence

from misalign_eval.analysis import warnings
from misalign_eval.analysis.estimates import by_probe, general, probe_line, suite_line
from misalign_eval.analysis.selection import SPLITS, Headline, grouped, headline
from misalign_eval.analysis.tally import Cell, Tally
from misalign_eval.records.analysis import (
    Bounds,
    CategoryLine,
    Intervals,
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
    tally: Tally, provenance: Provenance, *, split: str | None = None, with_general: bool = True
) -> RunSummary:
    """Read the rate, its intervals and every breakdown off the counts.

    `split` chooses the headline's probes (see `selection.headline`). Raises UsageError for a split that is not there.
    """
    cells = tally.cells()
    head = headline(cells, split)
    return summarise_cells(
        cells,
        head,
        tally.definition,
        provenance,
        with_general=with_general,
        more_warnings=tuple(warnings.of_run(tally, cells, head, provenance)),
    )


def summarise_cells(
    cells: Sequence[Cell],
    head: Headline,
    definition: Definition,
    provenance: Provenance,
    *,
    with_general: bool = True,
    more_warnings: tuple[Warned, ...] = (),
) -> RunSummary:
    """`summarise`, for cells that were chosen elsewhere."""
    line = suite_line(head.cells, definition)
    interval = Bounds(low=line.low, high=line.high)
    wide = general(head.cells, definition) if with_general else Bounds()
    return RunSummary(
        **dict(provenance),
        **dict(line),
        measure=definition.measure,
        averaged=head.words,
        not_collected=sum(cell.not_collected for cell in head.cells),
        intervals=Intervals(suite=interval, general=wide),
        probes=tuple(_probes(cells, definition)),
        categories=tuple(_categories(head, definition)),
        splits=tuple(_splits(cells, definition)),
        variants=tuple(_variants(cells, head, definition)),
        warnings=more_warnings,
    )


def _probes(cells: Sequence[Cell], definition: Definition) -> Iterator[ProbeLine]:
    """Every probe of the run in its plain form; those without one in all of theirs."""
    for probe, members in by_probe(cells).items():
        plain = tuple(cell for cell in members if cell.prompt.variant == PLAIN) or members
        prompt = plain[0].prompt
        yield ProbeLine(id=probe, category=prompt.category, split=prompt.split, **dict(probe_line(plain, definition)))


def _categories(head: Headline, definition: Definition) -> Iterator[CategoryLine]:
    for category, members in grouped(head.cells, lambda cell: cell.prompt.category).items():
        yield CategoryLine(category=category, **dict(suite_line(members, definition)))


def _splits(cells: Sequence[Cell], definition: Definition) -> Iterator[SplitLine]:
    for split in SPLITS:
        members = tuple(cell for cell in cells if cell.prompt.split == split and cell.prompt.variant == PLAIN)
        if members:
            yield SplitLine(split=split, **dict(suite_line(members, definition)))


def _variants(cells: Sequence[Cell], head: Headline, definition: Definition) -> Iterator[VariantLine]:
    inside = tuple(cell for cell in cells if cell.prompt.split in head.splits)
    for variant, members in grouped(inside, lambda cell: cell.prompt.variant).items():
        yield VariantLine(variant=variant, **dict(suite_line(members, definition)))
