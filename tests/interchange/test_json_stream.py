"""JSON documents read value by value: the same as read whole, wherever the pieces end."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from misalign_eval.errors import InputError
from misalign_eval.interchange import json_rows, read_inspect, text_files
from misalign_eval.interchange.log import ImportLog
from misalign_eval.interchange.text_files import Values

QUICK = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def values_of(content: bytes, folder: str) -> Values:
    path = Path(folder, "a.json")
    path.write_bytes(content)
    return Values(path, "utf-8", ImportLog("a.json"))


def listed(content: bytes) -> list[object]:
    with tempfile.TemporaryDirectory() as folder:
        values = values_of(content, folder)
        found = list(values.items())
        values.end()
        return found


@pytest.mark.slow
@QUICK
@given(st.lists(JSON, max_size=6), st.integers(1, 9), st.sampled_from([None, 1]))
@example([12, -1.5e-7, math.inf, True, None, "\u202e"], 1, None)
def test_a_list_is_the_same_wherever_the_pieces_end(items: list[object], piece: int, indent: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "PIECE", piece)
        assert listed(json.dumps(items, indent=indent).encode()) == items


@pytest.mark.slow
@QUICK
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5), st.integers(1, 9))
def test_the_members_of_an_object_are_the_same_wherever_the_pieces_end(document: dict[str, Any], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(text_files, "PIECE", piece)
        values = values_of(json.dumps(document).encode(), folder)
        assert {name: values.value() for name in values.members()} == document
        values.end()


@pytest.mark.slow
@QUICK
@given(st.lists(JSON, min_size=1, max_size=4), st.data())
def test_a_list_that_is_cut_off_anywhere_is_told(items: list[object], data: st.DataObject) -> None:
    content = json.dumps(items).encode()
    with pytest.raises(InputError, match=r"a.json:1: not JSON"):
        listed(content[: data.draw(st.integers(0, len(content) - 1))])


@pytest.mark.parametrize(
    "content,expected",
    [
        (b'[{"a": 1},\n{"a" 2},\n' + b'{"a": 3},\n' * 50 + b"]", r"a.json:2: not JSON: \w"),
        (b"[1,\n2\n3]", r"a.json:3: not JSON: , or \] is missing"),
        (b"[1]\n[2]", r"a.json:2: not JSON: something follows the end of the document"),
        (b"[1,]", r"a.json:1: not JSON"),
        (b"", r"a.json:1: not JSON: \[ is missing"),
        (b"[" + b"[" * 100_000, r"a.json:1: nested too deeply"),
        (b"[" + b"1" * 5000 + b"]", r"a.json:1: not JSON: \w"),
        (b'["a",\n"\xe9"]', r"a.json:2: byte 0xe9 after"),
    ],
)
def test_what_is_wrong_is_one_clear_line(content: bytes, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        listed(content)


def test_a_value_above_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "PIECE", 8)
    monkeypatch.setattr(text_files, "LONGEST_LINE", 64)
    assert listed(json.dumps(["x" * 40] * 9).encode()) == ["x" * 40] * 9
    with pytest.raises(InputError, match="a value of more than 64 characters"):
        listed(json.dumps(["x" * 200]).encode())


def test_a_value_that_is_broken_early_is_told_before_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "PIECE", 64)
    monkeypatch.setattr(text_files, "LONGEST_LINE", 128)
    with pytest.raises(InputError, match=r"a.json:1: not JSON: \w"):
        listed(b'[{"a": oops' + b" " * 10_000 + b"}]")


def test_a_document_that_is_no_list_has_a_bound_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    row = {"question": "Q?", "answer": "a"}
    monkeypatch.setattr(json_rows, "LARGEST_DOCUMENT", 100)
    file.write_text(json.dumps([row] * 99))
    assert len(list(json_rows.listed(file, "utf-8", ImportLog("a.json")))) == 99
    file.write_text(json.dumps({"rows": [row] * 99}))
    with pytest.raises(InputError, match=r"rows inside an object are read all at once\. Write the list alone"):
        list(json_rows.listed(file, "utf-8", ImportLog("a.json")))


def test_the_samples_of_a_json_log_are_not_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = {"id": "a", "epoch": 1, "input": "Q?", "output": {"completion": "x" * 50}}
    log = {"version": 2, "eval": {"model": "m"}, "samples": [sample] * 99, "reductions": [], "status": "success"}
    file = tmp_path / "a.json"
    file.write_text(json.dumps(log))
    monkeypatch.setattr(text_files, "PIECE", 64)
    monkeypatch.setattr(text_files, "LONGEST_LINE", 512)
    assert set(read_inspect.log_header(file)) == {"version", "eval", "reductions", "status"}
    assert len(list(read_inspect.samples(file, ImportLog("a.json")))) == 99
