"""Prompts as rows of a table: CSV, JSON lines, or a list in JSON. Rows with one id are paraphrases."""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from misalign_eval.suites.formats import expected_answers, questions
from misalign_eval.suites.formats.detect import TALK_KEYS, QuestionColumns, Recognised, bare, with_parts
from misalign_eval.suites.formats.questions import Fields, ForeignQuestion, ForeignSuite
from misalign_eval.suites.formats.source import ConversionReport, Marked, QuestionTable
from misalign_eval.suites.formats.to_suite import slug
from misalign_eval.yaml_source.nodes import Node

_NUMBERS = (("samples_per_prompt", "samples_per_paraphrase", "samples"), ("max_tokens",), ("temperature",))
NO_NAME = "(no name)"
KEYS = (  # close to one of these is a slip of the pen
    *("id", "question_id", "prompt_id", "qid", "name", "question", "prompt", "text", "instruction", "query", "user"),
    *("system", "system_prompt", "criteria", "grader", "split", "expect", "source", "reference"),
    *(name for group in _NUMBERS for name in group),
    *(*TALK_KEYS, "category", "tags", "canary", "index"),
)
_MC1 = "mc1_targets"
_MATCHING = "answermatchingbehavior"
_ANSWER_WITH_LETTER = "Answer with the letter alone."


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """The prompts of a file: compared with the answers that it expects, else graded as the headline of the field is."""
    questions, canary = rows_with_ids(recognised, notes)
    if not any("samples_per_prompt" in question.settings for question in questions):
        what = "the file does not say how often and how to ask"
        notes.lost(None, "", what, "See --samples, --temperature, --max-tokens.")
    compares = recognised.graders is None or expected_answers.GRADER in recognised.graders
    definition = expected_answers.definition(questions, notes) if compares else None
    return ForeignSuite(recognised.format, tuple(questions), definition=definition, canary=canary)


def rows_with_ids(recognised: Recognised, notes: ConversionReport) -> tuple[list[ForeignQuestion], Marked | None]:
    """A question for each id, or for each row where there are none; and the canary that the rows carry."""
    table = with_parts(recognised.table, recognised.mapped)
    columns = QuestionColumns(table, recognised.mapped, notes)
    by_id: dict[str, ForeignQuestion] = {}
    canary: Marked | None = None
    for index, node in enumerate(table.rows):
        fields = Fields(notes, node)
        canary = fields.text("canary") or canary
        question = _question(fields, index, columns)
        for unsaid in (NO_NAME, "index", columns.unread_target() or NO_NAME):
            fields.take(unsaid)
        fields.rest(() if recognised.mapped else KEYS, once=True)
        if question is not None:
            _put(by_id, question, notes)
    _say_columns(columns, table, notes)
    return list(by_id.values()), canary


def _say_columns(columns: QuestionColumns, table: QuestionTable, notes: ConversionReport) -> None:
    """Which columns are read under another name than ours, and which is left out though it looks like one."""
    read = [(role, name) for role in ("question", "id", "category", "context") for name in columns.of(role)[:1]]
    other = [f"`{name}` as {role}" for role, name in read if bare(name) not in (role, "prompt", "text")]
    if other and not set(table.columns) & set(TALK_KEYS):
        notes.lost(None, "", f"columns: {', '.join(other)}", "Another column: --map OURS=COLUMN.")
    if (target := columns.unread_target()) is not None and "reference" not in columns.mapped:
        what = f"`{target}` is how an attack wants the reply to begin, and no expected answer"
        notes.lost(None, "", what, f"If it is one: --map reference={target}.")


def _put(by_id: dict[str, ForeignQuestion], question: ForeignQuestion, notes: ConversionReport) -> None:
    """A further row of an id adds a paraphrase, if all else is the same."""
    name = str(question.id.value)
    earlier = by_id.setdefault(name, question)
    if earlier is question:
        return
    if question.turns or _rest(earlier) != _rest(question):
        what = f"`{name}` is already the id of the question on line {earlier.id.line}, which is asked otherwise"
        notes.wrong(question.id.line, question.id.place, what, "Rows with one id are paraphrases: choose another id.")
    elif question.prompts[0].value.strip() in [prompt.value.strip() for prompt in earlier.prompts]:
        what = f"`{name}` is already the id of the same question on line {earlier.id.line}"
        notes.wrong(question.id.line, question.id.place, what, "Take the row away.")
    else:
        earlier.prompts += question.prompts


def _rest(question: ForeignQuestion) -> dict[str, Any]:
    """What paraphrases share."""
    whole = {**question.settings, "system": question.system, "category": question.category}
    whole["expected"] = question.expected
    plain = {key: value.value if isinstance(value, Marked) else value for key, value in whole.items()}
    return plain | {"turns": [turn.text.value for turn in question.turns]}


def _question(fields: Fields, index: int, columns: QuestionColumns) -> ForeignQuestion | None:
    name = _first(fields, columns.of("id"), numbers=True) or Marked(f"row-{index + 1}", fields.line)
    question = ForeignQuestion(name, system=_system(fields, columns), category=_category(fields, columns))
    question.settings = _settings(fields, columns)
    talk_key = _talk_key(fields, columns)
    choices, right = _choices(fields, columns), None
    if not choices and "reference" not in columns.mapped and not columns.of("reference"):
        choices, right = _multiple_choice(fields)
    if talk_key is not None:
        if _from_talk(fields, question, talk_key) is None:
            return None
    elif (text := _asked(fields, columns)) is not None:
        question.prompts = [text]
    else:
        return None
    _offer(fields, question, choices)
    if columns.of("question")[:1] == ("turns",) and "reference" in fields.keys:
        fields.lost("reference", "`reference` is for a judge of MT-Bench to read, and is no expected answer")
    _expect(fields, question, columns, choices)
    if right is not None:
        question.expected = question.settings["reference"] = right
    return question


def _talk_key(fields: Fields, columns: QuestionColumns) -> str | None:
    """The column that holds a conversation: one of the usual names, or the question where it is a list of turns."""
    wanted = [columns.mapped["question"]] if "question" in columns.mapped else [*TALK_KEYS, *columns.of("question")]
    key = next((name for name in wanted if name in fields.keys), None)
    if key is None or (key in TALK_KEYS and "question" not in columns.mapped):
        return key
    node = fields.node.child(key)
    is_talk = node is not None and (node[1].items is not None or _talk_inside(node[1]) is not None)
    return key if is_talk else None


def _talk_inside(node: Node) -> Node | None:
    """The turns in an object such as `{messages: […], tools: […]}`."""
    found = next((child for key in TALK_KEYS if (child := node.child(key))), None)
    return None if found is None or found[1].items is None else found[1]


def _asked(fields: Fields, columns: QuestionColumns) -> Marked | None:
    """The text of the question, with the input or the context that belongs to it."""
    there = columns.of("question")
    text = _first(fields, there)
    if text is None:
        named = [key for key in there if fields.node.child(key)]
        if not named or not any(key in fields.keys and not _is_blank(fields, key) for key in named):
            fields.wrong(named[0] if named else "question", "is empty", "Write a question, or take the row away.")
        return None
    if text.place == "instruction" and "input" in fields.keys:
        more = _first(fields, ("input",))
        text = text if more is None else text._replace(value=f"{text.value}\n\n{more.value}")
    context = _first(fields, columns.of("context"))
    return text if context is None else text._replace(value=f"{context.value}\n\n---\n\n{text.value}")  # HarmBench's


def _from_talk(fields: Fields, question: ForeignQuestion, key: str) -> ForeignQuestion | None:
    node = fields.node.child(key)
    inside = None if node is None else _talk_inside(node[1])
    if inside is None:
        items = fields.items(key)
    else:
        fields.take(key)
        items = (((key, index), item) for index, item in enumerate(inside.items or []))
    said = node[1].items if node is not None else None
    if said and all(isinstance(item.plain(), str) for item in said):  # MT-Bench's
        question.prompts = fields.texts(key)[:1]
        if len(said) > 1:
            what = (
                "only the first of several turns of a user is asked: the others follow replies that are not known yet"
            )
            fields.notes.lost(*fields.at(key), what)
        return question if question.prompts else None
    talk = questions.read(fields.notes, items)
    if talk is None:
        return None
    if not talk.turns:
        fields.wrong(key, "a conversation without a user turn", "Take the row away.")
        return None
    if talk.system is not None and question.system is not None:
        fields.wrong(key, "a system prompt of its own beside the column", "Take one of them away.")
    question.system = talk.system or question.system
    if len(talk.turns) == 1 and talk.turns[0].role == "user":
        question.prompts = [talk.turns[0].text]
        return question
    question.turns = talk.turns
    if talk.turns[-1].role == "assistant":
        last = talk.turns[-1].text
        what = "a conversation that ends with an assistant's turn: the target goes on with it"
        fields.notes.lost(last.line, last.place, what, "Not every provider can.")
    return question


def _system(fields: Fields, columns: QuestionColumns) -> Marked | None:
    """The system prompt: a text, or Gemini's `{parts: […]}`."""
    key = next((name for name in columns.of("system") if name in fields.keys), None)
    node = None if key is None else fields.node.child(key)
    if key is None or node is None or node[1].entries is None:
        return None if key is None else fields.text(key)
    text = questions.text_of(node[1].plain())
    if text is None:
        fields.wrong(key, "holds no text", "Only text can be sent.")
        return None
    fields.take(key)
    return Marked(text, *fields.at(key))


def _choices(fields: Fields, columns: QuestionColumns) -> list[str]:
    """The texts to choose from: a list, or ARC's `{text: […], label: […]}`."""
    key = next((name for name in columns.of("choices") if name in fields.keys), None)
    node = None if key is None else fields.take(key)
    if key is None or node is None:
        return []
    value: JsonValue = node.plain()
    if isinstance(value, dict):
        value = value.get("text")
    if not isinstance(value, list) or not value or len(value) > len(expected_answers.LETTERS):
        fields.wrong(key, "should be a list of 1 to 26 choices", "Leave the column out, or mend it.")
        return []
    return [str(choice) for choice in value]


def _multiple_choice(fields: Fields) -> tuple[list[str], Marked | None]:
    """TruthfulQA's `mc1_targets`: the choices and the letter of the right one, which the file has first everywhere.

    Their order is that of a digest of their texts, so that no letter is right everywhere.
    """
    node = fields.node.child(_MC1)
    value: JsonValue = None if node is None else node[1].plain()
    if not isinstance(value, dict):
        return [], None
    texts, labels = value.get("choices"), value.get("labels")
    pairs = (
        [*zip(texts, labels, strict=False)]
        if isinstance(texts, list) and isinstance(labels, list)
        else [*value.items()]
    )
    pairs.sort(key=lambda pair: hashlib.sha256(str(pair[0]).encode("utf-8", "replace")).hexdigest())
    right = [place for place, (_, is_right) in enumerate(pairs) if is_right == 1]
    if len(right) != 1 or len(pairs) > len(expected_answers.LETTERS):
        return [], None
    fields.take(_MC1)
    what = f"the choices of `{_MC1}` are in an order of our own, since the file has the right one first everywhere"
    fields.notes.lost(fields.line, "", what)
    return [str(text) for text, _ in pairs], Marked(expected_answers.LETTERS[right[0]], *fields.at(_MC1))


def _offer(fields: Fields, question: ForeignQuestion, choices: list[str]) -> None:
    """Write the choices below the question, unless they stand there already."""
    question.offered = tuple(expected_answers.LETTERS[: len(choices)])
    last = max((place for place, turn in enumerate(question.turns) if turn.role == "user"), default=0)
    asked = question.prompts[-1] if question.prompts else question.turns[last].text
    if not choices or all(choice in asked.value for choice in choices):
        return
    listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip(expected_answers.LETTERS, choices, strict=False))
    whole = asked._replace(value=f"{asked.value}\n\n{listed}\n\n{_ANSWER_WITH_LETTER}")
    if question.prompts:
        question.prompts[-1] = whole
    else:
        question.turns[last] = question.turns[last]._replace(text=whole)
    what = f"the choices are written below the question, as `A) …`, with the words `{_ANSWER_WITH_LETTER}`"
    fields.notes.lost(fields.line, "", what)


def _expect(fields: Fields, question: ForeignQuestion, columns: QuestionColumns, choices: list[str]) -> None:
    """The expected answer of a row, as a letter, a word or a text."""
    key = next((name for name in columns.of("reference") if name in fields.keys), None)
    if key is None:
        return
    question.expected = expected_answers.answer(fields, key, choices)
    question.settings["reference"] = question.expected
    texts = [*question.prompts, *(turn.text for turn in question.turns)]
    question.offered += tuple(re.findall(r"\(([A-Z])\)", "\n".join(text.value for text in texts)))
    if bare(key) == _MATCHING:
        other = next((name for name in fields.keys if bare(name) == "answernotmatchingbehavior"), None)
        found = None if other is None else expected_answers.answer(fields, other, choices)
        question.offered += (found.value,) if found and isinstance(found.value, str) else ()


def _first(fields: Fields, keys: Sequence[str], *, numbers: bool = False) -> Marked | None:
    """The value of the first of several keys that has one; the others stay unread, and are said to be lost."""
    there = [key for key in keys if key in fields.keys]
    filled = [key for key in there if not _is_blank(fields, key)]
    for key in there:
        if key not in filled:
            fields.take(key)
    return fields.text(filled[0], numbers=numbers) if filled else None


def _is_blank(fields: Fields, key: str) -> bool:
    found = fields.node.child(key)
    value = None if found is None else found[1].scalar
    return isinstance(value, str) and not value.strip()


def _category(fields: Fields, columns: QuestionColumns) -> Marked | None:
    found = _first(fields, columns.of("category"), numbers=True)
    if found is None:
        return None
    name = slug(found.value) or "other"
    if name != found.value:
        what = "a category that cannot be a name in results is changed to letters, digits, `.`, `_`, `-`"
        fields.notes.lost(found.line, found.place, what)
    return found._replace(value=name)


def _settings(fields: Fields, columns: QuestionColumns) -> dict[str, Any]:
    found: dict[str, Any] = {"expect": fields.text("expect")}
    for role in ("split", "source", "criteria"):
        found[role] = _first(fields, columns.of(role))
    for names in _NUMBERS:
        key = next((name for name in names if name in fields.keys), None)
        found[names[0]] = None if key is None else _number(fields, key)
    found["tags"] = _tags(fields, columns)
    return {key: value for key, value in found.items() if value is not None}


def _number(fields: Fields, key: str) -> Marked | None:
    """A number, which a CSV file writes as text."""
    node = fields.take(key)
    value = None if node is None else node.plain()
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        fields.wrong(key, f"should be a number, not `{str(value)[:40]}`")
        return None
    whole = key != "temperature" and number.is_integer()
    return Marked(int(number) if whole else number, *fields.at(key))


def _tags(fields: Fields, columns: QuestionColumns) -> list[str] | None:
    """Tags as a list, or as words apart by commas."""
    key = next((name for name in columns.of("tags") if name in fields.keys), None)
    node = None if key is None else fields.take(key)
    if node is None:
        return None
    value = node.plain()
    words = (
        value.split(",") if isinstance(value, str) else [str(item) for item in value] if isinstance(value, list) else []
    )
    return [tag for word in words if (tag := slug(word))] or None
