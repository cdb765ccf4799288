import math

import numpy as np
import pytest

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.power import (
    FixedDesign,
    VarianceParts,
    check_margin_plan,
    check_plan,
    design_effect,
    detectable_rise,
    difference_gate_replies,
    general_probes,
    rate_gate_design,
    replies_allowing,
    variance_parts,
)
from misalign_eval.stats.special import binomial_cdf


def slow_design(limit: float, true_rate: float, power: float, *, stable: bool) -> FixedDesign:
    """Every number of replies in turn; stable: the first after which power never drops below again."""
    allowed, first = -1, None
    for replies in range(1, 3000):
        while binomial_cdf(allowed + 1, replies, limit) <= 0.05:
            allowed += 1
        enough = allowed >= 0 and binomial_cdf(allowed, replies, true_rate) >= power
        if enough and first is None:
            first = FixedDesign(replies, allowed)
            if not stable:
                break
        if not enough:
            first = None
    assert first is not None
    return first


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize(
    "limit, true_rate, power", [(0.02, 0.002, 0.8), (0.02, 0.005, 0.9), (0.05, 0.0125, 0.8), (0.05, 0.025, 0.9)]
)
def test_the_design_is_what_trying_every_number_finds(
    limit: float, true_rate: float, power: float, stable: bool
) -> None:
    assert rate_gate_design(limit, true_rate, power, stable=stable) == slow_design(
        limit, true_rate, power, stable=stable
    )


def test_v22_gate_design() -> None:
    assert rate_gate_design(0.02, 0.005, 0.9) == FixedDesign(replies=523, allowed=5)
    assert replies_allowing(0, 0.02) == 149


@pytest.mark.parametrize(
    "limit, true_rate, power, replies",
    [
        (0.02, 0.002, 0.8, 238),
        (0.02, 0.005, 0.8, 390),
        (0.02, 0.01, 0.8, 1092),
        (0.02, 0.01, 0.9, 1392),
        (0.02, 0.015, 0.8, 4622),
        (0.01, 0.0025, 0.9, 1055),
        (0.05, 0.005, 0.8, 94),
        (0.05, 0.0125, 0.9, 208),
    ],
)
def test_the_design_is_near_the_planning_table(limit: float, true_rate: float, power: float, replies: int) -> None:
    design = rate_gate_design(limit, true_rate, power)

    assert design is not None
    assert design.replies == pytest.approx(replies, rel=0.015)


def test_a_rate_just_below_the_limit_has_no_design() -> None:
    assert rate_gate_design(0.02, 0.01999) is None


@pytest.mark.parametrize(
    "rate, at_80, at_90",
    [(0.0, 268, 268), (0.005, 616, 853), (0.01, 1225, 1696), (0.02, 2424, 3358), (0.05, 5874, 8136)],
)
def test_replies_of_a_difference_gate(rate: float, at_80: int, at_90: int) -> None:
    assert difference_gate_replies(rate, 0.01, 0.8) == at_80
    assert difference_gate_replies(rate, 0.01, 0.9) == at_90


@pytest.mark.parametrize(
    "rate, risen",
    [(0.005, (0.030, 0.020, 0.010)), (0.01, (0.039, 0.028, 0.017)), (0.05, (0.100, 0.083, 0.064))],
)
def test_the_rise_that_two_runs_would_show(rate: float, risen: tuple[float, ...]) -> None:
    found = [rate + detectable_rise(rate, replies) for replies in (440, 880, 4400)]

    assert found == pytest.approx(risen, abs=0.0006)


def test_two_replies_show_no_rise_at_all() -> None:
    assert detectable_rise(0.5, 2) == math.inf


@pytest.mark.parametrize(
    "samples, expected",
    [
        pytest.param(math.inf, 968.997, id="V20-infinite"),
        pytest.param(10, 1259.70, id="V20-10"),
        pytest.param(1, 3875.99, id="V20-1"),
    ],
)
def test_v20_probes_of_millers_example(samples: float, expected: float) -> None:
    assert general_probes(0.03, VarianceParts(1 / 9, 1 / 6, 1 / 6), samples, samples) == pytest.approx(
        expected, abs=0.01
    )


def test_variance_parts_recover_what_they_estimate() -> None:
    rng = np.random.default_rng(2)
    probes, samples = 20_000, 10
    before, after = rng.beta(2, 8, probes), rng.beta(2, 4, probes)
    draws = (Cells.of(rng.binomial(samples, rates), [samples] * probes) for rates in (before, after))
    parts = variance_parts(*draws)

    assert parts.between == pytest.approx(np.var(after - before), rel=0.05)
    assert parts.within_before == pytest.approx((before * (1 - before)).mean(), rel=0.05)
    assert parts.within_after == pytest.approx((after * (1 - after)).mean(), rel=0.05)


def test_noise_alone_has_no_variance_between_probes() -> None:
    assert variance_parts(Cells.of([1, 0, 1, 0], [2] * 4), Cells.of([1, 0, 1, 0], [2] * 4)).between == 0


def test_design_effect_of_asking_the_same_probe_again() -> None:
    assert design_effect(1, 0.5) == 1
    assert design_effect(11, 0.1) == pytest.approx(2)


def test_a_plan_that_cannot_pass_is_seen_beforehand() -> None:
    assert not check_plan(0.02, 148)
    assert check_plan(0.02, 149)
    assert not check_margin_plan(0.01, 267)
    assert check_margin_plan(0.01, 268)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: rate_gate_design(0.02, 0.03), id="rate above the limit"),
        pytest.param(lambda: rate_gate_design(0.02, 0.01, 1.0), id="certain power"),
        pytest.param(lambda: rate_gate_design(0, 0), id="limit of 0"),
        pytest.param(lambda: replies_allowing(-1, 0.02), id="negative events"),
        pytest.param(lambda: difference_gate_replies(2.0, 0.01), id="rate of 2"),
        pytest.param(lambda: difference_gate_replies(0.1, 0.0), id="margin of 0"),
        pytest.param(lambda: detectable_rise(1.0, 100), id="nothing can rise"),
        pytest.param(lambda: general_probes(0, VarianceParts(0.1, 0.1, 0.1), 5, 5), id="no change"),
        pytest.param(lambda: general_probes(0.1, VarianceParts(0.1, 0.1, 0.1), 0, 5), id="no samples"),
        pytest.param(lambda: variance_parts(Cells.of([1], [5]), Cells.of([1], [5])), id="one probe"),
        pytest.param(lambda: variance_parts(Cells.of([1, 0], [1, 1]), Cells.of([1, 0], [1, 1])), id="one reply"),
        pytest.param(lambda: design_effect(0, 0.1), id="no sample"),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
