import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from misalign_eval.stats.agreement import GraderTable, kappa_interval
from misalign_eval.stats.intervals import clopper_pearson

TABLES = st.tuples(*[st.integers(0, 30)] * 4).filter(any)


@pytest.mark.parametrize(
    "counts, kappa, ac1, alpha",
    [
        pytest.param((20, 5, 10, 15), 0.4, 0.4059406, 0.4, id="V12-balanced"),
        pytest.param((118, 5, 2, 0), -0.0233918, 0.9407763, -0.0246914, id="V12b-skewed"),
    ],
)
def test_v12_published_digits(counts: tuple[int, int, int, int], kappa: float, ac1: float, alpha: float) -> None:
    table = GraderTable(*counts)

    assert table.cohen_kappa() == pytest.approx(kappa, abs=1e-6)
    assert table.gwet_ac1() == pytest.approx(ac1, abs=1e-6)
    assert table.krippendorff_alpha() == pytest.approx(alpha, abs=1e-6)


def test_v12_krippendorffs_own_example() -> None:
    assert GraderTable(1, 3, 1, 5).krippendorff_alpha() == pytest.approx(0.0952381, abs=1e-6)


@given(counts=TABLES)
def test_kappa_agrees_with_statsmodels(counts: tuple[int, int, int, int]) -> None:
    a, b, c, d = counts
    ours = GraderTable(*counts).cohen_kappa()
    if ours is None:
        assert max(a, d) == sum(counts)
    else:
        assert ours == pytest.approx(cohens_kappa(np.array([[a, b], [c, d]]), return_results=False), abs=1e-9)


@given(counts=st.tuples(*[st.integers(0, 6)] * 4).filter(lambda c: sum(c) > 1))
def test_alpha_follows_the_definition_by_pairs(counts: tuple[int, int, int, int]) -> None:
    """Observed disagreement inside replies over expected disagreement among all pairs of answers."""
    units = [(1, 1)] * counts[0] + [(1, 0)] * counts[1] + [(0, 1)] * counts[2] + [(0, 0)] * counts[3]
    answers = [answer for unit in units for answer in unit]
    expected = np.mean([first != second for first, second in itertools.permutations(answers, 2)])
    ours = GraderTable(*counts).krippendorff_alpha()
    if expected == 0:
        assert ours is None
    else:
        assert ours == pytest.approx(1 - np.mean([a != b for a, b in units]) / expected)


@given(counts=TABLES)
def test_the_graders_may_swap_places_in_every_symmetric_number(counts: tuple[int, int, int, int]) -> None:
    a, b, c, d = counts
    there, back = GraderTable(a, b, c, d), GraderTable(a, c, b, d)

    assert there.agreement() == back.agreement()
    assert there.cohen_kappa() == pytest.approx(back.cohen_kappa())
    assert there.gwet_ac1() == pytest.approx(back.gwet_ac1())
    assert there.krippendorff_alpha() == pytest.approx(back.krippendorff_alpha())
    assert there.sensitivity() == back.precision()


def test_shares_come_with_exact_intervals() -> None:
    table = GraderTable(18, 2, 5, 75)

    for share, part, whole in (
        (table.agreement(), 93, 100),
        (table.sensitivity(), 18, 20),
        (table.specificity(), 75, 80),
        (table.precision(), 18, 23),
    ):
        assert share is not None
        assert share.estimate == part / whole
        assert share.interval == clopper_pearson(part, whole)


def test_what_is_undefined_is_none_and_not_a_number() -> None:
    all_no = GraderTable(0, 0, 0, 50)

    assert all_no.cohen_kappa() is None
    assert all_no.krippendorff_alpha() is None
    assert all_no.sensitivity() is None
    assert all_no.precision() is None
    assert all_no.gwet_ac1() == 1
    assert kappa_interval(np.array([[0, 0, 0, 9]] * 5)) is None


def test_the_kappa_interval_resamples_probes() -> None:
    tables = np.random.default_rng(1).multinomial(30, [0.2, 0.1, 0.05, 0.65], size=20)
    interval = kappa_interval(tables)
    pooled = GraderTable(*(int(total) for total in tables.sum(axis=0))).cohen_kappa()

    assert interval is not None
    assert pooled is not None
    assert interval.low < pooled < interval.high


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (-1, 0, 0, 5)])
def test_impossible_tables_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="agreement table"):
        GraderTable(*counts)


def test_a_probe_without_replies_has_no_table() -> None:
    with pytest.raises(ValueError, match="none empty"):
        kappa_interval(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="four counts"):
        kappa_interval(np.ones((3, 3)))
