"""One reply in a few lines, for test reports: what was asked, what came, and what each grader said of it."""

from collections.abc import Iterator
from textwrap import indent

from misalign_eval.records.analysis import Example
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.reply import Failure
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS, one_line, plain
from misalign_eval.reports.fitting import MARGIN

EXCERPT = 1000  # characters
WHY = 500


def shown(example: Example) -> Iterator[str]:
    """Its key, the last question, the beginning of the reply, and every grade with the judge's reason."""
    row, messages, prefill = example.row, example.prompt.turns, example.prompt.prefill
    yield f"{one_line(str(row.key))}: {example.outcome}"
    yield from _quoted("asked", messages[-1].content if messages else NO_WORDS)
    if prefill is not None:
        yield from _quoted("prefill", prefill)
    if isinstance(row, Failure):
        yield from _quoted(f"failed ({row.reason}, {row.attempts} attempts)", row.message)
    else:
        yield from _quoted("replied", NO_TEXT if row.text is None else row.text)
    for grader, grade in example.grades.items():
        yield f"{one_line(grader)}: {_said(grade)}"


def _quoted(speaker: str, text: str) -> Iterator[str]:
    cut = text if len(text) <= EXCERPT else f"{text[:EXCERPT]}..."
    yield f"{speaker}:"
    yield indent(plain(cut), MARGIN, lambda _: True)


def _is_number(words: str) -> bool:
    """A judge that was read by its log-probabilities says no more than a number, often another than their mean."""
    return words.strip().isdecimal()


def _said(grade: Graded | Ungraded) -> str:
    if isinstance(grade, Ungraded):
        return f"not graded ({grade.reason}): {one_line(grade.message, WHY)}"
    found = one_line(grade.label or "", WHY) if grade.score is None else f"{grade.score:.1f}"
    why = grade.why or (grade.raw if grade.raw and not _is_number(grade.raw) else "")
    return f"{found} - {one_line(why, WHY)}" if why else found
