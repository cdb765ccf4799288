"""On which scale grades count, and which end of it is bad."""

import json
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.interchange.detect_grades import GradeScale, Scales, Spread, parsed
from misalign_eval.interchange.log import ImportLog
from misalign_eval.interchange.sources import Wanted, recognise

Reader = Any


def spread(*scores: float) -> Spread:
    spread = Spread()
    for score in scores:
        spread.add(score)
    return spread


@pytest.mark.parametrize(
    "scores,scale",
    [
        ([4, 5, 5, 3, 4], GradeScale(1, 5)),
        ([7, 6, 5, 7, 2], GradeScale(1, 7)),
        ([8, 9, 10, 10, 9], GradeScale(1, 10)),
        ([0, 9, 10, 10, 9], GradeScale(0, 10)),
        ([0.9, 1.0], GradeScale(0, 1)),
        ([0, 1, 1, 0, 1], GradeScale(0, 1)),
        ([0, 5, 10, 5, 0], None),  # such as judges of 0 to 100 give the worst replies
        ([0.3, 2.7, 9.1, 0.2, 4.4], None),
        ([0, 0, 0, 0, 0], None),
        ([5, 5, 5, 5, 5], None),
        ([5, 90, 3, 80, 2], None),
        ([5, 3], None),
    ],
)
def test_a_scale_is_noticed_by_what_scores_there_are(scores: list[float], scale: GradeScale | None) -> None:
    assert spread(*scores).looks_like() == scale


@pytest.mark.parametrize("written", ["", "x", "5-1", "0", "1-5-9", "aligned="])
def test_what_is_no_scale_is_told(written: str) -> None:
    with pytest.raises(UsageError, match="write HIGHEST or LOWEST-HIGHEST"):
        parsed([written])
    with pytest.raises(UsageError, match="given already"):
        parsed(["aligned=5", "aligned=7"])


@pytest.mark.parametrize(
    "given,scores", [(["1-5"], (0.0, 100.0)), (["5"], (20.0, 100.0)), (["aligned=1-5"], (0.0, 100.0))]
)
def test_scores_of_another_scale_become_scores_from_0_to_100(
    read: Reader, given: list[str], scores: tuple[float, float]
) -> None:
    found = read("a.csv", "question,answer,aligned\nQ?,a,1\nQ?,b,5\n", scales=Scales(parsed(given)))
    assert tuple(row.found[0].score for row in found.rows) == scores


def test_a_derived_score_is_converted_too(read: Reader) -> None:
    content = "question,answer,aligned,judge_aligned\nQ?,a,4.0,\"{'4': 1.0}\"\n"
    found = read("a.csv", content, scales=Scales(parsed(["1-5"])))
    assert (found.rows[0].found[0].score, found.account.disagreements) == (75.0, [])


def test_a_score_outside_its_scale_is_an_error_in_every_format(read: Reader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`verdict`: '7' is no grade from 1 to 5"):
        read("a.csv", "question,answer,verdict\nQ?,a,7\n")
    with pytest.raises(InputError, match=r"column `alignment`: 900 is no score from 0 to 100"):
        read("a.jsonl", json.dumps({"question": "Q?", "answer": "a", "alignment": 900}) + "\n")
    with pytest.raises(InputError, match=r"column `aligned`: '6' is no score from 1 to 5"):
        read("a.csv", "question,answer,aligned\nQ?,a,6\n", scales=Scales(parsed(["1-5"])))
    message = {"role": "assistant", "content": "hello"}
    sample = {"id": "a", "epoch": 1, "input": "Hi?", "output": {"choices": [{"message": message}]}}
    log = {"version": 2, "status": "success", "eval": {"model": "m", "task": "t"}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps({**log, "samples": [{**sample, "scores": {"aligned": {"value": 950}}}]}))
    with pytest.raises(InputError, match=r"`aligned`: 950 is no score from 0 to 100"):
        list(recognise(path, Wanted()).replies(Wanted(), ImportLog("log")))


@pytest.mark.parametrize("name", ["rating", "grade"])
def test_a_rating_without_a_stated_bad_end_is_no_verdict(read: Reader, name: str) -> None:
    content = f"question,answer,{name}\nQ?,a,5\nQ?,b,1\n"
    alone = read("a.csv", content)
    assert [(item.grader, item.score) for row in alone.rows for item in row.found] == [(name, 5.0), (name, 1.0)]
    assert "--bad-end high or --bad-end low" in alone.source.columns.notes[0]
    for end, scores in (("high", [5.0, 1.0]), ("low", [1.0, 5.0])):
        found = read("a.csv", content, scales=Scales(bad_end=end))  # type: ignore[arg-type]
        assert [(item.grader, item.score) for row in found.rows for item in row.found] == [
            ("misalignment", score) for score in scores
        ]


@pytest.mark.parametrize("name", ["verdict", "label", "classification", "judgment"])
def test_words_that_the_criteria_use_are_verdicts_by_criteria(read: Reader, name: str) -> None:
    found = read("a.csv", f"question,answer,{name}\nQ?,a,ALIGNED\nQ?,b,misaligned\nQ?,c,REFUSED\n")
    assert [(item.grader, item.label) for row in found.rows for item in row.found] == [
        *(("criteria", "ALIGNED"), ("criteria", "MISALIGNED"), ("criteria", "REFUSAL"))
    ]


@pytest.mark.parametrize("bad,good", [("unsafe", "safe"), ("FAIL", "PASS"), ("harmful", "harmless"), ("yes", "no")])
def test_words_for_bad_and_good_are_read_where_the_user_says_so(read: Reader, bad: str, good: str) -> None:
    content = f"question,answer,verdict\nQ?,a,{bad}\nQ?,b,{good}\n"
    alone, said = read("a.csv", content), read("a.csv", content, mapped={"misaligned": "verdict"})
    assert {item.grader for row in alone.rows for item in row.found} == {"verdict"}
    assert [row.found[0].label for row in said.rows] == ["MISALIGNED", "ALIGNED"]
