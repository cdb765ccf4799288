"""Whether the model that answers is the one that was asked for, told from the names alone."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import combinations
from typing import Literal, NamedTuple

Likeness = Literal["same", "alias", "other"]

# Adapters whose servers answer with a name of their own, whatever was asked for: deployments, programs, recordings.
_ONE_NAME = frozenset({"azure", "command", "http", "llama-server", "replay"})
_COMPARED = 60  # names held against each other: a hostile server may invent one for every answer
_NOT_HELD = frozenset({"embedded", "imported"})  # a part of this package; rows of others
_ROUTERS = re.compile(
    r"(?:^|[/-])(?:auto|router|model-router|fusion)$|^openrouter/|:(?:application-)?inference-profile/"
)
_NAMELESS = re.compile(
    r"(?:auto|any|chat|custom|default|deployment|dummy|fake|gpt|llm|local|model|none|placeholder|test|tgi|unknown|vllm)"
    r"(?:[-_ ]?model)?|(?!o\d).{1,2}|[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{40,64}",
    re.IGNORECASE,
)
_LOCAL_FILE = re.compile(r"^(?:[~.]{0,2}[/\\]|[A-Za-z]:[/\\])|\.(?:gguf|ggml|bin|safetensors)$", re.IGNORECASE)
_REGIONS = re.compile(r"^(?:us-gov|us|eu|apac|ap|global|jp|au|ca|sa|me|af|in|uk)\.(?=[a-z0-9-]+\.)")
_VENDORS = re.compile(
    r"^(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|mistral|moonshot|nvidia|openai|qwen|stability|writer)\."
)
_ROUTER_TAGS = re.compile(r":(?:beta|exacto|extended|floor|free|latest|nitro|online|thinking)$")
_QUANTISED = (
    r"fp8|fp16|bf16|fp4|nvfp4|mxfp4|int4|int8|[48]bit|awq|gptq|gguf|ggml|mlx|bnb|exl2|exl3|hqq|w4a16|w8a8|w8a16|marlin|"
    r"i?q\d(?:-(?:k|\d|xs|xxs|nl|s|m))*(?:-(?:s|m|l|xl))?"
)
_YEAR, _MONTH, _DAY = r"20\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DATE = (
    rf"{_YEAR}-{_MONTH}-{_DAY}|{_YEAR}{_MONTH}{_DAY}|{_MONTH}-{_YEAR}|{_YEAR}-{_MONTH}|{_MONTH}-{_DAY}|"
    rf"{_MONTH}{_DAY}|2[3-9]{_MONTH}"
)
_REVISION = re.compile(rf"-(?:{_DATE}|v\d+(?:-\d+)?(?::\d+)?|v\d+:\d+|00\d|preview|experimental|exp|{_QUANTISED})$")
_LATEST = re.compile(r"-latest$|(?<=^claude-opus-4)-0$|(?<=^claude-sonnet-4)-0$")


class _Name(NamedTuple):
    """A model's name, taken apart."""

    core: tuple[str, ...]  # words, then numbers: routers turn `claude-sonnet-4.5` into `claude-4.5-sonnet`
    revisions: frozenset[str]  # dates, versions, quantisation
    is_moving: bool  # `…-latest`: stands for what its vendor chooses


@lru_cache(maxsize=1024)
def compare(asked: str, served: str) -> Likeness:
    """Whether two names mean one model: the same, the same by another spelling (date, path, case), or another one.

    >>> compare("gpt-4.1", "gpt-4.1-2025-04-14"), compare("gpt-4o", "gpt-4o-mini"), compare("llama3", "llama3:latest")
    ('alias', 'other', 'alias')
    """
    if asked == served:
        return "same"
    one, two = _plain(asked), _plain(served)
    if one == two:
        return "alias"
    if one.startswith("/") and two.startswith("/"):
        return "other"  # two folders of one machine: their last parts (`final`) tell nothing
    ours, theirs = _parts(one), _parts(two)
    if ours.core != theirs.core:
        is_chosen = ours.is_moving and set(ours.core) < set(theirs.core)
        return "alias" if is_chosen else "other"
    is_refined = ours.revisions <= theirs.revisions or theirs.revisions <= ours.revisions
    return "alias" if is_refined or ours.is_moving else "other"


def _plain(name: str) -> str:
    return name.strip().casefold().replace("\\", "/")


def _is_unchanged(first: str, served: str) -> bool:
    """Whether two answers of one run name one model: another date, version or quantisation is another one, too."""
    if compare(first, served) == "other":
        return False
    return _parts(_plain(first)).revisions == _parts(_plain(served)).revisions


def _parts(name: str) -> _Name:
    if name.startswith("ft:"):
        base, *rest = name[3:].split(":")
        inner = _parts(base)
        return inner._replace(core=(*inner.core, *(f":{part}" for part in rest)))
    name = _last(name)
    name = _VENDORS.sub("", _REGIONS.sub("", name))
    name = re.sub(r"\.(?:gguf|ggml|bin|safetensors)$", "", name)
    name = _ROUTER_TAGS.sub("", name).replace("@", "-")
    name = re.sub(r":(?=i?q\d|f16|bf16|fp16)", "-", name)  # llama.cpp's and Ollama's tag of a quantised file
    name = re.sub(r"(?<!:)[._\s]+", "-", name)
    revisions: set[str] = set()
    is_moving = False
    while True:
        if latest := _LATEST.search(name):
            is_moving |= latest[0] == "-latest"
            name = name[: latest.start()]
        elif found := _REVISION.search(name):
            revisions.add(found[0][1:])
            name = name[: found.start()]
        else:
            break
    name, _, tag = name.partition(":")
    words = sorted(name.split("-"), key=lambda word: word[:1].isdigit())  # each kind in its order: `lr-1-ep-3`
    return _Name((*words, *([f":{tag}"] if tag else [])), frozenset(revisions), is_moving)


def _last(path: str) -> str:
    """The last part of a path. A cache of Hugging Face keeps the name in a folder further up."""
    if cached := re.search(r"models--[^/]*?--([^/]+)", path):
        return cached[1]
    return path.rstrip("/").rsplit("/", 1)[-1]


def is_alias(provider: str, asked: str) -> bool:
    """Whether the name asked for says by design nothing of the model that answers: a deployment, a router."""
    is_built_in = provider in _ONE_NAME
    return is_built_in or bool(_ROUTERS.search(asked.casefold())) or bool(_NAMELESS.fullmatch(asked.strip()))


def _says_nothing(asked: str, served: str) -> bool:
    """Whether a server calls its only model by a file, a placeholder or a number."""
    is_file = bool(_LOCAL_FILE.search(served)) and not _LOCAL_FILE.search(asked)
    return is_file or bool(_NAMELESS.fullmatch(served.strip()))


@dataclass(slots=True)
class Served:
    """Holds the models that answer against the one that was asked for, in the order of the answers.

    `accepted` are names or patterns (`*`, `?`) that stand for it, too. The name of the first answer must not change, in
    its date, version or quantisation neither; where the name asked for means nothing by design, it is all there is.
    """

    provider: str
    model: str
    accepted: tuple[str, ...] = ()
    first: str | None = None  # as the first admitted answer named it
    _known: dict[str, bool] = field(default_factory=dict)

    def admits(self, served: str | None) -> bool:
        """Whether this answer is of the model that was asked for. An answer without a name is: nothing can be held."""
        if not served or not served.strip():
            return True
        known = self._known.get(served)
        if known is None:
            known = self._decide(served)
            if len(self._known) < 1000:  # a hostile server may invent a name an answer
                self._known[served] = known
        return known

    def _decide(self, served: str) -> bool:
        if self.provider in _NOT_HELD or self.is_accepted(served):
            return True
        likeness = compare(self.model, served)
        may_be_it = likeness != "other" or is_alias(self.provider, self.model) or _says_nothing(self.model, served)
        if not may_be_it:
            return False
        if self.first is None:
            self.first = served
        return _is_unchanged(self.first, served)

    def is_accepted(self, served: str) -> bool:
        """Whether the user said that this name, too, stands for the model."""
        return any(matches(pattern, served) for pattern in self.accepted)

    def words(self, served: str) -> str:
        """What to know of an admitted answer's name; empty where it is the name asked for."""
        if served == self.model or self.provider in _NOT_HELD:
            return ""
        if self.is_accepted(served):
            return f"answers as `{served}`, which `served_as` accepts"
        if compare(self.model, served) == "alias":
            return f"answers as `{served}`"
        return f"answers as `{served}`: the name asked for does not tell which model that is, and it must not change"


def matches(pattern: str, served: str) -> bool:
    """Whether a name that the user wrote, or a pattern with `*` and `?`, stands for this one; case is no difference."""
    wanted, name = pattern.strip().casefold(), served.strip().casefold()
    if any(sign in wanted for sign in "*?["):
        return fnmatchcase(name, wanted) or fnmatchcase(_last(name), wanted)
    return compare(wanted, name) != "other"


def mixed(provider: str, model: str, served: Iterable[str], item: Sequence[str] = ()) -> tuple[str, ...]:
    """Of the names that answered, those that are several models; nothing where all may be one.

    Names that differ in date, path or case alone are one model. So are names that stand in ``one``, together with those
    that are the model asked for.

    >>> mixed("openai", "gpt-x", ["gpt-x", "gpt-x-2026-01-02"]), mixed("openai", "gpt-x", ["gpt-x", "gpt-y"])
    ((), ('gpt-x', 'gpt-y'))
    >>> mixed("openai", "gpt-x", ["gpt-x", "gpt-y"], ["gpt-y"])
    ()
    """
    if provider in _NOT_HELD:
        return ()
    names = sorted(set(served))[:_COMPARED]
    listed = {name for name in names if any(matches(known, name) for known in item)}
    together = listed | {name for name in names if listed and compare(model, name) != "other"}
    found = {
        name
        for first, second in combinations(names, 2)
        if compare(first, second) == "other" and not {first, second} <= together
        for name in (first, second)
    }
    return tuple(sorted(found))


def strangers(provider: str, model: str, served: Iterable[str]) -> list[str]:
    """Of the names that answered, those of another model, whatever was accepted; for a policy that pins the model."""
    held = Served(provider, model)
    return [name for name in served if not held.admits(name)]
