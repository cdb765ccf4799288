"""A run folder gives one row a planned reply and one grade a reply, whatever crashes and retries left in its files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from misalign_eval.errors import FolderLockedError, UsageError
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Failure, Reply
from misalign_eval.store.lock import REPLIES, writing
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import RunFolder, open_run

MakeRun = Callable[[], RunFolder]
KEY = {"probe": "p", "prompt": 0, "variant": "plain"}
ABOUT = {**KEY, "prompt_digest": "0" * 16, "request_key": "1" * 16, "at": "2026-11-23T00:00:00.000Z"}
JUDGE = GraderIdentity(grader="aligned", identity="3fa9c1d20b7e", kind="judge", judge="openai/gpt")


def reply(sample: int, text: str = "hello") -> Reply:
    return Reply(**ABOUT, sample=sample, text=text)  # type: ignore[arg-type]


def failure(sample: int, message: str = "no answer") -> Failure:
    return Failure(**ABOUT, sample=sample, reason="timeout", message=message)  # type: ignore[arg-type]


def graded(sample: int, score: float) -> Graded:
    return Graded(**KEY, sample=sample, score=score)  # type: ignore[arg-type]


def ungraded(sample: int) -> Ungraded:
    return Ungraded(**KEY, sample=sample, reason="failed", message="no answer")  # type: ignore[arg-type]


def fill(folder: RunFolder, *rows: Reply | Failure) -> None:
    writer = RowWriter(folder.path / REPLIES)
    for row in rows:
        writer.write(row)
    writer.close()


def test_what_was_planned_comes_back(make_run: MakeRun) -> None:
    made = make_run()
    opened = open_run(made.path)
    assert (opened.manifest, opened.plan()) == (made.manifest, made.plan())


def test_a_reply_supersedes_the_failure_before_it(make_run: MakeRun) -> None:
    folder = make_run()
    fill(folder, failure(0), reply(1), reply(0))
    assert list(folder.replies()) == [reply(1), reply(0)]


def test_the_first_reply_counts_when_a_crash_made_two(make_run: MakeRun) -> None:
    folder = make_run()
    fill(folder, reply(0, "first"), reply(0, "second"), failure(0))
    assert list(folder.replies()) == [reply(0, "first")]


def test_the_last_failure_counts_when_nothing_else_came(make_run: MakeRun) -> None:
    folder = make_run()
    fill(folder, failure(0, "one"), failure(0, "two"))
    assert list(folder.replies()) == [failure(0, "two")]
    assert len(list(folder.all_rows())) == 2


def test_a_grade_supersedes_the_missing_one(make_run: MakeRun) -> None:
    folder = make_run()
    writer = RowWriter(folder.add_grader(JUDGE))
    for row in (ungraded(0), graded(1, 90.0), graded(0, 10.0), ungraded(2)):
        writer.write(row)
    writer.close()
    assert list(folder.grades(JUDGE)) == [graded(1, 90.0), graded(0, 10.0), ungraded(2)]


def test_graders_are_listed_the_primary_first(make_run: MakeRun) -> None:
    folder = make_run()
    other = GraderIdentity(grader="aligned", identity="000000000000", kind="judge", judge="openai/other")
    folder.add_grader(other)
    folder.add_grader(JUDGE)
    folder.update(folder.manifest.model_copy(update={"primary": {"aligned": JUDGE.identity}}))
    assert open_run(folder.path).grader_identities() == [JUDGE, other]


def test_a_folder_without_a_run_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"nothing: no run: it is not there\. `misalign-eval run … --out .*nothing` makes"
    ):
        open_run(tmp_path / "nothing")


def test_a_run_of_a_newer_format_is_refused(make_run: MakeRun) -> None:
    folder = make_run()
    folder.update(folder.manifest.model_copy(update={"format": 99, "tool_version": "9.0"}))
    with pytest.raises(UsageError, match=r"written by a newer misalign-eval \(9\.0\)"):
        open_run(folder.path)


def test_two_writers_on_one_folder_are_refused_and_the_second_is_told_who_holds_it(make_run: MakeRun) -> None:
    folder = make_run()
    with (
        writing(folder.path),
        pytest.raises(FolderLockedError, match=r"another process \(pid \d+\) is writing"),
        writing(folder.path),
    ):
        pass


def test_a_folder_is_free_again_after_its_writer(make_run: MakeRun) -> None:
    folder = make_run()
    with writing(folder.path):
        pass
    with writing(folder.path):
        pass


def test_a_run_folder_is_private_to_its_owner(make_run: MakeRun) -> None:
    folder = make_run()
    assert folder.path.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.path.iterdir())
