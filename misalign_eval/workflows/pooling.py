"""Several runs of one key as one measurement."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from misalign_eval.analysis import alike
from misalign_eval.analysis.copies import SIZE
from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.rounds import key_of
from misalign_eval.analysis.tally import Cell, Scores, once
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Warned
from misalign_eval.records.definition import OUTCOMES
from misalign_eval.workflows.counting import Counted


def pooled(runs: Sequence[Counted]) -> Side:
    """Add runs up. Raises UsageError unless they have one key and independent draws."""
    first, *others = runs
    for one, other in combinations(runs, 2):
        if refused := [_words(one, other, found) for found in alike.refusals(_differences(one, other))][:1]:
            names = f"{one.folder.path} and {other.folder.path}"
            raise UsageError(f"{names} cannot be pooled: {refused[0]}")
    cells = first.tally.cells()
    for other in others:
        theirs = {key_of(cell): cell for cell in other.tally.cells()}
        cells = tuple(_sum(cell, theirs[key_of(cell)]) for cell in cells)
    return Side(once(cells), first.provenance, first.tally.definition)


def notes(runs: Sequence[Counted]) -> Iterator[Warned]:
    """What differs between runs that are pooled all the same, and what cannot be compared."""
    for one, other in combinations(runs, 2):
        names = f"{one.folder.path} and {other.folder.path}"
        for found in _differences(one, other):
            if not found.known:
                yield alike.unknown(names, found)
            elif found.answer == alike.TOLD:
                yield Warned(id="runs-differ", text=f"{names} are pooled and differ in {found.text('{was}, {now}')}")


def _differences(one: Counted, other: Counted) -> list[alike.Difference]:
    ours, theirs = _facts(one), _facts(other)
    if one.folder.path.resolve() == other.folder.path.resolve():
        theirs = theirs | {"run": ours["run"]}
    found = list(alike.differences("pool", ours, theirs))
    prompts, others = (tuple(cell.prompt for cell in run.tally.cells()) for run in (one, other))
    if plans := alike.of_plans("pool", prompts, others):
        found.append(alike.Difference(plans.fields[0], alike.EQUAL, "prompts or sampling settings"))
    return found


def _facts(run: Counted) -> dict[str, alike.Fact]:
    """Counted by the definition and the graders that were chosen, whatever the run was collected for."""
    read = alike.of_provenance(run.provenance)
    return alike.of_manifest(run.folder.manifest) | {name: read[name] for name in ("definition", "counting", "judges")}


_MANY = {"suite": "suites", "target": "targets", "definition": "definitions", "judges": "graders"}
_SAME = {"version": "suite", "content": "suite", "counting": "definition"}
_SAID = {
    "run": "they are the same run",
    "moment": "they are the same run",
    "stopping": "a run that may stop early stands alone",
}


def _words(one: Counted, other: Counted, found: alike.Difference) -> str:
    a, b = one.folder.manifest, other.folder.manifest
    if found.field in _SAID:
        return _SAID[found.field]
    if found.field == "seed" and a.shard != b.shard:
        return f"they are shards {a.shard} and {b.shard} of one plan. Join them first: misalign-eval merge RUN..."
    if found.field == "seed":
        return f"both were drawn with seed {a.seed}, so they are the same draws twice"
    if found.field == "shard":
        return f"they collected different parts of a plan ({found.was} and {found.now})"
    return f"their {_MANY.get(_SAME.get(found.field, found.field), found.words)} differ"


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
        unknown_ends=one.unknown_ends + other.unknown_ends,
        most_alike=max(one.most_alike, other.most_alike),
        scores=Scores(),
        in_order=one.in_order + other.in_order,
        texts=_marks(one) + _marks(other),
        repeats="",
    )


def _marks(cell: Cell) -> bytes:
    """Marks of every planned reply, where none has a text too."""
    return cell.texts.ljust(SIZE * len(cell.in_order), b"\0")
