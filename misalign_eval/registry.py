"""The one table of what a name stands for. Built-ins are listed; other packages add theirs by entry points.

Nothing is imported until it is asked for: a command that needs one provider pays for one.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from misalign_eval.errors import UsageError, did_you_mean

Kind = Literal["providers", "graders"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "providers": {
        "anthropic": "misalign_eval.providers.anthropic:create",
        "azure": "misalign_eval.providers.compatible:create",
        "command": "misalign_eval.providers.command:create",
        "embedded": "misalign_eval.providers.embedded:create",
        "gemini": "misalign_eval.providers.compatible:create",
        "http": "misalign_eval.providers.http:create",
        "llama-server": "misalign_eval.providers.compatible:create",
        "ollama": "misalign_eval.providers.compatible:create",
        "openai": "misalign_eval.providers.openai:create",
        "openai-compatible": "misalign_eval.providers.compatible:create",
        "openrouter": "misalign_eval.providers.compatible:create",
        "replay": "misalign_eval.providers.replay:create",
        "sglang": "misalign_eval.providers.compatible:create",
        "vllm": "misalign_eval.providers.compatible:create",
    },
    "graders": {},
}
WITHOUT_HTTP = frozenset({"command", "embedded", "replay"})  # of the built-in providers


def names(kind: Kind) -> list[str]:
    """Every known name of a kind, built-in or installed, sorted."""
    return sorted({point.name for point in _installed(kind)} | BUILT_IN[kind].keys())


def load(kind: Kind, name: str) -> Any:  # noqa: ANN401  the caller knows what its kind is
    """Import what `name` stands for. Raises UsageError with the nearest name when there is none."""
    if path := BUILT_IN[kind].get(name):
        module, _, attribute = path.partition(":")
        return getattr(import_module(module), attribute)
    for point in _installed(kind):
        if point.name == name:
            return point.load()
    raise UsageError(f"unknown {kind[:-1]} `{name}`. {did_you_mean(name, names(kind))}")


@cache
def _installed(kind: Kind) -> tuple[EntryPoint, ...]:
    """What other packages offer; looking through all that is installed takes milliseconds."""
    return tuple(entry_points(group=f"misalign_eval.{kind}"))
