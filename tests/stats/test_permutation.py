import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.permutation import SMALLEST_P, exact_test, permutation_test, probe_tests

STRATA = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
        lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
    ),
    min_size=1,
    max_size=4,
)


def slow_law(strata: list[tuple[int, int, int, int]]) -> dict[int, float]:
    """Chance of every total of events after, by going through all combinations of strata."""
    laws = []
    for xa, na, xb, nb in strata:
        m = xa + xb
        support = range(max(0, m - na), min(m, nb) + 1)
        laws.append([(k, math.comb(nb, k) * math.comb(na, m - k) / math.comb(na + nb, m)) for k in support])
    totals: dict[int, float] = {}
    for outcome in itertools.product(*laws):
        total = sum(k for k, _ in outcome)
        totals[total] = totals.get(total, 0.0) + math.prod(chance for _, chance in outcome)
    return totals


@given(strata=STRATA)
def test_all_p_values_follow_the_definition(strata: list[tuple[int, int, int, int]]) -> None:
    law, observed = slow_law(strata), sum(s[2] for s in strata)
    upper = sum(chance for total, chance in law.items() if total >= observed)
    lower = sum(chance for total, chance in law.items() if total <= observed)
    test = exact_test(*(list(column) for column in zip(*strata, strict=True)))

    assert test.upper == pytest.approx(upper)
    assert test.lower == pytest.approx(lower)
    assert test.exact == pytest.approx(min(1, 2 * min(upper, lower)))
    assert test.mid == pytest.approx(min(1, 2 * min(upper, lower) - law[observed]))


def test_v7_rabbits() -> None:
    test = exact_test([0, 0, 2, 6, 5], [5, 6, 6, 6, 5], [0, 3, 6, 5, 2], [6, 6, 6, 6, 2])

    assert test.upper == pytest.approx(0.0199725, abs=1e-6)
    assert test.least_likely == pytest.approx(0.0399449, abs=1e-6)
    assert test.mid == pytest.approx(0.0213499, abs=1e-6)


def test_v9_the_lady_tasting_tea() -> None:
    test = exact_test([1], [4], [3], [4])

    assert test.upper == pytest.approx(0.2428571, abs=1e-6)
    assert test.least_likely == pytest.approx(0.4857143, abs=1e-6)
    assert test.mid == pytest.approx(0.2571429, abs=1e-6)


@given(counts=st.tuples(st.integers(0, 30), st.integers(0, 40)))
def test_one_cell_agrees_with_scipys_fisher_test(counts: tuple[int, int]) -> None:
    xa, xb = counts
    table = [[xb, 40 - xb], [xa, 30 - xa]]
    test = exact_test([xa], [30], [xb], [40])

    assert test.least_likely == pytest.approx(scipy.stats.fisher_exact(table).pvalue, rel=1e-7)
    assert test.upper == pytest.approx(scipy.stats.fisher_exact(table, alternative="greater").pvalue, rel=1e-7)
    assert test.lower == pytest.approx(scipy.stats.fisher_exact(table, alternative="less").pvalue, rel=1e-7)


def test_v18b_a_tiny_p_value_keeps_its_digits() -> None:
    before = Cells.of([1] + [0] * 39 + [2, 0, 0, 0], [100] * 44)
    test = permutation_test(before, Cells.of([0] * 40 + [22, 35, 8, 1], [100] * 44))

    assert test.is_exact
    assert test.mid == pytest.approx(1.148e-18, rel=1e-3)


@pytest.mark.parametrize(
    "replies, fewest, alpha",
    [
        (100, 5, 0.05),
        (10, 4, 0.05),
        (100, 10, 0.05 / 44),
        (100, 12, 0.05 / 200),
        (10, 8, 0.05 / 44),
        (10, 9, 0.05 / 200),
    ],
)
def test_how_many_events_a_clean_probe_must_show(replies: int, fewest: int, alpha: float) -> None:
    enough = exact_test([0], [replies], [fewest], [replies]).mid
    too_few = exact_test([0], [replies], [fewest - 1], [replies]).mid

    assert enough < alpha <= too_few


@pytest.mark.slow
@given(strata=STRATA)
def test_swapping_the_runs_swaps_the_sides(strata: list[tuple[int, int, int, int]]) -> None:
    xa, na, xb, nb = (list(column) for column in zip(*strata, strict=True))
    there, back = exact_test(xa, na, xb, nb), exact_test(xb, nb, xa, na)

    assert there.upper == pytest.approx(back.lower)
    assert (there.mid, there.exact, there.least_likely) == pytest.approx((back.mid, back.exact, back.least_likely))


@given(strata=STRATA)
def test_mid_p_never_exceeds_the_exact_p(strata: list[tuple[int, int, int, int]]) -> None:
    test = exact_test(*(list(column) for column in zip(*strata, strict=True)))

    assert 0 < test.mid <= test.exact <= 1


def test_unequal_numbers_of_replies_are_tested_by_drawing() -> None:
    before, after = Cells.of([0, 1, 0], [10, 8, 10]), Cells.of([4, 1, 2], [10, 9, 7])
    test = permutation_test(before, after)

    assert not test.is_exact
    assert test.mid == test.exact

    rng, slow = np.random.default_rng(9), []
    for _ in range(4_000):
        moved = 0.0
        for x, m, k in zip((4, 2, 2), (10, 8, 10), (10, 9, 7), strict=True):
            drawn = rng.permutation([1] * x + [0] * (m + k - x))
            moved += (drawn[:k].mean() - drawn[k:].mean()) / 3
        slow.append(moved)
    expected = np.mean(np.abs(slow) >= abs(after.rate - before.rate) - 1e-9)
    assert test.mid == pytest.approx(expected, abs=0.02)


def test_drawing_agrees_with_the_exact_test_where_both_apply() -> None:
    before, after = Cells.of([1, 0, 2], [9, 9, 9]), Cells.of([4, 1, 4], [9, 9, 9])
    nudged = Cells.of([1, 0, 2], [9, 9, 9], probe_weights=[1, 1, 1.001])
    exact = permutation_test(before, after)
    drawn = permutation_test(nudged, Cells.of([4, 1, 4], [9, 9, 9], probe_weights=[1, 1, 1.001]))

    assert exact.is_exact
    assert not drawn.is_exact
    assert drawn.upper == pytest.approx(exact.upper, abs=0.01)


def test_runs_of_different_size_are_still_exact_where_every_event_counts_the_same() -> None:
    assert permutation_test(Cells.of([1, 0], [10, 10]), Cells.of([3, 1], [30, 30])).is_exact


def test_each_probe_is_tested_over_its_paraphrases() -> None:
    before = Cells.of([0, 0, 1], [10, 10, 10], probes=[0, 0, 1])
    after = Cells.of([3, 4, 1], [10, 10, 10], probes=[0, 0, 1])
    first, second = probe_tests(before, after)

    assert first.mid == pytest.approx(exact_test([0, 0], [10, 10], [3, 4], [10, 10]).mid)
    assert second.mid == pytest.approx(1)


def test_a_hopeless_outcome_gets_the_smallest_p_value_and_not_zero() -> None:
    test = permutation_test(Cells.of([0] * 50, [100] * 50), Cells.of([100] * 50, [100] * 50))

    assert test.mid == SMALLEST_P
    assert test.lower == 1


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        permutation_test(Cells.of([0.5], [10]), Cells.of([1], [10]))
    with pytest.raises(ValueError, match="same cells"):
        permutation_test(Cells.of([1], [10]), Cells.of([1, 1], [10, 10]))
    with pytest.raises(ValueError, match="0 <= hits <= trials"):
        exact_test([5], [4], [0], [4])
    with pytest.raises(ValueError, match="at least one"):
        exact_test([], [], [], [])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        exact_test([1, 1], [4], [0], [4])
