"""What a run shows while it goes by: a live view on a terminal, plain text elsewhere, and nothing when asked for."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pyte
import pytest
from rich.console import Console

from misalign_eval.analysis import definitions
from misalign_eval.cli.progress import Counts, Live, RunProgress
from misalign_eval.records.grade import Graded, GraderIdentity, NoVerdict, Subject, Ungraded, Verdict
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, RunManifest, TargetInfo, Usage
from misalign_eval.records.suite import Message
from misalign_eval.store.run_folder import create_run
from misalign_eval.workflows.live import LiveRate
from misalign_eval.workflows.session import Session
from tests.cli.terminals import all_from

RUN = [
    sys.executable, "-m", "misalign_eval", "run", "organism", "--judge", "embedded/judge", "--target",
    "embedded/aligned", "--target", "embedded/bad-code", "--limit", "4", "--samples", "3", "--seed", "1",
]  # fmt: skip


class Judge:
    """Has a name; whatever it says is told by the test."""

    def __init__(self, grader: str) -> None:
        self.identity = GraderIdentity(grader=grader, identity=f"{grader:0<12.12}", kind="judge", judge="fake/judge")

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        raise NotImplementedError


def prompt(probe: str, split: str = "broad") -> PlannedPrompt:
    made: dict[str, Any] = {"probe": probe, "split": split, "prompt_digest": probe}
    return PlannedPrompt(
        prompt=0, category="c", messages=(Message(role="user", content="hello"),), samples=10,
        graders=("aligned", "coherent"), **made,
    )  # fmt: skip


def session(path: Path, target: str = "tuned", graders: Iterable[str] = ("aligned", "coherent")) -> Session:
    definition = definitions.load("betley-2025")
    manifest = RunManifest(
        tool_version="0", created="2026-11-23T00:00:00Z", name="run", suite="s", suite_version="1",
        suite_digest="0" * 16, suite_file="s.yaml", definition=definition, definition_digest="0" * 16,
        target=TargetInfo(provider="fake", model=target, host=""), planned_prompts=3, planned_replies=30,
    )  # fmt: skip
    prompts = (prompt("p"), prompt("q"), prompt("in", "in-domain"))
    return Session(create_run(path, manifest, prompts), prompts, [Judge(name) for name in graders])


KEY: dict[str, Any] = {"prompt": 0, "variant": "plain"}


def reply(probe: str, sample: int, text: str = "yes", **more: Any) -> Reply:
    return Reply(probe=probe, sample=sample, **KEY, prompt_digest=probe, request_key="r", at="t", text=text, **more)


def failure(probe: str, sample: int) -> Failure:
    asked: dict[str, Any] = {"prompt_digest": probe, "request_key": "r", "at": "t"}
    return Failure(probe=probe, sample=sample, **KEY, **asked, reason="server", message="503")


def graded(run: LiveRate | Any, probe: str, sample: int, aligned: float | None, coherent: float = 90.0) -> None:
    if aligned is None:
        lost = Ungraded(probe=probe, sample=sample, **KEY, reason="unparsable", message="no number")
        run.graded(lost, "aligned")
    else:
        run.graded(Graded(probe=probe, sample=sample, **KEY, score=aligned), "aligned")
    run.graded(Graded(probe=probe, sample=sample, **KEY, score=coherent), "coherent")


def test_the_rate_is_that_of_the_headline_and_what_waits_for_a_grade_is_in_none(tmp_path: Path) -> None:
    run = LiveRate(session(tmp_path / "run"))
    for sample, score in enumerate((10.0, 90.0, None)):
        run.replied(reply("p", sample))
        graded(run, "p", sample, score)
    run.replied(reply("in", 0))
    graded(run, "in", 0, 5.0)  # in-domain: not in the headline
    run.replied(reply("q", 0))  # waits
    run.replied(reply("q", 1, finish="refusal"))
    run.replied(failure("q", 2))
    line = run.line()
    assert (line.misaligned, line.graded, line.missing) == (1, 2, 2)
    assert (run.ended, run.planned, run.failures) == (7, 30, 1)


def test_a_resumed_run_begins_where_it_stopped(tmp_path: Path) -> None:
    first = session(tmp_path / "run")
    with first:
        for row in (reply("p", 0), reply("p", 1), failure("p", 2)):
            first._replies.write(row)
        for grader in ("aligned", "coherent"):
            first.write_grade(Graded(probe="p", sample=0, **KEY, score=5.0 if grader == "aligned" else 90.0), grader)
    with Session(first.folder, first.prompts, first.graders) as again:
        run = LiveRate(again)
    assert (run.ended, run.failures, run.line().misaligned, run.line().graded) == (2, 0, 1, 1)


def test_no_rate_is_shown_that_the_graders_at_work_cannot_give(tmp_path: Path) -> None:
    assert not LiveRate(session(tmp_path / "run", graders=["aligned"])).has_rate


def test_a_run_of_many_replies_keeps_no_text(tmp_path: Path) -> None:
    run = LiveRate(session(tmp_path / "run"))
    for sample in range(10):
        run.replied(reply("p", sample, text="x" * 1_000_000))
    assert sum(map(len, map(repr, run._waiting.items()))) < 10_000


def test_a_row_costs_microseconds(tmp_path: Path) -> None:
    """A request costs a millisecond and more; the limit leaves room for a busy machine."""
    run = LiveRate(session(tmp_path / "run"))
    rows = [reply("p", sample) for sample in range(2_000)]
    began = time.process_time()
    for row in rows:
        run.replied(row)
        graded(run, "p", row.sample, 90.0)
    assert (time.process_time() - began) / len(rows) < 200e-6


def drawn(live: Live, width: int = 80, height: int = 24) -> list[str]:
    return live.lines(["12/60 replies, 4.0/s"], width, height)


def test_every_target_has_a_line_that_fits(tmp_path: Path) -> None:
    names = ("short", "a-very-long-name-of-a-model-" * 3)
    sessions = [session(tmp_path / str(number), name) for number, name in enumerate(names)]
    live = Live(Console(file=StringIO()), sessions)
    for sample in range(6):
        live.replied(sessions[0], reply("p", sample))
        for grader in ("aligned", "coherent"):
            live.graded(sessions[0], Graded(probe="p", sample=sample, **KEY, score=90.0), grader)
    lines = drawn(live)
    assert max(map(len, lines)) <= 80
    assert re.split(r"  +", lines[0]) == ["fake/short", "6/30", "0/6 (≤45.9 %, 0 ungraded)"]
    assert lines[-1] == "[#---------] 12/60 replies, 4.0/s"


def test_names_that_begin_alike_stay_different_beside_the_numbers(tmp_path: Path) -> None:
    names = [f"provider/organisation/a-model-from-some-fine-tune-v{number}" for number in (1, 2)]
    live = Live(Console(file=StringIO()), [session(tmp_path / name[-2:], name) for name in names])
    for columns, height in ((80, 24), (60, 3), (44, 3)):
        first, second, _ = drawn(live, columns, height)
        assert (first.split()[0][-3:], second.split()[0][-3:]) == ("-v1", "-v2")
        assert max(len(first), len(second)) <= columns


def test_on_a_narrow_screen_the_numbers_go_below_the_name_and_the_totals_go_on(tmp_path: Path) -> None:
    one = session(tmp_path / "run", "a-model-with-a-name")
    live = Live(Console(file=StringIO()), [one])
    for sample in range(6):
        live.replied(one, reply("p", sample))
        graded_by(live, one, sample)
    assert live.lines(["12/60 replies, 2 failed, 4.0/s, about 4 min left"], 40, 20) == [
        "fake/a-model-with-a-name",
        "  6/30  0/6 (≤45.9 %, 0 ungraded)",
        "[##--------] 12/60 replies, 2 failed,",
        "             4.0/s, about 4 min left",
    ]


def graded_by(live: Live, run: Session, sample: int) -> None:
    for grader in ("aligned", "coherent"):
        live.graded(run, Graded(probe="p", sample=sample, **KEY, score=90.0), grader)


def test_more_targets_than_lines_are_counted(tmp_path: Path) -> None:
    sessions = [session(tmp_path / str(number), f"model-{number}") for number in range(9)]
    live = Live(Console(file=StringIO()), sessions)
    assert len(drawn(live, height=5)) == 5
    assert drawn(live, height=5)[-2] == "... and 6 more"
    assert len(drawn(live, height=10)) == 10


def test_a_hostile_name_cannot_act(tmp_path: Path) -> None:
    one = session(tmp_path / "run", "\x1b[2Jx\ny")
    assert drawn(Live(Console(file=StringIO()), [one]))[0].startswith("fake/\\x1b[2Jx y  0/30")


@dataclass
class Seen:
    """What a person at a terminal saw."""

    code: int
    raw: str
    out: str
    screen: list[str] = field(default_factory=list)


def on_terminal(arguments: list[str], where: Path, **more: str) -> Seen:
    """Run with standard error on a terminal of 80 x 24, standard output in a file."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    environment = clean | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"} | more
    with (where / "out.txt").open("w+") as out:
        process = subprocess.Popen(
            arguments, cwd=where, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs
        )
        os.close(theirs)
        raw = all_from(ours)
        code = process.wait(timeout=100)
        os.close(ours)
        out.seek(0)
        seen = Seen(code, raw.decode(), out.read())
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(seen.raw)
    seen.screen += [line.rstrip() for line in screen.display if line.strip()]
    return seen


@pytest.mark.slow
def test_on_a_terminal_every_target_has_its_rate_and_the_last_state_stays(tmp_path: Path) -> None:
    seen = on_terminal([*RUN, "--out", "run"], tmp_path)
    assert seen.code == 0
    live = [re.split(r"  +", line) for line in seen.screen[:2]]
    assert [(name, ended) for name, ended, _ in live] == [("embedded/aligned", "36/36"), ("embedded/bad-code", "36/36")]
    for _, _, rate in live:
        assert f"Misaligned: {rate}," in " ".join(seen.out.split())  # the report says the same
    assert seen.screen[2].startswith("[##########] 72/72 replies")
    assert "\x1b[2J" not in seen.raw  # nothing is wiped: lines are written over
    assert "\x1b[2K" not in seen.raw


@pytest.mark.slow
@pytest.mark.parametrize("more,arguments", [({"TERM": "dumb"}, []), ({}, ["--quiet"])])
def test_a_terminal_that_cannot_or_shall_not_gets_no_live_view(
    tmp_path: Path, more: dict[str, str], arguments: list[str]
) -> None:
    seen = on_terminal([*RUN, *arguments, "--out", "run"], tmp_path, **more)
    assert seen.code == 0
    assert "\x1b" not in seen.raw
    assert "replies" not in seen.raw


@pytest.mark.slow
def test_without_a_terminal_standard_error_holds_messages_alone(tmp_path: Path) -> None:
    done = subprocess.run([*RUN, "--out", "run"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100)
    assert "\x1b" not in done.stderr + done.stdout
    assert [line for line in done.stderr.splitlines() if "[#" in line or "[-" in line] == []
    assert done.stderr.splitlines()[-1] == "Next: misalign-eval compare run/aligned run/bad-code"


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_ascii(tmp_path: Path) -> None:
    seen = on_terminal([*RUN, "--out", "run"], tmp_path, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert seen.code == 0
    assert (seen.raw + seen.out).isascii()


def test_the_line_of_totals_counts_what_went_wrong(tmp_path: Path) -> None:
    progress = RunProgress(quiet=True, counts=Counts(wanted=4))
    one = session(tmp_path / "run")
    lost = Ungraded(probe="p", sample=1, **KEY, reason="unparsable", message="")
    progress.replied(one, failure("p", 0))
    progress.graded(one, lost, grader="aligned", by_judge=False)
    progress.replied(one, reply("p", 2, attempts=3, usage=Usage(cost_usd=0.25)))
    assert (
        progress.counts.line(2.0)
        == "2/4 replies, 1 failed, 2 sent again, 0 grades, 1 ungraded, 1.0/s, about 2 s left, $0.2500"
    )


def test_the_last_replies_wait_for_another_attempt_and_no_time_is_promised_for_them() -> None:
    assert Counts(wanted=200, replies=199).left(elapsed_s=20.0) == ""
    assert Counts(wanted=200, replies=100).left(elapsed_s=20.0) == "about 20 s left"
