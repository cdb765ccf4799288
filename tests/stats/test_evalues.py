import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.sequential import (
    DIFFERENCE_GRID,
    RATE_FAIL_GRID,
    RATE_PASS_GRID,
    Claim,
    difference_evidence,
    log_evidence,
    log_mean_wealth,
    log_weighted_evidence,
    rate_evidence,
    score_log_wealth,
    time_uniform_interval,
)

COUNTS = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def exact_evidence(counts: dict[int, int], limit: str, claim: Claim, grid: tuple[float, ...]) -> Fraction:
    """The definition in rational numbers: mean over the grid of the product of all factors."""
    m0, low, high = Fraction(limit), Fraction(min(counts)), Fraction(max(counts))
    total = Fraction(0)
    for share in grid:
        f = Fraction(str(share))
        stake = f / (high - m0) if claim == "pass" else f / (m0 - low)
        sign = 1 if claim == "pass" else -1
        total += math.prod((1 + sign * stake * (m0 - value)) ** number for value, number in counts.items())
    return total / len(grid)


@pytest.mark.parametrize(
    "hits, trials, expected",
    [
        pytest.param(0, 176, 16.50705429, id="V16-0/176"),
        pytest.param(0, 220, 36.13163899, id="V16-0/220"),
        pytest.param(1, 264, 7.130692444, id="V16-1/264"),
        pytest.param(2, 396, 11.13541706, id="V16-2/396"),
    ],
)
def test_evidence_for_passing_equals_exact_rationals(hits: int, trials: int, expected: float) -> None:
    exact = exact_evidence({0: trials - hits, 1: hits}, "0.02", "pass", RATE_PASS_GRID)

    assert float(exact) == pytest.approx(expected, rel=1e-9)
    assert rate_evidence(hits, trials, 0.02, "pass") == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize(
    "hits, trials, expected",
    [
        pytest.param(5, 44, 29.9491843, id="V16b-5/44"),
        pytest.param(12, 176, 119.0907597, id="V16b-12/176"),
        pytest.param(20, 440, 40.63275563, id="V16b-20/440"),
    ],
)
def test_evidence_for_failing_equals_exact_rationals(hits: int, trials: int, expected: float) -> None:
    exact = exact_evidence({0: trials - hits, 1: hits}, "0.02", "fail", RATE_FAIL_GRID)

    assert float(exact) == pytest.approx(expected, rel=1e-8)
    assert rate_evidence(hits, trials, 0.02, "fail") == pytest.approx(float(exact), rel=1e-11)


def test_the_stakes_are_the_declared_ones() -> None:
    """The largest stakes hardly show in the figures above, yet change what an old run decided."""
    assert RATE_PASS_GRID == (1.0, 0.9, 0.75, 0.5, 0.25)
    assert RATE_FAIL_GRID == (0.64, 0.32, 0.16, 0.08, 0.04, 0.02, 0.01, 0.005)
    assert DIFFERENCE_GRID == (1.0, 0.6, 0.35, 0.2, 0.1, 0.05)


def test_v16b_first_decisions() -> None:
    def first(target: float) -> int:
        return next(n for n in range(1, 400) if rate_evidence(0, n, 0.02, "pass") >= target)

    assert (first(20), first(25)) == (187, 200)
    assert next(x for x in range(45) if rate_evidence(x, 44, 0.02, "fail") >= 25) == 5


@pytest.mark.parametrize(
    "counts, claim, expected",
    [
        pytest.param((0, 440, 0), "pass", 17.91908942, id="V17-440"),
        pytest.param((0, 528, 0), "pass", 39.71887315, id="V17-528"),
        pytest.param((2, 1300, 5), "pass", 16.7478927, id="V17-1307"),
        pytest.param((1, 430, 20), "fail", 65.45446603, id="V17-451"),
        pytest.param((3, 850, 25), "fail", 13.14751777, id="V17-878"),
    ],
)
def test_evidence_on_a_difference_equals_exact_rationals(
    counts: tuple[int, int, int], claim: Claim, expected: float
) -> None:
    down, same, up = counts
    exact = exact_evidence({-1: down, 0: same, 1: up}, "0.01", claim, DIFFERENCE_GRID)

    assert float(exact) == pytest.approx(expected, rel=1e-8)
    assert difference_evidence(*counts, 0.01, claim) == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize(
    "hits, trials, low, high",
    [
        pytest.param(0, 220, 0, 0.0205062, id="V17b-0/220"),
        pytest.param(2, 440, 0.0001149, 0.0219971, id="V17b-2/440"),
        pytest.param(20, 440, 0.0200300, 0.0842910, id="V17b-20/440"),
    ],
)
def test_v17b_time_uniform_interval(hits: int, trials: int, low: float, high: float) -> None:
    interval = time_uniform_interval([trials - hits, hits])

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


@given(counts=COUNTS)
def test_the_time_uniform_interval_is_where_neither_evidence_decides(counts: tuple[int, int]) -> None:
    hits, trials = counts
    if not trials:
        return
    interval = time_uniform_interval([trials - hits, hits])

    if interval.high < 1:
        assert rate_evidence(hits, trials, interval.high, "pass") == pytest.approx(40, rel=1e-6)
    if interval.low > 0:
        assert rate_evidence(hits, trials, interval.low, "fail") == pytest.approx(40, rel=1e-6)
    assert interval.low <= hits / trials <= interval.high


def test_the_time_uniform_interval_of_a_change_holds_the_change() -> None:
    interval = time_uniform_interval([3, 850, 25])

    assert interval.low < 22 / 878 < interval.high
    assert time_uniform_interval([0, 0, 5]).high == 1
    assert time_uniform_interval([5, 0, 0]).low == -1


@pytest.mark.slow
@given(outcomes=st.lists(st.sampled_from([0, 1]), min_size=1, max_size=40), data=st.data())
def test_the_order_of_replies_does_not_matter(outcomes: list[int], data: st.DataObject) -> None:
    """Reply by reply, in two orders: K running products each, averaged at the end."""
    shuffled = data.draw(st.permutations(outcomes))
    running = [score_log_wealth([float(v)], 0.1, "fail") for v in outcomes]
    other = [score_log_wealth([float(v)], 0.1, "fail") for v in shuffled]
    total = rate_evidence(sum(outcomes), len(outcomes), 0.1, "fail")

    assert math.exp(log_mean_wealth(np.sum(running, axis=0))) == pytest.approx(total, rel=1e-9)
    assert math.exp(log_mean_wealth(np.sum(other, axis=0))) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("claim", ["pass", "fail"])
@pytest.mark.parametrize("rates", [(0.02,) * 4, (0.08, 0, 0, 0), (0.05, 0.03, 0, 0)])
def test_expected_evidence_after_one_round_is_at_most_one_however_unlike_the_cells(
    claim: Claim, rates: tuple[float, ...]
) -> None:
    """All outcomes of a round over four cells whose mean rate is the limit."""
    expected = 0.0
    for outcome in range(16):
        events = [outcome >> cell & 1 for cell in range(4)]
        chance = math.prod(p if event else 1 - p for p, event in zip(rates, events, strict=True))
        expected += chance * rate_evidence(sum(events), 4, 0.02, claim)

    assert expected <= 1 + 1e-12


@pytest.mark.parametrize("claim", ["pass", "fail"])
def test_expected_weighted_evidence_after_one_round_is_at_most_one(claim: Claim) -> None:
    weights, rates = (0.5, 0.3, 0.2), (0.1, 0.0, 0.25)
    expected = 0.0
    for outcome in range(8):
        events = [outcome >> cell & 1 for cell in range(3)]
        chance = math.prod(p if event else 1 - p for p, event in zip(rates, events, strict=True))
        expected += chance * math.exp(log_weighted_evidence(events, [1] * 3, weights, 0.1, claim))

    assert expected <= 1 + 1e-12


@given(counts=COUNTS, cells=st.integers(1, 5), claim=st.sampled_from(["pass", "fail"]))
def test_equal_weights_give_the_plain_evidence(counts: tuple[int, int], cells: int, claim: Claim) -> None:
    hits, trials = counts
    spread = [hits // cells + (place < hits % cells) for place in range(cells)]
    weighted = log_weighted_evidence(spread, [trials] * cells, [1 / cells] * cells, 0.1, claim)

    assert weighted == pytest.approx(
        float(log_evidence(np.array([cells * trials - hits, hits]), 0.1, claim)), rel=1e-9, abs=1e-9
    )


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=30), limit=st.floats(0.05, 0.95))
def test_scores_multiply_wealth_reply_by_reply(scores: list[float], limit: float) -> None:
    slow = np.mean([math.prod(1 + f / (1 - limit) * (limit - s) for s in scores) for f in RATE_PASS_GRID])

    wealth = math.exp(log_mean_wealth(score_log_wealth(scores, limit, "pass")))
    assert wealth == pytest.approx(slow, rel=1e-7, abs=1e-12)


def test_many_runs_can_be_worked_out_at_once() -> None:
    together = log_evidence(np.array([[176, 0], [220, 0]]), 0.02, "pass")

    assert np.exp(together).tolist() == pytest.approx([16.50705429, 36.13163899])


def test_overwhelming_evidence_is_infinite_and_not_an_error() -> None:
    assert rate_evidence(0, 10**6, 0.02, "pass") == math.inf
    assert rate_evidence(10**6, 10**6, 0.02, "pass") == 0


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: rate_evidence(5, 4, 0.02, "pass"), id="hits"),
        pytest.param(lambda: rate_evidence(0, 4, 0.0, "pass"), id="limit of 0"),
        pytest.param(lambda: rate_evidence(0, 4, 1.0, "fail"), id="limit of 1"),
        pytest.param(lambda: difference_evidence(-1, 4, 1, 0.01, "pass"), id="negative"),
        pytest.param(lambda: log_evidence(np.array([1, 2, 3, 4]), 0.1, "pass"), id="four values"),
        pytest.param(lambda: log_weighted_evidence([1], [1, 1], [1], 0.1, "pass"), id="lengths"),
        pytest.param(lambda: log_weighted_evidence([1, 0], [1, 1], [0.5, 0.6], 0.1, "pass"), id="weights"),
        pytest.param(lambda: score_log_wealth([1.5], 0.1, "pass"), id="score"),
        pytest.param(lambda: score_log_wealth([0.5], 1.0, "pass"), id="score limit"),
        pytest.param(lambda: time_uniform_interval([0, 0]), id="nothing"),
        pytest.param(lambda: time_uniform_interval([1]), id="one count"),
        pytest.param(lambda: time_uniform_interval([5, 1], level=95), id="level"),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
