"""Several runs over the prompts that all of them share, each prompt graded in every run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from misalign_eval.analysis import differs, warnings
from misalign_eval.analysis.comparison import Side
from misalign_eval.analysis.estimates import graded
from misalign_eval.analysis.pairing import pair
from misalign_eval.analysis.selection import Headline, headline
from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Estimand, Warned
from misalign_eval.records.definition import Definition

Row = tuple[Cell, ...]  # one prompt in every run


@dataclass(frozen=True, slots=True)
class Aligned:
    """The headline's shared cells of every run, in one order and under the names of the first run."""

    runs: tuple[tuple[Cell, ...], ...]
    head: Headline  # of the first run
    definition: Definition
    sides: tuple[Side, ...]
    left_out: int  # shared prompts without a reply that counts in one of the runs

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs."""
        return tuple(side.provenance.run for side in self.sides)

    @property
    def caption(self) -> str:
        """Printed with every table."""
        judges = dict.fromkeys(side.provenance.judge or "none" for side in self.sides)
        suites = dict.fromkeys(f"{one.suite} {one.suite_version}" for one in (side.provenance for side in self.sides))
        return f"definition {self.definition.name}; judge {', '.join(judges)}; suite {', '.join(suites)}"


def align(sides: Sequence[Side], split: str | None) -> Aligned:
    """Pair every run with the first. Raises UsageError for other definitions, or where no prompt is shared by all."""
    first = sides[0]
    for side in sides[1:]:
        differs.refuse_definitions(first.provenance, side.provenance)
    rows = _shared(sides)
    if not rows:
        names = ", ".join(side.provenance.run for side in sides)
        raise UsageError(f"the runs share no prompt: {names}. Compare runs of the same suite")
    head = headline([row[0] for row in rows], split)
    inside = {id(cell) for cell in head.cells}
    chosen = [row for row in rows if id(row[0]) in inside]
    definition = first.tally.definition
    usable = [row for row in chosen if all(graded(cell, definition) for cell in row)]
    if not usable:
        raise UsageError("no prompt has replies that count in every one of the runs: there is nothing to compare")
    shown = Headline(tuple(row[0] for row in usable), head.splits, head.variant)
    runs = tuple(tuple(row[place] for row in usable) for place in range(len(sides)))
    return Aligned(runs, shown, definition, tuple(sides), len(chosen) - len(usable))


def _shared(sides: Sequence[Side]) -> list[Row]:
    cells = sides[0].tally.cells()
    rows: dict[int, list[Cell]] = {id(cell): [cell] for cell in cells}
    for side in sides[1:]:
        paired = pair(side.tally.cells(), cells)
        partner = {id(ours): theirs for theirs, ours in zip(paired.before, paired.after, strict=True)}
        rows = {key: [*row, partner[key]] for key, row in rows.items() if key in partner}
    return [tuple(row) for row in rows.values()]


def warned(found: Aligned, interval: Estimand = "suite") -> list[Warned]:
    """What is true of runs; the same words about several runs stand once."""
    said: dict[tuple[str, str], list[str]] = {}
    for side, cells in zip(found.sides, found.runs, strict=True):
        for warning in _of_run(found, side, cells, interval):
            said.setdefault((warning.id, warning.text), []).append(side.provenance.run)
    listed = [Warned(id=name, text=f"{_runs(runs)}: {text}") for (name, text), runs in said.items()]
    if found.left_out:
        shared = found.left_out + len(found.head.cells)
        text = f"{found.left_out} of {shared} shared prompts have no reply that counts in one of the runs"
        listed.append(Warned(id="prompts-left-out", text=f"{text} and are left out"))
    return [*listed, *warnings.of_judge(found.sides[0].provenance)]


def _of_run(found: Aligned, side: Side, cells: Sequence[Cell], interval: Estimand) -> Iterator[Warned]:
    yield from warnings.of_files(side.tally.differing, side.tally.first_digits)
    yield from _of_others(found, side)
    yield from warnings.of_cells(cells, found.definition, interval)


def _of_others(found: Aligned, side: Side) -> Iterator[Warned]:
    """What else differs from the first run; that targets agree is no news among many runs."""
    first = found.sides[0]
    if side is not first:
        paired = pair(first.tally.cells(), side.tally.cells())
        of_runs = differs.of_runs(first.provenance, side.provenance, paired)
        for one in of_runs:
            if one.id != "same-target":
                yield Warned(id=one.id, text=f"against {first.provenance.run}: {one.text}")


def _runs(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
