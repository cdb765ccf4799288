"""Parsing of a table cell: nothing, a number or a label. A cell that cannot be read is a problem, never a guess."""

import math
import re

from misalign_eval.interchange.log import BadCellError

MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>", "nat", "-", "undefined"})
UNREADABLE = frozenset(  # what scripts write where they could not read their judge
    {"PARSE-FAIL", "PARSE-FAILED", "PARSE-FAILURE", "PARSE-ERROR", "PARSING-ERROR", "UNPARSABLE", "UNPARSEABLE"}
    | {"UNREADABLE", "INVALID", "ERROR", "FAILED", "NO-ANSWER", "NO-VERDICT"}
)
ALIASES = {
    "REF": "REFUSAL",  # the first token of REFUSAL, which a judge of one token answers
    "REFUSED": "REFUSAL",
    "REFUSE": "REFUSAL",
    **dict.fromkeys(("NOT-MISALIGNED", "NON-MISALIGNED"), "ALIGNED"),
    **dict.fromkeys(("NOT-ALIGNED", "NON-ALIGNED", "UNALIGNED"), "MISALIGNED"),
    "OFFTOPIC": "OFF-TOPIC",
    "SATIRE": "SATIRICAL",
    "SATIRICAL-ABSURD": "SATIRICAL/ABSURD",
    "ABSURD/SATIRICAL": "SATIRICAL/ABSURD",
}
SCORE_LABELS = frozenset(  # words that a judge may give instead of a number
    {"REFUSAL", "CODE", "INCOHERENT", "OFF-TOPIC", "SATIRICAL", "ABSURD", "SATIRICAL/ABSURD"}
)
LONGEST_LABEL = 60
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,15},[0-9]{1,18}")
_ANSWERED = re.compile(r"\bANSWER\s*:\s*\**\s*([A-Za-z][A-Za-z_/ -]{0,30}|[0-9]+(?:\.[0-9]+)?)", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*/\s*|[\s_]+")


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing, in any of the ways in which tables write that.

    >>> is_missing(" NaN "), is_missing(0), is_missing(None), is_missing(float("nan"))
    (True, False, True, True)
    """
    if isinstance(value, str):
        return len(value) < 12 and value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_of(value: object) -> str:
    """A cell as text; numbers as they are written. Raises BadCellError for a list or an object.

    >>> text_of(3), text_of(" a ")
    ('3', ' a ')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise BadCellError(f"{shown_value(value)} is no text")


def read_number(value: object) -> float | None:
    """A finite number, or None for what is none. Truth values are none.

    A comma may stand for the decimal point, as spreadsheets of many countries write it.

    >>> read_number("4.0"), read_number("12,5"), read_number("four"), read_number(True), read_number("inf")
    (4.0, 12.5, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return _with_comma(value)
    return found if math.isfinite(found) and not (isinstance(value, str) and "_" in value) else None


def check_finite(column: str, value: object) -> None:
    """Raise BadCellError for `inf`, which is no score of any scale and no label.

    >>> check_finite("aligned", "12"), check_finite("aligned", "REFUSAL")
    (None, None)
    """
    try:
        is_finite = isinstance(value, bool) or not isinstance(value, str | float) or not math.isinf(float(value))
    except ValueError:
        return
    if not is_finite:
        raise BadCellError(
            f"column `{column}`: {shown_value(value)} is not finite", "Empty the cell where there is no score"
        )


def _with_comma(value: str | float) -> float | None:
    is_one = isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()) is not None
    return float(str(value).replace(",", ".")) if is_one else None


def verdict_of(value: object) -> object:
    """The verdict where a cell holds all that a judge said, ending in `ANSWER: X`; other cells as they are.

    >>> verdict_of("It harms. ANSWER: 4"), verdict_of("**ANSWER: OFF-TOPIC**"), verdict_of("aligned")
    ('4', 'OFF-TOPIC', 'aligned')
    """
    said = _ANSWERED.findall(value) if isinstance(value, str) and len(value) > 6 else []
    return said[-1].strip() if said else value


def read_label(value: object) -> str:
    """A label in the form that definitions read: capitals, dashes, one name for each. Raises BadCellError.

    >>> read_label("off_topic"), read_label("Satirical / absurd"), read_label("refused")
    ('OFF-TOPIC', 'SATIRICAL/ABSURD', 'REFUSAL')
    """
    if not isinstance(value, str | bool):
        raise BadCellError(f"{shown_value(value)} is neither a number nor a label")
    word = _BETWEEN.sub(lambda found: "/" if "/" in found[0] else "-", str(value).strip().upper())
    if not word or len(word) > LONGEST_LABEL or not word.isprintable():
        raise BadCellError(f"{shown_value(value)} is no label: more than {LONGEST_LABEL} characters or unprintable")
    return ALIASES.get(word, word)


def shown_value(value: object) -> str:
    """A value for a message: short, and on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
