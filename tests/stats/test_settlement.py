import pytest

from misalign_eval.stats.difference import EffectiveRate, mover_difference
from misalign_eval.stats.gates import RepliesToDecide, replies_to_decide_difference, replies_to_decide_rate
from misalign_eval.stats.intervals import clopper_pearson_high, clopper_pearson_low


def test_the_named_number_of_replies_settles_and_one_less_does_not() -> None:
    replies = replies_to_decide_rate(0.01, 0.02).to_pass

    assert replies is not None
    assert clopper_pearson_high(0.01 * replies, replies, 0.05) < 0.02
    assert clopper_pearson_high(0.01 * (replies - 1), replies - 1, 0.05) >= 0.02


def test_a_rate_above_the_limit_is_heading_for_failure() -> None:
    settlement = replies_to_decide_rate(0.03, 0.02)

    assert settlement.to_pass is None
    assert settlement.to_fail is not None
    assert clopper_pearson_low(0.03 * settlement.to_fail, settlement.to_fail, 0.05) > 0.02


def test_a_rate_at_the_limit_is_never_settled() -> None:
    assert replies_to_decide_rate(0.02, 0.02) == RepliesToDecide(None, None)


def test_a_rate_a_hair_below_the_limit_is_not_settled_by_ten_million_replies() -> None:
    assert replies_to_decide_rate(0.0199999, 0.02) == RepliesToDecide(None, None)


def test_stratification_saves_replies() -> None:
    plain, stratified = replies_to_decide_rate(0.01, 0.02), replies_to_decide_rate(0.01, 0.02, design_effect=0.5)

    assert plain.to_pass is not None
    assert stratified.to_pass is not None
    assert stratified.to_pass == pytest.approx(plain.to_pass / 2, abs=1)


def test_a_difference_is_settled_at_the_named_number() -> None:
    replies = replies_to_decide_difference(0.01, 0.012, 0.01).to_pass

    assert replies is not None
    runs = EffectiveRate(0.01, replies), EffectiveRate(0.012, replies)
    assert mover_difference(*runs, 0.9).interval.high < 0.01
    assert replies_to_decide_difference(0.01, 0.05, 0.01).to_fail is not None


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="rate in"):
        replies_to_decide_rate(1.5, 0.02)
    with pytest.raises(ValueError, match="design effect"):
        replies_to_decide_difference(0.1, 0.1, 0.01, design_effect=0)
    with pytest.raises(ValueError, match="no finite sample"):
        replies_to_decide_rate(0.1, 0)
