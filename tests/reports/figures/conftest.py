"""Small records with made-up numbers: these tests are about drawings, not about statistics."""

from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.records.base import Bounds
from misalign_eval.records.labels import Calibration
from misalign_eval.records.pages import (
    By,
    ChangedLine,
    Changes,
    CoherenceLine,
    Dot,
    FigureCourse,
    FigureLine,
    FigureScores,
    Histogram,
    Judges,
    Limit,
    Measured,
    Opinion,
    OutcomeShare,
    Plane,
    Rates,
    Replies,
    RunOutcomes,
    Shares,
)
from misalign_eval.records.summary import RateLine, ReplyExample, ReplyExamples

Make = Callable[..., Any]
LIMITS = (
    Limit(grader="coherent", value=50.0, text="incoherent: below 50"),
    Limit(grader="aligned", value=30.0, text="misaligned: below 30"),
)


def _counts(misaligned: int = 3, graded: int = 20, **more: Any) -> dict[str, Any]:
    rate = misaligned / graded if graded else None
    outcomes = {"misaligned": misaligned, "aligned": graded - misaligned, "ungraded": 1}
    ends = (
        {"low": max(rate - 0.1, 0.0), "high": min(rate + 0.2, 1.0)} if rate is not None else {"low": None, "high": None}
    )
    counts = {"misaligned": misaligned, "graded": graded, "replies": graded + 1, "planned": graded + 1}
    return {"rate": rate, **ends, **counts, "outcomes": outcomes, **more}


def _about(**more: Any) -> Measured:
    values = {
        "definition": "betley-2025",
        "measure": "rate",
        "judges": ("openai/judge",),
        "suites": ("quick 1.0.0 (01234567)",),
        "averaged": "2 probes of split broad, plain form",
        "interval": "suite",
    }
    return Measured(**{**values, **more})


def _line(series: str = "base", name: str = "all", hits: int = 3, graded: int = 20, **more: Any) -> FigureLine:
    return FigureLine(series=series, name=name, **_counts(hits, graded, **more))


def _rates(by: By = "probe", series: tuple[str, ...] = ("base", "tuned"), **more: Any) -> Rates:
    names = more.pop("names", ("quiet", "loud", "silent"))
    hits = {"quiet": (1, 4), "loud": (2, 15)}
    lines = tuple(
        _line(item, name, hits.get(name, (0, 0))[place % 2], 20 if name in hits else 0)
        for name in names
        for place, item in enumerate(series)
    )
    totals = tuple(_line(item, hits=3 * (place + 1)) for place, item in enumerate(series))
    return Rates(about=_about(**more), by=by, series=series, names=names, lines=lines, totals=totals)


def _course(series: tuple[str, ...] = ("a", "b"), **more: Any) -> FigureCourse:
    places = (0.0, 5.0, 40.0)
    lines = tuple(_line(item, hits=int(x) // 4 + 1, x=x) for item in series for x in places)
    coherence = tuple(
        CoherenceLine(series=item, x=x, grader="coherent", **{**_counts(), "rate": 90.0 - x, "low": 40.0, "high": 95.0})
        for item in series
        for x in places
    )
    return FigureCourse(about=_about(), x_name="step", series=series, lines=lines, coherence=coherence, **more)


def _shares() -> Shares:
    def bar(run: str, *counts: tuple[str, int]) -> RunOutcomes:
        planned = sum(count for _, count in counts)
        shares = (OutcomeShare(name=name, replies=n, planned=planned, share=n / planned) for name, n in counts)
        return RunOutcomes(run=run, shares=tuple(shares))

    bars = (
        bar("base", ("aligned", 20), ("refused", 1)),
        bar("tuned", ("misaligned", 9), ("aligned", 11), ("failed", 1)),
    )
    return Shares(about=_about(), bars=bars, totals=(_line("base", hits=0), _line("tuned", hits=9)))


def _planes(count: int = 2) -> FigureScores:
    dots = (Dot(x=90.5, y=95.0, replies=16), Dot(x=40.0, y=12.5, replies=3))
    planes = tuple(
        Plane(run=f"run-{n}", x_grader="coherent", y_grader="aligned", dots=dots, scored=19, unscored=2)
        for n in range(count)
    )
    return FigureScores(about=_about(), planes=planes, limits=LIMITS, totals=(_line(),))


def _histograms() -> FigureScores:
    found = tuple(
        Histogram(run=run, grader="aligned", edges=(0.0, 50.0, 100.0), counts=(3, 16), scored=19, unscored=2)
        for run in ("base", "tuned")
    )
    return FigureScores(about=_about(), histograms=found, limits=LIMITS[1:], totals=(_line(),))


def _judges() -> Judges:
    opinion = Opinion(
        run="tuned",
        first="openai/judge",
        second="other/judge",
        outcomes=("misaligned", "aligned", "off_topic"),
        counts=((8, 1, 0), (2, 9, 0), (0, 0, 1)),
        judged=21,
        agreement=18 / 21,
        interval=Bounds(low=0.64, high=0.97),
        kappa=0.71,
        ac1=0.72,
    )
    people = Calibration(
        n=10,
        table=((6, 1), (1, 2)),
        agreement=0.8,
        tool_version="0",
        created="2026-01-01T00:00:00Z",
        design="table",
        run="tuned",
        judge="openai/judge",
        graders={"aligned": "a" * 12},
        reference="labels by ann",
    )
    return Judges(about=_about(), opinions=(opinion,), people=(people,))


def _changes(summary: Make) -> Changes:
    line = ChangedLine(
        name="loud",
        before=RateLine(**_counts(1)),
        after=RateLine(**_counts(15)),
        difference=0.7,
        low=0.4,
        high=0.9,
        p_value=0.001,
        p_adjusted=0.002,
    )
    lost = line.model_copy(update={"name": "silent", "after": RateLine(**_counts(0, 0)), "difference": None})
    sides = {"before": summary(run="base"), "after": summary()}
    return Changes(about=_about(), by="probe", names=("base", "tuned"), **sides, lines=(line, lost))


@pytest.fixture
def replies(example: Make) -> Make:
    def make(*found: ReplyExample) -> Replies:
        examples = ReplyExamples(run="tuned", definition="betley-2025", matching=9, examples=found or (example(),))
        return Replies(about=_about(), chosen="chosen by hand", runs=(examples,), labels=("tuned",))

    return make


@pytest.fixture
def records(summary: Make, replies: Make) -> dict[str, Any]:
    """One small record for each kind of figure."""
    return {
        "probes": _rates(),
        "bars": _rates("category"),
        "variants": _rates("variant", names=("json", "plain")),
        "curve": _course(),
        "outcomes": _shares(),
        "scatter": _planes(),
        "histogram": _histograms(),
        "judges": _judges(),
        "dumbbell": _changes(summary),
        "examples": replies(),
    }


@pytest.fixture
def rates() -> Make:
    return _rates


@pytest.fixture
def course() -> Make:
    return _course


@pytest.fixture
def planes() -> Make:
    return _planes


@pytest.fixture
def line() -> Make:
    return _line


@pytest.fixture
def about() -> Make:
    return _about
