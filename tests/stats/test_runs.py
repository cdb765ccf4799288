import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.intervals import run_difference, run_slope

RATES = st.lists(st.integers(0, 20).map(lambda x: x / 20), min_size=3, max_size=9)


@given(rates=RATES)
def test_the_slope_agrees_with_scipy(rates: list[float]) -> None:
    doses = np.linspace(0, 1, len(rates))
    theirs = scipy.stats.linregress(doses, rates)
    ours = run_slope(doses, rates)

    assert ours.estimate == pytest.approx(theirs.slope, abs=1e-12)
    assert ours.df == len(rates) - 2
    if theirs.stderr > 1e-9:
        assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-10)
        half = scipy.stats.t.ppf(0.975, ours.df) * theirs.stderr
        assert ours.interval.width == pytest.approx(2 * half, rel=1e-9)


@given(before=RATES, after=RATES)
def test_the_difference_agrees_with_scipys_welch_test(before: list[float], after: list[float]) -> None:
    ours = run_difference(before, after)
    if max(np.var(before), np.var(after)) < 1e-9:
        return
    theirs = scipy.stats.ttest_ind(after, before, equal_var=False)
    interval = theirs.confidence_interval(0.95)

    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert ours.df == pytest.approx(theirs.df)
    assert (ours.interval.low, ours.interval.high) == pytest.approx((interval.low, interval.high), rel=1e-8, abs=1e-9)


def test_swapping_the_groups_negates_the_difference() -> None:
    there, back = run_difference([0.1, 0.2], [0.5, 0.9, 0.4]), run_difference([0.5, 0.9, 0.4], [0.1, 0.2])

    assert there.estimate == -back.estimate
    assert there.interval.low == pytest.approx(-back.interval.high)


def test_runs_without_any_spread_have_no_width() -> None:
    assert run_difference([0.1, 0.1], [0.1, 0.1]).p_value == 1
    assert run_difference([0.1, 0.1], [0.2, 0.2]).p_value == 0


@pytest.mark.parametrize(
    "doses, rates, message",
    [
        ([0, 1], [0.1, 0.2], "at least three runs"),
        ([0, 0, 0], [0.1, 0.2, 0.3], "different doses"),
        ([0, 1, 2], [0.1, 0.2], "one dose and one rate"),
    ],
)
def test_too_little_for_a_slope_is_refused(doses: list[float], rates: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_slope(doses, rates)


def test_one_run_in_a_group_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two runs in each"):
        run_difference([0.1], [0.2, 0.3])
