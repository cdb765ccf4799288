"""Rows are written whole or not at all, and read back as they were."""

import errno
import os
from pathlib import Path

import pytest

from misalign_eval.errors import InputError, RunStoppedError
from misalign_eval.records.run import ROW, Failure, Reply
from misalign_eval.store.rows import RowWriter, encode, read_rows, repair_tail

KEY = {
    "probe": "p",
    "prompt": 0,
    "variant": "plain",
    "prompt_digest": "0" * 16,
    "request_key": "1" * 16,
    "at": "2026-11-23T00:00:00.000Z",
}


def reply(sample: int, text: str = "hello") -> Reply:
    return Reply(**KEY, sample=sample, text=text)  # type: ignore[arg-type]


def failure(sample: int) -> Failure:
    return Failure(**KEY, sample=sample, reason="timeout", message="no answer")  # type: ignore[arg-type]


def written(path: Path, *rows: Reply | Failure) -> Path:
    writer = RowWriter(path)
    for row in rows:
        writer.write(row)
    writer.close()
    return path


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    rows: list[Reply | Failure] = [reply(0, 'quotes " and \n new lines \x00 \x1b[31m \u2028'), failure(1), reply(2, "")]
    assert list(read_rows(written(tmp_path / "rows.jsonl", *rows), ROW)) == rows


def test_a_lone_surrogate_is_replaced_and_the_rest_of_the_row_kept() -> None:
    line = encode(reply(0, "a\ud800b 😀"))
    assert ROW.validate_json(line) == reply(0, "a\ufffdb 😀")


def test_each_row_is_one_line_whatever_its_text_holds(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", reply(0, "a\nb\r\nc\u2029d"), reply(1))
    assert path.read_bytes().count(b"\n") == 2


def test_a_torn_last_line_is_passed_over_by_readers(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", reply(0), reply(1))
    with path.open("ab") as file:
        file.write(encode(reply(2))[:-20])
    assert [row.sample for row in read_rows(path, ROW)] == [0, 1]


def test_a_torn_last_line_is_cut_before_the_next_row_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", reply(0))
    torn = encode(reply(1))[:-7]
    with path.open("ab") as file:
        file.write(torn)
    writer = RowWriter(path)
    writer.write(reply(1))
    writer.close()
    assert writer.repaired_bytes == len(torn)
    assert [row.sample for row in read_rows(path, ROW)] == [0, 1]


@pytest.mark.parametrize(
    "content,cut", [(b"", 0), (b"whole\n", 0), (b"torn", 4), (b"whole\n" + b"x" * 200_000, 200_000)]
)
def test_repair_cuts_exactly_what_follows_the_last_newline(tmp_path: Path, content: bytes, cut: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    assert repair_tail(path) == cut
    assert path.read_bytes() == content[: len(content) - cut]


def test_a_broken_row_in_the_middle_is_an_error_that_names_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", reply(0), reply(1))
    path.write_bytes(path.read_bytes().replace(b'"sample":1', b'"sample":"1"'))
    with pytest.raises(InputError, match=r"rows\.jsonl:2: reply\.sample: not a row of this format"):
        list(read_rows(path, ROW))


def test_a_full_disk_stops_the_run_and_leaves_only_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    writer = RowWriter(path)
    writer.write(reply(0))
    real_write = os.write

    def full_after_ten_bytes(file: int, data: bytes) -> int:
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(file, data[:10]) if data.startswith(b"{") else _raise_full()

    monkeypatch.setattr("misalign_eval.store.rows.os.write", full_after_ten_bytes)
    with pytest.raises(RunStoppedError, match="the disk is full"):
        writer.write(reply(1))
    monkeypatch.undo()
    writer.close()
    assert path.read_bytes() == encode(reply(0))


def _raise_full() -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_rows_are_private_to_their_owner(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", reply(0))
    assert path.stat().st_mode & 0o077 == 0
