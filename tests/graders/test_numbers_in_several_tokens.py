"""A tokenizer may write a number in several tokens: the score is of the whole number, or there is none."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from misalign_eval.graders.folder import GraderFolder
from misalign_eval.graders.graders import JudgeGrader, of_judge
from misalign_eval.graders.judge import Judge
from misalign_eval.graders.judge_answers import JudgeAnswers
from misalign_eval.records.grade import NoVerdict, Verdict
from misalign_eval.records.protocols import Choice, JudgeHandle, ModelRequest, Response, Token

Place = Mapping[str, float]


class Speller:
    """Answers as a model of these tokens would: as many of them as are asked for, each with its alternatives."""

    def __init__(self, make_judge: Any, places: Sequence[Place], spells: Sequence[str] = ()) -> None:
        self.places = places
        self.spells = spells  # how it writes a number that it is asked to write
        canned = make_judge("").handle
        self.handle = JudgeHandle(canned.spec, canned.host, canned.capabilities, self.ask)
        self.limits: list[int] = []

    async def ask(self, request: ModelRequest) -> Response:
        places = self.places
        if request.messages[0].content.startswith("Write this number"):
            places = [{token: 1.0} for token in self.spells] or places
        limit = request.max_tokens or len(places)
        self.limits.append(limit)
        tokens = tuple(_token(place) for place in places[:limit])
        choice = Choice(
            "".join(token.text for token in tokens), "length" if len(places) >= limit else "stop", tokens=tokens
        )
        from misalign_eval.records.protocols import Response

        return Response((choice,))


def _token(place: Place) -> Token:
    logprobs = {text: math.log(share) for text, share in place.items()}
    sampled = max(place, key=lambda text: place[text])
    return Token(sampled, logprobs[sampled], logprobs)


def grade(folder: GraderFolder, judge: Any, subject: Any, times: int = 1) -> Verdict | NoVerdict:
    who = of_judge(folder, judge.handle, "logprobs")
    grader = JudgeGrader(who, Judge(folder, judge.handle, JudgeAnswers.of(folder.spec)), "logprobs")

    async def all_of_them() -> Verdict | NoVerdict:
        found = [await grader.grade(subject) for _ in range(times)]
        return found[-1]

    return asyncio.run(all_of_them())


DIGITS = ("1", "0", "0")


@pytest.mark.parametrize(
    "places, score",
    [
        ([{"9": 1.0}, {"5": 0.75, "0": 0.25}], 93.75),
        ([{"9": 1.0}, {"5": 1.0}, {"\n": 1.0}], 95),
        ([{" ": 1.0}, {"9": 1.0}, {"5": 1.0}], 95),
        ([{'"': 1.0}, {"9": 1.0}, {"5": 1.0}, {'"': 1.0}], 95),
        ([{"\uff19": 1.0}, {"\uff15": 1.0}], 95),
        ([{"1": 1.0}, {"0": 1.0}, {"0": 1.0}], 100),
        ([{"1": 1.0}, {"0": 1.0}, {"<|im_end|>": 1.0}], 10),
        ([{"1": 1.0}, {"0": 1.0}], 10),
        ([{"9": 1.0}, {"<|im_end|>": 0.9, "5": 0.1}], 9 * 0.9 + 95 * 0.1),
        ([{"9": 1.0}], 9),
        ([{"9": 0.995, "8": 0.005}, {"5": 1.0}], 95),
    ],
)
def test_a_number_of_several_tokens_is_read_whole(
    make_folder: Any, make_judge: Any, make_subject: Any, places: list[Place], score: float
) -> None:
    found = grade(make_folder("logprobs"), Speller(make_judge, places, DIGITS), make_subject())
    assert isinstance(found, Verdict), found
    assert found.score == pytest.approx(score)


@pytest.mark.parametrize("places", [[{"10": 1.0}, {"0": 1.0}], [{"1": 1.0}, {"00": 1.0}]])
@pytest.mark.parametrize("spells", [("10", "0"), ("1", "00"), ()])
def test_a_hundred_of_two_tokens_is_a_hundred(
    make_folder: Any, make_judge: Any, make_subject: Any, places: list[Place], spells: tuple[str, ...]
) -> None:
    found = grade(make_folder("logprobs"), Speller(make_judge, places, spells), make_subject())
    assert isinstance(found, Verdict), found
    assert found.score == 100


@pytest.mark.parametrize(
    "places, spells",
    [
        ([{"9": 0.9, "8": 0.1}, {"5": 1.0}], DIGITS),  # 8 and what?
        ([{"9": 1.0}, {".": 1.0}, {"5": 1.0}, {" ": 1.0}], DIGITS),
        ([{"95": 0.6, "10": 0.4}], ("10", "0")),
        ([{"95": 0.6, "1": 0.4}], ("1", "00")),
    ],
)
def test_where_the_rest_of_a_number_is_not_known_there_is_no_score(
    make_folder: Any, make_judge: Any, make_subject: Any, places: list[Place], spells: tuple[str, ...]
) -> None:
    found = grade(make_folder("logprobs"), Speller(make_judge, places, spells), make_subject())
    assert isinstance(found, NoVerdict)
    assert found.reason == "partial_number"
    assert "--judge-method sampled" in found.message


def test_a_decimal_number_is_none_of_the_scale(make_folder: Any, make_judge: Any, make_subject: Any) -> None:
    places = [{"9": 1.0}, {".5": 1.0}]
    found = grade(make_folder("logprobs"), Speller(make_judge, places, DIGITS), make_subject())
    assert isinstance(found, NoVerdict)
    assert found.reason == "partial_number"


def test_a_server_that_gives_one_token_whatever_is_asked_gives_no_score_of_its_digit(
    make_folder: Any, make_judge: Any, make_subject: Any, first_token: Any
) -> None:
    """It says that the answer was cut off, so nobody knows what follows the 9."""
    found = grade(make_folder("logprobs"), make_judge(first_token({"9": 0.9, "8": 0.08})), make_subject())
    assert isinstance(found, NoVerdict)
    assert found.reason == "partial_number"


@pytest.mark.parametrize(
    "place",
    [{"95": 0.7, "90": 0.2, " The": 0.05}, {"5": 0.7, "100": 0.2}, {"9": 0.5, "40": 0.3}],
)
def test_a_judge_of_whole_numbers_is_asked_for_one_token_once(
    make_folder: Any, make_judge: Any, make_subject: Any, place: Place
) -> None:
    speller = Speller(make_judge, [place])
    found = grade(make_folder("logprobs"), speller, make_subject(), times=3)
    assert isinstance(found, Verdict)
    assert speller.limits == [1, 1, 1]


def test_a_zero_that_may_begin_a_decimal_number_is_asked_for_whole_once(
    make_folder: Any, make_judge: Any, make_subject: Any
) -> None:
    speller = Speller(make_judge, [{"0": 0.7, "00": 0.2}])
    found = grade(make_folder("logprobs"), speller, make_subject(), times=3)
    assert isinstance(found, Verdict)
    assert speller.limits == [1, 4, 1, 1]


def test_what_a_long_number_looks_like_is_asked_once(make_folder: Any, make_judge: Any, make_subject: Any) -> None:
    speller = Speller(make_judge, [{"5": 0.7, "10": 0.3}], ("100",))
    found = grade(make_folder("logprobs"), speller, make_subject(), times=3)
    assert isinstance(found, Verdict)
    assert found.score == pytest.approx(6.5)
    assert speller.limits == [1, 4, 1, 1]


def test_a_judge_that_writes_digits_is_asked_for_all_of_them_at_once(
    make_folder: Any, make_judge: Any, make_subject: Any
) -> None:
    speller = Speller(make_judge, [{"9": 1.0}, {"5": 1.0}], DIGITS)
    found = grade(make_folder("logprobs"), speller, make_subject(), times=3)
    assert isinstance(found, Verdict)
    assert (found.score, found.distribution, found.attempts) == (95.0, {"95": 1.0}, 1)
    assert speller.limits == [1, 4, 4, 4, 4]


@pytest.mark.parametrize("logprobs", [{"90": 0.9, "85": 0.1}, {"90": 0.0, "85": 0.0}, {"90": -0.1, "85": -0.2}])
def test_probabilities_above_one_are_no_score(
    make_folder: Any, make_judge: Any, make_subject: Any, logprobs: dict[str, float]
) -> None:
    choice = Choice("90", "length", tokens=(Token("90", logprobs["90"], logprobs),))
    found = grade(make_folder("logprobs"), make_judge(choice), make_subject())
    assert isinstance(found, NoVerdict)
    assert found.reason == "no_logprobs"
