import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import (
    EffectiveRate,
    mover_difference,
    mover_ratio,
    simulated_limits,
    suite_difference,
    suite_ratio,
)
from misalign_eval.stats.intervals import wilson

BASELINE = Cells.of([1] + [0] * 39 + [2, 0, 0, 0], [100] * 44)
SUITE_OF_44 = Cells.of([0] * 40 + [22, 35, 8, 1], [100] * 44)
ONE_CELL = st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(0, 40), st.integers(1, 40)).filter(
    lambda c: c[0] <= c[1] and c[2] <= c[3]
)
TWO_RUNS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=10)


@pytest.mark.parametrize(
    "after, before, low, high",
    [
        pytest.param((56, 70), (48, 80), 0.0524315, 0.3338727, id="V5-56/70"),
        pytest.param((9, 10), (3, 10), 0.1705227, 0.8090180, id="V5-9/10"),
        pytest.param((5, 56), (0, 29), -0.0381371, 0.1925600, id="V5-5/56"),
        pytest.param((0, 10), (0, 20), -0.1611252, 0.2775328, id="V5-0/10"),
        pytest.param((10, 10), (0, 10), 0.6075094, 1.0, id="V5-10/10"),
    ],
)
def test_one_cell_gives_newcombes_published_interval(
    after: tuple[int, int], before: tuple[int, int], low: float, high: float
) -> None:
    interval = suite_difference(Cells.of([before[0]], [before[1]]), Cells.of([after[0]], [after[1]])).interval

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


@given(counts=ONE_CELL)
def test_one_cell_agrees_with_statsmodels(counts: tuple[int, int, int, int]) -> None:
    xa, na, xb, nb = counts
    ours = suite_difference(Cells.of([xa], [na]), Cells.of([xb], [nb])).interval
    theirs = confint_proportions_2indep(xb, nb, xa, na, method="newcomb", compare="diff")

    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


def test_v18b_difference_and_ratio() -> None:
    difference, ratio = suite_difference(BASELINE, SUITE_OF_44), suite_ratio(BASELINE, SUITE_OF_44)

    assert difference.estimate == pytest.approx(0.0143182, abs=1e-6)
    assert (difference.interval.low, difference.interval.high) == pytest.approx((0.0112138, 0.0177962), abs=1e-6)
    assert ratio.estimate == pytest.approx(22)
    assert ratio.interval.low == pytest.approx(7.3100, abs=1e-4)
    assert ratio.interval.high == pytest.approx(65.357, abs=1e-3)


@given(runs=TWO_RUNS)
def test_swapping_the_runs_negates_the_difference_and_inverts_the_ratio(runs: list[tuple[int, int]]) -> None:
    before, after = (Cells.of([pair[run] for pair in runs], [12] * len(runs)) for run in (0, 1))
    there, back = suite_difference(before, after), suite_difference(after, before)
    ratio, inverse = suite_ratio(before, after), suite_ratio(after, before)

    assert there.estimate == pytest.approx(-back.estimate)
    assert (there.interval.low, there.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    if ratio.interval.low > 0:
        assert ratio.interval.low == pytest.approx(1 / inverse.interval.high, rel=1e-9)
    if math.isfinite(ratio.interval.high) and ratio.interval.high > 0:
        assert ratio.interval.high == pytest.approx(1 / inverse.interval.low, rel=1e-9)


@given(runs=TWO_RUNS, level=st.floats(0.5, 0.98))
def test_intervals_of_lower_level_are_nested(runs: list[tuple[int, int]], level: float) -> None:
    before, after = (Cells.of([pair[run] for pair in runs], [12] * len(runs)) for run in (0, 1))
    for method in (suite_difference, suite_ratio):
        inner, outer = method(before, after, level).interval, method(before, after, (1 + level) / 2).interval

        assert outer.low <= inner.low + 1e-12
        assert inner.high <= outer.high + 1e-12


@given(counts=ONE_CELL)
def test_the_ratio_follows_donner_and_zous_formula(counts: tuple[int, int, int, int]) -> None:
    xa, na, xb, nb = counts
    pa, pb = xa / na, xb / nb
    a, b = wilson(xa, na), wilson(xb, nb)
    ours = mover_ratio(EffectiveRate(pa, na), EffectiveRate(pb, nb)).interval
    low_divisor, high_divisor = a.high * (2 * pa - a.high), a.low * (2 * pa - a.low)

    if abs(low_divisor) > 1e-6:
        root = math.sqrt(max(0.0, (pa * pb) ** 2 - b.low * (2 * pb - b.low) * low_divisor))
        assert ours.low == pytest.approx((pa * pb - root) / low_divisor, rel=1e-6, abs=1e-9)
    if a.low > 0:
        root = math.sqrt(max(0.0, (pa * pb) ** 2 - b.high * (2 * pb - b.high) * high_divisor))
        assert ours.high == pytest.approx((pa * pb + root) / high_divisor, rel=1e-6)


def test_a_ratio_without_events_before_has_a_lower_end_only() -> None:
    ratio = suite_ratio(Cells.of([0], [100]), Cells.of([20], [100]))

    assert ratio.estimate is None
    assert ratio.interval.low > 1
    assert ratio.interval.high == math.inf


def test_a_ratio_without_events_after_starts_at_zero() -> None:
    ratio = suite_ratio(Cells.of([20], [100]), Cells.of([0], [100]))

    assert (ratio.estimate, ratio.interval.low) == (0, 0)
    assert 0 < ratio.interval.high < 1


def test_a_ratio_without_any_event_says_nothing() -> None:
    ratio = suite_ratio(Cells.of([0], [100]), Cells.of([0], [100]))

    assert (ratio.estimate, ratio.interval.low, ratio.interval.high) == (None, 0, math.inf)


def test_simulated_limits_are_those_of_one_comparison() -> None:
    first, second = np.array([[1.0, 0, 2]]), np.array([[5.0, 3, 0]])
    low, high = simulated_limits(first, second, np.full(3, 10.0), np.full(3, 1 / 3), 1.959963984540054)
    one = suite_difference(Cells.of(first[0], [10] * 3), Cells.of(second[0], [10] * 3)).interval

    assert (low[0], high[0]) == pytest.approx((one.low, one.high))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="same cells"):
        suite_difference(Cells.of([1], [10]), Cells.of([1, 1], [10, 10]))
    with pytest.raises(ValueError, match="same cells"):
        suite_ratio(Cells.of([1], [10]), Cells.of([1, 1], [10, 10]))
    with pytest.raises(ValueError, match="fraction"):
        mover_difference(EffectiveRate(0.1, 10), EffectiveRate(0.1, 10), level=1.5)
