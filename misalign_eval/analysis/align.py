"""Align runs over the prompts that they share: pairs for a comparison, any number for a trajectory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from misalign_eval.analysis import estimates
from misalign_eval.analysis.counts import Cell, Headline, headline
from misalign_eval.analysis.estimates import graded, probe_line, suite_line
from misalign_eval.records.base import Bounds
from misalign_eval.records.definition import Definition
from misalign_eval.records.pages import FigureLine, Interval
from misalign_eval.records.summary import RateLine
from misalign_eval.stats.general import mean_over_probes

# Pairs of prompts: two runs share a prompt when the same messages were sent, whatever the probes are called.


@dataclass(frozen=True, slots=True)
class Paired:
    """The shared cells in one order, under the names of the run after; and what only one run asked."""

    before: tuple[Cell, ...]
    after: tuple[Cell, ...]
    only_before: tuple[Cell, ...]
    only_after: tuple[Cell, ...]


def pair(before: Sequence[Cell], after: Sequence[Cell]) -> Paired:
    """Pair by prompt digest; where a run asks the same words twice, by name among those."""
    waiting: dict[str, list[Cell]] = {}
    for cell in before:
        waiting.setdefault(cell.prompt.prompt_digest, []).append(cell)
    pairs: list[tuple[Cell, Cell]] = []
    only_after: list[Cell] = []
    for cell in after:
        candidates = waiting.get(cell.prompt.prompt_digest)
        if candidates:
            partner = max(candidates, key=lambda candidate: _likeness(candidate, cell))
            candidates.remove(partner)
            pairs.append((_renamed_probes(partner, cell), cell))
        else:
            only_after.append(cell)
    left = tuple(cell for cells in waiting.values() for cell in cells)
    return Paired(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), left, tuple(only_after))


def keep(paired: Paired, usable: Iterable[bool]) -> Paired:
    """Only the pairs where `usable` is true."""
    chosen = list(usable)
    return replace(
        paired,
        before=tuple(cell for cell, kept in zip(paired.before, chosen, strict=True) if kept),
        after=tuple(cell for cell, kept in zip(paired.after, chosen, strict=True) if kept),
    )


def _likeness(cell: Cell, other: Cell) -> tuple[bool, bool]:
    same_probe = cell.prompt.probe == other.prompt.probe
    return same_probe, cell.prompt.prompt == other.prompt.prompt


def _renamed_probes(cell: Cell, like: Cell) -> Cell:
    """Keep the counts and settings of one run under the names of the other."""
    names = {name: getattr(like.prompt, name) for name in ("probe", "prompt", "variant", "category", "split")}
    return replace(cell, prompt=cell.prompt.model_copy(update=names))


# Alignment of several runs: one row for each prompt, with the cell of every run under that run's own names.


AlignedPrompt = tuple[Cell | None, ...]  # one prompt in every run; None where a run did not ask it


def align_prompts(runs: Sequence[Sequence[Cell]]) -> tuple[AlignedPrompt, ...]:
    """Pair by what was sent, as `pair` does; in the order of the first run, then what only later runs asked."""
    waiting: list[dict[str, list[Cell]]] = [{} for _ in runs]
    for place, cells in enumerate(runs):
        for cell in cells:
            waiting[place].setdefault(cell.prompt.prompt_digest, []).append(cell)
    return tuple(_lines(runs, waiting))


def _lines(runs: Sequence[Sequence[Cell]], waiting: list[dict[str, list[Cell]]]) -> Iterator[AlignedPrompt]:
    for place, cells in enumerate(runs):
        for cell in cells:
            if any(cell is item for item in waiting[place][cell.prompt.prompt_digest]):
                yield tuple(None if later < place else _take(waiting[later], cell) for later in range(len(runs)))


def _take(waiting: dict[str, list[Cell]], like: Cell) -> Cell | None:
    candidates = waiting.get(like.prompt.prompt_digest)
    if not candidates:
        return None
    chosen = next((candidate for candidate in candidates if candidate is like), None) or max(
        candidates,
        key=lambda candidate: (
            candidate.prompt.probe == like.prompt.probe,
            candidate.prompt.prompt == like.prompt.prompt,
        ),
    )
    candidates[:] = [candidate for candidate in candidates if candidate is not chosen]
    return chosen


def shared_headline(
    lines: Sequence[AlignedPrompt], definition: Definition, split: str | None
) -> tuple[AlignedPrompt, ...]:
    """The lines that a comparison's rate is the mean of: asked in every run, of the split, graded in every run.

    With one run it is its headline. Where no line is graded in every run, all that are shared.
    """
    shared = [line for line in lines if all(line)]
    named = [cell for line in shared if (cell := line[-1 if len(line) == 2 else 0]) is not None]
    inside = {id(cell) for cell in headline(named, split).cells}
    chosen = [line for line, cell in zip(shared, named, strict=True) if id(cell) in inside]
    if chosen and len(chosen[0]) == 1:
        return tuple(chosen)
    usable = [line for line in chosen if all(cell is not None and graded(cell, definition) for cell in line)]
    return tuple(usable or chosen)


# Rates of several runs, or groups of runs, over their shared prompts: one for each name and series.


Cells = tuple[Cell, ...]
Named = Callable[[Cell], str]


@dataclass(frozen=True, slots=True)
class AlignedRuns:
    """The cells of every run over the prompts that all of them asked, under the names of one of them."""

    runs: tuple[Cells, ...]
    own: tuple[Cells, ...]  # the same cells under each run's own names
    words: str  # which they are
    left_out: int  # shared prompts without a reply that counts in some run
    unshared: int  # prompts that some run did not ask


def shared(
    runs: Sequence[Sequence[Cell]], definition: Definition, split: str | None, *, in_every_form: bool = False
) -> AlignedRuns | None:
    """The headline's cells in every run, or those of all its variants; of one run its own headline.

    None where the runs share no prompt. Raises UsageError for a split that is not there.
    """
    lines = align_prompts(runs)
    both = [line for line in lines if all(line)]
    if not both:
        return None
    place = len(runs) - 1 if len(runs) == 2 else 0  # a change is told by the names after it
    names = [cell for line in both if (cell := line[place]) is not None]
    head = headline(names, split)
    of_head = [line for line in both if (cell := line[place]) is not None and cell.prompt.split in head.splits]
    if in_every_form:
        kept = [line for line in of_head if len(runs) == 1 or _is_counted(line, definition)] or of_head
        left_out = len(of_head) - len(kept)
    else:
        kept = list(shared_headline(lines, definition, split))
        left_out = len(head.cells) - len(kept)
    chosen = tuple(cell for line in kept if (cell := line[place]) is not None)
    words = Headline(chosen, head.splits, None if in_every_form else head.variant).words
    own = tuple(tuple(cell for line in kept if (cell := line[number]) is not None) for number in range(len(runs)))
    cells = tuple(tuple(map(_renamed_in_shared, run, chosen)) for run in own)
    return AlignedRuns(cells, own, words, left_out, len(lines) - len(both))


def _is_counted(line: AlignedPrompt, definition: Definition) -> bool:
    return all(cell is not None and graded(cell, definition) for cell in line)


def _renamed_in_shared(cell: Cell, like: Cell) -> Cell:
    if cell is like:
        return cell
    ours = like.prompt
    names = {"probe": ours.probe, "category": ours.category, "split": ours.split, "variant": ours.variant}
    return replace(cell, prompt=cell.prompt.model_copy(update=names))


def lines(
    series: Mapping[str, Sequence[Cells]],
    named: Named,
    definition: Definition,
    interval: Interval,
    *,
    x: float | None = None,
    of_probes: bool = False,
) -> tuple[FigureLine, ...]:
    """A line for every name of every series, in the order in which they first occur.

    The rate of several runs is the mean of theirs, its SUITE interval for exactly these runs and probes. Raises
    UsageError for an interval that a mean score does not have.
    """
    if interval != "runs":
        estimates.check_interval(interval, definition)
    found = []
    for name, runs in series.items():
        keys = dict.fromkeys(named(cell) for cells in runs for cell in cells)
        for key in keys:
            parts = [tuple(cell for cell in cells if named(cell) == key) for cells in runs]
            line, kind = _line([part for part in parts if part], definition, interval, of_probes=of_probes)
            found.append(FigureLine(series=name, name=key, x=x, runs=len(runs), interval=kind, **dict(line)))
    return tuple(found)


def _line(
    runs: Sequence[Cells], definition: Definition, interval: Interval, *, of_probes: bool
) -> tuple[RateLine, Interval]:
    """The rate with the interval that is asked for; where there is none with SUITE, and which of both it is."""
    cells = [cell for part in runs for cell in part]
    line = probe_line(cells, definition) if of_probes else suite_line(cells, definition)
    if interval == "runs":
        wide = _over_runs(runs, definition)
    elif interval == "suite" or of_probes:
        return line, "suite"
    else:
        suite = Bounds(low=line.low, high=line.high)
        wide = getattr(estimates.of_rate(cells, definition, interval, suite), interval)
    if wide is None or wide.low is None:
        return line, "suite"
    return line.model_copy(update={"low": wide.low, "high": wide.high}), interval


def _over_runs(runs: Sequence[Cells], definition: Definition) -> Bounds:
    """By t over the runs' own rates; nothing where there is one, or where all agree: that is no spread."""
    rates = [rate for cells in runs if (rate := suite_line(cells, definition).rate) is not None]
    found = mean_over_probes(rates).interval if len(rates) > 1 else None
    if found is None or not found.width:
        return Bounds()
    return Bounds(low=max(found.low, 0.0), high=min(found.high, 1.0 if definition.measure == "rate" else 100.0))
