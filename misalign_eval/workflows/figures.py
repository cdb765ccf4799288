"""`figure`: reads what a figure shows from the rows of runs."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from misalign_eval.analysis import align, comparability, distributions
from misalign_eval.analysis import comparison as run_comparison
from misalign_eval.analysis import trajectory as trajectories
from misalign_eval.analysis.align import AlignedRuns
from misalign_eval.analysis.comparison import ComparedSide
from misalign_eval.analysis.counts import LETTERS, SPLITS, Cell
from misalign_eval.analysis.trajectory import Along
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.interchange import write_tables
from misalign_eval.interchange.columns import TableColumn
from misalign_eval.records.definition import Definition
from misalign_eval.records.pages import (
    By,
    ChangedLine,
    Changes,
    CoherenceLine,
    FigureCourse,
    FigureLine,
    FigureScores,
    Interval,
    Judges,
    Measured,
    Rates,
    Replies,
    Shares,
)
from misalign_eval.records.run import ReplyKey
from misalign_eval.records.summary import CategoryChange, Comparison, ProbeChange, RateLine
from misalign_eval.reports import numbers
from misalign_eval.reports.figures import examples as example_figures
from misalign_eval.reports.figures import render
from misalign_eval.reports.figures.theme import Figure
from misalign_eval.store import labels as stored
from misalign_eval.workflows.documents import Pass, second_pass
from misalign_eval.workflows.judging.calibrate import CalibrateOptions, calibrate
from misalign_eval.workflows.load_run import Choices, CountedRun, count
from misalign_eval.workflows.show import Filter, KeptReplies, show

# Files of a figure: the extension names the format.


DRAWING = (".svg", ".pdf", ".png", ".html", ".json", ".csv")
TABLE = (".tex", ".md", ".html", ".json", ".csv")


def check(kind: str, files: Sequence[Path]) -> None:
    """Refuse before the work what cannot be written. Raises UsageError, MissingExtraError."""
    known = TABLE if kind == "examples" else DRAWING
    for file in files:
        if file.suffix.lower() not in known:
            raise UsageError(f"-o {file}: figure {kind} is written as {', '.join(known)}: the extension names which")
        if not file.parent.is_dir():
            raise UsageError(f"-o {file}: there is no folder `{file.parent}`")
    if kind != "examples" and any(file.suffix.lower() in render.DRAWN for file in files):
        render.vl_convert()


def content(figure: Figure, extension: str) -> bytes:
    """The whole file."""
    match extension:
        case ".csv":
            columns = [TableColumn(column.name, "text", column.about) for column in figure.columns]
            return b"".join(write_tables.csv_parts(columns, iter(figure.table()), write_tables.Losses()))
        case ".json":
            rows = {"caption": figure.caption, "rows": list(figure.table())}
            return (json.dumps(figure.spec or rows, indent=1) + "\n").encode()
        case ".html":
            return render.html(figure).encode("utf-8", "backslashreplace")
        case ".md":
            return example_figures.markdown(figure).encode("utf-8", "backslashreplace")
        case ".tex":
            return example_figures.latex(figure).encode("utf-8", "backslashreplace")
    return _drawn(figure, extension)


def _drawn(figure: Figure, extension: str) -> bytes:
    if figure.spec is None:
        raise ValueError(f"figure {figure.kind} has no drawing")
    match extension:
        case ".svg":
            return render.svg(figure, figure.spec).encode("utf-8", "backslashreplace")
        case ".pdf":
            return render.pdf(figure.spec)
        case ".png":
            return render.png(figure.spec)
    raise ValueError(f"no figure is written as {extension}")


# Selection of the runs and the shared prompts of a figure.


@dataclass(frozen=True, slots=True)
class FigureRequest:
    """Which runs a figure shows and how they are read. Either `runs`, a series each, or `groups`."""

    kind: str
    runs: Sequence[Path] = ()
    groups: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    choices: Choices = Choices()
    interval: Interval = "suite"
    x: str | None = None  # what bars stand for, as `category`
    places: tuple[float, ...] | None = None  # where the runs of a curve stand, in the order given
    is_log: bool = False
    grader: str | None = None  # of a histogram
    keys: tuple[str, ...] = ()  # replies of a table
    limit: int = 8


@dataclass(frozen=True, slots=True)
class Series:
    """Runs that are drawn as one."""

    name: str
    runs: tuple[CountedRun, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """The series of a figure over the prompts that their runs share."""

    series: tuple[Series, ...]
    shared: AlignedRuns

    @property
    def runs(self) -> tuple[CountedRun, ...]:
        """Every run, series by series."""
        return tuple(run for item in self.series for run in item.runs)

    @property
    def definition(self) -> Definition:
        """By which all of them are counted."""
        return self.series[0].runs[0].tally.definition

    @property
    def cells(self) -> dict[str, tuple[tuple[Cell, ...], ...]]:
        """The cells of each run by series."""
        parts = iter(self.shared.runs)
        return {item.name: tuple(next(parts) for _ in item.runs) for item in self.series}


def read_runs(asked: FigureRequest) -> tuple[Series, ...]:
    """Count every run once. Raises UsageError for no run, one twice, or runs that are counted differently."""
    if asked.runs and asked.groups:
        raise UsageError("--group names all of the runs: give no other runs with it")
    named = asked.groups or _by_name(asked.runs)
    paths = [path for group in named.values() for path in group]
    again = [path for path, times in Counter(path.resolve() for path in paths).items() if times > 1]
    if again:
        raise UsageError(f"{again[0]}: the same run twice")
    if not paths:
        raise UsageError(f"figure {asked.kind} needs a run: misalign-eval figure {asked.kind} RUN -o figure.pdf")
    if asked.interval == "runs" and not any(len(group) > 1 for group in named.values()):
        raise UsageError("--interval runs needs --group NAME=RUN,RUN: an interval over runs takes several of them")
    found = tuple(Series(name, tuple(count(path, asked.choices) for path in group)) for name, group in named.items())
    every = [run for item in found for run in item.runs]
    for run in every[1:]:
        comparability.refuse_definitions(every[0].provenance, run.provenance)
    return found


def _by_name(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Each run as a series under its folder's name; numbered where two have one name."""
    names = [path.resolve().name for path in paths]
    twice = {name for name, times in Counter(names).items() if times > 1}
    return {
        f"{name} ({number})" if name in twice else name: [path]
        for number, (name, path) in enumerate(zip(names, paths, strict=True), 1)
    }


def take(series: tuple[Series, ...], asked: FigureRequest, *, in_every_form: bool = False) -> Taken:
    """The prompts that all runs share. Raises UsageError where there is none."""
    runs = [run for series in series for run in series.runs]
    found = align.shared(
        [run.tally.cells() for run in runs],
        runs[0].tally.definition,
        asked.choices.split,
        in_every_form=in_every_form,
    )
    if found is None:
        raise UsageError(comparability.nothing_shared(runs[0].provenance, runs[-1].provenance))
    return Taken(series, found)


def measured(taken: Taken, asked: FigureRequest) -> Measured:
    """What the caption tells."""
    sources = [run.provenance for run in taken.runs]
    return Measured(
        definition=taken.definition.name,
        measure=taken.definition.measure,
        judges=tuple(dict.fromkeys(source.judge for source in sources if source.judge)),
        suites=tuple(
            dict.fromkeys(f"{source.suite} {source.suite_version} ({source.suite_digest[:8]})" for source in sources)
        ),
        averaged=taken.shared.words,
        interval=asked.interval,
        left_out=taken.shared.left_out,
        unshared=taken.shared.unshared,
    )


def totals(taken: Taken, asked: FigureRequest) -> tuple[FigureLine, ...]:
    """All of a series together."""
    return align.lines(taken.cells, lambda _: "all", taken.definition, asked.interval)


def passes(taken: Taken) -> Iterator[tuple[str, Pass]]:
    """Every run read a second time, for how its scores are spread: its series, and what was found."""
    cells = iter(taken.shared.own)
    for item in taken.series:
        for run in item.runs:
            yield item.name, second_pass(run, named(item, run), KeptReplies({}, 0), next(cells))


def named(series: Series, run: CountedRun) -> str:
    """A run's name in a figure: that of its series, with its own where the series has several."""
    return series.name if len(series.runs) == 1 else f"{series.name}: {run.provenance.run}"


def chosen(asked: FigureRequest, known: Sequence[By]) -> By:
    """What bars stand for: --x, or the first of the known."""
    for name in known:
        if name == (asked.x or known[0]):
            return name
    raise UsageError(f"--x {asked.x}: no such bars of figure {asked.kind}. {did_you_mean(asked.x or '', known)}")


# `curve`: runs along x, with the coherence of the same replies.


X_NAMES = {"step": "step", "order": "run, in the order given"}


def curve(asked: FigureRequest) -> FigureCourse:
    """Runs along x; without groups they are one series. Points of one series at one x are added up."""
    given = read_runs(asked)
    runs = [run for series in given for run in series.runs]
    if len(runs) < 2:
        raise UsageError("figure curve needs two runs or more, at different x")
    taken = take(given, asked)
    sides = [ComparedSide(run.tally, run.provenance) for run in runs]
    along = Along(asked.places, "log" if asked.is_log else "value")
    places, source = trajectories.places_of(sides, along)
    of_series = [series.name if asked.groups else "" for series in given for _ in series.runs]
    found = [*zip(of_series, places, taken.shared.runs, (item for _, item in passes(taken)), strict=True)]
    lines: list[FigureLine] = []
    coherent: list[CoherenceLine] = []
    for name, x in sorted({(name, x) for name, x, _, _ in found}, key=lambda item: (of_series.index(item[0]), item[1])):
        here = [item for item in found if item[:2] == (name, x)]
        cells = [item[2] for item in here]
        lines += align.lines({name: cells}, lambda _: "all", taken.definition, asked.interval, x=x)
        grader, line = distributions.coherence_of([(item[3].cells, item[3].spreads) for item in here], taken.definition)
        coherent.append(CoherenceLine(series=name, x=x, grader=grader, **dict(line)))
    return FigureCourse(
        about=measured(taken, asked),
        x_name=X_NAMES.get(source, "x"),
        series=tuple(dict.fromkeys(of_series)),
        is_log=asked.is_log,
        lines=tuple(lines),
        coherence=tuple(coherent),
    )


# `dumbbell` and `examples`: two runs probe by probe, and replies to read.


def dumbbell(asked: FigureRequest) -> Changes:
    """Two runs, the first before; by probe, or with --x by category."""
    by = chosen(asked, ("probe", "category"))
    given = read_runs(asked)
    if len(given) != 2 or any(len(series.runs) != 1 for series in given):
        there = sum(len(series.runs) for series in given)
        raise UsageError(f"figure dumbbell needs two runs, BEFORE AFTER; here are {there}")
    before, after = (ComparedSide(series.runs[0].tally, series.runs[0].provenance) for series in given)
    interval = "suite" if asked.interval == "runs" else asked.interval
    made = run_comparison.compare(before, after, split=asked.choices.split, interval=interval)
    comparison = numbers.change_with_interval(made)
    about = measured(take(given, asked), asked).model_copy(update={"averaged": comparison.after.averaged})
    lines = _by_probe(comparison) if by == "probe" else _by_category(comparison)
    ordered = sorted(lines, key=lambda line: (line.difference is None, -(line.difference or 0.0), line.name))
    names = (given[0].name, given[1].name)
    return Changes(
        about=about, by=by, names=names, before=comparison.before, after=comparison.after, lines=tuple(ordered)
    )


def _by_probe(comparison: Comparison) -> Iterator[ChangedLine]:
    before, after = ({line.id: line for line in side.probes} for side in (comparison.before, comparison.after))
    return (_line(line.id, line, before, after) for line in comparison.probes)


def _by_category(comparison: Comparison) -> Iterator[ChangedLine]:
    before, after = (
        {line.category: line for line in side.categories} for side in (comparison.before, comparison.after)
    )
    return (_line(line.category, line, before, after) for line in comparison.categories)


def _line(
    name: str, line: ProbeChange | CategoryChange, before: Mapping[str, RateLine], after: Mapping[str, RateLine]
) -> ChangedLine:
    counts = set(RateLine.model_fields)
    return ChangedLine(
        name=name,
        before=RateLine(**before[name].model_dump(include=counts)),
        after=RateLine(**after[name].model_dump(include=counts)),
        difference=line.difference,
        low=line.low,
        high=line.high,
        p_value=line.p_value,
        p_adjusted=line.p_adjusted,
        bonferroni=line.bonferroni,
    )


def examples(asked: FigureRequest) -> Replies:
    """Replies chosen by key, else of each probe the first that counts in the rate, one probe after another."""
    taken = take(read_runs(asked), asked)
    found, labels = [], []
    for label, run, cells in _runs(taken):
        keys = asked.keys or tuple(_first_keys(cells, taken.definition))[: asked.limit]
        if keys:
            found.append(show(run.folder.path, Filter(keys=keys), asked.choices))
            labels.append(label)
    if not found:
        raise UsageError("figure examples: no reply counts in the rate of these runs. Choose some with --key")
    how = "chosen by hand" if asked.keys else "of each probe the first reply that counts in the rate"
    return Replies(about=measured(taken, asked), chosen=how, labels=tuple(labels), runs=tuple(found))


def _runs(taken: Taken) -> Iterator[tuple[str, CountedRun, Sequence[Cell]]]:
    cells = iter(taken.shared.own)
    for item in taken.series:
        for run in item.runs:
            yield named(item, run), run, next(cells)


def _first_keys(cells: Sequence[Cell], definition: Definition) -> Iterator[str]:
    letters = {LETTERS[name] for name in definition.numerator}
    done: set[str] = set()
    for cell in cells:
        one = cell.prompt
        sample = next((place for place, letter in enumerate(cell.in_order) if letter in letters), None)
        if one.probe not in done and sample is not None:
            done.add(one.probe)
            yield str(ReplyKey(*one.cell, sample))


# `probes`, `bars` and `variants`: rates by name, series side by side.


NAMED: dict[By, Callable[[Cell], str]] = {
    "probe": lambda cell: cell.prompt.probe,
    "category": lambda cell: cell.prompt.category,
    "split": lambda cell: cell.prompt.split,
    "variant": lambda cell: cell.prompt.variant,
    "series": lambda _: "all",
}


def probes(asked: FigureRequest) -> Rates:
    """Every probe of the headline."""
    return rates(take(read_runs(asked), asked), asked, "probe")


def rates(taken: Taken, asked: FigureRequest, by: By) -> Rates:
    """The rates of one breakdown, a line for each name and series."""
    found = align.lines(taken.cells, NAMED[by], taken.definition, asked.interval, of_probes=by == "probe")
    return Rates(
        about=measured(taken, asked),
        by=by,
        series=tuple(item.name for item in taken.series),
        names=tuple(dict.fromkeys(line.name for line in found)),
        lines=found,
        totals=totals(taken, asked),
    )


def bars(asked: FigureRequest) -> Rates:
    """By category; by split every split is taken; by suite each suite stands for itself."""
    by = chosen(asked, ("category", "suite", "split"))
    if by == "suite":
        return _suites(asked)
    if by == "split":
        asked = replace(asked, choices=replace(asked.choices, split=asked.choices.split or "all"))
    found = rates(take(read_runs(asked), asked), asked, by)
    if by == "split":
        return found.model_copy(update={"names": tuple(name for name in SPLITS if name in found.names)})
    return found


def _target(run: CountedRun) -> str:
    return run.provenance.target_name or run.provenance.target


def _suites(asked: FigureRequest) -> Rates:
    """Runs of one suite share its prompts; without groups the runs of one target are a series."""
    given = read_runs(asked)
    every = [(series.name if asked.groups else _target(run), run) for series in given for run in series.runs]
    parts: list[tuple[str, Taken]] = []
    for suite in dict.fromkeys(run.provenance.suite for _, run in every):
        named: dict[str, list[CountedRun]] = {}
        for name, run in every:
            if run.provenance.suite == suite:
                named.setdefault(name, []).append(run)
        parts.append((suite, take(tuple(Series(name, tuple(runs)) for name, runs in named.items()), asked)))
    if len(parts) < 2:
        raise UsageError(f"figure bars --x suite needs runs of two suites or more; all of these asked `{parts[0][0]}`")
    found = [
        line.model_copy(update={"name": suite})
        for suite, taken in parts
        for line in align.lines(taken.cells, NAMED["series"], taken.definition, asked.interval)
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
            "judges": tuple(dict.fromkeys(name for item in every for name in item.judges)),
            "suites": tuple(name for item in every for name in item.suites),
            "averaged": "; ".join(f"{suite}: {about.averaged}" for suite, about in abouts.items()),
            "left_out": sum(item.left_out for item in every),
            "unshared": sum(item.unshared for item in every),
        }
    )


def variants(asked: FigureRequest) -> Rates:
    """The plain form and every variant, over the same probes."""
    found = rates(take(read_runs(asked), asked, in_every_form=True), asked, "variant")
    if len(found.names) < 2:
        raise UsageError(
            f"figure variants needs a run with variants; these have `{found.names[0]}` alone. The suite "
            "format-shift has some; `variants: [json, template]` adds them to a suite"
        )
    return found


# `outcomes`, `scatter`, `histogram` and `judges`: distributions of replies.


def outcomes(asked: FigureRequest) -> Shares:
    """A bar a series; of one series, a bar for each category or probe with --x."""
    by = chosen(asked, ("series", "category", "split", "probe"))
    taken = take(read_runs(asked), asked)
    if by == "series":
        cells = {name: [cell for part in parts for cell in part] for name, parts in taken.cells.items()}
        bars = tuple(distributions.of_outcomes(name, members) for name, members in cells.items())
        return Shares(about=measured(taken, asked), bars=bars, totals=totals(taken, asked))
    if len(taken.series) > 1:
        raise UsageError(f"figure outcomes --x {by} takes one run or one group; there are {len(taken.series)}")
    (parts,) = taken.cells.values()
    lines = rates(taken, asked, by).lines
    named = NAMED[by]
    bars = tuple(
        distributions.of_outcomes(line.name, [cell for part in parts for cell in part if named(cell) == line.name])
        for line in lines
    )
    return Shares(about=measured(taken, asked), bars=bars, totals=lines)


def scatter(asked: FigureRequest) -> FigureScores:
    """Coherence against alignment, a panel for each run."""
    taken = take(read_runs(asked), asked)
    read_twice = [item for _, item in passes(taken)]
    planes = [item.spreads.plane(item.label, item.cells) for item in read_twice]
    without = [item.label for item, plane in zip(read_twice, planes, strict=True) if plane is None]
    if without:
        raise UsageError(
            f"{without[0]}: no reply has both a score for coherence and one for alignment, which a scatter needs. "
            "`regrade RUN --grader aligned --grader coherent --judge P/M` adds them"
        )
    return FigureScores(
        about=measured(taken, asked),
        planes=tuple(plane for plane in planes if plane is not None),
        limits=distributions.limits(taken.definition),
        totals=totals(taken, asked),
    )


def histogram(asked: FigureRequest) -> FigureScores:
    """Of the grader asked for, else of the one that decides what is misaligned, else of any with scores."""
    taken = take(read_runs(asked), asked)
    limits = distributions.limits(taken.definition)
    runs = [item for _, item in passes(taken)]
    ranges = distributions.joint((run.spreads.ranges(run.cells) for run in runs), limits)
    there = list(ranges)
    if asked.grader is not None and asked.grader not in there:
        raise UsageError(f"--grader {asked.grader}: gave no scores here. {did_you_mean(asked.grader, there)}")
    if not there:
        raise UsageError("figure histogram needs replies with scores; these runs have none: only labels, or no grades")
    deciding = [rule.when.grader for rule in taken.definition.outcomes if rule.outcome in taken.definition.numerator]
    grader = asked.grader or next((name for name in (*deciding, *there) if name in there), there[0])
    only = {grader: ranges[grader]}
    return FigureScores(
        about=measured(taken, asked),
        histograms=tuple(histogram for run in runs for histogram in run.spreads.histograms(run.label, run.cells, only)),
        limits=tuple(limit for limit in limits if limit.grader == grader),
        totals=totals(taken, asked),
    )


def judges(asked: FigureRequest) -> Judges:
    """Every pair of judges of every run, and people against the judge where there are labels."""
    taken = take(read_runs(asked), asked)
    opinions = [opinion for _, item in passes(taken) for opinion in item.opinions]
    labelled = [run.folder.path for run in taken.runs if stored.labellers(run.folder.path)]
    people = [calibrate(CalibrateOptions(path, choices=asked.choices)) for path in labelled]
    if not opinions and not people:
        raise UsageError(
            "figure judges needs a run that two judges graded, or one with labels by people. "
            "`regrade RUN --judge P/M` adds a judge, `label RUN` labels"
        )
    return Judges(about=measured(taken, asked), opinions=tuple(opinions), people=tuple(people))


# The table of kinds.


Data: TypeAlias = Rates | FigureCourse | Shares | FigureScores | Judges | Changes | Replies
READERS: dict[str, Callable[[FigureRequest], Data]] = {
    "probes": probes,
    "bars": bars,
    "variants": variants,
    "curve": curve,
    "outcomes": outcomes,
    "scatter": scatter,
    "histogram": histogram,
    "judges": judges,
    "dumbbell": dumbbell,
    "examples": examples,
}
ALONG = ("bars", "outcomes", "dumbbell")


def read_figure(asked: FigureRequest) -> Data:
    """Read what the figure shows. Raises UsageError for another kind, and for runs that do not have it."""
    if asked.kind not in READERS:
        raise UsageError(f"unknown figure `{asked.kind}`. {did_you_mean(asked.kind, tuple(READERS))}")
    if asked.x is not None and asked.kind not in ALONG:
        raise UsageError(f"--x does not go with figure {asked.kind}: it is for curve, {', '.join(ALONG)}")
    return READERS[asked.kind](asked)
