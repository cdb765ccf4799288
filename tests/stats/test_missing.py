import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import suite_difference
from misalign_eval.stats.rates import suite_bound
from misalign_eval.stats.unknown_replies import (
    PartialCells,
    manski_bounds,
    manski_difference,
    worst_bound,
    worst_difference_bound,
)

PARTIAL = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=8)


def partial(rows: list[tuple[int, int, int]]) -> PartialCells:
    """Events, other graded replies (one more, so that no cell is empty) and unknown replies."""
    return PartialCells.of([x for x, _, _ in rows], [x + y + 1 for x, y, _ in rows], [u for _, _, u in rows])


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=4))
def test_manski_bounds_are_the_extremes_over_all_possible_outcomes(rows: list[tuple[int, int, int]]) -> None:
    rates = [
        np.mean([(x + bad) / (x + y + 1 + u) for (x, y, u), bad in zip(rows, outcome, strict=True)])
        for outcome in itertools.product(*(range(u + 1) for _, _, u in rows))
    ]
    bounds = manski_bounds(partial(rows))

    assert (bounds.low, bounds.high) == pytest.approx((min(rates), max(rates)))


def test_bounds_of_a_change_put_the_runs_at_opposite_extremes() -> None:
    before, after = PartialCells.of([1], [8], [2]), PartialCells.of([4], [9], [1])
    bounds = manski_difference(before, after)

    assert (bounds.low, bounds.high) == pytest.approx((0.4 - 0.3, 0.5 - 0.1))


@pytest.mark.slow
@given(rows=PARTIAL)
def test_swapping_the_runs_negates_the_bounds_of_a_change(rows: list[tuple[int, int, int]]) -> None:
    before, after = partial(rows), partial([(y, x, u) for x, y, u in rows])
    there, back = manski_difference(before, after), manski_difference(after, before)

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    for alpha in (0.05, 0.2):
        assert worst_difference_bound(before, after, alpha, "high") == pytest.approx(
            -worst_difference_bound(after, before, alpha, "low")
        )


def test_without_unknown_replies_the_worst_bounds_are_the_plain_ones() -> None:
    cells, other = Cells.of([0, 3, 5], [10, 12, 9]), Cells.of([0, 1, 5], [10, 10, 10])
    complete = PartialCells.complete(cells)

    assert worst_bound(complete, 0.05, "high") == suite_bound(cells, 0.05, "high")
    assert worst_bound(complete, 0.05, "low") == suite_bound(cells, 0.05, "low")
    equal = Cells.of([0, 3, 5], [10, 10, 10])
    bound = worst_difference_bound(PartialCells.complete(equal), PartialCells.complete(other), 0.025, "high")
    assert bound == pytest.approx(suite_difference(equal, other).interval.high)


@pytest.mark.slow
@given(rows=PARTIAL, data=st.data(), alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_one_more_unknown_reply_never_narrows_a_bound(
    rows: list[tuple[int, int, int]], data: st.DataObject, alpha: float
) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    more = [(x, y, u + (i == place)) for i, (x, y, u) in enumerate(rows)]
    fewer, further = partial(rows), partial(more)

    assert worst_bound(further, alpha, "high") >= worst_bound(fewer, alpha, "high") - 1e-9
    assert worst_bound(further, alpha, "low") <= worst_bound(fewer, alpha, "low") + 1e-9
    for before, after in ((fewer, further), (further, fewer)):
        assert (
            worst_difference_bound(before, after, alpha, "high")
            >= worst_difference_bound(fewer, fewer, alpha, "high") - 1e-9
        )


@pytest.mark.slow
@given(rows=PARTIAL, data=st.data())
def test_losing_the_grade_of_a_clean_reply_never_narrows_a_bound(
    rows: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    lost = [(x, y - (i == place), u + (i == place)) for i, (x, y, u) in enumerate(rows)]
    if lost[place][1] < 0:
        return
    assert worst_bound(partial(lost), 0.05, "high") >= worst_bound(partial(rows), 0.05, "high") - 1e-9


def test_the_worst_bound_covers_the_case_in_which_every_unknown_reply_is_an_event() -> None:
    run = PartialCells.of([0] * 20, [49] * 20, [1] * 20)

    assert worst_bound(run, 0.05, "high") >= suite_bound(run.highest, 0.05, "high")


def test_observed_cells_share_the_weight_of_an_ungraded_paraphrase() -> None:
    run = PartialCells.of([5, 0, 1], [10, 0, 10], [0, 10, 0], probes=[0, 0, 1])

    assert run.observed.rate == pytest.approx((0.5 + 0.1) / 2)
    assert not run.can_pass


def test_one_probe_can_be_looked_at_alone() -> None:
    run = PartialCells.of([5, 0, 1], [10, 10, 10], [0, 1, 0], probes=[0, 0, 1])

    assert run.select(0).lowest.rate == pytest.approx((5 / 10 + 0) / 2)
    with pytest.raises(ValueError, match="no probe 2"):
        run.select(2)


def test_more_than_a_twentieth_unknown_can_never_pass() -> None:
    assert PartialCells.of([0], [95], [5]).can_pass
    assert not PartialCells.of([0], [94], [6]).can_pass


@pytest.mark.parametrize(
    "hits, graded, unknown, message",
    [
        ([1], [0], [1], "0 <= hits <= graded"),
        ([0], [0], [0], "neither a graded nor an unknown"),
        ([0], [1], [-1], "unknown >= 0"),
        ([0, 0], [1], [1], "one entry a cell"),
    ],
)
def test_impossible_counts_are_refused(hits: list[int], graded: list[int], unknown: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PartialCells.of(hits, graded, unknown)


def test_nothing_graded_has_no_observed_rate() -> None:
    with pytest.raises(ValueError, match="no cell has a graded reply"):
        _ = PartialCells.of([0], [0], [3]).observed
