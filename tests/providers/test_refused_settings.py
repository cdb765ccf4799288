"""How servers say that they refuse a setting, each in its own words; and what only sounds so."""

import json
from typing import Any

import pytest

from misalign_eval.providers.errors import ServerError, is_blocked, read_error
from misalign_eval.providers.transport import HttpAnswer
from misalign_eval.providers.unsupported_params import SETTINGS, fewer_logprobs, refuses_system, unsupported_param
from misalign_eval.records.protocols import Provider

BODY = {"temperature": 0.7, "max_tokens": 9}
# fmt: off
REFUSED = [
    ("This model doesn't support the temperature field. Remove temperature and try again.", "temperature"),
    ("litellm.BadRequestError: BedrockException - {\"message\":\"This model doesn't support the temperature field. Remove temperature and try again.\"}", "temperature"),  # noqa: E501  as it is sent
    ("invalid temperature: only 1 is allowed for this model", "temperature"),
    ("invalid top_p: only 0.95 is allowed for this model", "top_p"),
    ("`temperature` is deprecated for this model.", "temperature"),
    ('litellm.BadRequestError: BedrockException - {"message":"The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model. Please use only one."}', "top_p"),  # noqa: E501  as it is sent
    ("`temperature` may only be set to 1 when thinking is enabled.", "temperature"),
    ("litellm.UnsupportedParamsError: gpt-5 models (including gpt-5-codex) don't support temperature=0.7. Only temperature=1 is supported. To drop unsupported params set `litellm.drop_params = True`", "temperature"),  # noqa: E501  as it is sent
    ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', "seed"),
    ("'seed' : value must be null", "seed"),
    ("invalid request: seed isn't supported by this model", "seed"),
    ("Parameter seed can not be used with this deployment", "seed"),
    ("seed is not a valid parameter for this model", "seed"),
    ("Invalid parameter: seed", "seed"),
    ("参数 temperature 不支持，该模型只允许 1", "temperature"),
    ("參數 temperature 不支援", "temperature"),
    ("El parámetro 'temperature' no es compatible con este modelo.", "temperature"),
    ("Der Parameter 'seed' wird von diesem Modell nicht unterstützt.", "seed"),
    ("Le paramètre « seed » n'est pas pris en charge par ce modèle.", "seed"),
    ("パラメータ temperature はこのモデルではサポートされていません。", "temperature"),
    ("temperature 매개변수는 이 모델에서 지원되지 않습니다.", "temperature"),
    ("Параметр temperature не поддерживается этой моделью.", "temperature"),
    ("Per-request seed is not supported on TPU.", "seed"),
    ("min_p, logit_bias and logprobs parameters are not yet supported with speculative decoding.", "top_logprobs"),
    ("Only one completion choice is allowed", "n"),
    ("Multiple candidates is not enabled for models/gemini-2.5-pro", "n"),
    ("'n' : number must be at most 1", "n"),
    ("<400> InternalError.Algo.InvalidParameter: The parameter n is not supported by this model", "n"),
    ("Argument not supported on this model: stop", "stop"),
    ('response_format type must be one of "text" or "json_object", but got: json_schema', "json_schema"),
    ("'claude-3-haiku' does not support output format.", "json_schema"),
    ("output_config: Extra inputs are not permitted", "json_schema"),
    ('"qwen2.5:0.5b" does not support thinking', "reasoning_effort"),
    ('think value "low" is not supported for this model', "reasoning_effort"),
    ("adaptive thinking is not supported on this model", "reasoning_effort"),
    ("Thinking level is not supported for this model.", "reasoning_effort"),
    ("Budget 0 is invalid. This model only works in thinking mode.", "reasoning_effort"),
    ("This model doesn't accept max_tokens; please use max_completion_tokens.", "max_completion_tokens"),
    ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_completion_tokens"),  # noqa: E501  as it is sent
    ("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", "temperature"),  # noqa: E501  as it is sent
    ("You are not allowed to request logprobs from this model", "top_logprobs"),
    ("Logprobs is not enabled for models/gemini-3.8-flash", "top_logprobs"),
    ("n must be 1 when using greedy sampling", "n"),
    ("response_format is not supported by this model", "json_schema"),
    ("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort"),
    ("temperature isn't supported", "temperature"),
    ("temperature is unsupported with reasoning models", "temperature"),
    ("Setting temperature is not permitted.", "temperature"),
    ("You cannot set temperature for this model", "temperature"),
    ("You can't use top_p with this model", "top_p"),
    ("The parameter 'top_p' has been removed.", "top_p"),
    ("temperature must be 1", "temperature"),
    ("temperature must be exactly 1.0 for this model", "temperature"),
    ("Invalid value for temperature: 0.7. Must be 1.", "temperature"),
    ("temperature: Input should be 1", "temperature"),
    ("temperature should be the default", "temperature"),
    ("The temperature can only be 1", "temperature"),
    ("Only the default temperature is supported", "temperature"),
    ("This model only supports temperature=1", "temperature"),
    ("This model only supports temperature 1.0.", "temperature"),
    ("kimi-k3 requires temperature to be 1", "temperature"),
    ("got an unexpected keyword argument 'seed'", "seed"),
    ("extra fields not permitted: seed", "seed"),
    ("Extra inputs are not permitted: seed", "seed"),
    ("unknown field `seed`, expected one of `model`, `messages`, `temperature`", "seed"),
    ("Unknown parameter: 'top_logprobs'.", "top_logprobs"),
    ("log probabilities are not available for this model", "top_logprobs"),
    ("does not support parameters: ['seed'], for model=x. To drop these", "seed"),
    ("temperature and top_p are not supported by this model", "temperature"),
    ("Only one of temperature or top_p may be given.", "top_p"),
    ("temperature and top_p are mutually exclusive", "top_p"),
    ("Specify either temperature or top_p, not both", "top_p"),
    ("stop sequences aren't supported", "stop"),
    ("Parameter 'stop' is not supported", "stop"),
    ("stop is not supported with this model", "stop"),
    ("temperature is fixed at 1", "temperature"),
    ("maxOutputTokens is not supported", "max_tokens"),
    ("Structured outputs are not supported for this model", "json_schema"),
    ("Please remove the seed parameter", "seed"),
    ("seed is no longer accepted", "seed"),
    ("The 'temperature' field isn't allowed when reasoning is on", "temperature"),
    ("ValidationException: temperature is disabled for this model", "temperature"),
    ("temperature is only available without reasoning", "temperature"),
    ("temperature has to be 1", "temperature"),
    ("temperature needs to be unset", "temperature"),
    ("Bad request: n > 1 isn't supported", "n"),
    ("'n' greater than 1 is not supported", "n"),
    ("generation_config.seed: unknown field", "seed"),
    ("reasoning is not supported by this model", "reasoning_effort"),
    ("temperature must be omitted", "temperature"),
    ("该模型不支持 temperature 参数", "temperature"),
    ("top_p 必须为 1", "top_p"),
    ("We do not support 'seed' yet", "seed"),
    ("temperature: not supported", "temperature"),
    ('"temperature" was not expected', "temperature"),
    ("The value of 'temperature' must be null", "temperature"),
    ("Sorry, this deployment doesn't let you set temperature", "temperature"),
    ("temperature: this model only supports the default value", "temperature"),
    ("Temperature is not adjustable for this model", "temperature"),
    ("parameter temperature not support", "temperature"),
    ("Temperature must be set to 1 with extended thinking", "temperature"),
    ("`temperature` and `top_p` cannot be used together", "top_p"),
    ("seed must not be set", "seed"),
    ("seed: Extra inputs are not permitted", "seed"),
    ("The following parameters are not supported: temperature, top_p", "temperature"),
    ("Parameters not supported for this model: seed", "seed"),
    ("Unsupported parameter(s): `temperature`", "temperature"),
    ("unrecognized keys in object: 'seed'", "seed"),
    ("Additional properties are not allowed ('seed' was unexpected)", "seed"),
    ("1 validation error for ChatRequest seed Extra inputs are not permitted [type=extra_forbidden, input_value=1]", "seed"),  # noqa: E501  as it is sent
    ("Parameter temperature=0.7 not allowed, must be 1", "temperature"),
    ("`seed` is an unsupported parameter", "seed"),
    ("Invalid 'temperature': only 1 supported", "temperature"),
    ("only n = 1 is supported", "n"),
    ("n > 1 isn't supported", "n"),
    ("this deployment doesn't let you set temperature", "temperature"),
    ("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted', 'input': 1}]", "seed"),  # noqa: E501  as it is sent
    ("json_schema is not supported", "json_schema"),
    ("Structured output is not available with this model", "json_schema"),
    ("'reasoning_effort' is not supported when using 'tools'.", "reasoning_effort"),
    ("Thinking is not supported by this model", "reasoning_effort"),
    ("invalid value for 'temperature': allowed values: [1]", "temperature"),
    ("Unable to use temperature with this model", "temperature"),
    ("temperature was ignored: not settable", "temperature"),
    ("seed, top_p: unknown arguments", "seed"),
]
NOT_REFUSED = [
    "max_tokens: 200 > 128, which is the maximum allowed number of output tokens for x",
    "This model does not support image input; the request had temperature 0.7",
    "Image input is not supported. Request: temperature=0.7, seed=1",
    "Unsupported parameter: 'logit_bias'. Supported parameters are: temperature, top_p, max_tokens",
    "Unknown field 'foo'. Valid fields: temperature, seed",
    "top_k is not supported, supported are temperature and seed",
    "unknown field `foo`, expected one of `model`, `temperature`",
    "temperature must be between 0 and 2",
    "temperature: Input should be less than or equal to 1",
    "temperature 3 is not supported; must be between 0 and 2",
    "Invalid value for temperature: 7. Must be at most 2.",
    "temperature must be 0 or 1",
    "temperature must be a number",
    "seed must be an integer",
    "top_p must be in (0, 1]",
    "Requested sample logprobs of 30, which is greater than max allowed: 20",
    "This model's maximum context length is 8192 tokens; you requested 9000 (8800 in the messages, 200 in max_tokens). Please reduce.",  # noqa: E501  as it is sent
    "The model `temperature-7b` is not supported",
    "model 'seed-oss' is not available",
    "When temperature is set, logit_bias isn't supported",
    "With temperature 0.7, tools are not supported",
    "parameter.enable_thinking must be set to false for non-streaming calls",
    "Stream must be set to true",
    "role 'system' is not supported with temperature 0",
    "Please stop sending requests: this endpoint is not available",
    "Unexpected role 'assistant' after seed message",
    "The request is not valid: messages must not be empty (temperature=1)",
    "unexpected token n at position 3",
    "Invalid messages: content must not be null",
    "This model only supports temperature, top_p and max_tokens",
    "tools are not supported when temperature is used",
    "max_tokens is too large: 99999. This model supports at most 4096",
    "max_tokens exceeds the limit",
    "The reasoning in your prompt is not allowed",
    "Function calling is not enabled for this model (temperature 1)",
    "temperature does not apply to this model",
    "Supported parameters for this model are: temperature, top_p. Not supported: logit_bias",
    "This request is not allowed: your plan has no access to models with temperature",
    "You have no credits. temperature=0.7",
    "The prompt about temperature is not allowed",
]
# fmt: on


@pytest.mark.parametrize("message, setting", REFUSED)
def test_a_refused_setting_is_known_by_what_is_said_of_it(message: str, setting: str) -> None:
    assert unsupported_param(ServerError(400, message), BODY, SETTINGS) == setting
    assert not is_blocked(ServerError(400, message, body=message))


@pytest.mark.parametrize("message", NOT_REFUSED)
def test_a_message_that_mentions_a_setting_and_refuses_something_else_drops_none(message: str) -> None:
    assert unsupported_param(ServerError(400, message), BODY, SETTINGS) is None


@pytest.mark.parametrize("status", [401, 402, 404, 408, 413, 429, 502, 503])
def test_other_statuses_refuse_no_setting(status: int) -> None:
    assert unsupported_param(ServerError(status, "temperature is not supported"), BODY, SETTINGS) is None


def test_a_setting_that_was_not_sent_is_not_what_is_refused() -> None:
    error = ServerError(400, "temperature and top_p cannot both be specified")
    assert unsupported_param(error, BODY, {"temperature"}) is None
    assert unsupported_param(ServerError(400, "seed is not supported"), BODY, {"temperature"}) is None


def told(error: Any, status: int = 400) -> ServerError:
    return read_error(HttpAnswer(status, {}, json.dumps(error).encode()))


@pytest.mark.parametrize(
    "raw, setting",
    [
        (json.dumps({"error": {"message": "Unsupported parameter: 'temperature' is not supported with this model."}}), "temperature"),  # noqa: E501  as it is sent
        (json.dumps({"detail": "logprobs are not supported for this model"}), "top_logprobs"),
        ("seed is not supported", "seed"),
    ],
)  # fmt: skip
def test_a_refusal_that_a_router_hands_on_is_read(raw: str, setting: str) -> None:
    error = told({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}})
    assert unsupported_param(error, BODY, SETTINGS) == setting


def test_a_field_that_names_no_setting_leaves_the_words_to_be_read() -> None:
    error = told({"message": "Extra inputs are not permitted: body.top_logprobs", "param": "validation_error"})
    assert unsupported_param(error, BODY, SETTINGS) == "top_logprobs"


@pytest.mark.parametrize(
    "words, fewer",
    [
        ("topLogprobs value of 20 but the supported range is from 1 (inclusive) to 20 (exclusive).", 19),
        ("top_logprobs must be less than 6", 5),
        ("Range of top_logprobs should be [0, 5]", 5),
    ],
)
def test_the_most_log_probabilities_are_read_out_of_a_range(words: str, fewer: int) -> None:
    assert fewer_logprobs(told({"error": {"message": words}}), 20) == fewer


@pytest.mark.parametrize(
    "words",
    [
        "This model doesn't support system messages.",
        "'system' is not one of ['assistant', 'user', 'function'] - 'messages.0.role'",
        "The chat template does not allow a system message",
        'Unexpected role "system". The API accepts a top-level `system` parameter.',
    ],
)
def test_a_refused_system_prompt_is_known_by_what_is_said_of_it(kit: Any, words: str) -> None:
    assert refuses_system(told({"error": {"message": words}}), kit.question("Hi?", system="Be kind."))


def test_a_schema_checkers_complaint_is_read() -> None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]
    error = read_error(HttpAnswer(422, {}, json.dumps({"detail": detail}).encode()))
    assert (error.param, error.message) == ("seed", "seed: Extra inputs are not permitted")
    assert unsupported_param(error, BODY, SETTINGS) == "seed"


def test_a_schema_checkers_complaint_about_a_value_is_an_error() -> None:
    said = "Input should be less than or equal to 2"
    detail = [{"type": "less_than_equal", "loc": ["body", "temperature"], "msg": said}]
    assert (
        unsupported_param(read_error(HttpAnswer(422, {}, json.dumps({"detail": detail}).encode())), BODY, SETTINGS)
        is None
    )


def test_a_long_hostile_message_is_read_in_no_time() -> None:
    for part in ("temperature and ", "not supported the value of ", "either ", "(n ", "model gpt-5 "):
        assert unsupported_param(ServerError(400, part * 50_000), BODY, SETTINGS) in (None, "temperature")


@pytest.mark.parametrize(
    "error, setting, request_settings",
    [
        ({"message": "This model doesn't support the temperature field."}, "temperature", {"temperature": 0.0}),
        (
            {"error": {"message": "invalid temperature: only 1 is allowed for this model"}},
            "temperature",
            {"temperature": 0.0},
        ),
        (
            {"error": {"message": "Only one of temperature and top_p."}},
            "top_p",
            {"temperature": 0.7, "top_p": 0.9},
        ),
        ({"error": "Invalid parameter: seed"}, "seed", {"seed": 1}),
    ],
)
def test_every_provider_over_http_leaves_a_refused_setting_out_and_says_so(
    kit: Any, server: Any, error: Any, setting: str, request_settings: dict[str, Any]
) -> None:
    harness = kit.chat(server, "openai-compatible")
    server.play(kit.step(400, error), kit.step(body=harness.body(kit.answer())))
    request = kit.question("Hi?", **request_settings)

    async def work(provider: Provider) -> list[tuple[str, ...]]:
        return [(await provider.complete(request)).dropped for _ in range(2)]

    assert kit.using(harness.spec(), work) == [(setting,), (setting,)]
    assert len(server.requests) == 3
    assert set(server.requests[-1].body) == {"model", "messages", *request_settings} - {setting}
