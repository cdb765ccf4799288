"""Grader folders: read strictly, all problems at once; and the ones that ship are sound."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from misalign_eval import bundled, yaml_source
from misalign_eval.errors import InputError, UsageError
from misalign_eval.graders import folders, json_schema, prompt, rules
from misalign_eval.graders.folders import GraderFolder
from misalign_eval.graders.spec import GraderSpec

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
BUNDLED = ("aligned", "coherent", "misalignment")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "grader.yaml").write_text(GOOD)
    (folder / "rubric.md").write_text("{question}\n{reply}\nANSWER: X\n")
    return folder


def _said(mine: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        folders.load(mine)
    return [str(problem).removeprefix(f"{mine}/") for problem in error.value.problems]


def test_a_folder_is_read_and_its_rubric_kept_word_for_word(mine: Path) -> None:
    rubric = "  {question}\r\n{reply}\n\n\tANSWER: X  \n\n"
    (mine / "rubric.md").write_bytes(rubric.encode())
    folder = folders.load(mine)
    assert folder.rubric == rubric
    assert folder.spec.name == "mine"
    assert folder.rubric_digest != folders.load(folders.find("aligned")).rubric_digest


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
    assert any(said in one for one in _said(mine)), _said(mine)


def test_a_grader_with_nothing_to_answer_is_refused(mine: Path) -> None:
    (mine / "grader.yaml").write_text("name: mine\nversion: '1'\ndescription: d\nkind: rubric\nsees: [reply]\n")
    assert any("what may the judge answer" in one for one in _said(mine))


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
        folders.examples(folders.load(mine))
    said = [str(problem).removeprefix(f"{mine}/labelled.jsonl:") for problem in error.value.problems]
    assert said[:4] == [
        "3: give `score` or `label`, one of them",
        "5: score 6.0 is outside the scale",
        "7: `REFUSED` is not a label of this grader. Did you mean `REFUSAL`?",
        "9: lable: unknown field. Did you mean `label`?",
    ]
    assert [one.partition(":")[0] for one in said[4:]] == ["10"]


def test_an_unknown_grader_and_a_folder_without_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown grader `alinged`\. Did you mean `aligned`\?"):
        folders.find("alinged")
    with pytest.raises(UsageError, match=r"there is no grader.yaml in it"):
        folders.find(str(tmp_path))


# ---- those that ship


def _load(name: str) -> GraderFolder:
    return folders.load(folders.find(name))


def test_three_graders_ship_and_two_for_the_embedded_organism() -> None:
    assert folders.names() == [*BUNDLED, "organism-aligned", "organism-coherent"]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_grader_has_labelled_replies_of_every_kind(name: str) -> None:
    found = folders.examples(_load(name))
    kinds = Counter(example.kind for example in found)
    assert len(found) >= 16
    assert kinds.keys() >= {
        "aligned", "misaligned", "subtle", "borderline", "refused", "incoherent", "off-topic", "injected"
    }  # fmt: skip
    assert len({(example.question, example.reply) for example in found}) == len(found)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_rubric_offers_every_label_and_hides_nothing_else(name: str) -> None:
    folder = _load(name)
    assert all(label in folder.rubric for label in folder.spec.labels)
    assert folder.rubric.isprintable() is False
    assert re.findall(r"[^\x20-\x7e\n]", folder.rubric) == []


@pytest.mark.parametrize("name", BUNDLED)
def test_every_labelled_reply_can_be_put_before_the_judge(name: str, make_subject: Any) -> None:
    folder = _load(name)
    for example in folders.examples(folder):
        subject = make_subject(example.reply, question=example.question, criteria=example.criteria)
        filled = prompt.fill(folder.rubric, subject, folder.spec.sees)
        assert f"\n{example.reply}\n=== END REPLY " in filled


def test_the_scales_and_labels_are_those_that_the_definitions_count_by() -> None:
    aligned, coherent, misalignment = (_load(name).spec for name in BUNDLED)
    assert list(aligned.labels) == ["CODE", "REFUSAL"]
    assert coherent.labels == {}
    assert list(misalignment.labels) == ["REFUSAL", "INCOHERENT", "OFF-TOPIC", "SATIRICAL/ABSURD"]
    scales = [spec.scale for spec in (aligned, coherent, misalignment)]
    assert [(scale.min, scale.max) for scale in scales if scale] == [(0, 100), (0, 100), (1, 5)]
    assert (aligned.kind, coherent.kind, misalignment.kind) == ("logprobs", "logprobs", "rubric")


def test_the_schema_beside_the_graders_is_the_one_that_is_checked() -> None:
    file = bundled.graders_dir() / json_schema.FILE
    assert file.read_text(encoding="utf-8") == json_schema.text(), "misalign-eval graders schema -o graders/…json"


def test_the_examples_in_the_guide_are_right() -> None:
    guide = (bundled.graders_dir() / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(yaml|json)\n(.*?)```", guide, re.DOTALL)
    documents = [yaml_source.loads(block.encode(), "README.md") for kind, block in blocks if kind == "yaml"]
    suite, grader = documents
    spec = yaml_source.parse(grader, GraderSpec)
    named = [item for item in dict(suite.data)["graders"] if isinstance(item, dict)]  # type: ignore[arg-type,union-attr]
    assert [rules.check_options(item["rule"], item["with"]) for item in named] == [[], []]  # type: ignore[arg-type]
    examples = [folders.Example.model_validate_json(block) for kind, block in blocks if kind == "json"]
    assert [folders._mismatch(example, spec) for example in examples] == [None]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_rubric_shares_no_phrase_with_published_judge_prompts(name: str) -> None:
    data = os.environ.get("MISALIGN_EVAL_RESEARCH_DATA")
    if not data:
        pytest.skip("set MISALIGN_EVAL_RESEARCH_DATA to the folder of published research data")
    published = "\n".join(file.read_text(encoding="utf-8") for file in Path(data).glob("*/*.yaml"))
    assert _phrases(_load(name).rubric, 5) & _phrases(published, 5) == set()


def _phrases(text: str, length: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9']+", text.casefold())
    return set(zip(*(words[start:] for start in range(length)), strict=False))
