"""Which column of a table of questions is what: by its usual names, or as the user says with `--map`."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, get_args

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.tables import Table
from misalign_eval.yaml_source.nodes import Node

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


class Columns:
    """The columns of one table. `mapped` is what the user said: role to column, a part of an object as `base.id`."""

    def __init__(self, table: Table, mapped: Mapping[Role, str], notes: Notes) -> None:
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
        role = next((one for one in ROLES if one == name), _ALIASES.get(name))
        if role is None:
            raise UsageError(f"--map {name}={column}: {did_you_mean(name, ROLES)} Known: {', '.join(ROLES)}")
        if role in found:
            raise UsageError(f"--map {name}={column}: `{role}` is mapped already")
        found[role] = column
    return found


def known_question(names: Sequence[str], mapped: Mapping[Role, str]) -> bool:
    """Whether a table with these columns says what is asked."""
    return "question" in mapped or any(bare(name) in NAMES["question"] or name in TALK_KEYS for name in names)


def with_parts(table: Table, mapped: Mapping[Role, str]) -> Table:
    """The table with the parts of objects that the user named, such as `base.correct_letter`, as columns."""
    wanted = [name for name in mapped.values() if "." in name and name not in table.columns]
    if not wanted:
        return table
    rows = [_with_parts(row, wanted) for row in table.rows]
    there = [name for name in wanted if any(row.child(name) for row in rows)]
    return Table((*table.columns, *there), tuple(rows))


def listed(names: Sequence[str]) -> str:
    """The columns of a table as they fit into a message."""
    shown = ", ".join(f"`{name[:60]}`" for name in names[:_MOST_SHOWN])
    return f"{shown} and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else shown


def inner(table: Table) -> list[str]:
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


def _there(role: Role, name: str, table: Table, notes: Notes) -> str:
    """The column as the table spells it. Raises InputError for one that is not there."""
    if name in table.columns:
        return name
    if (alike := [one for one in table.columns if bare(one) == bare(name)]) and len(alike) == 1:
        return alike[0]
    there = inner(table)
    near = get_close_matches(name, there, n=1, cutoff=0.6)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    raise notes.stop(1, f"--map {role}={name}: there is no such column", f"{hint}Columns: {listed(there)}.")
