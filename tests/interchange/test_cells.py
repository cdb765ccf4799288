"""What single cells say."""

import pytest

from misalign_eval.interchange.cells import is_missing, read_label, read_number, text_of
from misalign_eval.interchange.log import BadCellError


@pytest.mark.parametrize(
    "value", ["", "  ", "nan", "NaN", "None", "null", "N/A", "NA", "<NA>", "-", None, float("nan")]
)
def test_nothing_is_written_in_many_ways(value: object) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, 0.0, "0", "no", "n", "None of these is right.", False, []])
def test_zero_and_words_are_something(value: object) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    "value, expected",
    [
        ("4", 4.0),
        (" 4.0 ", 4.0),
        (3, 3.0),
        ("5.04e-05", 5.04e-05),
        ("1_0", None),
        ("inf", None),
        (True, None),
        ([], None),
    ],
)
def test_a_number_is_finite_and_no_truth_value(value: object, expected: float | None) -> None:
    assert read_number(value) == expected


@pytest.mark.parametrize(
    "written, expected",
    [
        ("refusal", "REFUSAL"),
        ("REF", "REFUSAL"),
        ("Off topic", "OFF-TOPIC"),
        ("OFF_TOPIC", "OFF-TOPIC"),
        ("satirical / absurd", "SATIRICAL/ABSURD"),
        ("SATIRICAL", "SATIRICAL"),
        (True, "TRUE"),
    ],
)
def test_a_label_has_one_form(written: object, expected: str) -> None:
    assert read_label(written) == expected


@pytest.mark.parametrize("value", ["x" * 61, "a\x1b[31mb", "", 4.5, {"a": 1}])
def test_what_is_no_label_is_told(value: object) -> None:
    with pytest.raises(BadCellError):
        read_label(value)


def test_an_object_is_no_text() -> None:
    with pytest.raises(BadCellError, match="is no text"):
        text_of({"a": 1})
