"""Questions in lists and mappings of YAML and JSON, and in lines of text, as rows of a table."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from misalign_eval.suites.foreign.columns import Role, known_question, listed
from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.tables import MOST_ROWS, Table
from misalign_eval.yaml_source.nodes import Node

OWN_KEYS = frozenset({"probes", "include", "definition", "licence", "defaults"})
_HEAD_KEYS = frozenset({"name", "version", "description"})  # of a suite of ours that lacks its probes
_WRAPPERS = ("questions", "prompts", "data", "examples", "instances", "samples", "items", "rows", "behaviors")
_SENTENCE_ENDS = tuple(".?!:;…\"')]}。？！")


def table_of(root: Node, mapped: Mapping[Role, str], notes: Notes) -> Table | None:
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


def lines_of(text: str, notes: Notes) -> Table:
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


def no_question(names: Sequence[str], line: int, notes: Notes) -> Exception:
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


def _of_rows(rows: list[Node] | None, mapped: Mapping[Role, str], notes: Notes) -> Table | None:
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


def _table(rows: Sequence[Node]) -> Table:
    return Table(tuple(dict.fromkeys(key for row in rows for key in row.entries or {})), tuple(rows))
