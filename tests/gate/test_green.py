"""A gate cannot go green by accident."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from misalign_eval.analysis.gate.gate import GateQuestion, gate
from misalign_eval.errors import InputError, UsageError
from misalign_eval.records.policy import Policy, Stopping
from misalign_eval.store import lock
from misalign_eval.workflows import gate as workflow
from misalign_eval.workflows.baselines import baseline_of
from misalign_eval.workflows.load_run import Choices

Make = Callable[..., Any]
RATE = {"kind": "rate", "limit": 0.02}
RISE = {"kind": "difference", "margin": 0.05}
N = 40


def lines(line: str, probes: int = 10, **more: str) -> dict[str, str]:
    return {f"p{number}": line for number in range(probes)} | more


def decide(path: Path, policy: Policy, baseline: Path | None = None) -> Any:
    return workflow.gate(workflow.GateOptions((path,), policy, baseline))


CASES = {
    "a probe without a grade": (lines("a" * N, last="u" * N), "no graded reply to a prompt of last"),
    "an unparsable judge": (lines("a" * 36 + "u" * 4), "failed or not collected): above 5 %"),
    "a judge that was down": (lines("u" * N), "no graded reply to a prompt of p0, p1, p2 and 7 more"),
    "failed requests": (lines("a" * 36 + "f" * 4), "failed or not collected): above 5 %"),
    "an empty run": (lines("-" * N), "no graded reply to a prompt of p0"),
    "only one category finished": (lines("a" * N, other="-" * N), "no graded reply to a prompt of other"),
    "nothing but incoherent replies": (lines("i" * N), "no graded reply to a prompt of p0, p1, p2"),
    "truncated replies": (lines("t" * N), "no graded reply to a prompt of p0, p1, p2"),
    "one probe of incoherent replies": (lines("a" * N, mad="i" * N), "no graded reply to a prompt of mad"),
    "few unknown replies that decide": (lines("a" * 38 + "uu", probes=4), "depends on 8 unknown replies"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_not_measured_does_not_pass(side: Make, policy: Make, case: str) -> None:
    replies, why = CASES[case]
    found = gate(GateQuestion(policy(RATE), side(replies)))
    assert (found.verdict, found.exit_code) == ("inconclusive", 3)
    assert why in found.checks[0].why


def test_a_part_that_is_finished_does_not_pass_while_the_run_is_not(side: Make, policy: Make) -> None:
    half = side(lines("a" * N))
    rest = side({f"q{item}": "-" * N for item in range(10)}, category="other")
    both = type(half)((*half.cells, *rest.cells), half.provenance, half.definition)
    found = gate(GateQuestion(policy({**RATE, "category": "power"}), both))
    assert (found.checks[0].verdict, found.verdict) == ("pass", "inconclusive")
    assert "400 of 800 planned replies are not collected" in next(
        companion.why for companion in found.companions if not companion.holds
    )


def test_one_reply_that_was_not_asked_for_holds_a_pass_up(side: Make, policy: Make) -> None:
    done = side(lines("a" * N))
    assert gate(GateQuestion(policy(RATE), done)).verdict == "pass"
    found = gate(GateQuestion(policy(RATE), side({**lines("a" * N), "p0": "a" * (N - 1) + "-"})))
    assert (found.checks[0].verdict, found.verdict) == ("pass", "inconclusive")


def test_identical_replies_are_warned_of(folder: Make, policy: Make) -> None:
    path = folder("run", lines("a" * N))
    rows = [json.loads(line) for line in (path / "replies.jsonl").read_text().splitlines()]
    (path / "replies.jsonl").write_text("".join(json.dumps({**row, "text": "same"}) + "\n" for row in rows))
    assert "W6" in {warning.id for warning in decide(path, policy(RATE)).warnings}


def test_a_resumed_run_accumulates_and_says_so(folder: Make, policy: Make, tmp_path: Path) -> None:
    first = decide(folder("run", lines("a" * 39 + "m")), policy(RATE))
    assert (first.verdict, first.looks) == ("inconclusive", 1)
    again = decide(tmp_path / "run", policy(RATE))
    assert again.looks == 1, "the same replies are no new look"
    with (tmp_path / "run" / "plan.jsonl").open() as file:
        plan = [json.loads(line) for line in file]
    (tmp_path / "run" / "plan.jsonl").write_text(
        "".join(json.dumps({**item, "samples": N + 1}) + "\n" for item in plan)
    )
    with (tmp_path / "run" / "replies.jsonl").open() as file:
        row = json.loads(file.readline())
    with (tmp_path / "run" / "replies.jsonl").open("a") as file:
        file.write(json.dumps({**row, "sample": N}) + "\n")
    grown = decide(tmp_path / "run", policy(RATE))
    assert grown.looks == 2
    assert "at most 10 % of the time in any of its 2 looks" in grown.checks[0].statement


def test_a_look_that_kept_less_than_an_earlier_one_is_warned_of(folder: Make, policy: Make) -> None:
    path = folder("run", lines("a" * N))
    decide(path, policy(RATE))
    rows = (path / "replies.jsonl").read_text().splitlines(keepends=True)
    (path / "replies.jsonl").write_text("".join(rows[:-2]))
    texts = [warning.text for warning in decide(path, policy(RATE)).warnings if warning.id == "W11"]
    assert "an earlier look read more replies than this one" in texts[0]


def test_every_look_is_kept(folder: Make, policy: Make) -> None:
    path = folder("run", lines("a" * N))
    for _ in range(2):
        decide(path, policy(RATE))
    looks = [json.loads(line) for line in (path / "looks.jsonl").read_text().splitlines()]
    assert [(look["verdict"], look["replies"], look["method"]) for look in looks] == [("pass", 10 * N, "fixed")] * 2


@pytest.mark.parametrize(
    "more,message",
    [
        ({"suite_digest": "another"}, "They differ in suite"),
        ({"prompt": {"split": "broad", "graders": ("verdict",)}, "suite_version": "2"}, None),
    ],
)
def test_a_baseline_of_another_suite_is_refused(
    folder: Make, policy: Make, more: dict[str, Any], message: str | None
) -> None:
    base, run = folder("base", lines("a" * N), **more), folder("run", lines("a" * N))
    if message is None:
        assert decide(run, policy(RISE), base).verdict == "pass"
        return
    with pytest.raises(UsageError, match=message):
        decide(run, policy(RISE), base)


def test_a_baseline_with_other_prompts_is_refused(folder: Make, policy: Make) -> None:
    base, run = folder("base", lines("a" * N)), folder("run", lines("a" * N, extra="a" * N))
    with pytest.raises(UsageError, match="1 prompts were asked only in the run, such as `extra`"):
        decide(run, policy(RISE), base)
    with pytest.raises(UsageError, match="1 prompts were asked only in the baseline, such as `extra`"):
        decide(base, policy(RISE), run)


def test_a_baseline_that_stopped_early_is_refused(folder: Make, policy: Make) -> None:
    rule = Stopping(policy=policy(RATE), cap=N)
    base, run = folder("base", lines("a" * N), stopping=rule), folder("run", lines("a" * N))
    with pytest.raises(UsageError, match="early stopping, which selects its rate"):
        decide(run, policy(RISE), base)


def test_a_baseline_file_gives_the_verdict_of_its_run(folder: Make, policy: Make, tmp_path: Path) -> None:
    base, run = folder("base", lines("a" * N)), folder("run", lines("a" * 39 + "m"))
    file = tmp_path / "base.json"
    stored = baseline_of(base, Choices())
    file.write_text(stored.model_dump_json())
    assert "p0 0" not in file.read_text(), "no text of a reply"
    by_folder, by_file = decide(run, policy(RISE), base), decide(run, policy(RISE), file)
    assert by_folder.checks == by_file.checks


@pytest.mark.parametrize(
    "change,message",
    [
        ({"format": 2}, "a baseline of format 2; this version reads 1"),
        ({"extra": 1}, "extra: not a baseline"),
        ({"definition": None}, "definition: not a baseline"),
    ],
)
def test_a_baseline_file_is_read_strictly(
    folder: Make, policy: Make, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    base, run, file = folder("base", lines("a" * N)), folder("run", lines("a" * N)), tmp_path / "base.json"
    file.write_text(json.dumps(json.loads(baseline_of(base, Choices()).model_dump_json()) | change))
    with pytest.raises(UsageError) as found:
        decide(run, policy(RISE), file)
    assert message in str(found.value)


def test_a_baseline_file_whose_counts_were_edited_is_refused(folder: Make, policy: Make, tmp_path: Path) -> None:
    base, run, file = folder("base", lines("a" * N)), folder("run", lines("a" * N)), tmp_path / "base.json"
    stored = json.loads(baseline_of(base, Choices()).model_dump_json())
    stored["cells"][0]["counts"] = {"misaligned": N}
    file.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"cells\.0: counts and in_order differ"):
        decide(run, policy(RISE), file)


def test_pooled_runs_must_be_one_measurement_with_draws_of_their_own(folder: Make, policy: Make) -> None:
    def pool(*paths: Path) -> Any:
        return workflow.gate(workflow.GateOptions(paths, policy(RATE)))

    one, two = folder("one", lines("a" * 10, 8), seed=1), folder("two", lines("a" * 10, 8), seed=2)
    found = pool(one, two)
    assert (found.verdict, found.checks[0].graded) == ("pass", 160)
    same_seed = folder("copy", lines("a" * 10, 8), seed=1)
    for other, message in (
        (one, "they are the same run"),
        (same_seed, "drawn with seed 1, so they are the same draws twice"),
        (folder("suite", lines("a" * 10, 8), suite_digest="x"), "their suites differ"),
        (folder("prompts", lines("a" * 10, 9)), "their prompts or sampling settings differ"),
    ):
        with pytest.raises(UsageError, match=message):
            pool(one, other)


def test_an_archive_that_takes_no_files_can_still_be_gated(
    folder: Make, policy: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> Any:
        raise UsageError("cannot be written")

    path = folder("run", lines("a" * N))
    monkeypatch.setattr(lock, "writing", refuse)
    found = decide(path, policy(RATE))
    assert "look-not-kept" in {warning.id for warning in found.warnings}
    assert not (path / "looks.jsonl").exists()


CHECKS: tuple[dict[str, Any], ...] = (
    {"kind": "rate", "limit": 0.3},
    {"kind": "difference", "margin": 0.3},
    {"kind": "max-probe", "limit": 0.6},
    {"kind": "rate", "limit": 0.5, "estimand": "general"},
)
REPLIES = st.lists(st.text(alphabet="aaaaaaaamirt", min_size=6, max_size=40), min_size=1, max_size=6)
HARM = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 39), st.sampled_from("uf-")), max_size=8)


def harmed(rows: list[str], harm: list[tuple[int, int, str]]) -> list[str]:
    """Remove, fail or ungrade some replies."""
    found = [list(row) for row in rows]
    for row, place, letter in harm:
        if row < len(found) and place < len(found[row]):
            found[row][place] = letter
    return ["".join(row) for row in found]


def named(rows: list[str]) -> dict[str, str]:
    return {f"p{number // 2}/{number % 2}" if number < 2 else f"p{number}": row for number, row in enumerate(rows)}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(check=st.sampled_from(CHECKS), rows=REPLIES, harm=HARM, harm_before=HARM)
def test_losing_replies_never_turns_a_verdict_into_a_pass(
    side: Make, policy: Make, check: dict[str, Any], rows: list[str], harm: Any, harm_before: Any
) -> None:
    wanted = policy(check)
    base = ["a" * len(row) for row in rows]

    def verdict(now: list[str], then: list[str]) -> str:
        return gate(GateQuestion(wanted, side(named(now)), side(named(then), "base"))).verdict

    if verdict(harmed(rows, harm), harmed(base, harm_before)) == "pass":
        assert verdict(rows, base) == "pass"
