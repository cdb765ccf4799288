"""From questions to a suite file of our own: ids, forms, judges, and what all questions share."""

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from misalign_eval.suites.foreign import definition
from misalign_eval.suites.foreign.judge_prompts import Draft
from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.questions import ForeignSuite, Question
from misalign_eval.suites.foreign.tree import Marked
from misalign_eval.suites.foreign.turns import Turn

FORMS = ("json", "template")
LONGEST_NAME = 100
_NUMBERED = re.compile(r"\d+_(.+)_\d+")  # `<n>_<category>_<k>`
_SHARED = ("category", "split", "samples_per_prompt", "temperature", "max_tokens", "graders", "system")


def suite_file(
    foreign: ForeignSuite, path: Path, content: bytes, notes: Notes, wanted: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """The content of a suite file. What cannot be said in one is noted.

    `wanted` are the graders of a definition that replaces the one of this file; questions that lack one get it.
    """
    questions = list(foreign.questions)
    name = slug(path.stem) or "suite"
    _name_questions(questions, notes)
    counted_by = foreign.definition or definition.choose(questions, notes if wanted is None else Notes(notes.file))
    _grade_by(questions, wanted or ())
    judges = _judges(questions, notes)
    probes = [_probe(question, name) for question in questions]
    _set_forms(probes)
    _note_white_space(questions, notes)
    head = {
        "name": name,
        "version": sha256(content).hexdigest()[:8],
        "description": f"{len(probes)} questions, read from {foreign.format}.",
        "licence": foreign.licence,
        "source": foreign.source,
        "canary": foreign.canary,
        "definition": counted_by,
        "templated": foreign.templated or None,
        "defaults": _defaults(probes),
        "judges": judges,
    }
    return {key: value for key, value in head.items() if value} | {"probes": probes}


def slug(text: str) -> str:
    """A name that a suite may use: letters, digits, `.`, `_`, `-`.

    >>> slug("What's up, doc?")
    'What-s-up-doc'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:LONGEST_NAME].rstrip("-._")


def _grade_by(questions: Sequence[Question], wanted: tuple[str, ...]) -> None:
    for question in questions:
        if not set(wanted) <= {*question.judges, *question.graders} and "graders" not in question.settings:
            question.graders = tuple(name for name in wanted if name not in question.judges)


def _name_questions(questions: Sequence[Question], notes: Notes) -> None:
    """Ids that can be names in results, each once."""
    used: Counter[str] = Counter()
    for question in questions:
        line, place, given = question.id.line, question.id.place, str(question.id.value)
        name = slug(given) or "question"
        used[name] += 1
        if name != given:
            if used[name] > 1:
                name = f"{name}-{used[name]}"
            notes.lost(
                line, place, "an id that cannot be a name in results is changed to letters, digits, `.`, `_`, `-`"
            )
        question.id = Marked(name, line, place)


def _judges(questions: Sequence[Question], notes: Notes) -> dict[str, Any]:
    """Each judge once, with the prompt that most questions use; another prompt for some of them beside it."""
    drafts: dict[str, list[tuple[str, Draft]]] = {}
    for question in questions:
        for name, one in question.judges.items():
            drafts.setdefault(name, []).append((question.id.value, one))
    return {name: _judge(name, found, notes) for name, found in drafts.items()}


def _judge(name: str, found: list[tuple[str, Draft]], notes: Notes) -> Marked:
    usual = Counter(repr(one.prompt.value) for _, one in found).most_common(1)[0][0]
    first = next(one for _, one in found if repr(one.prompt.value) == usual)
    labels: dict[str, str] = {}
    for _, one in found:
        labels |= {label.casefold(): label for label in one.labels if label.casefold() not in labels}
        if one.spec | {"labels": []} != first.spec | {"labels": []}:
            what = f"judge `{name}` is set up otherwise elsewhere in this file"
            notes.wrong(one.prompt.line, one.prompt.place, what, "Give one of them another name.")
    others = {probe: one.prompt for probe, one in found if repr(one.prompt.value) != usual}
    spec = first.spec | ({"labels": [*labels.values()]} if labels else {})
    whole = spec | {"prompt": first.prompt} | ({"by_probe": others} if others else {})
    return Marked(whole, first.prompt.line, first.prompt.place)


def _probe(question: Question, suite: str) -> dict[str, Any]:
    category = question.category
    numbered = _NUMBERED.fullmatch(question.id.value)
    if category is None:
        category = slug(numbered[1]) if numbered else suite
    probe = {
        "id": question.id,
        "category": category,
        "system": question.system,
        "graders": [*question.judges, *question.graders],
        **question.settings,
        "context": _turns(question.context),
        "messages": _turns(question.turns),
        "prompts": question.prompts,
    }
    return {key: value for key, value in probe.items() if value not in (None, [], ())}


def _turns(turns: Sequence[Turn]) -> list[Marked]:
    return [
        Marked({"role": turn.role, "content": Marked(turn.text.value, turn.text.line)}, turn.text.line, turn.text.place)
        for turn in turns
    ]


def _set_forms(probes: list[dict[str, Any]]) -> None:
    """Questions that are another's form (`<id>_json`, `<id>_template`) go to a series of their own."""
    ids = {probe["id"].value for probe in probes}
    for probe in probes:
        base, _, form = probe["id"].value.rpartition("_")
        if form in FORMS and base in ids:
            probe["form"] = form
        if form == "json":
            probe["expects"] = "json"


def _defaults(probes: list[dict[str, Any]]) -> dict[str, Any]:
    """What all probes share is taken out of them and said once."""
    shared = {}
    for key in _SHARED:
        values = [probe.get(key) for probe in probes]
        plain = [value.value if isinstance(value, Marked) else value for value in values]
        if len(probes) > 1 and plain[0] is not None and all(value == plain[0] for value in plain):
            shared[key] = values[0]
            for probe in probes:
                del probe[key]
    return shared


def _note_white_space(questions: Sequence[Question], notes: Notes) -> None:
    for question in questions:
        texts = [*question.prompts, *(turn.text for turn in (*question.context, *question.turns))]
        texts += [question.system] if question.system else []
        for text in texts:
            if text.value != text.value.strip():
                notes.lost(text.line, text.place, "white space around the text is not sent")
