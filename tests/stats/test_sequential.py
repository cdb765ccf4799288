import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.sequential import (
    CAP_SHARE,
    EVIDENCE_SHARE,
    UNKNOWN,
    PairCounts,
    SequentialDesign,
    can_still_pass,
    difference_look,
    most_hits_to_pass,
    needed_log_evidence,
    pair_counts,
    rate_evidence,
    rate_look,
    weighted_rate_look,
)
from misalign_eval.stats.special import binomial_cdf

DESIGN = SequentialDesign(limit=0.02, cap=1760)
MARGIN = SequentialDesign(limit=0.01, cap=1760)


def test_a_clean_model_passes_at_the_fifth_round_of_44_probes() -> None:
    assert [rate_look(0, 44 * done, DESIGN).verdict for done in range(1, 6)] == ["continue"] * 4 + ["pass"]


def test_a_bad_model_fails_in_the_first_round() -> None:
    look = rate_look(6, 44, DESIGN)

    assert (look.verdict, look.reason) == ("fail", "evidence")
    assert look.log_fail >= look.needed_fail == needed_log_evidence(0.05) == pytest.approx(math.log(25))


def test_the_looks_and_the_cap_share_one_error_rate() -> None:
    assert (EVIDENCE_SHARE, CAP_SHARE) == (0.8, 0.2)


def test_the_cap_gets_one_exact_look_at_a_fifth_of_alpha() -> None:
    """At the cap the exact test can pass where the evidence does not reach its mark."""
    hits = max(x for x in range(60) if binomial_cdf(x, 1760, 0.02) <= 0.01)

    assert rate_evidence(hits, 1760, 0.02, "pass") < 25
    assert (rate_look(hits, 1760, DESIGN).verdict, rate_look(hits, 1760, DESIGN).reason) == ("pass", "cap")
    assert rate_look(hits + 1, 1760, DESIGN).verdict == "inconclusive"
    assert rate_look(hits, 1759, DESIGN).verdict == "continue"


def test_a_lost_case_stops_early_unless_inconclusive_counts_as_pass() -> None:
    most = most_hits_to_pass(DESIGN)
    patient = SequentialDesign(limit=0.02, cap=1760, stops_when_lost=False)

    assert rate_look(most, 1500, DESIGN).verdict == "continue"
    assert (rate_look(most + 1, 1500, DESIGN).verdict, rate_look(most + 1, 1500, DESIGN).reason) == (
        "inconclusive",
        "cannot pass",
    )
    assert rate_look(most + 1, 1500, patient).verdict == "continue"


def test_from_the_most_hits_a_clean_rest_still_passes_and_from_one_more_it_cannot() -> None:
    most = most_hits_to_pass(DESIGN)

    assert rate_look(most, DESIGN.cap, DESIGN).verdict == "pass"
    assert all(rate_look(most + 1, n, DESIGN).verdict != "pass" for n in range(44, DESIGN.cap + 1, 44))


def test_a_cap_that_is_too_small_can_never_pass() -> None:
    assert most_hits_to_pass(SequentialDesign(limit=0.02, cap=100)) == -1
    assert rate_look(0, 44, SequentialDesign(limit=0.02, cap=100)).reason == "cannot pass"


@given(hits=st.integers(0, 30), trials=st.integers(40, 1760), unknown=st.integers(0, 9))
def test_an_unknown_reply_in_place_of_a_clean_one_never_helps_to_decide(hits: int, trials: int, unknown: int) -> None:
    known = rate_look(hits, trials, DESIGN, unknown=unknown)
    fewer_known = rate_look(hits, trials, DESIGN, unknown=unknown + 1)

    assert fewer_known.log_pass <= known.log_pass
    assert fewer_known.log_fail == known.log_fail
    if known.verdict in {"continue", "inconclusive"}:
        assert fewer_known.verdict in {"continue", "inconclusive"}


def test_equal_weights_look_like_the_plain_gate_until_the_cap() -> None:
    cells = Cells.of([0] * 44, [5] * 44)
    weighted, plain = weighted_rate_look(cells, DESIGN), rate_look(0, 220, DESIGN)

    assert weighted.verdict == plain.verdict == "pass"
    assert (weighted.log_pass, weighted.log_fail) == pytest.approx((plain.log_pass, plain.log_fail))


def test_unequal_weights_need_more_evidence_and_use_the_bound_at_the_cap() -> None:
    cells = Cells.of([0] * 3, [70] * 3, probes=[0, 0, 1])
    capped = SequentialDesign(limit=0.1, cap=210)

    assert weighted_rate_look(cells, DESIGN).verdict == "continue"
    assert weighted_rate_look(cells, capped).verdict == "pass"
    unknown = Cells.of([0, 0, 40], [70] * 3, probes=[0, 0, 1])
    assert weighted_rate_look(cells, capped, highest=unknown).verdict == "inconclusive"


def test_pairs_count_unknown_replies_against_the_claim() -> None:
    passing, failing = pair_counts([0, 0, 1, UNKNOWN, 1, UNKNOWN], [0, 1, 0, 0, UNKNOWN, UNKNOWN])

    assert passing == PairCounts(down=1, same=3, up=2)
    assert failing == PairCounts(down=4, same=1, up=1)


@given(pairs=st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])), min_size=1, max_size=30))
def test_swapping_the_runs_swaps_appeared_and_disappeared(pairs: list[tuple[int, int]]) -> None:
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = pair_counts(before, after)[0], pair_counts(after, before)[0]

    assert (there.down, there.same, there.up) == (back.up, back.same, back.down)
    assert there.total == len(pairs)


def test_an_unchanged_clean_model_passes_a_difference_gate_after_eleven_rounds() -> None:
    verdicts = [
        difference_look(PairCounts(0, 44 * done, 0), PairCounts(0, 44 * done, 0), MARGIN).verdict
        for done in range(1, 12)
    ]

    assert verdicts == ["continue"] * 10 + ["pass"]


def test_the_cap_of_a_difference_gate_needs_the_bounds() -> None:
    counts = PairCounts(30, 1685, 45)

    with pytest.raises(ValueError, match="needs both one-sided bounds"):
        difference_look(counts, counts, MARGIN)
    assert difference_look(counts, counts, MARGIN, cap_upper=0.009, cap_lower=-0.01).verdict == "pass"
    assert difference_look(counts, counts, MARGIN, cap_upper=0.011, cap_lower=-0.01).verdict == "inconclusive"
    assert difference_look(counts, counts, MARGIN, cap_upper=0.5, cap_lower=0.02).verdict == "fail"


def test_a_difference_gate_stops_when_even_vanishing_events_could_not_save_it() -> None:
    lost = PairCounts(0, 1690, 60)

    assert not can_still_pass(lost, MARGIN)
    assert can_still_pass(PairCounts(0, 700, 60), MARGIN)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: SequentialDesign(limit=0, cap=100), id="limit"),
        pytest.param(lambda: SequentialDesign(limit=0.02, cap=0), id="cap"),
        pytest.param(lambda: SequentialDesign(limit=0.02, cap=10, alpha_pass=0.5), id="alpha"),
        pytest.param(lambda: needed_log_evidence(0), id="no error rate"),
        pytest.param(lambda: rate_look(5, 4, DESIGN), id="hits"),
        pytest.param(lambda: rate_look(0, 4, DESIGN, unknown=5), id="unknown"),
        pytest.param(lambda: pair_counts([0, 2], [0, 0]), id="outcome"),
        pytest.param(lambda: pair_counts([0], [0, 0]), id="lengths"),
        pytest.param(lambda: difference_look(PairCounts(0, 1, 0), PairCounts(0, 2, 0), MARGIN), id="totals"),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
