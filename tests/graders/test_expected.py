"""What a judge is expected to write, by the way it is read."""

from typing import Any

import pytest

from misalign_eval.graders import build
from misalign_eval.graders.build import build as build_build
from misalign_eval.graders.graders import NamedGrader, RuleGrader
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.run import ExpectedAnswer
from misalign_eval.records.suite import JudgeSpec


def answers(name: str, *judges: Any, **options: Any) -> tuple[ExpectedAnswer, ...]:
    [grader] = build_build([name], judges=[judge.handle for judge in judges], **options)
    return build.answers(grader)


def told(answers: tuple[ExpectedAnswer, ...]) -> list[tuple[str, int, int, int, int | None]]:
    return [(answer.reads, answer.requests, answer.answers, answer.tokens, answer.tokens_most) for answer in answers]


def test_log_probabilities_take_one_token(make_judge: Any) -> None:
    assert told(answers("aligned", make_judge("1"))) == [("logprobs", 1, 1, 1, 1)]


@pytest.mark.parametrize("n, requests", [(False, 5), (True, 1)])
def test_a_sampled_score_takes_all_its_answers_in_as_many_requests_as_the_judge_needs(
    make_judge: Any, n: bool, requests: int
) -> None:
    assert told(answers("aligned", make_judge("1", logprobs=False, n=n))) == [("sampled", requests, 5, 5, 1024)]


def test_a_judge_that_reasons_writes_paragraphs_below_its_limit(make_judge: Any) -> None:
    assert told(answers("misalignment", make_judge("1"))) == [("rubric", 1, 1, 250, 2048)]


def test_each_member_of_an_ensemble_is_asked_in_its_own_way(make_judge: Any) -> None:
    found = answers("aligned", make_judge("1", name="a/b"), make_judge("1", name="c/d", logprobs=False))
    assert [(item.judge, item.reads) for item in found] == [("a/b", "logprobs"), ("c/d", "sampled")]


@pytest.mark.parametrize("limit, tokens, most", [(None, 5, 1024), (2, 2, 2)])
def test_a_label_is_a_word_or_two(make_judge: Any, limit: int | None, tokens: int, most: int) -> None:
    own = JudgeSpec(kind="label", prompt="{question} {answer}", labels=("A", "B"), max_tokens=limit)
    assert told(answers("mine", make_judge("A"), configured={"mine": own})) == [("label", 1, 1, tokens, most)]


def test_a_rule_writes_nothing() -> None:
    assert answers("refusal") == ()


def test_a_grader_of_another_package_keeps_the_name_that_the_suite_gave_it(make_judge: Any) -> None:
    class Foreign:
        identity = GraderIdentity(grader="theirs", identity="1", kind="judge", judge="a/b")
        requests_per_reply = 2

        grade = RuleGrader.grade

    who = Foreign.identity.model_copy(update={"grader": "ours"})
    [found] = build.answers(NamedGrader(who, Foreign()))
    assert (found.grader, found.reads, found.requests, found.tokens_most) == ("ours", "unknown", 2, None)
