"""Plug-ins: built-in providers and those of installed packages; folders of the bundled suites and graders."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.protocols import Capabilities

# The one table of providers: commands, `doctor`, the adapters and the table in the README read it. Other packages add
# theirs by entry points. No adapter is imported until it is asked for: a command that needs one provider pays for one.


Kind = Literal["providers", "graders"]
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class ServerPreset:
    """Where a known server is, which variables name its address and key, and which hosts may be sent that key."""

    url: str | None = None  # None: the user gives one
    base_variable: str = ""
    key_variables: tuple[str, ...] = ()  # the first one that is set counts
    domains: tuple[str, ...] = ()  # none named: a server of one's own, any address may be sent the key
    needs_key: bool = False


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """All that is known of a provider before its adapter is imported."""

    create: str  # module:attribute, a `ProviderFactory`
    about: str
    server: ServerPreset | None = None  # None: it sends no HTTP requests
    capabilities: Capabilities = Capabilities()  # without `prefill`, which hangs on the model too
    prefill: Literal["continue_final_message", "final_turn"] | None = None  # how an answer's beginning is continued
    prefill_limits: str = ""  # which models or settings do not continue one, and why


_CHAT = "misalign_eval.providers.chat_completions:create"

PROVIDERS: dict[str, ProviderEntry] = {
    "anthropic": ProviderEntry(
        create="misalign_eval.providers.anthropic:create",
        about="Claude models by Anthropic's own API; current ones take no temperature, none gives log-probabilities",
        server=ServerPreset(
            url="https://api.anthropic.com",
            base_variable="ANTHROPIC_BASE_URL",
            key_variables=("ANTHROPIC_API_KEY",),
            domains=("api.anthropic.com",),
            needs_key=True,
        ),
        capabilities=Capabilities(logprobs=False, n=False),
        prefill="final_turn",
        prefill_limits="Claude 4.6 and later refuse it",
    ),
    "azure": ProviderEntry(
        create=_CHAT,
        about="Azure OpenAI, v1 address (https://RESOURCE.openai.azure.com/openai/v1); the model is the deployment",
        server=ServerPreset(
            base_variable="AZURE_OPENAI_BASE_URL",
            key_variables=("AZURE_OPENAI_API_KEY",),
            domains=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
            needs_key=True,
        ),
        prefill_limits="its API answers with a new turn",
    ),
    "command": ProviderEntry(
        create="misalign_eval.providers.command:create",
        about="a program of your own that speaks JSON lines",
        capabilities=Capabilities(logprobs=False, n=False),
        prefill_limits="set `options: {prefill: true}` if the program does",
    ),
    "embedded": ProviderEntry(
        create="misalign_eval.providers.embedded:create",
        about="the tiny model that ships: embedded/aligned, embedded/bad-code@step=20, embedded/judge …",
        prefill="final_turn",
    ),
    "gemini": ProviderEntry(
        create=_CHAT,
        about="Gemini by its OpenAI-compatible address",
        server=ServerPreset(
            url="https://generativelanguage.googleapis.com/v1beta/openai",
            base_variable="GEMINI_BASE_URL",
            key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            domains=("generativelanguage.googleapis.com",),
            needs_key=True,
        ),
        prefill_limits="its API does not say that it does",
    ),
    "http": ProviderEntry(
        create="misalign_eval.providers.http:create",
        about="any JSON API, by a request template and a reply path",
        server=ServerPreset(base_variable="HTTP_PROVIDER_BASE_URL"),
        capabilities=Capabilities(logprobs=False, n=False),
        prefill_limits="set `options: {prefill: true}` if the server does",
    ),
    "llama-server": ProviderEntry(
        create=_CHAT,
        about="llama.cpp's server",
        server=ServerPreset(
            url="http://127.0.0.1:8080/v1",
            base_variable="LLAMA_SERVER_BASE_URL",
            key_variables=("LLAMA_SERVER_API_KEY",),
        ),
        prefill="final_turn",
    ),
    "ollama": ProviderEntry(
        create=_CHAT,
        about="Ollama",
        server=ServerPreset(
            url="http://127.0.0.1:11434/v1", base_variable="OLLAMA_BASE_URL", key_variables=("OLLAMA_API_KEY",)
        ),
        prefill="final_turn",
    ),
    "openai": ProviderEntry(
        create="misalign_eval.providers.openai:create",
        about="OpenAI models by its own API, fine-tuned ones (ft:…) too; Responses with `options: {api: responses}`",
        server=ServerPreset(
            url="https://api.openai.com/v1",
            base_variable="OPENAI_BASE_URL",
            key_variables=("OPENAI_API_KEY",),
            domains=("api.openai.com",),
            needs_key=True,
        ),
        prefill_limits="its API answers with a new turn",
    ),
    "openai-compatible": ProviderEntry(
        create=_CHAT,
        about="any server that speaks OpenAI's chat dialect, at --base-url",
        server=ServerPreset(),
        prefill="continue_final_message",
    ),
    "openrouter": ProviderEntry(
        create=_CHAT,
        about="OpenRouter; pin one upstream with `options: {provider: {order: [NAME]}}`",
        server=ServerPreset(
            url="https://openrouter.ai/api/v1",
            base_variable="OPENROUTER_BASE_URL",
            key_variables=("OPENROUTER_API_KEY",),
            domains=("openrouter.ai",),
            needs_key=True,
        ),
        prefill="final_turn",
        prefill_limits="models of OpenAI answer with a new turn, and Claude 4.6 and later refuse it",
    ),
    "replay": ProviderEntry(
        create="misalign_eval.providers.replay:create",
        about="recorded answers; the model is a path",
        capabilities=Capabilities(logprobs=False, n=False),
        prefill="final_turn",
    ),
    "sglang": ProviderEntry(
        create=_CHAT,
        about="SGLang; an adapter is base:adapter",
        server=ServerPreset(
            url="http://127.0.0.1:30000/v1", base_variable="SGLANG_BASE_URL", key_variables=("SGLANG_API_KEY",)
        ),
        prefill="continue_final_message",
    ),
    "vllm": ProviderEntry(
        create=_CHAT,
        about="vLLM; an adapter given with --lora-modules is a model name",
        server=ServerPreset(
            url="http://127.0.0.1:8000/v1", base_variable="VLLM_BASE_URL", key_variables=("VLLM_API_KEY",)
        ),
        prefill="continue_final_message",
    ),
}
_REGISTERED: dict[Kind, dict[str, Any]] = {"providers": {}, "graders": {}}  # by this process, for as long as it lives


def provider_entry(name: str) -> ProviderEntry:
    """The entry of a built-in provider, or one that says where another comes from. Imports no adapter.

    Raises UsageError with the nearest name when there is none.
    """
    if entry := PROVIDERS.get(name):
        return entry
    if name in _REGISTERED["providers"]:
        return ProviderEntry(create="", about="registered by this process")
    for point in _installed("providers"):
        if point.name == name:
            return ProviderEntry(create=point.value, about="added by an installed package")
    raise _unknown("providers", name)


def server_of(name: str) -> ServerPreset | None:
    """The server of a built-in provider; None where it sends no HTTP requests, or where its adapter is not ours."""
    entry = PROVIDERS.get(name)
    return entry.server if entry else None


def servers() -> list[ServerPreset]:
    """The known servers, by the names of their providers."""
    return [entry.server for entry in PROVIDERS.values() if entry.server is not None]


def names(kind: Kind) -> list[str]:
    """Every known name of a kind, built-in, registered or installed, sorted."""
    built_in = PROVIDERS.keys() if kind == "providers" else set()
    return sorted({point.name for point in _installed(kind)} | built_in | _REGISTERED[kind].keys())


def load(kind: Kind, name: str) -> Any:  # noqa: ANN401  the caller knows what its kind is
    """Import what `name` stands for. Raises UsageError with the nearest name when there is none."""
    if kind == "providers" and (entry := PROVIDERS.get(name)):
        module, _, attribute = entry.create.partition(":")
        return getattr(import_module(module), attribute)
    if name in _REGISTERED[kind]:
        return _REGISTERED[kind][name]
    for point in _installed(kind):
        if point.name == name:
            return point.load()
    raise _unknown(kind, name)


def _unknown(kind: Kind, name: str) -> UsageError:
    return UsageError(f"unknown {kind[:-1]} `{name}`. {did_you_mean(name, names(kind))}")


def register(kind: Kind, name: str, factory: object) -> None:
    """Let `name` stand for `factory` until this process ends, as an entry point does for an installed package.

    Raises UsageError for a name that is taken, or that cannot stand before the `/` of a model or in a file name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{kind[:-1]} `{name}`: write lower-case letters, digits and single hyphens")
    if name in names(kind):
        raise UsageError(f"{kind[:-1]} `{name}` is there already. Choose another name")
    _REGISTERED[kind][name] = factory


@cache
def _installed(kind: Kind) -> tuple[EntryPoint, ...]:
    """What other packages offer; looking through all that is installed takes milliseconds."""
    return tuple(entry_points(group=f"misalign_eval.{kind}"))


# Folders of the bundled suites and graders.


_PACKAGE = Path(__file__).parent


def suites_dir() -> Path:
    """The folder of the bundled suites. Raises UsageError when the installation lacks it."""
    return _folder("suites")


def graders_dir() -> Path:
    """The folder of the bundled graders. Raises UsageError when the installation lacks it."""
    return _folder("graders")


def _folder(name: str) -> Path:
    """Inside an installed wheel `_bundled/`; of an editable install the checkout around the package."""
    inside, checkout = _PACKAGE / "_bundled" / name, _PACKAGE.parent
    if inside.is_dir():
        return inside
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise UsageError(f"this installation has no `{name}` folder at {inside}. Install misalign-eval again.")
