from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.analysis.counts import Tally
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.analysis.summary import summarise
from misalign_eval.errors import UsageError
from misalign_eval.records.summary import RunSummary

Make = Callable[..., Any]
BAD, GOOD = Grade(5.0, None), Grade(95.0, None)


@pytest.fixture
def summary(prompt: Make, reply: Make, definition: Make, provenance: Make) -> Make:
    def make(counts: list[tuple[int, int]], interval: str = "suite", **more: Any) -> RunSummary:
        plan = [prompt(f"p{place:02d}", samples=sum(n)) for place, n in enumerate(counts)]
        tally = Tally(plan, definition(**more))
        for item, (bad, good) in zip(plan, counts, strict=True):
            for sample, found in enumerate([BAD] * bad + [GOOD] * good):
                tally.add(reply(item.probe, sample, f"text {sample}"), {"aligned": found, "coherent": GOOD})
        return summarise(tally, provenance(), interval=interval)  # type: ignore[arg-type]

    return make


def _ids(summary: RunSummary) -> set[str]:
    return {warning.id for warning in summary.warnings}


def test_another_interval_goes_into_intervals_and_leaves_low_and_high_alone(summary: Make) -> None:
    counts = [(5, 5), (0, 10), (1, 9), (3, 7), (2, 8), (0, 10)]
    plain, clustered = summary(counts), summary(counts, "clustered")
    assert (clustered.low, clustered.high, clustered.interval) == (plain.low, plain.high, "clustered")
    assert plain.intervals.clustered is None
    assert clustered.intervals.clustered.low < plain.rate < clustered.intervals.clustered.high
    assert plain.categories[0].intervals is None
    assert clustered.categories[0].intervals.clustered == clustered.intervals.clustered


def test_a_bootstrap_of_probes_that_all_agree_is_no_interval(summary: Make) -> None:
    found = summary([(0, 10)] * 8, "clustered")
    assert (found.intervals.clustered.low, found.intervals.clustered.high) == (None, None)
    assert found.high == pytest.approx(0.045, abs=1e-3)


def test_w3_is_said_only_where_the_clustered_interval_is_asked_for_and_unreliable(summary: Make) -> None:
    many = [(3, 7)] * 150 + [(1, 9)] * 60
    found = [summary([(3, 7)] * 8), summary([(3, 7)] * 8, "clustered"), summary(many, "clustered")]
    assert [("W3" in _ids(item)) for item in found] == [False, True, False]


def test_a_single_probe_has_no_general_interval_and_says_so(summary: Make) -> None:
    found = summary([(3, 7)], "general")
    assert (found.intervals.general.low, found.low) == (None, pytest.approx(0.0667, abs=1e-3))
    assert "few-probes" in _ids(found)


def test_a_mean_score_has_the_suite_interval_alone(summary: Make) -> None:
    with pytest.raises(UsageError, match=r"--interval general.*mean score"):
        summary([(3, 7)], "general", measure="mean", score_of="aligned")


def test_a_judged_rate_is_called_so_until_human_labels_say_more(summary: Make) -> None:
    said = [warning.text for warning in summary([(3, 7)] * 8).warnings if warning.id == "W9"]
    assert said == ["the rate is as judged by openai/judge, whose verdicts were not compared with human labels"]
