"""Bounds that hold for every mix of true rates, where cells have replies out of proportion to their weights."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from misalign_eval.stats.gates import difference_gate, maximum_gate, rate_gate
from misalign_eval.stats.intervals import clopper_pearson_high, clopper_pearson_low
from misalign_eval.stats.unequal_cells import (
    ANYTHING,
    Arm,
    Contrast,
    Observed,
    any_rates_bound,
    any_rates_difference_bound,
    joint_difference_bound,
    needed_for_proportion,
    proportional,
)
from misalign_eval.stats.unknown_replies import PartialCells, ruled, worst_bound

EQUAL = np.full(24, 1 / 24)
EIGHTS_AND_TENS = [8] * 10 + [10] * 14


def chance_so_low(trials: list[int], outcome: float, limit: float) -> float:
    return Contrast(Arm.of(trials, [1 / len(trials)] * len(trials)), None).chance(outcome, limit)


@pytest.mark.parametrize(
    "trials, outcome, expected",
    [
        pytest.param([2] + [50] * 7, 0.0, 0.36, id="V19a"),
        pytest.param([5] * 4 + [50] * 20, 0.0, 0.000797923, id="V19b"),
        pytest.param([5] * 4 + [50] * 20, 1 / 50 / 24, 0.001375900, id="V19c"),
        pytest.param(EIGHTS_AND_TENS, 3 / 8 / 24, 0.033018615, id="V19d"),
        pytest.param([10] * 24, 4 / 10 / 24, 0.023652454, id="V19f"),
    ],
)
def test_the_chance_of_an_outcome_so_low_at_a_limit_of_five_percent(
    trials: list[int], outcome: float, expected: float
) -> None:
    assert chance_so_low(trials, outcome, 0.05) == pytest.approx(expected, abs=1e-6)


def test_the_chance_of_an_outcome_so_high_and_the_bounds() -> None:
    arm = Arm.of(EIGHTS_AND_TENS, EQUAL)
    outcome = 3 / 8 / 24

    assert Contrast(None, arm).chance(-5 * 4 / 8 / 24, -0.05) == pytest.approx(0.006705433, abs=1e-6)  # V19e
    assert any_rates_bound(outcome, arm, 0.05, "high") == pytest.approx(0.047185675, abs=1e-6)  # V19g
    assert any_rates_bound(outcome, arm, 0.05, "low") == pytest.approx(0.002522177, abs=1e-6)


def test_the_chance_of_a_change_so_low() -> None:
    """V19h, with the region of the rate before added to the error."""
    after, before = Arm.of(EIGHTS_AND_TENS, EQUAL), Arm.of([10] * 12 + [9] * 12, EQUAL)
    most = any_rates_bound(0.0, before, 0.0025, "high")
    found = Contrast(after, before, (ANYTHING, (0.0, most))).chance(1 / 8 / 24, 0.10) + 0.005

    assert most == pytest.approx(0.026982870, abs=1e-6)
    assert found == pytest.approx(0.005425398, abs=1e-6)


def test_a_bound_is_the_limit_at_which_the_chance_is_alpha() -> None:
    arm = Arm.of([3, 17, 40], [0.2, 0.3, 0.5])
    for outcome in (0.0, 0.04, 0.5):
        high = any_rates_bound(outcome, arm, 0.05, "high")
        assert Contrast(arm, None).chance(outcome, high) == pytest.approx(0.05, rel=1e-4)
    low = any_rates_bound(0.5, arm, 0.05, "low")
    assert Contrast(None, arm).chance(-0.5, -low) == pytest.approx(0.05, rel=1e-4)
    assert (any_rates_bound(0.0, arm, 0.05, "low"), any_rates_bound(1.0, arm, 0.05, "high")) == (0.0, 1.0)


def test_a_critical_outcome_is_the_last_that_decides() -> None:
    arm = Arm.of([3, 17, 40], [0.2, 0.3, 0.5])
    outcome = Contrast(arm, None).critical(0.4, 0.05)

    assert any_rates_bound(outcome, arm, 0.05, "high") == pytest.approx(0.4, abs=1e-5)


def brute_chance(trials: list[int], weights: list[float], hits: list[int], limit: float) -> float:
    """The exact chance of an outcome so low, at the worst of a grid of rates of two cells with that mean."""
    outcome, worst = sum(w * x / n for w, x, n in zip(weights, hits, trials, strict=True)), 0.0
    for first in np.linspace(0, min(1.0, limit / weights[0]), 201):
        second = (limit - weights[0] * first) / weights[1]
        if not 0 <= second <= 1:
            continue
        chance = 0.0
        for a in range(trials[0] + 1):
            for b in range(trials[1] + 1):
                if weights[0] * a / trials[0] + weights[1] * b / trials[1] <= outcome + 1e-12:
                    chance += (
                        math.comb(trials[0], a)
                        * first**a
                        * (1 - first) ** (trials[0] - a)
                        * (math.comb(trials[1], b) * second**b * (1 - second) ** (trials[1] - b))
                    )
        worst = max(worst, chance)
    return worst


@pytest.mark.parametrize("hits", [[0, 0], [0, 1], [1, 0], [1, 3]])
def test_the_bound_is_never_below_the_exact_chance_at_the_worst_rates(hits: list[int]) -> None:
    trials, weights = [2, 9], [0.4, 0.6]
    outcome = sum(w * x / n for w, x, n in zip(weights, hits, trials, strict=True))

    bound = Contrast(Arm.of(trials, weights), None).chance(outcome, 0.3)
    assert bound >= brute_chance(trials, weights, hits, 0.3) - 1e-9


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(3, 20)), min_size=1, max_size=6),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
)
@settings(max_examples=30)
def test_the_two_bounds_of_a_rate_are_mirror_images(rows: list[tuple[int, int]], alpha: float) -> None:
    weights = [1 / len(rows)] * len(rows)
    arm, rate = Arm.of([n for _, n in rows], weights), sum(x / n for x, n in rows) / len(rows)

    low = any_rates_bound(rate, arm, alpha, "low")
    assert 1 - any_rates_bound(1 - rate, arm, alpha, "high") == pytest.approx(low, abs=2e-6)
    assert low <= rate <= any_rates_bound(rate, arm, alpha, "high")


def test_the_bounds_of_a_change_are_negated_when_the_runs_are_swapped_without_a_region() -> None:
    first, second = Arm.of([4, 9, 9], [1 / 3] * 3), Arm.of([7, 7, 5], [1 / 3] * 3)
    there = Contrast(first, second).upper(0.1, 0.05)
    back = Contrast(second, first).upper(-0.1, 0.05)

    assert -back < 0.1 < there


def test_a_clean_run_after_a_clean_one_passes_a_wide_margin() -> None:
    clean = Observed(Arm.of([9] * 20 + [40] * 24, [1 / 44] * 44), 0.0, 0.0)

    assert any_rates_difference_bound(clean, clean, 0.05, "high") < joint_difference_bound(clean, clean, 0.05, "high")
    assert any_rates_difference_bound(clean, clean, 0.05, "high") < 0.05
    assert any_rates_difference_bound(clean, clean, 0.05, "low") > -0.05


@pytest.mark.parametrize(
    "trials, probes, kept",
    [
        ([10, 9, 12], None, [9, 9, 9]),
        ([50, 50, 2], None, None),
        ([10, 10, 10], [0, 0, 1], None),  # 5, 5, 10 are two thirds
        ([10, 10, 20], [0, 0, 1], [10, 10, 20]),
        ([9, 10, 21], [0, 0, 1], [9, 9, 18]),
        ([0, 10], None, None),
    ],
)
def test_replies_are_taken_in_exact_proportion_to_weights_where_that_keeps_most(
    trials: list[int], probes: list[int] | None, kept: list[int] | None
) -> None:
    codes = np.array(probes if probes is not None else range(len(trials)))
    weights = (1 / (codes.max() + 1) / np.bincount(codes))[codes]
    array = proportional(np.array(trials, dtype=float), weights)

    assert (None if array is None else array.tolist()) == kept


@pytest.mark.slow
def test_the_rule_depends_on_numbers_of_replies_and_not_on_outcomes() -> None:
    rng = np.random.default_rng(3)
    for trials, rule in (([10] * 8, "equal"), ([10] * 7 + [8], "thinned"), ([10] * 7 + [2], "any rates")):
        for _ in range(5):
            rows = [rng.integers(0, 2, number).tolist() for number in trials]
            cells = PartialCells.of([sum(row) for row in rows], trials, [0] * 8, in_order=rows)
            assert ruled(cells)[0] == rule
            assert rate_gate(cells, 0.3).rule == difference_gate(cells, cells, 0.3).rule == rule


def test_thinning_takes_the_first_replies_by_sample_number() -> None:
    rows = [[0] * 9, [0] * 9 + [1, 1], [1] + [0] * 9]
    cells = PartialCells.of([sum(row) for row in rows], [len(row) for row in rows], [0] * 3, in_order=rows)

    assert worst_bound(cells, 0.05, "high") == clopper_pearson_high(1, 27, 0.05)
    assert worst_bound(cells, 0.05, "low") == clopper_pearson_low(1, 27, 0.05)


def test_a_probe_of_unequal_wordings_is_bounded_for_any_rates_too() -> None:
    cells = PartialCells.of([0, 0, 1], [40, 40, 4], [0] * 3, probes=[0, 0, 0])
    decision = maximum_gate(cells, 0.3)

    assert decision.rule == "any rates"
    assert decision.upper == any_rates_bound(1 / 12, Arm.of([40, 40, 4], [1 / 3] * 3), 0.05, "high")


def test_what_is_needed_for_proportion_is_enough() -> None:
    trials, weights = np.array([2.0, 50, 50, 50, 50, 50, 50, 50]), np.full(8, 1 / 8)
    needed = needed_for_proportion(trials, weights)

    assert proportional(needed.astype(float), weights) is not None
    less = np.maximum(trials, needed - 2.0)
    assert proportional(less, weights) is None


def test_a_cell_without_graded_replies_widens_both_bounds() -> None:
    known, lost = PartialCells.of([5, 5], [50, 40], [0, 0]), PartialCells.of([5, 5, 0], [50, 40, 0], [0, 0, 4])

    assert worst_bound(lost, 0.05, "high") > worst_bound(known, 0.05, "high")
    assert worst_bound(lost, 0.05, "low") < worst_bound(known, 0.05, "low")


def test_two_hundred_unlike_cells_are_decided_at_once() -> None:
    trials = np.arange(20, 220)
    cells = PartialCells.of(np.random.default_rng(1).binomial(trials, 0.03), trials, np.zeros(200))
    started = time.process_time()
    rate_gate(cells, 0.05)
    assert time.process_time() - started < 0.3
    started = time.process_time()
    difference_gate(cells, cells, 0.05)
    assert time.process_time() - started < 1.0


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one reply"):
        Arm.of([0, 0], [0.5, 0.5])
    with pytest.raises(ValueError, match="order"):
        PartialCells.of([1], [3], [0]).first(np.array([2]))
