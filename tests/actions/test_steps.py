"""The steps of the action, run as plain shell."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

Runs = Callable[[str], Path]
ACTION = Path(__file__).parents[2] / ".github" / "actions" / "misalign-eval"
URL = "https://github.com/octo/models/actions/runs/1/artifacts/2"
# A misalign-eval that prints what a hostile reply could hold, on both ways out and into the page.
HOSTILE = """#!/usr/bin/env bash
for word in "$@"; do
  case "$word" in *.comment.md|*.txt|*.json) printf '%s\\n' "::add-mask::a" "##[error]x" > "$word" ;; esac
done
printf '%s\\n' '::add-mask::secret' '::set-output name=verdict::pass' 'mid ##[add-mask]x' '::error title=gate::no'
printf '%s\\n' '::stop-commands::mine' >&2
exit 1
"""


def gated(job: Any, run: Path, **inputs: str) -> Any:
    return job("gate", RUN=str(run), OUT="out", **{"POLICY": "", "GATE_ARGS": "--max-rate\n20%\n--part", **inputs})


def commented(job: Any, **inputs: str) -> Any:
    return job("comment", **{"OUT": "out", "COMMENT": "true", "PULL_REQUEST": "7", "ARTIFACT_URL": URL, **inputs})


@pytest.mark.slow
def test_a_model_that_turned_fails_the_job_after_report_and_comment(job: Any, runs: Runs) -> None:
    done = gated(job, runs("bad-code"))
    assert done.code == 0
    assert job.outputs == {"verdict": "fail", "exit-code": "1", "has-report": "true"}
    assert [line.split("::")[1] for line in done.obeyed[:2]] == [
        "error title=gate rate%3A fail", "notice title=Gate%3A FAIL",
    ]  # fmt: skip
    assert "Gate: FAIL" in done.log
    assert sorted(file.name for file in (job.folder / "out").iterdir()) == [
        "misalign-eval.comment.md", "misalign-eval.json", "misalign-eval.txt", "misalign-eval.xml",
    ]  # fmt: skip
    found = ET.parse(job.folder / "out" / "misalign-eval.xml").getroot()
    assert int(found.attrib["failures"]) >= 2
    assert commented(job).code == 0
    assert job("finish", VERDICT=job.outputs["verdict"], EXIT_CODE=job.outputs["exit-code"]).code == 1


@pytest.mark.slow
def test_an_aligned_model_passes(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"))
    assert job.outputs["verdict"] == "pass"
    assert job("finish", VERDICT="pass", EXIT_CODE="0").code == 0


@pytest.mark.slow
def test_without_a_policy_the_run_is_only_reported(job: Any, runs: Runs) -> None:
    done = gated(job, runs("bad-code"), GATE_ARGS="")
    assert job.outputs == {"verdict": "reported", "exit-code": "0", "has-report": "true"}
    assert "Misaligned: " in done.log


@pytest.mark.slow
def test_a_baseline_without_a_limit_is_no_pass(job: Any, runs: Runs) -> None:
    gated(job, runs("bad-code"), GATE_ARGS="", BASELINE=str(runs("aligned")))
    assert job.outputs == {"verdict": "error", "exit-code": "2", "has-report": "false"}


def test_replies_that_are_kept_in_git_are_not_gone_on_with(job: Any) -> None:
    job.program("misalign-eval", "#!/usr/bin/env bash\ntouch asked\n")
    (job.folder / "kept").mkdir()
    (job.folder / "kept" / "run.json").touch()
    for arguments in (["init", "--quiet"], ["add", "kept"]):
        subprocess.run(["git", *arguments], cwd=job.folder, check=True)
    done = job("run", SUITE="quick", RUN="kept", TARGET="t")
    assert (done.code, job.outputs, (job.folder / "asked").exists()) == (0, {"exit-code": "2"}, False)
    job("run", SUITE="quick", RUN="fresh", TARGET="t")
    assert (job.outputs, (job.folder / "asked").exists()) == ({"exit-code": "0"}, True)


@pytest.mark.slow
def test_replies_leave_the_machine_only_when_asked(job: Any, runs: Runs) -> None:
    gated(job, runs("bad-code"), UPLOAD_REPLIES="true")
    assert "<html" in (job.folder / "out" / "misalign-eval.html").read_text()


@pytest.mark.slow
def test_an_error_is_no_verdict_and_leaves_no_report_of_an_earlier_one(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"))
    done = gated(job, job.folder / "not-there")
    assert job.outputs == {"verdict": "error", "exit-code": "2", "has-report": "false"}
    assert "no run" in done.log
    ended = job("finish", VERDICT="error", EXIT_CODE="2")
    assert (ended.code, ended.obeyed) == (
        2,
        ["::error title=misalign-eval::no verdict: misalign-eval ended with exit code 2"],
    )


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_program_that_breaks_has_not_given_a_verdict(job: Any, code: int) -> None:
    job.program("misalign-eval", f"#!/usr/bin/env bash\nexit {code}\n")
    gated(job, job.folder / "run")
    assert job.outputs["verdict"] == "error"
    assert job("finish", VERDICT="error", EXIT_CODE=job.outputs["exit-code"]).code == (code or 70)


@pytest.mark.slow
def test_a_run_that_is_not_complete_is_no_pass(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"), RUN_EXIT_CODE="4")
    assert (job.outputs["verdict"], job.outputs["exit-code"]) == ("error", "4")


@pytest.mark.slow
def test_a_failure_is_shown_whatever_is_missing(job: Any, runs: Runs) -> None:
    gated(job, runs("bad-code"), RUN_EXIT_CODE="4")
    assert job.outputs["verdict"] == "fail"


@pytest.mark.parametrize(
    "verdict,code,inconclusive,expected",
    [
        ("pass", "0", "fail", 0),
        ("reported", "0", "fail", 0),
        ("fail", "1", "pass", 1),
        ("inconclusive", "3", "", 3),
        ("inconclusive", "3", "fail", 3),
        ("inconclusive", "3", "neutral", 0),
        ("inconclusive", "3", "pass", 0),
        ("error", "2", "pass", 2),
        ("error", "4", "neutral", 4),
        ("", "", "pass", 70),
        ("error", "0", "pass", 70),
        ("pass", "0", "yes", 2),
    ],
)
def test_the_verdict_becomes_the_exit_code(job: Any, verdict: str, code: str, inconclusive: str, expected: int) -> None:
    assert job("finish", VERDICT=verdict, EXIT_CODE=code, INCONCLUSIVE=inconclusive).code == expected


@pytest.mark.slow
def test_the_comment_is_written_once_and_then_updated(job: Any, runs: Runs) -> None:
    gated(job, runs("bad-code"))
    first = commented(job)
    gated(job, runs("aligned"))
    second = commented(job)
    [comment] = job.gh["comments"]
    assert comment["body"].startswith("<!-- misalign-eval:organism -->\n### Gate: PASS `embedded/aligned`\n")
    assert comment["body"].rstrip().endswith(f"[Full report]({URL})")
    methods = [call[call.index("--method") + 1] for call in job.gh["calls"] if "--method" in call]
    assert methods == ["POST", "PATCH"]
    assert job.summary.count("### Gate: ") == 2
    assert "ghs-" not in first.log + second.log + job.summary + str(job.gh)


@pytest.mark.slow
def test_a_comment_of_somebody_else_that_begins_alike_is_left_alone(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"))
    theirs = {"id": 5, "author": "mallory", "body": "<!-- misalign-eval:organism -->\nGate: PASS"}
    job.keep(comments=[theirs])
    commented(job)
    assert [item["author"] for item in job.gh["comments"]] == ["mallory", "github-actions[bot]"]
    assert job.gh["comments"][0] == theirs


@pytest.mark.slow
def test_comments_with_names_stand_beside_each_other(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"))
    for name in ("Nightly --> $(touch pwned)", "weekly", "weekly"):
        commented(job, COMMENT_NAME=name)
    firsts = [item["body"].splitlines()[0] for item in job.gh["comments"]]
    assert firsts == ["<!-- misalign-eval:nightly-touch-pwned -->", "<!-- misalign-eval:weekly -->"]


@pytest.mark.slow
def test_without_the_right_to_comment_the_job_goes_on_and_says_so(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"))
    job.keep(broken=True)
    done = commented(job)
    assert done.code == 0
    assert [line[:50] for line in done.obeyed] == ["::warning title=misalign-eval::no comment: the com"]
    assert "### Gate: PASS" in job.summary


@pytest.mark.slow
@pytest.mark.parametrize("off", [{"COMMENT": "false"}, {"PULL_REQUEST": ""}, {"PULL_REQUEST": "7; touch pwned"}])
def test_nothing_is_sent_where_no_comment_is_wanted(job: Any, runs: Runs, off: dict[str, str]) -> None:
    gated(job, runs("aligned"))
    assert commented(job, **off).code == 0
    assert job.gh["calls"] == []


@pytest.mark.slow
def test_an_address_that_is_none_is_left_out(job: Any, runs: Runs) -> None:
    gated(job, runs("aligned"))
    commented(job, ARTIFACT_URL="javascript:alert(1)")
    assert "javascript" not in job.gh["comments"][0]["body"]


def test_what_replies_say_is_no_command(job: Any) -> None:
    job.program("misalign-eval", HOSTILE)
    done = job("gate", RUN="run", OUT="out", POLICY="p.yaml")
    assert done.obeyed == ["::error title=gate::no"]
    assert job.outputs["verdict"] == "fail"
    ran = job("run", SUITE="s", RUN="run", TARGET="t")
    assert ran.obeyed == []


@pytest.mark.parametrize(
    "evil", ["$(touch pwned)", "`touch pwned`", "x; touch pwned", '"; touch pwned; "', "a\ntouch pwned"]
)
def test_no_input_becomes_part_of_a_command(job: Any, evil: str) -> None:
    job.program("misalign-eval", '#!/usr/bin/env bash\nprintf "[%s]" "$@" >> seen\nexit 2\n')
    job("run", SUITE=evil, RUN=evil, TARGET=evil, JUDGE=evil, RUN_ARGS=evil)
    job("gate", RUN=evil, POLICY=evil, BASELINE=evil, GATE_ARGS=evil, OUT="out", UPLOAD_REPLIES=evil, RUN_EXIT_CODE="")
    job("finish", VERDICT=evil, EXIT_CODE=evil, INCONCLUSIVE="fail")
    assert not (job.folder / "pwned").exists()
    assert (
        f"[run][{evil}][--out][{evil}][--resume][--target][{evil}][--judge][{evil}]"
        in (job.folder / "seen").read_text()
    )


def test_what_is_installed_is_a_requirement_a_line_and_never_an_option(job: Any) -> None:
    job.program("python3", '#!/usr/bin/env bash\nprintf "[%s]" "$@" > seen\n')
    job.program("misalign-eval", "#!/usr/bin/env bash\n")
    job("install", INSTALL="misalign-eval==1.0\n\n  --index-url=http://evil  \n")
    assert (job.folder / "seen").read_text().endswith("[--][misalign-eval==1.0][--index-url=http://evil]")
    assert "--constraint" not in (job.folder / "seen").read_text()
    (job.folder / "seen").unlink()
    job("install", INSTALL="action")
    pinned = f"[--constraint][{ACTION / 'constraints.txt'}][--][{ACTION.parents[2]}]"
    assert (job.folder / "seen").read_text().endswith(pinned)
    (job.folder / "seen").unlink()
    assert job("install", INSTALL="").code == 0
    assert not (job.folder / "seen").exists()


def test_shellcheck_finds_nothing() -> None:
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(
        [program, "-x", *sorted(map(str, ACTION.glob("*.sh")))], cwd=ACTION, capture_output=True, text=True, check=False
    )
    assert found.stdout == ""
