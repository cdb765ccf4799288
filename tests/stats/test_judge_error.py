import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.agreement import GraderTable
from misalign_eval.stats.intervals import clopper_pearson
from misalign_eval.stats.judge_error import (
    KnownErrorRates,
    can_correct,
    lang_reiczigel,
    ppi_mean,
    rogan_gladen,
    rogan_gladen_known,
)

SHARES = st.floats(0.0, 1.0)
COUNTS = st.integers(1, 60)


def test_v13_rogan_gladen_with_both_intervals() -> None:
    exact = rogan_gladen_known(20, 120, 0.9, 0.99)
    score = rogan_gladen_known(20, 120, 0.9, 0.99, exact=False)

    assert exact.estimate == pytest.approx(0.1760300, abs=1e-6)
    assert (exact.interval.low, exact.interval.high) == pytest.approx((0.1066051, 0.2647191), abs=1e-6)
    assert (score.interval.low, score.interval.high) == pytest.approx((0.1129887, 0.2623065), abs=1e-6)


def test_v14_lang_reiczigel() -> None:
    corrected = lang_reiczigel(KnownErrorRates(58 / 224, 224), KnownErrorRates(0.90, 100), KnownErrorRates(0.95, 200))

    assert corrected is not None
    assert corrected.estimate == pytest.approx(0.2457983, abs=1e-6)
    assert (corrected.interval.low, corrected.interval.high) == pytest.approx((0.1733522, 0.3251949), abs=1e-6)


def test_v14_follows_the_published_formula_written_out() -> None:
    """Lang & Reiczigel 2014: one pseudo-success and one pseudo-failure for Se and Sp, z squared halves for the rate."""
    z, n = 1.959963984540054, 224
    se, sp, rate = (0.90 * 100 + 1) / 102, (0.95 * 200 + 1) / 202, (58 + z * z / 2) / (n + z * z)
    true = (rate + sp - 1) / (se + sp - 1)
    dse, dsp = se * (1 - se) / 102, sp * (1 - sp) / 202
    shift = 2 * z**2 * (true * dse - (1 - true) * dsp)
    spread = math.sqrt(rate * (1 - rate) / (n + z * z) + true**2 * dse + (1 - true) ** 2 * dsp) / (se + sp - 1)
    corrected = lang_reiczigel(KnownErrorRates(58 / 224, 224), KnownErrorRates(0.90, 100), KnownErrorRates(0.95, 200))

    assert corrected is not None
    assert corrected.interval.low == pytest.approx(true + shift - z * spread, abs=1e-12)
    assert corrected.interval.high == pytest.approx(true + shift + z * spread, abs=1e-12)


@given(rate=SHARES, se=st.floats(0.7, 1.0), sp=st.floats(0.7, 1.0))
def test_rogan_gladen_undoes_a_judge_of_known_error(rate: float, se: float, sp: float) -> None:
    apparent = rate * se + (1 - rate) * (1 - sp)

    assert rogan_gladen(apparent, se, sp) == pytest.approx(rate, abs=1e-9)


def test_a_perfect_judge_needs_no_correction() -> None:
    corrected = rogan_gladen_known(7, 50, 1.0, 1.0)

    apparent = clopper_pearson(7, 50)
    assert corrected.estimate == pytest.approx(0.14)
    assert (corrected.interval.low, corrected.interval.high) == pytest.approx((apparent.low, apparent.high))


@pytest.mark.parametrize("se, sp", [(0.5, 0.5), (0.3, 0.6)])
def test_a_judge_that_tells_nothing_cannot_be_turned_round(se: float, sp: float) -> None:
    with pytest.raises(ValueError, match="Se \\+ Sp must be above 1"):
        rogan_gladen(0.1, se, sp)


def test_at_or_below_a_sum_of_1_2_lang_reiczigel_is_refused() -> None:
    assert not can_correct(0.6, 0.6)
    assert can_correct(0.61, 0.6)
    assert lang_reiczigel(KnownErrorRates(0.2, 100), KnownErrorRates(0.5, 50), KnownErrorRates(0.7, 50)) is None


@given(rate=SHARES, n=COUNTS, se=SHARES, m=COUNTS, sp=SHARES, k=COUNTS)
def test_the_interval_stays_in_range(rate: float, n: int, se: float, m: int, sp: float, k: int) -> None:
    corrected = lang_reiczigel(KnownErrorRates(rate, n), KnownErrorRates(se, m), KnownErrorRates(sp, k))

    if corrected is not None:
        assert 0 <= corrected.interval.low <= corrected.interval.high <= 1
        assert 0 <= corrected.estimate <= 1


def test_ppi_is_offered_from_twenty_labels_of_each_sort_on() -> None:
    assert ppi_mean(GraderTable(19, 0, 0, 400), KnownErrorRates(0.05, 4000)) is None
    assert ppi_mean(GraderTable(400, 0, 0, 19), KnownErrorRates(0.95, 4000)) is None
    assert ppi_mean(GraderTable(20, 0, 0, 20), KnownErrorRates(0.5, 4000)) is not None


def test_ppi_follows_its_definition_reply_by_reply() -> None:
    """Mean of y - w f over the labelled plus w times the mean of f over the others; w minimises the variance."""
    truth = np.array([1] * 90 + [1] * 10 + [0] * 10 + [0] * 390)
    said = np.array([1] * 90 + [0] * 10 + [1] * 10 + [0] * 390)
    judged, others = 0.22, 4000
    weight = np.cov(truth, said, bias=True)[0, 1] / ((1 + len(truth) / others) * said.var())
    estimate = (truth - weight * said).mean() + weight * judged
    spread = math.sqrt((truth - weight * said).var() / len(truth) + weight**2 * judged * (1 - judged) / others)
    corrected = ppi_mean(GraderTable(90, 10, 10, 390), KnownErrorRates(judged, others))

    assert corrected is not None
    assert corrected.estimate == pytest.approx(estimate, abs=1e-12)
    assert corrected.interval.width == pytest.approx(2 * 1.959963984540054 * spread, abs=1e-9)


def test_a_judge_that_says_nothing_leaves_ppi_with_the_labels_alone() -> None:
    corrected = ppi_mean(GraderTable(0, 50, 0, 50), KnownErrorRates(0.0, 1000))

    assert corrected is not None
    assert corrected.estimate == 0.5


@pytest.mark.parametrize("share, trials", [(0.5, 0), (-0.1, 10), (1.1, 10)])
def test_impossible_shares_are_refused(share: float, trials: float) -> None:
    with pytest.raises(ValueError, match="0 <= share <= 1"):
        KnownErrorRates(share, trials)
