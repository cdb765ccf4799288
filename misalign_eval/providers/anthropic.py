"""Provider `anthropic`: the Messages API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from misalign_eval.errors import ProviderError
from misalign_eval.providers.catalog import price_of
from misalign_eval.providers.chat_completions import Body, Exchange, HttpProvider, read_options
from misalign_eval.providers.endpoints import Endpoint, resolve_endpoint
from misalign_eval.providers.errors import as_count, as_object, as_text, no_answer
from misalign_eval.providers.keys import unsent_headers
from misalign_eval.providers.message_content import ASK, content_of
from misalign_eval.providers.prefill import Way, continues
from misalign_eval.providers.transport import JsonObject, SdkTransport, open_client
from misalign_eval.records.base import Record
from misalign_eval.records.protocols import Capabilities, Choice, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.run import END_STRIPPED, Usage

# Anthropic's Messages: one answer, a token limit that must be given, no log-probabilities.


_ABSENT = frozenset({"seed", "n", "top_logprobs"})
_SAMPLING = frozenset({"temperature", "top_p"})
_TOKEN_LIMIT = 4096  # the API demands one; older models take no more


@dataclass(frozen=True, slots=True)
class MessagesDialect:
    """Messages for one model. `takes_temperature` is for models up to 4.6 under the API version of 2023."""

    model: str
    takes_temperature: bool = False
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    path: str = "/v1/messages"
    streaming: JsonObject = field(default_factory=lambda: dict(ASK))

    def body(self, request: ModelRequest, refused: frozenset[str]) -> Body:
        """Write the request; only what is set is sent, and a token limit."""
        refused |= _ABSENT if self.takes_temperature else _ABSENT | _SAMPLING
        system, turns = _split_system(request)
        prefilled = _end_stripped(turns, request.prefill)
        json: JsonObject = {"model": self.model, "messages": [*turns], "max_tokens": request.max_tokens or _TOKEN_LIMIT}
        if system is not None:
            json["system"] = system
        config: JsonObject = {}
        dropped = []
        for setting, fragment in _settings(request):
            if setting in refused:
                dropped.append(setting)
                continue
            config.update(as_object(fragment.pop("output_config", None)))
            json.update(fragment)
        if config:
            json["output_config"] = config
        json.update(self.extra)
        return Body(json, tuple(dropped), prefilled)

    def read(self, payload: JsonValue, prefill: str | None = None) -> Response:  # noqa: ARG002  nothing depends on it
        """Read the one answer; a refusal keeps its category."""
        payload = as_object(payload)
        blocks = payload.get("content")
        if not isinstance(blocks, list | str):
            raise no_answer("an answer without content")
        return Response(
            choices=(_choice(payload, blocks),),
            usage=_usage(as_object(payload.get("usage"))),
            model=as_text(payload.get("model")),
            request_id=as_text(payload.get("id")),
        )


def _split_system(request: ModelRequest) -> tuple[str | None, list[JsonObject]]:
    """The system prompt, and the turns after it. Raises ProviderFault for one between the turns."""
    leading = 0
    while leading < len(request.messages) and request.messages[leading].role == "system":
        leading += 1
    rest = request.messages[leading:]
    if any(turn.role == "system" for turn in rest):
        raise ProviderError("bad_request", "this API takes a system prompt at the start only, not between turns")
    system = "\n\n".join(turn.content for turn in request.messages[:leading]) or None
    return system, [{"role": turn.role, "content": turn.content} for turn in rest]


def _end_stripped(turns: list[JsonObject], prefill: str | None) -> tuple[str, ...]:
    """Take the white space off the end of a prefill, which this API refuses; says how the prefill is sent."""
    if prefill is None:
        return ()
    turns[-1]["content"] = prefill.rstrip()
    return (Way.TURN.value, END_STRIPPED) if prefill != prefill.rstrip() else (Way.TURN.value,)


def _settings(request: ModelRequest) -> Iterator[tuple[str, JsonObject]]:
    if request.temperature is not None:
        yield "temperature", {"temperature": request.temperature}
    if request.top_p is not None:
        yield "top_p", {"top_p": request.top_p}
    if request.stop is not None:
        yield "stop", {"stop_sequences": list(request.stop)}
    if request.seed is not None:
        yield "seed", {}
    if request.n > 1:
        yield "n", {}
    if request.top_logprobs is not None:
        yield "top_logprobs", {}
    if request.json_schema is not None:
        form: JsonObject = {"type": "json_schema", "schema": dict(request.json_schema)}
        yield "json_schema", {"output_config": {"format": form}}
    if request.reasoning_effort == "none":
        yield "reasoning_effort", {"thinking": {"type": "disabled"}}
    elif request.reasoning_effort is not None:
        effort: JsonObject = {"effort": request.reasoning_effort}
        yield "reasoning_effort", {"thinking": {"type": "adaptive"}, "output_config": effort}


def _choice(payload: JsonObject, blocks: JsonValue) -> Choice:
    reason, refusal = payload.get("stop_reason"), None
    if reason == "refusal":
        refusal = as_text(as_object(payload.get("stop_details")).get("category")) or "refusal"
    return content_of(blocks).choice(reason, refusal=refusal)


def _usage(usage: JsonObject) -> Usage:
    """Tokens as everywhere else: this API counts those read from and written to its cache beside its input tokens."""
    fresh = as_count(usage.get("input_tokens"))
    cached = as_count(usage.get("cache_read_input_tokens"))
    written = as_count(usage.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output_tokens=as_count(usage.get("output_tokens")),
        cached_tokens=cached,
        reasoning_tokens=as_count(as_object(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


# Claude models by Anthropic's Messages API, through its SDK.


_NO_KEY = "none"  # without one the SDK looks for credentials of its own


class AnthropicOptions(Record):
    """`options:` of an `anthropic` target.

    `anthropic_version: "2023-06-01"` lets models up to Claude 4.6 take a temperature; later ones refuse any.
    """

    anthropic_version: str | None = None
    extra_body: dict[str, JsonValue] = {}
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing key or a wrong address or option."""
    options = read_options(spec, AnthropicOptions)
    endpoint = resolve_endpoint(spec)
    takes_temperature = (options.anthropic_version or "9999") < "2026"
    dialect = MessagesDialect(spec.model, takes_temperature, options.extra_body)
    parts = Exchange(endpoint, _wire(endpoint, options), dialect, price_of(spec), models_path="/v1/models")
    temperature = None if takes_temperature else False
    capabilities = Capabilities(
        system=True, logprobs=False, seed=False, n=False, temperature=temperature, prefill=continues(spec)
    )
    return HttpProvider(spec, parts, capabilities)


def _wire(endpoint: Endpoint, options: AnthropicOptions) -> SdkTransport:
    import anthropic  # 1 s, for those who use it

    version = options.anthropic_version
    with unsent_headers("anthropic"):
        client = anthropic.AsyncAnthropic(
            api_key=endpoint.key.reveal() or _NO_KEY,
            base_url=endpoint.address.url.removesuffix("/v1"),
            max_retries=0,
            timeout=None,
            open_telemetry={"traces": False, "propagation": False},  # on by default: it would hand traces to others
            default_headers={"anthropic-version": version} if version else None,
            http_client=open_client(verify=options.verify, extra=endpoint.extra),
        )
    return SdkTransport(client, status_error=anthropic.APIStatusError, sdk_error=anthropic.AnthropicError)
