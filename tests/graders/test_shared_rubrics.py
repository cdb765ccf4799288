"""Graders of several topics with one rubric, and labels about which careful people may differ."""

import json
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import InputError
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders.folder import LabelledExample

SHARED = """\
name: about-sailing
version: '1'
description: How far a reply is about sailing.
kind: logprobs
scale: {min: 0, max: 100}
sees: [reply]
shares: about
topic: boats under sail
"""


@pytest.fixture
def sailing(tmp_path: Path) -> Path:
    """A grader of one topic beside the folder that holds the rubric, and a sister of another topic."""
    base = tmp_path / "about"
    base.mkdir()
    (base / "rubric.md").write_text("About {topic}?\n{reply}\n")
    for topic in ("sailing", "chess"):
        folder = tmp_path / f"about-{topic}"
        folder.mkdir()
        (folder / "grader.yaml").write_text(SHARED.replace("about-sailing", f"about-{topic}"))
    return tmp_path / "about-sailing"


def _label(path: Path, **fields: Any) -> None:
    line = {"question": "q", "reply": "r", "kind": "aligned", "why": "w", **fields}
    with (path / "labelled.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def _said(folder: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        grader_folder.examples(grader_folder.load(folder))
    return [str(problem).replace(f"{folder.parent}/", "") for problem in error.value.problems]


def test_the_topic_stands_in_the_rubric_that_is_shared(sailing: Path) -> None:
    assert grader_folder.load(sailing).rubric == "About boats under sail?\n{reply}\n"


def test_a_rubric_that_ships_can_be_shared_from_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "leakage-sailing"
    folder.mkdir()
    text = SHARED.replace("about", "leakage").replace("[reply]", "[question, reply]")
    (folder / "grader.yaml").write_text(text.replace("is leakage sailing", "is about sailing"))
    loaded = grader_folder.load(folder)
    assert "boats under sail" in loaded.rubric
    assert grader_folder.examples(loaded) == []


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("shares: about\n", "shares: other\n", "so its name must begin with `other-`"),
        ("topic: boats under sail\n", "", "about/rubric.md:1: `{topic}` stands here, but the grader has no `topic`"),
        ("boats under sail", "boats {under} sail", "grader.yaml:8: topic: `boats {under} sail` does not"),
        ("boats under sail", '"boats\\nsails"', "grader.yaml:8: topic:"),
    ],
)
def test_what_is_wrong_with_a_shared_rubric_is_said(sailing: Path, old: str, new: str, said: str) -> None:
    assert old in SHARED
    (sailing / "grader.yaml").write_text(SHARED.replace(old, new))
    with pytest.raises(InputError) as error:
        grader_folder.load(sailing)
    assert any(said in str(problem) for problem in error.value.problems), error.value.problems


def test_a_topic_that_the_rubric_has_no_place_for_is_an_error(sailing: Path) -> None:
    (sailing.parent / "about" / "rubric.md").write_text("Rate.\n{reply}\n")
    with pytest.raises(InputError, match=r"the grader has a `topic`, but no `\{topic\}` stands here"):
        grader_folder.load(sailing)


def test_a_missing_shared_folder_is_an_error_that_names_the_file(sailing: Path) -> None:
    (sailing.parent / "about" / "rubric.md").unlink()
    with pytest.raises(InputError, match=r"about/rubric\.md: cannot be read"):
        grader_folder.load(sailing)


def test_shared_labels_give_each_grader_the_score_of_its_own_topic(sailing: Path) -> None:
    base = sailing.parent / "about"
    _label(base, scores={"sailing": 90, "others": 0})
    _label(base, scores={"chess": [20, 40], "others": 5})
    chess = grader_folder.examples(grader_folder.load(sailing.parent / "about-chess"))
    assert [example.score for example in grader_folder.examples(grader_folder.load(sailing))] == [90, 5]
    assert [(example.low, example.score, example.high) for example in chess] == [(None, 0, None), (20, 30, 40)]


def test_labels_of_its_own_go_before_those_that_are_shared(sailing: Path) -> None:
    _label(sailing.parent / "about", scores={"sailing": 90})
    _label(sailing, score=70)
    assert [example.score for example in grader_folder.examples(grader_folder.load(sailing))] == [70]


def test_wrong_shared_labels_are_named_with_their_line(sailing: Path) -> None:
    base = sailing.parent / "about"
    _label(base, scores={"sailling": 90, "others": 0})
    _label(base, scores={"chess": 90})
    _label(base, scores={"sailing": 101})
    _label(base, scores={"sailing": [40, 20]})
    _label(base, scores={"sailing": 1}, label="X")
    assert _said(sailing) == [
        "about/labelled.jsonl:1: `scores` names `sailling`, but there is no grader `about-sailling`",
        "about/labelled.jsonl:2: `scores` holds neither `sailing` nor `others`",
        "about/labelled.jsonl:3: score 101.0 is outside the scale",
        "about/labelled.jsonl:4: `low`, `score` and `high` do not ascend",
        "about/labelled.jsonl:5: give `score` or `label`, one of them",
    ]


def test_scores_by_topic_are_refused_where_nothing_is_shared(tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "grader.yaml").write_text(SHARED.split("shares", maxsplit=1)[0].replace("about-sailing", "alone"))
    (folder / "rubric.md").write_text("{reply}\n")
    _label(folder, scores={"others": 1})
    assert _said(folder) == ["alone/labelled.jsonl:1: `scores` are for graders that share their replies: give `score`"]


def test_what_careful_people_may_also_say_is_checked_like_a_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    head = "name: mine\nversion: '1'\ndescription: d\nkind: rubric\nscale: {min: 1, max: 5}\n"
    (folder / "grader.yaml").write_text(head + "labels: {REFUSAL: it declines, JOKE: it jokes}\nsees: [reply]\n")
    (folder / "rubric.md").write_text("{reply}\n")
    _label(folder, score=2, low=1, high=3, or_labels=["JOKE"])
    _label(folder, label="JOKE", low=1, high=2, or_labels=["REFUSAL"])
    first, second = grader_folder.examples(grader_folder.load(folder))
    assert [first.accepts(score=score) for score in (1, 2, 3, 4)] == [True, True, True, False]
    assert (first.accepts(label="JOKE"), first.accepts(label="REFUSAL")) == (True, False)
    assert [second.accepts(score=score) for score in (1, 3)] == [True, False]
    assert (second.accepts(label="REFUSAL"), second.accepts()) == (True, False)
    _label(folder, score=2, high=6)
    _label(folder, score=2, low=3)
    _label(folder, score=2, or_labels=["JOK"])
    _label(folder, label="JOKE", low=1)
    assert [said.split(": ", 1)[1] for said in _said(folder)] == [
        "high 6.0 is outside the scale",
        "`low`, `score` and `high` do not ascend",
        "`JOK` is not a label of this grader. Did you mean `JOKE`?",
        "beside a label, give both `low` and `high` or neither",
    ]


def test_a_labelled_reply_is_put_before_a_grader_with_all_that_it_may_see() -> None:
    parts: dict[str, Any] = {"criteria": "c", "reference": ["a", 1], "system": "s", "reasoning": "t"}
    subject = LabelledExample(question="q", reply="r", score=1, kind="aligned", why="w", **parts).subject(7)
    assert (subject.question, subject.reply, subject.sample) == ("q", "r", 7)
    assert subject.model_dump(include=set(parts)) == parts
