"""OpenAI's Chat Completions: the dialect that most servers speak, each a little differently."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import JsonValue

from misalign_eval.providers.contents import calls_in, content_of, reasoning_of
from misalign_eval.providers.faults import block_code, error_in, is_blocked
from misalign_eval.providers.prefill import CONTINUE, Way
from misalign_eval.providers.reading import (
    as_amount,
    as_count,
    as_object,
    as_objects,
    as_text,
    finish_of,
    is_broken,
    no_answer,
    tokens_of,
)
from misalign_eval.providers.restrictions import NEW_TOKEN_LIMIT
from misalign_eval.providers.streams import ASK
from misalign_eval.providers.wire import JsonObject
from misalign_eval.records.markup import Marks
from misalign_eval.records.protocols import Choice, ModelRequest, Response
from misalign_eval.records.reply import Usage

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


class ModelRules(Protocol):
    """What is known beforehand of a model's restrictions."""

    def refused(self, request: ModelRequest) -> frozenset[str]:
        """The settings of this request that the model would refuse."""

    def effort(self, request: ModelRequest) -> str | None:
        """The reasoning effort that must be sent for the rest of the request to be taken."""


class NoRules:
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
    rules: ModelRules = field(default_factory=NoRules)
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
