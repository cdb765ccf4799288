"""Figure `examples`: a table of replies, with the measuring of its texts."""

from collections.abc import Iterator

from misalign_eval.records.grade import Graded
from misalign_eval.records.pages import Replies
from misalign_eval.records.run import Failure
from misalign_eval.records.suite import REPLY_MARK
from misalign_eval.records.summary import ReplyExample
from misalign_eval.reports import escape
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.theme import Figure, FigureColumn, Row, Theme, Value

# Figure `examples`: a table of replies, not a drawing.


SHOWN = ("run", "question", "reply", "outcome", "grades")  # columns of a table in print; CSV and JSON have all
COLUMNS = (
    FigureColumn("run", "whose reply it is"),
    FigureColumn("probe", "id of the probe"),
    FigureColumn("category", "of the probe"),
    FigureColumn("key", "probe/prompt/variant#sample, by which `show --key` finds it"),
    FigureColumn("question", "what was asked, turn by turn"),
    FigureColumn("reply", "what came; text of the model, whole"),
    FigureColumn("outcome", "what it was counted as"),
    FigureColumn("grades", "what each grader said"),
    FigureColumn("definition", "by which it was counted"),
)


def draw(replies: Replies, _: Theme | None = None) -> Figure:
    """Replies of all runs, run by run."""
    rows = tuple(
        _row(label, example, replies)
        for label, run in zip(replies.labels, replies.runs, strict=True)
        for example in run.examples
    )
    words = f"Example replies, {replies.chosen}; {replies.about.averaged}. {theme.measured_with(replies.about)}."
    return Figure(kind="examples", caption=words, columns=COLUMNS, rows=rows)


def _row(label: str, example: ReplyExample, replies: Replies) -> Row:
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
        "definition": replies.about.definition,
    }


def _turns(example: ReplyExample) -> Iterator[str]:
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


# Writers of the table: LaTeX, Markdown, HTML. All texts are hostile and escaped.


LENGTH = 600  # characters of a cell; CSV and JSON have all
CHARACTER_WIDTHS = {
    "run": 0.10,
    "question": 0.26,
    "reply": 0.36,
    "outcome": 0.11,
    "grades": 0.11,
}  # of the line, in LaTeX


def markdown(figure: Figure) -> str:
    """A table, the caption below."""
    lines = [f"| {' | '.join(SHOWN)} |", f"|{' --- |' * len(SHOWN)}"]
    lines += [f"| {' | '.join(escape.markdown(_cut_to_width(row[name])) for name in SHOWN)} |" for row in figure.rows]
    return "\n".join([*lines, "", escape.markdown(figure.caption), ""])


def latex(figure: Figure) -> str:
    """A `table*` that needs no package. Letters beyond Latin need XeLaTeX or LuaLaTeX with a font that has them."""
    columns = "".join(rf"p{{{CHARACTER_WIDTHS[name]:.2f}\linewidth}}" for name in SHOWN)
    lines = [
        " & ".join(escape.latex(_cut_to_width(row[name])) for name in SHOWN) + r" \\ \hline" for row in figure.rows
    ]
    head = " & ".join(rf"\textbf{{{name}}}" for name in SHOWN) + r" \\ \hline"
    begin = [r"\begin{table*}", r"\centering\footnotesize\raggedright", rf"\begin{{tabular}}{{{columns}}}", r"\hline"]
    end = [r"\end{tabular}", rf"\caption{{{escape.latex(figure.caption)}}}", r"\end{table*}", ""]
    return "\n".join([*begin, head, *lines, *end])


def _cut_to_width(value: Value) -> str:
    return escape.one_line(str(value), LENGTH)
