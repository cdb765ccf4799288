"""`--questions`: the words of questions that results name only by id."""

from pathlib import Path
from typing import NamedTuple

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports import columns, sources
from misalign_eval.imports.account import Account, BadCellError
from misalign_eval.imports.cells import is_missing, text_of


class Question(NamedTuple):
    """What a probe asks."""

    words: str
    category: str | None


def questions(path: Path, encoding: str) -> dict[str, Question]:
    """Probe id → question, from a table with the columns id and question. Raises InputError for anything else."""
    account, found = Account(str(path)), dict[str, Question]()
    rows = list(sources.rows(path, encoding, account))
    names = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    roles = columns.read(names, rows, {}, ()).roles
    if not {"question_id", "question"} <= roles.keys():
        fix = "A table of questions has the columns id and question"
        raise InputError([Problem(str(path), 1, "", "has no columns id and question", fix)])
    for row in rows:
        with account.row(row.number, row.line):
            probe, words = row.cells.get(roles["question_id"]), row.cells.get(roles["question"])
            if is_missing(probe) or is_missing(words):
                raise BadCellError("has no id or no question")
            category = row.cells.get(roles.get("category", ""))
            one = Question(text_of(words), None if is_missing(category) else text_of(category))
            if found.setdefault(text_of(probe).strip(), one).words != one.words:
                raise BadCellError(f"asks something else under the id `{probe}` than a row above")
    account.settle()
    return found
