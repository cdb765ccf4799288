"""OpenAI's Responses API, asked for one stateless answer. It has no seed, no stop and no n."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from misalign_eval.providers.contents import Content, call_of, content_of, reasoning_text
from misalign_eval.providers.dialect import Body, ModelRules, NoRules
from misalign_eval.providers.faults import error_in, fault_of
from misalign_eval.providers.reading import as_count, as_object, as_objects, as_text, no_answer, tokens_of
from misalign_eval.providers.streams import ASK
from misalign_eval.providers.wire import JsonObject
from misalign_eval.records.protocols import Choice, ModelRequest, Response, Token
from misalign_eval.records.reply import Usage

_ABSENT = frozenset({"seed", "stop", "n"})


@dataclass(frozen=True, slots=True)
class ResponsesDialect:
    """Responses for one model. Nothing is stored at the vendor."""

    model: str
    rules: ModelRules = field(default_factory=NoRules)
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
            raise fault_of(error, {}) if error else no_answer("the server gave up on its answer")
        case status:
            raise no_answer(f"an answer of status `{status}`")


def _tokens(said: list[JsonObject]) -> tuple[Token, ...]:
    return tuple(token for part in said for token in tokens_of(part.get("logprobs")))


def _usage(usage: JsonObject) -> Usage:
    return Usage(
        input_tokens=as_count(usage.get("input_tokens")),
        output_tokens=as_count(usage.get("output_tokens")),
        cached_tokens=as_count(as_object(usage.get("input_tokens_details")).get("cached_tokens")),
        reasoning_tokens=as_count(as_object(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )
