import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from misalign_eval.stats.difference import benjamini_hochberg, bonferroni_level, holm, sidak_level

PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1,
]  # fmt: skip
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_v11_holm() -> None:
    adjusted = holm(PUBLISHED)

    assert adjusted[:5].tolist() == pytest.approx([0.0015, 0.0056, 0.0247, 0.1140, 0.2211])
    assert (adjusted <= 0.05).sum() == 3


def test_v11_benjamini_hochberg() -> None:
    adjusted = benjamini_hochberg(PUBLISHED)
    expected = [0.0015, 0.0030, 0.0095, 0.035625, 0.0603, 0.063857, 0.063857, 0.0645, 0.0765, 0.486]

    assert adjusted[:10].tolist() == pytest.approx(expected, abs=1e-6)
    assert (adjusted <= 0.05).sum() == 4


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 9, 60])
def test_both_agree_with_statsmodels_in_the_given_order(size: int) -> None:
    p_values = np.random.default_rng(size).random(size) ** 3

    assert holm(p_values).tolist() == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)
    assert benjamini_hochberg(p_values).tolist() == pytest.approx(
        multipletests(p_values, method="fdr_bh")[1].tolist(), abs=1e-12
    )


@given(p_values=P_VALUES)
def test_adjusting_never_lowers_a_p_value_and_holm_is_the_stricter(p_values: list[float]) -> None:
    strict, screen = holm(p_values), benjamini_hochberg(p_values)

    assert all(p <= b + 1e-12 <= h + 2e-12 for p, b, h in zip(p_values, screen, strict, strict=True))


def test_levels_for_several_intervals() -> None:
    assert bonferroni_level(0.95, 10) == pytest.approx(0.995)
    assert sidak_level(0.95, 10) == pytest.approx(0.95**0.1)
    assert sidak_level(0.95, 1) == bonferroni_level(0.95, 1) == pytest.approx(0.95)


@pytest.mark.parametrize("p_values", [[], [1.5], [-0.1], [float("nan")]])
def test_values_that_are_no_p_values_are_refused(p_values: list[float]) -> None:
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError):
            adjust(p_values)


def test_no_comparison_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bonferroni_level(0.95, 0)
    with pytest.raises(ValueError, match="at least one"):
        sidak_level(0.95, 0)
