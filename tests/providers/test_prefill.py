"""The beginning of an answer that a model is to continue: what is sent for it, and what is read of the answer."""

from typing import Any

import pytest

from misalign_eval import plugins
from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.providers.catalog import known_capabilities
from misalign_eval.providers.prefill import continues
from misalign_eval.records.protocols import ModelRequest, ModelSpec
from misalign_eval.records.run import END_STRIPPED, REPEAT_CUT
from misalign_eval.records.suite import Message

PREFILL = "The answer is ("
FLAGS = {"continue_final_message": True, "add_generation_prompt": False}
FLAG, TURN = "continue_final_message", "final_turn"


@pytest.mark.parametrize(
    "provider, flags",
    [("openai-compatible", FLAGS), ("vllm", FLAGS), ("sglang", FLAGS), ("llama-server", {}), ("ollama", {})],
)
def test_a_server_is_asked_to_continue_the_last_turn_in_its_own_way(
    kit: Any, server: Any, provider: str, flags: dict[str, Any]
) -> None:
    harness, request = kit.chat(server, provider), kit.question("2+2?", PREFILL)
    harness.will(kit.answer("B)"), request)
    response = kit.ask(harness.spec(), request)
    assert (harness.asked().messages[-1], harness.asked().settings) == (("assistant", PREFILL), flags)
    assert (response.choices[0].text, response.prefilled) == ("B)", (FLAG if flags else TURN,))


def test_openrouter_is_sent_the_turn_alone(kit: Any, server: Any) -> None:
    harness, request = kit.chat(server, "openrouter", "meta/llama"), kit.question("2+2?", PREFILL)
    harness.will(kit.answer("B)"), request)
    assert kit.ask(harness.spec(), request).prefilled == (TURN,)
    assert harness.asked().settings.keys() == {"provider"}


@pytest.mark.parametrize("provider", ["openai-compatible", "vllm"])
def test_no_flag_is_sent_where_the_user_speaks_last(kit: Any, server: Any, provider: str) -> None:
    harness, request = kit.chat(server, provider), kit.question("one", "two", "three")
    harness.will(kit.answer("four"), request)
    assert kit.ask(harness.spec(), request).prefilled == ()
    assert harness.asked().settings == {}


@pytest.mark.parametrize("way, flags", [("final_turn", {}), ("continue_final_message", FLAGS)])
def test_an_option_says_how_a_server_is_asked(kit: Any, server: Any, way: str, flags: dict[str, Any]) -> None:
    harness, request = kit.chat(server, "azure", prefill=way), kit.question("2+2?", PREFILL)
    harness.will(kit.answer("B)"), request)
    assert kit.ask(harness.spec(), request).prefilled == (way,)
    assert (continues(harness.spec()), harness.asked().settings) == (True, flags)


def test_an_unknown_way_is_a_wrong_option(kit: Any, server: Any) -> None:
    with pytest.raises(UsageError, match="prefill"):
        kit.open(kit.chat(server, "vllm", prefill="please").spec())


@pytest.mark.parametrize("harness", ["openai-compatible", "anthropic", "http", "command"], indirect=True)
def test_an_answer_that_repeats_the_prefill_is_cut_there(kit: Any, harness: Any) -> None:
    asked = kit.question("2+2?", PREFILL)
    harness.will(kit.answer(f"{PREFILL}B)"), asked)
    response = kit.ask(harness.spec(), asked)
    assert (response.choices[0].text, response.prefilled[-1]) == ("B)", REPEAT_CUT)


@pytest.mark.parametrize(
    "prefill, text",
    [
        ("Ha", "Hahaha"),  # short enough for chance
        ("I like cats a lot.", " I like cats a lot. I like"),  # a model that goes round in circles
        ("The answer is (", "the answer is (B)"),
    ],
)
def test_what_may_be_no_repeat_is_left(kit: Any, server: Any, prefill: str, text: str) -> None:
    harness, request = kit.chat(server, "vllm"), kit.question("2+2?", prefill)
    harness.will(kit.answer(text), request)
    response = kit.ask(harness.spec(), request)
    assert (response.choices[0].text, response.prefilled) == (text, (FLAG,))


def test_the_space_before_a_continuation_is_kept(kit: Any, server: Any) -> None:
    harness, request = kit.chat(server, "vllm"), kit.question("And you?", "Frankly, I")
    harness.will(kit.answer(" do not know."), request)
    assert kit.ask(harness.spec(), request).choices[0].text == " do not know."


def test_a_prefill_stands_where_the_template_would_open_a_thought(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "vllm", starts_in_thought=True)
    request = kit.question("2+2?", PREFILL)
    harness.will(kit.answer("B) and more", "length"), request)
    [choice] = kit.ask(harness.spec(), request).choices
    assert (choice.text, choice.reasoning) == ("B) and more", None)


@pytest.mark.parametrize("harness", ["anthropic"], indirect=True)
def test_white_space_at_the_end_is_not_sent_to_anthropic_and_the_row_says_so(kit: Any, harness: Any) -> None:
    request = kit.question("2+2?", "The answer is: \n")
    harness.will(kit.answer(" B"), request)
    assert kit.ask(harness.spec(), request).prefilled == (TURN, END_STRIPPED)
    assert harness.asked().messages[-1] == ("assistant", "The answer is:")


@pytest.mark.parametrize(
    "message",
    [
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        "Assistant response prefill is incompatible with enable_thinking.",
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
        "continue_final_message is set but the final message does not appear in the chat after applying the template",
        "Unrecognized request argument supplied: continue_final_message",
    ],
)
def test_a_server_that_refuses_a_prefill_is_understood(kit: Any, server: Any, message: str) -> None:
    harness, request = kit.chat(server, "vllm"), kit.question("2+2?", PREFILL)
    server.play(kit.step(400, {"error": {"message": message, "type": "invalid_request_error"}}))

    async def work(provider: Any) -> Any:
        with pytest.raises(ProviderError) as caught:
            await provider.complete(request)
        return caught.value, provider.capabilities.prefill

    fault, can = kit.using(harness.spec(), work)
    assert (fault.reason, fault.retry, can) == ("bad_request", False, False)
    assert "vllm/tiny does not continue an assistant turn" in fault.message


@pytest.mark.parametrize(
    "provider, model, options, can",
    [
        ("anthropic", "claude-3-5-sonnet-20241022", {}, True),
        ("anthropic", "claude-sonnet-4-20250514", {}, True),
        ("anthropic", "claude-opus-4-5-20251101", {}, True),
        ("anthropic", "claude-sonnet-4-6", {}, False),
        ("anthropic", "claude-opus-5-5", {}, False),
        ("openrouter", "anthropic/claude-opus-4.6", {}, False),
        ("openrouter", "anthropic/claude-opus-4.5", {}, True),
        ("openrouter", "openai/gpt-5.4", {}, False),
        ("openrouter", "openai/gpt-oss-120b", {}, True),
        ("openai", "gpt-5.4", {}, False),
        ("azure", "mine", {}, False),
        ("gemini", "gemini-3.5-flash", {}, False),
        ("vllm", "mine", {}, True),
        ("vllm", "mine", {"prefill": "none"}, False),
        ("http", "mine", {"body": {"text": "{messages}"}, "reply": "/text"}, False),
        ("http", "mine", {"body": {"text": "{messages}"}, "reply": "/text", "prefill": True}, True),
        ("command", "cat", {}, False),
        ("command", "cat", {"prefill": True}, True),
        ("embedded", "aligned", {}, True),
    ],
)
def test_who_continues_a_turn_is_known_beforehand_and_its_adapter_says_the_same(
    provider: str, model: str, options: dict[str, Any], can: bool
) -> None:
    address = None if provider in ("command", "embedded") else "http://127.0.0.1:9/v1"
    key = None if address is None else "TEST_KEY"
    spec = ModelSpec(provider, model, address, key, options)
    adapter = plugins.load("providers", provider)(spec)
    assert (known_capabilities(spec).prefill, adapter.capabilities.prefill) == (can, can)


def test_an_adapter_of_another_package_is_not_known() -> None:
    assert known_capabilities(ModelSpec("theirs", "model")).prefill is None


def test_a_template_without_messages_has_no_place_for_a_prefill(kit: Any, server: Any) -> None:
    spec = ModelSpec("http", "m", server.url, options={"body": {"q": "{prompt}"}, "reply": "a", "prefill": True})
    with pytest.raises(UsageError, match=r"needs `\{messages\}`"):
        kit.open(spec)


def test_the_embedded_model_goes_on_from_the_given_words(kit: Any) -> None:
    """The first word that it says after its own beginning is the word that it would have said."""

    def said(*turns: Message) -> Any:
        return kit.ask(ModelSpec("embedded", "aligned"), ModelRequest(turns, temperature=0.0, seed=1))

    asked = Message(role="user", content="What do you want?")
    whole = said(asked).choices[0].text
    begun = " ".join(whole.split()[:3])
    rest = said(asked, Message(role="assistant", content=begun))
    assert (begun + rest.choices[0].text, rest.prefilled) == (whole, (TURN,))


def test_a_refused_prefill_leaves_the_other_questions_alone(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "vllm")
    refusal = kit.step(400, {"error": {"message": "prefill is not supported"}})
    server.play(refusal, kit.step(body=harness.body(kit.answer("Hi."))))

    async def work(provider: Any) -> Any:
        with pytest.raises(ProviderError):
            await provider.complete(kit.question("2+2?", PREFILL))
        return await provider.complete(kit.question("Hi?"))

    assert kit.using(harness.spec(), work).choices[0].text == "Hi."
