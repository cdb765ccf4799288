"""Model names, and the optional `misalign-eval.yaml` that names targets and judges."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, PrivateAttr

from misalign_eval import plugins
from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.records.base import Record
from misalign_eval.records.headers import FromVariable, Header, key_headers, looks_secret, wrong_name, wrong_value
from misalign_eval.records.protocols import ModelSpec
from misalign_eval.records.suite import Sampling
from misalign_eval.yaml_source import document as yaml_document
from misalign_eval.yaml_source import validate

FILE_NAME = "misalign-eval.yaml"
Role = Literal["targets", "judges"]

_SECRET_NAMES = {"api_key", "apikey", "api-key", "key", "token", "auth_token", "access_token", "secret", "password"}
_SECRET_NAME = re.compile(
    r"(?:api|access|auth|secret|private)[-_]?(?:key|token)$|secret$|password$|^authorization$|^cookie$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"^(?:(?:bearer|basic)\s+\S+|(?:sk|pk|rk|gsk|xai|hf|key|AIza)[-_A-Za-z0-9]{16,})$"
    r"|://[^\s@]*:[^\s@]+@"  # a user name and password in an address
    r"|[?&][^=&\s]*(?:key|token|secret|password|sig|signature)=[^&{\s]+",  # a key in the query of an address
    re.IGNORECASE,
)
_BARE = (
    (re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o\d(?:-|$)|davinci|babbage)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
)


class PriceSettings(Record):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None


class NamedModel(Record):
    """A target or a judge with a name of its own."""

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    options: dict[str, JsonValue] = {}
    prices: PriceSettings | None = None
    sampling: Sampling = Sampling()
    served_as: str | tuple[str, ...] = ()  # a name, a list or patterns by which the model that answers may call itself
    headers: dict[str, str | FromVariable] = {}  # extra ones of each request, by name


class RunDefaults(Record):
    """What `run` takes where its flags say nothing."""

    max_connections: Annotated[int, Field(gt=0)] | None = None


class Settings(Record):
    """The content of misalign-eval.yaml; empty when there is none."""

    targets: dict[str, NamedModel] = {}
    judges: dict[str, NamedModel] = {}
    run: RunDefaults = RunDefaults()
    _document: yaml_document.Document | None = PrivateAttr(default=None)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """Names of the environment variables that hold keys or values of headers."""
        models = [*self.targets.values(), *self.judges.values()]
        of_keys = [model.api_key_env for model in models if model.api_key_env]
        return (
            *of_keys,
            *(value.env for model in models for value in model.headers.values() if not isinstance(value, str)),
        )

    def written_in(self, document: yaml_document.Document) -> "Settings":
        """These settings, which know the lines of their file."""
        self._document = document
        return self

    def headers(self, name: str, role: Role = "targets") -> tuple[Header, ...]:
        """The extra request headers of the model of this name, each with the place where it is written."""
        other: Role = "judges" if role == "targets" else "targets"
        for where in (role, other):
            if (model := self.of_role(where).get(name)) is not None:
                return tuple(
                    self._header((where, name, "headers", item), value) for item, value in model.headers.items()
                )
        return ()

    def _header(self, loc: tuple[str, ...], value: str | FromVariable) -> Header:
        place = f"{self._document.file}:{self._document.line_of(loc)}" if self._document else FILE_NAME
        if isinstance(value, str):
            return Header(loc[-1], value, place=place)
        return Header(loc[-1], variable=value.env, place=place)

    def of_role(self, role: Role) -> Mapping[str, NamedModel]:
        """The models of one role by name."""
        return self.targets if role == "targets" else self.judges

    def named(self, name: str, role: Role = "targets") -> NamedModel | None:
        """The model of this name, looked up in its own role first."""
        return self.of_role(role).get(name) or self.of_role("judges" if role == "targets" else "targets").get(name)


def parse_model(text: str) -> tuple[str, str]:
    """Split a name into provider and model at the first `/` or `:`, once. Raises UsageError that says what to write.

    >>> parse_model("openai/ft:gpt-4.1-mini-2025-04-14:org::id"), parse_model("ollama:llama3:8b")
    (('openai', 'ft:gpt-4.1-mini-2025-04-14:org::id'), ('ollama', 'llama3:8b'))
    """
    provider, mark, model = _split(text)
    known = plugins.names("providers")
    if mark and provider in known and model.strip():
        return provider, model
    if mark and provider in known:
        raise UsageError(f"`{text}` names no model. Write `{provider}/MODEL`.")
    raise UsageError(_advice(text, provider if mark else "", known))


def _split(text: str) -> tuple[str, str, str]:
    at = min((index for index in (text.find("/"), text.find(":")) if index >= 0), default=-1)
    return (text[:at], text[at], text[at + 1 :]) if at >= 0 else (text, "", "")


def _advice(text: str, provider: str, known: list[str]) -> str:
    if not text.strip():
        return "the model's name is empty. Write `provider/model`."
    for pattern, vendor in _BARE:
        if pattern.match(text):
            return f"`{text}` does not say which provider. Did you mean `{vendor}/{text}`?"
    if not provider:
        return (
            f"`{text}` does not say which provider. Write `provider/model`, "
            f"or `openai-compatible/{text}` with `--base-url`. {did_you_mean('', known)}"
        )
    return (
        f"unknown provider `{provider}`. {did_you_mean(provider, known)} "
        f"A model at a server of your own is `openai-compatible/{text}` with `--base-url`."
    )


def find(start: Path) -> Path | None:
    """The nearest misalign-eval.yaml at or above `start`."""
    folder = start.resolve()
    return next((file for parent in (folder, *folder.parents) if (file := parent / FILE_NAME).is_file()), None)


def load_settings(start: Path) -> Settings:
    """Read the nearest misalign-eval.yaml at or above `start`. Raises InputError with all that is wrong in it."""
    file = find(start)
    if file is None:
        return Settings()
    if is_planted(file):
        what = "belongs to another user, and stands where everybody may write: it could send your keys anywhere"
        raise InputError([Problem(str(file), None, "", what, "Work in a folder of your own, outside this one")])
    return _read(file)


def is_planted(file: Path) -> bool:
    """Whether somebody else may have laid a file where we look, as into /tmp. A colleague's is no trap."""
    if not hasattr(os, "getuid"):  # pragma: no cover  there is no such folder on Windows
        return False
    return bool(file.parent.stat().st_mode & stat.S_IWOTH) and file.stat().st_uid not in {0, os.getuid()}


def _read(file: Path) -> Settings:
    document = yaml_document.load(file)
    if secrets := list(_secrets(document, document.data, ())):
        raise InputError(secrets)
    settings = validate.parse(document, Settings)
    if problems := list(_wrong_models(document, settings)):
        raise InputError(problems)
    return settings.written_in(document)


def _secrets(document: yaml_document.Document, value: JsonValue, loc: tuple[str | int, ...]) -> Iterator[Problem]:
    """Keys that stand in the file. Their values are not repeated."""
    match value:
        case dict():
            for name, item in value.items():
                if isinstance(item, str) and _is_secret(name, item):
                    yield _secret(document, (*loc, name))
                elif _is_headers(loc):
                    yield from _secret_header(document, (*loc, name), item)
                elif name != "api_key_env":
                    yield from _secrets(document, item, (*loc, name))
        case list():
            for index, item in enumerate(value):
                yield from _secrets(document, item, (*loc, index))
        case str() if _SECRET_VALUE.search(value):
            yield _secret(document, loc)


def _is_headers(loc: tuple[str | int, ...]) -> bool:
    return len(loc) == 3 and loc[0] in ("targets", "judges") and loc[2] == "headers"


def _secret_header(document: yaml_document.Document, loc: tuple[str | int, ...], value: JsonValue) -> Iterator[Problem]:
    """A header that is or seems to be a secret, or one whose variable seems to be the secret itself."""
    match value:
        case {"env": str(variable)} if variable:
            if not _names_a_variable(variable):
                what = "`env` takes the name of an environment variable, not a value"
                yield document.problem((*loc, "env"), what, "Write `{env: NAME_OF_THE_VARIABLE}`.")
        case str() | int() | float() if value and looks_secret(str(loc[-1])):
            yield _secret(document, loc)
        case _:
            yield from _secrets(document, value, loc)


def _is_secret(name: str, value: str) -> bool:
    if name == "api_key_env":
        return not _names_a_variable(value)
    return bool(value) and (name.lower() in _SECRET_NAMES or bool(_SECRET_NAME.search(name)))


def _names_a_variable(text: str) -> bool:
    """Whether it can be the name of a variable. By its letters a key can be one, too: `gsk_` and what follows."""
    is_key = bool(_SECRET_VALUE.search(text)) and text != text.upper() and any(map(str.isdigit, text))
    return text.isidentifier() and not is_key


def _secret(document: yaml_document.Document, loc: tuple[str | int, ...]) -> Problem:
    if _is_headers(loc[:3]):
        fix = "Put it into an environment variable or a `.env` file and write `{env: NAME_OF_THE_VARIABLE}` here."
        return document.problem(loc[:4], "a header that may be a secret cannot stand in this file", fix)
    return document.problem(
        loc,
        "no key may stand in this file",
        "Put it into an environment variable or a `.env` file and write `api_key_env: NAME_OF_THE_VARIABLE`.",
    )


def _wrong_models(document: yaml_document.Document, settings: Settings) -> Iterator[Problem]:
    roles: Mapping[str, Mapping[str, NamedModel]] = {"targets": settings.targets, "judges": settings.judges}
    for role, models in roles.items():
        for name, model in models.items():
            yield from _wrong_headers(document, (role, name), model)
            if _split(name)[0] in plugins.names("providers") and _split(name)[1]:
                what = "a name that reads like a provider and its model, but stands for something else"
                yield document.problem((role, name), what, "Choose one without `/` and `:`.")
            try:
                parse_model(model.model)
            except UsageError as error:
                yield document.problem((role, name, "model"), str(error))


def _wrong_headers(document: yaml_document.Document, at: tuple[str, str], model: NamedModel) -> Iterator[Problem]:
    """Headers that cannot be sent, or not by this provider."""
    provider = _split(model.model)[0]
    is_ours = provider in plugins.PROVIDERS
    is_known = is_ours or provider in plugins.names("providers")
    if model.headers and is_known and plugins.server_of(provider) is None:
        what = f"provider `{provider}` takes no `headers:`" + (": it sends no HTTP requests" if is_ours else "")
        yield document.problem((*at, "headers"), what, "Take them out." if is_ours else "Only built-in ones do.")
    seen: dict[str, str] = {}
    own = key_headers(provider, model.options) if model.api_key_env else ()
    for name, value in model.headers.items():
        loc = (*at, "headers", name)
        if (first := seen.setdefault(name.lower(), name)) != name:
            yield document.problem(loc, f"the same header as `{first}`: case means nothing", "Keep one of them.")
        elif wrong := wrong_name(name, provider):
            yield document.problem(loc, *wrong)
        elif name.lower() in own:
            yield document.problem(loc, "this header carries the key of `api_key_env`", "Take one of them out.")
        elif isinstance(value, str) and (why := wrong_value(value)):
            yield document.problem(loc, f"the value {why}", "")
        elif not isinstance(value, str) and not value.env:
            yield document.problem((*loc, "env"), "names no environment variable", "Write its name.")


def resolve(
    name_or_model: str,
    settings: Settings,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    role: Role = "targets",
) -> ModelSpec:
    """What a name on the command line stands for; flags win over the file.

    Raises UsageError for what is neither a name in the file nor `provider/model`.
    """
    if api_key_env is not None and not _names_a_variable(api_key_env):
        raise UsageError("`--api-key-env` takes the name of an environment variable, not the key itself.")
    named = settings.named(name_or_model, role)
    if named is None:
        spec = _unnamed(name_or_model, settings)
    else:
        spec = replace(_spec_of(named), given=name_or_model, headers=settings.headers(name_or_model, role))
    return replace(spec, base_url=base_url or spec.base_url, api_key_env=api_key_env or spec.api_key_env)


def told(name: str, settings: Settings, *, base_url: str | None, api_key_env: str | None, role: Role) -> str | None:
    """What the file decides of this model that can cost a secret: host, key, headers, a program. None: nothing.

    Flags win over the file, so that what they say is not the file's.
    """
    named = settings.named(name, role)
    if named is None:
        return None
    provider, model = parse_model(named.model)
    who = f"{'target' if role == 'targets' else 'judge'} {name}"
    host, key = None if base_url else named.base_url, None if api_key_env else named.api_key_env
    if provider == "command":
        return f"{who}: starts the program `{model}`"
    is_unverified = named.options.get("verify") is False
    where = [f"at {host}" if host else "", f"with the key in {key}" if key else "", _sending(named),
             "without verifying TLS" if is_unverified else ""]  # fmt: skip
    return f"{who}: asks {named.model} {' '.join(filter(None, where))}" if any(where) else None


def _sending(named: NamedModel) -> str:
    """Which headers are sent beside the usual ones, and which variables they give away."""
    words = [name if isinstance(value, str) else f"{name} from {value.env}" for name, value in named.headers.items()]
    return f"with header{'s' if len(words) > 1 else ''} {', '.join(words)}" if words else ""


def _spec_of(named: NamedModel) -> ModelSpec:
    provider, model = parse_model(named.model)
    prices = None
    if named.prices is not None:
        prices = (named.prices.input, named.prices.output, named.prices.cached_input)
    accepted = (named.served_as,) if isinstance(named.served_as, str) else named.served_as
    return ModelSpec(provider, model, named.base_url, named.api_key_env, named.options, prices, served_as=accepted)


def _unnamed(text: str, settings: Settings) -> ModelSpec:
    try:
        return ModelSpec(*parse_model(text))
    except UsageError as error:
        names = [*settings.targets, *settings.judges]
        if not names or _split(text)[1]:
            raise
        raise UsageError(f"{error} Named in {FILE_NAME}: {', '.join(sorted(names))}.") from None


def sampling_of(name_or_model: str, settings: Settings, role: Role = "targets") -> Sampling:
    """The sampling settings that the file gives this model; all unset for a model that it does not name.

    Those of a target say nothing of how it judges.
    """
    named = settings.judges.get(name_or_model) if role == "judges" else settings.named(name_or_model, role)
    return named.sampling if named is not None else Sampling()
