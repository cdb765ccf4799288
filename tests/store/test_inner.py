"""What stands in the place of a run's own folders and files leads nobody out of it, and lets nobody wait."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.store.lock import INNER, MANIFEST, REPLIES
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import RunFolder, open_run

MakeRun = Callable[[], RunFolder]


@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("behind", ["there", "nowhere"])
def test_a_linked_folder_inside_a_run_is_refused(make_run: MakeRun, tmp_path: Path, name: str, behind: str) -> None:
    path = make_run().path
    (tmp_path / "there").mkdir()
    (path / name).symlink_to(tmp_path / behind)
    with pytest.raises(InputError, match=rf"run/{name}: a link, .* Put the folder itself there, or remove the link"):
        open_run(path)


def test_everything_that_is_no_folder_is_told_at_once(make_run: MakeRun) -> None:
    path = make_run().path
    for name in INNER:
        (path / name).write_text("")
    with pytest.raises(InputError) as caught:
        open_run(path)
    assert [Path(problem.file).name for problem in caught.value.problems] == list(INNER)


def test_a_run_with_folders_of_its_own_may_itself_be_reached_by_links(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run().path
    for name in INNER:
        (path / name).mkdir()
    (tmp_path / "disk").mkdir()
    path.rename(tmp_path / "disk" / "run")
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    (tmp_path / "link").symlink_to(tmp_path / "results" / "run")
    for where in (tmp_path / "results" / "run", tmp_path / "link"):
        assert open_run(where).manifest.name == "test"


def _folder(file: Path) -> None:
    file.mkdir()


def _pipe(file: Path) -> None:
    os.mkfifo(file)


def _device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _nothing(file: Path) -> None:
    file.symlink_to("nowhere")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [_folder, _pipe, _device, _nothing])
def test_what_is_no_file_is_told_and_not_waited_for(make_run: MakeRun, make: Callable[[Path], None]) -> None:
    folder = make_run()
    make(folder.path / REPLIES)
    with pytest.raises(
        InputError, match=r"replies\.jsonl: (no file, where a file of the run belongs|a link to nothing)"
    ):
        list(folder.replies())
    with pytest.raises(UsageError, match=r"replies\.jsonl: (no file, where a file of the run belongs|a link)\."):
        RowWriter(folder.path / REPLIES)


def test_a_file_that_is_a_link_is_read(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run().path
    (path / MANIFEST).rename(tmp_path / "object")
    (path / MANIFEST).symlink_to(tmp_path / "object")
    assert open_run(path).manifest.name == "test"
