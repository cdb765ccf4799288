import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.trajectory import onset, permutation_trend_test, trend, trend_test

SMOKERS = np.array([[83, 90, 129, 70]]), np.array([[86, 93, 136, 82]])


def test_v10_trend_among_smokers() -> None:
    test = trend_test(*SMOKERS, [1, 2, 3, 4])
    total = SMOKERS[1].sum()

    assert test.z**2 == pytest.approx(8.2042046, abs=1e-6)
    assert test.z**2 * total / (total - 1) == pytest.approx(8.2249223, abs=1e-6)
    assert scipy.stats.chi2.sf(test.z**2 * total / (total - 1), 1) == pytest.approx(0.0041319, abs=1e-6)
    assert test.p_value == pytest.approx(scipy.stats.chi2.sf(test.z**2, 1))


@given(
    table=st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(4, 9)), min_size=3, max_size=3), min_size=1, max_size=3
    )
)
def test_the_statistic_follows_the_definition(table: list[list[tuple[int, int]]]) -> None:
    scores = [0.0, 1.0, 3.0]
    gap = variance = 0.0
    for row in table:
        events, total = sum(x for x, _ in row), sum(n for _, n in row)
        gap += sum(c * (x - events * n / total) for c, (x, n) in zip(scores, row, strict=True))
        spread = total * sum(n * c**2 for c, (_, n) in zip(scores, row, strict=True))
        spread -= sum(n * c for c, (_, n) in zip(scores, row, strict=True)) ** 2
        variance += events * (total - events) / (total**2 * (total - 1)) * spread
    hits, trials = (np.array([[pair[place] for pair in row] for row in table]) for place in (0, 1))
    test = trend_test(hits, trials, scores)

    assert test.z == pytest.approx(gap / variance**0.5 if variance > 0 else 0.0, abs=1e-9)


@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_the_unit_and_origin_of_the_scores_do_not_matter(shift: float, scale: float) -> None:
    moved = [shift + scale * score for score in (1, 2, 3, 4)]

    assert trend_test(*SMOKERS, moved).z == pytest.approx(trend_test(*SMOKERS, [1, 2, 3, 4]).z, rel=1e-6)
    assert trend_test(*SMOKERS, [-m for m in moved]).z == pytest.approx(-trend_test(*SMOKERS, moved).z, rel=1e-6)


def test_permuted_replies_agree_with_counting_all_arrangements() -> None:
    hits, trials = [1, 0, 3], [3, 3, 3]
    observed = abs(sum(c * x for c, x in zip((-1, 0, 1), hits, strict=True)))
    arrangements = list(itertools.combinations(range(9), 4))
    extreme = sum(abs(sum(place // 3 - 1 for place in chosen)) >= observed for chosen in arrangements)
    test = permutation_trend_test(np.array([hits]), np.array([trials]), [0, 1, 2], permutations=40_000)

    assert test.p_value == pytest.approx(extreme / len(arrangements), abs=0.01)


def test_with_many_events_both_p_values_agree() -> None:
    hits, trials = np.array([[10, 14, 19], [3, 9, 12]]), np.full((2, 3), 40)

    assert permutation_trend_test(hits, trials, [0, 1, 2]).p_value == pytest.approx(
        trend_test(hits, trials, [0, 1, 2]).p_value, abs=0.01
    )


def test_few_events_are_tested_by_permutation() -> None:
    assert trend(np.array([[0, 1, 9]]), np.full((1, 3), 20), [0, 1, 2]).is_permuted
    assert not trend(np.array([[0, 10, 20]]), np.full((1, 3), 20), [0, 1, 2]).is_permuted


def test_no_event_at_all_shows_no_trend() -> None:
    test = trend_test(np.zeros((2, 3)), np.full((2, 3), 9), [0, 1, 2])

    assert (test.z, test.p_value) == (0, 1)


def checkpoints(*totals: int) -> list[Cells]:
    return [Cells.of([total, 0], [100, 100]) for total in totals]


def test_the_onset_is_the_first_of_an_unbroken_row_of_rises() -> None:
    assert onset(checkpoints(0, 0, 1, 20, 40)).position == 3
    assert onset(checkpoints(0, 20, 1, 20, 40)).position == 3
    assert onset(checkpoints(0, 20, 30)).position == 1


def test_a_rise_that_is_gone_at_the_end_has_no_onset() -> None:
    assert onset(checkpoints(0, 40, 0)).position is None
    assert onset(checkpoints(40, 0, 0)).position is None


def test_without_change_an_onset_is_named_at_most_at_the_error_rate() -> None:
    rng = np.random.default_rng(8)
    named = sum(
        onset([Cells.of(row, [50] * 4) for row in rng.binomial(50, 0.1, (4, 4))]).position is not None
        for _ in range(300)
    )

    assert named / 300 <= 0.08


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: trend_test(np.zeros(3), np.ones(3), [0, 1, 2]), id="one dimension"),
        pytest.param(lambda: trend_test(np.zeros((1, 3)), np.ones((1, 3)), [0, 1]), id="scores"),
        pytest.param(lambda: trend_test(np.full((1, 2), 5), np.ones((1, 2)), [0, 1]), id="hits"),
        pytest.param(lambda: trend_test(np.zeros((1, 2)), np.ones((1, 2)), [1, 1]), id="equal scores"),
        pytest.param(lambda: onset(checkpoints(1)), id="one checkpoint"),
        pytest.param(lambda: onset(checkpoints(1, 2), alpha=0), id="alpha"),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
