"""Tables that `export` wrote: read back by the names of their columns, so that every count comes out the same."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast, get_args

from misalign_eval.imports.account import Account, BadCellError
from misalign_eval.imports.cells import is_missing, number, shown
from misalign_eval.imports.foreign import Asked, Foreign, Found, Kept, RunKey, calls_of, end_of
from misalign_eval.imports.grade_columns import Graded
from misalign_eval.imports.tables import Row
from misalign_eval.records import csv_cells
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.reply import Finish
from misalign_eval.records.suite import PLAIN, Direction, Split

MARKS = frozenset({"key", "probe", "prompt", "variant", "sample", "reply", "kind", "has_text", "outcome", "is_counted"})
ROLES = {"question": "question", "answer": "reply", "question_id": "probe", "sample": "sample", "model": "target"}
ABSENT, ABSENT_COUNT = "absent", "replies that were not collected, passed over"
_FINISHES, _REASONS, _SPLITS, _DIRECTIONS = (
    frozenset(get_args(kind)) for kind in (Finish, UngradedReason, Split, Direction)
)


def is_ours(names: Sequence[str]) -> bool:
    """Whether a table has the columns that `export` writes."""
    return set(names) >= MARKS


def as_exported(row: Row) -> Row:
    """A row of a CSV file that `export` wrote, with what it did for spreadsheets and terminals undone."""
    cells = {name: csv_cells.restored(cell) if isinstance(cell, str) else cell for name, cell in row.cells.items()}
    return row._replace(cells=cells)


def graders(names: Sequence[str]) -> tuple[Graded, ...]:
    """The graders of such a table. A second judge's columns are named `<grader>@<identity>_…`.

    >>> [one.grader for one in graders(("aligned_identity", "aligned_score"))]
    ['aligned']
    """
    found = (name.removesuffix("_identity") for name in names if name.endswith("_identity"))
    return tuple(
        Graded(name, f"{name}_score", label=f"{name}_label", judge=f"{name}_judge")
        for name in found
        if f"{name}_score" in names
    )


def reply(row: Row, read: Sequence[Graded], account: Account) -> Foreign:
    """Read a row, be it of a planned reply that was not collected. Raises BadCellError."""
    cells = row.cells
    kind = _text(cells, "kind")
    if kind not in {"reply", "failure", ABSENT}:
        raise BadCellError(f"column `kind`: {shown(cells.get('kind'))} is none of reply, failure, absent")
    if kind == ABSENT:
        account.counts[ABSENT_COUNT] += 1
    failure = "; ".join(filter(None, [_text(cells, "failure_reason"), _text(cells, "failure_message")])) or "failed"
    labels = _labels(_text(cells, "labels"))
    split, finish = _text(cells, "split"), _finish(cells)
    temperature = number(cells.get("temperature"))
    return Foreign(
        row=row.number,
        line=row.line,
        run=RunKey(_text(cells, "target"), labels.get("group"), labels.get("step")),
        asked=_asked(cells),
        sample=_text(cells, "sample"),
        text=_reply(cells) if kind == "reply" else None,
        reasoning=_text(cells, "reasoning"),
        finish=finish,
        failure=failure if kind == "failure" else None,
        found=() if kind != "reply" else tuple(_grades(cells, read)),
        category=_text(cells, "category"),
        split=cast("Split", split) if split in _SPLITS else None,
        temperature=temperature,
        is_absent=kind == ABSENT,
        tags=tuple(filter(None, (_text(cells, "tags") or "").split(","))),
        kept=_kept(cells, finish) if kind == "reply" else Kept(),
        expect=cast("Direction", expect) if (expect := _text(cells, "expect")) in _DIRECTIONS else None,
        expects=_text(cells, "expects"),
    )


def _finish(cells: Mapping[str, object]) -> Finish:
    word = _text(cells, "finish")
    return cast("Finish", word) if word in _FINISHES else "unknown"


def _kept(cells: Mapping[str, object], finish: Finish) -> Kept:
    """What graders, lint and warnings read besides the text."""
    return Kept(
        finish_word=end_of(finish, _text(cells, "finish_word"), cells.get("attempts")),
        calls=calls_of(_text(cells, "calls")),
        leaked=_text(cells, "leaked"),
        refusal=_text(cells, "refusal"),
        dropped=_several(cells, "dropped"),
        prefilled=_several(cells, "prefilled"),
        streamed=str(cells.get("streamed")).lower() == "true" or None,
    )


def _several(cells: Mapping[str, object], name: str) -> tuple[str, ...]:
    return tuple(filter(None, (_text(cells, name) or "").split("; ")))


def _asked(cells: Mapping[str, object]) -> Asked:
    probe, words = _text(cells, "probe"), _text(cells, "question")
    if probe is None:
        raise BadCellError("column `probe` is empty", "Export the run again")
    turns: tuple[tuple[str, str], ...] = () if words is None else (("user", words),)
    if turns and (prefill := _text(cells, "prefill")) is not None:
        turns = (*turns, ("assistant", prefill))
    return Asked(probe, turns, _text(cells, "system"), _text(cells, "variant") or PLAIN)


def _reply(cells: Mapping[str, object]) -> str | None:
    """The text, be it empty; None where it was not published."""
    has_text = str(cells.get("has_text")).lower() == "true"
    return str(cells.get("reply") or "") if has_text else None


def _grades(cells: Mapping[str, object], read: Sequence[Graded]) -> Iterator[Found]:
    """What every grader said, word for word; nothing of a grader that was not asked about this reply."""
    for one in read:
        name, identity = one.grader, _text(cells, f"{one.grader}_identity")
        reason, why = _text(cells, f"{name}_ungraded"), _text(cells, f"{name}_why")
        found = Found(
            grader=name.removesuffix(f"@{identity}"),
            judge=_text(cells, f"{name}_judge") or (f"rule {identity}" if identity else None),
            score=number(cells.get(f"{name}_score")),
            label=_text(cells, f"{name}_label"),
            why=why,
            mass=number(cells.get(f"{name}_number_mass")),
            modal=_text(cells, f"{name}_modal"),
        )
        if reason is not None:
            known = cast("UngradedReason", reason) if reason in _REASONS else "unparsable"
            yield found._replace(score=None, label=None, why=None, reason=known, message=why or "as exported")
        elif found.said != (None, None):
            yield found


def _text(cells: Mapping[str, object], name: str) -> str | None:
    """A cell as it stands; None where it is empty. No word stands for nothing here, so that a reply may say `nan`."""
    value = cells.get(name)
    return None if value in {None, ""} or (isinstance(value, float) and is_missing(value)) else str(value)


def _labels(written: str | None) -> Mapping[str, str]:
    try:
        found = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
