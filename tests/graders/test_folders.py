"""Grader folders: read strictly, all problems at once."""

import json
from pathlib import Path

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.graders import folder as grader_folder

GOOD = """\
name: mine
version: '1'
description: A grader.
kind: rubric
scale: {min: 1, max: 5}
labels: {REFUSAL: it declines}
aliases: {REFUSED: REFUSAL}
sees: [question, reply]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "grader.yaml").write_text(GOOD)
    (folder / "rubric.md").write_text("{question}\n{reply}\nANSWER: X\n")
    return folder


def _said(mine: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        grader_folder.load(mine)
    return [str(problem).removeprefix(f"{mine}/") for problem in error.value.problems]


def test_a_folder_is_read_and_its_rubric_kept_word_for_word(mine: Path) -> None:
    rubric = "  {question}\r\n{reply}\n\n\tANSWER: X  \n\n"
    (mine / "rubric.md").write_bytes(rubric.encode())
    folder = grader_folder.load(mine)
    assert folder.rubric == rubric
    assert folder.spec.name == "mine"
    assert folder.rubric_digest != grader_folder.load(grader_folder.find("aligned")).rubric_digest


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("kind: rubric", "kind: rubrik", "grader.yaml:4: kind: `rubrik` is not one of"),
        ("kind: rubric\n", "", "kind: required field is missing"),
        ("labels:", "lables:", "grader.yaml:6: lables: unknown field. Did you mean `labels`?"),
        ("min: 1, max: 5", "min: 5, max: 1", "grader.yaml:5: scale: `min` 5 is not below `max` 1"),
        ("min: 1", "min: -1", "grader.yaml:5: scale.min: should be at least 0, not `-1`"),
        ("REFUSED: REFUSAL", "REFUSED: REFUSE", "alias of `REFUSE`, which is not a label"),
        ("REFUSED: REFUSAL", "refusal: REFUSAL", "two labels or aliases differ only in case"),
        ("{REFUSAL: it declines}", "{'5': five}", "label `5`: use letters"),
        ("[question, reply]", "[question]", "a grader must see the reply"),
        ("[question, reply]", "[question, reply, reply]", "`sees` names something twice"),
        ("[question, reply]", "[question, reply, thoughts]", "sees[2]: `thoughts` is not one of"),
        ("sees:", "sampling: {samples: 3}\nsees:", "use several judges with kind rubric"),
        (
            "sees:",
            "sampling: {temprature: 1}\nsees:",
            "sampling.temprature: unknown field. Did you mean `temperature`?",
        ),
        ("kind: rubric", "kind: sampled\nsampling: {samples: 3, temperature: 0}", "at temperature 0 are one answer"),
        ("sees:", "mass_limit: 0\nsees:", "mass_limit: should be greater than 0"),
        ("name: mine", "name: other", "the name `other` is not that of the folder, `mine`"),
        ("version: '1'", "version: 1", "grader.yaml:2: version: should be text"),
        ("kind: rubric\nscale: {min: 1, max: 5}", "kind: logprobs", "a grader of kind logprobs needs a `scale`"),
    ],
)
def test_a_wrong_grader_file_is_named_with_its_line_and_the_fix(mine: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    (mine / "grader.yaml").write_text(GOOD.replace(old, new))
    assert any(said in item for item in _said(mine)), _said(mine)


def test_a_grader_with_nothing_to_answer_is_refused(mine: Path) -> None:
    (mine / "grader.yaml").write_text("name: mine\nversion: '1'\ndescription: d\nkind: rubric\nsees: [reply]\n")
    assert any("what may the judge answer" in item for item in _said(mine))


def test_problems_of_both_files_are_named_at_once(mine: Path) -> None:
    (mine / "grader.yaml").write_text(GOOD.replace("name: mine", "name: other"))
    (mine / "rubric.md").write_text("{question}\n{replay}\n")
    assert len(_said(mine)) == 3


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "rubric.md: the rubric is empty"),
        (b"line\n\xff{reply}", "rubric.md:2: not UTF-8. Save the file as UTF-8."),
        (b"x" * 300_000, "rubric.md: longer than 200,000 characters"),
        (b"{question}{reply}{system}", "rubric.md:1: `{system}` is not among what the grader `sees`. Add it there."),
    ],
)
def test_a_rubric_that_cannot_be_sent_is_refused(mine: Path, content: bytes, said: str) -> None:
    (mine / "rubric.md").write_bytes(content)
    assert _said(mine) == [said]


def test_a_missing_rubric_is_named(mine: Path) -> None:
    (mine / "rubric.md").unlink()
    assert _said(mine) == ["rubric.md: cannot be read: No such file or directory"]


def test_every_bad_line_of_the_labelled_replies_is_named(mine: Path) -> None:
    good = {"question": "q", "reply": "r", "score": 5, "kind": "aligned", "why": "w"}
    lines = [
        good,
        {**good, "label": "REFUSAL"},
        {**good, "score": 6},
        {**good, "score": None, "label": "REFUSED"},
        {**good, "lable": "x"},
    ]
    (mine / "labelled.jsonl").write_text("\n\n".join(json.dumps(line) for line in lines) + "\nno json\n")
    with pytest.raises(InputError) as error:
        grader_folder.examples(grader_folder.load(mine))
    said = [str(problem).removeprefix(f"{mine}/labelled.jsonl:") for problem in error.value.problems]
    assert said[:4] == [
        "3: give `score` or `label`, one of them",
        "5: score 6.0 is outside the scale",
        "7: `REFUSED` is not a label of this grader. Did you mean `REFUSAL`?",
        "9: lable: unknown field. Did you mean `label`?",
    ]
    assert [item.partition(":")[0] for item in said[4:]] == ["10"]


def test_an_unknown_grader_and_a_folder_without_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown grader `alinged`\. Did you mean `aligned`\?"):
        grader_folder.find("alinged")
    with pytest.raises(UsageError, match=r"there is no grader.yaml in it"):
        grader_folder.find(str(tmp_path))
