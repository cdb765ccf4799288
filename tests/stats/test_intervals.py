import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from misalign_eval.stats.intervals import (
    Interval,
    check_level,
    clopper_pearson,
    clopper_pearson_high,
    clopper_pearson_low,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@pytest.mark.parametrize(
    "hits, trials, low, high",
    [
        pytest.param(81, 263, 0.2552885, 0.3662096, id="V1-81/263"),
        pytest.param(15, 148, 0.0623864, 0.1604872, id="V1-15/148"),
        pytest.param(0, 20, 0, 0.1611252, id="V1-0/20"),
        pytest.param(1, 29, 0.0061132, 0.1717552, id="V1-1/29"),
        pytest.param(20, 120, 0.1105600, 0.2434528, id="V4-20/120"),
    ],
)
def test_wilson_equals_published_digits(hits: int, trials: int, low: float, high: float) -> None:
    interval = wilson(hits, trials)

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(hits, trials, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(
    "hits, trials, low, high",
    [
        pytest.param(81, 263, 0.2527367, 0.3676219, id="V2-81/263"),
        pytest.param(15, 148, 0.0578440, 0.1616505, id="V2-15/148"),
        pytest.param(0, 20, 0, 0.1684335, id="V2-0/20"),
        pytest.param(1, 29, 0.0008726, 0.1776443, id="V2-1/29"),
        pytest.param(7, 50, 0.05819170033997, 0.26739600249701, id="V3-7/50"),
        pytest.param(682, 925, 0.7076683, 0.7654066, id="V4-682/925"),
        pytest.param(20, 120, 0.1048785, 0.2456000, id="V4-20/120"),
    ],
)
def test_clopper_pearson_equals_published_digits(hits: int, trials: int, low: float, high: float) -> None:
    interval = clopper_pearson(hits, trials)

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(hits, trials, method="beta"), abs=1e-11)


@given(counts=COUNTS, level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_clopper_pearson_agrees_with_scipy(counts: tuple[int, int], level: float) -> None:
    ours = clopper_pearson(*counts, level)
    theirs = scipy.stats.binomtest(*counts).proportion_ci(level, method="exact")

    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1e-9)


@given(counts=COUNTS, alpha=st.floats(0.001, 0.3))
def test_clopper_pearson_bounds_are_where_the_binomial_tail_is_alpha(counts: tuple[int, int], alpha: float) -> None:
    hits, trials = counts
    law = scipy.stats.binom

    if hits:
        assert law.sf(hits - 1, trials, clopper_pearson_low(hits, trials, alpha)) == pytest.approx(alpha, rel=1e-7)
    if hits < trials:
        assert law.cdf(hits, trials, clopper_pearson_high(hits, trials, alpha)) == pytest.approx(alpha, rel=1e-7)


@given(counts=COUNTS, level=st.floats(0.5, 0.98))
def test_intervals_of_lower_level_are_nested(counts: tuple[int, int], level: float) -> None:
    for method in (clopper_pearson, wilson):
        inner, outer = method(*counts, level), method(*counts, (1 + level) / 2)

        assert outer.low <= inner.low <= inner.high <= outer.high


@given(counts=COUNTS)
def test_counting_the_other_outcome_mirrors_the_interval(counts: tuple[int, int]) -> None:
    hits, trials = counts
    for method in (clopper_pearson, wilson):
        interval, mirrored = method(hits, trials), method(trials - hits, trials)

        assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)


@given(hits=st.floats(0, 50), extra=st.floats(0.5, 200), alpha=st.floats(0.01, 0.3))
def test_more_events_raise_both_bounds(hits: float, extra: float, alpha: float) -> None:
    trials = hits + extra + 1

    assert clopper_pearson_low(hits, trials, alpha) <= clopper_pearson_low(hits + 1, trials, alpha) + 1e-12
    assert clopper_pearson_high(hits, trials, alpha) <= clopper_pearson_high(hits + 1, trials, alpha) + 1e-12


def test_the_ends_reach_zero_and_one() -> None:
    assert clopper_pearson(0, 10).low == 0
    assert clopper_pearson(10, 10).high == 1
    assert wilson(0, 10).low == 0
    assert wilson(10, 10).high == 1


def test_an_interval_knows_its_width_and_contents() -> None:
    interval = Interval(0.1, 0.4)

    assert interval.width == pytest.approx(0.3)
    assert 0.1 in interval
    assert 0.5 not in interval


@pytest.mark.parametrize("hits, trials", [(-1, 10), (11, 10), (0, 0), (float("nan"), 10)])
def test_impossible_counts_are_refused(hits: float, trials: float) -> None:
    for method in (clopper_pearson, wilson):
        with pytest.raises(ValueError, match="0 <= hits <= trials"):
            method(hits, trials)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5])
def test_a_level_that_is_no_fraction_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        check_level(level)
