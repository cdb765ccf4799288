"""What a figure shows, before it is drawn: rates of several series side by side, and what they are measured with.

Rates are fractions in [0, 1]; where `measure` is "mean" they are scores from 0 to 100. None is "not known".
"""

from typing import Literal

from misalign_eval.records.analysis import Bounds, Examples, Measure, Rated, RunSummary
from misalign_eval.records.base import Record
from misalign_eval.records.calibration import Calibration
from misalign_eval.records.distributions import Histogram, Limit, Opinion, Plane, RunOutcomes

By = Literal["probe", "category", "split", "variant", "suite", "series"]
Interval = Literal["suite", "general", "clustered", "runs"]  # runs: for training runs like these, by t over runs


class Measured(Record):
    """With what the numbers of a figure were made, for its caption."""

    definition: str
    measure: Measure
    judges: tuple[str, ...]  # empty: rules only
    suites: tuple[str, ...]  # as `quick 1.0.0 (3f2a91c0)`
    averaged: str  # which probes, in words
    interval: Interval
    left_out: int = 0  # shared prompts that some run has no counted reply for
    unshared: int = 0  # prompts that some run did not ask


class Line(Rated):
    """One rate that is drawn. `interval` is what low and high are: the one asked for, or suite where it has none."""

    series: str
    name: str
    x: float | None = None
    runs: int = 1  # whose mean it is
    interval: Interval = "suite"


class CoherenceLine(Rated):
    """How coherent the replies behind a point are: the mean score of `grader`, or where it is None their share."""

    series: str
    x: float
    grader: str | None


class Rates(Record):
    """Rates by name for each series; `totals` are each series' replies together, once a series."""

    about: Measured
    by: By
    series: tuple[str, ...]
    names: tuple[str, ...]
    lines: tuple[Line, ...]
    totals: tuple[Line, ...]


class Course(Record):
    """Rates along x, and how coherent the same replies are."""

    about: Measured
    x_name: str
    is_log: bool = False
    series: tuple[str, ...]
    lines: tuple[Line, ...]
    coherence: tuple[CoherenceLine, ...]


class Shares(Record):
    """What became of the planned replies, a bar each, with its rate in the same order."""

    about: Measured
    bars: tuple[RunOutcomes, ...]
    totals: tuple[Line, ...]


class Scores(Record):
    """How scores are spread, a panel for each run. Either histograms of one grader, or planes."""

    about: Measured
    histograms: tuple[Histogram, ...] = ()
    planes: tuple[Plane, ...] = ()
    limits: tuple[Limit, ...] = ()
    totals: tuple[Line, ...]


class Judges(Record):
    """The same replies as two judges count them, or a judge and people; a matrix each."""

    about: Measured
    opinions: tuple[Opinion, ...] = ()
    people: tuple[Calibration, ...] = ()


class ChangedLine(Record):
    """One name before and after. `low` and `high` are of the difference."""

    name: str
    before: Rated
    after: Rated
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    bonferroni: Bounds = Bounds()


class Changes(Record):
    """Every probe or category before and after, the largest change first."""

    about: Measured
    by: By
    names: tuple[str, str]
    before: RunSummary
    after: RunSummary
    lines: tuple[ChangedLine, ...]


class Replies(Record):
    """Example replies of runs, chosen by a rule that `chosen` says in words."""

    about: Measured
    chosen: str
    runs: tuple[Examples, ...]
    labels: tuple[str, ...]
