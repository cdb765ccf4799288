r"""The replies as data: JSON in a script element that no browser runs, every text made visible and literal first.

Texts pass through `escape.plain` (control characters, bidi overrides, NUL and lone surrogates become visible codes);
the JSON is ASCII, and in it `<`, `>` and `&` are `\u003c`, `\u003e` and `\u0026`, so that nothing in it can end the
element or begin a comment.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from misalign_eval.records.definition import OUTCOMES
from misalign_eval.records.page import Exhibit, ShownGrade, ShownReply, Slot
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS, one_line, plain

FORMAT = 1
TOKENS = 20  # of a distribution, the likeliest
_LITERAL = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def data(exhibit: Exhibit) -> Iterator[str]:
    """The element that holds all replies, in pieces."""
    yield '<script type="application/json" id="replies-data">'
    yield _json(_head(exhibit))[:-1]
    yield ',"slots":['
    for number, slot in enumerate(exhibit.slots):
        yield f"{',' if number else ''}\n{_json(_slot(slot))}"
    yield "]}</script>"


def shown(exhibit: Exhibit) -> int:
    """Replies on the page."""
    return sum(reply is not None for slot in exhibit.slots for reply in slot.replies)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_LITERAL)


def _head(exhibit: Exhibit) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "runs": [one_line(name) for name in exhibit.runs],
        "targets": [one_line(name) for name in exhibit.targets],
        "definition": one_line(exhibit.definition),
        "outcomes": [name.replace("_", " ") for name in OUTCOMES],
        "numerator": [OUTCOMES.index(name) for name in exhibit.numerator],
        "noWords": NO_WORDS,
        "prompts": [_prompt(prompt) for prompt in exhibit.prompts],
        "graders": {one_line(who.grader): one_line(who.judge or who.kind) for who in reversed(exhibit.graders)},
    }


def _prompt(prompt: PlannedPrompt) -> dict[str, Any]:
    return {
        "probe": one_line(prompt.probe),
        "prompt": prompt.prompt,
        "variant": one_line(prompt.variant),
        "category": one_line(prompt.category),
        "split": prompt.split,
        "system": None if prompt.system is None else plain(prompt.system),
        "messages": [[message.role, plain(message.content)] for message in prompt.turns],
        "prefill": None if prompt.prefill is None else plain(prompt.prefill),
    }


def _slot(slot: Slot) -> list[Any]:
    return [slot.prompt, slot.sample, [None if reply is None else _reply(reply) for reply in slot.replies]]


def _reply(reply: ShownReply) -> dict[str, Any]:
    """Short keys, since there are thousands: o outcome, t text, g grades; the rest only where there is something."""
    found: dict[str, Any] = {"o": OUTCOMES.index(reply.outcome)}
    if reply.failure is not None:
        found["fail"] = plain(reply.failure)
    else:
        found["t"] = NO_TEXT if reply.text is None else plain(reply.text)
    extra = {
        "finish": _ended(reply),
        "calls": [plain(call) for call in reply.calls],
        "leaked": reply.leaked and plain(reply.leaked),
        "whole": reply.whole,
        "earlier": [plain(one) for one in reply.earlier],
        "reasoning": reply.reasoning and plain(reply.reasoning),
        "refusal": reply.refusal and plain(reply.refusal),
        "disputed": int(reply.is_disputed),
    }
    grades = [_grade(grade) for grade in reply.grades]
    return {**found, **{name: value for name, value in extra.items() if value}, "g": grades}


def _ended(reply: ShownReply) -> str | None:
    if reply.finish == "stop":
        return None
    return f"{reply.finish} ({one_line(reply.finish_word)})" if reply.finish_word else reply.finish


def _grade(grade: ShownGrade) -> list[Any]:
    """Name, score, label, then the rest as an object."""
    more = {
        "why": grade.why and plain(grade.why),
        "problem": grade.problem and plain(grade.problem),
        "raw": grade.raw and plain(grade.raw),
        "mass": None if grade.number_mass is None else round(grade.number_mass, 4),
        "tokens": _tokens(grade.distribution),
        "votes": [[one_line(vote.judge), vote.score, vote.label and one_line(vote.label)] for vote in grade.votes],
    }
    score = None if grade.score is None else round(grade.score, 4)
    label = None if grade.label is None else one_line(grade.label)
    return [one_line(grade.name), score, label, {name: value for name, value in more.items() if value}]


def _tokens(distribution: Mapping[str, float] | None) -> list[Any]:
    ordered = sorted((distribution or {}).items(), key=lambda pair: -pair[1])[:TOKENS]
    return [[plain(token), round(share, 5)] for token, share in ordered]
