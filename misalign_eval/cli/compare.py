"""`misalign-eval compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.emit import check, emit
from misalign_eval.cli.reading import (
    ByOption,
    DefinitionOption,
    FilesOption,
    FormatOption,
    JudgeOption,
    SplitOption,
    breakdowns,
    choices,
)

if TYPE_CHECKING:
    from misalign_eval.records.analysis import Comparison

FORMATS = ("text", "json", "markdown")


def compare(
    before: Annotated[Path, typer.Argument(help="Folder of the run before.")],
    after: Annotated[Path, typer.Argument(help="Folder of the run after.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More runs, each compared with BEFORE.")] = None,
    *,
    fmt: FormatOption = "text",
    output: FilesOption = None,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    split: SplitOption = None,
    by: ByOption = None,
) -> None:
    """Show what changed between two runs, prompt by prompt, and whether it could be chance.

    Prompts are paired by what was sent. Whatever else differs (suite, judge, sampling, dates) is said.
    """
    check(FORMATS, fmt, output or ())
    from misalign_eval.reports import changes, markdown
    from misalign_eval.workflows.compare import compare as make

    chosen = breakdowns(by, changes.BREAKDOWNS)
    found = make([before, after, *(more or ())], choices(definition, use_judge, split))

    def text() -> str:
        from misalign_eval.reports import terminal  # rich is slow to import, and only this format needs it

        return terminal.comparison(found, chosen)

    renderers = {"text": text, "json": lambda: _json(found), "markdown": lambda: markdown.comparison(found, chosen)}
    emit(renderers, fmt, output or ())


def _json(found: "tuple[Comparison, ...]") -> str:
    """One object for two runs; for more `{"comparisons": [...]}`."""
    from misalign_eval.records.analysis import Comparisons
    from misalign_eval.reports import json_out

    return json_out.document(found[0] if len(found) == 1 else Comparisons(comparisons=found))
