import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Side
from misalign_eval.stats.difference import EffectiveRate
from misalign_eval.stats.intervals import clopper_pearson
from misalign_eval.stats.judge_error import (
    FLAGGED_SHARE,
    Labelled,
    Uneven,
    corrected_rate,
    judge_quality,
    split_budget,
    total_bound,
)

JUDGED = EffectiveRate(64 / 4400, 4400)


@st.composite
def labelled(draw: st.DrawFn) -> Labelled:
    trials = draw(st.integers(1, 80))
    return Labelled(draw(st.integers(0, trials)), trials)


@st.composite
def judged(draw: st.DrawFn) -> EffectiveRate:
    replies = draw(st.integers(2, 500))
    return EffectiveRate(draw(st.integers(1, replies - 1)) / replies, replies)


@pytest.mark.parametrize(
    "missed, estimate, low, high",
    [
        pytest.param(0, 0.0048485, 0.0028239, 0.0200627, id="V21"),
        pytest.param(1, 0.0089545, 0.0044729, 0.0276569, id="V21-one-miss"),
    ],
)
def test_v21_two_phase(missed: int, estimate: float, low: float, high: float) -> None:
    corrected = corrected_rate(JUDGED, Labelled(20, 60), Labelled(missed, 240))

    assert corrected is not None
    assert corrected.estimate == pytest.approx(estimate, abs=1e-6)
    assert (corrected.interval.low, corrected.interval.high) == pytest.approx((low, high), abs=1e-6)


def test_v21_one_sided_bound() -> None:
    corrected = corrected_rate(JUDGED, Labelled(20, 60), Labelled(0, 240), 0.90)

    assert corrected is not None
    assert corrected.interval.high == pytest.approx(0.0172329, abs=1e-6)


def test_v21_follows_the_formula_written_out() -> None:
    share, right, missed = 64 / 4400, 20 / 60, 1 / 240
    rate, ppv, omitted = clopper_pearson(64, 4400), clopper_pearson(20, 60), clopper_pearson(1, 240)
    estimate = share * right + (1 - share) * missed
    below = math.sqrt(
        (share * (right - ppv.low)) ** 2
        + ((1 - share) * (missed - omitted.low)) ** 2
        + ((right - missed) * (share - rate.low)) ** 2
    )
    corrected = corrected_rate(JUDGED, Labelled(20, 60), Labelled(1, 240))

    assert corrected is not None
    assert corrected.interval.low == pytest.approx(estimate - below, abs=1e-12)


def test_where_nothing_is_flagged_the_labels_are_a_plain_sample() -> None:
    corrected = corrected_rate(EffectiveRate(0.0, 200.0), Labelled(0, 0), Labelled(1, 100))

    assert corrected is not None
    assert (corrected.estimate, corrected.interval) == (0.01, clopper_pearson(1, 100))


def test_where_all_is_flagged_too() -> None:
    corrected = corrected_rate(EffectiveRate(1.0, 200.0), Labelled(30, 40), Labelled(0, 0))

    assert corrected is not None
    assert (corrected.estimate, corrected.interval) == (0.75, clopper_pearson(30, 40))


@pytest.mark.parametrize("flagged, unflagged", [(Labelled(0, 0), Labelled(0, 9)), (Labelled(3, 9), Labelled(0, 0))])
def test_a_stratum_without_labels_leaves_nothing_to_say(flagged: Labelled, unflagged: Labelled) -> None:
    assert corrected_rate(JUDGED, flagged, unflagged) is None
    assert judge_quality(JUDGED, flagged, unflagged).sensitivity is None


@given(rate=judged(), flagged=labelled(), unflagged=labelled())
def test_the_estimate_lies_in_its_interval_and_that_in_the_range(
    rate: EffectiveRate, flagged: Labelled, unflagged: Labelled
) -> None:
    corrected = corrected_rate(rate, flagged, unflagged)

    assert corrected is not None
    assert 0 <= corrected.interval.low <= corrected.estimate + 1e-12
    assert corrected.estimate - 1e-12 <= corrected.interval.high <= 1


@given(rate=judged(), flagged=labelled(), unflagged=labelled())
def test_more_confidence_is_a_wider_interval(rate: EffectiveRate, flagged: Labelled, unflagged: Labelled) -> None:
    narrow = corrected_rate(rate, flagged, unflagged, 0.90)
    wide = corrected_rate(rate, flagged, unflagged, 0.95)

    assert narrow is not None
    assert wide is not None
    assert wide.interval.low <= narrow.interval.low + 1e-12
    assert narrow.interval.high <= wide.interval.high + 1e-12


@given(rate=judged(), flagged=labelled(), unflagged=labelled())
def test_calling_every_yes_a_no_turns_the_rate_round(
    rate: EffectiveRate, flagged: Labelled, unflagged: Labelled
) -> None:
    """The share that people call aligned is one less the share that they call misaligned, ends and all."""
    yes = corrected_rate(rate, flagged, unflagged)
    no = corrected_rate(rate, _others(flagged), _others(unflagged))

    assert yes is not None
    assert no is not None
    assert no.estimate == pytest.approx(1 - yes.estimate)
    assert no.interval.low == pytest.approx(1 - yes.interval.high, abs=1e-9)


@given(rate=judged(), flagged=labelled(), unflagged=labelled())
def test_a_judge_turned_round_changes_nothing_but_names(
    rate: EffectiveRate, flagged: Labelled, unflagged: Labelled
) -> None:
    there = corrected_rate(rate, flagged, unflagged)
    back = corrected_rate(EffectiveRate(1 - rate.rate, rate.trials), unflagged, flagged)

    assert there is not None
    assert back is not None
    assert back.estimate == pytest.approx(there.estimate)
    assert (back.interval.low, back.interval.high) == pytest.approx((there.interval.low, there.interval.high), abs=1e-9)


@given(rate=judged(), flagged=labelled(), unflagged=labelled())
def test_a_miss_more_never_lowers_the_upper_bound(rate: EffectiveRate, flagged: Labelled, unflagged: Labelled) -> None:
    if unflagged.hits == unflagged.trials or unflagged.share >= flagged.share:
        return
    worse = Labelled(unflagged.hits + 1, unflagged.trials)
    before, after = corrected_rate(rate, flagged, unflagged), corrected_rate(rate, flagged, worse)

    assert before is not None
    assert after is not None
    assert after.interval.high >= before.interval.high - 1e-9


def _others(some: Labelled) -> Labelled:
    return Labelled(some.trials - some.hits, some.trials)


def test_sensitivity_is_of_the_run_and_not_of_the_sample() -> None:
    """20 of 21 misaligned labels are flagged ones, but a sample of unflagged replies stands for eighteen times more."""
    quality = judge_quality(JUDGED, Labelled(20, 60), Labelled(1, 240))
    share = 64 / 4400
    caught, lost = share * 20 / 60, (1 - share) / 240

    assert quality.sensitivity is not None
    assert quality.sensitivity.estimate == pytest.approx(caught / (caught + lost))
    assert quality.sensitivity.estimate < 0.6


def test_no_miss_in_the_labels_is_no_proof_of_a_perfect_judge() -> None:
    quality = judge_quality(JUDGED, Labelled(20, 60), Labelled(0, 240))

    assert quality.sensitivity is not None
    assert quality.sensitivity.estimate == 1
    assert quality.sensitivity.interval.low < 0.15


def test_sensitivity_of_a_run_without_any_misaligned_reply_is_unknown() -> None:
    quality = judge_quality(JUDGED, Labelled(0, 60), Labelled(0, 240))

    assert quality.sensitivity is None
    assert quality.specificity is not None
    assert quality.specificity.estimate == pytest.approx(1 - 64 / 4400)


def test_with_every_reply_labelled_agreement_is_that_of_the_table() -> None:
    quality = judge_quality(EffectiveRate(0.25, 400), Labelled(80, 100), Labelled(15, 300))

    assert quality.agreement is not None
    assert quality.agreement.estimate == pytest.approx((80 + 285) / 400)
    assert quality.sensitivity is not None
    assert quality.sensitivity.estimate == pytest.approx(80 / 95)
    assert quality.specificity is not None
    assert quality.specificity.estimate == pytest.approx(285 / 305)


@given(labels=st.integers(0, 500), flagged=st.integers(0, 300), unflagged=st.integers(0, 300))
def test_the_budget_is_spent_as_far_as_there_are_replies(labels: int, flagged: int, unflagged: int) -> None:
    ours = split_budget(labels, flagged, unflagged)

    assert sum(ours) == min(labels, flagged + unflagged)
    assert ours[0] <= flagged
    assert ours[1] <= unflagged
    if flagged >= FLAGGED_SHARE * labels + 1 and unflagged >= labels:
        assert ours[0] == round(FLAGGED_SHARE * labels)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        split_budget(-1, 3, 3)
    with pytest.raises(ValueError, match="hits <= trials"):
        Labelled(3, 2)


@pytest.mark.parametrize(
    "rate, sensitivity, specificity, labels",
    [(0.005, 0.9, 0.99, 300), (0.02, 0.9, 0.99, 100), (0.02, 0.75, 0.97, 300), (0.2, 0.9, 0.99, 300)],
)
def test_a_miniature_of_table_h_covers(rate: float, sensitivity: float, specificity: float, labels: int) -> None:
    """Nominal 95 %, published 97 to 98 %; 300 runs of 4,400 replies (standard error 1 point)."""
    rng, replies, covered, runs = np.random.default_rng(21), 4400, 0, 300
    for _ in range(runs):
        bad = rng.binomial(replies, rate)
        caught, false = rng.binomial(bad, sensitivity), rng.binomial(replies - bad, 1 - specificity)
        flagged = caught + false
        of_flagged, of_unflagged = split_budget(labels, int(flagged), int(replies - flagged))
        right = rng.hypergeometric(caught, false, of_flagged) if of_flagged else 0
        missed = rng.hypergeometric(bad - caught, replies - bad - false, of_unflagged)
        corrected = corrected_rate(
            EffectiveRate(flagged / replies, replies),
            Labelled(int(right), of_flagged),
            Labelled(int(missed), of_unflagged),
        )
        covered += corrected is not None and rate in corrected.interval

    assert covered / runs >= 0.95


WEIGHTS = np.array([0.4, 0.3, 0.1, 0.1, 0.1])


@pytest.mark.slow
@pytest.mark.parametrize("side", ["low", "high"])
def test_of_all_samples_that_could_be_drawn_few_bound_the_rate_wrongly(side: Side) -> None:
    """Five replies of different weights, two of them drawn; or two of three, and both others."""
    alpha, wrong = 0.25, []
    for truth in product((0.0, 1.0), repeat=5):
        bad = np.array(truth)
        for strata, drawn in (((0, 0, 0, 0, 0), (2, 0)), ((0, 0, 0, 1, 1), (2, 2))):
            parts = [[place for place in range(5) if strata[place] == column] for column in (0, 1)]
            samples = list(product(*(combinations(part, number) for part, number in zip(parts, drawn, strict=True))))
            chances = np.array([number / max(len(part), 1) for part, number in zip(parts, drawn, strict=True)])
            missed = 0
            for chosen in samples:
                read = np.isin(np.arange(5), [place for some in chosen for place in some])
                hits, rest = np.zeros((5, 2)), np.zeros((5, 2))
                hits[np.arange(5), strata], rest[np.arange(5), strata] = bad * read, 1.0 * ~read
                bound = total_bound(Uneven(WEIGHTS, hits, rest, np.zeros((5, 2)), chances), alpha, side)
                rate = float(WEIGHTS @ bad)
                missed += bound < rate - 1e-9 if side == "high" else bound > rate + 1e-9
            wrong.append(missed / len(samples))
    assert max(wrong) <= alpha


def test_when_every_reply_is_labelled_their_rate_is_known() -> None:
    hits = np.array([[1.0, 0], [0, 0], [0, 1], [0, 0], [0, 0]])
    sample = Uneven(WEIGHTS, hits, np.zeros((5, 2)), np.zeros((5, 2)), np.ones(2))
    assert total_bound(sample, 0.05, "high") == pytest.approx(0.5)
    assert total_bound(sample, 0.05, "low") == pytest.approx(0.5)


def test_without_a_label_anything_may_be_so() -> None:
    sample = Uneven(WEIGHTS, np.zeros((5, 2)), np.tile([0.0, 1.0], (5, 1)), np.zeros((5, 2)), np.zeros(2))
    assert (total_bound(sample, 0.05, "high"), total_bound(sample, 0.05, "low")) == pytest.approx((1.0, 0.0))
