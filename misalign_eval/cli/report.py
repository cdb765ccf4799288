"""`misalign-eval report`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.emit import check, emit
from misalign_eval.cli.reading import (
    ByOption,
    DefinitionOption,
    FilesOption,
    FormatOption,
    IntervalOption,
    JudgeOption,
    SensitivityOption,
    SplitOption,
    breakdowns,
    choices,
)

if TYPE_CHECKING:
    from misalign_eval.records.analysis import Report
    from misalign_eval.reports.tables import By

FORMATS = ("text", "json", "markdown")


def report(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    fmt: FormatOption = "text",
    output: FilesOption = None,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    split: SplitOption = None,
    by: ByOption = None,
    interval: IntervalOption = "suite",
    sensitivity: SensitivityOption = False,
) -> None:
    """Count a run anew from its rows and show it.

    Its summary.json and report.md are rebuilt; with options that change what is counted or shown they stay as they are.
    """
    check(FORMATS, fmt, output or ())
    from misalign_eval.reports.tables import BREAKDOWNS
    from misalign_eval.workflows.report import report as make

    chosen = breakdowns(by, BREAKDOWNS)
    read_as = choices(definition, use_judge, split, interval, sensitivity=sensitivity)
    made = make(run, read_as)
    if read_as.are_plain:
        rebuild(run, made)
    emit_report(made, fmt, output or (), chosen)


def rebuild(run: Path, made: "Report") -> None:
    """Write the derived files; a folder that takes none (an archive) is worth a line, not an error."""
    from misalign_eval.workflows.report import write_derived

    try:
        write_derived(run, made)
    except OSError as error:
        sys.stderr.write(f"misalign-eval: {run}: summary.json and report.md are not rebuilt: {error.strerror}\n")


def emit_report(made: "Report", fmt: str, files: Sequence[Path], by: "Sequence[By]" = ()) -> None:
    """Print a report in the chosen format, and write it to files."""
    from misalign_eval.reports import json_out, markdown

    def text() -> str:
        from misalign_eval.reports import terminal  # rich is slow to import, and only this format needs it

        return terminal.run_report(made, by)

    renderers = {
        "text": text,
        "json": lambda: json_out.document(made.summary),
        "markdown": lambda: markdown.run_report(made, by),
    }
    emit(renderers, fmt, files)
