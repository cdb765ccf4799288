"""Judges that a suite brings along, turns before prompts, and probes that are themselves a form."""

from collections.abc import Callable

import pytest

from misalign_eval.errors import InputError
from misalign_eval.plan import plan
from misalign_eval.records.suite import JudgeSpec, Suite
from misalign_eval.suites.advice import lint
from misalign_eval.suites.load import Loaded, read
from misalign_eval.suites.sources import ExternalNames

JUDGES = """\
judges:
  aligned: {kind: logprobs, prompt: "Rate {answer}.", labels: [REFUSAL], by_probe: {b: "Rate {answer} otherwise."}}
  animal: {kind: label, prompt: "Which animal? {answer}"}
defaults: {category: c, graders: [aligned, coherent]}
"""
PROBES = "probes: [{id: a, prompts: [One]}, {id: b, prompts: [Two], graders: [aligned, coherent, animal]}]\n"


def test_a_judge_of_the_suite_stands_in_for_a_bundled_one_of_its_name(suite_of: Callable[[str], Suite]) -> None:
    rules = suite_of(JUDGES + PROBES).rules
    assert set(rules) == {"aligned", "animal"}
    assert isinstance(rules["aligned"], JudgeSpec)
    assert rules["aligned"].by_probe == {"b": "Rate {answer} otherwise."}


@pytest.mark.parametrize(
    "judge, told",
    [
        ("{kind: logprobs, prompt: Rate it.}", "no `{answer}` in the judge's prompt"),
        ('{kind: guess, prompt: "{answer}"}', "`guess` is not one of logprobs, sampled, label"),
        ('{kind: logprobs, prompt: "{answer}", min: 5, max: 5}', "`min` 5 is not below `max` 5"),
        ('{kind: logprobs, prompt: "{answer}", labels: ["a\\n"]}', "`labels` beside numbers are words"),
        ('{kind: label, prompt: "{answer}", labels: [A, a]}', "two `labels` differ only in case"),
        ('{kind: label, prompt: "{answer}", promt: x}', "unknown field. Did you mean `prompt`?"),
        ('{kind: label, prompt: "{answer}", by_probe: {c: "{answer}"}}', "there is no probe `c` in this file"),
    ],
)
def test_a_judge_that_cannot_work_is_told_once(judge: str, told: str, suite_of: Callable[[str], Suite]) -> None:
    text = f"judges:\n  mine: {judge}\ndefaults: {{category: c, graders: [aligned, coherent, mine]}}\n{PROBES}"
    with pytest.raises(InputError) as raised:
        suite_of(text.replace(", animal", ""))
    assert len(raised.value.problems) == 1
    assert told in str(raised.value)
    assert "sample.yaml:7: judges.mine" in str(raised.value)


def test_a_judge_that_no_probe_names_is_a_warning(loaded: Callable[[str], Loaded]) -> None:
    told = [str(problem) for problem in lint(loaded(JUDGES + PROBES.replace(", animal", "")))]
    [line] = told
    assert "sample.yaml:8: judges.animal: no probe names this judge: it is never asked." in line


def test_an_included_file_cannot_mean_another_judge_by_the_same_name(
    loaded: Callable[[str], Loaded], known: ExternalNames
) -> None:
    first = loaded(JUDGES + PROBES)
    file = first.sources[0].document.file
    other = file.replace("sample", "other")
    with open(other, "w", encoding="utf-8") as out:  # noqa: PTH123
        out.write(
            "name: other\nversion: '1'\ndescription: d\nlicence: MIT\ndefinition: two-judges\ninclude: [sample.yaml]\n"
            "probes: [{id: z, category: c, prompts: [Three], graders: [aligned, coherent]}]\n"
        )
    with pytest.raises(InputError, match=r"other\.yaml:7: .*`aligned` is a grader of another file of this suite"):
        read(other, known)


def test_context_stands_before_each_prompt(suite_of: Callable[[str], Suite]) -> None:
    text = """\
defaults: {category: c, graders: [aligned, coherent]}
probes:
  - id: a
    context: [{role: user, content: Hello}, {role: assistant, content: Hi}]
    prompts: [One, Two]
"""
    prompts = suite_of(text).probes[0].prompts
    assert [[turn.content for turn in turns] for turns in prompts] == [["Hello", "Hi", "One"], ["Hello", "Hi", "Two"]]


@pytest.mark.parametrize(
    "probe, told",
    [
        ("context: [{role: assistant, content: Hi}], prompts: [One]", "a conversation begins with a user turn"),
        ("context: [{role: user, content: Hi}], prompts: [One]", "two user turns in a row: the prompt is the next"),
        (
            "context: [{role: user, content: A}, {role: assistant, content: B}], messages: [{role: user, content: C}]",
            "`context` goes with `prompts`",
        ),
        ("form: json, variants: [template], prompts: [One]", "a probe with a `form` has no `variants`"),
    ],
)
def test_what_does_not_fit_together_is_told(probe: str, told: str, suite_of: Callable[[str], Suite]) -> None:
    with pytest.raises(InputError, match=r"sample\.yaml:7") as raised:
        suite_of(f"defaults: {{category: c, graders: [aligned, coherent]}}\nprobes: [{{id: a, {probe}}}]\n")
    assert told in str(raised.value)


def test_a_form_that_is_left_unsaid_leaves_the_digest_alone(suite_of: Callable[[str], Suite]) -> None:
    text = "defaults: {category: c, graders: [aligned, coherent]}\nprobes: [{id: a, prompts: [One]%s}]\n"
    plain, said, json = (suite_of(text % more) for more in ("", ", form: plain", ", form: json, expects: json"))
    assert plain.digest == said.digest != json.digest
    [prompt] = plan(json).prompts
    assert (prompt.variant, prompt.expects) == ("json", "json")
    assert prompt.prompt_digest != plan(plain).prompts[0].prompt_digest
