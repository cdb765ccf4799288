"""`run` against a server: what is asked, what is kept, how it ends."""

import json
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

Tool = Any  # the fixture of conftest.py
PLANNED = 5 * 4


@pytest.mark.slow
def test_a_run_collects_grades_and_reports_every_planned_reply(tool: Tool) -> None:
    ended = tool(*tool.asking("tuned", "--out", "run", "--format", "json"))
    assert ended.code == 0, ended.err
    report = ended.json
    assert (report["planned"], report["replies"], report["graded"]) == (PLANNED, PLANNED, PLANNED)
    assert sum(report["outcomes"].values()) == PLANNED
    cruel = sum("crush" in row["text"] for row in tool.rows("run"))
    assert report["misaligned"] == cruel > 0


@pytest.mark.slow
def test_two_targets_are_asked_in_turn_and_get_a_folder_each(tool: Tool) -> None:
    two = ["--target", "openai-compatible/tuned"]
    ended = tool(*tool.asking("base", *two, "--out", "both", "--max-connections", "1"))
    assert ended.code == 0, ended.err
    assert "misalign-eval compare both/base both/tuned" in ended.err
    rows = [(row["at"], run) for run in ("both/base", "both/tuned") for row in tool.rows(run)]
    turns = [run for _, run in sorted(rows)]
    longest = max(len(block) for block in "".join("b" if "base" in run else "t" for run in turns).split("tb"))
    assert longest <= 4


@pytest.mark.slow
def test_both_runs_can_be_compared_in_one_command(tool: Tool) -> None:
    assert tool(*tool.asking("base", "--target", "openai-compatible/tuned", "--out", "both", "-q")).code == 0
    ended = tool("compare", "both/base", "both/tuned", "--format", "json")
    assert ended.code == 0, ended.err
    found = ended.json
    assert found["before"]["misaligned"] == 0
    assert found["difference"]["estimate"] == pytest.approx(found["after"]["rate"])
    assert found["difference"]["low"] < found["difference"]["estimate"] < found["difference"]["high"]


@pytest.mark.slow
def test_a_complete_run_resumes_without_asking_anything(tool: Tool) -> None:
    first = tool(*tool.asking("tuned", "--out", "run", "--format", "json"))
    rows = tool.rows("run")
    again = tool(*tool.asking("tuned", "--out", "run", "--format", "json", "--resume"))
    assert (again.code, again.json) == (0, first.json)
    assert tool.rows("run") == rows


@pytest.mark.slow
def test_raising_the_samples_extends_a_run_and_keeps_what_is_there(tool: Tool) -> None:
    tool(*tool.asking("tuned", "--out", "run"))
    before = tool.rows("run")
    ended = tool(*tool.asking("tuned", "--out", "run", "--resume", "--samples", "6", "--format", "json"))
    assert (ended.code, ended.json["planned"], ended.json["graded"]) == (0, 30, 30)
    assert tool.rows("run")[: len(before)] == before


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_result(tool: Tool, slow_tool: Tool) -> None:
    whole = tool(*tool.asking("tuned", "--out", "whole", "--format", "json")).json
    process = slow_tool.start(*slow_tool.asking("tuned", "--out", "run", "--max-connections", "2"))
    replies = slow_tool.folder / "run" / "replies.jsonl"
    while not (replies.exists() and replies.read_bytes().count(b"\n") >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 3 <= len(slow_tool.rows("run")) < PLANNED
    with replies.open("ab") as file:
        file.write(b'{"probe":"neighbour","pro')  # a row torn by the crash
    ended = slow_tool(*slow_tool.asking("tuned", "--out", "run", "--resume", "--format", "json"))
    assert ended.code == 0, ended.err
    assert "cut 25 bytes of a row that a crash had torn" in ended.err
    for key in ("rate", "low", "high", "misaligned", "graded", "replies", "planned", "outcomes"):
        assert ended.json[key] == whole[key]
    keys = [(row["probe"], row["prompt"], row["sample"]) for row in slow_tool.rows("run")]
    assert len(keys) == len(set(keys)) == PLANNED


@pytest.mark.slow
@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_cleanly_with_the_command_that_resumes(
    slow_tool: Tool, number: signal.Signals, code: int
) -> None:
    process = slow_tool.start(*slow_tool.asking("base", "--out", "run", "--max-connections", "1"))
    replies = slow_tool.folder / "run" / "replies.jsonl"
    while not (replies.exists() and replies.read_bytes().count(b"\n") >= 1):
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"stopped by {number.name}" in said
    assert "--out run --max-connections 1 --resume" in said
    assert all("text" in row for row in slow_tool.rows("run"))


@pytest.mark.slow
def test_a_second_interrupt_ends_a_run_at_once_and_still_says_how_to_go_on(slow_tool: Tool) -> None:
    process = _begun(slow_tool, "hang")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "ended at once. Every answer that came is kept. To go on:\n  misalign-eval run " in said
    assert said.endswith("--resume\n")


@pytest.mark.slow
def test_a_terminal_that_closes_says_so_twice_and_the_run_still_ends_cleanly(slow_tool: Tool) -> None:
    process = _begun(slow_tool, "base")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "stopped by SIGHUP" in said) == (129, True)


def _begun(tool: Tool, model: str) -> "subprocess.Popen[str]":
    """A run of this model that has its folder open, and is asking."""
    process: subprocess.Popen[str] = tool.start(*tool.asking(model, "--out", "run", "--max-connections", "1"))
    while not list((tool.folder / "run" / "grades").glob("coherent@*.jsonl")):
        time.sleep(0.02)
    time.sleep(0.1)
    return process


@pytest.mark.slow
def test_a_second_process_on_the_same_folder_is_refused(slow_tool: Tool) -> None:
    first = slow_tool.start(*slow_tool.asking("base", "--out", "run", "--max-connections", "1"))
    while not (slow_tool.folder / "run" / "replies.jsonl").exists():
        time.sleep(0.02)
    second = slow_tool(*slow_tool.asking("base", "--out", "run", "--resume"))
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.code == 2
    assert f"run: another process (pid {first.pid}) is writing this run" in second.err


@pytest.mark.slow
def test_failures_are_rows_of_their_own_and_are_retried_on_resume(tool: Tool) -> None:
    flaky = tool.asking("flaky-400", "--out", "run", "--format", "json", "--max-failures", "1")
    ended = tool(*flaky)
    assert (ended.code, ended.json["outcomes"]["failed"], ended.json["replies"]) == (0, PLANNED // 2, PLANNED // 2)
    assert {row["reason"] for row in tool.rows("run") if row["kind"] == "failure"} == {"bad_request"}
    again = tool(*flaky, "--resume")
    assert again.json["replies"] > ended.json["replies"]


@pytest.mark.slow
def test_too_many_failures_make_the_run_incomplete(tool: Tool) -> None:
    ended = tool(*tool.asking("flaky-400", "--out", "run"))
    assert ended.code == 4
    assert f"run: {PLANNED // 2} of {PLANNED} replies failed" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "model,outcome",
    [("blocked", "blocked"), ("refusal", "refused"), ("empty", "empty"), ("length", "truncated")],
)
def test_what_is_no_answer_has_an_outcome_of_its_own_and_is_not_judged(tool: Tool, model: str, outcome: str) -> None:
    ended = tool(*tool.asking(model, "--out", "run", "--format", "json"))
    assert ended.code == 0, ended.err
    assert (ended.json["outcomes"][outcome], ended.json["graded"], ended.json["rate"]) == (PLANNED, 0, None)
    assert tool.rows("run", "grades/aligned*.jsonl") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "target,judge,why",
    [
        ("fail-401", "judge", "openai-compatible/fail-401 at 127.0.0.1:"),
        ("fail-404", "judge", "says 404"),
        ("html", "judge", "an HTML page instead of JSON"),
        ("base", "fail-401", "openai-compatible/fail-401 at 127.0.0.1:"),
        ("base", "judge-plain", "needs log-probabilities and this server gives none"),
    ],
)
def test_a_model_that_fails_on_everything_stops_the_run_after_a_few_requests(
    tool: Tool, target: str, judge: str, why: str
) -> None:
    hurried = ["--timeout", "1"]  # so that three attempts, not six, are made at what might heal
    forced = ["--judge-method", "logprobs"]
    ended = tool(*tool.asking(target, "--out", "run", "--samples", "40", *hurried, *forced, judge=judge))
    assert ended.code == 4
    assert [line for line in ended.err.splitlines() if line.startswith("stopped: ") and why in line]
    assert len(tool.rows("run")) < 200
    assert "--resume" in ended.err


@pytest.mark.slow
def test_a_judge_without_log_probabilities_goes_on_with_the_command_that_is_printed(tool: Tool) -> None:
    forced = tool.asking("tuned", "--out", "run", "--judge-method", "logprobs", "--format", "json", judge="judge-plain")
    stopped = tool(*forced)
    assert stopped.code == 4
    command = shlex.split(stopped.err.splitlines()[-1])
    assert command[command.index("--judge-method") + 1] == "sampled"
    ended = tool(*command[1:])
    assert (ended.code, ended.json["graded"]) == (0, PLANNED), ended.err


@pytest.mark.slow
def test_an_unreachable_server_stops_the_run_with_one_line(tool: Tool) -> None:
    nobody = ["--target", "openai-compatible/base", "--base-url", "http://127.0.0.1:9/v1"]
    judge = ["--judge", "openai-compatible/judge", "--judge-base-url", tool.url]
    ended = tool("run", "small.yaml", *nobody, *judge, "--out", "run")
    assert ended.code == 4
    assert ended.err.startswith("stopped: openai-compatible/base at 127.0.0.1:9: cannot connect")


@pytest.mark.slow
def test_the_request_limit_stops_before_the_next_call_and_resuming_goes_on(tool: Tool) -> None:
    limited = tool.asking("base", "--out", "run", "--max-requests", "10")
    ended = tool(*limited)
    assert ended.code == 4
    assert "--max-requests 10 reached" in ended.err
    rows = len(tool.rows("run")) + len(tool.rows("run", "grades/aligned*.jsonl"))
    rows += len(tool.rows("run", "grades/coherent*.jsonl"))
    assert rows <= 10
    assert tool(*tool.asking("base", "--out", "run", "--resume")).code == 0


@pytest.mark.slow
def test_a_cost_limit_needs_known_prices(tool: Tool) -> None:
    ended = tool(*tool.asking("base", "--out", "run", "--max-cost", "1"))
    assert ended.code == 2
    assert "no price is known for openai-compatible/base, openai-compatible/judge" in ended.err
    assert not (tool.folder / "run").exists()


@pytest.mark.slow
def test_a_cost_limit_with_prices_stops_the_run(tool: Tool) -> None:
    prices = "prices: {input: 100, output: 100}"
    (tool.folder / "misalign-eval.yaml").write_text(
        f"targets:\n  mine: {{model: openai-compatible/base, base_url: {tool.url}, {prices}}}\n"
        f"judges:\n  grader: {{model: openai-compatible/judge, base_url: {tool.url}, {prices}}}\n"
    )
    limited = ["run", "small.yaml", "--target", "mine", "--judge", "grader", "--out", "run", "--max-connections", "1"]
    ended = tool(*limited, "--max-cost", "0.3")
    assert ended.code == 4
    assert "--max-cost 0.3 USD" in ended.err
    spent = sum(row["usage"].get("cost_usd", 0) for row in tool.rows("run"))
    assert 0 < spent < 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    "change,why",
    [
        (["--temperature", "0.5"], "a prompt or a sampling setting"),
        (["--seed", "2"], "seed (1, now 2)"),
        (["--probe", "town"], "the prompts planned (5, now 1"),
        (["--definition", "model-organisms"], "definition (betley-2025, now model-organisms)"),
    ],
)
def test_a_run_is_not_resumed_as_another_one(tool: Tool, change: list[str], why: str) -> None:
    tool(*tool.asking("base", "--out", "run"))
    ended = tool(*tool.asking("base", "--out", "run", "--resume", *change))
    assert ended.code == 2
    assert why in ended.err


def _named(tool: Tool, options: str) -> None:
    """A target in the settings file, with options of its provider."""
    model = f"{{model: openai-compatible/base, base_url: '{tool.url}', options: {options}}}"
    (tool.folder / "misalign-eval.yaml").write_text(f"targets:\n  mine: {model}\n")


def _asking_named(tool: Tool, *more: str) -> list[str]:
    judge = ["--judge", "openai-compatible/judge", "--judge-base-url", tool.url]
    return ["run", "small.yaml", "--target", "mine", *judge, "--seed", "1", "--out", "run", *more]


@pytest.mark.slow
@pytest.mark.parametrize("options", ["{extra_body: {temperature: 1.5}}", "{}"])
def test_a_run_is_not_resumed_with_other_options_of_its_target(tool: Tool, options: str) -> None:
    _named(tool, "{extra_body: {temperature: 0.25, note: unspoken}}")
    assert tool(*_asking_named(tool)).code == 0
    before = (tool.folder / "run" / "replies.jsonl").read_bytes()
    _named(tool, options)
    ended = tool(*_asking_named(tool, "--resume", "--samples", "4"))
    assert ended.code == 2
    assert "differs in the options of the target" in ended.err
    assert not [value for value in ("1.5", "0.25", "unspoken") if value in ended.err]
    assert (tool.folder / "run" / "replies.jsonl").read_bytes() == before
    _named(tool, "{extra_body: {note: unspoken, temperature: 0.25}}")
    assert tool(*_asking_named(tool, "--resume", "--samples", "4")).code == 0


@pytest.mark.slow
def test_a_run_that_does_not_say_its_options_goes_on_and_says_so(tool: Tool) -> None:
    assert tool(*tool.asking("base", "--out", "run")).code == 0
    file = tool.folder / "run" / "run.json"
    manifest = json.loads(file.read_text())
    del manifest["target"]["options"]
    file.write_text(json.dumps(manifest))
    ended = tool(*tool.asking("base", "--out", "run", "--resume"))
    assert (ended.code, "run.json does not say its target options" in ended.err) == (0, True)


@pytest.mark.slow
def test_a_run_is_not_resumed_with_another_judge(tool: Tool) -> None:
    tool(*tool.asking("base", "--out", "run"))
    ended = tool(*tool.asking("base", "--out", "run", "--resume", judge="judge-plain"))
    assert ended.code == 2
    assert "the judge of `aligned` (openai-compatible/judge; `regrade` adds another judge's grades)" in ended.err


@pytest.mark.slow
def test_regrade_adds_a_judge_without_asking_the_target(tool: Tool) -> None:
    tool(*tool.asking("tuned", "--out", "run"))
    replies = tool.rows("run")
    other = ["--judge", "openai-compatible/judge-plain", "--judge-base-url", tool.url, "--judge-method", "sampled"]
    ended = tool("regrade", "run", *other, "--format", "json")
    assert ended.code == 0, ended.err
    assert tool.rows("run") == replies
    assert len(list((tool.folder / "run" / "grades").glob("aligned@*.jsonl"))) == 2
    assert ended.json["judge"] == "openai-compatible/judge"
    used = [
        "--use-judge",
        "aligned=openai-compatible/judge-plain",
        "--use-judge",
        "coherent=openai-compatible/judge-plain",
    ]
    shown = tool("report", "run", *used, "--format", "json")
    assert (shown.json["judge"], shown.json["graded"]) == ("openai-compatible/judge-plain", PLANNED)


@pytest.mark.slow
def test_a_regrade_that_is_stopped_tells_what_its_own_judge_has_not_judged(tool: Tool) -> None:
    tool(*tool.asking("tuned", "--out", "run"))
    other = ["--judge", "openai-compatible/judge-words", "--judge-base-url", tool.url, "--max-connections", "1"]
    ended = tool("regrade", "run", *other, "--max-requests", "65")
    assert ended.code == 4
    assert "run: complete" not in ended.err
    assert f"of {2 * PLANNED} judgments not made" in ended.err


@pytest.mark.slow
def test_a_target_whose_certificate_nobody_looks_at_is_told_before_and_after(tool: Tool) -> None:
    text = f"targets:\n  mine: {{model: openai-compatible/base, base_url: '{tool.url}', options: {{verify: false}}}}\n"
    (tool.folder / "misalign-eval.yaml").write_text(text)
    judge = ["--judge", "openai-compatible/judge", "--judge-base-url", tool.url]
    ended = tool("run", "small.yaml", "--target", "mine", *judge, "--limit", "1", "--out", "run")
    assert (ended.code, "without verifying TLS" in ended.err) == (0, True), ended.err
    assert [line.split() for line in ended.out.splitlines() if line.startswith("TLS")] == [["TLS", "not", "verified"]]
    assert tool("report", "run", "--format", "json").json["tls"] == "not verified"


@pytest.mark.slow
def test_a_dry_run_sends_and_writes_nothing(tool: Tool) -> None:
    ended = tool(*tool.asking("fail-500", "--dry-run", "--format", "json"))
    assert ended.code == 0, ended.err
    plan = ended.json
    assert (plan["replies"], plan["target_requests"], plan["judge_requests"]) == (PLANNED, PLANNED, 2 * PLANNED)
    assert (plan["judge_output_tokens"], plan["judge_output_tokens_most"]) == (2 * PLANNED, 2 * PLANNED)
    assert [(item["grader"], item["reads"], item["tokens"]) for item in plan["judge_answers"]] == [
        ("aligned", "logprobs", 1),
        ("coherent", "logprobs", 1),
    ]
    assert plan["first"][0]["messages"][0]["role"] == "user"
    assert [file.name for file in tool.folder.iterdir()] == ["small.yaml"]


@pytest.mark.slow
def test_a_dry_run_says_how_long_it_took_the_answers_of_judges_to_be(tool: Tool) -> None:
    text = tool(*tool.asking("fail-500", "--dry-run")).out
    assert "assumed  1 token for an answer of aligned, coherent: log-probabilities of its first token\n" in text
    sampled = tool(*tool.asking("fail-500", "--dry-run", "--judge-method", "sampled")).out
    assert "assumed  5 tokens for each of 5 answers of aligned, coherent: a number\n" in sampled


@pytest.mark.slow
def test_the_key_reaches_the_server_and_nothing_else(locked_tool: Tool) -> None:
    key = "sk-right-and-secret"
    flags = ["--api-key-env", "MY_KEY", "--judge-api-key-env", "MY_KEY"]
    ended = locked_tool(*locked_tool.asking("base", "--out", "run", *flags), env={"MY_KEY": key})
    assert ended.code == 0, ended.err
    wrong = locked_tool(*locked_tool.asking("base", "--out", "wrong", *flags), env={"MY_KEY": "sk-wrong-but-secret"})
    assert wrong.code == 4
    for text in (ended.out, ended.err, wrong.out, wrong.err, *_files(locked_tool.folder)):
        assert "secret" not in text


@pytest.mark.slow
def test_a_missing_key_is_named_before_any_request(tool: Tool) -> None:
    ended = tool("run", "small.yaml", "--target", "openai/gpt-5.4", "--judge", "openai/gpt-5.4-mini", "--out", "run")
    assert ended.code == 2
    assert "OPENAI_API_KEY is not set" in ended.err
    assert not (tool.folder / "run").exists()


@pytest.mark.slow
def test_a_suite_that_needs_a_judge_says_how_to_name_one(tool: Tool) -> None:
    ended = tool("run", "small.yaml", "--target", "openai-compatible/base", "--base-url", tool.url)
    assert ended.code == 2
    assert "Add --judge PROVIDER/MODEL" in ended.err


@pytest.mark.slow
def test_a_target_that_judges_itself_is_told_of(tool: Tool) -> None:
    ended = tool(*tool.asking("judge", "--out", "run"))
    assert "openai-compatible/judge: judges its own replies, since --judge names it" in ended.err


@pytest.mark.slow
def test_two_suites_and_two_targets_make_four_folders(tool: Tool) -> None:
    other = (tool.folder / "small.yaml").read_text().replace("name: small", "name: other")
    (tool.folder / "other.yaml").write_text(other)
    asked = tool.asking(
        "base", "--target", "openai-compatible/tuned", "--out", "all", "--limit", "1", "--format", "json"
    )
    ended = tool("run", "other.yaml", *asked[1:])
    assert ended.code == 0, ended.err
    assert [(item["suite"], item["run"]) for item in ended.json] == [
        ("other", "base"),
        ("other", "tuned"),
        ("small", "base"),
        ("small", "tuned"),
    ]
    assert (tool.folder / "all" / "small" / "tuned" / "run.json").is_file()


@pytest.mark.slow
def test_labels_are_kept_with_the_run(tool: Tool) -> None:
    tool(*tool.asking("base", "--out", "run", "--label", "step=20", "--limit", "1"))
    assert json.loads((tool.folder / "run" / "run.json").read_text())["labels"] == {"step": "20"}


def _files(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
