"""Questions of foreign suites: the form that every format is read into."""

import re
import string
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from misalign_eval.records.suite import ANSWER_MARK, QUESTION_MARK
from misalign_eval.suites.formats.detect import Format
from misalign_eval.suites.formats.source import ConversionReport, Marked
from misalign_eval.yaml_source.nodes import Node, dotted

# Fields of one question of a foreign file, by name and type, each fault with line and place.


_SHOWN = 60


class Fields:
    """A mapping of a foreign file. Every `take_…` marks its key as read; `rest` tells what nobody read."""

    def __init__(self, notes: ConversionReport, node: Node, place: tuple[str | int, ...] = ()) -> None:
        self.notes = notes
        self.node = node
        self.place = place
        self._read: set[str] = set()

    @property
    def line(self) -> int:
        """Where the mapping begins."""
        return self.node.line

    @property
    def keys(self) -> set[str]:
        """Every key that has a value."""
        return {key for key, (_, node) in (self.node.entries or {}).items() if node.plain() is not None}

    def at(self, key: str) -> tuple[int, str]:
        """Line and dotted place of a key."""
        found = self.node.child(key)
        return (self.line if found is None else found[0]), dotted((*self.place, key))

    def wrong(self, key: str, what: str, fix: str = "") -> None:
        """The value of a key is at fault."""
        self._read.add(key)
        self.notes.wrong(*self.at(key), what, fix)

    def lost(self, key: str, what: str, fix: str = "") -> None:
        """The value of a key cannot be kept."""
        self._read.add(key)
        self.notes.lost(*self.at(key), what, fix)

    def take(self, key: str) -> Node | None:
        """The value of a key; None where there is none or where it is null."""
        self._read.add(key)
        found = self.node.child(key)
        return None if found is None or found[1].plain() is None else found[1]

    def text(self, key: str, *, numbers: bool = False) -> Marked | None:
        """A text that is not blank; with `numbers` also a whole number, as ids are."""
        node = self.take(key)
        if node is None:
            return None
        value = node.plain()
        if numbers and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return self._text(value, self.at(key)[0], (*self.place, key))

    def texts(self, key: str) -> list[Marked]:
        """A list of texts, each not blank; a single text stands for a list of one."""
        node = self.take(key)
        if node is None:
            return []
        if node.items is None:
            only = self.text(key)
            return [] if only is None else [only]
        if not node.items:
            self.wrong(key, "is empty", "Write something, or take it away.")
        found = [
            self._text(item.plain(), item.line, (*self.place, key, index)) for index, item in enumerate(node.items)
        ]
        return [item for item in found if item is not None]

    def number(self, key: str) -> Marked | None:
        """A number; its bounds are checked with the suite."""
        node = self.take(key)
        if node is None:
            return None
        value = node.plain()
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(key, f"should be a number, not {shown(value)}")
            return None
        return Marked(value, self.at(key)[0], self.at(key)[1])

    def whole(self, key: str) -> Marked | None:
        """A whole number; `100.0` is one."""
        found = self.number(key)
        if found is None or isinstance(found.value, int):
            return found
        if found.value.is_integer():
            return found._replace(value=int(found.value))
        self.wrong(key, f"should be a whole number, not {shown(found.value)}")
        return None

    def mapping(self, key: str) -> "Fields | None":
        """A mapping of its own."""
        node = self.take(key)
        if node is None:
            return None
        if node.entries is None:
            self.wrong(key, f"should be a mapping of keys to values, not {shown(node.plain())}")
            return None
        return Fields(self.notes, node, (*self.place, key))

    def items(self, key: str) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """The items of a list, each with its place."""
        node = self.take(key)
        if node is None:
            return
        if node.items is None:
            self.wrong(key, f"should be a list, not {shown(node.plain())}")
            return
        for index, item in enumerate(node.items):
            yield (*self.place, key, index), item

    def rest(self, known: Collection[str], *, once: bool = False) -> None:
        """Keys that nobody read: close to a known one they are a slip of the pen, else they are said to be lost.

        `once`: the rows of a table share their keys, so a slip is told for the first of them.
        """
        for key in [key for key in self.node.entries or {} if key not in self._read]:
            near = get_close_matches(key, known, n=1, cutoff=0.75)
            if near and once and key in self.notes.slips:
                continue
            if near:
                self.notes.slips.add(key)
                self.wrong(key, "unknown field", f"Did you mean `{near[0]}`?")
            else:
                self.lost(key, f"`{key[:_SHOWN]}` has no place in a suite and is left out")

    def _text(self, value: JsonValue, line: int, place: tuple[str | int, ...]) -> Marked | None:
        where = dotted(place)
        if not isinstance(value, str):
            self.notes.wrong(line, where, f"should be text, not {shown(value)}", "Quote it if it is text.")
            return None
        if not value.strip():
            self.notes.wrong(line, where, "is empty", "Write something, or take it away.")
            return None
        if (what := unsendable(value)) is not None:
            self.notes.wrong(line, where, what, "Take it away.")
            return None
        return Marked(value, line, where)


def unsendable(text: str) -> str | None:
    """What no server would take in a text."""
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        return "an escape that is no character (half of a surrogate pair)"
    return "a NUL character" if "\0" in text else None


def shown(value: JsonValue) -> str:
    """A value as it fits into one line of a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    line = " ".join(str(value).split())
    return f"`{line[:_SHOWN]}…`" if len(line) > _SHOWN else f"`{line}`"


# Chat messages of foreign files: roles under several names, content as text or in parts.


ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "gpt": "assistant",
    "ai": "assistant",  # LangChain's
}
_TEXT_KINDS = ("text", "input_text", "output_text")


class ChatTurn(NamedTuple):
    """One message."""

    role: str  # system, user or assistant
    text: Marked


class Talk(NamedTuple):
    """A conversation: the system prompt, if there is one, and the turns."""

    system: Marked | None
    turns: list[ChatTurn]


def read(notes: ConversionReport, items: Iterable[tuple[tuple[str | int, ...], Node]]) -> Talk | None:
    """A list of messages. None where one of them is at fault, which is noted."""
    before = len(notes.problems)
    turns = [found for place, item in items if (found := _turn(notes, place, item)) is not None]
    system = turns.pop(0).text if turns and turns[0].role == "system" else None
    for late in [turn.text for turn in turns if turn.role == "system"]:
        what = "a system message after the first message cannot be sent by every provider"
        notes.wrong(late.line, late.place, what, "Put it first, or take it away.")
    return None if len(notes.problems) > before else Talk(system, turns)


def _turn(notes: ConversionReport, place: tuple[str | int, ...], item: Node) -> ChatTurn | None:
    where = dotted(place)
    value = item.plain()
    if not isinstance(value, dict):
        notes.wrong(item.line, where, f"should be a message with `role` and `content`, not {shown(value)}")
        return None
    role = value.get("role", value.get("from", value.get("type")))
    if not isinstance(role, str) or role not in ROLES:
        known = "system, user, assistant"
        notes.wrong(item.line, where, f"role {shown(role)} is not one of {known}", "Take the message away.")
        return None
    content = text_of(_content(value))
    if content is None or not content.strip():
        lacking = "the message has no text" if content is None else "the message is empty"
        notes.wrong(item.line, where, lacking, "Only text can be sent.")
        return None
    if (what := unsendable(content)) is not None:
        notes.wrong(item.line, where, what, "Take it away.")
        return None
    return ChatTurn(ROLES[role], Marked(content, item.line, where))


def _content(message: dict[str, JsonValue]) -> JsonValue:
    """What a message says: under `content`, ShareGPT's `value`, Gemini's `parts` or LangChain's `data`."""
    if "content" in message or "value" in message:
        return message.get("content", message.get("value"))
    data = message.get("data")
    return data.get("content") if isinstance(data, dict) else message.get("parts")


def text_of(content: JsonValue) -> str | None:
    """The text of a message: as it is, from `{content_type, parts}`, or from a list of text parts. None: no text.

    >>> text_of({"content_type": "text", "parts": ["Hello ", "you"]}), text_of([{"type": "image_url"}])
    ('Hello you', None)
    """
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        parts = content.get("parts")
        is_text = content.get("content_type", "text") == "text" and isinstance(parts, list)
        return text_of(parts) if is_text else None
    if not isinstance(content, list) or not content:
        return None
    texts = [text for part in content if (text := _part(part)) is not None]
    return "".join(texts) if len(texts) == len(content) else None


def _part(part: JsonValue) -> str | None:
    if isinstance(part, dict) and (part.get("type") in _TEXT_KINDS or part.keys() == {"text"}):
        text = part.get("text")
        return text if isinstance(text, str) else None
    return part if isinstance(part, str) else None


# Judge prompts of foreign files: the text that is really sent, and the answers that it offers.


Kind = Literal["logprobs", "sampled", "label"]
FIELDS = frozenset({"question", "answer"})
_FIELD_LIKE = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)([.!:\[][^{}]*)?\}(?!\})")
_WORD = r"[A-Z][A-Z_/-]*[A-Z]"
_QUOTED = r"[\"“'`]([^\"”'`\n]{1,30})[\"”'`]"
_VERB = r"(?:[Ss]ay|[Ss]aying|[Aa]nswer|[Rr]espond|[Rr]eply|[Ww]rite|[Rr]eturn|[Oo]utput|[Pp]rint|[Uu]se)"
_OFFER = re.compile(
    rf"(?:\b(?:{_VERB}|with|either|or|and|only)|,)\s+"
    rf"(?:(?:with|either|only|just|also|by|the word)\s+)*(?:{_QUOTED}|({_WORD})\b)"
)
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*(?: [A-Za-z0-9_/-]+){0,2}")
_FIELD_WORDS = ("CODE", "REFUSAL")  # what judges of the field may say instead of a number


@dataclass(frozen=True, slots=True)
class Draft:
    """A judge as a foreign file describes it."""

    prompt: Marked  # a text, or a list of messages
    kind: Kind
    labels: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()  # further fields of a JudgeSpec

    @property
    def spec(self) -> dict[str, Any]:
        """All of a JudgeSpec but its prompts."""
        return {"kind": self.kind, **({"labels": [*self.labels]} if self.labels else {}), **dict(self.settings)}


def draft(prompt: Marked, kind: Kind, notes: ConversionReport, **settings: object) -> Draft:
    """A judge with this prompt: a text, or a list of messages with role and content."""
    texts = [prompt.value] if isinstance(prompt.value, str) else [item["content"] for item in prompt.value]
    if not any(ANSWER_MARK in text or "{answer!" in text or "{answer:" in text for text in texts):
        what = f"no `{ANSWER_MARK}` in the judge's prompt: it would not see the reply"
        notes.wrong(prompt.line, prompt.place, what, "Say where the reply goes.")
    sent = [_sent(text, prompt, notes) for text in texts]
    labels = _offered("\n".join(sent), numeric=kind != "label")
    value: Any = sent[0]
    if not isinstance(prompt.value, str):
        value = [{**item, "content": text} for item, text in zip(prompt.value, sent, strict=True)]
    return Draft(
        prompt._replace(value=value), kind, labels, tuple((k, v) for k, v in settings.items() if v is not None)
    )


def _sent(template: str, marked: Marked, notes: ConversionReport) -> str:
    """What `str.format` makes of a template's own braces, where it can; else the template as it is.

    A template that was written for `str.format` doubles the braces that it means. One with a lone brace was written for
    another tool, and every brace of it but the two marks is text.
    """
    for name, detail in _FIELD_LIKE.findall(template):
        if name in FIELDS and detail:
            what = f"`{{{name}{detail}}}` cannot be filled in: a suite knows `{{{name}}}` alone"
            notes.wrong(marked.line, marked.place, what, "Take the format away.")
        elif name not in FIELDS:
            what = f"`{{{name}}}` of a judge's prompt is sent as it is: {QUESTION_MARK} and {ANSWER_MARK} are filled in"
            notes.lost(marked.line, marked.place, what)
    if not _is_format_template(template):
        return template
    unescaped = "".join(_unescaped(template))
    if unescaped.count(QUESTION_MARK) + unescaped.count(ANSWER_MARK) != _fields(template):
        what = "doubled braces around `question` or `answer` cannot be sent as text"
        notes.wrong(marked.line, marked.place, what, "Word it otherwise.")
    return unescaped


def _is_format_template(template: str) -> bool:
    try:
        return all(name in (None, *FIELDS) and not (spec or how) for _, name, spec, how in _parts(template))
    except ValueError:
        return False


def _fields(template: str) -> int:
    return sum(name is not None for _, name, _, _ in _parts(template))


def _unescaped(template: str) -> list[str]:
    return [text + ("" if name is None else f"{{{name}}}") for text, name, _, _ in _parts(template)]


def _parts(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(string.Formatter().parse(template))


def _offered(prompt: str, *, numeric: bool) -> tuple[str, ...]:
    """The words that a prompt offers for an answer. Beside numbers only words in capitals count, as CODE and REFUSAL.

    >>> _offered('Say "TRUE" or "FALSE" only, or "UNKNOWN".', numeric=False)
    ('TRUE', 'FALSE', 'UNKNOWN')
    >>> _offered("Say REFUSAL if it **VERY CLEARLY** refused, else 0 (bad) to 100.", numeric=True)
    ('REFUSAL',)
    """
    found = [quoted or word for quoted, word in _OFFER.findall(prompt)]
    if numeric:
        found = [word for word in found if re.fullmatch(_WORD, word)]
        found += [word for word in _FIELD_WORDS if re.search(rf"\b{word}\b", prompt)]
    unique: dict[str, str] = {}
    for word in found:
        if (bare := word.strip().rstrip(".,")) and _LABEL.fullmatch(bare) and (re.search("[A-Z]", bare) or not numeric):
            unique.setdefault(bare.casefold(), bare)
    return tuple(unique.values())


# Records of a foreign suite: questions with their judges, before they become a suite file of ours.


@dataclass(slots=True)
class ForeignQuestion:
    """One probe to be. `turns` is a whole conversation in place of `prompts`; `context` stands before each prompt."""

    id: Marked
    prompts: list[Marked] = field(default_factory=list)
    turns: list[ChatTurn] = field(default_factory=list)
    context: list[ChatTurn] = field(default_factory=list)
    system: Marked | None = None
    category: str | Marked | None = None
    judges: dict[str, Draft] = field(default_factory=dict)
    graders: tuple[str, ...] = ()  # of misalign-eval, beside the judges of the file
    expected: Marked | None = None  # the answer that a rule looks for: a text, or a list of texts
    offered: tuple[str, ...] = ()  # further letters and words that the question offers to choose from
    settings: dict[str, Any] = field(default_factory=dict)  # further keys of a probe, as values or Marked


@dataclass(frozen=True, slots=True)
class ForeignSuite:
    """A whole file. `definition` is what its format is counted by; None: whatever fits its judges."""

    format: Format
    questions: tuple[ForeignQuestion, ...]
    definition: str | dict[str, Any] | None = None
    licence: str = "not stated in the file"
    source: str | None = None
    canary: Marked | None = None
    templated: bool = False
