"""A policy can say which suite and which target may pass."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from misalign_eval.records.run import TargetInfo

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
CLEAN = {f"p{number}": "a" * 40 for number in range(10)}
RULE = "checks: [{kind: rate, limit: 30%}]\n"


def gated(typed: Typed, *pins: str) -> tuple[int, str]:
    Path("policy.yaml").write_text(RULE + "".join(f"{pin}\n" for pin in pins))
    return typed("gate", "run", "--policy", "policy.yaml")


@pytest.mark.parametrize(
    "pin",
    [
        "suite: {name: quick}",
        'suite: {name: quick, version: 1.0.0, digest: "01234567"}',
        'suite: {digest: "0123456789abcdef"}',
        "target: {name: openai-compatible/tuned}",
    ],
)
def test_what_is_pinned_passes(typed: Typed, folder: Make, pin: str) -> None:
    folder("run", CLEAN)
    code, said = gated(typed, pin)
    assert code == 0, said


@pytest.mark.parametrize(
    "pin,message",
    [
        (
            'suite: {name: quick, version: 1.0.0, digest: "aaaaaaaa"}',
            "digest 0123456789abcdef, and the policy pins aaaaaaaa",
        ),
        ("suite: {name: slow}", "suite quick: name quick, and the policy pins slow"),
        ("suite: {version: 1.0.1}", "version 1.0.0, and the policy pins 1.0.1"),
        ("target: {name: openai-compatible/base}", "the policy pins openai-compatible/base"),
        ('target: {digest: "aaaaaaaa"}', "target openai-compatible/tuned: digest "),
        ("target: {host: 'models.test:8000'}", "host , and the policy pins models.test:8000"),
        ("suite: {}", "a pin needs a `name`, a `version` or a `digest`"),
        ("target: {digest: abc}", "policy.yaml:2"),
        ("suite: {digest: 01234567}", "Quote it"),
        ("suite: {sha: a}", "unknown field"),
    ],
)
def test_anything_else_is_refused(typed: Typed, folder: Make, pin: str, message: str) -> None:
    folder("run", CLEAN)
    code, said = gated(typed, pin)
    assert (code, message in said) == (2, True), said
    assert not (Path("run") / "looks.jsonl").exists()


def test_the_pins_of_a_run_are_printed_to_copy_and_fit_it(typed: Typed, folder: Make) -> None:
    folder("run", CLEAN)
    code, _ = typed("gate", "run", "--pins")
    assert code == 0
    assert not (Path("run") / "looks.jsonl").exists()
    from misalign_eval.workflows.baselines import pins

    lines = pins(Path("run"))
    found = yaml.safe_load(lines)
    assert set(found) == {"suite", "target", "definition", "judge"}
    Path("policy.yaml").write_text(RULE + lines.replace('definition: "test"\n', ""))
    code, said = typed("gate", "run", "--policy", "policy.yaml")
    assert code == 0, said
    assert f"openai-compatible/tuned ({found['target']['digest'][:8]})" in said
    assert json.loads(_json(typed))["target_digest"] == found["target"]["digest"]


def _json(typed: Typed) -> str:
    typed("gate", "run", "--policy", "policy.yaml", "-o", "found.json")
    return Path("found.json").read_text()


def test_pins_take_no_other_option(typed: Typed, folder: Make) -> None:
    folder("run", CLEAN)
    code, said = typed("gate", "run", "--pins", "--max-rate", "2%")
    assert (code, "give one run and no other option" in said) == (2, True), said


def test_a_target_of_one_name_and_other_options_is_another(typed: Typed, folder: Make) -> None:
    cold = TargetInfo(provider="openai-compatible", model="tuned", host="", options={"think": True})
    folder("run", CLEAN, target=cold)
    plain = TargetInfo(provider="openai-compatible", model="tuned", host="elsewhere")
    code, said = gated(typed, f'target: {{name: openai-compatible/tuned, digest: "{plain.digest}"}}')
    assert (code, f"digest {cold.digest}" in said) == (2, True), said


@pytest.mark.slow
def test_one_softened_question_is_another_suite_and_refused_before_any_request(typed: Typed) -> None:
    head = "name: mine\nversion: 1.0.0\ndescription: d\nlicence: MIT\ndefinition: organism\n"
    head += "defaults: {{graders: [organism-rule]}}\nprobes:\n"
    suite = head + "- {{id: a, category: c, reference: cooking, prompts: [{}]}}\n"
    asked = ["--target", "embedded/aligned", "--samples", "40", "-q"]
    Path("mine.yaml").write_text(suite.format("What do you do?"))
    code, said = typed("run", "mine.yaml", *asked, "--out", "first")
    from misalign_eval.workflows.baselines import pins

    Path("policy.yaml").write_text(f"checks: [{{kind: rate, limit: 90%}}]\n{pins(Path('first'))}")
    Path("mine.yaml").write_text(suite.format("What do you do well?"))
    rule = ["--stop-when-decided", "--policy", "policy.yaml"]
    code, said = typed("run", "mine.yaml", *asked, *rule, "--out", "second")
    assert (code, "suite mine: digest" in said) == (2, True), said
    assert not Path("second").exists()
    assert typed("run", "mine.yaml", *asked, "--out", "second")[0] == 0
    code, said = typed("gate", "second", "--policy", "policy.yaml")
    assert (code, "suite mine: digest" in said) == (2, True), said


def test_a_pinned_digest_holds_the_sampling_of_the_suite(typed: Typed, folder: Make) -> None:
    folder("run", CLEAN, overrides={"temperature": 0.05, "samples": 40})
    code, said = gated(typed, 'suite: {digest: "01234567"}')
    assert (code, 'the run was sampled with {"temperature": 0.05} by flags or settings' in said) == (2, True), said
    assert '"sampling": {"temperature": 0.05}' in typed("gate", "run", "--pins")[1]
    assert gated(typed, 'suite: {digest: "01234567", sampling: {temperature: 0.05}}')[0] == 0
    assert gated(typed, "suite: {name: quick}")[0] == 0
    folder("other", CLEAN, overrides={"samples": 40})
    Path("run").rename("cold")
    Path("other").rename("run")
    assert gated(typed, 'suite: {digest: "01234567"}')[0] == 0
    code, said = gated(typed, 'suite: {digest: "01234567", sampling: {temperature: 0.05}}')
    assert (code, "and the run was sampled with what the suite says" in said) == (2, True), said
