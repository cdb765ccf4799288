"""What an answer holds beside the words that were asked for: calls, markup, more turns, and an end nobody named."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from misalign_eval.analysis.lint.examples import Examples
from misalign_eval.analysis.lint.texts import level
from misalign_eval.analysis.tally import Cell
from misalign_eval.records.lint import Finding, found
from misalign_eval.records.markup import mark_left
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Reply

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


class Answers:
    """Counts each kind, with the names that servers and models use."""

    def __init__(self) -> None:
        self._replies = 0
        self._counts: Counter[str] = Counter()
        self._names: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        self._examples = Examples()

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
            yield found(identity, grade, text, kind.advice, count=count, of=self._replies, example=example)
