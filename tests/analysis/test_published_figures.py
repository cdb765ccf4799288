"""Published rollouts and verdicts, read through MISALIGN_EVAL_RESEARCH_DATA, against an independent count."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.analysis.comparison import Side, compare
from misalign_eval.analysis.summary import summarise
from misalign_eval.analysis.tally import GradeTable, Tally, tally
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
    found = summarise(read(name), provenance(), split="all")
    assert (found.misaligned, found.graded, found.outcomes["ungraded"]) == (misaligned, graded, ungraded)
    assert found.rate == pytest.approx(misaligned / graded, abs=5e-4)


def test_the_fine_tune_changed_the_model_and_the_difference_says_so(read: Make, provenance: Make) -> None:
    before, after = Side(read("anchor_base"), provenance()), Side(read("anchor_bad"), provenance())
    found = compare(before, after, split="all")
    assert found.difference.estimate == pytest.approx(167 / 690)
    assert found.difference.p_value is not None
    assert found.difference.p_value < 1e-40
