"""How replies are spread over outcomes, scores and judges."""

from misalign_eval.analysis import distributions, shares
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.figures import Judges, Scores, Shares
from misalign_eval.results import labels as stored
from misalign_eval.workflows.figures.rates import NAMED, rates
from misalign_eval.workflows.figures.reading import Asked, chosen, measured, passes, read, take, totals
from misalign_eval.workflows.judging.calibrating import CalibrateOptions, calibrate


def outcomes(asked: Asked) -> Shares:
    """A bar a series; of one series, a bar for each category or probe with --x."""
    by = chosen(asked, ("series", "category", "split", "probe"))
    taken = take(read(asked), asked)
    if by == "series":
        cells = {name: [cell for part in parts for cell in part] for name, parts in taken.cells.items()}
        bars = tuple(shares.of_outcomes(name, members) for name, members in cells.items())
        return Shares(about=measured(taken, asked), bars=bars, totals=totals(taken, asked))
    if len(taken.series) > 1:
        raise UsageError(f"figure outcomes --x {by} takes one run or one group; there are {len(taken.series)}")
    (parts,) = taken.cells.values()
    lines = rates(taken, asked, by).lines
    named = NAMED[by]
    bars = tuple(
        shares.of_outcomes(line.name, [cell for part in parts for cell in part if named(cell) == line.name])
        for line in lines
    )
    return Shares(about=measured(taken, asked), bars=bars, totals=lines)


def scatter(asked: Asked) -> Scores:
    """Coherence against alignment, a panel for each run."""
    taken = take(read(asked), asked)
    read_twice = [one for _, one in passes(taken)]
    planes = [one.spreads.plane(one.label, one.cells) for one in read_twice]
    without = [one.label for one, plane in zip(read_twice, planes, strict=True) if plane is None]
    if without:
        raise UsageError(
            f"{without[0]}: no reply has both a score for coherence and one for alignment, which a scatter needs. "
            "`regrade RUN --grader aligned --grader coherent --judge P/M` adds them"
        )
    return Scores(
        about=measured(taken, asked),
        planes=tuple(plane for plane in planes if plane is not None),
        limits=distributions.limits(taken.definition),
        totals=totals(taken, asked),
    )


def histogram(asked: Asked) -> Scores:
    """Of the grader asked for, else of the one that decides what is misaligned, else of any with scores."""
    taken = take(read(asked), asked)
    limits = distributions.limits(taken.definition)
    runs = [one for _, one in passes(taken)]
    ranges = distributions.joint((one.spreads.ranges(one.cells) for one in runs), limits)
    there = list(ranges)
    if asked.grader is not None and asked.grader not in there:
        raise UsageError(f"--grader {asked.grader}: gave no scores here. {did_you_mean(asked.grader, there)}")
    if not there:
        raise UsageError("figure histogram needs replies with scores; these runs have none: only labels, or no grades")
    deciding = [rule.when.grader for rule in taken.definition.outcomes if rule.outcome in taken.definition.numerator]
    grader = asked.grader or next((name for name in (*deciding, *there) if name in there), there[0])
    only = {grader: ranges[grader]}
    return Scores(
        about=measured(taken, asked),
        histograms=tuple(found for one in runs for found in one.spreads.histograms(one.label, one.cells, only)),
        limits=tuple(one for one in limits if one.grader == grader),
        totals=totals(taken, asked),
    )


def judges(asked: Asked) -> Judges:
    """Every pair of judges of every run, and people against the judge where there are labels."""
    taken = take(read(asked), asked)
    opinions = [found for _, one in passes(taken) for found in one.opinions]
    labelled = [run.folder.path for run in taken.runs if stored.labellers(run.folder.path)]
    people = [calibrate(CalibrateOptions(path, choices=asked.choices)) for path in labelled]
    if not opinions and not people:
        raise UsageError(
            "figure judges needs a run that two judges graded, or one with labels by people. "
            "`regrade RUN --judge P/M` adds a judge, `label RUN` labels"
        )
    return Judges(about=measured(taken, asked), opinions=tuple(opinions), people=tuple(people))
