import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from misalign_eval.errors import InputError
from misalign_eval.records.base import Record
from misalign_eval.yaml_source import document as yaml_document
from misalign_eval.yaml_source import validate


class Part(Record):
    name: str
    size: Literal["small", "large"] = "small"
    weight: float | None = None
    label: str | tuple[str, ...] | None = None


class Whole(Record):
    title: str
    parts: tuple[Part, ...] = ()
    extra: dict[str, Part] = {}
    flag: bool = False
    either: str | Part | None = None


TOO_DEEP = "nested more than 50 levels deep. Make it flatter, or quote it if it is text."


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with both of PyYAML's parsers."""
    if request.param == "libyaml" and not hasattr(yaml, "CSafeLoader"):
        pytest.skip("this PyYAML was built without libyaml")
    if request.param == "pure Python":
        monkeypatch.setattr(yaml_document, "_loader", lambda: yaml.SafeLoader)


def data(text: str) -> JsonValue:
    return yaml_document.loads(text.encode(), "f.yaml").data


def told(text: str | bytes, model: type[Record] | None = None) -> list[str]:
    """What is said of a text that has faults."""
    with pytest.raises(InputError) as raised:
        _read(text if isinstance(text, bytes) else text.encode(), model)
    return str(raised.value).splitlines()


def _read(content: bytes, model: type[Record] | None) -> object:
    document = yaml_document.loads(content, "f.yaml")
    return document.data if model is None else validate.parse(document, model)


@pytest.mark.parametrize(
    "word, value",
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("0", 0),
        ("-17", -17),
        ("0.5", 0.5),
        ("2e3", 2000.0),
        ("1.0.0", "1.0.0"),
        ("gpt-4.1", "gpt-4.1"),
        ("y", "y"),
        ("'no'", "no"),
        ('"012"', "012"),
        ("it's", "it's"),
    ],
)
def test_only_plain_words_of_json_are_typed(word: str, value: JsonValue) -> None:
    found = data(f"a: {word}\n")
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    "word, kind",
    [
        *[(word, "a boolean") for word in ("no", "No", "NO", "yes", "on", "off", "Off", "True", "FALSE")],
        *[
            (word, "a number")
            for word in ("012", "0x1F", "0o17", "0b11", "1_000", "12:30", "+1", ".5", "5.", ".inf", ".nan")
        ],
        *[(word, "a date") for word in ("2024-05-01", "2024-05-01 10:00:00")],
        *[(word, "null") for word in ("~", "Null", "NULL")],
    ],
)
def test_a_word_that_readers_of_yaml_disagree_on_must_be_quoted(word: str, kind: str) -> None:
    (line,) = told(f"first: 1\nsecond: {word}\n")
    assert line.startswith(f'f.yaml:2: second: unquoted `{word}` is {kind} to some YAML readers. Quote it: "{word}"')


def test_numbers_that_no_number_can_hold_are_refused() -> None:
    assert told(f"a: 1e999\nb: {'9' * 30}\n") == [
        "f.yaml:1: a: `1e999` is too large for a number. Quote it if it is text.",
        "f.yaml:2: b: a number with more than 18 digits. Quote it if it is text.",
    ]


def test_keys_must_be_text_and_stand_once() -> None:
    assert told("on: a\n1: b\nnull: c\n'2': d\nx: e\nx: f\n") == [
        'f.yaml:1: on: unquoted `on` is a boolean to some YAML readers. Quote it: "on" or write `true` or `false`.',
        'f.yaml:2: 1: a key that is not text. Quote it: "1".',
        'f.yaml:3: null: a key that is not text. Quote it: "null".',
        "f.yaml:6: x: duplicate key, first on line 5. Keep one of them.",
    ]
    assert told("? [a]\n: b\n") == ["f.yaml:1: a key that is a list or a mapping. Write keys as words."]


def test_tags_do_nothing_but_make_an_error(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    assert told(f"a: !!python/object/apply:pathlib.Path.touch [{trace}]\nb: !!str 5\nc: !mine x\n") == [
        f"f.yaml:{line}: {key}: tag `{tag}` is not allowed. Take it away; quote the value if it is text."
        for line, key, tag in (
            (1, "a", "!!python/object/apply:pathlib.Path.touch"),
            (2, "b", "!!str"),
            (3, "c", "!mine"),
        )
    ]
    assert not trace.exists()


def test_anchors_and_merges_are_expanded_and_the_own_key_wins() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, y: 5}\ntwo: {<<: [*m, *b]}\nsame: *b\n"
    assert data(text) == {
        "base": {"x": 1, "y": 2},
        "more": {"y": 3, "z": 4},
        "one": {"x": 1, "y": 5},
        "two": {"x": 1, "y": 3, "z": 4},
        "same": {"x": 1, "y": 2},
    }
    assert told("a: &a [1]\nb: {<<: *a}\n") == [
        "f.yaml:2: b.<<: only a mapping can be merged. Name an anchor of a mapping after `<<:`."
    ]


def test_a_billion_laughs_end_in_one_line_before_they_expand() -> None:
    levels = "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (line,) = told(f"a: &a [{', '.join(['lol'] * 9)}]\n{levels}")
    assert re.fullmatch(
        r"f\.yaml:7: g\[\d\]: the file holds too many values once its aliases are expanded\. Use fewer aliases\.", line
    )


def test_a_long_text_cannot_be_multiplied_by_aliases() -> None:
    (line,) = told(f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 40)}]\n")
    assert "too many values" in line


def test_depth_is_bounded_also_through_aliases() -> None:
    assert told("[" * 51 + "]" * 51) == [f"f.yaml:1: {TOO_DEEP}"]
    nested = f"a: &a {'[' * 30}x{']' * 30}\nb: {'[' * 30}*a{']' * 30}\n"
    assert told(nested) == [f"f.yaml:2: {TOO_DEEP}"]


@pytest.mark.parametrize("levels", [51, 999, 1_001, 1_000_000])
@pytest.mark.parametrize(
    "before, opening, line",
    [
        ("", "[", 1),
        ("", "{a: ", 1),
        ("", "{[", 1),
        ("", "- ", 1),
        ("", "? ", 1),
        ("", "[\n", 51),
        ("# [[[\n", "[", 2),
        ("a: '[[['\nb:\n- c: ", "[", 3),
        ("a: [x, [y, ", "[", 1),
        ("a: &a [x]\nb:\n  - *a\n  - ", "[&b ", 4),
        ("a: \u00e4\U0001f600\u2028\nb: ", "[", 3),
    ],
)
def test_our_limit_of_depth_comes_before_the_parsers(before: str, opening: str, line: int, levels: int) -> None:
    text = before + (opening * levels)[:4_900_000]
    assert told(text) == [f"f.yaml:{line}: {TOO_DEEP}"]


def test_brackets_in_a_text_that_cannot_be_read_are_no_depth() -> None:
    for torn in (
        f"a: '{'[' * 2_000}\n",
        f'a: "{"{" * 2_000}\n',
        f"a: [x, '{'[' * 2_000}' y]\n",
        f"a: @ # {'[' * 2_000}",
    ):
        (line,) = told(torn)
        assert line.startswith("f.yaml:1: not valid YAML: ")


def test_an_alias_cannot_hold_itself_or_come_before_its_anchor() -> None:
    assert told("a: &x [*x]\n") == ["f.yaml:1: a[0]: alias `*x` holds itself. Write the value out."]
    assert told("a: *x\n") == ["f.yaml:1: a: alias `*x` has no anchor `&x` before it"]


@pytest.mark.parametrize(
    "text, line",
    [
        ("a:\n\tb: 1\n", "f.yaml:2: a tab in the indentation. Use spaces."),
        ("", "f.yaml: the file is empty"),
        ("# only a comment\n", "f.yaml: the file is empty"),
        ("a: b\n---\nc: d\n", "f.yaml:2: a second document (`---`). Put it into a file of its own."),
        (b"a: b\nc: \xff\n", "f.yaml:2: not UTF-8. Save the file as UTF-8."),
        (
            "a: b\nc: \x07\n",
            "f.yaml:2: control character '\\x07'. Take it away, or write it as an escape in double quotes.",
        ),
    ],
)
def test_a_file_that_is_no_yaml_of_ours_is_one_line(text: str | bytes, line: str) -> None:
    assert told(text) == [line]


@pytest.mark.parametrize(
    "text, place, fix",
    [
        ("a: b: c\n", "f.yaml:1", "Quote text that holds `: `"),
        ("a: 1\nb: 'open\nc: 2\n", "f.yaml:2", "Close the quotation mark."),
        ("a: [1, 2\nb: 3\n", "f.yaml:2", "comma between the items"),
        ("a: @x\n", "f.yaml:1", "Quote text that begins with a special character."),
        ('a: "\\q"\n', "f.yaml:1", "Use single quotes"),
    ],
)
def test_a_syntax_error_says_where_and_what_usually_helps(text: str, place: str, fix: str) -> None:
    (line,) = told(text)
    assert line.startswith(f"{place}: not valid YAML: ")
    assert fix in line


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    (line,) = told('a: "\\ud83d"\n')
    assert line.startswith("f.yaml:1: ")
    assert line.endswith("Write the character itself.")


def test_a_file_over_five_megabytes_is_not_parsed(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_bytes(b"a: '" + b"x" * 5_000_000 + b"'\n")
    with pytest.raises(InputError, match=r"large\.yaml: larger than 5 MB\. Split it\."):
        yaml_document.load(file)


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: no such file"):
        yaml_document.load(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="a folder, not a file"):
        yaml_document.load(tmp_path)


def test_every_value_knows_its_line_and_a_missing_one_that_of_its_holder() -> None:
    document = yaml_document.loads(b"title: t\nparts:\n  - name: a\n\n  - name: b\n    size: large\n", "f.yaml")
    assert document.line_of(("parts",)) == 2
    assert document.line_of(("parts", 1)) == 5
    assert document.line_of(("parts", 1, "size")) == 6
    assert document.line_of(("parts", 1, "weight")) == 5
    assert document.line_of(("parts", 7, "name")) == 2


def test_parse_gives_the_record_with_lists_as_tuples() -> None:
    document = yaml_document.loads(b"title: t\nparts: [{name: a, weight: 1, label: [x]}]\n", "f.yaml")
    assert validate.parse(document, Whole) == Whole(title="t", parts=(Part(name="a", weight=1.0, label=("x",)),))


def test_every_fault_of_the_file_and_of_its_fields_is_told_once_and_by_line() -> None:
    text = """\
titel: t
flag: on
parts:
  - {name: 1.5, size: smal}
  - {nmae: b, weight: heavy}
extra:
  one: {name: ~, sizes: large}
"""
    assert told(text, Whole) == [
        "f.yaml:1: title: required field is missing. Add `title:`.",
        "f.yaml:1: titel: unknown field. Did you mean `title`?",
        'f.yaml:2: flag: unquoted `on` is a boolean to some YAML readers. Quote it: "on" or write `true` or `false`.',
        'f.yaml:4: parts[0].name: should be text, not `1.5`. Quote it: "1.5".',
        "f.yaml:4: parts[0].size: `smal` is not one of small, large. Did you mean `small`?",
        "f.yaml:5: parts[1].name: required field is missing. Add `name:`.",
        "f.yaml:5: parts[1].weight: should be a number, not `heavy`",
        "f.yaml:5: parts[1].nmae: unknown field. Did you mean `name`?",
        'f.yaml:7: extra.one.name: unquoted `~` is null to some YAML readers. Quote it: "~" or write `null`.',
        "f.yaml:7: extra.one.sizes: unknown field. Did you mean `size`?",
    ]


def test_a_value_that_fits_no_branch_of_a_choice_is_told_once() -> None:
    assert told("title: t\neither: 5\nparts: [{name: a, label: 3}, {name: b, label: [1]}]\n", Whole) == [
        'f.yaml:2: either: should be text or a mapping of keys to values, not `5`. Quote it: "5".',
        'f.yaml:3: parts[0].label: should be text or a list, not `3`. Quote it: "3".',
        'f.yaml:3: parts[1].label[0]: should be text, not `1`. Quote it: "1".',
    ]


def test_inside_the_branch_that_was_meant_only_its_own_faults_are_told() -> None:
    assert told("title: t\neither: {nam: a}\n", Whole) == [
        "f.yaml:2: either.name: required field is missing. Add `name:`.",
        "f.yaml:2: either.nam: unknown field. Did you mean `name`?",
    ]


@given(st.text())
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with suppress(InputError):
        yaml_document.loads(text.encode("utf-8", "replace"), "f.yaml").data  # noqa: B018  reading it may raise


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text("abcno 01:-~äé", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_json_is_read_as_what_it_is(value: JsonValue) -> None:
    if value is not None:
        assert data(json.dumps({"a": value})) == {"a": value}
