import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.general import (
    bootstrap_difference,
    bootstrap_interval,
    bootstrap_rate,
    clustered_standard_error,
    mean_over_probes,
    paired_t,
)

ROWS = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
RATES = st.lists(st.integers(0, 10).map(lambda hits: hits / 10), min_size=2, max_size=20)


def test_v19_clustered_standard_errors() -> None:
    assert clustered_standard_error(ROWS.sum(axis=1), [3] * 4) == pytest.approx(0.1863390, abs=1e-7)
    assert mean_over_probes(ROWS.mean(axis=1)).standard_error == pytest.approx(0.2151657, abs=1e-7)


@given(totals=st.lists(st.tuples(st.integers(0, 5), st.integers(5, 9)), min_size=3, max_size=10))
def test_cr0_agrees_with_statsmodels(totals: list[tuple[int, int]]) -> None:
    replies = np.concatenate([[1] * hits + [0] * (trials - hits) for hits, trials in totals]).astype(float)
    groups = np.repeat(np.arange(len(totals)), [trials for _, trials in totals])
    model = sm.OLS(replies, np.ones_like(replies))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})

    ours = clustered_standard_error([hits for hits, _ in totals], [trials for _, trials in totals])
    assert ours == pytest.approx(float(fit.bse[0]), abs=1e-9)


@given(before=RATES, data=st.data())
def test_paired_t_agrees_with_scipy(before: list[float], data: st.DataObject) -> None:
    after = data.draw(st.lists(st.sampled_from([0.0, 0.15, 0.35, 0.9]), min_size=len(before), max_size=len(before)))
    ours = paired_t(before, after)
    changes = np.array(after) - np.array(before)
    if changes.std() < 1e-9:
        return
    theirs = scipy.stats.ttest_rel(after, before)
    interval = theirs.confidence_interval(0.95)

    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert (ours.interval.low, ours.interval.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_equal_values_have_no_width() -> None:
    same = mean_over_probes([0.0, 0.0, 0.0])

    assert (same.standard_error, same.interval.width, same.p_value) == (0, 0, 1)
    assert mean_over_probes([0.5, 0.5]).p_value == 0


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=12))
def test_swapping_the_runs_negates_the_change(pairs: list[tuple[int, int]]) -> None:
    before, after = [a / 9 for a, _ in pairs], [b / 9 for _, b in pairs]
    there, back = paired_t(before, after), paired_t(after, before)

    assert there.estimate == pytest.approx(-back.estimate)
    assert there.interval.low == pytest.approx(-back.interval.high)


def test_the_bootstrap_resamples_whole_probes() -> None:
    """By hand: every draw picks three of three probes and pools their replies."""
    hits, trials = np.array([0.0, 5.0, 20.0]), np.array([10.0, 10.0, 20.0])
    picks = [(a, b, c) for a in range(3) for b in range(3) for c in range(3)]
    exact = sorted(hits[list(pick)].sum() / trials[list(pick)].sum() for pick in picks)
    interval = bootstrap_rate(hits, trials, level=0.8)

    assert interval.low == pytest.approx(np.quantile(np.repeat(exact, 1000), 0.1), abs=1e-9)
    assert interval.high == pytest.approx(np.quantile(np.repeat(exact, 1000), 0.9), abs=1e-9)


def test_the_bootstrap_is_the_same_every_time_and_moves_with_the_seed() -> None:
    means = np.random.default_rng(3).random((30, 1))

    def first(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        column: npt.NDArray[np.float64] = columns[:, 0]
        return column

    assert bootstrap_interval(means, first, seed=1) == bootstrap_interval(means, first, seed=1)
    assert bootstrap_interval(means, first, seed=1) != bootstrap_interval(means, first, seed=2)


def test_the_bootstrap_draws_a_probe_in_both_runs_together() -> None:
    shifted = bootstrap_difference(([0, 5, 9], [10, 10, 10]), ([1, 6, 10], [10, 10, 10]))

    assert (shifted.low, shifted.high) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: clustered_standard_error([1], [0]), id="no reply"),
        pytest.param(lambda: clustered_standard_error([2], [1]), id="too many hits"),
        pytest.param(lambda: mean_over_probes([0.5]), id="one probe"),
        pytest.param(lambda: paired_t([0.5, 0.1], [0.5]), id="lengths"),
        pytest.param(lambda: bootstrap_rate([], []), id="nothing"),
        pytest.param(lambda: bootstrap_interval(np.zeros((0, 1)), np.ravel), id="no rows"),
        pytest.param(lambda: bootstrap_difference(([1], [2]), ([1, 1], [2, 2])), id="runs"),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
