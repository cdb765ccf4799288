"""`misalign-eval doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.options import FilesOption, FormatOption
from misalign_eval.cli.output import check_format, emit, pages
from misalign_eval.errors import UsageError

FORMATS = ("text", "json", "markdown")
USAGE, WRONG = 2, 4


def doctor(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a run to look at; without one, the environment.")
    ] = None,
    *,
    reach: Annotated[
        bool, typer.Option("--reach", help="Ask the servers named in misalign-eval.yaml for their models.")
    ] = False,
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Diagnose the environment, or a run: its folder, and the lint of its replies. Sends nothing without --reach.

    Without RUN: versions, files, which keys are set (never their values), proxies, terminal, settings and where each
    comes from. Exit code 0; 2 when an error would stop every run.

    With RUN: lines that are torn or broken, rows that are missing, doubled or out of place, graders that never ran,
    permissions; and what the replies and verdicts look like. Exit code 0 whatever is worth a look; 4 when an error
    makes its numbers wrong or unreadable; 2 when there is no run to read.
    """
    check_format(FORMATS, fmt, output or ())
    if run is not None and reach:
        raise UsageError("--reach looks at servers, not at a run: leave RUN out")
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.doctor import diagnosis_document

    if run is None:
        from misalign_eval.workflows.environment import examine as examine_environment

        found = examine_environment(Path.cwd(), reach=reach)
    else:
        from misalign_eval.workflows.doctor import examine

        found = examine(run)

    emit({**pages(diagnosis_document(found)), "json": lambda: json_out.document(found)}, fmt, output or ())
    if not found.healthy:
        raise typer.Exit(USAGE if run is None else WRONG)
