"""Rates by name, series side by side: by probe, category, split, suite and variant."""

from collections.abc import Callable
from dataclasses import replace

from misalign_eval.analysis import side_by_side
from misalign_eval.analysis.selection import SPLITS
from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.figures import By, Measured, Rates
from misalign_eval.workflows.counting import Counted
from misalign_eval.workflows.figures.reading import Asked, Series, Taken, chosen, measured, read, take, totals

NAMED: dict[By, Callable[[Cell], str]] = {
    "probe": lambda cell: cell.prompt.probe,
    "category": lambda cell: cell.prompt.category,
    "split": lambda cell: cell.prompt.split,
    "variant": lambda cell: cell.prompt.variant,
    "series": lambda _: "all",
}


def probes(asked: Asked) -> Rates:
    """Every probe of the headline."""
    return rates(take(read(asked), asked), asked, "probe")


def rates(taken: Taken, asked: Asked, by: By) -> Rates:
    """The rates of one breakdown, a line for each name and series."""
    found = side_by_side.lines(taken.cells, NAMED[by], taken.definition, asked.interval, of_probes=by == "probe")
    return Rates(
        about=measured(taken, asked),
        by=by,
        series=tuple(one.name for one in taken.series),
        names=tuple(dict.fromkeys(line.name for line in found)),
        lines=found,
        totals=totals(taken, asked),
    )


def bars(asked: Asked) -> Rates:
    """By category; by split every split is taken; by suite each suite stands for itself."""
    by = chosen(asked, ("category", "suite", "split"))
    if by == "suite":
        return _suites(asked)
    if by == "split":
        asked = replace(asked, choices=replace(asked.choices, split=asked.choices.split or "all"))
    found = rates(take(read(asked), asked), asked, by)
    if by == "split":
        return found.model_copy(update={"names": tuple(name for name in SPLITS if name in found.names)})
    return found


def _target(run: Counted) -> str:
    return run.provenance.target_name or run.provenance.target


def _suites(asked: Asked) -> Rates:
    """Runs of one suite share its prompts; without groups the runs of one target are a series."""
    given = read(asked)
    every = [(one.name if asked.groups else _target(run), run) for one in given for run in one.runs]
    parts: list[tuple[str, Taken]] = []
    for suite in dict.fromkeys(run.provenance.suite for _, run in every):
        named: dict[str, list[Counted]] = {}
        for name, run in every:
            if run.provenance.suite == suite:
                named.setdefault(name, []).append(run)
        parts.append((suite, take(tuple(Series(name, tuple(runs)) for name, runs in named.items()), asked)))
    if len(parts) < 2:
        raise UsageError(f"figure bars --x suite needs runs of two suites or more; all of these asked `{parts[0][0]}`")
    found = [
        line.model_copy(update={"name": suite})
        for suite, taken in parts
        for line in side_by_side.lines(taken.cells, NAMED["series"], taken.definition, asked.interval)
    ]
    return Rates(
        about=_together({suite: measured(taken, asked) for suite, taken in parts}),
        by="suite",
        series=tuple(dict.fromkeys(line.series for line in found)),
        names=tuple(suite for suite, _ in parts),
        lines=tuple(found),
        totals=tuple(found),
    )


def _together(abouts: dict[str, Measured]) -> Measured:
    every = [*abouts.values()]
    return every[0].model_copy(
        update={
            "judges": tuple(dict.fromkeys(name for one in every for name in one.judges)),
            "suites": tuple(name for one in every for name in one.suites),
            "averaged": "; ".join(f"{suite}: {one.averaged}" for suite, one in abouts.items()),
            "left_out": sum(one.left_out for one in every),
            "unshared": sum(one.unshared for one in every),
        }
    )


def variants(asked: Asked) -> Rates:
    """The plain form and every variant, over the same probes."""
    found = rates(take(read(asked), asked, in_every_form=True), asked, "variant")
    if len(found.names) < 2:
        raise UsageError(
            f"figure variants needs a run with variants; these have `{found.names[0]}` alone. The suite "
            "format-shift has some; `variants: [json, template]` adds them to a suite"
        )
    return found
