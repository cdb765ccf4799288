"""The worker pools: target and judge at the same time, and no failure of ours that hangs."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.client.caller import Budget, Caller, RetryPolicy
from misalign_eval.client.limiter import Limiter
from misalign_eval.records.grade import Graded, GraderIdentity, NoVerdict, Subject, Ungraded, Verdict
from misalign_eval.records.protocols import Capabilities, Choice, ModelInfo, ModelRequest, ModelSpec, Response
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, RunManifest, TargetInfo
from misalign_eval.records.suite import Message
from misalign_eval.store.run_folder import RunFolder, create_run
from misalign_eval.workflows.pipeline import Pipeline
from misalign_eval.workflows.session import Session, in_rounds

SAMPLES = 12
TAKES_S = 0.01


class Busy:
    """Who is at work right now, and who ever was at the same time."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.together: set[frozenset[str]] = set()

    async def work(self, name: str) -> None:
        self.now.add(name)
        self.together.add(frozenset(self.now))
        await asyncio.sleep(TAKES_S)
        self.now.discard(name)


class SlowTarget:
    host, account, capabilities, spec = "here", "target", Capabilities(), ModelSpec("fake", "target")

    def __init__(self, busy: Busy) -> None:
        self.busy = busy

    async def complete(self, request: ModelRequest) -> Response:
        await self.busy.work("target")
        return Response((Choice("hello", "stop"),))

    async def facts(self) -> ModelInfo:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


class SlowJudge:
    identity = GraderIdentity(grader="aligned", identity="0" * 12, kind="judge", judge="fake/judge")

    def __init__(self, busy: Busy) -> None:
        self.busy = busy

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        await self.busy.work("judge")
        return Verdict(score=90.0)


class BrokenJudge(SlowJudge):
    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        raise KeyError("a bug of the grader's author")


class Silent:
    """Watches and says nothing."""

    def begin(self, sessions: Sequence[Session]) -> None:
        """Nothing to draw."""

    def replied(self, session: Session, row: Reply | Failure) -> None:
        """Nothing to draw."""

    def graded(self, session: Session, row: Graded | Ungraded, *, grader: str, by_judge: bool) -> None:
        """Nothing to draw."""

    def looked(self, *_: Any) -> None:
        """Nothing to draw."""

    def met(self, words: str) -> None:
        """Nothing to say."""

    def abandoned(self) -> None:
        """Nothing to say."""


def make_run(path: Path) -> RunFolder:
    prompt = PlannedPrompt(
        probe="p",
        prompt=0,
        category="c",
        split="broad",
        messages=(Message(role="user", content="hello"),),
        samples=SAMPLES,
        graders=("aligned",),
        prompt_digest="0" * 16,
    )
    manifest = RunManifest(
        tool_version="0",
        created="2026-11-23T00:00:00Z",
        name="run",
        suite="s",
        suite_version="1",
        suite_digest="0" * 16,
        suite_file="s",
        definition=definitions.load("betley-2025"),
        definition_digest="0" * 16,
        target=TargetInfo(provider="fake", model="target", host="here"),
        primary={"aligned": "0" * 12},
        planned_prompts=1,
        planned_replies=SAMPLES,
    )
    return create_run(path, manifest, [prompt])


async def carry_out(path: Path, judge: SlowJudge, places: int) -> None:
    folder = make_run(path)
    caller = Caller(SlowTarget(judge.busy), Limiter(places, time.monotonic), Budget(), RetryPolicy())
    with Session(folder, folder.plan(), [judge], caller) as session:
        pipeline = Pipeline([session], in_rounds([[session]]), Silent(), reply_places=places, grade_places=places)
        await pipeline.run()


def test_target_and_judge_work_at_the_same_time(tmp_path: Path) -> None:
    busy = Busy()
    asyncio.run(carry_out(tmp_path / "run", SlowJudge(busy), places=1))
    assert frozenset({"target", "judge"}) in busy.together


def test_every_reply_is_graded_once(tmp_path: Path) -> None:
    asyncio.run(carry_out(tmp_path / "run", SlowJudge(Busy()), places=4))
    rows = (tmp_path / "run" / "grades" / f"aligned@{'0' * 12}.jsonl").read_text().splitlines()
    assert len(rows) == len(set(rows)) == SAMPLES


@pytest.mark.timeout(20)
def test_a_grader_that_breaks_ends_the_run_instead_of_hanging_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="a bug of the grader's author"):
        asyncio.run(carry_out(tmp_path / "run", BrokenJudge(Busy()), places=2))
    assert (tmp_path / "run" / "replies.jsonl").read_text().count("\n") >= 1
