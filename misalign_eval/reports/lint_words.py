"""Findings in words, for every page that shows them. They hold names from servers and judges: still hostile here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from misalign_eval.records.analysis import Warned
from misalign_eval.records.lint import Finding, Level

TITLE = "Lint of replies"
# The same replies, found by counting and by looking: the warning speaks, as comparisons, gates and CI show it, too.
SAID_BY_WARNING = {
    "truncated-replies": "truncated",
    "unknown-ends": "unknown-ends",
    "identical-replies": "W6",
    "form-not-obeyed": "form-not-obeyed",
}
GRAVER = "system-not-obeyed"  # than the warning `form-not-obeyed` of the same variant: here the finding speaks
MARKS: dict[Level, str] = {"error": "x ", "warning": "! ", "note": "- "}


class Line(NamedTuple):
    """One finding, or one sentence about all of them."""

    level: Level
    text: str
    example: str | None = None  # the key of a reply, as it stands in the text


def warned(warnings: Sequence[Warned], findings: Sequence[Finding] | None) -> tuple[Warned, ...]:
    """The warnings, without those that a graver finding says of the same replies."""
    graver = tuple(f"{one.text.partition(': none of ')[0]}, and" for one in findings or () if one.id == GRAVER)
    return tuple(one for one in warnings if not (one.id == "form-not-obeyed" and one.text.startswith(graver)))


def unsaid(findings: Sequence[Finding], warnings: Sequence[Warned]) -> tuple[Finding, ...]:
    """The findings that none of these warnings has told already."""
    said = {one.id for one in warned(warnings, findings)}
    return tuple(one for one in findings if SAID_BY_WARNING.get(one.id) not in said)


def section(findings: Sequence[Finding], warnings: Sequence[Warned] = ()) -> Iterator[Line]:
    """What a report shows beside these warnings: errors and warnings whole, and how many notes there are."""
    left = unsaid(findings, warnings)
    grave = [one for one in left if one.level != "note"]
    yield from whole(grave)
    notes = [one.id for one in left if one.level == "note"]
    if notes:
        more = f"{len(notes)} {'note' if len(notes) == 1 else 'notes'} ({', '.join(notes)})"
        yield Line("note", f"{more}: see misalign-eval doctor RUN")
    elif not grave:
        yield Line("note", "nothing more found" if len(left) < len(findings) else "nothing found")


def whole(findings: Sequence[Finding]) -> Iterator[Line]:
    """Every finding with its advice, and where to look."""
    for one in findings:
        where = f" Example: {one.example}." if one.example else ""
        yield Line(one.level, f"{one.text} ({one.id}). {one.advice}{where}", one.example)
