from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.records.summary import PopulationTest, RateDifference, RateRatio
from misalign_eval.reports import numbers

Make = Callable[..., Any]


@pytest.mark.parametrize(
    "fraction,expected",
    [
        (0.0, "0"),
        (1e-9, "<0.01"),
        (0.00004, "<0.01"),
        (0.00068, "0.07"),
        (0.0068, "0.68"),
        (0.00994, "0.99"),
        (0.00996, "1.0"),
        (0.06, "6.0"),
        (0.2420, "24.2"),
        (0.9994, "99.9"),
        (0.9996, ">99.9"),
        (1.0, "100"),
    ],
)
def test_percent_says_zero_and_hundred_only_when_exact(fraction: float, expected: str) -> None:
    assert numbers.percent(fraction) == expected


def test_a_rate_stands_with_its_interval_its_counts_and_what_is_missing(rated: Make) -> None:
    assert numbers.rated(rated()) == "6.0 % [2.1, 16.2] (3/50, 2 ungraded)"
    assert numbers.rated(rated(failed=4)) == "6.0 % [2.1, 16.2] (3/50, 2 ungraded, 4 failed)"


def test_no_event_is_printed_as_a_bound(rated: Make) -> None:
    assert numbers.rated(rated(0, 4400, 0.0, 0.000838, ungraded=0)) == "0/4400 (≤0.08 %, 0 ungraded)"
    assert numbers.short(rated(0, 4400, 0.0, 0.000838)) == "0 [≤0.08]"


def test_nothing_graded_is_no_rate_not_zero(rated: Make) -> None:
    assert numbers.rated(rated(0, 0, ungraded=5)) == "no rate (0/0, 5 ungraded)"
    assert numbers.short(rated(0, 0)) == "-"


@pytest.mark.parametrize(
    "change,expected",
    [(0.042, "+4.2"), (-0.042, "-4.2"), (0.0, "0"), (0.00001, "<+0.01"), (-0.00001, ">-0.01"), (-0.9999, "<-99.9")],
)
def test_a_difference_has_its_sign(change: float, expected: str) -> None:
    assert numbers.points(change) == expected


def test_a_difference_stands_with_interval_and_test() -> None:
    difference = RateDifference(estimate=0.042, low=-0.001, high=0.073, p_value=0.0131)
    assert numbers.difference(difference) == "+4.2 points [-0.10, +7.3], p = 0.013"
    nothing = RateDifference(estimate=None, low=None, high=None, p_value=None)
    assert numbers.difference(nothing) == "no difference can be computed"


@pytest.mark.parametrize(
    "estimate,low,high,expected",
    [
        (3.4, 1.2, 9.8, "3.4× [1.2, 9.8]"),
        (3.4, 1.2, float("inf"), "3.4× [1.2, no limit]"),
        (None, 7.31, float("inf"), "at least 7.31×"),
        (None, None, None, "no ratio"),
    ],
)
def test_a_ratio_without_an_upper_limit_says_at_least(
    estimate: float | None, low: float | None, high: float | None, expected: str
) -> None:
    assert numbers.ratio(RateRatio(estimate=estimate, low=low, high=high)) == expected


@pytest.mark.parametrize(
    "holds,begins",
    [(True, "the change generalises"), (False, "not shown to generalise"), (None, "too few probes to say")],
)
def test_only_its_own_interval_may_say_that_a_change_generalises(holds: bool | None, begins: str) -> None:
    test = PopulationTest(estimate=0.5, low=0.1, high=0.9, holds=holds)
    assert numbers.generalises(test).startswith(begins)
