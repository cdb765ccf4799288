import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.agreement import GraderTable, coefficients, kappa_interval

COUNTS = st.tuples(*[st.integers(0, 20)] * 4).filter(any)


@pytest.mark.parametrize(
    "counts, kappa, ac1, alpha",
    [
        pytest.param((20, 5, 10, 15), 0.4, 0.4059406, 0.4, id="V12-balanced"),
        pytest.param((118, 5, 2, 0), -0.0233918, 0.9407763, -0.0246914, id="V12b-skewed"),
        pytest.param((1, 3, 1, 5), 0.0909091, 0.3103448, 0.0952381, id="V12-krippendorff"),
    ],
)
def test_v12_digits_from_weighted_tables_too(
    counts: tuple[int, int, int, int], kappa: float, ac1: float, alpha: float
) -> None:
    """Weights that are all the same change nothing: alpha's small-sample term stands on the number of replies."""
    whole = coefficients(np.array([counts], dtype=float), sum(counts))
    weighted = coefficients(7.5 * np.array([counts], dtype=float), sum(counts))

    for found in (whole, weighted):
        assert found.kappa.estimate == pytest.approx(kappa, abs=1e-6)
        assert found.ac1.estimate == pytest.approx(ac1, abs=1e-6)
        assert found.alpha.estimate == pytest.approx(alpha, abs=1e-6)


@given(counts=COUNTS)
def test_they_agree_with_the_table(counts: tuple[int, int, int, int]) -> None:
    table = GraderTable(*counts)
    found = coefficients(np.array([counts], dtype=float), table.total, resamples=2)

    assert found.ac1.estimate == pytest.approx(table.gwet_ac1())
    for ours, theirs in ((found.kappa, table.cohen_kappa()), (found.alpha, table.krippendorff_alpha())):
        assert ours.estimate is None if theirs is None else ours.estimate == pytest.approx(theirs)


def test_the_intervals_are_those_of_the_bootstrap_over_probes() -> None:
    tables = np.random.default_rng(1).multinomial(30, [0.2, 0.1, 0.05, 0.65], size=20)
    found = coefficients(tables.astype(float), int(tables.sum()))

    assert found.kappa.interval == kappa_interval(tables)
    assert found.ac1.interval is not None
    assert found.ac1.estimate is not None
    assert found.ac1.interval.low < found.ac1.estimate < found.ac1.interval.high


def test_one_probe_alone_has_no_interval() -> None:
    assert coefficients(np.array([[9.0, 1.0, 1.0, 9.0]]), 20).kappa.interval is None


def test_where_they_agree_on_everything_resampling_tells_no_interval() -> None:
    found = coefficients(np.array([[3.0, 0.0, 0.0, 9.0], [5.0, 0.0, 0.0, 7.0]]), 24)

    assert (found.kappa.estimate, found.ac1.estimate, found.alpha.estimate) == (1.0, 1.0, 1.0)
    assert (found.kappa.interval, found.ac1.interval, found.alpha.interval) == (None, None, None)


def test_without_a_yes_kappa_and_alpha_are_unknown_and_ac1_is_whole() -> None:
    found = coefficients(np.array([[0.0, 0.0, 0.0, 9.0]] * 3), 27)

    assert (found.kappa.estimate, found.alpha.estimate, found.ac1.estimate) == (None, None, 1.0)


@pytest.mark.parametrize(
    "counts, degenerate",
    [
        ((0, 0, 2, 2198), True),
        ((0, 1, 2, 2197), True),
        ((187, 596, 40, 1376), False),
        ((1, 3, 1, 5), False),
        ((0, 3, 0, 5), True),
        ((118, 5, 2, 0), False),
    ],
)
def test_a_table_is_degenerate_where_one_side_says_next_to_no_yes(
    counts: tuple[int, int, int, int], degenerate: bool
) -> None:
    assert GraderTable(*counts).is_degenerate is degenerate


@pytest.mark.parametrize("rows", [np.zeros((2, 4)), np.ones((2, 3)), -np.ones((2, 4))])
def test_impossible_rows_are_refused(rows: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> None:
    with pytest.raises(ValueError, match="four counts"):
        coefficients(rows, 8)
