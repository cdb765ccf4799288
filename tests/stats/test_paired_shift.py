import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import Discordant, discordant, shift, shift_of_change

SPLITS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(1, 10)), min_size=1, max_size=6)


def counts(rows: list[tuple[int, int, int]]) -> Discordant:
    """Rows of (first only, second only, agreed) replies of one probe each."""
    trials = [sum(row) for row in rows]
    return discordant(Cells.of([row[0] for row in rows], trials), Cells.of([row[1] for row in rows], trials))


def test_the_shift_is_the_difference_of_the_two_rates() -> None:
    """First says yes to 30 and 10 of 50, second to 20 and 40 of 50; both say yes to some of them."""
    estimate = shift(counts([(15, 5, 30), (0, 30, 20)]))

    assert estimate.estimate == pytest.approx(((20 - 30) / 50 + (40 - 10) / 50) / 2)


@given(rows=SPLITS)
def test_changing_places_turns_the_sign(rows: list[tuple[int, int, int]]) -> None:
    there, back = shift(counts(rows)), shift(counts([(b, a, c) for a, b, c in rows]))

    assert back.estimate == pytest.approx(-there.estimate)
    assert back.interval.low == pytest.approx(-there.interval.high)
    assert there.interval.low <= there.estimate + 1e-12 <= there.interval.high + 2e-12


def test_two_judges_that_always_agree_do_not_shift() -> None:
    estimate = shift(counts([(0, 0, 50)] * 4))

    assert estimate.estimate == 0
    assert estimate.interval.low == pytest.approx(-estimate.interval.high)


def test_the_shift_of_a_change_is_the_difference_of_both_shifts() -> None:
    before, after = counts([(2, 4, 44)] * 3), counts([(9, 1, 40)] * 3)
    estimate = shift_of_change(before, after)

    assert estimate.estimate == pytest.approx(shift(after).estimate - shift(before).estimate)
    assert estimate.interval.high < 0


def test_shift_intervals_cover() -> None:
    """Nominal 95 %; two judges on 12 probes of unequal difficulty, 10 replies each, 500 runs (error 1 point)."""
    rng = np.random.default_rng(5)
    only_first, only_second = np.linspace(0.0, 0.3, 12), np.linspace(0.2, 0.02, 12)
    truth, covered = float((only_second - only_first).mean()), 0
    chances = np.column_stack([only_first, only_second, 1 - only_first - only_second])
    for _ in range(500):
        draws = rng.multinomial(10, chances)
        covered += truth in shift(counts([tuple(map(int, row)) for row in draws])).interval  # type: ignore[misc]

    assert covered / 500 >= 0.935
