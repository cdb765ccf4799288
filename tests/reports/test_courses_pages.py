"""Whole expected pages of trajectories, groups of runs, and plans."""

from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.records.base import Bounds
from misalign_eval.records.findings import Warned
from misalign_eval.records.power import Chances, CostEstimate, Design, Need, Power, PowerAssumptions
from misalign_eval.records.summary import (
    BetweenRuns,
    GroupComparison,
    GroupRun,
    Intervals,
    OnsetTest,
    Point,
    RateDifference,
    RunGroup,
    SensitivityChange,
    SensitivityLine,
    Trajectory,
    TrajectoryOnset,
    Trend,
)
from misalign_eval.reports.backends import json_out
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends import terminal as terminal_backend
from misalign_eval.reports.comparison import comparison_documents, groups_document, trajectory_document
from misalign_eval.reports.plans import power_document
from misalign_eval.reports.run import run_document

Make = Callable[..., Any]
Gold = Callable[[str, str], None]
CAPTION = "definition betley-2025; judge openai/judge; suite quick 1.0.0"
SEEDS = Warned(id="one-seed", text="one training run at each x: no between-run error; not a dose-response claim")


@pytest.fixture
def trajectory(rated: Make, comparison: Make) -> Trajectory:
    lines = [rated(0, 50, 0.0, 0.071), rated(2, 50, 0.005, 0.137), rated(9, 50, 0.086, 0.314)]
    points = [
        Point(run=f"step-{x}", target=f"x/step-{x}", x=float(x), band=Bounds(low=0.0, high=0.1 + x / 50), **dict(line))
        for x, line in zip((0, 10, 20), lines, strict=True)
    ]
    return Trajectory(
        definition="betley-2025",
        measure="rate",
        averaged="2 probes of split broad, plain form",
        caption=CAPTION,
        interval="suite",
        x_from="step",
        points=tuple(points),
        trend=Trend(z=3.1, p_value=0.0021, events=11, is_permuted=True, scale="value"),
        onset=TrajectoryOnset(x=20.0, tests=(OnsetTest(x=10.0, p_value=0.24), OnsetTest(x=20.0, p_value=0.0008))),
        slope=None,
        comparisons=(comparison(), comparison()),
        warnings=(SEEDS,),
    )


@pytest.fixture
def groups(rated: Make) -> GroupComparison:
    def group(name: str, counts: tuple[int, ...], between: Bounds) -> RunGroup:
        runs = [
            GroupRun(run=f"{name}-{seed}", target=f"x/{name}-{seed}", **dict(rated(n, 50, n / 80, n / 30)))
            for seed, n in enumerate(counts)
        ]
        whole = rated(sum(counts), 50 * len(counts), 0.04, 0.2)
        return RunGroup(name=name, runs=tuple(runs), between_runs=between, **dict(whole))

    return GroupComparison(
        definition="betley-2025",
        measure="rate",
        averaged="2 probes of split broad, plain form",
        caption=CAPTION,
        before=group("before", (0,), Bounds()),
        after=group("after", (6, 9, 7), Bounds(low=0.08, high=0.21)),
        difference=RateDifference(estimate=0.147, low=0.09, high=0.21, p_value=None),
        between_runs=BetweenRuns(estimate=0.147, low=0.03, high=0.26, p_value=0.031, df=2.4, runs=4, detectable=0.16),
        warnings=(Warned(id="few-runs", text="fewer than 3 training runs in before (1)"),),
    )


@pytest.fixture
def plan() -> Power:
    def chances(scenario: str, rate: float, passes: float, replies: float, samples: int = 20) -> Chances:
        shares = {"pass": passes, "fail": 0.0, "inconclusive": 1 - passes}
        return Chances(
            scenario=scenario,
            before=None,
            after=rate,
            samples=samples,
            replies=replies,
            chances=shares,  # type: ignore[arg-type]
        )

    return Power(
        question="rate gate",
        estimand="suite",
        limit=0.02,
        alpha=0.05,
        power=0.8,
        assumed=PowerAssumptions(before=None, after=0.005, spread="every probe alike"),
        design=Design(probes=44, paraphrases=2, samples=10, replies=880, runs=1),
        needs=(
            Need(goal="to pass at all, every reply clean", replies=149, samples=2),
            Need(goal="to pass with chance 0.8, if the rate is as assumed", replies=None),
        ),
        detectable=None,
        fixed=(chances("as assumed", 0.005, 0.991, 880), chances("just at the limit", 0.02, 0.04, 880)),
        sequential=(chances("as assumed", 0.005, 0.97, 457.4),),
        by_samples=(chances("as assumed", 0.005, 0.33, 440, 5), chances("as assumed", 0.005, 0.991, 880, 10)),
        dominates="replies: for exactly these probes only their total number counts",
        bill=CostEstimate(per_reply=0.002, whole=1.76, expected=0.91),
        simulated_runs=2000,
        warnings=(Warned(id="W1", text="the pilot has fewer than 5 misaligned replies"),),
    )


def test_a_trajectory_on_a_terminal_and_in_markdown(trajectory: Trajectory, gold: Gold) -> None:
    page = terminal_backend.render(trajectory_document(trajectory))
    gold("trajectory.txt", page)
    assert max(map(len, page.splitlines())) <= 80
    gold("trajectory.md", markdown_backend.render(trajectory_document(trajectory)))


def test_groups_of_runs_on_a_terminal_and_in_markdown(groups: GroupComparison, gold: Gold) -> None:
    page = terminal_backend.render(groups_document(groups))
    gold("groups.txt", page)
    assert max(map(len, page.splitlines())) <= 80
    gold("groups.md", markdown_backend.render(groups_document(groups)))
    gold("groups.json", json_out.document(groups))


def test_a_plan_on_a_terminal_and_in_markdown(plan: Power, gold: Gold) -> None:
    page = terminal_backend.render(power_document(plan))
    gold("power.txt", page)
    assert max(map(len, page.splitlines())) <= 80
    gold("power.md", markdown_backend.render(power_document(plan)))
    gold("power.json", json_out.document(plan))


def test_hostile_names_open_no_link_and_no_table_cell(groups: GroupComparison) -> None:
    hostile = groups.model_copy(update={"before": groups.before.model_copy(update={"name": "a|b[x](http://e)\x1b[2J"})})
    pages = markdown_backend.render(groups_document(hostile)), terminal_backend.render(groups_document(hostile))
    assert "[x](" not in pages[0]
    assert all("\x1b" not in page for page in pages)


def test_the_chosen_interval_is_shown_and_named(report: Make, comparison: Make) -> None:
    ends = Intervals(
        suite=Bounds(low=0.021, high=0.162), general=Bounds(low=0.003, high=0.4), clustered=Bounds(low=0.0, high=0.12)
    )
    page = terminal_backend.render(run_document(report(interval="clustered", intervals=ends)))
    assert "6.0 % [0, 12.0] (3/50" in page
    assert "by bootstrap over probes, for comparison with papers" in page
    assert "for exactly these probes: 2.1 to 16.2 %; for probes like these" in " ".join(page.split())
    change = comparison()
    wide = change.difference.model_copy(update={"intervals": ends})
    page = terminal_backend.render(*comparison_documents([comparison(interval="general", difference=wide)]))
    assert "Change: +6.0 points [+0.30, +40.0]" in page
    assert "for probes like these, if these are a fair sample of them" in " ".join(page.split())


def test_where_too_few_probes_allow_no_other_interval_that_for_these_probes_stays(report: Make) -> None:
    none = Intervals(suite=Bounds(low=0.021, high=0.162), general=Bounds())
    assert "6.0 % [2.1, 16.2] (3/50" in terminal_backend.render(
        run_document(report(interval="general", intervals=none))
    )


def test_other_readings_stand_in_a_table_of_their_own(report: Make, comparison: Make, rated: Make) -> None:
    line = rated(5, 60, 0.02, 0.2)
    more: dict[str, Any] = {"reading": "threshold", "name": "misaligned: aligned below 25", "measure": "rate"}
    read = SensitivityLine(**more, **dict(line))
    change = SensitivityChange(**more, before=line, after=line, difference=0.0, low=-0.1, high=0.1)
    for page in (
        terminal_backend.render(run_document(report(sensitivity=(read,)))),
        markdown_backend.render(run_document(report(sensitivity=(read,)))),
    ):
        assert "Sensitivity" in page
        assert "8.3 [2.0, 20.0]" in page
    for page in (
        terminal_backend.render(*comparison_documents([comparison(sensitivity=(change,))])),
        markdown_backend.render(*comparison_documents([comparison(sensitivity=(change,))])),
    ):
        assert "0 [-10.0, +10.0]" in page
