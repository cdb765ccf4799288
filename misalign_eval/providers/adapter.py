"""A model behind an HTTP API: one dialect, one wire, and what its answers have taught so far."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from misalign_eval.errors import ProviderFault
from misalign_eval.providers import streams
from misalign_eval.providers.dialect import Body, Dialect
from misalign_eval.providers.facts import facts_of
from misalign_eval.providers.faults import ServerError, block_code, error_in, fault_of, is_blocked, read_error
from misalign_eval.providers.prefill import continued, refuses_prefill
from misalign_eval.providers.prices import Prices, cost_usd
from misalign_eval.providers.proxies import advice as proxy_advice
from misalign_eval.providers.reading import as_text, no_answer
from misalign_eval.providers.restrictions import (
    SETTINGS,
    fewer_logprobs,
    refused_setting,
    refuses_system,
    sent_settings,
    without,
)
from misalign_eval.providers.servers import Place
from misalign_eval.providers.wire import Answer, DiscreetWire, Wire, decode
from misalign_eval.records.protocols import Capabilities, Choice, ModelFacts, ModelRequest, ModelSpec, Response

_OF_PROXIES = {407, 502, 503, 504}
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id")


@dataclass(frozen=True, slots=True)
class Parts:
    """What an adapter is made of."""

    place: Place
    wire: Wire
    dialect: Dialect
    prices: Prices | None
    models_path: str = "/models"


class Adapter:
    """One model at one address. A setting that the model refuses is left out and the request sent again, once each."""

    def __init__(self, spec: ModelSpec, parts: Parts, capabilities: Capabilities) -> None:
        self.spec = spec
        self.host = parts.place.address.host
        self.account = parts.place.account
        self.capabilities = capabilities
        self._parts = replace(parts, wire=DiscreetWire(parts.wire, *parts.place.secrets))
        self._refused: frozenset[str] = frozenset()
        self._streams = False  # whether the server was found to answer with streams alone

    async def complete(self, request: ModelRequest) -> Response:
        """Make one attempt. Raises ProviderFault."""
        try:
            return await self._complete(request)
        except ProviderFault as fault:
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
        raise ProviderFault("bad_request", "the server refuses one setting after another")

    def _within(self, request: ModelRequest) -> ModelRequest:
        """The request with no more alternatives of a token than the server gives."""
        most, asked = self.capabilities.top_logprobs, request.top_logprobs
        return replace(request, top_logprobs=min(most, asked)) if most and asked else request

    def _learned(self, error: ServerError, request: ModelRequest, body: Body) -> bool:
        """Whether the error taught something that makes another attempt worth while."""
        if self._parts.dialect.streaming and not self._streams and streams.WANTED.search(error.message):
            self._streams = True  # a server that only streams
            return True
        sent = set(sent_settings(request)) - set(body.dropped)
        fewer = fewer_logprobs(error, request.top_logprobs) if "top_logprobs" in sent else None
        if fewer is not None:
            self.capabilities = replace(self.capabilities, top_logprobs=fewer)
            return True
        if "reasoning_effort" not in sent and "reasoning_effort" in body.json:
            sent.add("reasoning_effort")  # sent for the sake of another setting
        setting = refused_setting(error, body.json, sent)
        if setting is None:
            return False
        self._refused |= {setting}
        self.capabilities = without(self.capabilities, setting)
        return self._parts.dialect.body(request, self._refused).json != body.json

    def _finished(self, request: ModelRequest, body: Body, answer: Answer, response: Response) -> Response:
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
                self.capabilities = without(self.capabilities, "top_logprobs")
                ignored.append("top_logprobs")
        if request.n > 1 and "n" not in body.dropped:
            has_several = len(response.choices) > 1
            if self.capabilities.n is not has_several:
                self.capabilities = replace(self.capabilities, n=has_several)
            ignored += [] if has_several else ["n"]
        return tuple(ignored)

    def _blocked(self, body: Body, answer: Answer, error: ServerError) -> Response:
        choice = Choice("", "content_filter", refusal=block_code(error))
        return Response((choice,), request_id=_request_id(answer.headers), dropped=body.dropped)

    def _fault(self, error: ServerError, request: ModelRequest, answer: Answer) -> ProviderFault:
        if refuses_system(error, request):
            self.capabilities = without(self.capabilities, "system")
            return ProviderFault(
                "bad_request", f"this model takes no system prompt: {error.message}", status=error.status
            )
        if refuses_prefill(error, request):
            self.capabilities = replace(self.capabilities, prefill=False)
            what = f"{self.spec.name} does not continue an assistant turn (prefill): {error.message}"
            return ProviderFault("bad_request", what, status=error.status)
        if 300 <= answer.status < 400:
            target = as_text(answer.headers.get("location")) or "elsewhere"
            return ProviderFault("bad_request", f"the server redirects to {target}: correct --base-url", fatal=True)
        return fault_of(error, answer.headers)

    def _presentable(self, fault: ProviderFault) -> ProviderFault:
        """The fault with the key blotted out, and with advice where only we know what went wrong."""
        place, advice = self._parts.place, ""
        if fault.status in _OF_PROXIES or fault.reason in ("connection", "timeout"):
            advice = proxy_advice(place.address.url, fault.status)
        elif fault.reason == "auth" and place.withheld:
            advice = f" ({place.withheld} was not sent: this is not its vendor's host. Allow it by `--api-key-env`.)"
        elif fault.reason == "auth" and not place.key and not place.headers:
            advice = " (no key was sent: name its variable with `--api-key-env`)"
        elif fault.status == 404:
            advice = f" (asked for model `{self.spec.model}` at {place.address.url})"
        message = place.key.scrub(fault.message + advice)
        return ProviderFault(
            fault.reason, message, status=fault.status, retry=fault.retry, after_s=fault.after_s, fatal=fault.fatal
        )

    async def facts(self) -> ModelFacts:
        """List the server's models: one extra request."""
        facts = await facts_of(self.spec, self._parts.wire, self._parts.models_path)
        return replace(facts, detail=self._parts.place.key.scrub(facts.detail))

    async def close(self) -> None:
        """Release the connections."""
        await self._parts.wire.close()


def _open(answer: Answer) -> tuple[JsonValue, ServerError | None]:
    """The answer's JSON, or the error that it tells, whatever its status says. Raises ProviderFault for neither."""
    if not 200 <= answer.status < 300:
        return None, read_error(answer)
    try:
        payload = streams.whole(answer.content) if _is_stream(answer) else decode(answer.content)
    except ValueError:
        told = read_error(answer)
        raise no_answer(told.message if told.is_page else f"not JSON: {told.message[:200]}") from None
    if (error := error_in(payload)) is not None:
        return None, error
    return payload, None


def _is_stream(answer: Answer) -> bool:
    return streams.is_stream(answer.headers.get("content-type", ""), answer.content)


def _request_id(headers: Mapping[str, str]) -> str | None:
    return next((value for name in _REQUEST_IDS if (value := headers.get(name))), None)
