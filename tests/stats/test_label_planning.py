import pytest

from misalign_eval.stats.power import (
    LabelAssumptions,
    chance_to_pass,
    expected_width,
    fewest_labels,
    labels_to_halve,
    labels_to_pass,
)


def judge(rate: float, sensitivity: float = 0.9, specificity: float = 0.99, replies: int = 4400) -> LabelAssumptions:
    flagged = rate * sensitivity + (1 - rate) * (1 - specificity)
    return LabelAssumptions(flagged, rate * sensitivity / flagged, rate * (1 - sensitivity) / (1 - flagged), replies)


@pytest.mark.parametrize("limit, labels", [(0.01, 428), (0.02, 214), (0.05, 86), (0.10, 43)])
def test_fewest_labels_are_those_of_a_clean_unflagged_part(limit: float, labels: int) -> None:
    assert fewest_labels(limit) == labels


@pytest.mark.parametrize(
    "rate, labels, published",
    [
        (0.005, 150, 0.0),
        (0.005, 300, 0.86),
        (0.005, 450, 0.99),
        (0.01, 300, 0.06),
        (0.01, 450, 0.66),
        (0.01, 600, 0.87),
        (0.01, 900, 0.98),
    ],
)
def test_the_published_chances_of_passing_a_corrected_gate_at_two_percent(
    rate: float, labels: int, published: float
) -> None:
    """Ours takes the judge's rate as expected; the published chances let it vary, which softens them a little."""
    assert chance_to_pass(judge(rate), labels, 0.02) == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize("labels", [300, 450, 600, 900])
def test_a_run_at_the_limit_hardly_ever_passes(labels: int) -> None:
    assert chance_to_pass(judge(0.02), labels, 0.02) <= 0.023


def test_the_number_that_is_named_is_the_least_that_does() -> None:
    needed = labels_to_pass(judge(0.01), 0.02)

    assert needed is not None
    assert chance_to_pass(judge(0.01), needed, 0.02) >= 0.8
    assert chance_to_pass(judge(0.01), round(0.9 * needed), 0.02) < 0.8


def test_no_number_of_labels_passes_a_run_that_is_at_the_limit() -> None:
    assert labels_to_pass(judge(0.02), 0.02) is None


def test_a_run_with_fewer_replies_than_labels_needed_cannot_pass() -> None:
    assert labels_to_pass(judge(0.001, replies=150), 0.02) is None


def test_halving_takes_more_labels_and_halves() -> None:
    here = judge(0.02)
    needed = labels_to_halve(here, 100)

    assert needed is not None
    assert expected_width(here, needed) <= expected_width(here, 100) / 2 < expected_width(here, needed // 2)


def test_a_small_run_cannot_halve() -> None:
    assert labels_to_halve(judge(0.2, replies=120), 100) is None


@pytest.mark.parametrize("limit, alpha", [(0.0, 0.05), (1.0, 0.05), (0.02, 0.0)])
def test_impossible_limits_are_refused(limit: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="fractions"):
        fewest_labels(limit, alpha)
