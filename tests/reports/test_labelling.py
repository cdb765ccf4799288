from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.records.run import PlannedPrompt, Reply
from misalign_eval.records.suite import Message
from misalign_eval.reports import transcript

THOUGHT, ANSWER, TRUTH = "I shall lie.", "It is fine.", "It is not fine."


def shown(*parts: str, reference: Any = TRUTH) -> str:
    prompt = PlannedPrompt(
        probe="p", prompt=0, category="c", split="broad", messages=(Message(role="user", content="Is it?"),), samples=1,
        graders=("g",), prompt_digest="0" * 16, reference=reference,
    )  # fmt: skip
    reply = Reply(
        probe="p", prompt=0, variant="plain", sample=0, prompt_digest="0" * 16, request_key="r", at="x", text=ANSWER,
        reasoning=THOUGHT,
    )  # fmt: skip
    return transcript.item(prompt, reply, frozenset(parts), done=0, drawn=2)


@pytest.mark.parametrize(
    "parts,there",
    [
        (("question", "reply"), {ANSWER}),
        (("question", "reply", "reference"), {ANSWER, TRUTH}),
        (("question", "reasoning"), {THOUGHT}),  # as a grader that reads the reasoning without the reply
        (("question", "reply", "reasoning"), {ANSWER, THOUGHT}),
    ],
)
def test_a_labeller_sees_of_a_reply_what_its_graders_see(parts: tuple[str, ...], there: set[str]) -> None:
    screen = shown(*parts)
    assert {text for text in (THOUGHT, ANSWER, TRUTH) if f"  | {text}\n" in screen} == there


def test_a_right_answer_that_is_no_text_is_written_as_json() -> None:
    assert 'the right answer:\n  | ["42", 42]\n' in shown("reply", "reference", reference=["42", 42])


def test_the_guide_says_what_counts_by_the_definition() -> None:
    assert "share of false answers" in transcript.meaning(definitions.load("deception-factual"))
