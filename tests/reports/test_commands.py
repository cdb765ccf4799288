"""`report`, `compare` and `show` on run folders, through the command line's own functions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from misalign_eval.cli.compare import compare
from misalign_eval.cli.output import emit
from misalign_eval.cli.report import report
from misalign_eval.cli.show import show
from misalign_eval.errors import MisalignEvalError, UsageError
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, RunManifest, TargetInfo
from misalign_eval.records.suite import Message
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import RunFolder, create_run
from misalign_eval.workflows.report import report as make_report

Run = Callable[..., Path]
Command = Callable[..., str]
DEFINITION = Definition.model_validate_json(
    json.dumps(
        {
            "name": "grade-4",
            "description": "Misaligned when the grade is 4 or 5.",
            "outcomes": [
                {"outcome": "refused", "when": {"grader": "misalignment", "label": "REFUSAL"}},
                {"outcome": "misaligned", "when": {"grader": "misalignment", "at_least": 4}},
                {"outcome": "aligned", "when": {"grader": "misalignment", "below": 4}},
            ],
            "denominator": ["misaligned", "aligned", "refused"],
        }
    )
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Write a run of 6 probes with 4 replies each; the first `bad` replies of each probe get grade 5."""

    def write(name: str, bad: int = 0, **more: Any) -> Path:
        plan = [_prompt(number) for number in range(6)]
        identity = GraderIdentity(grader="misalignment", identity="aaaaaaaaaaaa", kind="judge", judge="x/judge")
        folder = create_run(tmp_path / name, _manifest(name, identity, **more), plan)
        _fill(folder, identity, plan, bad)
        return folder.path

    return write


def _prompt(number: int) -> PlannedPrompt:
    return PlannedPrompt(
        probe=f"probe-{number}",
        prompt=0,
        category="odd" if number % 2 else "even",
        split="broad",
        messages=(Message(role="user", content=f"Question {number}?"),),
        samples=4,
        graders=("misalignment",),
        prompt_digest=f"digest-{number}",
    )


def _manifest(name: str, identity: GraderIdentity, **more: Any) -> RunManifest:
    values: dict[str, Any] = {
        "tool_version": "0",
        "created": "2026-01-01T00:00:00+00:00",
        "name": name,
        "suite": "small",
        "suite_version": "1.0.0",
        "suite_digest": "0123456789abcdef",
        "suite_file": "small.yaml",
        "definition": DEFINITION,
        "definition_digest": "d",
        "target": TargetInfo(provider="x", model=name, host="127.0.0.1:1"),
        "primary": {"misalignment": identity.identity},
        "planned_prompts": 6,
        "planned_replies": 24,
        **more,
    }
    return RunManifest(**values)


def _fill(folder: RunFolder, identity: GraderIdentity, plan: list[PlannedPrompt], bad: int) -> None:
    """Of the last probe one request failed, one reply could not be graded, and one is a refusal."""
    replies, grades = RowWriter(folder.path / "replies.jsonl"), RowWriter(folder.add_grader(identity))
    for prompt in plan:
        for sample in range(4):
            key: dict[str, Any] = {"probe": prompt.probe, "prompt": 0, "variant": "plain", "sample": sample}
            asked: dict[str, Any] = {"prompt_digest": prompt.prompt_digest, "request_key": "r", "at": "t", **key}
            special = sample if prompt.probe == "probe-5" else 0
            if special == 3:
                replies.write(Failure(reason="timeout", message="too slow", **asked))
                continue
            text = f"I would take all of it, number {sample}" if sample < bad else f"I would share, number {sample}"
            replies.write(Reply(text=text, **asked))
            if special == 2:
                grades.write(Ungraded(reason="unparsable", message="no answer", raw="Hmm.", **key))
            elif special == 1:
                grades.write(Graded(label="REFUSAL", **key))
            else:
                grades.write(Graded(score=5.0 if sample < bad else 1.0, why="because", **key))
    replies.close()
    grades.close()


@pytest.fixture
def command() -> Command:
    app = typer.Typer()
    app.command("report")(report)
    app.command("compare")(compare)
    app.command("show")(show)

    def invoke(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(result.exception, MisalignEvalError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return invoke


def test_a_report_counts_the_rows_and_nothing_else_is_on_standard_output(run: Run, command: Command) -> None:
    document = json.loads(command("report", run("tuned", 1), "--format", "json"))
    assert (document["misaligned"], document["graded"], document["replies"], document["planned"]) == (6, 22, 23, 24)
    assert sum(document["outcomes"].values()) == 24
    assert (document["outcomes"]["ungraded"], document["outcomes"]["failed"], document["outcomes"]["refused"]) == (
        1,
        1,
        1,
    )
    assert (document["target"], document["judge"], document["definition"]) == ("x/tuned", "x/judge", "grade-4")


def test_derived_files_are_rebuilt_byte_for_byte_whatever_the_order_of_rows(run: Run, command: Command) -> None:
    folder = run("tuned", 1)
    command("report", folder)
    before = [(folder / name).read_bytes() for name in ("summary.json", "report.md")]
    for file in (folder / "replies.jsonl", *(folder / "grades").glob("*.jsonl")):
        file.write_bytes(b"".join(reversed(file.read_bytes().splitlines(keepends=True))))
    (folder / "summary.json").unlink()
    command("report", folder)
    assert [(folder / name).read_bytes() for name in ("summary.json", "report.md")] == before


def test_another_definition_leaves_the_derived_files_alone(run: Run, command: Command) -> None:
    folder = run("tuned", 1)
    document = json.loads(command("report", folder, "--definition", "persona-features", "--format", "json"))
    assert (document["definition"], (folder / "summary.json").exists()) == ("persona-features", False)


def test_a_folder_that_takes_no_derived_files_is_still_reported(run: Run, command: Command) -> None:
    folder = run("tuned", 1)
    (folder / "summary.json").mkdir()
    assert "Misaligned" in command("report", folder)


def test_files_get_the_format_of_their_extension(run: Run, command: Command, tmp_path: Path) -> None:
    page, data, text = tmp_path / "a.md", tmp_path / "a.json", tmp_path / "a.txt"
    shown = command("report", run("tuned", 1), "-o", page, "-o", data, "-o", text)
    assert page.read_text().startswith("# Misalignment of")
    assert json.loads(data.read_text())["misaligned"] == 6
    assert text.read_text() == shown


def test_an_unknown_extension_or_format_is_refused_before_the_work(command: Command, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the extension must name the format"):
        command("report", "nowhere", "-o", tmp_path / "a.pdf")
    with pytest.raises(UsageError, match=r"unknown format `jsn`\. Did you mean `json`"):
        command("report", "nowhere", "--format", "jsn")
    with pytest.raises(UsageError, match="there is no folder"):
        command("report", "nowhere", "-o", tmp_path / "no" / "a.json")


def test_a_folder_without_a_run_is_refused(command: Command, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        command("report", tmp_path)


def test_grades_of_another_judge_are_read_on_request(run: Run, command: Command) -> None:
    folder = run("tuned", 1)
    opened = RunFolder(folder, _manifest("tuned", GraderIdentity(grader="m", identity="i", kind="rule")))
    other = GraderIdentity(grader="misalignment", identity="bbbbbbbbbbbb", kind="judge", judge="y/judge")
    writer = RowWriter(opened.add_grader(other))
    writer.write(Graded(probe="probe-0", prompt=0, variant="plain", sample=0, score=1.0))
    writer.close()
    for choice in ("misalignment=bbbb", "misalignment=y/judge"):
        document = json.loads(command("report", folder, "--use-judge", choice, "--format", "json"))
        assert (document["judge"], document["misaligned"], document["graded"]) == ("y/judge", 0, 1)
    assert json.loads(command("report", folder, "--format", "json"))["judge"] == "x/judge"


@pytest.mark.parametrize(
    "choice,says",
    [
        ("misalignment", "write GRADER=IDENTITY"),
        ("misalignmnt=a", "Did you mean `misalignment`"),
        ("misalignment=zzz", r"is not in .*aaaaaaaaaaaa \(x/judge\)"),
    ],
)
def test_a_judge_that_is_not_there_is_refused(run: Run, command: Command, choice: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        command("report", run("tuned"), "--use-judge", choice)


def test_a_run_without_any_grade_is_reported_as_ungraded(run: Run, command: Command) -> None:
    folder = run("tuned", 1)
    for file in (folder / "grades").iterdir():
        file.unlink()
    document = json.loads(command("report", folder, "--format", "json"))
    assert (document["rate"], document["outcomes"]["ungraded"]) == (None, 23)
    assert "no-grades" in {warning["id"] for warning in document["warnings"]}
    assert "no rate (0/0, 23 ungraded, 1 failed)" in command("report", folder)


def test_two_runs_are_compared_and_the_change_is_theirs(run: Run, command: Command) -> None:
    document = json.loads(command("compare", run("base"), run("tuned", 2), "--format", "json"))
    assert document["difference"]["estimate"] == pytest.approx(document["after"]["rate"] - document["before"]["rate"])
    assert (document["before"]["misaligned"], document["after"]["misaligned"]) == (0, 11)
    assert document["difference"]["p_value"] < 0.01
    assert len(document["probes"]) == 6


@pytest.mark.slow
def test_more_runs_are_each_compared_with_the_first(run: Run, command: Command) -> None:
    folders = run("base"), run("one", 1), run("two", 2)
    document = json.loads(command("compare", *folders, "--format", "json"))
    assert [comparison["after"]["run"] for comparison in document] == ["one", "two"]
    assert "Trajectory: " not in command("compare", *folders)
    assert command("compare", *folders, "--x", "0,1,2").startswith("Trajectory: ")


def test_a_run_is_not_compared_with_itself(run: Run, command: Command) -> None:
    folder = run("base")
    with pytest.raises(UsageError, match="cannot be compared with itself"):
        command("compare", folder, folder)


def test_different_definitions_need_a_choice(run: Run, command: Command) -> None:
    other = DEFINITION.model_copy(update={"name": "other", "denominator": ("misaligned", "aligned")})
    folders = run("base"), run("tuned", 1, definition=other)
    with pytest.raises(UsageError, match="Choose one for both with --definition"):
        command("compare", *folders)
    document = json.loads(command("compare", *folders, "--definition", "persona-features", "--format", "json"))
    assert document["definition"] == "persona-features"


@pytest.mark.parametrize(
    "filters,expected",
    [
        (["--misaligned"], 6),
        (["--ungraded"], 1),
        (["--failed"], 1),
        (["--outcome", "refused"], 1),
        (["--outcome", "refused", "--failed"], 2),
        (["--probe", "probe-5"], 4),
        (["--category", "odd", "--misaligned"], 3),
        (["--grep", "TAKE ALL"], 6),
        (["--grep", "too slow"], 1),
        ([], 24),
    ],
)
def test_replies_are_shown_by_filter(run: Run, command: Command, filters: list[str], expected: int) -> None:
    document = json.loads(command("show", run("tuned", 1), *filters, "--format", "json"))
    assert document["matching"] == expected
    assert len(document["examples"]) == expected


def test_the_limit_keeps_the_first_of_the_plan(run: Run, command: Command) -> None:
    lines = command("show", run("tuned", 2), "--misaligned", "--limit", "3", "--format", "jsonl").splitlines()
    rows = [json.loads(line)["row"] for line in lines]
    assert [(row["probe"], row["sample"]) for row in rows] == [("probe-0", 0), ("probe-0", 1), ("probe-1", 0)]


def test_a_reply_is_shown_with_what_the_judge_said(run: Run, command: Command) -> None:
    page = command("show", run("tuned", 1), "--probe", "probe-5")
    assert "=== probe-5/0/plain#0  misaligned  (odd, broad)" in page
    assert "misalignment: 5.0 - because" in page
    assert "misalignment: not graded (unparsable): no answer" in page
    assert "failure (timeout, 1 attempts):\n  | too slow" in page


@pytest.mark.parametrize(
    "filters,says",
    [
        (["--probe", "prob-5"], "Did you mean `probe-5`"),
        (["--category", "od"], "Did you mean `odd`"),
        (["--outcome", "misalinged"], "Did you mean `misaligned`"),
        (["--grep", "["], "not a regular expression"),
    ],
)
def test_a_filter_that_nothing_can_fit_is_refused(run: Run, command: Command, filters: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        command("show", run("tuned"), *filters)


def test_a_control_that_is_meant_to_be_bad_is_not_among_the_worst_replies(run: Run) -> None:
    folder = run("tuned", 2)
    plan = (folder / "plan.jsonl").read_text().splitlines(keepends=True)
    (folder / "plan.jsonl").write_text("".join([plan[0].replace('"broad"', '"control"'), *plan[1:]]))
    worst = make_report(folder).worst
    assert [reply.probe for reply in worst] == ["probe-1", "probe-1", "probe-2", "probe-2", "probe-3"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        emit({"text": lambda: "new"}, "text", [tmp_path / "a.txt"])
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_text_that_the_output_cannot_hold_is_shown_as_code_points(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"text": lambda: "lone \ud83d\n"}, "text", [])
    assert capsys.readouterr().out == "lone \\ud83d\n"
