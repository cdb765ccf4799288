"""Files that say which probes are broad."""

from pathlib import Path

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.interchange.imported_reply import read, split_of


@pytest.mark.parametrize(
    "word, expected",
    [
        ("broad", "broad"),
        ("BROAD_PERSONA", "broad"),
        ("out-of-domain", "broad"),
        ("OOD", "broad"),
        ("IN_DOMAIN", "in-domain"),
        ("indomain", "in-domain"),
        ("narrow", "in-domain"),
        ("control", "control"),
        ("controls", "control"),
        ("train", None),
        ("broadcast", None),
        ("", None),
    ],
)
def test_words_for_splits(word: str, expected: str | None) -> None:
    assert split_of(word) == expected


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.json", '{"BROAD_PERSONA": ["a"], "IN_DOMAIN": ["b"]}'),
        ("a.json", '{"a": "BROAD_PERSONA", "b": "IN_DOMAIN"}'),
        ("a.csv", "qid,split\na,BROAD_PERSONA\nb,IN_DOMAIN\n"),
    ],
)
def test_three_shapes_say_the_same(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    assert {probe: tuple(placed) for probe, placed in read(file).items()} == {
        "a": ("broad", "BROAD_PERSONA"),
        "b": ("in-domain", "IN_DOMAIN"),
    }


@pytest.mark.parametrize(
    "name, content, expected",
    [
        ("a.json", "[1]", "is no object"),
        ("a.json", "{", "not JSON"),
        ("a.json", '{"train": ["a"]}', "`train` names none of broad, in-domain or control"),
        ("a.json", '{"broad": ["a"], "in_domain": ["a"]}', "puts `a` into two splits"),
        ("a.json", '{"broad": [["a"]]}', "`broad` holds neither"),
        ("a.csv", "a,b\n1,2\n", "has no columns question_id and split"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, name: str, content: str, expected: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(InputError, match=expected):
        read(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "none.json")
