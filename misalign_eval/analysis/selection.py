"""Which cells a number is the mean of: the headline, and the series beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.suite import PLAIN, Split

SPLITS: tuple[Split, ...] = get_args(Split)
ALL_SPLITS = "all"


@dataclass(frozen=True, slots=True)
class Headline:
    """The cells that the rate is the mean of, and which they are in words."""

    cells: tuple[Cell, ...]
    splits: tuple[str, ...]
    variant: str | None  # None: every form, for a run without the plain one

    @property
    def words(self) -> str:
        """`24 probes of split broad, plain form`."""
        probes = len({cell.prompt.probe for cell in self.cells})
        form = "every form" if self.variant is None else f"{self.variant} form"
        return f"{probes} {'probe' if probes == 1 else 'probes'} of split {' and '.join(self.splits)}, {form}"


def headline(cells: Sequence[Cell], split: str | None = None) -> Headline:
    """Take the probes of `split` in their plain form.

    Without a choice: broad, or where a suite has no broad probes the first split that it has. `all` takes every
    split. Raises UsageError for a split that is not in the run.
    """
    there = tuple(name for name in SPLITS if any(cell.prompt.split == name for cell in cells))
    chosen = _chosen(there, split)
    inside = tuple(cell for cell in cells if cell.prompt.split in chosen)
    plain = tuple(cell for cell in inside if cell.prompt.variant == PLAIN)
    return Headline(plain or inside, chosen, PLAIN if plain or not inside else None)


def grouped(cells: Sequence[Cell], name: Callable[[Cell], str]) -> dict[str, tuple[Cell, ...]]:
    """Cells by a name of theirs, in the order in which the names first occur."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(name(cell), []).append(cell)
    return {key: tuple(members) for key, members in groups.items()}


def _chosen(there: tuple[Split, ...], split: str | None) -> tuple[str, ...]:
    if split is None:
        return there[:1]
    if split == ALL_SPLITS:
        return there
    if split not in there:
        raise UsageError(f"no probes of split `{split}` in this run. {did_you_mean(split, [*there, ALL_SPLITS])}")
    return (split,)
