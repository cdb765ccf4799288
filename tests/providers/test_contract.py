"""What every provider keeps to, whatever it speaks."""

import asyncio
import traceback
from typing import Any

import pytest

from misalign_eval import plugins
from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.records.protocols import ModelSpec, Provider

SETTINGS: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "stop": ("END",), "seed": 3}


def test_an_answer_is_returned_as_it_was_given(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer("Hello, “you”.\n<b>\x1b[31m"), request)
    [choice] = kit.ask(harness.spec(), request).choices
    assert (choice.text, choice.finish, choice.refusal) == ("Hello, “you”.\n<b>\x1b[31m", "stop", None)


def test_a_system_prompt_reaches_the_wire_before_the_turns(kit: Any, live_harness: Any) -> None:
    request = kit.question("Hi?", system="Be brief.")
    live_harness.will(kit.answer(), request)
    kit.ask(live_harness.spec(), request)
    assert live_harness.asked().messages == [("system", "Be brief."), ("user", "Hi?")]


def test_turns_reach_the_wire_in_order(kit: Any, live_harness: Any) -> None:
    request = kit.question("one", "two", "three", system="zero")
    live_harness.will(kit.answer(), request)
    kit.ask(live_harness.spec(), request)
    wanted = [("system", "zero"), ("user", "one"), ("assistant", "two"), ("user", "three")]
    assert live_harness.asked().messages == wanted


def test_a_conversation_is_answered_by_every_provider(kit: Any, harness: Any) -> None:
    request = kit.question("one", "two", "three", system="zero")
    harness.will(kit.answer("four"), request)
    assert kit.ask(harness.spec(), request).choices[0].text == "four"


def test_text_that_could_break_a_format_arrives_unchanged(kit: Any, live_harness: Any) -> None:
    text = '"}], {prompt} {{x}} \\ \n ${HOME} \u2028 🙂 {messages}'
    request = kit.question(text)
    live_harness.will(kit.answer(), request)
    kit.ask(live_harness.spec(), request)
    assert live_harness.asked().messages == [("user", text)]


def test_only_what_is_set_is_sent(kit: Any, live_harness: Any) -> None:
    request = kit.question("Hi?")
    live_harness.will(kit.answer(), request)
    kit.ask(live_harness.spec(), request)
    demanded = {"max_tokens"} if live_harness.spec().provider == "anthropic" else set()
    assert live_harness.asked().settings.keys() == demanded


def test_each_setting_reaches_the_wire_or_is_said_to_be_dropped(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?", **SETTINGS)
    harness.will(kit.answer(), request)
    response = kit.ask(harness.spec(), request)
    assert set(response.dropped) == SETTINGS.keys() - harness.takes
    if harness.takes:
        sent = {name: SETTINGS[name] for name in harness.takes & SETTINGS.keys()}
        assert harness.asked().settings == {**sent, **({"stop": ["END"]} if "stop" in sent else {})}


def test_several_answers_are_asked_for_where_they_can_be_had(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?", n=3)
    harness.will(kit.answer(), request)
    response = kit.ask(harness.spec(), request)
    assert len(response.choices) == 1
    assert response.dropped == ("n",)
    if "n" in harness.takes:
        assert harness.asked().settings["n"] == 3


@pytest.mark.slow
def test_log_probabilities_that_do_not_come_are_said_to_be_dropped(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?", top_logprobs=5)
    harness.will(kit.answer(), request)

    async def work(provider: Provider) -> tuple[Any, bool | None]:
        return await provider.complete(request), provider.capabilities.logprobs

    response, has_logprobs = kit.using(harness.spec(), work)
    assert (response.dropped, has_logprobs) == (("top_logprobs",), False)


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_that_was_stopped_says_so(kit: Any, harness: Any, finish: str) -> None:
    if finish == "content_filter" and harness.spec().provider == "anthropic":
        pytest.skip("this API has refusals instead")
    request = kit.question("Hi?")
    harness.will(kit.answer("Hel", finish), request)
    [choice] = kit.ask(harness.spec(), request).choices
    assert (choice.text, choice.finish) == ("Hel", finish)


def test_a_refusal_keeps_its_words_or_category(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer(None, "refusal", refusal="bio"), request)
    [choice] = kit.ask(harness.spec(), request).choices
    assert (choice.text, choice.finish, choice.refusal) == ("", "refusal", "bio")


def test_an_empty_answer_is_an_answer(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer("", "stop"), request)
    [choice] = kit.ask(harness.spec(), request).choices
    assert (choice.text, choice.finish) == ("", "stop")


def test_reasoning_is_kept_apart(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer("Yes.", reasoning="Let me see."), request)
    [choice] = kit.ask(harness.spec(), request).choices
    assert (choice.text, choice.reasoning) == ("Yes.", "Let me see.")


def test_tokens_are_counted(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer(), request)
    usage = kit.ask(harness.spec(), request).usage
    assert (usage.input_tokens, usage.output_tokens) == (12, 5)


def test_money_is_unknown_without_a_price_and_zero_only_for_replays(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer(), request)
    cost = kit.ask(harness.spec(), request).usage.cost_usd
    assert cost == (0.0 if harness.spec().provider == "replay" else None)


def test_a_price_of_the_users_own_makes_a_cost(kit: Any, live_harness: Any) -> None:
    from dataclasses import replace

    request = kit.question("Hi?")
    live_harness.will(kit.answer(), request)
    cost = kit.ask(replace(live_harness.spec(), prices=(1.0, 10.0, None)), request).usage.cost_usd
    assert cost == pytest.approx((12 * 1.0 + 5 * 10.0) / 1e6)


@pytest.mark.slow
def test_a_cancelled_call_leaves_the_provider_usable(kit: Any, live_harness: Any) -> None:
    request = kit.question("Hi?")
    if live_harness.is_http:
        live_harness.server.play(kit.step(mode="hang"), kit.step(body=live_harness.body(kit.answer("Again."))))
    else:
        live_harness.will_be_silent()

    async def work(provider: Provider) -> str:
        task = asyncio.create_task(provider.complete(request))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if not live_harness.is_http:
            live_harness.will(kit.answer("Again."), request)
        return (await provider.complete(request)).choices[0].text

    assert kit.using(live_harness.spec(), work) == "Again."


@pytest.mark.slow
def test_the_callers_deadline_passes_through(kit: Any, live_harness: Any) -> None:
    request = kit.question("Hi?")
    if live_harness.is_http:
        live_harness.server.play(kit.step(mode="hang"))
    else:
        live_harness.will_be_silent()

    async def work(provider: Provider) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await provider.complete(request)

    kit.using(live_harness.spec(), work)


def test_many_calls_at_once_each_get_their_own_answer(kit: Any, live_harness: Any) -> None:
    request = kit.question("Hi?")
    live_harness.will(kit.answer("Hello."), request)

    async def work(provider: Provider) -> list[str]:
        responses = await asyncio.gather(*(provider.complete(request) for _ in range(20)))
        return [response.choices[0].text for response in responses]

    assert kit.using(live_harness.spec(), work) == ["Hello."] * 20


def test_closing_twice_is_harmless(kit: Any, harness: Any) -> None:
    request = kit.question("Hi?")
    harness.will(kit.answer(), request)

    async def work(provider: Provider) -> None:
        await provider.complete(request)
        await provider.close()

    kit.using(harness.spec(), work)


def test_closing_releases_the_connections(kit: Any, http_harness: Any) -> None:
    request = kit.question("Hi?")
    http_harness.will(kit.answer(), request)
    kit.ask(http_harness.spec(), request)
    assert wait_until(lambda: http_harness.server.open_connections == 0)


def wait_until(holds: Any) -> bool:
    import time

    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(holds())


def test_host_and_account_hold_no_key(kit: Any, harness: Any) -> None:
    harness.will(kit.answer(), kit.question("Hi?"))
    provider = kit.using(harness.spec(), lambda provider: asyncio.sleep(0, provider))
    assert kit.key not in f"{provider.host} {provider.account} {provider!r} {vars(provider)!r}"
    assert provider.host == (f"127.0.0.1:{harness.server.port}" if harness.is_http else "")


def test_the_key_is_sent_and_stands_in_no_error(kit: Any, http_harness: Any) -> None:
    echo = {"error": {"message": f"Incorrect API key provided: {kit.key}.", "code": "invalid_api_key"}}
    http_harness.server.play(kit.step(401, echo))
    with pytest.raises(ProviderError) as caught:
        kit.ask(http_harness.spec(), kit.question("Hi?"))
    assert http_harness.server.requests[0].headers["authorization"] == f"Bearer {kit.key}"
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.message
    assert kit.key not in shown
    assert "[key]" in caught.value.message


def test_a_lone_surrogate_is_replaced_on_the_way_in_and_refused_on_the_way_out(kit: Any, http_harness: Any) -> None:
    http_harness.will(kit.answer("a\ud800b"), kit.question("Hi?"))
    assert kit.ask(http_harness.spec(), kit.question("Hi?")).choices[0].text.encode() == "a\ufffdb".encode()
    for request in (kit.question("a\ud800b"), kit.question("Hi?", system="a\ud800b")):
        with pytest.raises(ProviderError) as caught:
            kit.ask(http_harness.spec(), request)
        assert (caught.value.reason, caught.value.retry) == ("bad_request", False)


def test_an_unknown_option_is_refused_before_any_request(kit: Any, harness: Any) -> None:
    from dataclasses import replace

    spec = replace(harness.spec(), options={**harness.spec().options, "verfy": True})
    with pytest.raises(UsageError, match="unknown option `verfy`"):
        kit.open(spec)


def test_facts_tell_whether_the_server_is_there(kit: Any, harness: Any) -> None:
    harness.will(kit.answer(), kit.question("Hi?"))
    facts = kit.using(harness.spec(), lambda provider: provider.facts())
    assert facts.reachable


def test_facts_of_a_server_that_is_not_there_are_an_answer_too(kit: Any, http_harness: Any) -> None:
    from dataclasses import replace

    spec = replace(http_harness.spec(), base_url="http://127.0.0.1:9")
    facts = kit.using(spec, lambda provider: provider.facts())
    assert not facts.reachable
    assert "cannot connect" in facts.detail


@pytest.mark.parametrize("name", plugins.names("providers"))
def test_every_provider_that_is_listed_can_be_loaded(name: str) -> None:
    assert callable(plugins.load("providers", name))


def test_the_fixture_covers_every_module_of_the_table() -> None:
    modules = {entry.create.split(".")[-1].partition(":")[0] for entry in plugins.PROVIDERS.values()}
    assert modules - {"embedded"} == {
        "anthropic",
        "command",
        "chat_completions",
        "http",
        "openai",
        "replay",
    }  # has its own


def test_a_model_spec_shows_no_key() -> None:
    assert "TEST_KEY" in repr(ModelSpec("openai", "m", api_key_env="TEST_KEY"))
