from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.general import (
    can_generalise,
    general_bound,
    general_difference,
    general_interval,
    general_is_below,
    reweighted_cdf,
)
from misalign_eval.stats.intervals import Interval, clopper_pearson

MEANS = st.lists(st.integers(0, 10).map(lambda hits: hits / 10), min_size=2, max_size=30)


def drawn_interval(means: Sequence[float], draws: int = 200_000, level: float = 0.95) -> Interval:
    """The definition: random weights, one pseudo-probe at 1 (upper end) or 0 (lower end)."""
    weights = np.random.default_rng(1).standard_exponential((draws, len(means) + 1))
    weights /= weights.sum(axis=1, keepdims=True)
    low = weights[:, :-1] @ np.sort(means)
    tail = (1 - level) / 2
    return Interval(float(np.quantile(low, tail)), float(np.quantile(low + weights[:, -1], 1 - tail)))


@pytest.mark.parametrize(
    "probes, expected",
    [
        pytest.param(8, 0.3694166, id="V15-8"),
        pytest.param(24, 0.1424736, id="V15-24"),
        pytest.param(44, 0.0804199, id="V15-44"),
        pytest.param(200, 0.0182753, id="V15-200"),
    ],
)
def test_v15_zero_events(probes: int, expected: float) -> None:
    interval = general_interval([0.0] * probes)

    assert (interval.low, interval.high) == pytest.approx((0, expected), abs=1e-6)
    assert interval.high == pytest.approx(1 - 0.025 ** (1 / probes), rel=1e-9)


def test_v15_zeros_and_ones_give_clopper_pearson() -> None:
    interval = general_interval([1.0] * 5 + [0.0] * 39)

    assert (interval.low, interval.high) == pytest.approx((0.0379437, 0.2455768), abs=1e-6)
    assert interval == clopper_pearson(5, 44)


def test_v15_the_integral_agrees_with_clopper_pearson_where_the_closed_form_is_not_used() -> None:
    nearly = general_interval([1.0] * 5 + [1e-12] + [0.0] * 38)

    assert (nearly.low, nearly.high) == pytest.approx((0.0379437, 0.2455768), abs=1e-6)


def test_v15_equal_values_give_the_closed_form() -> None:
    assert general_interval([0.5] * 10).high == pytest.approx(1 - 0.5 * 0.025**0.1, rel=1e-9)
    assert general_interval([0.5] * 10).high == pytest.approx(0.6532144, rel=0.01)


def test_v15b_one_hot_probe_of_eight() -> None:
    hot = [0.9, 0.1] + [0.0] * 6
    interval = general_interval(hot)

    assert interval.high == pytest.approx(0.509, rel=0.01)
    assert general_bound(hot, 0.05, "high") == pytest.approx(0.455, rel=0.01)


def test_v15b_the_lower_end_solves_the_exact_distribution() -> None:
    """With weights 0.9 and 0.1 the mean is 0.9 U + 0.1 (1 - U) V, U ~ Beta(1, 8), V ~ Beta(1, 7): one integral.

    Its 2.5 % point is .0099989; the .0103 found elsewhere by drawing is 3 % too high.
    """
    low = general_interval([0.9, 0.1] + [0.0] * 6).low
    u = (np.arange(400_000) + 0.5) / 400_000 * (low / 0.9)
    v = np.clip((low - 0.9 * u) / (0.1 * (1 - u)), 0, 1)
    chance = float((8 * (1 - u) ** 7 * (1 - (1 - v) ** 7)).mean() * low / 0.9)

    assert chance == pytest.approx(0.025, abs=1e-8)
    assert low == pytest.approx(0.0099989, abs=1e-7)


def test_v18_suite_of_44_probes() -> None:
    interval = general_interval([0.0] * 40 + [0.22, 0.35, 0.08, 0.01])

    assert (interval.low, interval.high) == pytest.approx((0.0029, 0.0965), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "means",
    [
        pytest.param([0.1, 0.2, 0.9, 0.4, 0.33], id="5 spread"),
        pytest.param([0.0] * 40 + [0.22, 0.35, 0.08, 0.01], id="44 hot"),
        pytest.param(np.linspace(0, 1, 90).tolist(), id="90 spread"),
        pytest.param([0.3] * 12, id="12 equal"),
    ],
)
def test_the_integral_agrees_with_random_weights(means: list[float]) -> None:
    ours, drawn = general_interval(means), drawn_interval(means)

    assert ours.low == pytest.approx(drawn.low, rel=0.015)
    assert ours.high == pytest.approx(drawn.high, rel=0.01)


def test_a_thousand_different_probes_agree_with_random_weights() -> None:
    means = np.random.default_rng(5).random(1000)
    ours, drawn = general_interval(means), drawn_interval(means.tolist(), draws=4_000)

    assert (ours.low, ours.high) == pytest.approx((drawn.low, drawn.high), rel=0.002)


@given(means=MEANS, threshold=st.floats(0, 1))
def test_the_chance_below_a_threshold_is_a_chance_and_mirrors(means: list[float], threshold: float) -> None:
    values = np.array(means)
    below = reweighted_cdf(values, threshold)

    assert 0 <= below <= 1
    if 0 < below < 1:
        assert below == pytest.approx(1 - reweighted_cdf(1 - values, 1 - threshold), abs=1e-7)


@given(hits=st.integers(1, 9), threshold=st.floats(0.05, 0.95))
def test_for_two_values_it_is_a_beta_distribution(hits: int, threshold: float) -> None:
    from scipy.stats import beta

    values = np.array([1.0] * hits + [0.0] * (10 - hits))

    assert reweighted_cdf(values, threshold) == pytest.approx(beta.cdf(threshold, hits, 10 - hits), abs=1e-8)


@given(means=MEANS)
def test_swapping_events_and_non_events_mirrors_the_interval(means: list[float]) -> None:
    interval, mirrored = general_interval(means), general_interval([1 - mean for mean in means])

    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-7)


@given(means=MEANS, data=st.data())
def test_a_worse_probe_never_lowers_the_upper_bound(means: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(means) - 1))
    worse = [*means[:place], min(1.0, means[place] + 0.1), *means[place + 1 :]]

    assert general_bound(worse, 0.05, "high") >= general_bound(means, 0.05, "high") - 1e-8


@given(means=MEANS, alpha=st.floats(0.01, 0.2))
def test_smaller_alpha_gives_wider_bounds(means: list[float], alpha: float) -> None:
    assert general_bound(means, alpha / 2, "high") >= general_bound(means, alpha, "high") - 1e-9
    assert general_bound(means, alpha / 2, "low") <= general_bound(means, alpha, "low") + 1e-9


@given(means=MEANS, limit=st.floats(0.01, 0.99))
def test_the_quick_decision_is_the_decision_by_the_bound(means: list[float], limit: float) -> None:
    bound = general_bound(means, 0.05, "high")
    if abs(bound - limit) > 1e-6:
        assert general_is_below(means, limit, 0.05) == (bound < limit)


@given(means=MEANS)
def test_the_provable_stand_in_is_wider(means: list[float]) -> None:
    gaffke, stand_in = general_interval(means), general_interval(means, method="cp-n-eff-q")

    assert stand_in.low <= gaffke.low + 1e-9
    assert stand_in.high >= gaffke.high - 1e-9


@given(pairs=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=20))
def test_swapping_the_runs_negates_the_change(pairs: list[tuple[int, int]]) -> None:
    before, after = [a / 10 for a, _ in pairs], [b / 10 for _, b in pairs]
    there, back = general_difference(before, after), general_difference(after, before)

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-7)


def test_a_broad_large_change_generalises_and_a_concentrated_one_does_not() -> None:
    assert general_difference([0.02] * 44, [0.6] * 44).low > 0
    assert general_difference([0.0] * 44, [0.4] * 4 + [0.0] * 40).low < 0


def test_four_probes_are_too_few_to_generalise() -> None:
    assert not can_generalise(4)
    assert can_generalise(5)


@pytest.mark.parametrize("means", [[0.5, 1.2], [-0.1, 0.5], []])
def test_values_that_are_no_fractions_are_refused(means: list[float]) -> None:
    with pytest.raises(ValueError):
        general_interval(means)


def test_runs_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="3 probes before but 2 after"):
        general_difference([0.1] * 3, [0.1] * 2)
