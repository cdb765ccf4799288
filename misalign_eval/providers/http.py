"""Provider `http`: any JSON API, by a template of the request and a path in the answer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from misalign_eval.errors import ProviderError, UsageError, did_you_mean
from misalign_eval.providers.catalog import price_of
from misalign_eval.providers.chat_completions import Body, Exchange, HttpProvider, MarkupOptions, read_options
from misalign_eval.providers.endpoints import Endpoint, resolve_endpoint
from misalign_eval.providers.errors import as_count, as_object, as_text, no_answer
from misalign_eval.providers.message_content import Content, reasoning_text
from misalign_eval.providers.prefill import Way, continues
from misalign_eval.providers.transport import HttpTransport, JsonObject
from misalign_eval.providers.unsupported_params import SETTINGS, sent_settings
from misalign_eval.records.headers import wrong_name
from misalign_eval.records.protocols import Capabilities, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.run import Usage

# Request templates: JSON in which `{prompt}` and the like stand for parts of a request.
#
# Values are put into the parsed template, never into its text, so that no prompt can break the JSON or be expanded
# twice.


_MARK = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")
_LEAVE_OUT = object()
PLACEHOLDERS = ("model", "messages", "prompt", "system", *SETTINGS)


def placeholders(template: JsonValue) -> frozenset[str]:
    """The placeholders that a template uses. Raises UsageError for one that does not exist."""
    used = frozenset(_marks(template))
    for name in sorted(used - set(PLACEHOLDERS)):
        raise UsageError(
            f"option `body`: unknown placeholder `{{{name}}}`. {did_you_mean(name, PLACEHOLDERS)} "
            "A brace that is meant as such is doubled."
        )
    return used


def _marks(template: JsonValue) -> Iterator[str]:
    match template:
        case str():
            yield from (name for name in _MARK.findall(template) if name)
        case list():
            for item in template:
                yield from _marks(item)
        case dict():
            for item in template.values():
                yield from _marks(item)


def template_values(request: ModelRequest, model: str, used: frozenset[str]) -> dict[str, JsonValue]:
    """What each placeholder stands for in this request; None for what is not set.

    `{messages}` holds the system prompt too, unless `{system}` has a place of its own. `{prompt}` is the last turn.
    """
    system = "\n\n".join(turn.content for turn in request.messages if turn.role == "system") or None
    shown = [turn for turn in request.messages if turn.role != "system" or "system" not in used]
    values: dict[str, JsonValue] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in shown],
        "prompt": request.messages[-1].content,
        "system": system,
        "stop": None if request.stop is None else list(request.stop),
        "n": request.n if request.n > 1 else None,
        "json_schema": None if request.json_schema is None else dict(request.json_schema),
    }
    for name in ("temperature", "top_p", "max_tokens", "seed", "top_logprobs", "reasoning_effort"):
        values[name] = getattr(request, name)
    return values


def render_template(template: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    """The template with its placeholders replaced. A text that is one placeholder takes the value with its type.

    A key or an item whose placeholder stands for nothing is left out.

    >>> render_template({"q": "Q: {prompt}", "n": "{n}", "t": "{seed}"}, {"prompt": 'a "{n}"', "n": 2, "seed": None})
    {'q': 'Q: a "{n}"', 'n': 2}
    """
    filled = _fill(template, values)
    return None if filled is _LEAVE_OUT else filled  # type: ignore[return-value]  # the mark itself never gets out


def _fill(template: JsonValue, values: Mapping[str, JsonValue]) -> object:
    match template:
        case str():
            return _fill_text(template, values)
        case list():
            items = (_fill(item, values) for item in template)
            return [item for item in items if item is not _LEAVE_OUT]
        case dict():
            pairs = ((key, _fill(item, values)) for key, item in template.items())
            return {key: item for key, item in pairs if item is not _LEAVE_OUT}
        case _:
            return template


def _fill_text(text: str, values: Mapping[str, JsonValue]) -> object:
    whole = _MARK.fullmatch(text)
    if whole and whole.group(1):
        value = values[whole.group(1)]
        return _LEAVE_OUT if value is None else value
    return _MARK.sub(lambda mark: _inner(mark, values), text)


def _inner(mark: re.Match[str], values: Mapping[str, JsonValue]) -> str:
    if mark.group(1) is None:
        return mark.group(0)[0]
    value = values[mark.group(1)]
    return "" if value is None else str(value)


# Paths into an answer: `choices[0].message.content`, or `choices.0.message.content`.


Path = tuple[str | int, ...]
_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(-?\d+)\]")


def parse_path(text: str, *, option: str) -> Path:
    """The steps of a path. Raises UsageError when it is none.

    >>> parse_path("data[0].text", option="reply")
    ('data', 0, 'text')
    """
    steps = list(_STEP.finditer(text))
    if not steps or "".join(step.group(0) for step in steps) != text:
        raise UsageError(f"option `{option}`: `{text}` is no path. Write it like `choices[0].message.content`.")
    return tuple(int(step.group(2)) if step.group(2) else _name(step.group(1)) for step in steps)


def _name(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def get_path(value: JsonValue, path: Path) -> JsonValue:
    """The value at a path; None when there is nothing."""
    for step in path:
        match value, step:
            case list(), int() if -len(value) <= step < len(value):
                value = value[step]
            case dict(), _:
                value = value.get(str(step))
            case _:
                return None
    return value


# Any JSON API: a template says what to send, a path where the reply stands.


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
    endpoint = resolve_endpoint(spec)
    wire = HttpTransport(endpoint.address.url, _headers(endpoint, options) | endpoint.extra, verify=options.verify)
    capabilities = Capabilities(
        system=bool(dialect.used & {"messages", "system"}),
        logprobs=False,
        seed=None if "seed" in dialect.used else False,
        n=False,
        prefill=continues(spec),
        temperature=None if "temperature" in dialect.used else False,
        json_schema=None if "json_schema" in dialect.used else False,
    )
    return HttpProvider(spec, Exchange(endpoint, wire, dialect, price_of(spec), models_path=""), capabilities)


def _headers(endpoint: Endpoint, options: HttpOptions) -> dict[str, str]:
    if not endpoint.key:
        return {}
    scheme = "Bearer " if options.auth_header.lower() == _AUTHORIZATION else ""
    return {options.auth_header: scheme + endpoint.key.reveal()}


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
        values = template_values(request, self.model, self.used)
        dropped = tuple(name for name in sent_settings(request) if name not in self.used or name in refused)
        filled = render_template(self.options.body, values | dict.fromkeys(refused & values.keys()))
        prefilled = () if request.prefill is None else (Way.TURN.value,)
        return Body(filled if isinstance(filled, dict) else {}, dropped, prefilled)

    def _check_room(self, request: ModelRequest) -> None:
        if "messages" in self.used:
            return
        if any(turn.role == "system" for turn in request.messages) and "system" not in self.used:
            raise ProviderError("bad_request", "the template has no place for a system prompt: add `{system}`")
        if sum(turn.role != "system" for turn in request.messages) > 1:
            raise ProviderError("bad_request", "the template has no place for earlier turns: use `{messages}`")

    def read(self, payload: JsonValue, prefill: str | None = None) -> Response:  # noqa: ARG002  nothing depends on it
        """Read what the paths name."""
        found = {name: get_path(payload, path) for name, path in self.paths.items()}
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
