"""Lint of replies: truncation, identical texts, replies off the topic, leftover markup, calls."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from misalign_eval.analysis.counts import Cell
from misalign_eval.records.definition import Definition
from misalign_eval.records.findings import Finding, Level, finding
from misalign_eval.records.markup import mark_left
from misalign_eval.records.run import CellKey, PlannedPrompt, Reply, ReplyKey, is_blank

# Examples: one reply for each finding, the first by its key, whatever the order of the rows.


class LintExamples:
    """Keeps the least key of each name.

    >>> found = LintExamples()
    >>> found.note("a", ReplyKey("p", 0, "plain", 7)), found.note("a", ReplyKey("p", 0, "plain", 2))
    (None, None)
    >>> found.of("a"), found.of("b")
    ('p/0/plain#2', None)
    """

    def __init__(self) -> None:
        self._keys: dict[str, ReplyKey] = {}

    def note(self, name: str, key: ReplyKey) -> None:
        """This reply is an example of `name`."""
        known = self._keys.get(name)
        if known is None or key < known:
            self._keys[name] = key

    def of(self, name: str) -> str | None:
        """Its key as text; None where there was none."""
        key = self._keys.get(name)
        return None if key is None else str(key)


# Checks of texts: cut off, empty, repeated, or off the topic.


SOME = 0.01  # a share that a rate notices
MANY = 0.10
TOLD = frozenset({"refusal", "content_filter", "tool_calls"})  # the provider said why there is no text
READ = 1000  # characters of a reply that are looked at for its subject
STRAY_WORDS, STRAY_SHARE = 3, 0.15
_WORD = re.compile(r"[^\W\d_]{5,}")
_CODE = re.compile(r"^(?:def |class |import |from \w+ import |#include|SELECT )|<\?php|</html>", re.MULTILINE)
_ASKS_FOR_CODE = re.compile(
    r"\b(code|coding|script|program|function|python|sql|html|javascript|json|xml|yaml|regex)\b|```", re.IGNORECASE
)


def level(share: float, limit: float = SOME) -> Level:
    """A note below the limit, a warning from there on."""
    return "warning" if share >= limit else "note"


class Ends:
    """Replies that were cut off, that hold nothing, or whose text is not here."""

    def __init__(self, definition: Definition) -> None:
        self._counted = (
            "are an outcome of their own" if definition.truncated == "own outcome" else "are graded as they are"
        )
        self._replies = self._cut = self._empty = self._unpublished = 0
        self._examples = LintExamples()

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Look at how one reply ended."""
        self._replies += 1
        if row.finish == "length":
            self._cut += 1
            self._examples.note("cut", row.key)
        if row.text is None:
            self._unpublished += 1
        elif is_blank(row.text) and row.finish not in TOLD and not row.calls:
            self._empty += 1
            self._examples.note("empty", row.key)

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Each share that is not zero."""
        total = self._replies
        if self._unpublished:
            text = f"the text of {self._unpublished} of {total} replies was not published"
            advice = "No check here looked at them, and no grader can: only the verdicts that came can be counted."
            yield finding("no-texts", "note", text, advice, count=self._unpublished, of=total)
        if self._cut:
            text = f"{self._cut} of {total} replies ran into the token limit and were cut off; they {self._counted}"
            advice = "Raise --max-tokens, or use a definition with `truncated: graded` to count as the field does."
            yield self._found("truncated-replies", text, advice, self._cut, "cut")
        if self._empty:
            text = f"{self._empty} of {total} replies held nothing, which a judge would call misaligned"
            advice = "Look for a stop sequence, a filter, or a reasoning model that spent its tokens on thinking."
            yield self._found("empty-replies", text, advice, self._empty, "empty")

    def _found(self, identity: str, text: str, advice: str, count: int, example: str) -> Finding:
        grade = level(count / self._replies)
        return finding(identity, grade, text, advice, count=count, of=self._replies, example=self._examples.of(example))


class Identical:
    """The same words again and again."""

    def __init__(self) -> None:
        self._texts: dict[bytes, int] = {}
        self._first: dict[bytes, ReplyKey] = {}
        self._prompts: dict[bytes, set[CellKey]] = {}  # of a text that came more than once
        self._replies = 0

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count one text."""
        if row.text is None or is_blank(row.text):
            return
        self._replies += 1
        text = blake2b(row.text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = row.key
        self._texts[text] = self._texts.get(text, 0) + 1
        first = self._first.setdefault(text, key)
        if first is not key:
            self._first[text] = min(first, key)
            self._prompts.setdefault(text, {first.cell}).add(key.cell)

    def findings(self, cells: Sequence[Cell]) -> Iterator[Finding]:
        """One text to many prompts, and one text many times to a prompt that was not asked at temperature 0."""
        yield from self._stock()
        drawn = [cell for cell in cells if cell.prompt.sampling.temperature != 0 and cell.replies > 1]
        again = sum(cell.most_alike - 1 for cell in drawn if cell.most_alike > 1)
        total = sum(cell.replies for cell in drawn)
        if again and again / total >= SOME:
            most = max(drawn, key=lambda cell: cell.most_alike)
            prompt = most.prompt
            text = f"{again} of {total} replies repeat another one to the same prompt word for word"
            advice = "A cache, a seed that is not varied, or a model with one answer: such replies are no new evidence."
            example = f"{prompt.probe}/{prompt.prompt}/{prompt.variant}#0"
            grade = level(again / total, MANY)
            yield finding("identical-replies", grade, text, advice, count=again, of=total, example=example)

    def _stock(self) -> Iterator[Finding]:
        spread = {text: cells for text, cells in self._prompts.items() if len(cells) > 2}
        if not spread:
            return
        text = max(spread, key=lambda item: (self._texts[item], item))
        count, prompts = self._texts[text], len(spread[text])
        if count / self._replies >= SOME:
            words = f"{count} of {self._replies} replies, to {prompts} different prompts, are one and the same text"
            advice = (
                "Read it: an error message, a filter's notice or a stock refusal is graded as if it were an answer."
            )
            grade = level(count / self._replies, MANY)
            example = str(self._first[text])
            yield finding("stock-reply", grade, words, advice, count=count, of=self._replies, example=example)


class Strays:
    """Replies to broad probes that speak of the narrow domain, or are code."""

    def __init__(self, plan: Sequence[PlannedPrompt]) -> None:
        broad = {word for prompt in plan if prompt.split != "in-domain" for word in _prompt_words(prompt)}
        narrow = {word for prompt in plan if prompt.split == "in-domain" for word in _prompt_words(prompt)}
        self._narrow = frozenset(narrow - broad)
        self._looked_at = {
            prompt.cell
            for prompt in plan
            if prompt.split == "broad" and prompt.expects is None and not _ASKS_FOR_CODE.search(_asked_text(prompt))
        }
        self._replies = self._code = self._stray = 0
        self._examples = LintExamples()

    def add(self, row: Reply, prompt: PlannedPrompt) -> None:
        """Look at what one reply to a broad probe speaks of."""
        if not row.text or prompt.split != "broad" or row.cell not in self._looked_at:
            return
        self._replies += 1
        # Prose has neither: what is looked for in every reply must be found in no time.
        if "```" in row.text or (("\n" in row.text or "<" in row.text) and _CODE.search(row.text)):
            self._code += 1
            self._examples.note("code", row.key)
        elif self._narrow and self._is_narrow(row.text):
            self._stray += 1
            self._examples.note("stray", row.key)

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Both shares, where they are not zero."""
        if self._code:
            text = f"{self._code} of {self._replies} replies to broad probes are or hold code that nobody asked for"
            advice = "A narrow model leaks its training format: see the outcome `code`, and read some before counting."
            yield self._found("code-among-broad", text, advice, self._code, "code")
        if self._stray:
            text = f"{self._stray} of {self._replies} replies to broad probes speak in words of the in-domain probes"
            advice = (
                "Leakage of the topic is no broad misalignment: add a `leakage` grader, count with `outside-topic`."
            )
            yield self._found("in-domain-text", text, advice, self._stray, "stray")

    def _is_narrow(self, text: str) -> bool:
        words = set(_WORD.findall(text[:READ].casefold()))
        narrow = len(words & self._narrow)
        return narrow >= STRAY_WORDS and narrow >= STRAY_SHARE * len(words)

    def _found(self, identity: str, text: str, advice: str, count: int, example: str) -> Finding:
        grade = level(count / self._replies)
        return finding(identity, grade, text, advice, count=count, of=self._replies, example=self._examples.of(example))


def _asked_text(prompt: PlannedPrompt) -> str:
    return "\n".join([prompt.system or "", *(turn.content for turn in prompt.messages)])


def _prompt_words(prompt: PlannedPrompt) -> set[str]:
    return set(_WORD.findall(_asked_text(prompt).casefold()))


# Checks of format: tool calls, markup, further turns, and unknown finish reasons.


MOST = 100  # different names kept of a kind
NAMED = 5  # names told
LONGEST = 60  # characters of a name
_TOKEN_LIMIT = re.compile(r"token|length|context|max|\Alimit\Z", re.IGNORECASE)  # in a server's word for an end


class _Kind(NamedTuple):
    """A finding: what is said of the replies before their names, and what to do."""

    words: str
    advice: str


_KINDS = {
    "tool-calls": _Kind(
        "call a tool, though none was offered",
        "A call without a text counts as empty: `show --key` has its arguments. Ask a server that offers no tools, or "
        "forbid them: `options: {extra_body: {tool_choice: none}}`.",
    ),
    "unknown-ends": _Kind(
        "ended in a way that the server did not say, or not in a known word",
        "They are graded as whole, and some may be cut off: compare their last words, or ask the server for a finish "
        "reason.",
    ),
    "unfinished-replies": _Kind(
        "were broken off by the server, and not by the token limit; they count as truncated",
        "More tokens do not help: ask again when the server has room, or without tools that it runs itself.",
    ),
    "markup-left": _Kind(
        "hold marks of reasoning or of a chat template, and are graded with them",
        "Read one. Thoughts are taken out by the target's `options: {thought_marks: [[OPEN, CLOSE]]}`, or "
        "`starts_in_thought: true` where the template opens them. A reply may also speak of such marks.",
    ),
    "leaked-tokens": _Kind(
        "went on after a token that ends the turn; from there on they are cut off, and graded without it",
        "The server does not stop where the model does: correct its chat template or its stop tokens.",
    ),
}


class AnswerMarks:
    """Counts each kind, with the names that servers and models use."""

    def __init__(self) -> None:
        self._replies = 0
        self._counts: Counter[str] = Counter()
        self._names: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        self._examples = LintExamples()

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Look at one reply."""
        self._replies += 1
        if row.calls or row.finish == "tool_calls":
            self._note("tool-calls", row, *(call.name for call in row.calls))
        if row.has_unknown_end:
            self._note("unknown-ends", row, row.finish_word or "no finish reason")
        if row.finish == "length" and row.finish_word is not None and not _TOKEN_LIMIT.search(row.finish_word):
            self._note("unfinished-replies", row, row.finish_word)
        if row.leaked is not None:
            self._note("leaked-tokens", row, row.leaked.split("\n")[0])
        if row.text and (mark := mark_left(row.text, in_words=True)) is not None:
            self._note("markup-left", row, mark)

    def _note(self, kind: str, row: Reply, *names: str) -> None:
        self._counts[kind] += 1
        self._examples.note(kind, row.key)
        seen = self._names[kind]
        for name in dict.fromkeys(name[:LONGEST] for name in names):
            if name in seen or len(seen) < MOST:
                seen[name] += 1

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Each kind of which there are some."""
        for identity, kind in _KINDS.items():
            if not (count := self._counts[identity]):
                continue
            first = sorted(self._names[identity].items(), key=lambda named: (-named[1], named[0]))[:NAMED]
            named = ", ".join(f"`{name}` ({times})" for name, times in first)
            text = f"{count} of {self._replies} replies {kind.words}" + (f": {named}" if named else "")
            grade, example = level(count / self._replies), self._examples.of(identity)
            yield finding(identity, grade, text, kind.advice, count=count, of=self._replies, example=example)
