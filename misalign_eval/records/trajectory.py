"""`compare` of three or more runs, or of groups of training runs, and its JSON.

Rates and differences are fractions; `low` and `high` without another name are the 95 % SUITE interval. Every run is
counted over the prompts that all of them share. None is "not known".
"""

from typing import Literal

from misalign_eval.records.analysis import Bounds, Comparison, Difference, Estimand, GroupLine, Measure, Rated, Warned
from misalign_eval.records.base import Record

Scale = Literal["value", "rank", "log"]
XFrom = Literal["--x", "step", "order"]


class Point(GroupLine):
    """One run of a trajectory. The bands of all points hold together at 95 % (Sidak)."""

    run: str
    target: str
    x: float
    band: Bounds = Bounds()


class Trend(Record):
    """Stratified Mantel test of events against x; `z` is positive where they rise."""

    z: float
    p_value: float
    events: int
    is_permuted: bool  # p from permuted replies, as there are few events
    scale: Scale  # what x enters as: itself, its rank, or log(1 + x)


class OnsetTest(Record):
    """One-sided test of the replies at one x against those at the first."""

    x: float
    p_value: float


class Onset(Record):
    """The first x of the unbroken run, up to the last, that is shown to be above the first; None where none is."""

    x: float | None
    tests: tuple[OnsetTest, ...]


class BetweenRuns(Record):
    """An effect with training runs as the unit: t interval and p on `df` degrees of freedom.

    `detectable` is the smallest effect that as many such runs show with a chance of 80 %.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    df: float
    runs: int
    detectable: float | None = None


class Trajectory(Record):
    """Runs along x: checkpoints of one training run, or training runs of several mixtures.

    `slope` is the change of a run's rate for one unit of x, given three training runs or more at every x.
    """

    definition: str
    measure: Measure
    averaged: str
    caption: str
    interval: Estimand
    x_from: XFrom
    points: tuple[Point, ...]
    trend: Trend | None
    onset: Onset | None
    slope: BetweenRuns | None
    comparisons: tuple[Comparison, ...]  # of every later run with the first
    warnings: tuple[Warned, ...]


class GroupRun(Rated):
    """One training run of a group."""

    run: str
    target: str


class RunGroup(Rated):
    """Several training runs of one recipe. `rate` is the mean of their rates; low and high are for exactly these runs.

    `between_runs` is the t interval with runs as the unit: for training runs like these.
    """

    name: str
    runs: tuple[GroupRun, ...]
    between_runs: Bounds


class GroupComparison(Record):
    """Two groups of training runs. `difference` is for exactly these runs and probes, `between_runs` for such runs."""

    definition: str
    measure: Measure
    averaged: str
    caption: str
    before: RunGroup
    after: RunGroup
    difference: Difference
    between_runs: BetweenRuns | None
    warnings: tuple[Warned, ...]
