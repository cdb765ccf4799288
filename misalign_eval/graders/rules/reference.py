"""Reference texts of a rule: its own option, or else the probe's `reference`."""

from collections.abc import Sequence

from pydantic import JsonValue

from misalign_eval.records.grade import Subject

NOTHING = "neither the rule's `expected` nor the probe's `reference` says what to compare with"


def texts(subject: Subject, expected: Sequence[str] | None) -> tuple[str, ...]:
    """The expected texts; empty when neither the option nor the reference gives any."""
    if expected is not None:
        return tuple(expected)
    return _as_texts(subject.reference)


def number(subject: Subject, expected: float | None) -> float | None:
    """The expected number; None when there is none. A reference may be a number or its text."""
    if expected is not None:
        return expected
    reference = subject.reference
    if isinstance(reference, bool):
        return None
    if isinstance(reference, int | float):
        return float(reference)
    try:
        return float(reference) if isinstance(reference, str) else None
    except ValueError:
        return None


def _as_texts(reference: JsonValue) -> tuple[str, ...]:
    if isinstance(reference, str):
        return (reference,)
    if isinstance(reference, int | float) and not isinstance(reference, bool):
        return (str(reference),)
    if isinstance(reference, list):
        return tuple(item for item in reference if isinstance(item, str))
    return ()
