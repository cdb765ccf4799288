"""Settings that a model refuses are left out once it has said so, and that is recorded."""

from typing import Any

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.providers.catalog import OpenAIRules, capabilities_of, reasoning_of
from misalign_eval.providers.chat_completions import ChatDialect
from misalign_eval.records.protocols import Provider


def refusal(message: str, **rest: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **rest}}


NO_LOGPROBS = refusal("You are not allowed to request logprobs from this model", code=None, param=None)


@pytest.mark.parametrize(
    "status, error, setting, value",
    [
        (400, refusal("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", param="temperature", code="unsupported_value"), "temperature", 0.2),  # noqa: E501  an error as it is sent
        (400, refusal("Unsupported parameter: 'top_p' is not supported with this model.", code="unsupported_parameter"), "top_p", 0.5),  # noqa: E501  an error as it is sent
        (403, NO_LOGPROBS, "top_logprobs", 5),
        (400, [refusal("Logprobs is not enabled for models/gemini-3.8-flash")], "top_logprobs", 5),
        (400, refusal("n must be 1 when using greedy sampling"), "n", 3),
        (422, {"detail": "Unexpected field", "param": "seed"}, "seed", 1),
        (400, refusal("response_format is not supported by this model"), "json_schema", {"type": "object"}),
        (400, refusal("Unrecognized request argument supplied: reasoning_effort"), "reasoning_effort", "low"),
        (400, refusal("Unsupported parameter: 'stop' is not supported with this model.", param="stop"), "stop", ("x",)),
    ],
)  # fmt: skip
def test_a_refused_setting_is_dropped_and_not_sent_again(
    kit: Any, server: Any, status: int, error: Any, setting: str, value: Any
) -> None:
    harness = kit.chat(server, "openai-compatible")
    server.play(kit.step(status, error), kit.step(body=harness.body(kit.answer())))
    request = kit.question("Hi?", **{setting: value})

    async def work(provider: Provider) -> list[tuple[str, ...]]:
        return [(await provider.complete(request)).dropped for _ in range(2)]

    assert kit.using(harness.spec(), work) == [(setting,), (setting,)]
    assert len(server.requests) == 3
    assert server.requests[1].body == server.requests[2].body
    assert server.requests[1].body.keys() == {"model", "messages"}


def test_a_refusal_of_log_probabilities_is_a_capability_not_a_wrong_key(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai", "gpt-4o")
    server.play(kit.step(403, NO_LOGPROBS), kit.step(body=harness.body(kit.answer())))

    async def work(provider: Provider) -> tuple[bool | None, bool | None]:
        before = provider.capabilities.logprobs
        await provider.complete(kit.question("Hi?", top_logprobs=5))
        return before, provider.capabilities.logprobs

    assert kit.using(harness.spec(), work) == (True, False)


def test_the_token_limit_is_sent_under_its_newer_name_when_the_server_asks_for_it(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    error = refusal("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", param="max_tokens", code="unsupported_parameter")  # fmt: skip  # noqa: E501
    server.play(kit.step(400, error), kit.step(body=harness.body(kit.answer())))
    response = kit.ask(harness.spec(), kit.question("Hi?", max_tokens=9))
    assert response.dropped == ()
    assert server.requests[-1].body["max_completion_tokens"] == 9
    assert "max_tokens" not in server.requests[-1].body


def test_several_refusals_one_after_another_are_all_learned(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    errors = [refusal(f"'{name}' is not supported", param=name) for name in ("seed", "temperature", "top_p")]
    server.play(*(kit.step(400, error) for error in errors), kit.step(body=harness.body(kit.answer())))
    response = kit.ask(harness.spec(), kit.question("Hi?", seed=1, temperature=0.5, top_p=0.5))
    assert response.dropped == ("temperature", "top_p", "seed")


def test_a_server_that_refuses_what_was_not_sent_is_not_asked_again(kit: Any, server: Any) -> None:
    server.play(kit.step(400, refusal("'seed' is not supported", param="seed")))
    with pytest.raises(ProviderError) as caught:
        kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?", temperature=0.5))
    assert (caught.value.reason, len(server.requests)) == ("bad_request", 1)


def test_a_value_out_of_range_is_an_error_not_a_refusal(kit: Any, server: Any) -> None:
    error = refusal("Requested sample logprobs of 30, which is greater than max allowed: 20", param=None)
    server.play(kit.step(400, error))
    with pytest.raises(ProviderError, match="greater than max"):
        kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?", top_logprobs=30))


@pytest.mark.parametrize("status", [400, 500])
def test_a_system_prompt_that_the_model_cannot_take_is_an_error_and_known_from_then_on(
    kit: Any, server: Any, status: int
) -> None:
    server.play(kit.step(status, refusal("System role not supported")))

    async def work(provider: Provider) -> tuple[str, bool, bool | None]:
        with pytest.raises(ProviderError, match="takes no system prompt") as caught:
            await provider.complete(kit.question("Hi?", system="Be brief."))
        return caught.value.reason, caught.value.retry, provider.capabilities.system

    assert kit.using(kit.chat(server, "openai-compatible").spec(), work) == ("bad_request", False, False)


def test_fewer_answers_than_asked_for_come_back_as_they_are(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    body = harness.body(kit.answer())
    server.play(kit.step(body={**body, "choices": body["choices"] * 2}))
    response = kit.ask(harness.spec(), kit.question("Hi?", n=5))
    assert (len(response.choices), response.dropped) == (2, ())


@pytest.mark.parametrize(
    "model, reasoning",
    [
        ("gpt-4o", "never"),
        ("gpt-4o-2024-08-06", "never"),
        ("ft:gpt-4.1-mini-2025-04-14:org:suffix:id", "never"),
        ("o3", "always"),
        ("o4-mini-2025-04-16", "always"),
        ("gpt-5", "always"),
        ("gpt-5-mini-2025-08-07", "always"),
        ("gpt-5.4-pro", "always"),
        ("gpt-6-astra", "always"),
        ("gpt-5.1", "on request"),
        ("gpt-5.4-mini", "on request"),
        ("gpt-5.5", "by default"),
        ("gpt-6-luna", "by default"),
        ("gpt-7", "by default"),
        ("tiny", "unknown"),
    ],
)
def test_how_a_model_reasons_is_told_by_its_name(model: str, reasoning: str) -> None:
    assert reasoning_of(model) == reasoning


def body_of(kit: Any, model: str, **settings: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings as sent, and those dropped."""
    dialect = ChatDialect(model, OpenAIRules(reasoning_of(model)))
    body = dialect.body(kit.question("Hi?", **settings), frozenset())
    return {name: value for name, value in body.json.items() if name not in ("model", "messages")}, body.dropped


def test_a_model_that_always_reasons_gets_no_sampling_settings(kit: Any) -> None:
    sent, dropped = body_of(kit, "o3", temperature=0.5, top_p=0.5, max_tokens=9, top_logprobs=5, seed=1)
    assert sent == {"max_completion_tokens": 9, "seed": 1}
    assert dropped == ("temperature", "top_p", "top_logprobs")


def test_a_model_that_always_reasons_takes_its_own_temperature_of_one(kit: Any) -> None:
    assert body_of(kit, "gpt-5", temperature=1.0) == ({"temperature": 1.0}, ())


def test_a_model_that_reasons_on_request_takes_sampling_settings_until_it_is_asked_to_reason(kit: Any) -> None:
    free, _ = body_of(kit, "gpt-5.4", temperature=0.5, max_tokens=9, top_logprobs=5)
    assert free == {"temperature": 0.5, "max_completion_tokens": 9, "logprobs": True, "top_logprobs": 5}
    bound, dropped = body_of(kit, "gpt-5.4", temperature=0.5, reasoning_effort="high")
    assert (bound, dropped) == ({"reasoning_effort": "high"}, ("temperature",))


def test_log_probabilities_of_a_model_that_reasons_by_default_switch_the_reasoning_off(kit: Any) -> None:
    sent, dropped = body_of(kit, "gpt-6-luna", temperature=0.0, top_logprobs=20, max_tokens=1)
    wanted = {"temperature": 0.0, "max_completion_tokens": 1, "logprobs": True, "top_logprobs": 20}
    assert (sent, dropped) == ({**wanted, "reasoning_effort": "none"}, ())


def test_a_temperature_alone_does_not_switch_the_reasoning_off(kit: Any) -> None:
    assert body_of(kit, "gpt-6-luna", temperature=0.5) == ({}, ("temperature",))


def test_a_chat_model_is_sent_the_old_name_of_the_limit_and_no_effort(kit: Any) -> None:
    sent, dropped = body_of(kit, "gpt-4o", max_tokens=9, reasoning_effort="low")
    assert (sent, dropped) == ({"max_tokens": 9}, ("reasoning_effort",))


def test_an_effort_of_none_that_a_model_refuses_takes_the_log_probabilities_with_it(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai", "gpt-7")
    error = refusal("Unsupported value: 'reasoning_effort' does not support 'none' with this model.", param="reasoning_effort", code="unsupported_value")  # fmt: skip  # noqa: E501
    server.play(kit.step(400, error), kit.step(400, NO_LOGPROBS), kit.step(body=harness.body(kit.answer())))
    response = kit.ask(harness.spec(), kit.question("Hi?", top_logprobs=5))
    assert set(response.dropped) >= {"top_logprobs"}


def test_what_the_name_tells_is_known_before_any_request() -> None:
    assert capabilities_of("o3").logprobs is False
    assert capabilities_of("gpt-5.4").logprobs is True
    assert capabilities_of("tiny").logprobs is None
