"""YAML nodes with positions: bounded, strict, and free of ambiguous scalars."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import yaml
from pydantic import JsonValue
from yaml import SafeLoader
from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from misalign_eval.errors import InputError, Problem

# Which plain words of a YAML file are numbers, booleans or null, and which only look so to some readers.


_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None, "": None}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NEW_OCTAL = re.compile(r"0o[0-7]+")  # a number in YAML 1.2, text in YAML 1.1
_MOST_DIGITS = 18
_KINDS = {"bool": "a boolean", "int": "a number", "float": "a number", "timestamp": "a date", "null": "null"}
_PLAINLY = {"bool": " or write `true` or `false`", "null": " or write `null`"}


class AmbiguousScalarError(Exception):
    """A plain word that readers of YAML do not agree on. The arguments are what is wrong and how to mend it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def resolve_scalar(word: str) -> JsonValue:
    """The value of an unquoted word. Raises AccidentError for one that means different things to different readers.

    >>> resolve_scalar("0.7"), resolve_scalar("true"), resolve_scalar("1.0.0")
    (0.7, True, '1.0.0')
    """
    if word in _WORDS:
        return _WORDS[word]
    if _DECIMAL.fullmatch(word):
        return _number(word)
    kind = "int" if _NEW_OCTAL.fullmatch(word) else _implicit(word)
    if kind in _KINDS:
        raise _accident(word, kind)
    return word


def _number(word: str) -> int | float:
    if _INTEGER.fullmatch(word):
        if len(word) > _MOST_DIGITS:
            raise AmbiguousScalarError("a number with more than 18 digits", "Quote it if it is text.")
        return int(word)
    value = float(word)
    if not math.isfinite(value):
        raise AmbiguousScalarError(f"`{word[:40]}` is too large for a number", "Quote it if it is text.")
    return value


def _implicit(word: str) -> str:
    resolvers = SafeLoader.yaml_implicit_resolvers
    for tag, pattern in [*resolvers.get(word[:1], []), *resolvers.get(None, [])]:
        if pattern.match(word):
            return str(tag).rpartition(":")[2]
    return "str"


def _accident(word: str, kind: str) -> AmbiguousScalarError:
    plainly = _PLAINLY.get(kind, " or write a plain decimal number" if kind in ("int", "float") else "")
    return AmbiguousScalarError(
        f"unquoted `{word}` is {_KINDS[kind]} to some YAML readers", f'Quote it: "{word}"{plainly}.'
    )


# From the events of PyYAML's safe parser to a tree with lines. No constructor runs, so no tag can do anything.


MAX_DEPTH = 50
MAX_WEIGHT = 32_000_000  # characters after aliases are expanded, each value counting at least 16
_OVERHEAD = 16
_LONGEST_KEY = 60
_LONGEST_PATH = 12  # a longer one says less than the line
_MERGE = "<<"
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
FLATTER = "Make it flatter, or quote it if it is text."


@dataclass(slots=True)
class Node:
    """A value and the line it stands on (from 1). `weight` and `height` are those of all it holds, aliases expanded."""

    line: int
    scalar: JsonValue = None
    items: "list[Node] | None" = None
    entries: "dict[str, tuple[int, Node]] | None" = None  # key → line of the key, value
    weight: int = _OVERHEAD
    height: int = 1

    def plain(self) -> JsonValue:
        """The value as JSON types."""
        if self.items is not None:
            return [item.plain() for item in self.items]
        if self.entries is not None:
            return {key: value.plain() for key, (_, value) in self.entries.items()}
        return self.scalar

    def child(self, key: str | int) -> "tuple[int, Node] | None":
        """The line to name for a key or an index, and what it holds."""
        if isinstance(key, int):
            found = self.items[key] if self.items is not None and 0 <= key < len(self.items) else None
            return None if found is None else (found.line, found)
        return None if self.entries is None else self.entries.get(key)


@dataclass(slots=True)
class _Frame:
    """A list or mapping whose end has not come yet."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_line: int = 0
    merging: bool = False
    merges: list[Node] = field(default_factory=list)

    @property
    def awaits_key(self) -> bool:
        return self.node.entries is not None and self.key is None


class TreeBuilder:
    """Takes the events of one document. Faults of single values are collected; what cannot be read on raises."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}  # None: not closed yet
        self._weight = 0

    def feed(self, event: yaml.Event) -> None:
        """Take one event. Raises InputError with all the problems so far when the document cannot be read on."""
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._open(event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._stop(_line(event), "a second document (`---`)", "Put it into a file of its own.")

    @property
    def levels_left(self) -> int:
        """How many more lists and mappings may open inside those that are open."""
        return MAX_DEPTH - len(self._stack)

    def refuse_depth(self, line: int) -> NoReturn:
        """Stop at a bracket that leads too deep, where the parser gave no event for it. Raises InputError."""
        raise InputError([*self.problems, Problem(self.file, line, "", TOO_DEEP, FLATTER)])

    def _scalar(self, event: ScalarEvent) -> None:
        line, text = _line(event), str(event.value)
        self._refuse_tag(event)
        as_key = bool(self._stack) and self._stack[-1].awaits_key
        node = Node(line, self._text(line, text) if event.style else self._typed(line, text, as_key=as_key))
        node.weight += len(text)
        if as_key and not event.style and text == _MERGE:
            self._stack[-1].merging = True
        self._remember(event.anchor, node)
        self._add_weight(line, node.weight)
        self._deliver(node)

    def _text(self, line: int, text: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._note(line, "an escape that is no character (half of a surrogate pair)", "Write the character itself.")
            return ascii(text)
        return text

    def _typed(self, line: int, text: str, *, as_key: bool) -> JsonValue:
        try:
            value = resolve_scalar(text)
        except AmbiguousScalarError as accident:
            self._note(line, accident.what, accident.fix, *([text] if as_key else []))
            return text
        if as_key and not isinstance(value, str):
            self._note(line, "a key that is not text" if text else "an empty key", f'Quote it: "{text}".', text)
            return text
        return value

    def _alias(self, event: AliasEvent) -> None:
        line, name = _line(event), str(event.anchor)
        if name not in self._anchors:
            self._stop(line, f"alias `*{name}` has no anchor `&{name}` before it", "")
        node = self._anchors[name]
        if node is None:
            self._stop(line, f"alias `*{name}` holds itself", "Write the value out.")
        self._add_weight(line, node.weight)
        self._check_depth(line, len(self._stack) + node.height)
        self._deliver(Node(line, node.scalar, node.items, node.entries, node.weight, node.height))

    def _open(self, event: SequenceStartEvent | MappingStartEvent) -> None:
        line = _line(event)
        self._refuse_tag(event)
        is_list = isinstance(event, SequenceStartEvent)
        node = Node(line, items=[]) if is_list else Node(line, entries={})
        if event.anchor:
            self._anchors[event.anchor] = None
        self._check_depth(line, len(self._stack) + 1)
        self._add_weight(line, node.weight)
        self._stack.append(_Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.node.entries is not None:
            for merged in frame.merges:
                frame.node.entries = (merged.entries or {}) | frame.node.entries
        self._remember(frame.anchor, frame.node)
        self._deliver(frame.node)

    def _deliver(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if frame.awaits_key:
            self._take_key(frame, node)
            return
        frame.node.weight += node.weight
        frame.node.height = max(frame.node.height, node.height + 1)
        if frame.node.items is not None:
            frame.node.items.append(node)
        else:
            self._take_value(frame, node)

    def _take_key(self, frame: _Frame, node: Node) -> None:
        if not isinstance(node.scalar, str):
            self._stop(node.line, "a key that is a list or a mapping", "Write keys as words.")
        frame.key, frame.key_line = node.scalar, node.line
        frame.node.weight += node.weight

    def _take_value(self, frame: _Frame, node: Node) -> None:
        key, entries = str(frame.key), frame.node.entries
        if entries is None:  # pragma: no cover  a frame without items has entries
            return
        if frame.merging:
            self._merge(frame, node)
        elif key in entries:
            what = f"duplicate key, first on line {entries[key][0]}"
            self._note(frame.key_line, what, "Keep one of them.")
        else:
            entries[key] = (frame.key_line, node)
        frame.key, frame.merging = None, False

    def _merge(self, frame: _Frame, node: Node) -> None:
        sources = [node] if node.items is None else node.items
        if all(source.entries is not None for source in sources):
            frame.merges += sources
        else:
            self._note(node.line, "only a mapping can be merged", "Name an anchor of a mapping after `<<:`.")

    def _refuse_tag(self, event: yaml.NodeEvent) -> None:
        tag = getattr(event, "tag", None)
        if tag:
            short = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._note(
                _line(event), f"tag `{short[:60]}` is not allowed", "Take it away; quote the value if it is text."
            )

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _add_weight(self, line: int, weight: int) -> None:
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            self._stop(line, "the file holds too many values once its aliases are expanded", "Use fewer aliases.")

    def _check_depth(self, line: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._stop(line, TOO_DEEP, FLATTER)

    def _note(self, line: int, what: str, fix: str, *below: str) -> None:
        path = (*self._path(), *below)
        self.problems.append(Problem(self.file, line, dotted(path) if len(path) < _LONGEST_PATH else "", what, fix))

    def _stop(self, line: int, what: str, fix: str) -> NoReturn:
        self._note(line, what, fix)
        raise InputError(self.problems)

    def _path(self) -> Iterator[str | int]:
        for frame in self._stack:
            if frame.node.items is not None:
                yield len(frame.node.items)
            elif frame.key is not None:
                yield frame.key


def dotted(loc: tuple[str | int, ...]) -> str:
    """The place of a value as people write it.

    >>> dotted(("probes", 1, "promt"))
    'probes[1].promt'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in loc).removeprefix(".")


def _key(key: str) -> str:
    """A key as it is if it is short and plain; else quoted, so that no key can fake a line of a message."""
    return (
        key
        if key.isprintable() and len(key) <= _LONGEST_KEY and key.strip() == key != ""
        else ascii(key[:_LONGEST_KEY])
    )


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1
