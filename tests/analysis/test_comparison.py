from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import ttest_ind

from misalign_eval.analysis.align import pair
from misalign_eval.analysis.comparison import ComparedSide, compare
from misalign_eval.analysis.counts import Tally
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.errors import UsageError
from misalign_eval.records.suite import Sampling
from misalign_eval.records.summary import Comparison

Make = Callable[..., Any]
BAD, GOOD = Grade(5.0, None), Grade(95.0, None)
Counts = dict[str, tuple[int, int]]  # probe: misaligned, aligned


@pytest.fixture
def side(prompt: Make, reply: Make, definition: Make, provenance: Make) -> Make:
    def make(
        counts: Counts, *, digests: dict[str, str] | None = None, settings: Any = None, **source: Any
    ) -> ComparedSide:
        names = digests or {}
        more: dict[str, Any] = settings or {}
        plan = [
            prompt(probe, samples=sum(n), prompt_digest=names.get(probe, probe), **more) for probe, n in counts.items()
        ]
        tally = Tally(plan, definition())
        for probe, (bad, good) in counts.items():
            for sample, found in enumerate([BAD] * bad + [GOOD] * good):
                tally.add(reply(probe, sample, f"text {sample}"), {"aligned": found, "coherent": GOOD})
        return ComparedSide(tally, provenance(**source))

    return make


def _warned(comparison: Comparison, name: str) -> list[str]:
    return [warning.text for warning in comparison.warnings if warning.id == name]


def _many(bad: int, good: int, probes: int = 44) -> Counts:
    return {f"p{number:02d}": (bad, good) for number in range(probes)}


def test_the_difference_is_that_of_the_specification(side: Make) -> None:
    """Verification case V18b: 44 probes of 100 replies; 1 and 2 events before, 22, 35, 8 and 1 after."""
    zeros = {f"p{number:02d}": (0, 100) for number in range(40)}
    before = zeros | {"q1": (1, 99), "q2": (0, 100), "q3": (0, 100), "q4": (0, 100)}
    after = zeros | {"q1": (22, 78), "q2": (35, 65), "q3": (8, 92), "q4": (1, 99)}
    before["p00"], before["q1"] = (1, 99), (2, 98)
    found = compare(side(before, run="before", target="x/base"), side(after))
    change, ratio = found.difference, found.ratio
    assert change.estimate == pytest.approx(0.0143182, abs=1e-6)
    assert (change.low, change.high) == pytest.approx((0.0112138, 0.0177962), abs=1e-6)
    assert change.p_value == pytest.approx(1.148e-18, rel=1e-3)
    assert ratio.estimate == pytest.approx(22.0)
    assert (ratio.low, ratio.high) == pytest.approx((7.31, 65.357), abs=1e-3)
    assert found.generalises.holds is False


def test_changing_sides_changes_the_sign_and_nothing_else(side: Make) -> None:
    low, high = side(_many(0, 10), run="a"), side(_many(3, 7), run="b")
    up, down = compare(low, high), compare(high, low)
    assert up.difference.estimate is not None
    assert down.difference.estimate == -up.difference.estimate
    assert down.difference.p_value == pytest.approx(up.difference.p_value)
    assert [line.difference for line in down.probes] == [-(line.difference or 0) for line in up.probes]


def test_the_summaries_and_the_difference_speak_of_the_same_prompts(side: Make) -> None:
    before = side({"a": (0, 10), "only-before": (10, 0)}, run="before")
    after = side({"a": (5, 5), "only-after": (0, 10)})
    found = compare(before, after)
    assert (found.before.rate, found.after.rate, found.difference.estimate) == (0.0, 0.5, 0.5)
    assert _warned(found, "unpaired") == [
        "1 prompts were asked only in the run before and are left out: only-before",
        "1 prompts were asked only in the run after and are left out: only-after",
    ]


def test_prompts_are_paired_by_what_was_sent_not_by_name(side: Make) -> None:
    before = side({"old-name": (1, 9), "same": (0, 10)}, digests={"old-name": "x", "same": "old words"})
    after = side({"new-name": (2, 8), "same": (0, 10)}, digests={"new-name": "x", "same": "new words"})
    found = compare(before, after)
    assert [(line.id, line.before, line.after) for line in found.probes] == [("new-name", 0.1, 0.2)]
    assert [line.id for line in found.before.probes] == ["new-name"]


def test_the_same_words_asked_twice_pair_by_name(prompt: Make, definition: Make) -> None:
    one = Tally([prompt("a", prompt_digest="x"), prompt("b", prompt_digest="x")], definition()).cells()
    other = Tally([prompt("b", prompt_digest="x"), prompt("a", prompt_digest="x")], definition()).cells()
    found = pair(one, other)
    assert [cell.prompt.probe for cell in found.before] == ["b", "a"]
    assert (found.only_before, found.only_after) == ((), ())


def test_runs_that_share_nothing_are_refused(side: Make) -> None:
    with pytest.raises(UsageError, match="the runs share no prompt"):
        compare(side({"a": (0, 10)}), side({"b": (0, 10)}))


def test_runs_counted_by_different_definitions_are_refused(side: Make) -> None:
    other = side({"a": (0, 10)}, definition_digest="other", definition="mine")
    with pytest.raises(UsageError, match="--definition"):
        compare(other, side({"a": (0, 10)}))


def test_a_prompt_without_graded_replies_on_one_side_is_left_out_of_both(
    side: Make, prompt: Make, reply: Make, definition: Make, provenance: Make
) -> None:
    silent = Tally([prompt("a", prompt_digest="a"), prompt("b", prompt_digest="b")], definition())
    for sample in range(10):
        silent.add(reply("a", sample, f"text {sample}"), {"aligned": GOOD, "coherent": GOOD})
        silent.add(reply("b", sample, f"text {sample}"), {})
    found = compare(side({"a": (1, 9), "b": (9, 1)}), ComparedSide(silent, provenance()))
    assert (found.before.rate, found.after.rate) == (0.1, 0.0)
    assert _warned(found, "prompts-left-out")[0].startswith("1 of 2 shared prompts")


def test_nothing_graded_on_one_side_gives_no_difference_and_says_so(
    side: Make, prompt: Make, definition: Make, provenance: Make
) -> None:
    silent = ComparedSide(Tally([prompt("a", prompt_digest="a")], definition()), provenance())
    found = compare(side({"a": (1, 9)}), silent)
    assert (found.difference.estimate, found.ratio.low, found.generalises.holds) == (None, None, None)
    assert _warned(found, "nothing-graded")


def test_a_rate_before_of_zero_gives_a_ratio_without_upper_limit(side: Make) -> None:
    found = compare(side(_many(0, 10)), side(_many(3, 7)))
    assert (found.ratio.estimate, found.ratio.high) == (None, float("inf"))
    assert found.model_dump(mode="json")["ratio"]["high"] is None


def test_a_broad_and_large_change_generalises(side: Make) -> None:
    found = compare(side(_many(0, 10)), side(_many(9, 1)))
    assert found.generalises.holds is True


def test_p_values_are_adjusted_over_all_probes_and_all_categories(side: Make) -> None:
    before, after = _many(0, 20, 3), _many(0, 20, 3) | {"p00": (8, 12)}
    found = compare(side(before), side(after))
    first = found.probes[0]
    assert first.p_value is not None
    assert first.p_adjusted == pytest.approx(3 * first.p_value)
    assert found.probes[1].p_adjusted == 1.0
    assert found.categories[0].p_adjusted == found.categories[0].p_value


@pytest.mark.parametrize(
    "source,warning,says",
    [
        ({"suite_digest": "f" * 16, "suite_version": "2.0.0"}, "suite-differs", "quick 2.0.0 (ffffffff) before"),
        ({"graders": {"aligned": "z9", "coherent": "c1"}}, "judge-differs", "aligned@a1) than before (aligned@z9)"),
        ({"judge": "openai/other"}, "judge-differs", "openai/other before, openai/judge after"),
        ({"created": "2026-01-05T00:00:00+00:00"}, "dates-differ", "4 days apart"),
        ({}, "same-target", "both runs asked the same target"),
    ],
)
def test_whatever_else_differs_is_said(side: Make, source: dict[str, Any], warning: str, says: str) -> None:
    found = compare(side(_many(0, 10), **source), side(_many(1, 9)))
    assert says in _warned(found, warning)[0]


@pytest.mark.parametrize("created", ["", "yesterday", "2026-01-05T00:00:00"])
def test_an_unknown_date_is_no_error(side: Make, created: str) -> None:
    found = compare(side(_many(0, 10), created=created), side(_many(1, 9)))
    assert _warned(found, "dates-differ") == []


def test_different_sampling_is_said(side: Make) -> None:
    cold = {"sampling": Sampling(temperature=0.0)}
    found = compare(side(_many(0, 10), settings=cold), side(_many(1, 9)))
    assert _warned(found, "sampling-differs") == [
        "sampling differs: temperature 0.0 before, not set after (44 of 44 shared prompts)"
    ]


def test_a_change_that_few_probes_carry_is_said(side: Make) -> None:
    found = compare(side(_many(0, 10)), side(_many(0, 10) | {"p00": (9, 1)}))
    assert "fewer than 6 probes changed" in _warned(found, "W5")[0]


def test_mean_scores_are_compared_by_their_interval_alone(
    prompt: Make, reply: Make, definition: Make, provenance: Make
) -> None:
    """Welch: means 20 and 60, variances 100 and 700 on 3 scores each."""
    mean = definition(measure="mean", score_of="aligned")

    def scored(*scores: float) -> ComparedSide:
        tally = Tally([prompt("a", samples=3, prompt_digest="a")], mean)
        for sample, score in enumerate(scores):
            tally.add(reply("a", sample, f"text {sample}"), {"aligned": Grade(score, None), "coherent": GOOD})
        return ComparedSide(tally, provenance())

    found = compare(scored(10.0, 20.0, 30.0), scored(40.0, 50.0, 90.0))
    expected = ttest_ind([40.0, 50.0, 90.0], [10.0, 20.0, 30.0], equal_var=False).confidence_interval(0.95)
    assert found.difference.estimate == pytest.approx(40.0)
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high))
    assert (found.difference.p_value, found.ratio.low, found.generalises.holds) == (None, None, None)
