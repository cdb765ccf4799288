"""Any JSON API: a template says what to send, a path where the reply stands."""

from dataclasses import dataclass

from pydantic import JsonValue

from misalign_eval.errors import ProviderFault, UsageError
from misalign_eval.providers.adapter import Adapter, Parts
from misalign_eval.providers.contents import Content, reasoning_text
from misalign_eval.providers.dialect import Body
from misalign_eval.providers.options import MarkupOptions, read_options
from misalign_eval.providers.paths import Path, follow, parse_path
from misalign_eval.providers.prefill import Way, continues
from misalign_eval.providers.prices import price_of
from misalign_eval.providers.reading import as_count, as_object, as_text, no_answer
from misalign_eval.providers.restrictions import sent_settings
from misalign_eval.providers.servers import Place, locate
from misalign_eval.providers.templates import fill, placeholders, values_of
from misalign_eval.providers.wire import HttpWire, JsonObject
from misalign_eval.records.headers import wrong_name
from misalign_eval.records.protocols import Capabilities, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.reply import Usage

_AUTHORIZATION = "authorization"


class HttpOptions(MarkupOptions):
    """`options:` of an `http` target. The paths after `reply` are optional: what they name is recorded when there.

    `prefill: true` says that the server continues an assistant turn at the end of `{messages}`.
    `auth_header` carries the key of `api_key_env`; in `authorization` it stands after `Bearer`, elsewhere alone.
    """

    body: dict[str, JsonValue]
    reply: str
    path: str = ""
    reasoning: str | None = None
    finish: str | None = None
    refusal: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    auth_header: str = _AUTHORIZATION
    prefill: bool = False
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing address or a wrong option."""
    options = read_options(spec, HttpOptions)
    if options.path and not options.path.startswith("/"):
        raise UsageError(f"{spec.name}: option `path` must start with `/`; the host belongs into `base_url`.")
    if wrong := wrong_name(options.auth_header):
        raise UsageError(f"{spec.name}: option `auth_header`: {wrong[0]}.")
    dialect = TemplateDialect(spec.model, options, placeholders(options.body), _paths(options))
    if not dialect.used & {"messages", "prompt"}:
        raise UsageError(f"{spec.name}: option `body` uses neither `{{messages}}` nor `{{prompt}}`: nothing is asked.")
    if options.prefill and "messages" not in dialect.used:
        raise UsageError(f"{spec.name}: option `prefill` needs `{{messages}}` in `body`: the turn has no other place.")
    place = locate(spec)
    wire = HttpWire(place.address.url, _headers(place, options) | place.extra, verify=options.verify)
    capabilities = Capabilities(
        system=bool(dialect.used & {"messages", "system"}),
        logprobs=False,
        seed=None if "seed" in dialect.used else False,
        n=False,
        prefill=continues(spec),
        temperature=None if "temperature" in dialect.used else False,
        json_schema=None if "json_schema" in dialect.used else False,
    )
    return Adapter(spec, Parts(place, wire, dialect, price_of(spec), models_path=""), capabilities)


def _headers(place: Place, options: HttpOptions) -> dict[str, str]:
    if not place.key:
        return {}
    scheme = "Bearer " if options.auth_header.lower() == _AUTHORIZATION else ""
    return {options.auth_header: scheme + place.key.reveal()}


def _paths(options: HttpOptions) -> dict[str, Path]:
    named = ("reply", "reasoning", "finish", "refusal", "input_tokens", "output_tokens")
    texts = {name: getattr(options, name) for name in named}
    return {name: parse_path(text, option=name) for name, text in texts.items() if text is not None}


@dataclass(frozen=True, slots=True)
class TemplateDialect:
    """A dialect that the user wrote."""

    model: str
    options: HttpOptions
    used: frozenset[str]
    paths: dict[str, Path]

    @property
    def path(self) -> str:
        """Where requests go, after the base URL."""
        return self.options.path

    @property
    def streaming(self) -> JsonObject:
        """Nothing: the template says all that is sent."""
        return {}

    def body(self, request: ModelRequest, refused: frozenset[str]) -> Body:
        """Fill the template in. Raises ProviderFault for a conversation that it has no place for."""
        self._check_room(request)
        values = values_of(request, self.model, self.used)
        dropped = tuple(name for name in sent_settings(request) if name not in self.used or name in refused)
        filled = fill(self.options.body, values | dict.fromkeys(refused & values.keys()))
        prefilled = () if request.prefill is None else (Way.TURN.value,)
        return Body(filled if isinstance(filled, dict) else {}, dropped, prefilled)

    def _check_room(self, request: ModelRequest) -> None:
        if "messages" in self.used:
            return
        if any(turn.role == "system" for turn in request.messages) and "system" not in self.used:
            raise ProviderFault("bad_request", "the template has no place for a system prompt: add `{system}`")
        if sum(turn.role != "system" for turn in request.messages) > 1:
            raise ProviderFault("bad_request", "the template has no place for earlier turns: use `{messages}`")

    def read(self, payload: JsonValue, prefill: str | None = None) -> Response:  # noqa: ARG002  nothing depends on it
        """Read what the paths name."""
        found = {name: follow(payload, path) for name, path in self.paths.items()}
        reply, refusal = found["reply"], as_text(found.get("refusal"))
        if not isinstance(reply, str) and refusal is None:
            keys = ", ".join(sorted(as_object(payload))) or "none"
            raise no_answer(f"no text at `{self.options.reply}`; the keys of the answer: {keys}")
        content = Content(texts=[reply if isinstance(reply, str) else ""])
        usage = Usage(
            input_tokens=as_count(found.get("input_tokens")), output_tokens=as_count(found.get("output_tokens"))
        )
        reasoning = reasoning_text(found.get("reasoning"))
        choice = content.choice(
            found.get("finish", "stop"), marks=self.options.marks, reasoning=reasoning, refusal=refusal
        )
        return Response((choice,), usage)
