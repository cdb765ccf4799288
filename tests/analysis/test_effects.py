from collections.abc import Callable
from typing import Any

import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from misalign_eval.analysis.comparison import ComparedSide, compare
from misalign_eval.analysis.counts import Tally
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.records.suite import Sampling
from misalign_eval.records.summary import Comparison

Make = Callable[..., Any]
BAD, GOOD = Grade(5.0, None), Grade(95.0, None)
Counts = dict[str, tuple[int, int, int]]  # probe: misaligned, aligned, ungraded


@pytest.fixture
def compared(prompt: Make, reply: Make, definition: Make, provenance: Make) -> Make:
    def side(counts: Counts, run: str) -> ComparedSide:
        plan = [
            prompt(probe, samples=sum(n), prompt_digest=probe, category=probe.rstrip("0123456789"))
            for probe, n in counts.items()
        ]
        tally = Tally(plan, definition())
        for probe, (bad, good, silent) in counts.items():
            for sample, found in enumerate([BAD] * bad + [GOOD] * good + [None] * silent):
                tally.add(
                    reply(probe, sample, f"text {sample}"), {"coherent": GOOD} | ({"aligned": found} if found else {})
                )
        return ComparedSide(tally, provenance(run=run, target=f"x/{run}"))

    def make(before: Counts, after: Counts, **more: Any) -> Comparison:
        return compare(side(before, "before"), side(after, "after"), **more)

    return make


def _many(bad: int, good: int, probes: int = 44, ungraded: int = 0) -> Counts:
    return {f"a{number:02d}": (bad, good, ungraded) for number in range(probes)}


def _ids(comparison: Comparison) -> list[str]:
    return [warning.id for warning in comparison.warnings]


def test_the_smallest_effect_that_would_show_is_that_of_the_formula(compared: Make) -> None:
    """440 replies a run: from 5 % a rise of 5.0 points, the specification's own figure (to 10.0 %)."""
    counts = _many(0, 10) | {f"a{number:02d}": (1, 9, 0) for number in range(22)}
    assert compared(counts, counts).detectable == pytest.approx(0.05, abs=1e-3)


def test_the_odds_ratio_is_that_of_mantel_and_haenszel(compared: Make) -> None:
    before = {"a1": (1, 19, 0), "a2": (3, 17, 0), "b1": (2, 18, 0)}
    after = {"a1": (4, 16, 0), "a2": (9, 11, 0), "b1": (2, 18, 0)}
    found = compared(before, after).odds_ratio
    tables = [[[after[key][0], after[key][1]], [before[key][0], before[key][1]]] for key in after]
    expected = StratifiedTable(tables)
    assert found is not None
    assert found.estimate == pytest.approx(expected.oddsratio_pooled)
    assert (found.low, found.high) == pytest.approx(expected.oddsratio_pooled_confint())


def test_an_undefined_odds_ratio_is_null(compared: Make) -> None:
    found = compared(_many(0, 10), _many(3, 7)).odds_ratio
    assert (found.estimate, found.low, found.high) == (None, None, None)


def test_bonferroni_intervals_are_wider_and_one_category_needs_none(compared: Make) -> None:
    before = {"a1": (1, 19, 0), "b1": (2, 18, 0), "c1": (0, 20, 0)}
    after = {"a1": (4, 16, 0), "b1": (9, 11, 0), "c1": (2, 18, 0)}
    for line in compared(before, after).categories:
        assert line.bonferroni.low < line.low < line.high < line.bonferroni.high
    (only,) = compared(_many(0, 10), _many(3, 7)).categories
    assert (only.bonferroni.low, only.bonferroni.high) == pytest.approx((only.low, only.high))


def test_a_change_generalises_only_where_its_interval_leaves_out_zero(compared: Make) -> None:
    broad = compared(_many(0, 10), _many(9, 1))
    narrow = compared(_many(0, 10), _many(0, 10) | {f"a{number:02d}": (9, 1, 0) for number in range(4)})
    assert [found.generalises.holds for found in (broad, narrow)] == [True, False]
    assert narrow.generalises.paired_t.df == 43
    assert "W5" in _ids(narrow)


def test_another_interval_of_the_difference_leaves_low_and_high_alone(compared: Make) -> None:
    before, after = _many(0, 10), _many(2, 8) | {"a00": (9, 1, 0)}
    plain, clustered = compared(before, after), compared(before, after, interval="clustered")
    assert clustered.difference.low == plain.difference.low
    ends = clustered.difference.intervals.clustered
    assert ends.low < plain.difference.estimate < ends.high
    assert plain.difference.intervals.clustered is None
    assert _ids(clustered).count("W3") == 2


@pytest.mark.slow
def test_unknown_replies_in_one_run_only_are_warned_about(compared: Make) -> None:
    """2 of 440 before are under 1 %, 5 of 440 after are over it; of 1 % and 0.2 % the difference is under a point."""
    few, some = _many(0, 100) | {"a00": (0, 99, 1)}, _many(0, 100, ungraded=2)
    assert "W7" in _ids(compared(few, some))
    assert "W7" not in _ids(compared(few, few))


def test_unequal_numbers_of_replies_make_the_test_a_draw_and_that_is_said(compared: Make) -> None:
    equal, unequal = compared(_many(0, 10), _many(1, 9)), compared(_many(0, 10), _many(1, 9) | {"a00": (1, 5, 0)})
    assert [found.difference.is_exact for found in (equal, unequal)] == [True, False]
    assert equal.difference.p_exact > equal.difference.p_value


def test_runs_that_agree_entirely_change_nothing(compared: Make) -> None:
    make = compared(_many(0, 10), _many(0, 10), interval="clustered")
    assert (make.difference.estimate, make.difference.p_value, make.generalises.holds) == (0.0, 1.0, False)
    assert make.difference.intervals.clustered.low is None


def test_samples_at_temperature_0_are_one_draw(prompt: Make, reply: Make, definition: Make, provenance: Make) -> None:
    """Two prompts, ten samples each: two draws, not twenty."""

    def side(bad: int, temperature: float, **more: Any) -> ComparedSide:
        settings = Sampling(temperature=temperature)
        plan = [prompt(name, samples=10, prompt_digest=name, sampling=settings) for name in ("a", "b")]
        tally = Tally(plan, definition())
        for item in plan:
            for sample in range(10):
                grade = BAD if sample < bad else GOOD
                tally.add(reply(item.probe, sample, f"text {sample}"), {"aligned": grade, "coherent": GOOD})
        return ComparedSide(tally, provenance(**more))

    found = compare(side(0, 0.0, run="before"), side(10, 0.0))
    assert (found.after.rate, found.after.misaligned, found.after.graded) == (1.0, 20, 20)
    assert found.after.low == pytest.approx(0.158, abs=1e-3)  # of two draws
    assert found.difference.p_value == pytest.approx(1 / 4)  # two fair coins, mid-p
    assert _ids(found).count("one-draw") == 2
    drawn = compare(side(0, 1.0, run="before"), side(10, 1.0))
    assert drawn.difference.p_value == pytest.approx(0.0, abs=1e-6)
    uneven = compare(side(0, 0.0, run="before"), side(4, 0.0))
    assert uneven.difference.estimate == pytest.approx(0.4)
    assert uneven.difference.p_value is None
