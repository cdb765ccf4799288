"""Provider `openai`: Chat Completions by the SDK, and the Responses API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import JsonValue

from misalign_eval.providers.catalog import OpenAIRules, capabilities_of, price_of, reasoning_of
from misalign_eval.providers.chat_completions import (
    Body,
    ChatDialect,
    Dialect,
    Exchange,
    HttpProvider,
    ModelLimits,
    NoLimits,
    read_options,
)
from misalign_eval.providers.endpoints import Endpoint, is_vendor, resolve_endpoint
from misalign_eval.providers.errors import (
    as_count,
    as_object,
    as_objects,
    as_text,
    error_in,
    no_answer,
    provider_error,
    tokens_of,
)
from misalign_eval.providers.keys import unsent_headers
from misalign_eval.providers.message_content import ASK, Content, call_of, content_of, reasoning_text
from misalign_eval.providers.prefill import continues
from misalign_eval.providers.transport import JsonObject, SdkTransport, open_client
from misalign_eval.records.base import Record
from misalign_eval.records.protocols import Choice, ModelRequest, ModelSpec, Provider, Response, Token
from misalign_eval.records.run import Usage

# OpenAI's Responses API, asked for one stateless answer. It has no seed, no stop and no n.


_ABSENT = frozenset({"seed", "stop", "n"})


@dataclass(frozen=True, slots=True)
class ResponsesDialect:
    """Responses for one model. Nothing is stored at the vendor."""

    model: str
    rules: ModelLimits = field(default_factory=NoLimits)
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    path: str = "/responses"
    streaming: JsonObject = field(default_factory=lambda: dict(ASK))

    def body(self, request: ModelRequest, refused: frozenset[str]) -> Body:
        """Write the request; only what is set is sent."""
        refused |= self.rules.refused(request) | _ABSENT
        json: JsonObject = {
            "model": self.model,
            "input": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "store": False,
        }
        dropped = []
        for setting, fragment in _settings(request, self.rules.effort(request)):
            if setting in refused:
                dropped.append(setting)
            else:
                json.update(fragment)
        json.update(self.extra)
        return Body(json, tuple(dropped))

    def read(self, payload: JsonValue, prefill: str | None = None) -> Response:  # noqa: ARG002  it continues none
        """Read the one answer."""
        payload = as_object(payload)
        return Response(
            choices=(_choice(payload),),
            usage=_usage(as_object(payload.get("usage"))),
            model=as_text(payload.get("model")),
            request_id=as_text(payload.get("id")),
        )


def _settings(request: ModelRequest, effort: str | None) -> Iterator[tuple[str, JsonObject]]:
    if request.temperature is not None:
        yield "temperature", {"temperature": request.temperature}
    if request.top_p is not None:
        yield "top_p", {"top_p": request.top_p}
    if request.max_tokens is not None:
        yield "max_tokens", {"max_output_tokens": request.max_tokens}
    if request.stop is not None:
        yield "stop", {}
    if request.seed is not None:
        yield "seed", {}
    if request.n > 1:
        yield "n", {}
    if request.top_logprobs is not None:
        asked: JsonObject = {"include": ["message.output_text.logprobs"], "top_logprobs": request.top_logprobs}
        yield "top_logprobs", asked
    if request.json_schema is not None:
        form: JsonObject = {"type": "json_schema", "name": "answer", "strict": True}
        yield "json_schema", {"text": {"format": {**form, "schema": dict(request.json_schema)}}}
    if effort is not None:
        yield "reasoning_effort", {"reasoning": {"effort": effort}}


def _choice(payload: JsonObject) -> Choice:
    content, parts = Content(), list[JsonObject]()
    for item in as_objects(payload.get("output")):
        kind = as_text(item.get("type")) or ""
        if kind == "message":
            content.extend(content_of(item.get("content")))
            parts += as_objects(item.get("content"))
        elif kind == "reasoning":
            content.thoughts += [reasoning_text(item.get("summary")), reasoning_text(item.get("content"))]
        elif kind.endswith("_call"):
            content.calls.append(call_of(item))
    return content.choice(_finish(payload, is_call=bool(content.calls and not content.text)), tokens=_tokens(parts))


def _finish(payload: JsonObject, *, is_call: bool) -> JsonValue:
    """The word for how it ended, as Chat Completions would say it."""
    match payload.get("status"):
        case "completed":
            return "tool_calls" if is_call else "stop"
        case "incomplete":
            return as_object(payload.get("incomplete_details")).get("reason") or "incomplete"
        case "failed":
            error = error_in(payload)
            raise provider_error(error, {}) if error else no_answer("the server gave up on its answer")
        case status:
            raise no_answer(f"an answer of status `{status}`")


def _tokens(objects: list[JsonObject]) -> tuple[Token, ...]:
    return tuple(token for part in objects for token in tokens_of(part.get("logprobs")))


def _usage(usage: JsonObject) -> Usage:
    return Usage(
        input_tokens=as_count(usage.get("input_tokens")),
        output_tokens=as_count(usage.get("output_tokens")),
        cached_tokens=as_count(as_object(usage.get("input_tokens_details")).get("cached_tokens")),
        reasoning_tokens=as_count(as_object(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


# OpenAI's own API through its SDK: Chat Completions, or Responses with `options: {api: responses}`.


_NO_KEY = "none"  # the SDK demands one; a local server ignores it


class OpenAIOptions(Record):
    """`options:` of an `openai` target."""

    api: Literal["chat", "responses"] = "chat"
    extra_body: dict[str, JsonValue] = {}
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing key or a wrong address or option."""
    options = read_options(spec, OpenAIOptions)
    endpoint = resolve_endpoint(spec)
    rules = OpenAIRules(reasoning_of(spec.model))
    dialect: Dialect = ChatDialect(spec.model, rules, options.extra_body)
    if options.api == "responses":
        dialect = ResponsesDialect(spec.model, rules, options.extra_body)
    parts = Exchange(endpoint, _wire(spec, endpoint, verify=options.verify), dialect, price_of(spec))
    return HttpProvider(spec, parts, replace(capabilities_of(spec.model), prefill=continues(spec)))


def _wire(spec: ModelSpec, endpoint: Endpoint, *, verify: bool) -> SdkTransport:
    import openai  # 0.6 s, for those who use it

    with unsent_headers("openai"):
        client = openai.AsyncOpenAI(
            api_key=endpoint.key.reveal() or _NO_KEY,
            base_url=endpoint.address.url,
            max_retries=0,
            timeout=None,
            http_client=open_client(verify=verify, extra=endpoint.extra),
        )
    if not is_vendor(spec.provider, endpoint.address):
        client.organization = client.project = None  # read from the environment; another host's business not
    return SdkTransport(client, status_error=openai.APIStatusError, sdk_error=openai.OpenAIError)
