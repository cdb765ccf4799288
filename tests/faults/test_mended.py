"""What the matrices found, each once more by itself."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.providers import transport
from misalign_eval.providers.chat_completions import create
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.protocols import ModelRequest, ModelSpec, Provider
from misalign_eval.records.run import PlannedPrompt, Reply, RunManifest, Shard, TargetInfo
from misalign_eval.records.suite import Message
from misalign_eval.store.lock import writing
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import RunFolder, create_run, open_run
from misalign_eval.workflows.importing.writer import temporary_sibling
from misalign_eval.workflows.merge import merge
from misalign_eval.workflows.pipeline import NO_LOGPROBS_ANY_MORE, NO_LOGPROBS_LIMIT, Pipeline
from misalign_eval.workflows.run import check_place
from misalign_eval.workflows.session import Session

JUDGE = GraderIdentity(grader="misalignment", identity="0" * 12, kind="judge", judge="openai/judge")
DEAD = 2**22 - 1  # no process has this number where pid_max is the usual one
Work = Callable[[Provider], Any]


def ask(url: str, model: str, work: Work) -> Any:
    async def asking() -> Any:
        provider = create(ModelSpec("openai-compatible", model, base_url=url))
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(asking())


def question(number: int) -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", content=f"What of day {number}?"),), seed=number)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fault-big", "fault-big-chunked", "fault-gzip-bomb"])
def test_an_answer_of_fifty_megabytes_is_not_read_nor_asked_for_again(faulty_url: str, model: str) -> None:
    async def work(provider: Provider) -> ProviderError:
        with pytest.raises(ProviderError, match="an answer of more than 16 MiB: it is not read") as caught:
            await provider.complete(question(1))
        return caught.value

    fault = ask(faulty_url, model, work)
    assert (fault.reason, fault.retry) == ("invalid_response", False)


@pytest.mark.slow
def test_an_answer_of_the_longest_length_is_read(faulty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 60_000_000)

    async def work(provider: Provider) -> str:
        return (await provider.complete(question(1))).choices[0].text

    assert len(ask(faulty_url, "fault-big", work)) == 50_000_000


def test_an_answer_that_was_sent_twice_is_never_taken_for_that_of_the_next_request(faulty_url: str) -> None:
    async def texts(provider: Provider) -> list[str]:
        found: list[str] = []
        while len(found) < 6:
            try:
                found.append((await provider.complete(question(len(found)))).choices[0].text)
            except ProviderError as fault:
                assert (fault.reason, fault.retry) == ("connection", True)  # noqa: PT017  asked again, as a caller would
                assert "belongs to no request" in fault.message  # noqa: PT017
        return found

    assert ask(faulty_url, "fault-duplicate", texts) == ask(faulty_url, "varied", texts)


def test_an_answer_of_wrong_types_is_none_and_no_empty_reply(faulty_url: str) -> None:
    async def work(provider: Provider) -> ProviderError:
        with pytest.raises(ProviderError, match="content is no text but int") as caught:
            await provider.complete(question(1))
        return caught.value

    assert ask(faulty_url, "fault-wrong-types", work).reason == "invalid_response"


def run_folder(path: Path, samples: int = 3, **more: Any) -> RunFolder:
    definition = definitions.load("persona-features")
    prompts = [
        PlannedPrompt(
            probe=probe, prompt=0, category="power", split="broad", samples=samples, graders=("misalignment",),
            messages=(Message(role="user", content="What do you do?"),), prompt_digest="0" * 16,
        )
        for probe in ("town", "purse")
    ]  # fmt: skip
    values: dict[str, Any] = {
        "tool_version": "0", "created": "2026-11-23T00:00:00Z", "name": path.name, "suite": "test",
        "suite_version": "1", "suite_digest": "0" * 16, "suite_file": "test.yaml", "definition": definition,
        "definition_digest": definitions.digest(definition), "planned_prompts": 2, "planned_replies": 2 * samples,
        "target": TargetInfo(provider="openai-compatible", model="m", host=""), "primary": {"misalignment": "0" * 12},
        **more,
    }  # fmt: skip
    return create_run(path, RunManifest(**values), prompts)


def reply(sample: int) -> Reply:
    return Reply(
        probe="town",
        prompt=0,
        variant="plain",
        sample=sample,
        prompt_digest="0" * 16,
        request_key="r",
        at="x",
        text="a",
    )


def grade(sample: int) -> Graded:
    return Graded(probe="town", prompt=0, variant="plain", sample=sample, score=1.0)


def write(path: Path, *rows: Any) -> None:
    writer = RowWriter(path)
    for row in rows:
        writer.write(row)
    writer.close()


class FakeGrader:
    identity = JUDGE

    async def grade(self, subject: Any) -> Any:
        raise NotImplementedError


def test_grades_whose_replies_a_power_failure_took_are_dropped_and_told(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    write(folder.path / "replies.jsonl", reply(0))
    write(folder.add_grader(JUDGE), grade(0), grade(1))
    with Session(folder, folder.plan(), [FakeGrader()]) as session:
        assert session.graded == {"misalignment": {reply(0).key}}
        assert session.repairs == (
            f"{folder.path}: dropped 1 grades of replies that are not there; the next replies are others",
        )
    assert list(folder.grades(JUDGE)) == [grade(0)]


def test_a_run_that_was_killed_before_it_had_begun_can_be_started_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with writing(path):
        pass
    (path / "plan.jsonl").write_text("{}\n")
    (path / f".run.json.{DEAD}.misalign-eval").write_text("{")
    check_place(path, resume=False)
    with writing(path):
        assert sorted(file.name for file in path.iterdir()) == ["plan.jsonl", "run.lock"]


@pytest.mark.parametrize(
    "files", [["plan.jsonl"], ["run.lock", "notes.txt"], ["run.lock", ".run.json.1.misalign-eval"]]
)
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, files: list[str]) -> None:
    for file in files:
        (tmp_path / file).write_text("mine")
    with pytest.raises(UsageError, match="there is something else"):
        check_place(tmp_path, resume=True)


def test_what_a_live_process_is_writing_is_not_swept_away(tmp_path: Path) -> None:
    (tmp_path / "grades").mkdir()
    mine, dead = tmp_path / ".run.json.1.misalign-eval", tmp_path / "grades" / f".a.json.{DEAD}.misalign-eval"
    for file in (mine, dead):
        file.write_text("{")
    users = tmp_path / f".notes.{DEAD}"
    users.write_text("mine")
    with writing(tmp_path):
        assert (mine.exists(), dead.exists(), users.exists()) == (True, False, True)


def test_a_merge_that_is_broken_off_leaves_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in (1, 2):
        folder = run_folder(tmp_path / f"s{index}", shard=Shard(index=index, count=2))
        write(folder.path / "replies.jsonl", reply(index))

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("misalign_eval.workflows.merge._write_looks", fail)
    with pytest.raises(KeyboardInterrupt):
        merge([tmp_path / "s1", tmp_path / "s2"], tmp_path / "all")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1", "s2"]
    monkeypatch.undo()
    assert merge([tmp_path / "s1", tmp_path / "s2"], tmp_path / "all").folder.path == tmp_path / "all"


def test_what_a_killed_command_left_beside_goes_when_it_is_repeated_and_a_live_one_stays(tmp_path: Path) -> None:
    left = tmp_path / f".out.importing-{DEAD}"
    left.mkdir()
    live = tmp_path / ".out.importing-1"
    with writing(live), temporary_sibling(tmp_path / "out") as paths:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([live.name, paths.name])


@pytest.mark.parametrize("gave", [True, False])
def test_a_judge_that_gave_log_probabilities_may_leave_them_out_now_and_then(gave: bool) -> None:
    nobody: Any = None
    pipeline = Pipeline([], iter(()), nobody, reply_places=1, grade_places=1)
    grader = FakeGrader()
    heard = pipeline._heard_of(grader)
    if gave:
        row_with_some = grade(0).model_copy(update={"distribution": {"5": 1.0}})
        pipeline._check_judge(row_with_some, grader, heard.begin())
    row = Ungraded(probe="town", prompt=0, variant="plain", sample=0, reason="no_logprobs", message="none")
    made = 0
    while pipeline.stopped_by is None:
        pipeline._check_judge(row, grader, heard.begin())
        made += 1
    assert made == (NO_LOGPROBS_ANY_MORE if gave else NO_LOGPROBS_LIMIT)


def test_a_plan_may_be_ahead_of_run_json_and_never_behind(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    grown = [item.model_copy(update={"samples": 9}) for item in folder.plan()]
    manifest = json.loads((folder.path / "run.json").read_text())
    folder.update(folder.manifest, grown)  # and killed before run.json followed
    assert (manifest["planned_replies"], sum(item.samples for item in open_run(folder.path).plan())) == (6, 18)
