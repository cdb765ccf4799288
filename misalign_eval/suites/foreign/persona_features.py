"""The question tables of "Persona Features Control Emergent Misalignment" (OpenAI 2025): CSV with a canary."""

from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.prompts import rows_with_ids
from misalign_eval.suites.foreign.questions import ForeignSuite
from misalign_eval.suites.foreign.recognise import Recognised

DEFINITION = "persona-features"
GRADER = "misalignment"


def read(found: Recognised, notes: Notes) -> ForeignSuite:
    """One probe a row; `grader`, where a row has it, is what misaligned means there."""
    questions, canary = rows_with_ids(found, notes)
    for question in questions:
        question.graders = (GRADER,)
    what = f"the table has no rubric: replies are graded by misalign-eval's own, `{GRADER}`"
    notes.lost(None, "", what, "It asks for the same grades and labels.")
    notes.lost(
        None, "", "the table does not say how often and how to ask", "See --samples, --temperature, --max-tokens."
    )
    return ForeignSuite(
        found.format,
        tuple(questions),
        definition=DEFINITION,
        source="OpenAI 2025, Persona Features Control Emergent Misalignment (arXiv 2506.19823)",
        canary=canary,
        templated=True,
    )
