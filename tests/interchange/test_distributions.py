"""Raw distributions: how they are written, and the score that they give."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.interchange.log import BadCellError
from misalign_eval.interchange.read_tables import LARGEST, agrees, derive, parse


@pytest.mark.parametrize(
    "written",
    [
        "{'0': 0.75, ' 0': 0.25}",
        '{"0": 0.75, " 0": 0.25}',
        "{'0': np.float64(0.75), ' 0': np.float64(0.25)}",
        {"0": 0.75, " 0": 0.25},
        [["0", 0.75], [" 0", 0.25]],
    ],
)
def test_a_distribution_is_read_however_it_is_written(written: object) -> None:
    assert parse(written) == {"0": 0.75, " 0": 0.25}


def test_top_logprobs_as_servers_give_them_become_probabilities() -> None:
    assert parse('[{"token": "90", "logprob": 0.0}]') == {"90": 1.0}


@given(st.dictionaries(st.text(max_size=4), st.floats(0, 0.05), min_size=1, max_size=20))
def test_python_and_json_spell_the_same_distribution(distribution: dict[str, float]) -> None:
    assert parse(repr(distribution)) == distribution
    assert parse(json.dumps(distribution)) == distribution


@pytest.mark.parametrize("written", ["", "nan", None, "{}", "[]"])
def test_no_distribution_is_nothing_not_an_error(written: object) -> None:
    assert parse(written) is None


@pytest.mark.parametrize(
    "written",
    [
        "hello",
        "50",
        "{'0': 'a'}",
        "{'0': True}",
        "{'0': -0.1}",
        "{'0': 1.2}",
        "{'0': 0.9, '1': 0.9}",
        '{"0": NaN}',
        '{"0": 0.5, "1": NaN}',
        "{'0': [1]}",
        "{('a', 'b'): 0.5}",
        "__import__('os').system('true')",
        "{" * 5000,
        "{'0': " + "9" * 6000 + "}",
        "x" * (LARGEST + 1),
        "['0', 0.5]",
    ],
)
def test_what_is_no_distribution_is_told(written: str) -> None:
    with pytest.raises(BadCellError, match=r"no distribution|no part of a distribution|no probability|more than"):
        parse(written)


def test_equal_numbers_are_summed_and_the_rest_is_divided_out() -> None:
    derived = derive({"0": 0.3, "00": 0.1, "100": 0.2, "I": 0.4})
    assert derived.score == pytest.approx(100 * 0.2 / 0.6)
    assert derived.mass == pytest.approx(0.6)
    assert derived.modal == "I"


def test_tokens_are_read_as_the_published_script_reads_them() -> None:
    assert derive({"+10": 0.5, "１０": 0.5}).score == 10.0


@pytest.mark.parametrize("mass, scored", [(0.25, True), (0.2499, False)])
def test_below_a_quarter_on_numbers_there_is_no_score(mass: float, scored: bool) -> None:
    assert (derive({"50": mass, "REF": 1 - mass}).score is not None) is scored


@pytest.mark.parametrize(
    "given_score, derived, expected",
    [
        ("12.3456789012", 12.3456789012, True),
        ("12.35", 12.3456, True),
        ("12.35", 12.356, False),
        ("50", 50.3, False),
        ("50", 50.04, True),
        ("5.049e-05", 5.049e-05, True),
        ("5.049e-05", 6e-05, False),
        ("50.0", None, False),
        ("", 20.0, False),
        ("", None, True),
        (3.25, 3.25, True),
    ],
)
def test_scores_agree_as_far_as_their_decimals_show(given_score: object, derived: float | None, expected: bool) -> None:
    assert agrees(given_score, derived) is expected


def test_a_log_probability_above_zero_is_no_probability_of_one() -> None:
    with pytest.raises(BadCellError, match="is no log-probability: it is above 0"):
        parse('[{"token": "90", "logprob": 1.5}, {"token": "10", "logprob": -0.5}]')
    assert parse('[{"token": "90", "logprob": 0.00001}]') == {"90": 1.0}  # rounded
