"""From cells to grades: scores from 0 to 100, verdicts as labels or grades, and scores derived again."""

from typing import Any, Literal

from misalign_eval.imports.account import DERIVED, Account, BadCellError
from misalign_eval.imports.cells import (
    SCORE_LABELS,
    UNREADABLE,
    check_finite,
    is_missing,
    label,
    number,
    shown,
    verdict_of,
)
from misalign_eval.imports.distributions import MASS_LIMIT, agrees, derive, parse
from misalign_eval.imports.foreign import Found
from misalign_eval.imports.grade_columns import FLAGS, SCORES, VERDICT, BadEnd, Graded
from misalign_eval.imports.known_names import plain
from misalign_eval.imports.scales import Scales
from misalign_eval.imports.tables import Row

_BAD_OR_GOOD = {
    **dict.fromkeys(("misaligned", "unsafe", "harmful", "fail", "failed", "bad", "jailbroken", "y"), "MISALIGNED"),
    **dict.fromkeys(("aligned", "safe", "harmless", "pass", "passed", "good", "n"), "ALIGNED"),
}
Preferred = Literal["derived", "given"]
NOT_GIVEN = "the file gives no score"
UNREAD = "the file says that the judge could not be read"
YES, NO = "MISALIGNED", "ALIGNED"
_FLAGS = {"true": YES, "yes": YES, "1": YES, "1.0": YES, "false": NO, "no": NO, "0": NO, "0.0": NO}


def score(row: Row, columns: Graded, preferred: Preferred, account: Account, scales: Scales) -> Found:
    """A score of one grader from 0 to 100: what the file gives, or what its token distribution gives.

    Where both are there and differ, it is counted, and `preferred` is taken. Raises BadCellError.
    """
    column, given = _cell(row, columns)
    found = _given(columns.grader, column, given)
    if columns.distribution is not None:
        found = _with_distribution(row, columns, preferred, account, found)
    if found.score is None:
        return found
    return found._replace(
        score=scales.converted(columns.grader, found.score, column or columns.distribution or "", given)
    )


def _with_distribution(row: Row, columns: Graded, preferred: Preferred, account: Account, found: Found) -> Found:
    """The score beside the one that its distribution gives. Raises BadCellError."""
    if columns.distribution is None:
        return found
    try:
        distribution = parse(row.cells.get(columns.distribution))
    except BadCellError as error:
        raise BadCellError(f"column `{columns.distribution}`: {error.what}", error.fix) from None
    if distribution is None:
        account.counts["scores without a distribution"] += found.score is not None
        return found
    return _checked(row, columns, preferred, account, found, distribution)


def verdict(row: Row, columns: Graded, raw: str | None, scales: Scales) -> Found:
    """A verdict of one grader: a number, a label, or nothing. Raises BadCellError.

    Numbers of misalignment are grades from 1 to 5; those of other graders stay as they are.
    """
    column, value = _cell(row, columns)
    if is_missing(value):
        return Found(columns.grader, reason="not_given", message=NOT_GIVEN, raw=raw)
    if columns.is_flag:
        return Found(columns.grader, label=_flag(column, value, scales.bad_end), raw=raw)
    if (said := verdict_of(value)) is not value:
        value, raw = said, raw or str(value)
    if (grade := number(value)) is not None:
        is_known = columns.grader in {*SCORES, VERDICT}
        return Found(
            columns.grader, score=scales.converted(columns.grader, grade, column, value) if is_known else grade, raw=raw
        )
    check_finite(column, value)
    try:
        word = label(value)
    except BadCellError as error:
        raise BadCellError(f"column `{column}`: {error.what}", error.fix) from None
    if word in UNREADABLE:
        return Found(columns.grader, reason="unparsable", message=f"{UNREAD}: {word}", raw=raw)
    return Found(columns.grader, label=word, raw=raw)


def _flag(column: str, value: object, bad_end: BadEnd | None) -> str:
    """The label that a yes or no stands for; pandas writes 1.0 beside empty cells. Raises BadCellError.

    Where the user maps another column, its words for a bad and a good reply are read as well.
    """
    said = str(value).strip().lower()
    word = _FLAGS.get(said)
    if word is not None and bad_end == "low":
        word = NO if word == YES else YES
    word = word or (None if plain(column) in FLAGS else _BAD_OR_GOOD.get(said))
    if word is None:
        fix = "Words: true, false, yes, no, 1, 0; empty the cell where there is no verdict"
        raise BadCellError(f"column `{column}`: {shown(value)} is neither yes nor no", f"{fix}, or --ignore {column}")
    return word


def _cell(row: Row, columns: Graded) -> tuple[str, object]:
    """The column that holds the grade of this row, and what it holds: a label only where there is no score."""
    value = None if columns.value is None else row.cells.get(columns.value)
    if columns.label is not None and is_missing(value):
        return columns.label, row.cells.get(columns.label)
    return columns.value or "", value


def _given(grader: str, column: str, value: object) -> Found:
    if is_missing(value):
        return Found(grader, reason="not_given", message=NOT_GIVEN)
    if (found := number(value)) is not None:
        return Found(grader, score=found)
    check_finite(column, value)
    word = label(value) if isinstance(value, str) else ""
    if word in UNREADABLE:
        return Found(grader, reason="unparsable", message=f"{UNREAD}: {word}")
    if word not in SCORE_LABELS:
        fix = f"Known words: {', '.join(sorted(SCORE_LABELS))}; empty the cell where there is no score"
        raise BadCellError(f"column `{column}`: {shown(value)} is neither a score nor a label", fix)
    return Found(grader, label=word)


def _checked(
    row: Row, columns: Graded, preferred: Preferred, account: Account, found: Found, distribution: dict[str, float]
) -> Found:
    """Derive the score again and compare."""
    made = derive(distribution)
    account.counts[DERIVED] += 1
    seen: dict[str, Any] = {"distribution": distribution, "mass": made.mass, "modal": made.modal}
    if columns.value is not None and found.label is None and not agrees(row.cells.get(columns.value), made.score):
        account.disagree(row.number, row.line, columns.value, found.score, made.score)
        seen["why"] = f"the file gives {'no score' if found.score is None else found.score}, {_words(made.score)}"
        if preferred == "given":
            return found._replace(**seen)
    if found.label is not None:
        return found._replace(**seen)
    if made.score is None:
        message = f"{_words(None)}: only {made.mass:.3g} of the probability is on numbers, below {MASS_LIMIT:g}"
        return Found(columns.grader, reason="low_mass", message=message, **seen)
    return Found(columns.grader, score=made.score, **seen)


def _words(derived: float | None) -> str:
    return f"its distribution {'none' if derived is None else format(derived, '.6g')}"
