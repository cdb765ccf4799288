"""Assistant prefill: an answer whose beginning is given. Who continues it, how each is asked, who cannot."""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from pydantic import JsonValue

from misalign_eval.plugins import PROVIDERS
from misalign_eval.providers.errors import ServerError
from misalign_eval.records.protocols import Choice, ModelRequest, ModelSpec, Response
from misalign_eval.records.run import REPEAT_CUT


class Way(StrEnum):
    """How a server is asked to continue the assistant turn at the end of a conversation."""

    FLAGS = "continue_final_message"  # without it, vLLM and SGLang close the turn and begin a new one
    TURN = "final_turn"  # it continues any such turn


CONTINUE: Mapping[str, JsonValue] = {"continue_final_message": True, "add_generation_prompt": False}
LEAST_REPEAT = 12  # characters: a continuation may begin like its prefill by chance, but not for that long
_CLAUDE = re.compile(r"claude-[a-z]+-(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")  # not the order of names up to 3.7
_FIRST_WITHOUT = (4, 6)
_REFUSAL = re.compile(
    r"prefill|continue_final_message|add_generation_prompt|final message does not appear|expected last role"
    r"|(?:must|should|requests|cannot) end with an? (?:user|assistant)|last message (?:must|should|cannot)",
    re.IGNORECASE,
)


def way_of(spec: ModelSpec) -> Way | None:
    """How this model is asked; None where it cannot be, or where its adapter is not one of ours."""
    chosen = spec.options.get("prefill")
    if isinstance(chosen, str):
        return Way(chosen) if chosen in set(Way) else None
    if spec.provider in ("http", "command"):
        return Way.TURN if chosen is True else None
    if spec.provider in ("anthropic", "openrouter") and _refuses(spec.model):
        return None
    return _way_by_entry(spec.provider)


def continues(spec: ModelSpec) -> bool | None:
    """Whether this model continues an assistant turn, by all that is known beforehand. None: no adapter of ours.

    >>> [continues(ModelSpec("anthropic", f"claude-{name}")) for name in ("sonnet-4-5-20250929", "opus-4-6", "haiku-5")]
    [True, False, False]
    """
    return way_of(spec) is not None if spec.provider in PROVIDERS else None


def cannot(spec: ModelSpec) -> str:
    """Why a model that does not continue an assistant turn does not."""
    if spec.options.get("prefill") == "none":
        return "its option `prefill` is `none`"
    entry = PROVIDERS.get(spec.provider)
    return (entry.prefill_limits if entry else "") or "its adapter does not say that it does"


def described(provider: str) -> str:
    """What `providers show` says of a provider of ours; empty for another's."""
    entry = PROVIDERS.get(provider)
    if entry is None:
        return ""
    if (way := _way_by_entry(provider)) is None:
        return f"no: {entry.prefill_limits or 'its adapter does not say that it does'}"
    how = "by `continue_final_message`" if way is Way.FLAGS else "an assistant turn at the end is continued"
    return f"{how}; {entry.prefill_limits}" if entry.prefill_limits else how


def _way_by_entry(provider: str) -> Way | None:
    entry = PROVIDERS.get(provider)
    return Way(entry.prefill) if entry and entry.prefill else None


def continued(response: Response, request: ModelRequest, sent: tuple[str, ...]) -> Response:
    """The response with the continuations alone: an answer that repeats the prefill at its start is cut there."""
    if request.prefill is None:
        return response
    choices = tuple(_without_repeat(choice, request.prefill) for choice in response.choices)
    cut = (REPEAT_CUT,) if choices != response.choices else ()
    return replace(response, choices=choices, prefilled=(*sent, *cut))


def refuses_prefill(error: ServerError, request: ModelRequest) -> bool:
    """Whether an error says that an assistant turn must not stand at the end, or that a flag for it is not taken."""
    return request.prefill is not None and error.status in (400, 422) and _REFUSAL.search(error.message) is not None


def _without_repeat(choice: Choice, prefill: str) -> Choice:
    """Cut a repeat only where it cannot be chance: letter for letter, from the first one on, and long enough."""
    bare = prefill.rstrip()
    if len(bare) < LEAST_REPEAT or not choice.text.startswith(bare):
        return choice
    space = prefill[len(bare) :]
    return replace(choice, text=choice.text[len(bare) :].removeprefix(space))


def _refuses(model: str) -> bool:
    if model.startswith("openai/") and not model.startswith("openai/gpt-oss"):
        return True
    found = _CLAUDE.search(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) >= _FIRST_WITHOUT
