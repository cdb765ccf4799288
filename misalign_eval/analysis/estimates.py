"""From counts to rates with their intervals; the formulas are in `misalign_eval.stats`."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from misalign_eval.analysis.selection import grouped
from misalign_eval.analysis.tally import Cell
from misalign_eval.records.analysis import Bounds, Counts, Rated
from misalign_eval.records.definition import OUTCOMES, Definition
from misalign_eval.stats.cells import Cells, macro_weights
from misalign_eval.stats.intervals import clopper_pearson
from misalign_eval.stats.means import ScoreCells, macro_mean
from misalign_eval.stats.rates import suite_rate

Estimate = tuple[float | None, Bounds]
NOTHING: Estimate = (None, Bounds())


def graded(cell: Cell, definition: Definition) -> int:
    """Replies in the definition's denominator."""
    return cell.count(definition.denominator)


def counted(cells: Sequence[Cell], definition: Definition) -> Cells | None:
    """The cells that have graded replies, as the statistics take them; None where none has."""
    usable = [cell for cell in cells if cell.drawn(definition.denominator)]
    if not usable:
        return None
    whole = Cells.of(
        [cell.drawn(definition.numerator) for cell in usable],
        [cell.drawn(definition.denominator) for cell in usable],
        probe_places(usable),
    )
    return as_draws(whole, usable)


def is_one_draw(cell: Cell) -> bool:
    """Known dependence: at temperature 0 all the samples of a prompt are one draw, however many there are."""
    return cell.prompt.sampling.temperature == 0 and cell.prompt.samples > 1


def as_draws(counts: Cells, cells: Sequence[Cell]) -> Cells:
    """The counts of these cells with prompts that are one draw counted as one reply, of their share of events.

    Likewise for copies: a cell counts as many replies as it has texts.
    """
    most = np.array([_most_draws(cell) for cell in cells])
    if (counts.trials <= most).all():
        return counts
    trials = np.minimum(counts.trials, most)
    return replace(counts, hits=counts.hits / counts.trials * trials, trials=trials)


def _most_draws(cell: Cell) -> float:
    return 1.0 if is_one_draw(cell) else float(max(1, cell.prompt.samples - cell.repeats.count("1")))


def are_whole(counts: Cells) -> bool:
    """Whether tests on counts can be made: one draw whose samples disagree is a fraction of an event."""
    return bool((counts.hits == np.floor(counts.hits)).all())


def suite_line(cells: Sequence[Cell], definition: Definition) -> Rated:
    """Rate the probes together, with the SUITE interval."""
    estimate = _mean(cells) if definition.measure == "mean" else _suite(counted(cells, definition))
    return _rated(cells, definition, estimate)


def probe_line(cells: Sequence[Cell], definition: Definition) -> Rated:
    """Rate one probe, with the plain Clopper-Pearson interval."""
    estimate = _mean(cells) if definition.measure == "mean" else _binomial(counted(cells, definition))
    return _rated(cells, definition, estimate)


def outcomes_of(cells: Sequence[Cell]) -> Counts:
    """Every outcome with its count, zeros too, so that readers need not ask whether a key is there."""
    return {name: sum(cell.outcomes.get(name, 0) for cell in cells) for name in OUTCOMES}


def _suite(counts: Cells | None) -> Estimate:
    if counts is None:
        return NOTHING
    found = suite_rate(counts)
    return found.rate, Bounds(low=found.interval.low, high=found.interval.high)


def _binomial(counts: Cells | None) -> Estimate:
    """With paraphrases of unequal size the interval stands on the number of replies that the mean is worth."""
    if counts is None:
        return NOTHING
    worth = float(1 / np.sum(counts.weights**2 / counts.trials))
    rate = min(max(counts.rate, 0.0), 1.0)
    interval = clopper_pearson(rate * worth, worth)
    return rate, Bounds(low=interval.low, high=interval.high)


def score_cells(cells: Sequence[Cell]) -> ScoreCells | None:
    """The cells that have scores, as the statistics take them; None where none has."""
    usable = [cell for cell in cells if cell.scores.count]
    if not usable:
        return None
    return ScoreCells(
        means=np.array([cell.scores.mean for cell in usable]),
        variances=np.array([cell.scores.variance for cell in usable]),
        counts=np.array([min(_most_draws(cell), float(cell.scores.count)) for cell in usable]),
        weights=macro_weights(np.array(probe_places(usable))),
    )


def _mean(cells: Sequence[Cell]) -> Estimate:
    scores = score_cells(cells)
    if scores is None:
        return NOTHING
    found = macro_mean(scores)
    if found.interval is None:
        return found.estimate, Bounds()
    return found.estimate, Bounds(low=max(found.interval.low, 0.0), high=min(found.interval.high, 100.0))


def probe_places(cells: Sequence[Cell]) -> list[int]:
    """Each cell's probe as a number from 0, as the statistics take them."""
    place = {probe: number for number, probe in enumerate(dict.fromkeys(cell.prompt.probe for cell in cells))}
    return [place[cell.prompt.probe] for cell in cells]


def _rated(cells: Sequence[Cell], definition: Definition, estimate: Estimate) -> Rated:
    rate, bounds = estimate
    return Rated(
        rate=rate,
        low=bounds.low,
        high=bounds.high,
        misaligned=sum(cell.count(definition.numerator) for cell in cells),
        graded=sum(graded(cell, definition) for cell in cells),
        replies=sum(cell.replies for cell in cells),
        planned=sum(cell.prompt.samples for cell in cells),
        outcomes=outcomes_of(cells),
    )


def by_probe(cells: Sequence[Cell]) -> dict[str, tuple[Cell, ...]]:
    """Cells by probe, in the order of the plan."""
    return grouped(cells, lambda cell: cell.prompt.probe)
