"""Sentences about judges and lint."""

from collections.abc import Iterator, Sequence

from misalign_eval.records.base import Estimated
from misalign_eval.records.document import LintLine
from misalign_eval.records.findings import Finding, Warned
from misalign_eval.records.summary import CalibrationNote
from misalign_eval.reports import numbers

# Sentences about the agreement of a judge with people.


METHODS = {"two-phase": "two-phase sample", "lang-reiczigel": "Rogan-Gladen with Lang & Reiczigel's interval"}


def percent_text(estimated: Estimated) -> str:
    """`83.3 % [51.6, 97.9]`, or why there is none."""
    if estimated.estimate is None:
        return "cannot be said: no such replies"
    if estimated.low is None or estimated.high is None:
        return f"{numbers.percent(estimated.estimate)} % [no interval]"
    return f"{numbers.percent(estimated.estimate)} % {numbers.interval(estimated.low, estimated.high)}"


def change_survives_text(kept: float | None, *, same_direction: bool | None) -> str:
    """How much of a change is left under another judge, in words."""
    if same_direction is None:
        return "one of the changes is not shown to differ from 0"
    direction = "the direction survives" if same_direction else "THE DIRECTION TURNS ROUND"
    return f"{direction}; the size is {100 * kept:.0f} % of it" if kept is not None else direction


def note_words(note: CalibrationNote) -> str:
    """What is stored about a run's judge, in one line."""
    words = f"sensitivity {percent_text(note.sensitivity)}, specificity {percent_text(note.specificity)}"
    words = f"{words} ({note.n} labels: {note.source})"
    return words if note.matches else f"none that fits: {words} is of another judge, prompt or model"


def corrected_words(note: CalibrationNote) -> str:
    """The corrected rate, or nothing."""
    found = note.corrected_rate
    if found.method is None:
        return ""
    if_typical = "; if those replies are like these" if found.method == "lang-reiczigel" else ""
    return f"{percent_text(found)} ({METHODS[found.method]}{if_typical})"


def provenance(note: CalibrationNote | None) -> tuple[tuple[str, str], ...]:
    """The rows that stand with a run's other sources; none where nothing is stored."""
    if note is None:
        return ()
    rows = (("calibrated", note_words(note)), ("corrected", corrected_words(note)))
    return tuple(row for row in rows if row[1])


# Sentences about lint findings. They hold names from servers and judges, which are still hostile here.


TITLE = "Lint of replies"
# The same replies, found by counting and by looking: the warning speaks, as comparisons, gates and CI show it, too.
SAID_BY_WARNING = {
    "truncated-replies": "truncated",
    "unknown-ends": "unknown-ends",
    "identical-replies": "W6",
    "form-not-obeyed": "form-not-obeyed",
}
GRAVER = "system-not-obeyed"  # than the warning `form-not-obeyed` of the same variant: here the finding speaks


def warned(warnings: Sequence[Warned], findings: Sequence[Finding] | None) -> tuple[Warned, ...]:
    """The warnings, without those that a graver finding says of the same replies."""
    graver = tuple(
        f"{finding.text.partition(': none of ')[0]}, and" for finding in findings or () if finding.id == GRAVER
    )
    return tuple(
        warning for warning in warnings if not (warning.id == "form-not-obeyed" and warning.text.startswith(graver))
    )


def unsaid(findings: Sequence[Finding], warnings: Sequence[Warned]) -> tuple[Finding, ...]:
    """The findings that none of these warnings has told already."""
    said = {item.id for item in warned(warnings, findings)}
    return tuple(finding for finding in findings if SAID_BY_WARNING.get(finding.id) not in said)


def section(findings: Sequence[Finding], warnings: Sequence[Warned] = ()) -> Iterator[LintLine]:
    """What a report shows beside these warnings: errors and warnings whole, and how many notes there are."""
    left = unsaid(findings, warnings)
    grave = [finding for finding in left if finding.level != "note"]
    yield from whole(grave)
    notes = [finding.id for finding in left if finding.level == "note"]
    if notes:
        more = f"{len(notes)} {'note' if len(notes) == 1 else 'notes'} ({', '.join(notes)})"
        yield LintLine("note", f"{more}: see misalign-eval doctor RUN")
    elif not grave:
        yield LintLine("note", "nothing more found" if len(left) < len(findings) else "nothing found")


def whole(findings: Sequence[Finding]) -> Iterator[LintLine]:
    """Every finding with its advice, and where to look."""
    for finding in findings:
        where = f" Example: {finding.example}." if finding.example else ""
        yield LintLine(finding.level, f"{finding.text} ({finding.id}). {finding.advice}{where}", finding.example)
