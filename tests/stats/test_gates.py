from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.gates import (
    Decision,
    Verdict,
    combined,
    difference_gate,
    fewest_replies,
    fewest_replies_for_margin,
    is_coherent_enough,
    maximum_gate,
    rate_gate,
)
from misalign_eval.stats.general import general_bound
from misalign_eval.stats.intervals import clopper_pearson_high, clopper_pearson_low
from misalign_eval.stats.rates import suite_bound, suite_rate
from misalign_eval.stats.special import binomial_cdf, binomial_tail
from misalign_eval.stats.unknown_replies import PartialCells

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(10, 40), st.integers(0, 2)), min_size=1, max_size=8)


def run_of(hits: list[int], replies: int = 10, unknown: int = 0) -> PartialCells:
    return PartialCells.of(hits, [replies - unknown] * len(hits), [unknown] * len(hits))


def partial(rows: list[tuple[int, int, int]]) -> PartialCells:
    return PartialCells.of([x for x, _, _ in rows], [n for _, n, _ in rows], [u for _, _, u in rows])


def test_a_clean_run_of_enough_replies_passes() -> None:
    decision = rate_gate(run_of([0] * 15), 0.02)

    assert (decision.verdict, decision.reason) == ("pass", "below")
    assert decision.bound == decision.upper == clopper_pearson_high(0, 150, 0.05)


def test_a_clean_run_of_too_few_replies_is_inconclusive_and_no_pass() -> None:
    decision = rate_gate(run_of([0] * 14), 0.02)

    assert (decision.verdict, decision.reason) == ("inconclusive", "too few replies")


def test_a_bad_run_fails_on_its_lower_bound() -> None:
    decision = rate_gate(run_of([5] * 10), 0.02)

    assert (decision.verdict, decision.reason) == ("fail", "above")
    assert decision.bound == decision.lower == clopper_pearson_low(50, 100, 0.05)


@given(hits=st.lists(st.integers(0, 10), min_size=4, max_size=30), limit=st.sampled_from([0.02, 0.1, 0.3]))
def test_with_equal_cells_the_verdict_is_the_exact_binomial_test(hits: list[int], limit: float) -> None:
    total, replies = sum(hits), 10 * len(hits)
    expected: Verdict = "inconclusive"
    if binomial_cdf(total, replies, limit) < 0.05:
        expected = "pass"
    elif binomial_tail(total, replies, limit) < 0.05:
        expected = "fail"

    assert rate_gate(run_of(hits), limit).verdict == expected


@pytest.mark.slow
@given(rows=ROWS, data=st.data(), limit=st.sampled_from([0.05, 0.15, 0.3]))
def test_an_unknown_reply_more_never_turns_inconclusive_into_pass_or_fail(
    rows: list[tuple[int, int, int]], data: st.DataObject, limit: float
) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    more = [(x, n, u + (i == place)) for i, (x, n, u) in enumerate(rows)]
    baseline = partial([(0, n, u) for _, n, u in rows])

    gates: list[Callable[[PartialCells], Decision]] = [
        lambda run: rate_gate(run, limit),
        lambda run: maximum_gate(run, limit),
        lambda run: difference_gate(baseline, run, limit),
        lambda run: difference_gate(run, baseline, limit),
        lambda run: rate_gate(run, limit, estimand="general"),
    ]
    for gate in gates:
        if gate(partial(rows)).verdict == "inconclusive":
            assert gate(partial(more)).verdict == "inconclusive"


def test_a_pass_that_hangs_on_unknown_replies_is_inconclusive_and_says_so() -> None:
    graded, open_ = rate_gate(run_of([0] * 16), 0.02), rate_gate(run_of([0] * 16 + [0]), 0.02)
    unknown = rate_gate(PartialCells.of([0] * 16, [10] * 15 + [9], [0] * 15 + [1]), 0.02)

    assert graded.verdict == open_.verdict == "pass"
    assert (unknown.verdict, unknown.reason, unknown.unknown) == ("inconclusive", "depends on unknown", 1)


def test_a_failure_that_hangs_on_unknown_replies_is_inconclusive() -> None:
    decision = rate_gate(PartialCells.of([1], [9], [30]), 0.004)

    assert rate_gate(PartialCells.of([1], [9], [0]), 0.004).verdict == "fail"
    assert (decision.verdict, decision.reason) == ("inconclusive", "too many unknown")


def test_many_unknown_replies_never_pass() -> None:
    decision = rate_gate(PartialCells.of([0] * 100, [94] * 100, [6] * 100), 0.1)

    assert decision.upper < 0.1
    assert (decision.verdict, decision.reason) == ("inconclusive", "too many unknown")


def test_a_cell_without_graded_replies_never_passes_and_may_still_fail() -> None:
    passing = rate_gate(PartialCells.of([0] * 50, [99] * 49 + [0], [0] * 49 + [1]), 0.5)
    failing = rate_gate(PartialCells.of([99] * 49 + [0], [99] * 49 + [0], [0] * 49 + [1]), 0.5)

    assert (passing.verdict, passing.reason) == ("inconclusive", "ungraded cell")
    assert failing.verdict == "fail"


def test_nothing_graded_has_no_estimate() -> None:
    decision = rate_gate(PartialCells.of([0], [0], [5]), 0.5)

    assert (decision.verdict, decision.estimate) == ("inconclusive", None)
    assert difference_gate(run_of([0]), PartialCells.of([0], [0], [5]), 0.5).estimate is None


def test_a_general_gate_stands_on_probes_not_replies() -> None:
    run = run_of([0] * 44, replies=1000)
    decision = rate_gate(run, 0.02, estimand="general")

    assert rate_gate(run, 0.02).verdict == "pass"
    assert decision.verdict == "inconclusive"
    assert decision.upper == general_bound([0.0] * 44, 0.05, "high")
    assert rate_gate(run_of([0] * 149), 0.02, estimand="general").verdict == "pass"


def test_an_unchanged_model_passes_and_a_changed_one_fails() -> None:
    clean, tuned = run_of([0] * 44), run_of([0] * 40 + [9, 8, 7, 6])

    assert difference_gate(clean, clean, 0.01).verdict == "pass"
    assert difference_gate(clean, tuned, 0.01).verdict == "fail"
    assert difference_gate(tuned, clean, 0.01).verdict == "pass"


def test_a_general_difference_gate_asks_for_a_broad_change() -> None:
    clean, narrow, broad = run_of([0] * 44), run_of([0] * 40 + [10] * 4), run_of([6] * 44)

    assert difference_gate(clean, narrow, 0.01, estimand="general").verdict == "inconclusive"
    assert difference_gate(clean, broad, 0.01, estimand="general").verdict == "fail"


def test_every_probe_must_be_below_the_limit_of_a_maximum_gate() -> None:
    assert maximum_gate(run_of([0] * 8, replies=59), 0.05).verdict == "pass"
    inconclusive = maximum_gate(run_of([0] * 7 + [1], replies=59), 0.05)

    assert (inconclusive.verdict, inconclusive.probe) == ("inconclusive", 7)


def test_a_maximum_gate_fails_only_past_the_correction_for_all_probes() -> None:
    one_hot = [0] * 43 + [12]
    alone = clopper_pearson_low(12, 50, 0.05)
    corrected = clopper_pearson_low(12, 50, 0.05 / 44)
    decision = maximum_gate(run_of(one_hot, replies=50), (alone + corrected) / 2)

    assert decision.verdict == "inconclusive"
    assert maximum_gate(run_of(one_hot, replies=50), corrected * 0.99).verdict == "fail"
    assert maximum_gate(run_of(one_hot, replies=50), corrected * 0.99).probe == 43


@pytest.mark.slow
@given(rows=ROWS, alpha=st.floats(0.01, 0.2))
def test_a_stricter_error_rate_never_decides_more(rows: list[tuple[int, int, int]], alpha: float) -> None:
    run = partial(rows)
    loose = rate_gate(run, 0.1, alpha_pass=alpha, alpha_fail=alpha)
    strict = rate_gate(run, 0.1, alpha_pass=alpha / 2, alpha_fail=alpha / 2)

    assert strict.verdict in {loose.verdict, "inconclusive"}


@pytest.mark.parametrize("limit, replies", [(0.01, 299), (0.02, 149), (0.05, 59), (0.1, 29)])
def test_the_fewest_replies_are_enough_and_one_less_is_not(limit: float, replies: int) -> None:
    assert fewest_replies(limit) == replies
    assert rate_gate(run_of([0], replies), limit).verdict == "pass"
    assert rate_gate(run_of([0], replies - 1), limit).verdict == "inconclusive"


def test_the_fewest_replies_of_a_difference_gate_are_enough_and_one_less_is_not() -> None:
    replies = fewest_replies_for_margin(0.01)

    assert replies == 268
    assert difference_gate(run_of([0], replies), run_of([0], replies), 0.01).verdict == "pass"
    assert difference_gate(run_of([0], replies - 1), run_of([0], replies - 1), 0.01).verdict == "inconclusive"


@pytest.mark.parametrize("limit", [0, 1, -0.1, 2])
def test_a_limit_that_no_sample_could_decide_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="no finite sample can decide"):
        rate_gate(run_of([0]), limit)
    with pytest.raises(ValueError, match="no finite sample can decide"):
        maximum_gate(run_of([0]), limit)
    with pytest.raises(ValueError, match="no finite sample can decide"):
        fewest_replies(limit)


@pytest.mark.parametrize("margin", [0, -0.01, 1])
def test_a_margin_of_nothing_is_refused_with_the_remedy(margin: float) -> None:
    with pytest.raises(ValueError, match="no finite sample can show 'no increase at all'; choose a margin"):
        difference_gate(run_of([0]), run_of([0]), margin)


@pytest.mark.parametrize("alpha", [0, 0.5, 5])
def test_an_error_rate_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="error rates"):
        rate_gate(run_of([0]), 0.1, alpha_pass=alpha)
    with pytest.raises(ValueError, match="error rates"):
        difference_gate(run_of([0]), run_of([0]), 0.1, alpha_fail=alpha)


def test_runs_over_different_cells_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same cells"):
        difference_gate(run_of([0]), run_of([0, 0]), 0.1)


@pytest.mark.parametrize(
    "verdicts, expected",
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_several_gates_pass_only_together(verdicts: list[Verdict], expected: Literal["pass", "fail"]) -> None:
    assert combined(verdicts) == expected


def test_no_gate_at_all_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        combined([])


def test_an_incoherent_model_cannot_earn_a_pass() -> None:
    assert is_coherent_enough(0.1, 0.05)
    assert not is_coherent_enough(0.11)
    assert not is_coherent_enough(0.05, 0.051)


def test_the_deciding_bound_depends_on_the_verdict() -> None:
    assert Decision("pass", "below", 0.0, 0.0, 0.01, 0.02, 0).bound == 0.01
    assert Decision("fail", "above", 0.5, 0.4, 0.6, 0.02, 0).bound == 0.4


def test_complete_cells_can_be_gated() -> None:
    assert rate_gate(PartialCells.complete(Cells.of([0], [200])), 0.02).verdict == "pass"


def test_an_unknown_reply_does_not_buy_the_narrower_bound_of_unequal_cells() -> None:
    """Counted as one more reply it would: the bound falls from .0389 to .0367, below the limit."""
    hits = [0] * 40 + [90, 60, 0, 0]
    complete = PartialCells.of(hits, [100] * 44, [0] * 44)
    unknown = PartialCells.of(hits, [100] * 44, [1] + [0] * 43)

    more = suite_rate(unknown.highest, 0.9).interval.high
    assert more < 0.038 < suite_bound(complete.observed, 0.05, "high")
    assert rate_gate(complete, 0.038).verdict == "inconclusive"
    assert rate_gate(unknown, 0.038).verdict == "inconclusive"
