"""`misalign-eval report`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli import output as outputs
from misalign_eval.cli.options import (
    CALLED_DIRECTLY,
    RATES,
    SHOWN_IN,
    ByOption,
    CiFormatOption,
    DefinitionOption,
    FilesOption,
    IntervalOption,
    JudgeOption,
    SensitivityOption,
    SplitOption,
    breakdowns,
    choices,
    refuse_unshown,
)
from misalign_eval.cli.output import check_format, emit, pages

if TYPE_CHECKING:
    from misalign_eval.records.summary import Report
    from misalign_eval.reports.run import By
    from misalign_eval.workflows.load_run import Choices


FORMATS = ("text", "json", "markdown", "html", *outputs.FORMATS)


def report(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    fmt: CiFormatOption = "text",
    output: FilesOption = None,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    split: SplitOption = None,
    by: ByOption = None,
    interval: IntervalOption = "suite",
    sensitivity: SensitivityOption = False,
    context: typer.Context = CALLED_DIRECTLY,
) -> None:
    """Count a run anew from its rows and show it.

    Its summary.json, report.md and, where there is one, report.html are rebuilt; with options that change what is
    counted or shown they stay as they are. A page for browsers comes from `-o report.html`.
    """
    check_format(FORMATS, fmt, output or ())
    refuse_unshown(context, fmt, output or (), {**SHOWN_IN, "split": RATES})
    from misalign_eval.reports.run import BREAKDOWNS
    from misalign_eval.workflows.report import report as make

    chosen = breakdowns(by, BREAKDOWNS)
    read_as = choices(definition, use_judge, split, interval, sensitivity=sensitivity)
    made = make(run, read_as)
    if read_as.are_plain:
        rebuild(run, made)
    more = {"html": lambda: runs_page([run], read_as), **outputs.of_runs([run], [made], read_as)}
    emit_report(made, fmt, output or (), chosen, more)


def rebuild(run: Path, report: "Report") -> None:
    """Write the derived files; a folder that takes none (an archive) is worth a line, not an error."""
    from misalign_eval.cli.options import print_note
    from misalign_eval.workflows.documents import refresh
    from misalign_eval.workflows.report import write_derived

    try:
        write_derived(run, report)
        refresh(run)
    except OSError as error:
        print_note(f"misalign-eval: {run}: its derived files are not rebuilt: {error.strerror}")


def runs_page(runs: Sequence[Path], read_as: "Choices | None" = None) -> str:
    """The HTML page of runs, each for itself."""
    from misalign_eval.reports.backends.html import render
    from misalign_eval.workflows import documents

    return render(documents.of_runs(runs, read_as))


def emit_report(
    report: "Report",
    fmt: str,
    files: Sequence[Path],
    by: "Sequence[By]",
    more: Mapping[str, Callable[[], str]],
) -> None:
    """Print a report in the chosen format, and write it to files; `more` are the formats that read the run again."""
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.run import run_document

    renderers = {
        **pages(run_document(report, by)),
        "json": lambda: json_out.document(report.summary),
        **more,
    }
    emit(renderers, fmt, files)
