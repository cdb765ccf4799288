"""What is particular to one API: log-probabilities, thoughts, cached tokens, routes, prices."""

import math
from dataclasses import replace
from typing import Any

import pytest

from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.providers.catalog import cost_usd, price_of, retirement_date
from misalign_eval.providers.transport import retry_after_seconds
from misalign_eval.records.protocols import ModelSpec, Provider
from misalign_eval.records.run import Usage

LOGPROBS = [
    {
        "token": "8",
        "logprob": -0.1,
        "top_logprobs": [
            {"token": "8", "logprob": -0.5},
            {"token": "9", "logprob": -2.0},
            {"token": "8", "logprob": -0.5},
            {"token": "x", "logprob": None},
        ],
    },
    {"token": "5", "logprob": -1.0},
]


def test_log_probabilities_are_read_and_alternatives_of_the_same_text_add_up(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    body = harness.body(kit.answer("85"))
    body["choices"][0]["logprobs"] = {"content": LOGPROBS}
    server.play(kit.step(body=body))

    async def work(provider: Provider) -> Any:
        response = await provider.complete(kit.question("Hi?", top_logprobs=20))
        return response, provider.capabilities.logprobs

    response, has_logprobs = kit.using(harness.spec(), work)
    first, second = response.choices[0].tokens
    assert (first.text, first.logprob, second.text, dict(second.top)) == ("8", -0.1, "5", {})
    assert dict(first.top) == pytest.approx({"8": -0.5 + math.log(2), "9": -2.0})
    assert (response.dropped, has_logprobs) == ((), True)


def test_log_probabilities_of_responses_are_asked_for_and_read(kit: Any, server: Any) -> None:
    spec = ModelSpec("openai", "gpt-5.4", f"{server.url}/v1", "TEST_KEY", {"api": "responses"})
    part = {"type": "output_text", "text": "85", "logprobs": LOGPROBS}
    server.play(kit.step(body={"status": "completed", "output": [{"type": "message", "content": [part]}]}))
    response = kit.ask(spec, kit.question("Hi?", top_logprobs=5))
    assert [token.text for token in response.choices[0].tokens] == ["8", "5"]
    sent = server.requests[0].body
    assert (sent["include"], sent["top_logprobs"]) == (["message.output_text.logprobs"], 5)


def test_nothing_is_stored_at_the_vendor(kit: Any, server: Any) -> None:
    spec = ModelSpec("openai", "gpt-5.4", f"{server.url}/v1", "TEST_KEY", {"api": "responses"})
    server.play(kit.step(body={"status": "completed", "output": []}))
    kit.ask(spec, kit.question("Hi?"))
    assert (server.requests[0].path, server.requests[0].body["store"]) == ("/v1/responses", False)


@pytest.mark.parametrize("status", ["failed", "queued", "in_progress", None])
def test_a_response_that_is_not_complete_is_a_fault(kit: Any, server: Any, status: str | None) -> None:
    spec = ModelSpec("openai", "gpt-5.4", f"{server.url}/v1", "TEST_KEY", {"api": "responses"})
    server.play(kit.step(body={"status": status, "output": []}))
    with pytest.raises(ProviderError) as caught:
        kit.ask(spec, kit.question("Hi?"))
    assert (caught.value.reason, caught.value.retry) == ("invalid_response", True)


@pytest.mark.parametrize(
    "provider, wanted",
    [
        ("openai", {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}}}}),  # noqa: E501  an error as it is sent
        ("anthropic", {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"}, "thinking": {"type": "adaptive"}, "max_tokens": 4096}),  # noqa: E501  an error as it is sent
    ],
)  # fmt: skip
def test_a_schema_is_sent_in_the_words_of_the_api(kit: Any, server: Any, provider: str, wanted: Any) -> None:
    harness = kit.chat(server, provider)
    server.play(kit.step(500, {}))
    settings = {"json_schema": {"type": "object"}} | ({"reasoning_effort": "low"} if provider == "anthropic" else {})
    with pytest.raises(ProviderError):
        kit.ask(harness.spec(), kit.question("Hi?", **settings))
    sent = {name: value for name, value in server.requests[0].body.items() if name not in ("model", "messages")}
    assert sent == wanted


def test_claude_gets_no_temperature_and_says_so(kit: Any, server: Any) -> None:
    spec = ModelSpec("anthropic", "claude-sonnet-5-5", server.url, "TEST_KEY")
    server.play(kit.step(body={"content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"}))
    response = kit.ask(spec, kit.question("Hi?", temperature=0.7, top_p=0.5, seed=1, max_tokens=5))
    assert response.dropped == ("temperature", "top_p", "seed")
    assert server.requests[0].body.keys() == {"model", "messages", "max_tokens"}
    assert server.requests[0].headers["anthropic-version"] == "2026-10-21"


def test_older_claude_models_take_a_temperature_under_the_older_api_version(kit: Any, server: Any) -> None:
    options = {"anthropic_version": "2023-06-01"}
    spec = ModelSpec("anthropic", "claude-haiku-4-5", server.url, "TEST_KEY", options)
    server.play(kit.step(body={"content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"}))
    response = kit.ask(spec, kit.question("Hi?", temperature=0.7))
    assert (response.dropped, server.requests[0].body["temperature"]) == ((), 0.7)
    assert server.requests[0].headers["anthropic-version"] == "2023-06-01"


def test_a_long_answer_of_claude_needs_no_streaming(kit: Any, server: Any) -> None:
    """The SDK's own method refuses 200,000 tokens without streaming; the limit is the caller's deadline here."""
    spec = ModelSpec("anthropic", "claude-sonnet-5-5", server.url, "TEST_KEY")
    server.play(kit.step(body={"content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"}))
    assert kit.ask(spec, kit.question("Hi?", max_tokens=200_000)).choices[0].text == "Hi."


def test_a_refusal_of_claude_without_a_category_is_a_refusal(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"content": [], "stop_reason": "refusal", "stop_details": None}))
    [choice] = kit.ask(ModelSpec("anthropic", "c", server.url, "TEST_KEY"), kit.question("Hi?")).choices
    assert (choice.finish, choice.refusal) == ("refusal", "refusal")


def test_claude_takes_a_system_prompt_at_the_start_only(kit: Any, server: Any) -> None:
    request = kit.question("Hi?", system="one")
    turned = replace(request, messages=(*request.messages[::-1],))
    with pytest.raises(ProviderError, match="at the start only"):
        kit.ask(ModelSpec("anthropic", "c", server.url, "TEST_KEY"), turned)
    assert server.requests == []


def test_an_address_of_claude_may_end_in_v1(kit: Any, server: Any) -> None:
    server.play(kit.step(500, {}))
    with pytest.raises(ProviderError):
        kit.ask(ModelSpec("anthropic", "c", f"{server.url}/v1", "TEST_KEY"), kit.question("Hi?"))
    assert server.requests[0].path == "/v1/messages"


def test_cached_tokens_count_as_input_tokens_everywhere(kit: Any, server: Any) -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5, "output_tokens": 7}
    body = {"content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn", "usage": usage}
    server.play(kit.step(body=body))
    found = kit.ask(ModelSpec("anthropic", "c", server.url, "TEST_KEY"), kit.question("Hi?")).usage
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (105, 90, 7)


def test_a_router_is_pinned_and_the_route_and_its_price_recorded(kit: Any, server: Any) -> None:
    options: Any = {"provider": {"order": ["deepinfra"]}}
    spec = ModelSpec("openrouter", "vendor/model:free", f"{server.url}/v1", "TEST_KEY", options)
    body = kit.chat(server, "openrouter").body(kit.answer()) | {"provider": "DeepInfra", "usage": {"cost": 0.25}}
    server.play(kit.step(body=body))
    response = kit.ask(spec, kit.question("Hi?"))
    pinned = {"allow_fallbacks": False, "require_parameters": True, "order": ["deepinfra"]}
    assert server.requests[0].body["provider"] == pinned
    assert (response.route, response.usage.cost_usd) == ("DeepInfra", 0.25)


def test_names_of_server_request_and_fingerprint_are_kept(kit: Any, server: Any) -> None:
    body = kit.chat(server, "x").body(kit.answer()) | {"system_fingerprint": "fp-1"}
    server.play(kit.step(body=body, headers={"x-request-id": "req-1"}))
    response = kit.ask(ModelSpec("vllm", "adapter-a", f"{server.url}/v1"), kit.question("Hi?"))
    assert (response.model, response.fingerprint, response.request_id) == ("tiny-1", "fp-1", "req-1")
    assert server.requests[0].body["model"] == "adapter-a"


def test_thoughts_in_the_text_reach_the_reasoning_field(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    server.play(kit.step(body=harness.body(kit.answer("<think>Hm.</think>Yes."))))
    [choice] = kit.ask(harness.spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.reasoning) == ("Yes.", "Hm.")


def test_an_answer_in_parts_is_put_together(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes."}]
    server.play(kit.step(body={"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}))
    [choice] = kit.ask(harness.spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.reasoning) == ("Yes.", "Hm.")


@pytest.mark.parametrize(
    "headers, body, wanted",
    [
        ({"retry-after": "120"}, "", 120.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after": "Thu, 01 Jan 2015 00:00:00 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after": "-5"}, "", 0.0),
        ({"retry-after-ms": "11764", "retry-after": "12"}, "", 11.764),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "59.8s"}, "", 59.8),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "59.8s"}, "", None),
        (
            {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2020-01-01T00:00:00Z"},
            "",
            0.0,
        ),
        ({}, "Please retry in 1m30s.", 90.0),
        ({}, "{'retryDelay': '33s'}", 33.0),
        ({}, "", None),
    ],
)
def test_how_long_to_wait_is_read_from_whatever_says_so(headers: dict[str, str], body: str, wanted: Any) -> None:
    assert retry_after_seconds(headers, body) == wanted


def test_a_price_is_known_at_the_vendor_only() -> None:
    assert price_of(ModelSpec("openai", "gpt-6-luna")) == (0.1, 0.5, 0.01)
    assert price_of(ModelSpec("openai", "gpt-6-luna", "http://127.0.0.1:9/v1")) is None
    assert price_of(ModelSpec("openai-compatible", "gpt-6-luna", "http://127.0.0.1:9/v1")) is None
    assert price_of(ModelSpec("openai", "never-heard-of")) is None
    assert price_of(ModelSpec("vllm", "m", prices=(1.0, 2.0, None))) == (1.0, 2.0, None)


@pytest.mark.parametrize(
    "model, price_in",
    [
        ("gpt-4o-2024-08-06", 2.5),
        ("ft:gpt-4o-2024-08-06:org::id", 3.75),
        ("ft:gpt-4o-2024-08-06:org::id:ckpt-step-90", 3.75),
        ("gpt-5.4-mini-2026-03-17", 0.75),
    ],
)
def test_a_dated_or_tuned_model_has_its_own_price(model: str, price_in: float) -> None:
    price = price_of(ModelSpec("openai", model))
    assert price is not None
    assert price[0] == price_in


def test_a_dated_claude_model_has_its_price() -> None:
    assert price_of(ModelSpec("anthropic", "claude-haiku-4-5-20251001")) == (1.0, 5.0, 0.1)


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_a_cost_with_an_unknown_part_is_unknown(usage: Usage) -> None:
    assert cost_usd(usage, (1.0, 1.0, None)) is None
    assert cost_usd(Usage(input_tokens=1, output_tokens=1), None) is None


@pytest.mark.parametrize(
    "model, day",
    [
        ("gpt-4o", "2027-01-14"),
        ("gpt-4o-2024-05-13", "2026-10-23"),
        ("ft:gpt-4.1-2025-04-14:org:s:id", "2027-01-14"),
        ("o3-2025-04-16", "2026-12-11"),
        ("gpt-6-luna", None),
    ],
)
def test_a_shutdown_is_warned_of(model: str, day: str | None) -> None:
    assert retirement_date(ModelSpec("openai", model)) == day
    assert retirement_date(ModelSpec("openai", model, "http://127.0.0.1:9/v1")) is None
    assert retirement_date(ModelSpec("vllm", model)) is None


def test_a_list_of_models_tells_presence_and_shutdown(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"data": [{"id": "tiny", "shutdown_date": "2027-05-05"}, {"id": "other"}]}))
    facts = kit.using(kit.chat(server, "openai").spec(), lambda provider: provider.facts())
    assert (facts.models, facts.shutdown_date, server.requests[0].path) == (
        ("tiny", "other"),
        "2027-05-05",
        "/v1/models",
    )
    missing = replace(kit.chat(server, "openai").spec(), model="absent")
    assert "not in its list of 2" in kit.using(missing, lambda provider: provider.facts()).detail


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"reply": "x"}, "option `body`"),
        ({"body": {"q": "{promt}"}, "reply": "x"}, "Did you mean `prompt`"),
        ({"body": {"q": "constant"}, "reply": "x"}, "nothing is asked"),
        ({"body": {"q": "{prompt}"}, "reply": "a..b"}, "is no path"),
        ({"body": {"q": "{prompt}"}, "reply": "x", "path": "generate"}, "must start with `/`"),
    ],
)
def test_a_template_that_cannot_work_is_refused_before_any_request(kit: Any, options: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        kit.open(ModelSpec("http", "m", "http://127.0.0.1:9", options=options))


def test_a_template_takes_text_structure_and_numbers_apart(kit: Any, server: Any) -> None:
    body: Any = {"text": "Q: {prompt} {{kept}}", "n": 3, "sys": "{system}", "stop": "{stop}", "max": ["{max_tokens}"]}
    spec = ModelSpec("http", "m", server.url, options={"body": body, "reply": "[0].generated_text"})
    server.play(kit.step(body=[{"generated_text": "Hello."}]))
    response = kit.ask(spec, kit.question('a "{system}" {{b}}', max_tokens=5, temperature=0.5))
    assert server.requests[0].body == {"text": 'Q: a "{system}" {{b}} {kept}', "n": 3, "max": [5]}
    assert (response.choices[0].text, response.dropped) == ("Hello.", ("temperature",))


def test_a_template_without_room_for_it_refuses_a_system_prompt_and_earlier_turns(kit: Any, server: Any) -> None:
    spec = ModelSpec("http", "m", server.url, options={"body": {"q": "{prompt}"}, "reply": "x"})
    assert kit.using(spec, capabilities).system is False
    for request in (kit.question("Hi?", system="s"), kit.question("a", "b", "c")):
        with pytest.raises(ProviderError, match="no place") as caught:
            kit.ask(spec, request)
        assert caught.value.reason == "bad_request"
    assert server.requests == []


async def capabilities(provider: Provider) -> Any:
    return provider.capabilities


def test_a_template_sends_its_key_where_it_is_told(kit: Any, server: Any) -> None:
    options: Any = {"body": {"q": "{prompt}"}, "reply": "x", "auth_header": "X-Api-Key"}
    server.play(kit.step(body={"x": "y"}))
    kit.ask(ModelSpec("http", "m", server.url, "TEST_KEY", options), kit.question("Hi?"))
    assert server.requests[0].headers["x-api-key"] == kit.key
    assert "authorization" not in server.requests[0].headers


def test_a_reply_that_is_not_where_it_should_be_names_what_is_there(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"b": 1, "a": 2}))
    spec = ModelSpec("http", "m", server.url, options={"body": {"q": "{prompt}"}, "reply": "out.text"})
    with pytest.raises(ProviderError, match=r"no text at `out.text`; the keys of the answer: a, b"):
        kit.ask(spec, kit.question("Hi?"))
