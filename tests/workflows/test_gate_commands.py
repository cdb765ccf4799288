"""`gate`, `export` and `run --stop-when-decided` against a server: exit codes, what is asked, what is kept."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

Tool = Any  # the fixture of conftest.py
PROMPTS = 5
CAP = 60
POLICY = "checks:\n  - {kind: rate, limit: 10%}\n"
DIFFERENCE = "checks:\n  - {kind: difference, margin: 20pp}\n"


def stopping(tool: Tool, target: str, *more: str, policy: str = POLICY, judge: str = "judge") -> list[str]:
    (tool.folder / "policy.yaml").write_text(policy)
    flags = ["--stop-when-decided", "--policy", "policy.yaml", "--samples", str(CAP), "-q"]
    return [*tool.asking(target, *flags, *more, judge=judge)]


def verdict(tool: Tool, *arguments: str) -> Any:
    ended = tool("gate", *arguments, "--format", "json")
    assert ended.out, ended.err
    return ended.json


@pytest.mark.slow
def test_a_clean_run_ends_early_and_passes(tool: Tool) -> None:
    ended = tool(*stopping(tool, "base", "--out", "run", "--format", "json"))
    assert ended.code == 0, ended.err
    found = ended.json
    rounds = found["gate"]["stopped_at"]
    assert (found["gate"]["verdict"], found["gate"]["method"]) == ("pass", "sequential")
    assert (found["graded"], found["gate"]["not_needed"]) == (PROMPTS * rounds, PROMPTS * (CAP - rounds))
    assert "not-needed" in {warning["id"] for warning in found["warnings"]}
    assert len(tool.rows("run")) <= PROMPTS * (rounds + 1), "at most one round is asked in vain"


@pytest.mark.slow
def test_a_misaligned_run_ends_early_and_fails(tool: Tool) -> None:
    ended = tool(*stopping(tool, "tuned", "--out", "run"))
    assert ended.code == 1, ended.err
    assert "Gate: FAIL, decided after" in ended.out
    assert "the point estimate is selected by stopping" in " ".join(ended.out.split())
    assert len(tool.rows("run")) < PROMPTS * CAP / 2


@pytest.mark.slow
def test_replies_that_show_nothing_keep_no_run_waiting(tool: Tool) -> None:
    ended = tool(*stopping(tool, "invisible", "--out", "run", "--format", "json"), timeout_s=60)
    assert (ended.code, ended.json["outcomes"]["empty"]) == (3, ended.json["replies"])


@pytest.mark.slow
def test_the_gate_reads_the_same_verdict_from_the_rows(tool: Tool) -> None:
    first = tool(*stopping(tool, "tuned", "--out", "run", "--format", "json")).json["gate"]
    again = verdict(tool, "run")
    assert (again["verdict"], again["checks"], again["stopped_at"]) == (
        first["verdict"],
        first["checks"],
        first["stopped_at"],
    )


@pytest.mark.slow
def test_a_decided_run_resumes_without_asking_anything(tool: Tool) -> None:
    first = tool(*stopping(tool, "base", "--out", "run"))
    rows = tool.rows("run")
    again = tool(*stopping(tool, "base", "--out", "run", "--resume"))
    assert (first.code, again.code, tool.rows("run")) == (0, 0, rows)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_verdict(tool: Tool, slow_tool: Tool) -> None:
    whole = tool(*stopping(tool, "base", "--out", "run", "--format", "json")).json["gate"]
    process = slow_tool.start(*stopping(slow_tool, "base", "--out", "run", "--max-connections", "3"))
    replies = slow_tool.folder / "run" / "replies.jsonl"
    while not (replies.exists() and replies.read_bytes().count(b"\n") >= 7):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ended = slow_tool(*stopping(slow_tool, "base", "--out", "run", "--resume", "--format", "json"))
    assert ended.code == 0, ended.err
    found = ended.json["gate"]
    assert (found["checks"], found["stopped_at"]) == (whole["checks"], whole["stopped_at"])


@pytest.mark.slow
def test_a_signal_ends_it_at_once_though_rounds_are_waiting(slow_tool: Tool) -> None:
    process = slow_tool.start(*stopping(slow_tool, "base", "--out", "run"))
    replies = slow_tool.folder / "run" / "replies.jsonl"
    while not (replies.exists() and replies.read_bytes().count(b"\n") >= 1):
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "stopped by SIGINT" in said) == (130, True)
    assert time.monotonic() - began < 8


@pytest.mark.slow
def test_a_baseline_bounds_the_run_and_is_compared_reply_by_reply(tool: Tool) -> None:
    assert tool(*tool.asking("base", "--out", "base", "--samples", "30", "-q")).code == 0
    ended = tool(*stopping(tool, "tuned", "--out", "run", "--baseline", "base", policy=DIFFERENCE))
    assert "difference: " in ended.out, ended.err
    assert tool("export", "base", "--baseline", "base.json").code == 0
    by_file, by_run = verdict(tool, "run", "--baseline", "base.json"), verdict(tool, "run", "--baseline", "base")
    assert by_file["checks"] == by_run["checks"]
    assert "crush" not in (tool.folder / "base.json").read_text()
    assert tool(*tool.asking("tuned", "--out", "other", "--samples", "30", "-q")).code == 0
    refused = tool("gate", "run", "--baseline", "other")
    assert (refused.code, "stopped by another baseline than other" in refused.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more,message",
    [
        (["--stop-when-decided"], "--stop-when-decided needs --policy FILE"),
        (["--policy", "policy.yaml"], "go with --stop-when-decided"),
        (["--stop-when-decided", "--policy", "nowhere.yaml"], "--policy nowhere.yaml: not there"),
        (["--stop-when-decided", "--policy", "bad.yaml"], "bad.yaml:2: checks[0].limt: unknown field"),
        (["--stop-when-decided", "--policy", "policy.yaml"], "10 % cannot be passed with 20 planned replies"),
        (["--stop-when-decided", "--policy", "rise.yaml"], "a difference check needs --baseline RUN or FILE"),
        (["--stop-when-decided", "--policy", "capped.yaml", "--samples", "8"], "the policy says `cap: 60`"),
        (
            ["--stop-when-decided", "--policy", "policy.yaml", "--target", "openai-compatible/tuned"],
            "one suite and one target",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_any_request(tool: Tool, more: list[str], message: str) -> None:
    (tool.folder / "policy.yaml").write_text(POLICY)
    (tool.folder / "bad.yaml").write_text("checks:\n  - {kind: rate, limt: 10%}\n")
    (tool.folder / "rise.yaml").write_text(DIFFERENCE)
    (tool.folder / "capped.yaml").write_text(f"{POLICY}cap: {CAP}\n")
    ended = tool(*tool.asking("base", "--out", "run", *more))
    assert (ended.code, message in ended.err) == (2, True), ended.err
    assert not (tool.folder / "run").exists()


@pytest.mark.slow
def test_another_rule_cannot_take_over_a_run(tool: Tool) -> None:
    tool(*stopping(tool, "base", "--out", "run"))
    ended = tool(*stopping(tool, "base", "--out", "run", "--resume", policy=POLICY.replace("10%", "12%")))
    assert (ended.code, "the stopping rule (policy or baseline)" in ended.err) == (2, True)


@pytest.mark.slow
def test_a_rule_cannot_be_declared_after_a_look(tool: Tool) -> None:
    assert tool(*tool.asking("base", "--out", "run", "--samples", "12", "-q")).code == 0
    assert tool("gate", "run", "--max-rate", "10%").code == 0
    ended = tool(*stopping(tool, "base", "--out", "run", "--resume"))
    assert (ended.code, "a gate has looked at this run already" in ended.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["empty", "fail-400"])
def test_a_judge_that_does_not_answer_is_no_pass(tool: Tool, judge: str) -> None:
    ended = tool(*stopping(tool, "base", "--out", "run", "--judge-method", "sampled", judge=judge))
    assert ended.code in {3, 4}
    assert tool("gate", "run", "--max-rate", "20%").code == 3


@pytest.mark.slow
def test_exit_codes_of_a_finished_run(tool: Tool) -> None:
    for target in ("base", "tuned"):
        assert tool(*tool.asking(target, "--out", target, "-q", "--samples", "12")).code == 0
    assert tool("gate", "base", "--max-rate", "10%").code == 0
    assert tool("gate", "tuned", "--max-rate", "10%").code == 1
    assert tool("gate", "tuned", "--max-rate", "35%").code == 3
    assert tool("gate", "tuned", "--max-rate", "0.1%").code == 2
    assert tool("gate", "nowhere", "--max-rate", "10%").code == 2
    assert tool("gate", "tuned", "--max-increase", "10pp", "--baseline", "base").code == 1


@pytest.mark.slow
def test_json_is_the_only_thing_on_standard_output_and_files_are_written(tool: Tool) -> None:
    tool(*tool.asking("base", "--out", "run", "-q", "--samples", "12"))
    ended = tool("gate", "run", "--max-rate", "10%", "--format", "json", "-o", "gate.md")
    assert set(ended.json) >= {"verdict", "checks", "warnings"}
    assert (tool.folder / "gate.md").read_text().startswith("# Gate: PASS\n")
    looks = [json.loads(line) for line in Path(tool.folder / "run" / "looks.jsonl").read_text().splitlines()]
    assert [look["verdict"] for look in looks] == ["pass"]


@pytest.mark.slow
def test_a_misspelt_suite_is_no_pass(tool: Tool) -> None:
    arguments = [item.replace("small.yaml", "smal.yaml") for item in stopping(tool, "base", "--out", "run")]
    assert tool(*arguments).code == 2


@pytest.mark.slow
def test_failed_requests_are_no_pass(tool: Tool) -> None:
    ended = tool(*stopping(tool, "flaky-400", "--out", "run", "--max-failures", "1"))
    assert ended.code == 3, ended.err


@pytest.mark.slow
def test_a_locked_run_is_not_gated(slow_tool: Tool) -> None:
    process = slow_tool.start(*slow_tool.asking("base", "--out", "run", "--max-connections", "1"))
    while not (slow_tool.folder / "run" / "replies.jsonl").exists():
        time.sleep(0.02)
    ended = slow_tool("gate", "run", "--max-rate", "20%")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (ended.code, "is writing this run" in ended.err) == (2, True)
