"""Plug-ins: built-in providers and those of installed packages, and where bundled suites and graders lie."""

import re
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from misalign_eval.errors import UsageError, did_you_mean

# The one table of what a name stands for. Built-ins are listed; other packages add theirs by entry points.
#
# Nothing is imported until it is asked for: a command that needs one provider pays for one.


Kind = Literal["providers", "graders"]
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

BUILT_IN: dict[Kind, dict[str, str]] = {
    "providers": {
        "anthropic": "misalign_eval.providers.anthropic:create",
        "azure": "misalign_eval.providers.chat_completions:create",
        "command": "misalign_eval.providers.command:create",
        "embedded": "misalign_eval.providers.embedded:create",
        "gemini": "misalign_eval.providers.chat_completions:create",
        "http": "misalign_eval.providers.http:create",
        "llama-server": "misalign_eval.providers.chat_completions:create",
        "ollama": "misalign_eval.providers.chat_completions:create",
        "openai": "misalign_eval.providers.openai:create",
        "openai-compatible": "misalign_eval.providers.chat_completions:create",
        "openrouter": "misalign_eval.providers.chat_completions:create",
        "replay": "misalign_eval.providers.replay:create",
        "sglang": "misalign_eval.providers.chat_completions:create",
        "vllm": "misalign_eval.providers.chat_completions:create",
    },
    "graders": {},
}
_REGISTERED: dict[Kind, dict[str, Any]] = {"providers": {}, "graders": {}}  # by this process, for as long as it lives
WITHOUT_HTTP = frozenset({"command", "embedded", "replay"})  # of the built-in providers


def names(kind: Kind) -> list[str]:
    """Every known name of a kind, built-in, registered or installed, sorted."""
    return sorted({point.name for point in _installed(kind)} | BUILT_IN[kind].keys() | _REGISTERED[kind].keys())


def load(kind: Kind, name: str) -> Any:  # noqa: ANN401  the caller knows what its kind is
    """Import what `name` stands for. Raises UsageError with the nearest name when there is none."""
    if path := BUILT_IN[kind].get(name):
        module, _, attribute = path.partition(":")
        return getattr(import_module(module), attribute)
    if name in _REGISTERED[kind]:
        return _REGISTERED[kind][name]
    for point in _installed(kind):
        if point.name == name:
            return point.load()
    raise UsageError(f"unknown {kind[:-1]} `{name}`. {did_you_mean(name, names(kind))}")


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


# Where the suites and graders that ship with the package are.


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
