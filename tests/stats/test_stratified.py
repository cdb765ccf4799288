import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import mantel_haenszel, miettinen_nurminen, score_statistic

RABBITS_BEFORE, RABBITS_AFTER = ([0, 0, 2, 6, 5], [5, 6, 6, 6, 5]), ([0, 3, 6, 5, 2], [6, 6, 6, 6, 2])
MEN = ([512, 353, 120, 138, 53, 22], [825, 560, 325, 417, 191, 373])
WOMEN = ([89, 17, 202, 131, 94, 24], [108, 25, 593, 375, 393, 341])


@pytest.mark.parametrize(
    "after, before, low, high",
    [
        pytest.param((56, 70), (48, 80), 0.0528297, 0.3381729, id="V5b-56/70"),
        pytest.param((9, 10), (3, 10), 0.1700250, 0.8406495, id="V5b-9/10"),
        pytest.param((5, 56), (0, 29), -0.0325966, 0.1933310, id="V5b-5/56"),
    ],
)
def test_one_cell_gives_the_published_score_interval(
    after: tuple[int, int], before: tuple[int, int], low: float, high: float
) -> None:
    interval = miettinen_nurminen(Cells.of([before[0]], [before[1]]), Cells.of([after[0]], [after[1]])).interval

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("change", [0.0528297, 0.2, 0.3381729, -0.4])
def test_v5b_the_constrained_rate_maximises_the_likelihood(change: float) -> None:
    """Brute force over a grid, then the score statistic by hand."""
    xa, na, xb, nb = 48, 80, 56, 70
    low, high = max(0.0, -change), min(1.0, 1 - change)
    grid = np.linspace(low + 1e-9, high - 1e-9, 2_000_001)
    likelihood = (
        xa * np.log(grid)
        + (na - xa) * np.log1p(-grid)
        + xb * np.log(grid + change)
        + (nb - xb) * np.log1p(-grid - change)
    )
    rate = grid[likelihood.argmax()]
    variance = (rate * (1 - rate) / na + (rate + change) * (1 - rate - change) / nb) * (na + nb) / (na + nb - 1)
    slow = (xb / nb - xa / na - change) / math.sqrt(variance)

    assert score_statistic(Cells.of([xa], [na]), Cells.of([xb], [nb]), change) == pytest.approx(slow, abs=1e-5)


def test_v6_stratified_score_interval() -> None:
    weights = [51, 49, 51, 49]
    before = Cells.of([5] * 4, [26, 24, 26, 24], probe_weights=weights)
    after = Cells.of([15] * 4, [25] * 4, probe_weights=weights)
    difference = miettinen_nurminen(before, after)

    assert difference.estimate == pytest.approx(0.3998397, abs=1e-7)
    assert (difference.interval.low, difference.interval.high) == pytest.approx((0.2684383, 0.5172781), abs=5e-7)
    assert score_statistic(before, after) == pytest.approx(5.712797, abs=1e-6)


def test_v18b_equal_weights_over_44_probes() -> None:
    before = Cells.of([1] + [0] * 39 + [2, 0, 0, 0], [100] * 44)
    interval = miettinen_nurminen(before, Cells.of([0] * 40 + [22, 35, 8, 1], [100] * 44)).interval

    assert (interval.low, interval.high) == pytest.approx((0.0099204, 0.0194696), abs=1e-6)


@settings(max_examples=15)
@given(runs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=6))
def test_swapping_the_runs_negates_the_score_interval(runs: list[tuple[int, int]]) -> None:
    before, after = (Cells.of([pair[run] for pair in runs], [8] * len(runs)) for run in (0, 1))
    there, back = miettinen_nurminen(before, after).interval, miettinen_nurminen(after, before).interval

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-8)
    assert there.low - 1e-9 <= after.rate - before.rate <= there.high + 1e-9


def test_v7_rabbits_cochran_mantel_haenszel() -> None:
    rabbits = mantel_haenszel(RABBITS_BEFORE, RABBITS_AFTER)

    assert rabbits.odds_ratio == pytest.approx(7)
    assert rabbits.statistic == pytest.approx(3.928571, abs=1e-6)
    assert rabbits.p_value == pytest.approx(0.0474723, abs=1e-6)


def test_v8_berkeley_admissions() -> None:
    berkeley = mantel_haenszel(WOMEN, MEN)

    assert berkeley.statistic == pytest.approx(1.4269462, abs=1e-6)
    assert berkeley.p_value == pytest.approx(0.2322635, abs=1e-6)
    assert berkeley.odds_ratio == pytest.approx(0.9046968, abs=1e-6)
    assert berkeley.interval is not None
    assert (berkeley.interval.low, berkeley.interval.high) == pytest.approx((0.7719074, 1.0603298), abs=1e-6)


@given(
    strata=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5
    ),
    continuity=st.booleans(),
)
def test_mantel_haenszel_agrees_with_statsmodels(strata: list[tuple[int, int, int, int]], continuity: bool) -> None:
    theirs = StratifiedTable([np.array([[b, nb], [a, na]]) for b, nb, a, na in strata])
    before = [a for _, _, a, _ in strata], [a + na for _, _, a, na in strata]
    after = [b for b, _, _, _ in strata], [b + nb for b, nb, _, _ in strata]
    ours = mantel_haenszel(before, after, continuity=continuity)
    test = theirs.test_null_odds(correction=continuity)

    assert ours.odds_ratio == pytest.approx(theirs.oddsratio_pooled)
    assert ours.interval is not None
    assert (ours.interval.low, ours.interval.high) == pytest.approx(theirs.oddsratio_pooled_confint())
    gap = abs(sum(b - (b + nb) * (b + a) / (b + nb + a + na) for b, nb, a, na in strata))
    if gap > 0.5 or not continuity:
        assert ours.statistic == pytest.approx(test.statistic, abs=1e-9)


def test_an_odds_ratio_without_discordant_events_is_undefined() -> None:
    nothing = mantel_haenszel(([0, 0], [9, 9]), ([0, 0], [9, 9]))

    assert (nothing.odds_ratio, nothing.interval, nothing.statistic, nothing.p_value) == (None, None, 0, 1)
    assert mantel_haenszel(([0], [9]), ([5], [9])).odds_ratio is None


@pytest.mark.parametrize("change", [-1.0, 1.0, 5.0])
def test_an_impossible_change_is_refused(change: float) -> None:
    with pytest.raises(ValueError, match="lies in"):
        score_statistic(Cells.of([1], [9]), Cells.of([1], [9]), change)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="in every stratum"):
        mantel_haenszel(([5], [4]), ([1], [4]))
    with pytest.raises(ValueError, match="strata"):
        mantel_haenszel(([1], [4]), ([1, 1], [4, 4]))
