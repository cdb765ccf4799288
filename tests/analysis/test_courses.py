"""Trajectories and groups of training runs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import linregress, ttest_ind

from misalign_eval.analysis.comparison import ComparedSide
from misalign_eval.analysis.counts import Tally
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.analysis.trajectory import Along, compare_groups, trajectory
from misalign_eval.errors import UsageError

Make = Callable[..., Any]
BAD, GOOD = Grade(5.0, None), Grade(95.0, None)


@pytest.fixture
def side(prompt: Make, reply: Make, definition: Make, provenance: Make) -> Make:
    def make(bad: Sequence[int], replies: int = 20, **source: Any) -> ComparedSide:
        names = [f"p{place}" for place in range(len(bad))]
        tally = Tally([prompt(name, samples=replies, prompt_digest=name) for name in names], definition())
        for name, events in zip(names, bad, strict=True):
            for sample in range(replies):
                grade = BAD if sample < events else GOOD
                tally.add(reply(name, sample, f"text {sample}"), {"aligned": grade, "coherent": GOOD})
        return ComparedSide(tally, provenance(**source))

    return make


def _ids(warnings: Sequence[Any]) -> set[str]:
    return {warning.id for warning in warnings}


def test_checkpoints_are_ordered_by_their_step_and_the_onset_is_found(side: Make) -> None:
    rates = {0: 0, 300: 12, 100: 0, 200: 10}
    sides = [side([bad] * 6, run=f"step-{step}", labels={"step": str(step)}) for step, bad in rates.items()]
    found = trajectory(sides, Along())
    assert [(point.x, point.run) for point in found.points] == [
        (0.0, "step-0"),
        (100.0, "step-100"),
        (200.0, "step-200"),
        (300.0, "step-300"),
    ]
    assert found.x_from == "step"
    assert found.onset is not None
    assert found.onset.x == 200.0
    assert found.trend is not None
    assert found.trend.z > 5
    assert [comparison.after.run for comparison in found.comparisons] == ["step-100", "step-200", "step-300"]
    assert {"one-seed"} <= _ids(found.warnings)


def test_bands_hold_together_and_are_wider_than_intervals(side: Make) -> None:
    found = trajectory([side([bad] * 6, run=f"r{bad}") for bad in (1, 4, 9)], Along((0.0, 0.2, 0.4)))
    for point in found.points:
        ends = (point.band.low, point.low, point.rate, point.high, point.band.high)
        known = [end for end in ends if end is not None]
        assert (len(known), known) == (5, sorted(set(known)))


def test_another_interval_stands_beside_the_one_for_these_probes_with_its_warning(side: Make) -> None:
    sides = [side([bad, 0, 1, 2, 0, 3], run=f"r{bad}") for bad in (1, 4, 9)]
    plain, clustered = trajectory(sides, Along()), trajectory(sides, Along(), interval="clustered")
    assert [(point.low, point.high) for point in plain.points] == [
        (point.low, point.high) for point in clustered.points
    ]
    intervals = clustered.points[0].intervals
    assert intervals is not None
    assert intervals.clustered is not None
    assert plain.points[0].intervals is None
    assert ("W3" in _ids(plain.warnings), "W3" in _ids(clustered.warnings)) == (False, True)


def test_runs_without_an_order_take_the_one_given_and_say_so(side: Make) -> None:
    found = trajectory([side([bad] * 6, run=f"r{bad}") for bad in (0, 3, 6)], Along())
    assert (found.x_from, [point.x for point in found.points]) == ("order", [0.0, 1.0, 2.0])
    assert "order-given" in _ids(found.warnings)


def test_repeated_training_runs_give_a_slope_over_runs(side: Make) -> None:
    x, bad = [0.0, 0, 0, 1, 1, 1], [0, 1, 2, 8, 9, 11]
    found = trajectory([side([n] * 6, run=f"r{place}") for place, n in enumerate(bad)], Along(tuple(x)))
    expected = linregress(x, np.array(bad) / 20)
    assert found.slope is not None
    assert (found.slope.estimate, found.slope.p_value) == pytest.approx((expected.slope, expected.pvalue))
    assert (found.slope.df, found.slope.runs) == (4, 6)
    assert _ids(found.warnings).isdisjoint({"one-seed", "few-seeds"})


def test_two_seeds_at_each_x_are_too_few_for_a_slope(side: Make) -> None:
    found = trajectory([side([n] * 6, run=f"r{n}") for n in (0, 1, 8, 9)], Along((0.0, 0.0, 1.0, 1.0)))
    assert found.slope is None
    assert "few-seeds" in _ids(found.warnings)


def test_identical_runs_show_no_trend_and_no_onset(side: Make) -> None:
    found = trajectory([side([0] * 6, run=f"r{n}") for n in range(3)], Along())
    assert found.trend is not None
    assert found.onset is not None
    assert (found.trend.z, found.trend.p_value, found.onset.x) == (0.0, 1.0, None)


@pytest.mark.parametrize(
    "along,message",
    [
        (Along((0.0, 1.0)), "--x gives 2 values for 3 runs"),
        (Along((1.0, 1.0, 1.0)), "every run stands at x = 1"),
        (Along((-1.0, 0.0, 1.0), "log"), "0 or more"),
    ],
)
def test_places_that_make_no_trajectory_are_refused(side: Make, along: Along, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trajectory([side([1] * 6, run=f"r{n}") for n in range(3)], along)


def test_runs_that_share_no_prompt_are_refused(side: Make, prompt: Make, definition: Make, provenance: Make) -> None:
    stranger = ComparedSide(Tally([prompt("x", prompt_digest="x")], definition()), provenance(run="other"))
    with pytest.raises(UsageError, match="share no prompt: a, b, other"):
        trajectory([side([1] * 6, run="a"), side([1] * 6, run="b"), stranger], Along())


def test_runs_without_one_graded_reply_are_refused(
    side: Make, prompt: Make, definition: Make, provenance: Make
) -> None:
    silent = ComparedSide(Tally([prompt("p0", prompt_digest="p0")], definition()), provenance(run="silent"))
    with pytest.raises(UsageError, match="no prompt has replies that count in every one"):
        trajectory([side([1], run="a"), side([2], run="b"), silent], Along())


def test_groups_are_compared_with_the_training_run_as_the_unit(side: Make) -> None:
    rates = {"before": [0, 1, 1], "after": [8, 4, 12, 6]}
    named = {name: [side([n] * 6, run=f"{name}{i}") for i, n in enumerate(bad)] for name, bad in rates.items()}
    comparison = compare_groups(*named.items())
    expected = ttest_ind(np.array(rates["after"]) / 20, np.array(rates["before"]) / 20, equal_var=False)
    between = comparison.between_runs
    assert between is not None
    assert (between.estimate, between.p_value) == pytest.approx((7.5 / 20 - (2 / 3) / 20, expected.pvalue))
    assert between.runs == 7
    assert comparison.difference.low is not None
    assert comparison.difference.high is not None
    assert between.low < comparison.difference.low < comparison.difference.high < between.high
    assert (comparison.after.misaligned, comparison.after.graded) == (30 * 6, 4 * 120)
    assert "few-runs" not in _ids(comparison.warnings)


def test_too_few_training_runs_are_a_warning_and_one_has_no_interval(side: Make) -> None:
    one, two = [side([1] * 6, run="a")], [side([8] * 6, run="b"), side([9] * 6, run="c")]
    comparison = compare_groups(("before", one), ("after", two))
    assert comparison.between_runs is None
    assert comparison.before.between_runs.low is None
    assert comparison.difference.low is not None
    said = [warning.text for warning in comparison.warnings if warning.id == "few-runs"]
    assert said == ["fewer than 3 training runs in before (1) and after (2): no claim about a recipe can rest on them"]


def test_no_interval_over_training_runs_goes_beyond_a_change_of_all_replies(side: Make) -> None:
    group = [[side([n] * 6, run=f"{n}{i}") for i, n in enumerate(bad)] for bad in ((0, 1), (2, 18))]
    between = compare_groups(("before", group[0]), ("after", group[1])).between_runs
    assert between is not None
    assert (between.low, between.high) == (-1.0, 1.0)


def test_training_runs_that_all_agree_give_no_interval_of_no_width(side: Make) -> None:
    group = [[side([n] * 6, run=f"{n}{i}") for i in range(3)] for n in (0, 5)]
    comparison = compare_groups(("before", group[0]), ("after", group[1]))
    assert (comparison.between_runs, comparison.after.between_runs.low) == (None, None)


def _scored(make: Any, scores: Sequence[float], **source: Any) -> ComparedSide:
    prompt, reply, definition, provenance = make
    tally = Tally([prompt("p", samples=len(scores), prompt_digest="p")], definition(measure="mean", score_of="aligned"))
    for sample, score in enumerate(scores):
        tally.add(reply("p", sample, f"text {sample}"), {"aligned": Grade(score, None), "coherent": GOOD})
    return ComparedSide(tally, provenance(**source))


def test_mean_scores_have_points_and_runs_but_no_test_of_events(
    prompt: Make, reply: Make, definition: Make, provenance: Make
) -> None:
    make = (prompt, reply, definition, provenance)
    sides = [_scored(make, [base, base + 4, base + 9], run=f"r{base}") for base in (80, 70, 40, 35)]
    found = trajectory(sides, Along())
    assert [point.rate for point in found.points] == pytest.approx([84 + 1 / 3, 74 + 1 / 3, 44 + 1 / 3, 39 + 1 / 3])
    assert (found.trend, found.onset, found.measure) == (None, None, "mean")
    groups = compare_groups(("before", sides[:2]), ("after", sides[2:]))
    assert groups.between_runs is not None
    assert groups.between_runs.estimate == pytest.approx(-37.5)
    assert groups.difference.low is not None
    uneven = compare_groups(("before", sides[:1]), ("after", sides[1:]))
    assert (uneven.between_runs, uneven.difference.low) == (None, None)
