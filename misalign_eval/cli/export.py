"""`misalign-eval export`."""

from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.options import CALLED_DIRECTLY, DefinitionOption, JudgeOption, choices, refuse_unused
from misalign_eval.errors import UsageError


def export(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o", "--output", help="Write .csv, .jsonl, .parquet, or an Inspect log .eval or .json; repeatable."
        ),
    ] = None,
    columns: Annotated[
        bool, typer.Option("--columns", help="List the columns of the tables of this run: name, type, what they hold.")
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write counts and digests, no text, for `gate --baseline FILE`.")
    ] = None,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    context: typer.Context = CALLED_DIRECTLY,
) -> None:
    """Write a run in other formats: one row for each planned reply, with its outcome, grades, usage and cost.

    .csv, .jsonl and .parquet are flat tables of the same typed columns (--columns lists them); .parquet needs the extra
    `parquet`. .eval and .json are Inspect logs, which `inspect view` opens. With --baseline FILE, the small file that a
    gate compares with.
    """
    if not (output or columns or baseline):
        raise UsageError(
            "export needs a file: -o rows.csv, .jsonl, .parquet, or an Inspect log .eval, .json; "
            "--baseline FILE writes the small file that `gate --baseline` reads"
        )
    if not (output or baseline):
        refuse_unused(context, ("definition", "use_judge"), "--columns names columns, and counts nothing")
    if baseline is not None and baseline.suffix != ".json":
        raise UsageError(f"--baseline {baseline}: name it .json")
    from misalign_eval.cli.options import print_note
    from misalign_eval.workflows import export as exporting

    files, read_as = output or [], choices(definition, use_judge, None)
    exporting.check(files)
    if columns:
        _list_columns(run)
    if files:
        for line in exporting.export(run, files, read_as):
            print_note(line)
    if baseline is not None:
        from misalign_eval.cli.output import write_file
        from misalign_eval.reports.backends.json_out import document
        from misalign_eval.workflows.baselines import baseline_of

        found = baseline_of(run, read_as)
        write_file(baseline, document(found))
        print_note(f"{baseline}: {len(found.cells)} prompts of {run}, counts and digests only")


def _list_columns(run: Path) -> None:
    from misalign_eval.cli.output import emit, listed
    from misalign_eval.reports.escape import one_line
    from misalign_eval.workflows.export import columns_of

    rows = [(one_line(column.name), column.kind, one_line(column.about)) for column in columns_of(run)]
    emit({"text": lambda: listed(rows)}, "text", ())
