"""Each way in which an exchange can fail becomes one typed decision, the same for every provider over HTTP."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.providers.errors import is_blocked, provider_error, read_error
from misalign_eval.providers.transport import HttpAnswer
from misalign_eval.records.protocols import Provider

PAGE = b"<!DOCTYPE html><html><head><title>502 Bad\x1b[31m Gateway</title></head><body>nginx</body></html>"


def told(message: str, **rest: Any) -> dict[str, Any]:
    return {"error": {"message": message, **rest}}


def decided(fault: ProviderError) -> tuple[Any, ...]:
    return fault.reason, fault.retry, fault.after_s, fault.fatal


FAULTS: list[tuple[str, int, Any, dict[str, str], tuple[Any, ...]]] = [
    ("429 with Retry-After", 429, told("slow down"), {"retry-after": "7"}, ("rate_limit", True, 7.0, False)),
    ("429 with milliseconds", 429, told("slow"), {"retry-after-ms": "250"}, ("rate_limit", True, 0.25, False)),
    ("429 without Retry-After", 429, told("slow down"), {}, ("rate_limit", True, None, False)),
    (
        "429 with an exhausted window",
        429,
        told("slow down"),
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
        ("rate_limit", True, 360.0, False),
    ),
    ("429 that says not to retry", 429, told("no"), {"x-should-retry": "false"}, ("rate_limit", False, None, False)),
    ("quota by code", 429, told("pay", code="insufficient_quota"), {"retry-after": "1"}, ("quota", False, None, True)),
    (
        "quota by words",
        429,
        told("You exceeded your current quota, please check your plan and billing details."),
        {},
        ("quota", False, None, True),
    ),
    (
        "Gemini's minute limit",
        429,
        [told("You exceeded your current quota, please check your plan. Please retry in 32.5s.")],
        {},
        ("rate_limit", True, 32.5, False),
    ),
    (
        "Anthropic's spend limit",
        429,
        told("over", type="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
        {},
        ("quota", False, None, True),
    ),
    (
        "no credit as 400",
        400,
        told("Your credit balance is too low to access the API.", type="invalid_request_error"),
        {},
        ("quota", False, None, True),
    ),
    ("402", 402, told("payment required"), {}, ("quota", False, None, True)),
    ("500", 500, told("boom"), {}, ("server", True, None, False)),
    ("500 without a body", 500, b"", {}, ("server", True, None, False)),
    ("502 with a page", 502, PAGE, {"content-type": "text/html"}, ("server", True, None, False)),
    ("503", 503, told("loading"), {"retry-after": "2"}, ("overloaded", True, 2.0, False)),
    ("529", 529, told("Overloaded", type="overloaded_error"), {}, ("overloaded", True, None, False)),
    ("408", 408, told("timeout"), {}, ("server", True, None, False)),
    ("409", 409, told("conflict"), {}, ("server", True, None, False)),
    ("401", 401, told("wrong key"), {}, ("auth", False, None, True)),
    ("403", 403, told("not allowed here"), {}, ("auth", False, None, True)),
    ("403 with a firewall's page", 403, PAGE, {"content-type": "text/html"}, ("auth", False, None, False)),
    ("404", 404, told("no such model"), {}, ("model_not_found", False, None, True)),
    ("unknown model as 400", 400, told("x", code="model_not_found"), {}, ("model_not_found", False, None, True)),
    (
        "context overflow",
        400,
        told("This model's maximum context length is 8 tokens.", code="context_length_exceeded"),
        {},
        ("context_length", False, None, False),
    ),
    (
        "context overflow at llama.cpp",
        400,
        told("x", type="exceed_context_size_error", code=400),
        {},
        ("context_length", False, None, False),
    ),
    ("413", 413, b"too large", {}, ("context_length", False, None, False)),
    ("400", 400, told("temperature must be at most 2", param="temperature"), {}, ("bad_request", False, None, False)),
    ("422 with detail", 422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, {}, ("bad_request", False, None, False)),
    ("redirect", 302, b"", {"location": "https://elsewhere.example/"}, ("bad_request", False, None, True)),
    ("200 with an error inside", 200, told("upstream is gone"), {}, ("invalid_response", True, None, False)),
    ("200 with a coded error", 200, told("upstream", code=502), {}, ("server", True, None, False)),
    ("200 with a rate limit", 200, told("slow down", code=429), {}, ("rate_limit", True, None, False)),
    ("200 with invalid JSON", 200, b'{"choices": [{"mess', {}, ("invalid_response", True, None, False)),
    ("200 with nothing", 200, b"", {}, ("invalid_response", True, None, False)),
    ("200 with a page", 200, PAGE, {"content-type": "text/html"}, ("invalid_response", True, None, False)),
    ("200 with a number", 200, 7, {}, ("invalid_response", True, None, False)),
    ("200 with an empty object", 200, {}, {}, ("invalid_response", True, None, False)),
    ("200 nested too deeply", 200, b"[" * 100_000, {}, ("invalid_response", True, None, False)),
    ("200 that is not gzip", 200, b"plain", {"content-encoding": "gzip"}, ("invalid_response", True, None, False)),
]


@pytest.mark.parametrize("status, body, headers, wanted", [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_an_answer_that_is_none_becomes_a_decision(
    kit: Any, http_harness: Any, status: int, body: Any, headers: dict[str, str], wanted: tuple[Any, ...]
) -> None:
    http_harness.server.play(kit.step(status, body, headers))
    with pytest.raises(ProviderError) as caught:
        kit.ask(http_harness.spec(), kit.question("Hi?"))
    assert decided(caught.value) == wanted
    assert caught.value.message.isprintable()
    assert len(http_harness.server.requests) == 1


@pytest.mark.parametrize("mode", ["reset", "close", "cut", "bad-chunk"])
def test_a_broken_connection_heals_with_another_attempt(kit: Any, http_harness: Any, mode: str) -> None:
    http_harness.server.play(kit.step(body={"a": "b" * 500}, mode=mode))
    with pytest.raises(ProviderError) as caught:
        kit.ask(http_harness.spec(), kit.question("Hi?"))
    assert decided(caught.value) == ("connection", True, None, False)


def test_an_unreachable_host_says_so(kit: Any, http_harness: Any) -> None:
    with pytest.raises(ProviderError, match="cannot connect") as caught:
        kit.ask(replace(http_harness.spec(), base_url="http://127.0.0.1:9/v1"), kit.question("Hi?"))
    assert decided(caught.value) == ("connection", True, None, False)


def test_after_a_fault_the_same_provider_answers(kit: Any, http_harness: Any) -> None:
    steps = [
        kit.step(body={}, mode="reset"),
        kit.step(500, told("boom")),
        kit.step(body=http_harness.body(kit.answer())),
    ]
    http_harness.server.play(*steps)

    async def work(provider: Provider) -> str:
        for _ in range(2):
            with pytest.raises(ProviderError):
                await provider.complete(kit.question("Hi?"))
        return (await provider.complete(kit.question("Hi?"))).choices[0].text

    assert kit.using(http_harness.spec(), work) == "Hello."


AZURE = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
LITELLM = "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - "
INNER = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
BLOCKED: list[tuple[int, Any]] = [
    (400, {"message": AZURE, "code": "content_filter", "innererror": INNER}),
    (400, {"message": LITELLM + AZURE, "type": None, "param": None, "code": "400"}),
    (400, {"message": "bad", "code": "400", "provider_specific_fields": {"innererror": INNER}}),
    (500, {"message": LITELLM + "content management policy", "type": None, "code": 500}),
    (400, {"message": 'AzureException - {"error": {"code": "content_filter", "message": "x"}}', "code": "400"}),
    (400, {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"code": "content_filter"}'}}),
    (400, {"message": "violates our usage policies", "code": "content_policy_violation"}),
    (400, {"message": "flagged", "code": "invalid_prompt"}),
    (403, {"message": "Your input was flagged", "code": 403, "metadata": {"reasons": ["violence"]}}),
    (422, {"message": "Input validation error: content flagged by safety model", "code": "content_flagged"}),
    (422, {"message": "Input validation error: content flagged by safety model"}),
    (400, {"message": "Input data may contain inappropriate content.", "code": "data_inspection_failed"}),
    (400, {"message": "Input data may contain inappropriate content."}),
    (400, {"message": "<400> InternalError.Algo.DataInspectionFailed: Output data may contain x.", "code": "400"}),
    (400, {"message": "系统检测到输入或生成内容可能包含不安全或敏感内容", "code": "1301"}),
    (400, {"message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}),
    (400, {"message": "unsafe", "code": 1301}),
    (400, {"message": "The request failed because the input text may contain sensitive information."}),
    (400, {"message": "The request was rejected because it was considered high risk"}),
    (400, {"message": "Your request was rejected as a result of our safety system.", "code": None}),
    (400, {"message": "Violated guardrail policy"}),
    (403, {"message": "Content violates usage guidelines. Team: x", "code": "permission-denied"}),
    (451, {"message": "Blocked by the moderation filter."}),
    (400, {"message": "Content Exists Risk", "code": "invalid_request_error"}),
    (400, {"message": "Request blocked: SAFETY", "status": "INVALID_ARGUMENT"}),
    (400, {"message": "Blocked entity detected: NAME by Guardrail: presidio."}),
    (400, {"message": "Error: Invalid response. input_guardrail_triggered"}),
    (400, {"message": "Blocked by input rails."}),
    (400, {"message": "bad request: prompt pattern is blocked"}),
    (400, {"message": "request failed content safety check: breached category [Hate] at level 4"}),
    (400, {"message": "blocked output: please see our usage guidelines"}),
    (403, {"message": "Failed check: SAFETY_CHECK_TYPE_BIO", "code": "permission-denied"}),
    (422, {"message": "The input contains content that violates our policy"}),
    (424, [{"code": 2016, "message": "Prompt blocked due to security configurations"}]),
    (446, {"message": "The guardrail checks defined in the config failed.", "type": "hooks_failed"}),
    (502, {"message": "Provider returned error", "metadata": {"raw": '{"error": {"message": "PROHIBITED_CONTENT"}}'}}),
]


@pytest.mark.parametrize("status, error", BLOCKED)
def test_a_filter_is_known_by_its_code_its_name_or_its_sentence(status: int, error: Any) -> None:
    assert is_blocked(read_error(HttpAnswer(status, {}, json.dumps({"error": error}).encode())))


@pytest.mark.parametrize("status, error", BLOCKED[:4])
def test_a_blocked_prompt_is_an_outcome_not_a_fault(kit: Any, http_harness: Any, status: int, error: Any) -> None:
    http_harness.server.play(kit.step(status, {"error": error}))
    [choice] = kit.ask(http_harness.spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.finish, choice.refusal is not None) == ("", "content_filter", True)
    assert len(http_harness.server.requests) == 1


@pytest.mark.parametrize(
    "choice",
    [
        {"error": {"code": 403, "message": "Your input was flagged by moderation"}, "finish_reason": "error"},
        {"message": {"content": ""}, "finish_reason": "error", "native_finish_reason": "PROHIBITED_CONTENT"},
        {"message": {"content": "Take"}, "finish_reason": "stop", "native_finish_reason": "SAFETY"},
    ],
)
def test_a_filter_that_a_router_tells_of_inside_a_choice_blocks(kit: Any, server: Any, choice: Any) -> None:
    harness = kit.chat(server, "openai-compatible")
    server.play(kit.step(body=json.dumps({"choices": [choice]}).encode()))
    [found] = kit.ask(harness.spec(), kit.question("Hi?")).choices
    assert found.finish == "content_filter"


@pytest.mark.parametrize(
    "status, message",
    [
        (400, "moderation of a debate: bad role"),
        (400, "Invalid value for 'safety_settings': blocked"),
        (400, "Request rejected because of an unknown parameter 'moderation'"),
        (400, "content_filter is not a valid parameter"),
        (400, "messages[0].content was flagged as invalid JSON"),
        (400, "The request violates the content length rule"),
        (400, "contains a prohibited content type"),
        (400, "model=m. content_policy_fallback=None. fallbacks=None."),
        (400, "参数名大小写敏感"),
        (400, "safety_identifier must be a string"),
        (404, "Model `moderation-7b` was blocked by the content filter team"),
        (500, "the moderation service is down"),
        (502, "Blocked by the content filter"),
        (403, "Your organization was flagged for unpaid bills"),
        (500, "content filter failed to load"),
        (429, "Input was flagged: too many requests"),
        (401, "Your key was rejected by our safety system"),
    ],
)
def test_an_error_that_only_mentions_filters_is_a_fault(status: int, message: str) -> None:
    assert not is_blocked(read_error(HttpAnswer(status, {}, json.dumps({"error": {"message": message}}).encode())))


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"message": {"content": None}, "finish_reason": None}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": "error", "error": {"message": "gone"}}]},
        {"choices": [{"message": {"content": ""}, "finish_reason": "abort"}]},
        {"object": "error", "message": "no", "code": 50000},
    ],
)
def test_a_chat_answer_that_answers_nothing_is_a_fault(kit: Any, server: Any, body: Any) -> None:
    server.play(kit.step(body=body))
    with pytest.raises(ProviderError) as caught:
        kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?"))
    assert decided(caught.value) == ("invalid_response", True, None, False)


def test_an_answer_without_a_finish_reason_is_kept_with_finish_unknown(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"choices": [{"message": {"content": "Hello."}, "finish_reason": None}]}))
    [choice] = kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.finish) == ("Hello.", "unknown")


def test_hidden_reasoning_that_used_up_the_limit_is_a_truncated_answer(kit: Any, server: Any) -> None:
    server.play(kit.step(body={"choices": [{"message": {"content": None}, "finish_reason": "length"}]}))
    [choice] = kit.ask(kit.chat(server, "openai-compatible").spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.finish) == ("", "length")


def test_a_dribbling_server_is_stopped_by_the_callers_deadline(kit: Any, http_harness: Any) -> None:
    http_harness.server.play(kit.step(mode="hang"))

    async def work(provider: Provider) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await provider.complete(kit.question("Hi?"))

    kit.using(http_harness.spec(), work)


def test_a_key_refused_where_none_was_sent_says_how_to_send_one(
    kit: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-vendors-own")
    server.play(kit.step(401, told("no key")))
    spec = replace(kit.chat(server, "openai").spec(), api_key_env=None)
    with pytest.raises(ProviderError, match="OPENAI_API_KEY was not sent: this is not its vendor's host"):
        kit.ask(spec, kit.question("Hi?"))
    assert "sk-vendors-own" not in str(server.requests[0].headers)


def test_a_page_is_told_by_its_title_alone() -> None:
    error = read_error(HttpAnswer(502, {}, PAGE))
    assert error.message == "an HTML page “502 Bad [31m Gateway” instead of JSON"


def test_a_long_error_is_cut() -> None:
    fault = provider_error(read_error(HttpAnswer(400, {}, b"x" * 100_000)), {})
    assert len(fault.message) < 420


def test_an_echoed_prompt_about_money_is_no_quota_error() -> None:
    body = b'{"error": {"message": "bad field", "input": "my credit balance hit its spend limit"}}'
    assert provider_error(read_error(HttpAnswer(400, {}, body)), {}).reason == "bad_request"


def test_a_daily_quota_of_gemini_does_not_heal_within_a_run() -> None:
    body = b'{"error": {"message": "You exceeded your current quota. Please retry in 20s.", "details": [{"quotaId": "RequestsPerDay"}]}}'  # noqa: E501  an error as it is sent
    assert provider_error(read_error(HttpAnswer(429, {}, body)), {}).reason == "quota"


def test_an_ordinary_bad_request_is_not_blocked() -> None:
    assert not is_blocked(
        read_error(HttpAnswer(400, {}, b'{"error": {"message": "moderation of a debate: bad role"}}'))
    )
