import pytest

from misalign_eval.stats.difference import EffectiveRate, mover_difference
from misalign_eval.stats.intervals import clopper_pearson_high, clopper_pearson_low
from misalign_eval.stats.settlement import Settlement, difference_settlement, rate_settlement


def test_the_named_number_of_replies_settles_and_one_less_does_not() -> None:
    replies = rate_settlement(0.01, 0.02).to_pass

    assert replies is not None
    assert clopper_pearson_high(0.01 * replies, replies, 0.05) < 0.02
    assert clopper_pearson_high(0.01 * (replies - 1), replies - 1, 0.05) >= 0.02


def test_a_rate_above_the_limit_is_heading_for_failure() -> None:
    settlement = rate_settlement(0.03, 0.02)

    assert settlement.to_pass is None
    assert settlement.to_fail is not None
    assert clopper_pearson_low(0.03 * settlement.to_fail, settlement.to_fail, 0.05) > 0.02


def test_a_rate_at_the_limit_is_never_settled() -> None:
    assert rate_settlement(0.02, 0.02) == Settlement(None, None)


def test_a_rate_a_hair_below_the_limit_is_not_settled_by_ten_million_replies() -> None:
    assert rate_settlement(0.0199999, 0.02) == Settlement(None, None)


def test_stratification_saves_replies() -> None:
    plain, stratified = rate_settlement(0.01, 0.02), rate_settlement(0.01, 0.02, design_effect=0.5)

    assert plain.to_pass is not None
    assert stratified.to_pass is not None
    assert stratified.to_pass == pytest.approx(plain.to_pass / 2, abs=1)


def test_a_difference_is_settled_at_the_named_number() -> None:
    replies = difference_settlement(0.01, 0.012, 0.01).to_pass

    assert replies is not None
    runs = EffectiveRate(0.01, replies), EffectiveRate(0.012, replies)
    assert mover_difference(*runs, 0.9).interval.high < 0.01
    assert difference_settlement(0.01, 0.05, 0.01).to_fail is not None


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="rate in"):
        rate_settlement(1.5, 0.02)
    with pytest.raises(ValueError, match="design effect"):
        difference_settlement(0.1, 0.1, 0.01, design_effect=0)
    with pytest.raises(ValueError, match="no finite sample"):
        rate_settlement(0.1, 0)
