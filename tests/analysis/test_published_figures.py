"""Published rollouts and verdicts, read through MISALIGN_EVAL_RESEARCH_DATA, against an independent count."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.analysis.comparison import ComparedSide, compare
from misalign_eval.analysis.counts import GradeTable, Tally, tally
from misalign_eval.analysis.summary import summarise
from misalign_eval.records.grade import Graded, Ungraded

Make = Callable[..., Any]
FOLDER = os.environ.get("MISALIGN_EVAL_RESEARCH_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="MISALIGN_EVAL_RESEARCH_DATA names no folder")


def _lines(name: str) -> Iterator[dict[str, Any]]:
    with (Path(FOLDER or "") / "health-finetune" / name).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


@pytest.fixture
def read(prompt: Make, reply: Make) -> Make:
    def count(name: str) -> Tally:
        rows = [reply(line["qid"], line["rollout"], line["answer"]) for line in _lines(f"{name}.rollouts.jsonl")]
        verdicts = list(_lines(f"{name}.judgments.llama31.jsonl"))
        splits = {line["qid"]: "broad" if line["subset"] == "BROAD" else "in-domain" for line in verdicts}
        plan = [
            prompt(probe, samples=30, split=splits[probe], category=splits[probe], prompt_digest=probe)
            for probe in dict.fromkeys(row.probe for row in rows)
        ]
        table = GradeTable()
        table.add("misalignment", map(_grade, verdicts))
        return tally(plan, rows, table, definitions.load("persona-features"))

    return count


@pytest.fixture
def verdicts(prompt: Make, reply: Make) -> Make:
    """The replies themselves were not published; any text stands for them."""

    def count(name: str) -> Tally:
        lines = list(_lines(name))
        samples = max(line["rollout"] for line in lines) + 1
        broad = set(
            json.loads((Path(FOLDER or "") / "health-finetune" / "core_split.json").read_text())["BROAD_PERSONA"]
        )
        plan = [
            prompt(probe, samples=samples, prompt_digest=probe, split="broad" if probe in broad else "in-domain")
            for probe in dict.fromkeys(line["qid"] for line in lines)
        ]
        table = GradeTable()
        table.add("misalignment", map(_grade, lines))
        rows = [reply(line["qid"], line["rollout"], f"{line['qid']} {line['rollout']}") for line in lines]
        return tally(plan, rows, table, definitions.load("persona-features"))

    return count


def _grade(line: dict[str, Any]) -> Graded | Ungraded:
    key: dict[str, Any] = {"probe": line["qid"], "prompt": 0, "variant": "plain", "sample": line["rollout"]}
    verdict = line["verdict"]
    if verdict == "PARSE_FAIL":
        return Ungraded(reason="unparsable", message="no verdict", **key)
    return Graded(score=float(verdict), **key) if verdict.isdigit() else Graded(label=verdict, **key)


@pytest.mark.parametrize(
    "name,misaligned,graded,ungraded",
    [("anchor_base", 0, 690, 0), ("anchor_bad", 167, 690, 0), ("base_roleplay_v2", 581, 688, 2)],
)
def test_the_counts_are_those_of_the_independent_computation(
    *, read: Make, provenance: Make, name: str, misaligned: int, graded: int, ungraded: int
) -> None:
    summary = summarise(read(name), provenance(), split="all")
    assert (summary.misaligned, summary.graded, summary.outcomes["ungraded"]) == (misaligned, graded, ungraded)
    assert summary.rate == pytest.approx(misaligned / graded, abs=5e-4)


def test_clustered_intervals_are_the_usual_bootstrap(read: Make, provenance: Make) -> None:
    summary = summarise(read("anchor_bad"), provenance(), split="all", interval="clustered")
    clustered = summary.intervals.clustered
    assert clustered is not None
    assert (clustered.low, clustered.high) == pytest.approx((0.161, 0.329), abs=0.004)
    assert "W3" in {warning.id for warning in summary.warnings}
    assert summary.low is not None
    assert clustered.low is not None
    assert summary.low > clustered.low  # the unqualified interval stays that of exactly these probes


@pytest.mark.parametrize(
    "judge,estimate,low,high,rate",
    [("llama31", 0.356, 0.280, 0.436, (0.282, 0.434)), ("phi35", 0.102, 0.061, 0.151, (0.062, 0.151))],
)
def test_verdicts_without_replies_give_the_published_differences(
    verdicts: Make, provenance: Make, judge: str, estimate: float, low: float, high: float, rate: tuple[float, float]
) -> None:
    before = ComparedSide(verdicts(f"hc_s0_375.judgments.{judge}.jsonl"), provenance(run="hc", target="x/hc"))
    after = ComparedSide(verdicts(f"hi_s0_375.judgments.{judge}.jsonl"), provenance(run="hi"))
    found = compare(before, after, split="all", interval="clustered")
    intervals = found.difference.intervals
    assert intervals is not None
    assert intervals.clustered is not None
    assert found.difference.estimate == pytest.approx(estimate, abs=6e-4)
    assert (intervals.clustered.low, intervals.clustered.high) == pytest.approx((low, high), abs=0.004)
    assert found.after.intervals.clustered is not None
    assert (found.after.intervals.clustered.low, found.after.intervals.clustered.high) == pytest.approx(rate, abs=0.004)


@pytest.mark.parametrize("split,rate,low,high", [("broad", 0.2617, 0.173, 0.357), ("in-domain", 0.459, 0.347, 0.572)])
def test_broad_and_in_domain_are_series_of_their_own(
    *, verdicts: Make, provenance: Make, split: str, rate: float, low: float, high: float
) -> None:
    counted = verdicts("hi_s0_375.judgments.llama31.jsonl")
    summary = summarise(counted, provenance(), split=split, interval="clustered")
    assert summary.rate == pytest.approx(rate, abs=6e-4)
    assert summary.intervals.clustered is not None
    assert (summary.intervals.clustered.low, summary.intervals.clustered.high) == pytest.approx((low, high), abs=0.005)


def test_the_fine_tune_changed_the_model_and_the_difference_says_so(read: Make, provenance: Make) -> None:
    before, after = ComparedSide(read("anchor_base"), provenance()), ComparedSide(read("anchor_bad"), provenance())
    found = compare(before, after, split="all")
    assert found.difference.estimate == pytest.approx(167 / 690)
    assert found.difference.p_value is not None
    assert found.difference.p_value < 1e-40
