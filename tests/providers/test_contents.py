"""What stands in a message: parts of every shape, structured reasoning, calls, and how the answer ended."""

from typing import Any

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.providers.errors import finish_of, is_broken
from misalign_eval.records.protocols import Choice, ModelSpec
from misalign_eval.records.run import Finish, ToolCall

PARTS: list[tuple[Any, tuple[str, str | None, str | None]]] = [
    (["Hello."], ("Hello.", None, None)),
    (["Hel", "lo."], ("Hello.", None, None)),
    ([{"text": "Hello."}], ("Hello.", None, None)),
    ([{"type": "output", "text": "Hello."}], ("Hello.", None, None)),
    ([{"type": "text", "content": "Hello."}], ("Hello.", None, None)),
    ([{"type": "text", "text": {"value": "Hello.", "annotations": []}}], ("Hello.", None, None)),
    ([{"type": "text", "text": "Hel"}, {"type": "output_text", "text": "lo."}], ("Hello.", None, None)),
    ([{"type": "markdown", "markdown": "Hello."}], ("Hello.", None, None)),
    ([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "Hello."}], ("Hello.", None, None)),
    ([{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Hello."}], ("Hello.", "Hm.", None)),
    ([{"type": "thinking", "thinking": [{"text": "Hm."}]}, {"text": "Hello."}], ("Hello.", "Hm.", None)),
    ([{"text": "Hm.", "thought": True}, {"text": "Hello."}], ("Hello.", "Hm.", None)),
    ([{"type": "redacted_thinking", "data": "xyz"}, {"text": "Hello."}], ("Hello.", None, None)),
    ([{"type": "refusal", "refusal": "I can't."}], ("", None, "I can't.")),
    ([{"type": "refusal", "text": "I can't."}], ("", None, "I can't.")),
    ([{"type": "text", "text": ""}], ("", None, None)),
    ([], ("", None, None)),
    (None, ("", None, None)),
]


@pytest.fixture
def read(kit: Any, server: Any) -> Any:
    """The choice that is made of a message."""

    def read(message: dict[str, Any], finish: Any = "stop") -> Choice:
        server.play(kit.step(body={"choices": [{"message": message, "finish_reason": finish}]}))
        [choice] = kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?")).choices
        assert isinstance(choice, Choice)
        return choice

    return read


@pytest.mark.parametrize("content, wanted", PARTS)
def test_a_content_is_read_in_every_shape(read: Any, content: Any, wanted: Any) -> None:
    choice = read({"content": content})
    assert (choice.text, choice.reasoning, choice.refusal) == wanted
    assert choice.finish == ("refusal" if wanted[2] else "stop")


@pytest.mark.parametrize(
    "content", [[{"type": "image_url", "image_url": {"url": "x"}}], [{}], [7], [None], {"text": "Hello."}, 42, True]
)
def test_a_content_of_which_nothing_is_understood_is_a_failure(read: Any, content: Any) -> None:
    with pytest.raises(ProviderError, match="content") as caught:
        read({"content": content})
    assert (caught.value.reason, caught.value.retry) == ("invalid_response", True)


@pytest.mark.parametrize(
    "fields, wanted",
    [
        ({"reasoning_content": "Hm."}, "Hm."),
        ({"reasoning_content": ["H", "m."]}, "Hm."),
        ({"reasoning": [{"type": "text", "text": "Hm."}]}, "Hm."),
        ({"reasoning": {"content": "Hm."}}, "Hm."),
        ({"reasoning": {"summary": [{"text": "H."}, {"text": "M."}]}}, "H.\n\nM."),
        ({"reasoning": {"steps_taken": 3}}, '{"steps_taken": 3}'),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}]}, "Hm."),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]}, "Hm."),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz"}]}, None),
        ({"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}, "Hm."),
        ({"thinking": "Hm."}, "Hm."),
        ({"reasoning_content": "", "reasoning": None}, None),
    ],
)
def test_reasoning_of_any_structure_is_kept_as_text(read: Any, fields: Any, wanted: str | None) -> None:
    assert read({"content": "Hello.", **fields}).reasoning == wanted


SEARCH = ToolCall(name="search", arguments='{"q": 1}')


@pytest.mark.parametrize(
    "message, finish, wanted",
    [
        ({"content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}]}, "tool_calls", (SEARCH,)),  # noqa: E501  a message as it comes
        ({"content": "", "function_call": {"name": "search", "arguments": {"q": 1}}}, "function_call", (SEARCH,)),
        ({"content": None, "tool_calls": [{"type": "custom", "custom": {"name": "search", "input": "now"}}]}, "tool_calls", (ToolCall(name="search", arguments="now"),)),  # noqa: E501  a message as it comes
        ({"content": [{"type": "tool_use", "name": "search", "input": {"q": 1}}]}, "tool_use", (SEARCH,)),
        ({"content": None, "tool_calls": [{}]}, None, (ToolCall(name="unnamed"),)),
    ],
)  # fmt: skip
def test_calls_are_kept(read: Any, message: Any, finish: Any, wanted: Any) -> None:
    choice = read(message, finish)
    assert (choice.text, choice.calls) == ("", wanted)
    assert choice.finish == ("tool_calls" if finish else "unknown")


def test_calls_of_claude_and_of_responses_are_kept(kit: Any, server: Any) -> None:
    blocks = [{"type": "tool_use", "id": "t", "name": "search", "input": {"q": 1}}]
    server.play(kit.step(body={"content": blocks, "stop_reason": "tool_use"}))
    [choice] = kit.ask(ModelSpec("anthropic", "c", server.url, "TEST_KEY"), kit.question("Hi?")).choices
    assert (choice.text, choice.finish, choice.finish_word, choice.calls) == ("", "tool_calls", "tool_use", (SEARCH,))
    output = [{"type": "function_call", "name": "search", "arguments": '{"q": 1}'}]
    server.play(kit.step(body={"status": "completed", "output": output}))
    spec = ModelSpec("openai", "gpt-5.4", f"{server.url}/v1", "TEST_KEY", {"api": "responses"})
    [choice] = kit.ask(spec, kit.question("Hi?")).choices
    assert (choice.text, choice.finish, choice.calls) == ("", "tool_calls", (SEARCH,))


def test_a_call_of_any_kind_of_part_is_kept(read: Any) -> None:
    choice = read({"content": [{"type": "computer_call", "name": "click", "input": {}}]})
    assert choice.calls == (ToolCall(name="click", arguments="{}"),)


def test_a_filter_that_leaves_no_message_blocks(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"choices": [{"finish_reason": "content_filter", "content_filter_results": {}}]}))
    [choice] = kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?")).choices
    assert choice.finish == "content_filter"


def test_a_paused_turn_of_claude_is_not_whole(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"content": [{"type": "text", "text": "Let me"}], "stop_reason": "pause_turn"}))
    [choice] = kit.ask(ModelSpec("anthropic", "c", server.url, "TEST_KEY"), kit.question("Hi?")).choices
    assert (choice.text, choice.finish, choice.finish_word) == ("Let me", "length", "pause_turn")


FINISHES: list[tuple[Any, Finish, str | None]] = [
    ("stop", "stop", None),
    ("STOP", "stop", "STOP"),
    ("FINISH_REASON_STOP", "stop", "FINISH_REASON_STOP"),
    ("FinishReason.STOP", "stop", "FinishReason.STOP"),
    ("<|eot_id|>", "stop", "<|eot_id|>"),
    ("COMPLETE", "stop", "COMPLETE"),
    ("endTurn", "stop", "endTurn"),
    ("length", "length", None),
    ("MAX_TOKENS", "length", "MAX_TOKENS"),
    ("model_length", "length", "model_length"),
    ("insufficient_system_resource", "length", "insufficient_system_resource"),
    ("pause_turn", "length", "pause_turn"),
    ("token-limit", "length", "token-limit"),
    ("content-filter", "content_filter", "content-filter"),
    ("content_filter: PROHIBITED_CONTENT", "content_filter", "content_filter: PROHIBITED_CONTENT"),
    ("guardrail_intervened", "content_filter", "guardrail_intervened"),
    ("refusal", "refusal", None),
    (None, "unknown", None),
    ("", "unknown", None),
    ("null", "unknown", None),
    ("FINISH_REASON_UNSPECIFIED", "unknown", None),
    ("OTHER", "unknown", "OTHER"),
    ("never heard of", "unknown", "never heard of"),
    ({"type": "stop"}, "stop", '{"type": "stop"}'),
    (["stop"], "unknown", '["stop"]'),
    ({"type": "length", "length": 5}, "length", '{"type": "length", "length": 5}'),
    ("token_budget_exhausted", "length", "token_budget_exhausted"),
    ("deadline_exceeded", "length", "deadline_exceeded"),
    ("stop_string", "stop", "stop_string"),
    ("IMAGE_PROHIBITED_CONTENT", "content_filter", "IMAGE_PROHIBITED_CONTENT"),
    ("content_risk", "content_filter", "content_risk"),
]


@pytest.mark.parametrize("said, finish, word", FINISHES)
def test_how_an_answer_ended_is_told_in_our_word_and_the_servers(read: Any, said: Any, finish: str, word: Any) -> None:
    choice = read({"content": "Hello."}, said)
    assert (choice.text, choice.finish, choice.finish_word) == ("Hello.", finish, word)
    assert finish_of(said) == finish


@pytest.mark.parametrize("said", ["error", "ABORT", "cancelled", "network_error", "FINISH_REASON_ERROR"])
def test_an_answer_that_the_server_gave_up_on_is_a_failure(read: Any, said: str) -> None:
    assert is_broken(said)
    with pytest.raises(ProviderError, match="gave up"):
        read({"content": "Hel"}, said)


@pytest.mark.parametrize(
    "body, word",
    [
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "content_filter: PROHIBITED_CONTENT"),
        ({"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, None),
    ],
)
def test_a_filter_that_leaves_no_choice_blocks(kit: Any, server: Any, body: Any, word: str | None) -> None:
    server.play(kit.step(body=body))
    [choice] = kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.finish, choice.finish_word) == ("", "content_filter", word)
