import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.intervals import clopper_pearson
from misalign_eval.stats.rates import effective_trials, pooled_rate, suite_bound, suite_rate
from misalign_eval.stats.unequal_cells import Arm, any_rates_bound

SUITE_OF_44 = Cells.of([0] * 40 + [22, 35, 8, 1], [100] * 44)
CELLS = st.lists(
    st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=12
)


def slow_effective_trials(hits: list[int], trials: list[int]) -> tuple[float, float]:
    """The definition, cell by cell, with equal weights."""
    w = 1 / len(hits)
    p = sum(w * x / n for x, n in zip(hits, trials, strict=True))
    n0 = 1 / sum(w**2 / n for n in trials)
    if p in {0, 1}:
        return p, n0
    shrunk = unbiased = 0.0
    for x, n in zip(hits, trials, strict=True):
        tilde = (x + 2 * p) / (n + 2)
        shrunk += w**2 * tilde * (1 - tilde) / n
        unbiased += w**2 * (p * (1 - p) if n == 1 else (x / n) * (1 - x / n) / (n - 1))
    deff = min(1.0, max(0.05, max(shrunk, unbiased) / (p * (1 - p) / n0)))
    return p, n0 / deff


@pytest.mark.parametrize("probes", [1, 3, 6, 7, 49])
def test_all_replies_bad_is_the_mirror_of_none_whatever_the_weights_round_to(probes: int) -> None:
    every, none = suite_rate(Cells.of([6] * probes, [6] * probes)), suite_rate(Cells.of([0] * probes, [6] * probes))
    assert every.rate == Cells.of([6] * probes, [6] * probes).rate == 1.0
    assert every.effective_trials == pytest.approx(6 * probes)
    assert every.interval.low == pytest.approx(1 - none.interval.high)


@given(cells=CELLS)
def test_effective_replies_follow_the_definition(cells: list[tuple[int, int]]) -> None:
    hits, trials = [x for x, _ in cells], [n for _, n in cells]
    weights = np.full(len(cells), 1 / len(cells))
    rate, size = effective_trials(np.array(hits, float), np.array(trials, float), weights)

    assert (float(rate), float(size)) == pytest.approx(slow_effective_trials(hits, trials), rel=1e-9)


def test_v18_suite_of_44_probes() -> None:
    estimate, pooled = suite_rate(SUITE_OF_44), pooled_rate(SUITE_OF_44)

    assert estimate.rate == pytest.approx(0.015)
    assert estimate.design_effect == pytest.approx(0.7523523, abs=1e-6)
    assert estimate.effective_trials == pytest.approx(5848.3240, abs=1e-4)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((0.0120430, 0.0184541), abs=1e-6)
    assert (pooled.interval.low, pooled.interval.high) == pytest.approx((0.0116195, 0.0190446), abs=1e-6)


def test_v18c_two_unlike_probes() -> None:
    estimate = suite_rate(Cells.of([9, 0], [10, 10]))

    assert estimate.rate == pytest.approx(0.45)
    assert estimate.effective_trials == pytest.approx(46.3157895, abs=1e-6)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((0.3035568, 0.6030706), abs=1e-6)


def test_v18c_unequal_numbers_of_replies() -> None:
    estimate = suite_rate(Cells.of([3, 0, 1], [8, 10, 9]))

    assert estimate.rate == pytest.approx(0.1620370, abs=1e-6)
    assert estimate.effective_trials == pytest.approx(26.7768595, abs=1e-6)
    assert estimate.design_effect == 1
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((0.0491965, 0.3548494), abs=1e-6)


@pytest.mark.parametrize("hits", [0, 3, 50])
def test_one_cell_gives_the_textbook_interval(hits: int) -> None:
    textbook = clopper_pearson(hits, 50)
    interval = suite_rate(Cells.of([hits], [50])).interval

    assert (interval.low, interval.high) == pytest.approx((textbook.low, textbook.high), rel=1e-9)


def test_one_reply_a_cell_or_no_event_gives_the_pooled_interval() -> None:
    for cells in (Cells.of([1, 0, 1, 0], [1] * 4), Cells.of([0] * 6, [7] * 6)):
        pooled, interval = pooled_rate(cells).interval, suite_rate(cells).interval

        assert (interval.low, interval.high) == pytest.approx((pooled.low, pooled.high), abs=1e-12)


@given(cells=CELLS)
def test_the_interval_holds_the_estimate_and_never_beats_twenty_times_the_sample(cells: list[tuple[int, int]]) -> None:
    estimate = suite_rate(Cells.of([x for x, _ in cells], [n for _, n in cells]))

    assert estimate.interval.low - 1e-12 <= estimate.rate <= estimate.interval.high + 1e-12
    assert 0.05 - 1e-12 <= estimate.design_effect <= 1 + 1e-12


@given(cells=CELLS, level=st.floats(0.5, 0.98))
def test_intervals_of_lower_level_are_nested(cells: list[tuple[int, int]], level: float) -> None:
    made = Cells.of([x for x, _ in cells], [n for _, n in cells])
    inner, outer = suite_rate(made, level).interval, suite_rate(made, (1 + level) / 2).interval

    assert outer.low <= inner.low
    assert inner.high <= outer.high


@given(cells=CELLS, data=st.data())
def test_the_order_of_probes_does_not_matter(cells: list[tuple[int, int]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(cells))
    first, second = (suite_rate(Cells.of([x for x, _ in c], [n for _, n in c])) for c in (cells, shuffled))

    assert first.rate == pytest.approx(second.rate)
    assert first.interval.high == pytest.approx(second.interval.high, rel=1e-9)


def test_bounds_are_pooled_where_that_is_exact_and_hold_for_any_rates_elsewhere() -> None:
    equal, unequal = SUITE_OF_44, Cells.of([3, 0, 1], [8, 10, 9])

    assert suite_bound(equal, 0.025, "high") == pytest.approx(pooled_rate(equal).interval.high)
    arm = Arm.of(unequal.trials, unequal.weights)
    assert suite_bound(unequal, 0.025, "high") == any_rates_bound(unequal.rate, arm, 0.025, "high")
    assert suite_bound(unequal, 0.025, "low") == any_rates_bound(unequal.rate, arm, 0.025, "low")
    assert suite_bound(unequal, 0.025, "high") > suite_rate(unequal).interval.high


def test_simulated_runs_can_be_worked_out_at_once() -> None:
    runs = np.array([[9.0, 0.0], [5.0, 5.0]])
    rates, sizes = effective_trials(runs, np.array([10.0, 10.0]), np.array([0.5, 0.5]))

    assert rates.tolist() == pytest.approx([0.45, 0.5])
    assert sizes.tolist() == pytest.approx([46.3157895, 20.0])


def test_a_level_in_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="fraction"):
        suite_rate(SUITE_OF_44, level=95)
