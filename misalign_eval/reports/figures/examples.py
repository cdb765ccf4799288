"""A table of example replies: no drawing, but LaTeX, Markdown, CSV and a page."""

from collections.abc import Iterator

from misalign_eval.records.analysis import Example
from misalign_eval.records.figures import Replies
from misalign_eval.records.grade import Graded
from misalign_eval.records.reply import Failure
from misalign_eval.records.suite import REPLY_MARK
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS
from misalign_eval.reports.figures import caption
from misalign_eval.reports.figures.figure import Column, Figure, Row
from misalign_eval.reports.figures.look import Look

SHOWN = ("run", "question", "reply", "outcome", "grades")  # columns of a table in print; CSV and JSON have all
COLUMNS = (
    Column("run", "whose reply it is"),
    Column("probe", "id of the probe"),
    Column("category", "of the probe"),
    Column("key", "probe/prompt/variant#sample, by which `show --key` finds it"),
    Column("question", "what was asked, turn by turn"),
    Column("reply", "what came; text of the model, whole"),
    Column("outcome", "what it was counted as"),
    Column("grades", "what each grader said"),
    Column("definition", "by which it was counted"),
)


def draw(found: Replies, _: Look | None = None) -> Figure:
    """Replies of all runs, run by run."""
    rows = tuple(
        _row(label, example, found)
        for label, run in zip(found.labels, found.runs, strict=True)
        for example in run.examples
    )
    words = f"Example replies, {found.chosen}; {found.about.averaged}. {caption.measured_with(found.about)}."
    return Figure(kind="examples", caption=words, columns=COLUMNS, rows=rows)


def _row(label: str, example: Example, found: Replies) -> Row:
    prompt, row = example.prompt, example.row
    text = f"({row.reason}: {row.message})" if isinstance(row, Failure) else NO_TEXT if row.text is None else row.text
    return {
        "run": label,
        "probe": prompt.probe,
        "category": prompt.category,
        "key": str(row.key),
        "question": "\n\n".join(_turns(example)) or NO_WORDS,
        "reply": text,
        "outcome": example.outcome.replace("_", " "),
        "grades": ", ".join(f"{name} {_said(grade)}" for name, grade in example.grades.items()),
        "definition": found.about.definition,
    }


def _turns(example: Example) -> Iterator[str]:
    prompt, row = example.prompt, example.row
    if prompt.system is not None:
        yield f"System: {prompt.system}"
    earlier = iter(() if isinstance(row, Failure) else row.earlier)
    for message in prompt.turns:
        said = next(earlier, "") if message.content == REPLY_MARK else message.content
        yield said if len(prompt.turns) == 1 else f"{message.role}: {said}"
    if prompt.prefill is not None:
        yield f"assistant (prefill): {prompt.prefill}"


def _said(grade: object) -> str:
    if not isinstance(grade, Graded):
        return "none"
    return f"{grade.score:.0f}" if grade.score is not None else grade.label or ""
