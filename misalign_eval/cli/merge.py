"""`misalign-eval merge`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.emit import check
from misalign_eval.cli.reading import FilesOption, FormatOption

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
    check(FORMATS, fmt, output or ())
    from misalign_eval.cli.asking import leave, say
    from misalign_eval.cli.run import show
    from misalign_eval.workflows.merging import merge as carry_out
    from misalign_eval.workflows.run import Ended

    made = carry_out(runs, out)
    ended = Ended((made.folder,), None, ())
    show(ended, fmt, output or ())
    if made.missing:
        say(f"missing: shard {', '.join(made.missing)}")
    if made.repeated:
        say(f"{made.repeated} rows were in several folders, and are kept once")
    for note in made.notes:
        say(note)
    again = f"misalign-eval run {shlex.quote(made.folder.manifest.suite_file)} … --out {shlex.quote(str(out))} --resume"
    leave(ended, allowed_failures=max_failures, again=again)
