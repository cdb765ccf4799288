"""Format detection of suite files: by their fields and columns."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from typing import Literal, get_args

from pydantic import JsonValue

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.suites.formats import source
from misalign_eval.suites.formats.source import MOST_ROWS, ConversionReport, QuestionTable, plain_node
from misalign_eval.yaml_source.document import Document
from misalign_eval.yaml_source.nodes import Node

# Roles of the columns of a table of questions: by usual names, or as the user says with `--map`.


Role = Literal[
    "question", "id", "category", "reference", "choices", "system", "context", "criteria", "split", "tags", "source"
]
ROLES: tuple[Role, ...] = get_args(Role)
_ALIASES: dict[str, Role] = {"question_id": "id", "prompt": "question"}  # as `import` has them
TALK_KEYS = ("messages", "conversations", "contents")  # columns that hold a whole conversation
ANSWER_KEYS = frozenset(
    {"answer", "response", "completion", "output", "reply", "model_output", "generation", "actual_output"}
    | {"actualOutput", "model_answer", "model_response", "generated_text", "prediction", "target_response", "resps"}
)
SCORE_KEYS = frozenset({"aligned", "coherent", "alignment", "coherence", "verdict", "judge_aligned", "rollout"})
# Names without case, white space, `_` and `-`. The earlier wins.
NAMES: dict[Role, tuple[str, ...]] = {
    "question": (
        *("question", "prompt", "text", "instruction", "query", "user"),
        *("goal", "behavior", "behaviour", "forbiddenprompt", "input", "turns"),
    ),
    "id": ("id", "questionid", "promptid", "qid", "name", "behaviorid"),
    "category": ("category", "semanticcategory"),
    "reference": (
        *("reference", "answermatchingbehavior", "bestanswer", "ideal", "target"),
        *("correctanswer", "correctletter", "expected", "expectedanswer", "expectedoutput"),
        *("referenceanswer", "targetanswer", "goldanswer", "groundtruth", "answerkey"),
    ),
    "choices": ("choices",),
    "system": ("system", "systemprompt", "systeminstruction"),
    "context": ("contextstring",),
    "criteria": ("criteria", "grader"),
    "split": ("split",),
    "tags": ("tags",),
    "source": ("source",),
}
_ATTACKS = ("goal", "behavior", "behaviour")  # beside them `target` is how an attack wants the reply to begin
_MOST_SHOWN = 30


class QuestionColumns:
    """The columns of one table. `mapped` is what the user said: role to column, a part of an object as `base.id`."""

    def __init__(self, table: QuestionTable, mapped: Mapping[Role, str], notes: ConversionReport) -> None:
        self.mapped = {role: _there(role, name, table, notes) for role, name in mapped.items()}
        self.names = table.columns

    def of(self, role: Role) -> tuple[str, ...]:
        """The columns that may hold it, the first choice first; only the user's where the user named one."""
        if role in self.mapped:
            return (self.mapped[role],)
        free = {bare(name): name for name in reversed(self.names) if name not in self.mapped.values()}
        known = [name for name in NAMES[role] if name in free]
        if role == "reference" and self.of("question")[:1] == ("turns",):
            return ()  # MT-Bench's: of few questions, and for a judge to read
        if role == "reference" and any(bare(name) in _ATTACKS for name in self.of("question")[:1]):
            known = [name for name in known if name != "target"]
        if role == "reference" and "choices" in free and "answer" in free:
            known.append("answer")
        return tuple(free[name] for name in known)

    def unread_target(self) -> str | None:
        """The column `target` that is no expected answer."""
        return next((name for name in self.names if bare(name) == "target" and name not in self.of("reference")), None)


def bare(name: str) -> str:
    """The name of a column without case, white space, `_` and `-`.

    >>> bare("Best Answer"), bare("best_answer")
    ('bestanswer', 'bestanswer')
    """
    return "".join(sign for sign in name.casefold() if sign not in " _-")


def roles(given: Mapping[str, str]) -> dict[Role, str]:
    """`--map OURS=THEIRS` for questions. Raises UsageError for a name that is none of ours."""
    found: dict[Role, str] = {}
    for name, column in given.items():
        role = next((role for role in ROLES if role == name), _ALIASES.get(name))
        if role is None:
            raise UsageError(f"--map {name}={column}: {did_you_mean(name, ROLES)} Known: {', '.join(ROLES)}")
        if role in found:
            raise UsageError(f"--map {name}={column}: `{role}` is mapped already")
        found[role] = column
    return found


def known_question(names: Sequence[str], mapped: Mapping[Role, str]) -> bool:
    """Whether a table with these columns says what is asked."""
    return "question" in mapped or any(bare(name) in NAMES["question"] or name in TALK_KEYS for name in names)


def with_parts(table: QuestionTable, mapped: Mapping[Role, str]) -> QuestionTable:
    """The table with the parts of objects that the user named, such as `base.correct_letter`, as columns."""
    wanted = [name for name in mapped.values() if "." in name and name not in table.columns]
    if not wanted:
        return table
    rows = [_with_parts(row, wanted) for row in table.rows]
    there = [name for name in wanted if any(row.child(name) for row in rows)]
    return QuestionTable((*table.columns, *there), tuple(rows))


def listed(names: Sequence[str]) -> str:
    """The columns of a table as they fit into a message."""
    shown = ", ".join(f"`{name[:60]}`" for name in names[:_MOST_SHOWN])
    return f"{shown} and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else shown


def inner(table: QuestionTable) -> list[str]:
    """The columns, those that hold objects with the names of their parts."""
    found: dict[str, None] = {}
    for name in table.columns:
        found[name] = None
        for row in table.rows[:100]:
            child = row.child(name)
            found |= dict.fromkeys(f"{name}.{part}" for part in (child[1].entries or {} if child else {}))
    return [*found]


def _with_parts(row: Node, wanted: Sequence[str]) -> Node:
    entries = dict(row.entries or {})
    for name in wanted:
        line, node = row.line, row
        for part in name.split("."):
            found = node.child(part)
            if found is None:
                break
            line, node = found
        else:
            entries[name] = (line, node)
    return Node(row.line, entries=entries)


def _there(role: Role, name: str, table: QuestionTable, notes: ConversionReport) -> str:
    """The column as the table spells it. Raises InputError for one that is not there."""
    if name in table.columns:
        return name
    if (alike := [column for column in table.columns if bare(column) == bare(name)]) and len(alike) == 1:
        return alike[0]
    there = inner(table)
    near = get_close_matches(name, there, n=1, cutoff=0.6)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    raise notes.stop(1, f"--map {role}={name}: there is no such column", f"{hint}Columns: {listed(there)}.")


# Tables of questions, from lists and mappings of YAML and JSON, and from lines of text.


OWN_KEYS = frozenset({"probes", "include", "definition", "licence", "defaults"})
_HEAD_KEYS = frozenset({"name", "version", "description"})  # of a suite of ours that lacks its probes
_WRAPPERS = ("questions", "prompts", "data", "examples", "instances", "samples", "items", "rows", "behaviors")
_SENTENCE_ENDS = tuple(".?!:;…\"')]}。？！")


def table_of(root: Node, mapped: Mapping[Role, str], notes: ConversionReport) -> QuestionTable | None:
    """The rows of a list, of `{questions: […]}`, of `{id: text}`, of `{category: […]}`. None: it is none of these.

    Raises InputError for a list of mappings that has no column of questions.
    """
    if root.items is not None:
        return _of_rows(_rows(root.items), mapped, notes)
    entries = root.entries or {}
    if not entries or OWN_KEYS & entries.keys():
        return None
    wrapped = [key for key in _WRAPPERS if key in entries and _holds_rows(entries[key][1])]
    if len(wrapped) == 1:
        for key in entries.keys() - set(wrapped):
            notes.lost(entries[key][0], key, f"`{key[:60]}` beside the questions is left out")
        inside = entries[wrapped[0]][1]
        return table_of(inside, mapped, notes) if inside.entries else _of_rows(_rows(inside.items or []), mapped, notes)
    if not _HEAD_KEYS & entries.keys() and all(_is_sentence(node) for _, node in entries.values()):
        return _table([_row({"id": Node(line, key), "prompt": node}, line) for key, (line, node) in entries.items()])
    if all(node.items and _rows(node.items) for _, node in entries.values()):
        return _of_rows(_by_category(entries), mapped, notes)
    return None


def lines_of(text: str, notes: ConversionReport) -> QuestionTable:
    """One prompt a line. Raises InputError for running text, whose lines belong together."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    for (_, before), (number, line) in pairwise(lines):
        if before and line[:1].islower() and not before.endswith(_SENTENCE_ENDS):
            what = "running text, not one prompt a line: this line goes on with the one before"
            raise notes.stop(number, what, "Write each prompt on a line of its own, or the prompts as JSON lines.")
    blocks = _blocks([line for _, line in lines])
    if len(blocks) > 1 and any(len(block) > 1 for block in blocks):
        what = "blank lines between blocks of several lines: a prompt may be a line or a block"
        raise notes.stop(1, what, "Take the blank lines away, or write the prompts as JSON lines.")
    return _table([_row({"prompt": Node(number, line)}, number) for number, line in lines if line])


def no_question(names: Sequence[str], line: int, notes: ConversionReport) -> Exception:
    """The error for rows that do not say what is asked."""
    what = f"no column of questions among {listed(names)}" if names else "no column of questions"
    return notes.stop(line, what, "Name it: --map question=COLUMN.")


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _of_rows(rows: list[Node] | None, mapped: Mapping[Role, str], notes: ConversionReport) -> QuestionTable | None:
    if not rows:
        return None
    if len(rows) > MOST_ROWS:
        raise notes.stop(None, f"more than {MOST_ROWS:,} prompts", "Take a sample of them.")
    table = _table(rows)
    if not known_question(table.columns, mapped):
        raise no_question(table.columns, rows[0].line, notes)
    return table


def _rows(items: Sequence[Node]) -> list[Node] | None:
    """Mappings as they are, texts as `{prompt: …}`. None where an item is neither."""
    rows = []
    for item in items:
        if item.entries is not None:
            rows.append(item)
        elif isinstance(item.scalar, str) and item.items is None:
            rows.append(_row({"prompt": item}, item.line))
        else:
            return None
    return rows


def _holds_rows(node: Node) -> bool:
    if node.items:
        return _rows(node.items) is not None
    return bool(node.entries) and all(_is_sentence(item) for _, item in (node.entries or {}).values())


def _by_category(entries: Mapping[str, tuple[int, Node]]) -> list[Node]:
    """Rows that stand under the name of their category."""
    found = []
    for key, (line, node) in entries.items():
        for row in _rows(node.items or []) or []:
            inside = row.entries or {}
            found.append(Node(row.line, entries={"category": (line, Node(line, key))} | inside))
    return found


def _is_sentence(node: Node) -> bool:
    """Text of several words: `{id: text}` holds questions, not settings."""
    return isinstance(node.scalar, str) and len(node.scalar.split()) > 1


def _row(values: Mapping[str, Node], line: int) -> Node:
    return Node(line, entries={key: (node.line, node) for key, node in values.items()})


def _table(rows: Sequence[Node]) -> QuestionTable:
    return QuestionTable(tuple(dict.fromkeys(key for row in rows for key in row.entries or {})), tuple(rows))


# Format of a file, by its content; its name matters for plain text alone.


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
    table: QuestionTable = QuestionTable((), ())
    mapped: Mapping[Role, str] = field(default_factory=dict)  # which column is what, as the user says
    graders: tuple[str, ...] | None = None  # of the definition that the user names


def by_text(text: str, notes: ConversionReport, mapped: Mapping[Role, str]) -> Recognised | None:
    """What can be told before YAML is read: tables and JSON. None: it is YAML, ours or another's, or bare text."""
    start = text.lstrip()
    is_lines = notes.file.lower().endswith(_LINES_SUFFIXES) or not _is_one_object(start, mapped)
    if start[:1] in ("{", '"') and _is_json_object(start.split("\n", 1)[0]) and is_lines:
        return _json_lines(text, notes, mapped)
    if start[:1] in ("{", "["):
        return _whole_json(text, notes, mapped)
    header = source.header_of(text)
    is_named = notes.file.lower().endswith(_DATA_SUFFIXES)
    if start.startswith(("-", "#", "%")) or (":" in start.split("\n", 1)[0] and not is_named):
        return None
    if known_question(header, {}) or (len(header) > 1 and (mapped or is_named)) or (is_named and start.count("\n") > 1):
        return _csv(text, notes, mapped)
    return None


def by_yaml(document: Document, notes: ConversionReport, mapped: Mapping[Role, str]) -> Recognised | None:
    """A YAML file with its format; None for a suite of our own, and for what is none at all.

    Raises InputError for a list of mappings that has no column of questions.
    """
    root = document.root
    if (kind := _judged(root.items or [])) is not None:
        return Recognised(kind, root)
    if root.entries is not None and "tests" in root.entries and _PROMPTFOO_KEYS & root.entries.keys():
        return Recognised("promptfoo YAML", root)
    table = table_of(root, mapped, notes)
    if table is None:
        return None
    _refuse_answers(set(table.columns), notes, mapped)
    return Recognised("prompts as YAML", plain_node(None, 1), table)


def by_lines(text: str, notes: ConversionReport) -> Recognised:
    """A file of bare text. Raises InputError where its lines are no prompts."""
    return Recognised("prompts as lines of text", plain_node(None, 1), lines_of(text, notes))


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
        value = source.parsed(line)
    except ValueError:
        return False
    if isinstance(value, dict):
        return not (OWN_KEYS & value.keys()) and not _is_trait(value)
    return isinstance(value, str)


def _is_one_object(text: str, mapped: Mapping[Role, str]) -> bool:
    """Whether the whole file is one object on one line that is not itself a question."""
    try:
        value = source.parsed(text)
    except ValueError:
        return False
    return isinstance(value, dict) and not known_question([*value], mapped)


def _json_lines(text: str, notes: ConversionReport, mapped: Mapping[Role, str]) -> Recognised:
    table = source.json_lines(text, notes)
    if not mapped and _is_training(table):
        return Recognised("fine-tuning JSONL", plain_node(None, 1), table)
    _refuse_answers(set(table.columns), notes, mapped)
    if not known_question(table.columns, mapped):
        raise no_question(table.columns, 1, notes)
    return Recognised("prompts as JSONL", plain_node(None, 1), table)


def _is_training(table: QuestionTable) -> bool:
    """Rows that hold what a model was taught to answer, and nothing that says who answered."""
    keys = set(table.columns)
    if keys & set(TALK_KEYS):
        return any(_ends_with_answer(row.plain()) for row in table.rows)
    return bool(keys & {"prompt", "instruction"} and keys & {"completion", "output"}) and not keys & SCORE_KEYS


def _is_taught(table: QuestionTable) -> bool:
    """As `_is_training`, of a file that may as well hold results: only by the names that trainers use together."""
    keys = set(table.columns)
    named = bool(keys & set(TALK_KEYS)) or any(names <= keys for names in _TRAINED)
    return named and not keys & SCORE_KEYS and _is_training(table)


def _ends_with_answer(row: JsonValue) -> bool:
    turns = next((row[key] for key in TALK_KEYS if key in row), None) if isinstance(row, dict) else None
    last = turns[-1] if isinstance(turns, list) and turns else None
    return isinstance(last, dict) and last.get("role", last.get("from")) in ("assistant", "model", "gpt")


def _whole_json(text: str, notes: ConversionReport, mapped: Mapping[Role, str]) -> Recognised | None:
    """A JSON file that is no suite of ours. What cannot be parsed is left to the YAML reader, which tells the line."""
    try:
        value = source.parsed(text)
    except ValueError:
        return None
    if isinstance(value, dict) and _is_trait(value):
        return Recognised("persona-vectors JSON", source.tree(value, text))
    table = None if _is_other_json(value) else table_of(source.tree(value, text), mapped, notes)
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


def _csv(text: str, notes: ConversionReport, mapped: Mapping[Role, str]) -> Recognised:
    table = source.csv_table(text, notes)
    if not mapped and _is_taught(table):
        return Recognised("fine-tuning CSV", plain_node(None, 1), table)
    _refuse_answers(set(table.columns), notes, mapped)
    if not known_question(table.columns, mapped):
        raise no_question(table.columns, 1, notes)
    names = set(table.columns)
    is_persona = "question" not in mapped and "question" in names and bool({"canary", "grader"} & names)
    return Recognised("persona-features CSV" if is_persona else "prompts as CSV", plain_node(None, 1), table)


def _refuse_answers(keys: Collection[str], notes: ConversionReport, mapped: Mapping[Role, str]) -> None:
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
