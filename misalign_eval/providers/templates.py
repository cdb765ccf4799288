"""Request templates: JSON in which `{prompt}` and the like stand for parts of a request.

Values are put into the parsed template, never into its text, so that no prompt can break the JSON or be expanded twice.
"""

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.providers.restrictions import SETTINGS
from misalign_eval.records.protocols import ModelRequest

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


def values_of(request: ModelRequest, model: str, used: frozenset[str]) -> dict[str, JsonValue]:
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


def fill(template: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    """The template with its placeholders replaced. A text that is one placeholder takes the value with its type.

    A key or an item whose placeholder stands for nothing is left out.

    >>> fill({"q": "Q: {prompt}", "n": "{n}", "t": "{seed}"}, {"prompt": 'a "{n}"', "n": 2, "seed": None})
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
