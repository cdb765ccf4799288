"""`misalign-eval export`."""

from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.reading import DefinitionOption, JudgeOption, choices
from misalign_eval.errors import UsageError


def export(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write counts and digests, no text, for `gate --baseline FILE`.")
    ] = None,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
) -> None:
    """Write a run in another format: with --baseline, the small file that a gate compares with."""
    if baseline is None:
        raise UsageError("export needs a format: --baseline FILE writes the small file that `gate --baseline` reads")
    if baseline.suffix != ".json":
        raise UsageError(f"--baseline {baseline}: name it .json")
    from misalign_eval.cli.asking import say
    from misalign_eval.cli.emit import write
    from misalign_eval.reports.json_out import document
    from misalign_eval.workflows.baselines import baseline_of

    found = baseline_of(run, choices(definition, use_judge, None))
    write(baseline, document(found))
    say(f"{baseline}: {len(found.cells)} prompts of {run}, counts and digests only")
