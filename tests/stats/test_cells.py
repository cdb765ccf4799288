import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells, check_paired, drop_empty, macro_weights, probe_codes


def test_probes_weigh_the_same_however_many_paraphrases_they_have() -> None:
    cells = Cells.of([10, 0, 0], [10, 10, 10], probes=[0, 0, 1])

    assert cells.weights.tolist() == [0.25, 0.25, 0.5]
    assert cells.rate == 0.25
    assert cells.probe_means.tolist() == [0.5, 0.0]


def test_probe_weights_are_normalised() -> None:
    cells = Cells.of([10, 0], [10, 10], probe_weights=[3, 1])

    assert cells.weights.tolist() == [0.75, 0.25]


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(5, 9), st.integers(0, 3)), min_size=4, max_size=12),
)
def test_the_rate_is_the_mean_over_probes_of_means_over_paraphrases(rows: list[tuple[int, int, int]]) -> None:
    names = sorted({row[2] for row in rows})
    cells = Cells.of([r[0] for r in rows], [r[1] for r in rows], [names.index(r[2]) for r in rows])
    slow = np.mean([np.mean([x / n for x, n, probe in rows if probe == name]) for name in names])

    assert cells.rate == pytest.approx(slow)
    assert cells.probe_means.mean() == pytest.approx(slow)
    assert cells.weights.sum() == pytest.approx(1)


def test_a_category_is_weighted_anew_inside_itself() -> None:
    cells = Cells.of([10, 0, 5], [10, 10, 10])
    category = cells.select(np.array([True, False, True]))

    assert category.rate == 0.75
    assert category.probe_count == 2


def test_equal_cells_are_pooled_and_unequal_ones_are_not() -> None:
    assert Cells.of([1, 0], [10, 10]).is_pooled
    assert not Cells.of([1, 0], [10, 11]).is_pooled
    assert not Cells.of([1, 0, 0], [10, 10, 10], probes=[0, 0, 1]).is_pooled
    assert Cells.of([1, 0, 0], [10, 10, 20], probes=[0, 0, 1]).is_pooled


def test_dropping_ungraded_cells_gives_their_weight_to_the_other_paraphrases() -> None:
    cells, kept = drop_empty([5, 0, 1], [10, 0, 10], probes=[0, 0, 1], probe_weights=[1, 3])

    assert kept.tolist() == [True, False, True]
    assert cells.weights.tolist() == [0.25, 0.75]


def test_dropping_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="no cell has a graded reply"):
        drop_empty([0, 0], [0, 0])


def test_arrays_cannot_be_changed_after_the_fact() -> None:
    cells = Cells.of([1, 0], [10, 10])

    with pytest.raises(ValueError, match="read-only"):
        cells.hits[0] = 5


def test_the_caller_may_reuse_its_array() -> None:
    hits = np.array([1.0, 0.0])
    cells = Cells.of(hits, [10, 10])
    hits[0] = 9

    assert cells.hits[0] == 1


@pytest.mark.parametrize(
    "hits, trials, probes, message",
    [
        pytest.param([1], [10, 10], None, "1 cells of hits but 2", id="lengths"),
        pytest.param([1, 0], [10, 0], None, "cell 1 has no graded reply", id="empty cell"),
        pytest.param([11, 0], [10, 10], None, "between 0 and trials", id="too many hits"),
        pytest.param([-1, 0], [10, 10], None, "between 0 and trials", id="negative hits"),
        pytest.param([], [], None, "at least one cell", id="nothing"),
        pytest.param([float("nan")], [10], None, "finite", id="not a number"),
        pytest.param([1, 0], [10, 10], [0, 2], "probe position", id="gap in probes"),
        pytest.param([1, 0], [10, 10], [0], "probe position", id="too few probes"),
    ],
)
def test_impossible_counts_are_refused(
    hits: list[float], trials: list[float], probes: list[int] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Cells.of(hits, trials, probes)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0]])
def test_weights_must_be_positive_and_one_a_probe(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="positive number for each probe"):
        macro_weights(probe_codes(None, 2), weights)


def test_runs_over_different_cells_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same cells"):
        check_paired(Cells.of([1, 0], [10, 10]), Cells.of([1], [10]))
    with pytest.raises(ValueError, match="same weights"):
        check_paired(Cells.of([1, 0], [10, 10]), Cells.of([1, 0], [10, 10], probe_weights=[1, 2]))


def test_choosing_no_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one cell"):
        Cells.of([1, 0], [10, 10]).select(np.array([False, False]))
