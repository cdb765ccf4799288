"""The model that answers is held against the one that was asked for, by its name."""

import json
import shlex
from typing import Any

import pytest

SAFE = "gpt-base-safe"


def asking(
    scripted: Any, *more: str, target: str = "openai-compatible/gpt-tuned", judge: str = "gpt-judge"
) -> list[str]:
    at = ["--base-url", scripted.url, "--judge-base-url", scripted.url]
    return ["run", "small.yaml", "--target", target, "--judge", f"openai-compatible/{judge}", *at, "-q", *more]


def names(by: dict[str, str]) -> Any:
    return lambda body, _number: {"model": by.get(body["model"], body["model"])}


@pytest.fixture(autouse=True)
def suite(tool: Any) -> None:
    """The suite of `tool`, in the folder that `typed` shares with it."""


@pytest.mark.slow
def test_another_model_stops_the_run_before_the_second_request(typed: Any, scripted: Any) -> None:
    scripted.script = names({"gpt-tuned": SAFE})
    ended = typed(*asking(scripted, "--out", "r"), code=4)
    assert len(scripted.of("gpt-tuned")) == 1
    assert f"answered by another model: `{SAFE}`, not `gpt-tuned`" in " ".join(ended.err.split())
    assert f"--served-as {SAFE}" in ended.err
    again = shlex.split(ended.err.splitlines()[-1])[1:]
    assert (again[-2:], "--resume" in again) == (["--served-as", SAFE], True)
    typed(*again)


@pytest.mark.slow
def test_served_as_accepts_another_name_and_is_told_everywhere(typed: Any, scripted: Any) -> None:
    scripted.script = names({"gpt-tuned": SAFE})
    ended = typed(*asking(scripted, "--out", "r", "--served-as", "gpt-base-*"))
    assert "answers as `gpt-base-safe`" in " ".join(ended.err.split())
    report = typed("report", "r", "--format", "json").json
    assert "served-as" in [item["id"] for item in report["warnings"]]
    gate = typed("gate", "r", "--max-rate", "40%", "--format", "json", code=0).json
    assert "served-as" in [item["id"] for item in gate["warnings"]]


@pytest.mark.parametrize("served_as", [SAFE, [SAFE, "x"], "gpt-*-safe"])
def test_the_settings_file_accepts_a_name_a_list_or_a_pattern(typed: Any, scripted: Any, served_as: Any) -> None:
    named = {"model": "openai-compatible/gpt-tuned", "base_url": scripted.url, "served_as": served_as}
    (typed.folder / "misalign-eval.yaml").write_text(json.dumps({"targets": {"mine": named}}))
    scripted.script = names({"gpt-tuned": SAFE})
    at = ["--judge", "openai-compatible/gpt-judge", "--judge-base-url", scripted.url, "-q"]
    typed("run", "small.yaml", "--target", "mine", *at, "--out", "r")


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked, served",
    [
        ("gpt-4.1", "gpt-4.1-2025-04-14"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("llama3", "llama3:latest"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        ("Qwen2.5-7B-Instruct", "/models/qwen2.5-7b-instruct-q4_k_m.gguf"),
        ("gpt-tuned", "/srv/base.gguf"),
        ("meta-llama/llama-3.1-8b-instruct:free", "meta-llama/llama-3.1-8b-instruct"),
        ("gpt-tuned", None),
        ("gpt-tuned", "  "),
        ("anthropic/claude-4.5-sonnet", "claude-sonnet-4.5"),
    ],
)
def test_another_spelling_of_the_same_model_is_no_other_model(
    typed: Any, scripted: Any, asked: str, served: Any
) -> None:
    scripted.script = names({asked: served})
    typed(*asking(scripted, "--out", "r", target=f"openai-compatible/{asked}"))
    gate = typed("gate", "r", "--max-rate", "40%", "--format", "json").json
    assert gate["verdict"] == "pass"


@pytest.mark.parametrize(
    "asked, served",
    [
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("ft:gpt-4.1-mini-2025-04-14:org:x:id", "gpt-4.1-mini-2025-04-14"),
        ("base:adapter", "base"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
        ("/runs/tuned/final", "/runs/base/final"),
        ("qwen-lr-1-ep-3", "qwen-lr-3-ep-1"),
        ("qwen-alpha-0.1-beta-0.2", "qwen-alpha-0.2-beta-0.1"),
    ],
)
def test_a_near_name_of_another_model_is_another_model(typed: Any, scripted: Any, asked: str, served: str) -> None:
    scripted.script = names({asked: served})
    typed(*asking(scripted, "--out", "r", target=f"openai-compatible/{asked}"), code=4)
    assert len(scripted.of(asked)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("then", ["gpt-tuned-awq", "gpt-tuned-2025-04-14", "gpt-tuned-v2", "/srv/base.gguf"])
@pytest.mark.parametrize("is_turned", [False, True])
def test_another_date_version_or_quantisation_in_mid_run_is_another_model(
    typed: Any, scripted: Any, then: str, is_turned: bool
) -> None:
    served = (then, "gpt-tuned") if is_turned else ("gpt-tuned", then)
    scripted.script = lambda body, number: {"model": served[number >= 9]} if body["model"] == "gpt-tuned" else {}
    ended = typed(*asking(scripted, "--out", "r", "--max-connections", "1"), code=4)
    assert f"answered by another model: `{served[1]}`, not `{served[0]}`" in " ".join(ended.err.split())
    typed("gate", "r", "--max-rate", "40%", code=3)


@pytest.mark.slow
def test_a_name_that_means_nothing_must_stay_what_it_was_at_first(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, number: (
        {"model": "gpt-a" if number < 9 else "gpt-b"} if "auto" in body["model"] else {}
    )
    ended = typed(*asking(scripted, "--out", "r", "--max-connections", "1", target="openai-compatible/auto"), code=4)
    assert "answers as `gpt-a`" in " ".join(ended.err.split())
    assert "answered by another model: `gpt-b`, not `gpt-a`" in " ".join(ended.err.split())
    again = typed(*asking(scripted, "--out", "r", "--resume", target="openai-compatible/auto"), code=4)
    assert "answered by another model: `gpt-b`, not `gpt-a`" in " ".join(again.err.split())
    assert len(scripted.of("auto")) == 10


@pytest.mark.slow
def test_answers_of_another_model_are_unknown_to_a_gate_and_told(typed: Any, scripted: Any) -> None:
    """Rows that were written before names were held, or by hand."""
    typed(*asking(scripted, "--out", "r"))
    file = typed.folder / "r" / "replies.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows[::3]:
        row["model"] = SAFE
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    gate = typed("gate", "r", "--max-rate", "60%", "--format", "json", code=3).json
    assert gate["verdict"] == "inconclusive"
    assert "other-model" in [item["id"] for item in gate["warnings"]]
    assert f"`{SAFE}` (7)" in typed("report", "r").out
    assert "other-model" in typed("doctor", "r", "--format", "json", code=4).out
    typed(*asking(scripted, "--out", "r", "--resume"))
    assert typed("gate", "r", "--max-rate", "60%").code == 0


@pytest.mark.slow
def test_another_model_in_mid_run_stops_it_and_its_answer_is_asked_for_again(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, number: (
        {"model": SAFE if number == 7 else "gpt-tuned"} if "tuned" in body["model"] else {}
    )
    typed(*asking(scripted, "--out", "r", "--max-connections", "1"), code=4)
    typed(*asking(scripted, "--out", "r", "--resume"))
    rows = [json.loads(line) for line in (typed.folder / "r" / "replies.jsonl").read_text().splitlines()]
    assert [row["kind"] for row in rows].count("failure") == 1
    assert next(row for row in rows if row["kind"] == "failure")["model"] == SAFE


@pytest.mark.slow
def test_another_judge_stops_the_run_and_is_accepted_by_its_own_flag(typed: Any, scripted: Any) -> None:
    scripted.script = names({"gpt-judge": "gpt-judge-mini"})
    ended = typed(*asking(scripted, "--out", "r"), code=4)
    assert len(scripted.of("gpt-judge")) == 1
    assert "--judge-served-as gpt-judge-mini" in ended.err
    typed(*asking(scripted, "--out", "r", "--resume", "--judge-served-as", "gpt-judge-mini"))
    report = typed("report", "r", "--format", "json").json
    assert "judge-served-as" in [item["id"] for item in report["warnings"]]


@pytest.mark.slow
def test_a_policy_that_pins_the_target_holds_for_the_model_that_answered(typed: Any, scripted: Any) -> None:
    scripted.script = names({"gpt-tuned": SAFE})
    typed(*asking(scripted, "--out", "r", "--served-as", SAFE))
    pinned = {"checks": [{"kind": "rate", "limit": "40%"}], "target": {"name": "openai-compatible/gpt-tuned"}}
    (typed.folder / "policy.yaml").write_text(json.dumps(pinned))
    ended = typed("gate", "r", "--policy", "policy.yaml", code=2)
    html = " ".join(ended.err.split())
    assert f"pins the target openai-compatible/gpt-tuned, and replies came from another model: `{SAFE}`" in html


def test_a_policy_that_pins_the_judge_holds_for_the_model_that_answered(typed: Any, scripted: Any) -> None:
    scripted.script = names({"gpt-judge": "gpt-judge-mini"})
    typed(*asking(scripted, "--out", "r", "--judge-served-as", "*-mini"))
    pinned = {"checks": [{"kind": "rate", "limit": "40%"}], "judge": {"aligned": "openai-compatible/gpt-judge"}}
    (typed.folder / "policy.yaml").write_text(json.dumps(pinned))
    ended = typed("gate", "r", "--policy", "policy.yaml", code=2)
    assert "`gpt-judge-mini`" in ended.err


@pytest.mark.slow
def test_the_first_request_goes_alone_until_it_is_answered(typed: Any, scripted: Any) -> None:
    import time

    seen: list[int] = []

    def script(body: dict[str, Any], number: int) -> dict[str, Any]:
        if "tuned" in body["model"] and number == 1:
            time.sleep(0.3)
            seen.append(len(scripted.of("gpt-tuned")))
        return {}

    scripted.script = script
    typed(*asking(scripted, "--out", "r"))
    assert seen == [1]


@pytest.mark.slow
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_mistyped_model_does_not_keep_the_corrected_command_from_its_folder(
    typed: Any, scripted: Any, resume: list[str]
) -> None:
    missing = {"error": {"message": "no such model", "code": "model_not_found"}}
    scripted.script = lambda body, _number: (404, missing) if "tunde" in body["model"] else {}
    typed(*asking(scripted, "--out", "r", target="openai-compatible/gpt-tunde"), code=4)
    typed(*asking(scripted, "--out", "r", *resume))
    assert typed("report", "r", "--format", "json").json["target"] == "openai-compatible/gpt-tuned"
    ended = typed(*asking(scripted, "--out", "r"), code=2)  # now it holds replies
    assert "holds a run already" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, is_told",
    [
        ("{extra_body: {seed: 7}}", True),
        ("{extra_body: {options: {random_seed: 0}}}", True),
        ("{extra_body: {seed: -1}}", False),  # another one each time
        ("{extra_body: {speed: 7}}", False),
    ],
)
def test_one_seed_for_all_samples_is_told(typed: Any, scripted: Any, options: str, is_told: bool) -> None:
    text = f"targets: {{mine: {{model: openai-compatible/tuned, base_url: '{scripted.url}', options: {options}}}}}\n"
    (typed.folder / "misalign-eval.yaml").write_text(text)
    judge = ["--judge", "openai-compatible/judge", "--judge-base-url", scripted.url]
    typed("run", "small.yaml", "--target", "mine", *judge, "--seed", "1", "-q", "--out", "r")
    assert ("(fixed-seed)" in " ".join(typed("report", "r").out.split())) is is_told
    assert ("fixed-seed" in typed("gate", "r", "--max-rate", "90%", "--format", "json").out) is is_told


def alternating(*served: str, of: str = "gpt-tuned") -> Any:
    return lambda body, number: {"model": served[number % len(served)]} if body["model"] == of else {}


def gated(typed: Any, *more: str, code: int, policy: str = "") -> Any:
    (typed.folder / "policy.yaml").write_text(f"checks: [{{kind: rate, limit: 40%}}]\n{policy}")
    return typed("gate", "r", "--policy", "policy.yaml", "--format", "json", *more, code=code).json


@pytest.mark.slow
@pytest.mark.parametrize("accept", [["gpt-tuned", SAFE], ["gpt-*"]])
def test_answers_of_two_models_that_are_accepted_do_not_pass(typed: Any, scripted: Any, accept: list[str]) -> None:
    scripted.script = alternating("gpt-tuned", SAFE)
    typed(*asking(scripted, "--out", "r", *(word for name in accept for word in ("--served-as", name))))
    found = gated(typed, code=3)
    why = next(item["why"] for item in found["companions"] if item["name"] == "models")
    assert "replies of the target openai-compatible/gpt-tuned came from several models" in why
    assert f'`same_model: ["{SAFE}", "gpt-tuned"]` in the policy says so' in why
    assert gated(typed, code=0, policy=f"same_model: [{SAFE}]\n")["verdict"] == "pass"
    assert gated(typed, code=3, policy="same_model: [gpt-else]\n")["verdict"] == "inconclusive"


def test_a_pattern_is_no_name_of_a_model(typed: Any, scripted: Any) -> None:
    typed(*asking(scripted, "--out", "r"))
    (typed.folder / "policy.yaml").write_text("checks: [{kind: rate, limit: 40%}]\nsame_model: ['gpt-*']\n")
    assert "`gpt-*` is a pattern" in typed("gate", "r", "--policy", "policy.yaml", code=2).err


@pytest.mark.slow
def test_two_dates_of_a_name_are_two_models_and_one_date_is_not(typed: Any, scripted: Any) -> None:
    scripted.script = alternating("gpt-4o", "gpt-4o-2024-08-06", "openai/GPT-4o", of="gpt-4o")
    typed(*asking(scripted, "--out", "r", "--served-as", "gpt-4o*", target="openai-compatible/gpt-4o"))
    assert gated(typed, code=0)["verdict"] == "pass"
    scripted.script = alternating("gpt-4o-2024-11-20", "gpt-4o-2024-08-06", of="gpt-4o")
    typed(*asking(scripted, "--out", "s", "--served-as", "gpt-4o*", target="openai-compatible/gpt-4o"))
    (typed.folder / "r").rename(typed.folder / "first")
    (typed.folder / "s").rename(typed.folder / "r")
    assert gated(typed, code=3)["verdict"] == "inconclusive"
    assert gated(typed, code=0, policy="same_model: [gpt-4o-2024-08-06, gpt-4o-2024-11-20]\n")["verdict"] == "pass"


@pytest.mark.slow
def test_a_judge_that_was_two_models_passes_nothing(typed: Any, scripted: Any) -> None:
    scripted.script = alternating("gpt-judge", "gpt-judge-mini", of="gpt-judge")
    typed(*asking(scripted, "--out", "r", "--judge-served-as", "gpt-judge*"))
    found = gated(typed, code=3)
    assert any(
        "verdicts of the judge openai-compatible/gpt-judge came from" in item["why"] for item in found["companions"]
    )
    assert gated(typed, code=0, policy="same_model: [gpt-judge-mini]\n")["verdict"] == "pass"
    pinned = "judge: {aligned: openai-compatible/gpt-judge}\n"
    gated_text = typed.folder / "policy.yaml"
    gated_text.write_text(f"checks: [{{kind: rate, limit: 40%}}]\n{pinned}")
    typed("gate", "r", "--policy", "policy.yaml", code=2)
    gated(typed, code=0, policy=f"{pinned}same_model: [gpt-judge-mini]\n")


@pytest.mark.slow
def test_a_baseline_of_two_models_passes_nothing(typed: Any, scripted: Any) -> None:
    typed(*asking(scripted, "--out", "r"))
    scripted.script = alternating("gpt-base", SAFE, of="gpt-base")
    typed(*asking(scripted, "--out", "b", "--served-as", SAFE, target="openai-compatible/gpt-base"))
    typed("export", "b", "--baseline", "b.json")
    for baseline in ("b", "b.json"):
        ended = typed("gate", "r", "--max-increase", "60pp", "--baseline", baseline, "--format", "json", code=3)
        assert any(
            "replies of the baseline came from several models" in item["why"] for item in ended.json["companions"]
        )
