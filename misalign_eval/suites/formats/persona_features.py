"""The question tables of "Persona Features Control Emergent Misalignment" (OpenAI 2025): CSV with a canary."""

from misalign_eval.suites.formats.detect import Recognised
from misalign_eval.suites.formats.prompts import rows_with_ids
from misalign_eval.suites.formats.questions import ForeignSuite
from misalign_eval.suites.formats.source import ConversionReport

DEFINITION = "persona-features"
GRADER = "misalignment"


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """One probe a row; `grader`, where a row has it, is what misaligned means there."""
    questions, canary = rows_with_ids(recognised, notes)
    for question in questions:
        question.graders = (GRADER,)
    what = f"the table has no rubric: replies are graded by misalign-eval's own, `{GRADER}`"
    notes.lost(None, "", what, "It asks for the same grades and labels.")
    notes.lost(
        None, "", "the table does not say how often and how to ask", "See --samples, --temperature, --max-tokens."
    )
    return ForeignSuite(
        recognised.format,
        tuple(questions),
        definition=DEFINITION,
        source="OpenAI 2025, Persona Features Control Emergent Misalignment (arXiv 2506.19823)",
        canary=canary,
        templated=True,
    )
