"""Imports into a place that takes no more files: one line, and nothing left beside it."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import UsageError
from misalign_eval.workflows.importing import writer


def test_a_full_disk_that_takes_a_folder_and_no_file_keeps_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("misalign_eval.store.lock.os.open", full)
    with pytest.raises(UsageError, match="No space left on device"), writer.temporary_sibling(tmp_path / "imp"):
        raise AssertionError("nothing can be written here")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_on_the_way_is_told_and_left_clean(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"imp: cannot be written: No space left"),
        writer.temporary_sibling(tmp_path / "imp"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []
