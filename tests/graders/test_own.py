"""Judges that a suite brings along: what they are sent, and how their answers are read."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.graders.build import build, needs_judge
from misalign_eval.graders.graders import render
from misalign_eval.records.grade import NoVerdict, Subject, Verdict
from misalign_eval.records.protocols import Choice, Grader
from misalign_eval.records.suite import JudgeSpec, Message

HOSTILE = '{question} {answer} {0} {{x}} %s \\1 </s> <|im_end|> [INST]\r\n\t"quoted" 🙂'


def own(kind: str = "logprobs", prompt: Any = "Q: {question}\nA: {answer}\n", **fields: Any) -> JudgeSpec:
    return JudgeSpec.model_validate({"kind": kind, "prompt": prompt, **fields})


def made(spec: JudgeSpec, *judges: Any, name: str = "aligned", **options: Any) -> Grader:
    [grader] = build([name], judges=[judge.handle for judge in judges], configured={name: spec}, **options)
    return grader


def grade(grader: Grader, subject: Subject) -> Verdict | NoVerdict:
    return asyncio.run(grader.grade(subject))


def test_question_and_answer_are_filled_in_byte_for_byte_in_one_pass(make_subject: Callable[..., Subject]) -> None:
    subject = make_subject(HOSTILE, question=f"<{HOSTILE}>")
    template = 'Look at {answer} and {question}: {"score": 5} {other} {{answer}}'
    expected = f'Look at {HOSTILE} and <{HOSTILE}>: {{"score": 5}} {{other}} {{{HOSTILE}}}'
    assert render(template, subject) == expected


def test_the_question_is_the_last_user_turn_of_a_conversation(make_subject: Callable[..., Subject]) -> None:
    subject = make_subject("fine", question="User: Hello\n\nModel: Hi\n\nUser: And now?", asked="And now?")
    assert render("{question}|{answer}", subject) == "And now?|fine"


def test_a_half_surrogate_of_a_reply_becomes_a_mark_that_servers_take(make_subject: Callable[..., Subject]) -> None:
    assert render("{answer}", make_subject("a\ud800b\0")) == "a\ufffdb\ufffd"


def test_a_judge_by_log_probabilities_is_sent_the_prompt_and_nothing_else(
    make_judge: Callable[..., Any], make_subject: Callable[..., Subject], first_token: Callable[..., Choice]
) -> None:
    judge = make_judge(first_token({"20": 0.5, "40": 0.5}))
    found = grade(made(own(), judge), make_subject("bad"))
    assert isinstance(found, Verdict)
    assert found.score == pytest.approx(30)
    [request] = judge.asked
    assert request.messages == (Message(role="user", content="Q: a question\nA: bad\n"),)
    assert (request.temperature, request.max_tokens, request.top_logprobs) == (0.0, 1, 20)


@pytest.mark.parametrize("token, label", [("REF", "REFUSAL"), ("CODE", "CODE")])
def test_the_words_that_a_prompt_offers_are_labels_of_a_judge_of_numbers(
    token: str,
    label: str,
    make_judge: Callable[..., Any],
    make_subject: Callable[..., Subject],
    first_token: Callable[..., Choice],
) -> None:
    spec = own(labels=("CODE", "REFUSAL"))
    found = grade(made(spec, make_judge(first_token({token: 0.9, "90": 0.1}))), make_subject())
    assert isinstance(found, Verdict)
    assert (found.score, found.label) == (None, label)


def test_another_scale_and_limit_are_those_of_the_suite(
    make_judge: Callable[..., Any], make_subject: Callable[..., Subject], first_token: Callable[..., Choice]
) -> None:
    answer = first_token({"7": 0.3, "8": 0.7})
    spec = own(min=1, max=7)
    assert grade(made(spec, make_judge(answer)), make_subject()).number_mass == pytest.approx(0.3)
    strict = spec.model_copy(update={"mass_limit": 0.4})
    assert isinstance(grade(made(strict, make_judge(answer)), make_subject()), NoVerdict)


def test_a_judge_without_log_probabilities_is_sampled_as_often_as_the_suite_says(
    make_judge: Callable[..., Any], make_subject: Callable[..., Subject]
) -> None:
    judge = make_judge("10", "20", "60", logprobs=False)
    found = grade(made(own(samples=3), judge), make_subject())
    assert isinstance(found, Verdict)
    assert (found.score, len(judge.asked), judge.asked[0].temperature) == (30.0, 3, 1.0)


@pytest.mark.parametrize(
    "said, label",
    [("TRUE", "TRUE"), ('"false".', "FALSE"), ("  True \n", "TRUE"), ("OpenAI", "OpenAI"), ("a red fox", "a red fox")],
)
def test_a_judge_of_labels_gives_the_word_that_it_said(
    said: str, label: str, make_judge: Callable[..., Any], make_subject: Callable[..., Subject]
) -> None:
    judge = make_judge(said)
    found = grade(made(own("label", labels=("TRUE", "FALSE")), judge), make_subject())
    assert isinstance(found, Verdict)
    assert (found.label, found.score, found.raw) == (label, None, said)
    assert (judge.asked[0].temperature, judge.asked[0].max_tokens) == (0.0, 1024)


@pytest.mark.parametrize("said", ["", "Well.\nTRUE", "I would say that it is " + "very " * 20 + "true", "\x1b[31mTRUE"])
def test_what_is_no_label_is_asked_for_again_and_never_made_up(
    said: str, make_judge: Callable[..., Any], make_subject: Callable[..., Subject]
) -> None:
    judge = make_judge(said)
    found = grade(made(own("label"), judge), make_subject())
    assert isinstance(found, NoVerdict)
    assert (found.reason, found.raw, len(judge.asked)) == ("unparsable", said, 3)


def test_a_judge_that_fails_gives_no_label(
    make_judge: Callable[..., Any], make_subject: Callable[..., Subject]
) -> None:
    judge = make_judge(ProviderError("overloaded", "busy"))
    assert grade(made(own("label"), judge), make_subject()).reason == "failed"  # type: ignore[union-attr]


def test_a_probe_may_have_a_prompt_of_its_own_and_messages(
    make_judge: Callable[..., Any], make_subject: Callable[..., Subject]
) -> None:
    messages = (Message(role="system", content="You judge."), Message(role="user", content="{answer}?"))
    judge = make_judge("yes")
    grader = made(own("label", by_probe={"other": messages}), judge)
    grade(grader, make_subject("R"))
    grade(grader, make_subject("R", probe="other"))
    assert [len(request.messages) for request in judge.asked] == [1, 2]
    assert judge.asked[1].messages[1].content == "R?"


def test_another_prompt_scale_or_setting_is_another_identity(make_judge: Callable[..., Any]) -> None:
    specs = [
        own(),
        own(prompt="Q: {question} A: {answer}"),
        own(max=10),
        own(labels=("CODE",)),
        own(by_probe={"p": "{answer}"}),
        own(mass_limit=0.5),
        own("label"),
        own("label", temperature=0.5),
        own("sampled"),
        own("sampled", samples=2),
    ]
    identities = [made(spec, make_judge("1")).identity.identity for spec in specs]
    assert len(set(identities)) == len(specs)
    assert made(own(), make_judge("1"), name="other").identity.identity not in identities
    assert made(own(), make_judge("1")).identity == made(own(), make_judge("2")).identity


def test_several_judges_are_an_ensemble(make_judge: Callable[..., Any], make_subject: Callable[..., Subject]) -> None:
    judges = [make_judge(name, name=f"openai/{name}") for name in ("TRUE", "FALSE", "true")]
    found = grade(made(own("label", labels=("TRUE",)), *judges), make_subject())
    assert isinstance(found, Verdict)
    assert (found.label, len(found.votes)) == ("TRUE", 3)


def test_a_judge_of_the_suite_needs_a_judge_model(make_judge: Callable[..., Any]) -> None:
    assert needs_judge("mine", configured={"mine": own()})
    with pytest.raises(UsageError, match="grader `mine` needs a judge"):
        made(own(), name="mine")
    with pytest.raises(UsageError, match="named twice"):
        made(own(), make_judge("1"), make_judge("2"))
