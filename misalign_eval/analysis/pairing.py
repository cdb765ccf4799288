"""Which prompts two runs share: the same words sent, whatever the probes are called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from misalign_eval.analysis.tally import Cell


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
            partner = max(candidates, key=lambda one: _likeness(one, cell))
            candidates.remove(partner)
            pairs.append((_renamed(partner, cell), cell))
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


def _likeness(one: Cell, other: Cell) -> tuple[bool, bool]:
    same_probe = one.prompt.probe == other.prompt.probe
    return same_probe, one.prompt.prompt == other.prompt.prompt


def _renamed(cell: Cell, like: Cell) -> Cell:
    """Keep the counts and settings of one run under the names of the other."""
    names = {name: getattr(like.prompt, name) for name in ("probe", "prompt", "variant", "category", "split")}
    return replace(cell, prompt=cell.prompt.model_copy(update=names))
