"""Which runs a figure shows, over which prompts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from misalign_eval.analysis import differs, side_by_side
from misalign_eval.analysis.side_by_side import Shared
from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.definition import Definition
from misalign_eval.records.figures import By, Interval, Line, Measured
from misalign_eval.workflows.counting import Choices, Counted, count
from misalign_eval.workflows.page.exhibits import Kept
from misalign_eval.workflows.page.second_pass import Pass, second_pass


@dataclass(frozen=True, slots=True)
class Asked:
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
    runs: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """The series of a figure over the prompts that their runs share."""

    series: tuple[Series, ...]
    shared: Shared

    @property
    def runs(self) -> tuple[Counted, ...]:
        """Every run, series by series."""
        return tuple(run for one in self.series for run in one.runs)

    @property
    def definition(self) -> Definition:
        """By which all of them are counted."""
        return self.series[0].runs[0].tally.definition

    @property
    def cells(self) -> dict[str, tuple[tuple[Cell, ...], ...]]:
        """The cells of each run by series."""
        parts = iter(self.shared.runs)
        return {one.name: tuple(next(parts) for _ in one.runs) for one in self.series}


def read(asked: Asked) -> tuple[Series, ...]:
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
    every = [run for one in found for run in one.runs]
    for run in every[1:]:
        differs.refuse_definitions(every[0].provenance, run.provenance)
    return found


def _by_name(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Each run as a series under its folder's name; numbered where two have one name."""
    names = [path.resolve().name for path in paths]
    twice = {name for name, times in Counter(names).items() if times > 1}
    return {
        f"{name} ({number})" if name in twice else name: [path]
        for number, (name, path) in enumerate(zip(names, paths, strict=True), 1)
    }


def take(series: tuple[Series, ...], asked: Asked, *, in_every_form: bool = False) -> Taken:
    """The prompts that all runs share. Raises UsageError where there is none."""
    runs = [run for one in series for run in one.runs]
    found = side_by_side.shared(
        [run.tally.cells() for run in runs],
        runs[0].tally.definition,
        asked.choices.split,
        in_every_form=in_every_form,
    )
    if found is None:
        raise UsageError(differs.nothing_shared(runs[0].provenance, runs[-1].provenance))
    return Taken(series, found)


def measured(taken: Taken, asked: Asked) -> Measured:
    """What the caption tells."""
    sources = [run.provenance for run in taken.runs]
    return Measured(
        definition=taken.definition.name,
        measure=taken.definition.measure,
        judges=tuple(dict.fromkeys(one.judge for one in sources if one.judge)),
        suites=tuple(dict.fromkeys(f"{one.suite} {one.suite_version} ({one.suite_digest[:8]})" for one in sources)),
        averaged=taken.shared.words,
        interval=asked.interval,
        left_out=taken.shared.left_out,
        unshared=taken.shared.unshared,
    )


def totals(taken: Taken, asked: Asked) -> tuple[Line, ...]:
    """All of a series together."""
    return side_by_side.lines(taken.cells, lambda _: "all", taken.definition, asked.interval)


def passes(taken: Taken) -> Iterator[tuple[str, Pass]]:
    """Every run read a second time, for how its scores are spread: its series, and what was found."""
    cells = iter(taken.shared.own)
    for one in taken.series:
        for run in one.runs:
            yield one.name, second_pass(run, named(one, run), Kept({}, 0), next(cells))


def named(series: Series, run: Counted) -> str:
    """A run's name in a figure: that of its series, with its own where the series has several."""
    return series.name if len(series.runs) == 1 else f"{series.name}: {run.provenance.run}"


def chosen(asked: Asked, known: Sequence[By]) -> By:
    """What bars stand for: --x, or the first of the known."""
    for name in known:
        if name == (asked.x or known[0]):
            return name
    raise UsageError(f"--x {asked.x}: no such bars of figure {asked.kind}. {did_you_mean(asked.x or '', known)}")
