"""Several runs of one key as one measurement."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.rounds import key_of
from misalign_eval.analysis.tally import Cell, Scores
from misalign_eval.errors import UsageError
from misalign_eval.records.definition import OUTCOMES
from misalign_eval.workflows.counting import Counted


def pooled(runs: Sequence[Counted]) -> Side:
    """Add runs up. Raises UsageError unless they have one key and independent draws."""
    first, *others = runs
    for one, other in combinations(runs, 2):
        if differences := [*_differences(one, other)]:
            names = f"{one.folder.path} and {other.folder.path}"
            raise UsageError(f"{names} cannot be pooled: {'; '.join(differences)}")
    cells = first.tally.cells()
    for other in others:
        theirs = {key_of(cell): cell for cell in other.tally.cells()}
        cells = tuple(_sum(cell, theirs[key_of(cell)]) for cell in cells)
    return Side(cells, first.provenance, first.tally.definition)


def _differences(one: Counted, other: Counted) -> Iterator[str]:
    a, b = one.folder.manifest, other.folder.manifest
    if one.folder.path.resolve() == other.folder.path.resolve() or a.created == b.created:
        yield "they are the same run"
        return
    if a.shard and b.shard and a.shard != b.shard and a.seed == b.seed:
        yield f"they are shards {a.shard} and {b.shard} of one plan. Join them first: misalign-eval merge RUN..."
        return
    if a.seed is not None and a.seed == b.seed:
        yield f"both were drawn with seed {a.seed}, so they are the same draws twice"
    if a.stopping or b.stopping:
        yield "a run that may stop early stands alone"
    for what, was, now in (
        ("suites", a.suite_digest, b.suite_digest),
        ("targets", (a.target.name, a.target.options), (b.target.name, b.target.options)),
        ("definitions", one.provenance.definition_digest, other.provenance.definition_digest),
        ("graders", one.provenance.graders, other.provenance.graders),
        ("prompts or sampling settings", _asked(one), _asked(other)),
    ):
        if was != now:
            yield f"their {what} differ"


def _asked(run: Counted) -> list[tuple[object, ...]]:
    prompts = (cell.prompt for cell in run.tally.cells())
    return sorted((one.probe, one.prompt, one.variant, one.prompt_digest, str(one.sampling)) for one in prompts)


def _sum(one: Cell, other: Cell) -> Cell:
    outcomes = {name: one.count((name,)) + other.count((name,)) for name in OUTCOMES}
    samples = one.prompt.samples + other.prompt.samples
    return replace(
        one,
        prompt=one.prompt.model_copy(update={"samples": samples}),
        outcomes={name: number for name, number in outcomes.items() if number},
        replies=one.replies + other.replies,
        not_collected=one.not_collected + other.not_collected,
        obeyed=one.obeyed + other.obeyed,
        open_ended=one.open_ended + other.open_ended,
        most_alike=max(one.most_alike, other.most_alike),
        scores=Scores(),
        in_order=one.in_order + other.in_order,
    )
