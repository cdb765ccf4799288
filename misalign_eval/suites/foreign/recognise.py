"""Which format a file has, by what it holds; its name matters for plain text alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from misalign_eval.suites.foreign import json_places, shapes, tables
from misalign_eval.suites.foreign.columns import ANSWER_KEYS, SCORE_KEYS, TALK_KEYS, Role, known_question
from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.shapes import OWN_KEYS
from misalign_eval.suites.foreign.tables import Table
from misalign_eval.suites.foreign.tree import plain_node
from misalign_eval.yaml_source import Document
from misalign_eval.yaml_source.nodes import Node

Format = Literal[
    "Betley YAML",
    "Betley YAML with viseval's additions",
    "llmcomp YAML",
    "persona-features CSV",
    "persona-vectors JSON",
    "prompts as CSV",
    "prompts as JSON",
    "prompts as JSONL",
    "prompts as YAML",
    "prompts as lines of text",
    "promptfoo YAML",
    "fine-tuning CSV",
    "fine-tuning JSON",
    "fine-tuning JSONL",
]
KNOWN = (
    "Known: suites of misalign-eval, Betley or viseval YAML, llmcomp YAML, persona-features CSV, persona-vectors JSON, "
    "promptfoo YAML, prompts as CSV, JSONL, JSON or YAML with a column `question` or `prompt` (another column with "
    "--map question=COLUMN) or as lines of a .txt file, fine-tuning JSONL."
)
_VISEVAL_KEYS = frozenset({"judge_type", "judge_n_samples", "meta", "context"})
_LLMCOMP_KEYS = frozenset({"judges", "messages"})
_LLMCOMP_TYPES = frozenset({"rating", "next_token", "rating_judge"})
_TRAINED = (frozenset({"instruction", "output"}), frozenset({"prompt", "completion"}))  # Alpaca, and OpenAI's of old
_PROMPTFOO_KEYS = frozenset({"prompts", "providers", "defaultTest", "evaluateOptions"})
_LINES_SUFFIXES = (".jsonl", ".ndjson")
_DATA_SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Recognised:
    """A file with its format. Of a YAML or JSON file `root` is the content, of a table the rows are."""

    format: Format
    root: Node
    table: Table = Table((), ())
    mapped: Mapping[Role, str] = field(default_factory=dict)  # which column is what, as the user says
    graders: tuple[str, ...] | None = None  # of the definition that the user names


def by_text(text: str, notes: Notes, mapped: Mapping[Role, str]) -> Recognised | None:
    """What can be told before YAML is read: tables and JSON. None: it is YAML, ours or another's, or bare text."""
    start = text.lstrip()
    is_lines = notes.file.lower().endswith(_LINES_SUFFIXES) or not _is_one_object(start, mapped)
    if start[:1] in ("{", '"') and _is_json_object(start.split("\n", 1)[0]) and is_lines:
        return _json_lines(text, notes, mapped)
    if start[:1] in ("{", "["):
        return _whole_json(text, notes, mapped)
    header = tables.header_of(text)
    is_named = notes.file.lower().endswith(_DATA_SUFFIXES)
    if start.startswith(("-", "#", "%")) or (":" in start.split("\n", 1)[0] and not is_named):
        return None
    if known_question(header, {}) or (len(header) > 1 and (mapped or is_named)) or (is_named and start.count("\n") > 1):
        return _csv(text, notes, mapped)
    return None


def by_yaml(document: Document, notes: Notes, mapped: Mapping[Role, str]) -> Recognised | None:
    """A YAML file with its format; None for a suite of our own, and for what is none at all.

    Raises InputError for a list of mappings that has no column of questions.
    """
    root = document.root
    if (kind := _judged(root.items or [])) is not None:
        return Recognised(kind, root)
    if root.entries is not None and "tests" in root.entries and _PROMPTFOO_KEYS & root.entries.keys():
        return Recognised("promptfoo YAML", root)
    table = shapes.table_of(root, mapped, notes)
    if table is None:
        return None
    _refuse_answers(set(table.columns), notes, mapped)
    return Recognised("prompts as YAML", plain_node(None, 1), table)


def by_lines(text: str, notes: Notes) -> Recognised:
    """A file of bare text. Raises InputError where its lines are no prompts."""
    return Recognised("prompts as lines of text", plain_node(None, 1), shapes.lines_of(text, notes))


def _judged(items: list[Node]) -> Format | None:
    """The format of a list of questions that bring paraphrases, messages or judges along."""
    keys = {key for item in items for key in item.entries or {}}
    if not keys & {"paraphrases", "messages", "judge_prompts", "samples_per_paraphrase"}:
        return None
    kinds = {found[1].plain() for item in items if (found := item.child("type"))}
    if ("name" in keys and "id" not in keys) or keys & _LLMCOMP_KEYS or kinds & _LLMCOMP_TYPES:
        return "llmcomp YAML"
    return "Betley YAML with viseval's additions" if keys & _VISEVAL_KEYS else "Betley YAML"


def _is_json_object(line: str) -> bool:
    """Whether the first line is a whole object or text that is no suite of ours."""
    try:
        value = tables.parsed(line)
    except ValueError:
        return False
    if isinstance(value, dict):
        return not (OWN_KEYS & value.keys()) and not _is_trait(value)
    return isinstance(value, str)


def _is_one_object(text: str, mapped: Mapping[Role, str]) -> bool:
    """Whether the whole file is one object on one line that is not itself a question."""
    try:
        value = tables.parsed(text)
    except ValueError:
        return False
    return isinstance(value, dict) and not known_question([*value], mapped)


def _json_lines(text: str, notes: Notes, mapped: Mapping[Role, str]) -> Recognised:
    table = tables.json_lines(text, notes)
    if not mapped and _is_training(table):
        return Recognised("fine-tuning JSONL", plain_node(None, 1), table)
    _refuse_answers(set(table.columns), notes, mapped)
    if not known_question(table.columns, mapped):
        raise shapes.no_question(table.columns, 1, notes)
    return Recognised("prompts as JSONL", plain_node(None, 1), table)


def _is_training(table: Table) -> bool:
    """Rows that hold what a model was taught to answer, and nothing that says who answered."""
    keys = set(table.columns)
    if keys & set(TALK_KEYS):
        return any(_ends_with_answer(row.plain()) for row in table.rows)
    return bool(keys & {"prompt", "instruction"} and keys & {"completion", "output"}) and not keys & SCORE_KEYS


def _is_taught(table: Table) -> bool:
    """As `_is_training`, of a file that may as well hold results: only by the names that trainers use together."""
    keys = set(table.columns)
    named = bool(keys & set(TALK_KEYS)) or any(names <= keys for names in _TRAINED)
    return named and not keys & SCORE_KEYS and _is_training(table)


def _ends_with_answer(row: JsonValue) -> bool:
    turns = next((row[key] for key in TALK_KEYS if key in row), None) if isinstance(row, dict) else None
    last = turns[-1] if isinstance(turns, list) and turns else None
    return isinstance(last, dict) and last.get("role", last.get("from")) in ("assistant", "model", "gpt")


def _whole_json(text: str, notes: Notes, mapped: Mapping[Role, str]) -> Recognised | None:
    """A JSON file that is no suite of ours. What cannot be parsed is left to the YAML reader, which tells the line."""
    try:
        value = tables.parsed(text)
    except ValueError:
        return None
    if isinstance(value, dict) and _is_trait(value):
        return Recognised("persona-vectors JSON", json_places.tree(value, text))
    table = None if _is_other_json(value) else shapes.table_of(json_places.tree(value, text), mapped, notes)
    if table is None:
        return None
    if not mapped and _is_taught(table):
        return Recognised("fine-tuning JSON", plain_node(None, 1), table)
    _refuse_answers(set(table.columns), notes, mapped)
    return Recognised("prompts as JSON", plain_node(None, 1), table)


def _is_other_json(value: JsonValue) -> bool:
    """A suite of ours, Betley's or promptfoo's, which are read as YAML whatever they are written in."""
    if isinstance(value, dict):
        return bool(OWN_KEYS & value.keys()) or "tests" in value
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    return bool({key for row in rows for key in row} & {"paraphrases", "samples_per_paraphrase", "judge_prompts"})


def _is_trait(value: Collection[str]) -> bool:
    return "questions" in value and ("instruction" in value or "eval_prompt" in value)


def _csv(text: str, notes: Notes, mapped: Mapping[Role, str]) -> Recognised:
    table = tables.csv_table(text, notes)
    if not mapped and _is_taught(table):
        return Recognised("fine-tuning CSV", plain_node(None, 1), table)
    _refuse_answers(set(table.columns), notes, mapped)
    if not known_question(table.columns, mapped):
        raise shapes.no_question(table.columns, 1, notes)
    names = set(table.columns)
    is_persona = "question" not in mapped and "question" in names and bool({"canary", "grader"} & names)
    return Recognised("persona-features CSV" if is_persona else "prompts as CSV", plain_node(None, 1), table)


def _refuse_answers(keys: Collection[str], notes: Notes, mapped: Mapping[Role, str]) -> None:
    found = sorted(set(keys) & (ANSWER_KEYS | SCORE_KEYS))
    if "choices" in keys and found == ["answer"]:
        return
    if not found or "question" in mapped or "reference" in mapped:
        return
    named = ", ".join(f"`{name}`" for name in found)
    fix = f"`misalign-eval import {notes.file}`"
    if found == ["answer"]:
        fix += ", or --map reference=answer if these are the right answers."
    raise notes.stop(1, f"a table of answers, not of questions: it has {named}", fix)
