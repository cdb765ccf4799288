"""Providers that speak Chat Completions: OpenAI-compatible servers of every kind."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field, JsonValue, ValidationError

from misalign_eval.errors import ProviderError, UsageError, did_you_mean
from misalign_eval.providers import message_content
from misalign_eval.providers.catalog import cost_usd, price_of, retirement_date
from misalign_eval.providers.endpoints import Endpoint, resolve_endpoint
from misalign_eval.providers.errors import (
    ServerError,
    as_amount,
    as_count,
    as_object,
    as_objects,
    as_text,
    block_code,
    error_in,
    finish_of,
    is_blocked,
    is_broken,
    no_answer,
    provider_error,
    read_error,
    tokens_of,
)
from misalign_eval.providers.message_content import ASK, calls_in, content_of, reasoning_of
from misalign_eval.providers.prefill import CONTINUE, Way, continued, continues, refuses_prefill, way_of
from misalign_eval.providers.transport import (
    HttpAnswer,
    HttpTransport,
    JsonObject,
    RedactingTransport,
    Transport,
    decode,
    proxy_hint,
)
from misalign_eval.providers.unsupported_params import (
    NEW_TOKEN_LIMIT,
    SETTINGS,
    fewer_logprobs,
    refuses_system,
    sent_settings,
    unsupported_param,
    without_param,
)
from misalign_eval.records.base import Record
from misalign_eval.records.markup import Marks, marks_of
from misalign_eval.records.protocols import (
    Capabilities,
    Choice,
    ModelInfo,
    ModelRequest,
    ModelSpec,
    Prices,
    Provider,
    Response,
)
from misalign_eval.records.run import Usage

# OpenAI's Chat Completions: the dialect that most servers speak, each a little differently.


_SENSITIVE = {1026, 1027}  # MiniMax, of the prompt and of the answer


@dataclass(frozen=True, slots=True)
class Body:
    """A request as it is sent, and the settings left out of it."""

    json: JsonObject
    dropped: tuple[str, ...] = ()
    prefilled: tuple[str, ...] = ()  # how a prefill was sent; empty: there is none


class Dialect(Protocol):
    """Between our request and one API's JSON."""

    @property
    def path(self) -> str:
        """Where requests go, after the base URL."""

    @property
    def streaming(self) -> JsonObject:
        """What is added to a request for a stream; nothing where the dialect has none."""

    def body(self, request: ModelRequest, refused: frozenset[str]) -> Body:
        """Write the request without the settings in `refused`. Raises ProviderFault for what cannot be asked."""

    def read(self, payload: JsonValue, prefill: str | None = None) -> Response:
        """Read an answer of status 200, which continues `prefill`. Raises ProviderFault when it is none."""


class ModelLimits(Protocol):
    """What is known beforehand of a model's restrictions."""

    def refused(self, request: ModelRequest) -> frozenset[str]:
        """The settings of this request that the model would refuse."""

    def effort(self, request: ModelRequest) -> str | None:
        """The reasoning effort that must be sent for the rest of the request to be taken."""


class NoLimits:
    """Nothing known: the model's own errors will tell."""

    def refused(self, _request: ModelRequest) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def effort(self, request: ModelRequest) -> str | None:
        """As asked."""
        return request.reasoning_effort


@dataclass(frozen=True, slots=True)
class ChatDialect:
    """Chat Completions for one model. `extra` is added to every body; `marks`: other markup than the usual."""

    model: str
    rules: ModelLimits = field(default_factory=NoLimits)
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    starts_in_thought: bool = False
    marks: Marks | None = None
    continues: Way = Way.TURN
    path: str = "/chat/completions"
    streaming: JsonObject = field(default_factory=lambda: ASK | {"stream_options": {"include_usage": True}})

    def body(self, request: ModelRequest, refused: frozenset[str]) -> Body:
        """Write the request; only what is set is sent."""
        refused |= self.rules.refused(request)
        json: JsonObject = {
            "model": self.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        }
        dropped = []
        for setting, fragment in _settings(request, self.rules.effort(request), refused):
            if setting in refused:
                dropped.append(setting)
            else:
                json.update(fragment)
        prefilled = () if request.prefill is None else (self.continues.value,)
        if prefilled and self.continues is Way.FLAGS:
            json.update(CONTINUE)
        json.update(self.extra)
        return Body(json, tuple(dropped), prefilled)

    def read(self, payload: JsonValue, prefill: str | None = None) -> Response:
        """Read the choices. Those that broke at the server are left out; none left is a fault."""
        payload = as_object(payload)
        choices = as_objects(payload.get("choices"))
        broken = [choice for choice in choices if _is_broken(choice)]
        whole = [choice for choice in choices if not _is_broken(choice)]
        if not whole and (category := _blocked(payload, broken)) is not None:
            whole = [{"message": {}, "finish_reason": category}]
        if not whole:
            why = as_text(as_object(broken[0].get("error")).get("message")) if broken else None
            raise no_answer(f"the server gave up on its answer: {why or 'no reason given'}" if broken else "no choices")
        return Response(
            choices=tuple(self._choice(choice, prefill) for choice in whole),
            usage=_usage(as_object(payload.get("usage"))),
            model=as_text(payload.get("model")),
            fingerprint=as_text(payload.get("system_fingerprint")),
            request_id=as_text(payload.get("id")),
            route=as_text(payload.get("provider")),
        )

    def _choice(self, choice: JsonObject, prefill: str | None) -> Choice:
        message = choice.get("message")
        if message is None and finish_of(_finish(choice)) == "content_filter":
            message = {}
        if not isinstance(message, dict):
            raise no_answer("a choice without a message")
        content = content_of(message.get("content"))
        content.calls.extend(calls_in(message))
        return content.choice(
            _finish(choice),
            marks=self.marks,
            starts_open=self.starts_in_thought and prefill is None,  # a prefill stands where the thought would begin
            reasoning=reasoning_of(message),
            refusal=as_text(message.get("refusal")),
            tokens=tokens_of(as_object(choice.get("logprobs")).get("content")),
        )


def _finish(choice: JsonObject) -> JsonValue:
    """How the answer ended; a filter of the upstream goes before what a router makes of its word."""
    native = choice.get("native_finish_reason")
    return native if finish_of(native) == "content_filter" else choice.get("finish_reason")


def _blocked(payload: JsonObject, broken: Sequence[JsonObject]) -> str | None:
    """A filter's word where a server answers a blocked prompt with no whole choice at all."""
    for choice in broken:
        error = error_in({"error": choice.get("error")})
        if error is not None and is_blocked(error):
            return f"content_filter: {block_code(error)}"
    feedback = as_object(payload.get("promptFeedback")) or as_object(payload.get("prompt_feedback"))
    reason = as_text(feedback.get("blockReason")) or as_text(feedback.get("block_reason"))
    if reason is not None:
        return f"content_filter: {reason}"
    return "content_filter" if as_object(payload.get("base_resp")).get("status_code") in _SENSITIVE else None


def _settings(request: ModelRequest, effort: str | None, refused: frozenset[str]) -> Iterator[tuple[str, JsonObject]]:
    """Each setting that is set, under the names that the dialect gives it."""
    if request.temperature is not None:
        yield "temperature", {"temperature": request.temperature}
    if request.top_p is not None:
        yield "top_p", {"top_p": request.top_p}
    if request.max_tokens is not None:
        yield "max_tokens", {NEW_TOKEN_LIMIT if NEW_TOKEN_LIMIT in refused else "max_tokens": request.max_tokens}
    if request.stop is not None:
        yield "stop", {"stop": list(request.stop)}
    if request.seed is not None:
        yield "seed", {"seed": request.seed}
    if request.n > 1:
        yield "n", {"n": request.n}
    if request.top_logprobs is not None:
        yield "top_logprobs", {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.json_schema is not None:
        schema: JsonObject = {"name": "answer", "strict": True, "schema": dict(request.json_schema)}
        yield "json_schema", {"response_format": {"type": "json_schema", "json_schema": schema}}
    if effort is not None:
        yield "reasoning_effort", {"reasoning_effort": effort}


def _is_broken(choice: JsonObject) -> bool:
    return bool(choice.get("error")) or is_broken(_finish(choice))


def _usage(usage: JsonObject) -> Usage:
    details = as_object(usage.get("prompt_tokens_details"))
    cached = as_count(details.get("cached_tokens"))
    return Usage(
        input_tokens=as_count(usage.get("prompt_tokens")),
        output_tokens=as_count(usage.get("completion_tokens")),
        cached_tokens=as_count(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        reasoning_tokens=as_count(as_object(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        cost_usd=as_amount(usage.get("cost")),
    )


# What a server says of itself when it is asked for its list of models.


async def facts_of(spec: ModelSpec, wire: Transport, path: str) -> ModelInfo:
    """Ask for the models. Never raises ProviderFault: what went wrong is the answer."""
    try:
        answer = await wire.get(path)
    except ProviderError as fault:
        return ModelInfo(reachable=False, detail=fault.message, shutdown_date=retirement_date(spec))
    if answer.status != 200:
        said = read_error(answer).message
        detail = f"no list of models ({answer.status}: {said})"
        return ModelInfo(reachable=True, detail=detail, shutdown_date=retirement_date(spec))
    return _listed(spec, _models(answer))


def _models(answer: HttpAnswer) -> list[JsonObject]:
    try:
        return as_objects(as_object(decode(answer.content)).get("data"))
    except ValueError:
        return []


def _listed(spec: ModelSpec, models: list[JsonObject]) -> ModelInfo:
    by_name = {name: model for model in models if (name := as_text(model.get("id")))}
    announced = as_text(by_name.get(spec.model, {}).get("shutdown_date"))
    if not by_name:
        detail = "the server answers, but lists no models"
    elif spec.model in by_name:
        detail = f"`{spec.model}` is one of its {len(by_name)} models"
    else:
        detail = f"`{spec.model}` is not in its list of {len(by_name)} models"
    return ModelInfo(True, detail, tuple(by_name), announced or retirement_date(spec))


# A model behind an HTTP API: one dialect, one wire, and what its answers have taught so far.


_OF_PROXIES = {407, 502, 503, 504}
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an adapter is made of."""

    place: Endpoint
    wire: Transport
    dialect: Dialect
    prices: Prices | None
    models_path: str = "/models"


class HttpProvider:
    """One model at one address. A setting that the model refuses is left out and the request sent again, once each."""

    def __init__(self, spec: ModelSpec, parts: Exchange, capabilities: Capabilities) -> None:
        self.spec = spec
        self.host = parts.place.address.host
        self.account = parts.place.account
        self.capabilities = capabilities
        self._parts = replace(parts, wire=RedactingTransport(parts.wire, *parts.place.secrets))
        self._refused: frozenset[str] = frozenset()
        self._streams = False  # whether the server was found to answer with streams alone

    async def complete(self, request: ModelRequest) -> Response:
        """Make one attempt. Raises ProviderFault."""
        try:
            return await self._complete(request)
        except ProviderError as fault:
            raise self._presentable(fault) from None

    async def _complete(self, request: ModelRequest) -> Response:
        for _ in range(len(SETTINGS) + 5):
            request = self._within(request)
            body = self._parts.dialect.body(request, self._refused)
            asked = body.json | self._parts.dialect.streaming if self._streams else body.json
            answer = await self._parts.wire.post(self._parts.dialect.path, asked)
            payload, error = _open(answer)
            if error is None:
                return self._finished(request, body, answer, self._parts.dialect.read(payload, request.prefill))
            if is_blocked(error):
                return self._blocked(body, answer, error)
            if not self._learned(error, request, body):
                raise self._fault(error, request, answer)
        raise ProviderError("bad_request", "the server refuses one setting after another")

    def _within(self, request: ModelRequest) -> ModelRequest:
        """The request with no more alternatives of a token than the server gives."""
        most, asked = self.capabilities.top_logprobs, request.top_logprobs
        return replace(request, top_logprobs=min(most, asked)) if most and asked else request

    def _learned(self, error: ServerError, request: ModelRequest, body: Body) -> bool:
        """Whether the error taught something that makes another attempt worth while."""
        if self._parts.dialect.streaming and not self._streams and message_content.WANTED.search(error.message):
            self._streams = True  # a server that only streams
            return True
        sent = set(sent_settings(request)) - set(body.dropped)
        fewer = fewer_logprobs(error, request.top_logprobs) if "top_logprobs" in sent else None
        if fewer is not None:
            self.capabilities = replace(self.capabilities, top_logprobs=fewer)
            return True
        if "reasoning_effort" not in sent and "reasoning_effort" in body.json:
            sent.add("reasoning_effort")  # sent for the sake of another setting
        setting = unsupported_param(error, body.json, sent)
        if setting is None:
            return False
        self._refused |= {setting}
        self.capabilities = without_param(self.capabilities, setting)
        return self._parts.dialect.body(request, self._refused).json != body.json

    def _finished(self, request: ModelRequest, body: Body, answer: HttpAnswer, response: Response) -> Response:
        ignored = self._ignored(request, body, response)
        usage = response.usage
        if self._parts.prices is not None:
            usage = usage.model_copy(update={"cost_usd": cost_usd(usage, self._parts.prices)})
        return replace(
            continued(response, request, body.prefilled),
            usage=usage,
            request_id=_request_id(answer.headers) or response.request_id,
            dropped=(*body.dropped, *ignored),
            streamed=_is_stream(answer) or None,
        )

    def _ignored(self, request: ModelRequest, body: Body, response: Response) -> tuple[str, ...]:
        """Settings that the server took without an error and then did not honour; what it did honour is noted too."""
        ignored = []
        if request.top_logprobs is not None and "top_logprobs" not in body.dropped:
            has_tokens = any(choice.tokens for choice in response.choices)
            if has_tokens and self.capabilities.logprobs is not True:
                self.capabilities = replace(self.capabilities, logprobs=True)
            if not has_tokens and any(choice.text for choice in response.choices):
                self.capabilities = without_param(self.capabilities, "top_logprobs")
                ignored.append("top_logprobs")
        if request.n > 1 and "n" not in body.dropped:
            has_several = len(response.choices) > 1
            if self.capabilities.n is not has_several:
                self.capabilities = replace(self.capabilities, n=has_several)
            ignored += [] if has_several else ["n"]
        return tuple(ignored)

    def _blocked(self, body: Body, answer: HttpAnswer, error: ServerError) -> Response:
        choice = Choice("", "content_filter", refusal=block_code(error))
        return Response((choice,), request_id=_request_id(answer.headers), dropped=body.dropped)

    def _fault(self, error: ServerError, request: ModelRequest, answer: HttpAnswer) -> ProviderError:
        if refuses_system(error, request):
            self.capabilities = without_param(self.capabilities, "system")
            return ProviderError(
                "bad_request", f"this model takes no system prompt: {error.message}", status=error.status
            )
        if refuses_prefill(error, request):
            self.capabilities = replace(self.capabilities, prefill=False)
            what = f"{self.spec.name} does not continue an assistant turn (prefill): {error.message}"
            return ProviderError("bad_request", what, status=error.status)
        if 300 <= answer.status < 400:
            target = as_text(answer.headers.get("location")) or "elsewhere"
            return ProviderError("bad_request", f"the server redirects to {target}: correct --base-url", fatal=True)
        return provider_error(error, answer.headers)

    def _presentable(self, fault: ProviderError) -> ProviderError:
        """The fault with the key blotted out, and with advice where only we know what went wrong."""
        place, advice = self._parts.place, ""
        if fault.status in _OF_PROXIES or fault.reason in ("connection", "timeout"):
            advice = proxy_hint(place.address.url, fault.status)
        elif fault.reason == "auth" and place.withheld:
            advice = f" ({place.withheld} was not sent: this is not its vendor's host. Allow it by `--api-key-env`.)"
        elif fault.reason == "auth" and not place.key and not place.headers:
            advice = " (no key was sent: name its variable with `--api-key-env`)"
        elif fault.status == 404:
            advice = f" (asked for model `{self.spec.model}` at {place.address.url})"
        message = place.key.scrub(fault.message + advice)
        return ProviderError(
            fault.reason, message, status=fault.status, retry=fault.retry, after_s=fault.after_s, fatal=fault.fatal
        )

    async def facts(self) -> ModelInfo:
        """List the server's models: one extra request."""
        facts = await facts_of(self.spec, self._parts.wire, self._parts.models_path)
        return replace(facts, detail=self._parts.place.key.scrub(facts.detail))

    async def close(self) -> None:
        """Release the connections."""
        await self._parts.wire.close()


def _open(answer: HttpAnswer) -> tuple[JsonValue, ServerError | None]:
    """The answer's JSON, or the error that it tells, whatever its status says. Raises ProviderFault for neither."""
    if not 200 <= answer.status < 300:
        return None, read_error(answer)
    try:
        payload = message_content.whole(answer.content) if _is_stream(answer) else decode(answer.content)
    except ValueError:
        told = read_error(answer)
        raise no_answer(told.message if told.is_page else f"not JSON: {told.message[:200]}") from None
    if (error := error_in(payload)) is not None:
        return None, error
    return payload, None


def _is_stream(answer: HttpAnswer) -> bool:
    return message_content.is_stream(answer.headers.get("content-type", ""), answer.content)


def _request_id(headers: Mapping[str, str]) -> str | None:
    return next((value for name in _REQUEST_IDS if (value := headers.get(name))), None)


# The `options:` of a target, checked before any request.


OptionsT = TypeVar("OptionsT", bound=Record)
_Mark = Annotated[str, Field(min_length=1)]


class MarkupOptions(Record):
    """Markup of a model's own: it is taken out of the text as the usual marks are (`records/markup.py`).

    `thought_marks`: pairs of what opens and what closes a thought. `end_marks`: what ends a turn, with all after it.
    """

    thought_marks: tuple[tuple[_Mark, _Mark], ...] = ()
    end_marks: tuple[_Mark, ...] = ()

    @property
    def marks(self) -> Marks:
        """These and the usual ones."""
        return marks_of(self.thought_marks, self.end_marks)


def read_options(spec: ModelSpec, model: type[OptionsT]) -> OptionsT:
    """The options as a record. Raises UsageError that names every unknown or wrong one; repeats no value."""
    try:
        return model.model_validate_json(_json(spec))
    except ValidationError as error:
        known = list(model.model_fields)
        told = [
            _told(str(".".join(map(str, error["loc"]))), error["type"], error["msg"], known) for error in error.errors()
        ]
        raise UsageError("\n".join(f"{spec.name}: {line}" for line in told)) from None


def _json(spec: ModelSpec) -> str:
    """As JSON, in which a list may become the tuple that a strict record wants."""
    return json.dumps(dict(spec.options))


def _told(where: str, kind: str, what: str, known: list[str]) -> str:
    if kind == "extra_forbidden":
        return f"unknown option `{where}`. {did_you_mean(where, known)}".rstrip()
    return f"option `{where}`: {what}"


# Any server that speaks OpenAI's chat dialect, over plain HTTP: vLLM, SGLang, llama.cpp, Ollama, gateways, routers.


class CompatibleOptions(MarkupOptions):
    """`options:` of an `openai-compatible` target and of the servers known by name.

    `provider` is OpenRouter's own setting; by default no other upstream steps in and none may ignore a setting.
    `prefill`: how the server is asked to continue an assistant turn, where it is another way than its name tells: by
    vLLM's flag, by the turn alone, or not at all.
    `starts_in_thought`: the chat template writes `<think>` itself, and the server leaves the reasoning in the text.
    """

    extra_body: dict[str, JsonValue] = {}
    provider: dict[str, JsonValue] = {}
    starts_in_thought: bool = False
    prefill: Literal["continue_final_message", "final_turn", "none"] | None = None
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing address or key, or a wrong option."""
    options = read_options(spec, CompatibleOptions)
    endpoint = resolve_endpoint(spec)
    extra: JsonObject = dict(options.extra_body)
    if spec.provider == "openrouter" or options.provider:
        extra["provider"] = {"allow_fallbacks": False, "require_parameters": True, **options.provider}
    headers = {"authorization": f"Bearer {endpoint.key.reveal()}"} if endpoint.key else {}
    wire = HttpTransport(endpoint.address.url, headers | endpoint.extra, verify=options.verify)
    dialect = ChatDialect(
        spec.model,
        extra=extra,
        starts_in_thought=options.starts_in_thought,
        marks=options.marks,
        continues=way_of(spec) or Way.TURN,
    )
    return HttpProvider(spec, Exchange(endpoint, wire, dialect, price_of(spec)), Capabilities(prefill=continues(spec)))
