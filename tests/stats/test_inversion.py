"""Bounds from evidence, and evidence about changes where cells weigh differently."""

import math
from fractions import Fraction

import numpy as np
import pytest

from misalign_eval.stats.cells import macro_weights
from misalign_eval.stats.sequential import (
    DIFFERENCE_GRID,
    Claim,
    difference_evidence,
    limit_at_evidence,
    log_evidence,
    log_weighted_difference_evidence,
    time_uniform_interval,
)


@pytest.mark.parametrize("counts", [(220, 0), (438, 2), (420, 20), (0, 9)])
def test_the_edges_of_rate_evidence_are_the_time_uniform_interval(counts: tuple[int, int]) -> None:
    tally, target = np.array(counts), math.log(40)
    low = limit_at_evidence(lambda limit: float(log_evidence(tally, limit, "fail")), "fail", target, 0.0, 1.0)
    high = limit_at_evidence(lambda limit: float(log_evidence(tally, limit, "pass")), "pass", target, 0.0, 1.0)
    expected = time_uniform_interval(counts)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("claim", ["pass", "fail"])
def test_equal_weights_give_the_plain_difference_evidence(claim: Claim) -> None:
    found = log_weighted_difference_evidence([1, 1], [650, 650], [3, 2], [0.5, 0.5], 0.01, claim)
    assert math.exp(found) == pytest.approx(difference_evidence(2, 1300, 5, 0.01, claim))


def test_weighted_evidence_is_the_product_by_definition() -> None:
    weights, margin = (Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)), Fraction(1, 20)
    changes = ((-1, 0, 0), (0, 0, 1), (0, 0, 0))
    total = Fraction(0)
    for share in DIFFERENCE_GRID:
        stake, wealth = Fraction(share) / (1 - margin), Fraction(1)
        for weight, values in zip(weights, changes, strict=True):
            for value in values:
                wealth *= 1 + stake * weight / max(weights) * (margin - value)
        total += wealth / len(DIFFERENCE_GRID)
    down, same, up = ([values.count(value) for values in changes] for value in (-1, 0, 1))
    shares = [float(weight) for weight in weights]
    found = log_weighted_difference_evidence(down, same, up, shares, float(margin), "pass")
    assert math.exp(found) == pytest.approx(float(total))


def test_weighted_evidence_keeps_its_error_at_the_margin() -> None:
    """Mean change just at the margin, carried by the heaviest cell."""
    rng = np.random.default_rng(3)
    weights = macro_weights(np.array([0, 0, 1]))
    rises, crossed = np.array([0.0, 0.0, 0.2]), 0
    for _ in range(300):
        up = (rng.random((60, 3)) < rises).cumsum(axis=0)
        looks = (
            log_weighted_difference_evidence([0, 0, 0], n - up[n - 1], up[n - 1], weights, 0.1, "pass")
            for n in range(5, 61, 5)
        )
        crossed += max(looks) >= math.log(20)
    assert crossed <= 0.07 * 300


def test_unequal_lengths_and_margins_out_of_range_are_refused() -> None:
    for arguments in (([0], [1, 1], [0, 0], [0.5, 0.5], 0.1), ([0, 0], [1, 1], [0, 0], [0.5, 0.5], 1.0)):
        with pytest.raises(ValueError, match="one entry a cell"):
            log_weighted_difference_evidence(*arguments, "pass")
