"""Which cells a check looks at, and their counts as the statistics take them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from misalign_eval.analysis import alike
from misalign_eval.analysis.estimates import by_probe
from misalign_eval.analysis.pairing import pair
from misalign_eval.analysis.selection import ALL_SPLITS, Headline, headline
from misalign_eval.analysis.tally import LETTERS, Cell
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.analysis import Provenance
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.policy import NO_ANSWER, Check, Policy
from misalign_eval.stats.missing import PartialCells

UNGRADED: tuple[Outcome, ...] = ("ungraded", "failed")


@dataclass(frozen=True, slots=True)
class Counting:
    """What a gate counts each outcome as. An outcome that is in none of the three is counted beside the rate."""

    numerator: tuple[Outcome, ...]
    graded: tuple[Outcome, ...]
    unknown: tuple[Outcome, ...]

    @classmethod
    def of(cls, definition: Definition, as_defined: Sequence[Outcome] = ()) -> "Counting":
        """An unknown reply is never counted as a value, whatever a definition divides by.

        Blocked, truncated and empty replies are unknown, too: what the model says there was not seen. They are not
        where the definition measures them, or the policy names them in `as_defined`.
        """
        known = {*as_defined, *definition.numerator}
        unknown = (*UNGRADED, *(name for name in NO_ANSWER if name not in known))
        graded = tuple(name for name in definition.denominator if name not in unknown)
        return cls(definition.numerator, graded, unknown)


@dataclass(frozen=True, slots=True)
class Side:
    """One measurement: a run, several runs of one key together, or a stored baseline."""

    cells: tuple[Cell, ...]
    provenance: Provenance
    definition: Definition
    answered: tuple[str, ...] = ()  # of a baseline: by which names its target answered
    as_defined: tuple[Outcome, ...] = ()  # outcomes that the policy leaves to the definition

    @property
    def counting(self) -> Counting:
        """What each outcome counts as."""
        return Counting.of(self.definition, self.as_defined)

    def under(self, policy: Policy) -> "Side":
        """The same measurement as a policy has it counted."""
        return replace(self, as_defined=policy.unknown.as_defined)


def scope(check: Check, cells: Sequence[Cell]) -> Headline:
    """The cells of a check. Raises UsageError for a split or a category that the run does not have."""
    if check.category is None:
        return headline(cells, check.split)
    for split in (check.split, ALL_SPLITS) if check.split is None else (check.split,):
        head = headline(cells, split)
        inside = tuple(cell for cell in head.cells if cell.prompt.category == check.category)
        if inside:
            return Headline(inside, tuple(dict.fromkeys(cell.prompt.split for cell in inside)), head.variant)
    known = sorted({cell.prompt.category for cell in cells})
    raise UsageError(
        f"check `{check.label}`: no probes of category `{check.category}` in this run. "
        f"{did_you_mean(check.category, known)}"
    )


def subject(check: Check, head: Headline) -> dict[str, Any]:
    """What a CheckResult says before anything is counted: the check, and which probes it is about."""
    return {
        "name": check.label,
        "kind": check.kind,
        "scope": head.words + (f", category {check.category}" if check.category else ""),
        "estimand": check.estimand,
        "limit": check.limit,
        "alpha_pass": check.alpha_pass,
    }


def paired_scope(check: Check, before: Side, after: Side) -> tuple[Headline, Headline]:
    """The same prompts in both measurements, in one order. Raises UsageError where one lacks some."""
    after_head, before_head = scope(check, after.cells), scope(check, before.cells)
    paired = pair(before_head.cells, after_head.cells)
    for where, left in (("baseline", paired.only_before), ("run", paired.only_after)):
        if left and alike.answer("baseline", "prompts") == alike.EQUAL:
            probes = list(by_probe(left))
            raise UsageError(
                f"check `{check.label}`: {len(left)} prompts were asked only in the {where}, such as `{probes[0]}`. "
                "Both sides need the same prompts: collect the baseline with the same suite and choices"
            )
    for one, other in zip(paired.before, paired.after, strict=True):
        if one.prompt.sampling != other.prompt.sampling and alike.answer("baseline", "sampling") == alike.EQUAL:
            raise UsageError(
                f"check `{check.label}`: probe `{other.prompt.probe}` was sampled otherwise in the baseline "
                f"({_sampling(one)}) than in the run ({_sampling(other)}). Collect both alike"
            )
    return Headline(paired.before, before_head.splits, before_head.variant), Headline(
        paired.after, after_head.splits, after_head.variant
    )


def partners(baseline: Side | None, cells: Sequence[Cell]) -> tuple[Cell, ...] | None:
    """The cells of a baseline that asked the same words as these."""
    asked = {cell.prompt.prompt_digest for cell in cells}
    return None if baseline is None else tuple(one for one in baseline.cells if one.prompt.prompt_digest in asked)


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of a check. `silent` are the probes with a prompt that has neither a graded nor an unknown reply."""

    partial: PartialCells | None
    probes: tuple[str, ...]  # by their code in `partial`
    prompts: tuple[str, ...]  # names of the cells of `partial`
    misaligned: int
    graded: int
    unknown: int
    lost: int  # of the unknown ones: ungraded or failed, so that `run --resume` may ask again
    planned: int
    silent: tuple[str, ...]


def count(cells: Sequence[Cell], counting: Counting, kept: Sequence[bool] | None = None) -> Counted:
    """Count cells; with `kept`, only those where it is true go into the statistics. Copies count once."""
    graded = [cell.drawn(counting.graded) for cell in cells]
    unknown = [cell.drawn(counting.unknown) for cell in cells]
    hits = [cell.drawn(counting.numerator) for cell in cells]
    worth = [_worth(cell, graded[place] + unknown[place]) for place, cell in enumerate(cells)]
    chosen = [
        place
        for place in range(len(cells))
        if (has_reply(graded[place], unknown[place]) if kept is None else kept[place])
    ]
    probes = tuple(dict.fromkeys(cells[place].prompt.probe for place in chosen))
    partial = None
    if chosen:
        partial = PartialCells.of(
            [worth[place] * hits[place] for place in chosen],
            [worth[place] * graded[place] for place in chosen],
            [worth[place] * unknown[place] for place in chosen],
            [probes.index(cells[place].prompt.probe) for place in chosen],
            in_order=_rows([cells[place] for place in chosen], counting),
        )
    return Counted(
        partial=partial,
        probes=probes,
        prompts=tuple(_name(cells[place]) for place in chosen),
        misaligned=sum(hits),
        graded=sum(graded),
        unknown=sum(unknown),
        lost=sum(cell.count(UNGRADED) for cell in cells),
        planned=sum(cell.prompt.samples for cell in cells),
        silent=tuple(dict.fromkeys(_silent(cells, graded))),
    )


def _rows(cells: Sequence[Cell], counting: Counting) -> list[list[int]] | None:
    """Graded draws by sample number, 1 for misaligned; None where only counts are known."""
    known, bad = ({LETTERS[name] for name in names} for names in (counting.graded, counting.numerator))
    if not all(cell.in_order for cell in cells):
        return None
    return [
        [
            int(letter in bad)
            for letter, again in zip(cell.in_order, cell.repeats or "0" * len(cell.in_order), strict=True)
            if letter in known and again == "0"
        ]
        for cell in cells
    ]


def _name(cell: Cell) -> str:
    """The probe, and which of its paraphrases or variants where that is not the first plain one."""
    prompt = cell.prompt
    place = f"/{prompt.prompt}" if prompt.prompt else ""
    return f"{prompt.probe}{place}" + (f" ({prompt.variant})" if prompt.variant != "plain" else "")


def draws(cell: Cell) -> int:
    """Independent planned replies of a cell: at temperature 0 all of them are one."""
    return min(1, cell.prompt.samples) if is_one_draw(cell) else cell.prompt.samples


def is_one_draw(cell: Cell) -> bool:
    """Whether the replies of a cell are known to depend on each other wholly."""
    return cell.prompt.sampling.temperature == 0


def _worth(cell: Cell, replies: int) -> float:
    return 1 / replies if is_one_draw(cell) and replies else 1.0


def has_reply(graded: int, unknown: int) -> bool:
    """Whether a cell says anything at all: one of incoherent replies alone does not."""
    return graded + unknown > 0


def _silent(cells: Sequence[Cell], graded: Sequence[int]) -> Iterator[str]:
    for cell, number in zip(cells, graded, strict=True):
        if not number:
            yield cell.prompt.probe


def _sampling(cell: Cell) -> str:
    given = cell.prompt.sampling.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in given.items()) or "as the server likes"
