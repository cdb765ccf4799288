"""`misalign-eval merge`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.options import FilesOption, FormatOption
from misalign_eval.cli.output import check_format

FORMATS = ("text", "json", "markdown")


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of one plan, in any order.")],
    out: Annotated[Path, typer.Option(help="The new folder; the others stay as they are.")],
    max_failures: Annotated[float, typer.Option(min=0, max=1, help="Share that may fail without exit code 4.")] = 0.05,
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Join the shards of a run (`run --shard i/n`), or runs of one plan that hold different parts of it.

    Says which shards and how many replies are missing; exit code 4 then. What is missing stays planned, so that no gate
    passes on a part. `run … --resume` on the new folder asks for it.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.cli.options import exit_with, print_note
    from misalign_eval.cli.run import show
    from misalign_eval.workflows.merge import merge as carry_out
    from misalign_eval.workflows.run import RunOutcome

    made = carry_out(runs, out)
    ended = RunOutcome((made.folder,), None, ())
    show(ended, fmt, output or ())
    if made.missing:
        print_note(f"missing: shard {', '.join(made.missing)}")
    if made.repeated:
        print_note(f"{made.repeated} rows were in several folders, and are kept once")
    for note in made.notes:
        print_note(note)
    again = f"misalign-eval run {shlex.quote(made.folder.manifest.suite_file)} … --out {shlex.quote(str(out))} --resume"
    exit_with(ended, allowed_failures=max_failures, again=again)
