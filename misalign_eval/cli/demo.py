"""`misalign-eval demo`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the four runs.")] = Path("results/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Other seeds, other replies.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
) -> None:
    """Show emergent misalignment and its repair on a tiny model that ships with the package: no key, no server.

    Four checkpoints of the embedded organism (aligned; fine-tuned on wrong answers about code alone; brought back by a
    few good answers about law; a control) answer the suite `organism`. Every reply is sampled now, graded by an
    exact rule and by an embedded judge, and compared.
    """
    import asyncio

    from misalign_eval.cli.options import exit_with, resume_command
    from misalign_eval.cli.output import fitted, print_text
    from misalign_eval.cli.progress import RunProgress
    from misalign_eval.reports.run import demo_page
    from misalign_eval.workflows.demo import MAX_INCREASE, TRAINED_ON, collect_demo, prepare_demo, read_demo

    prepared = prepare_demo(out, seed)
    again = resume_command(out).removesuffix(" --resume")
    with RunProgress(quiet, again) as progress:
        ended = asyncio.run(collect_demo(prepared, progress))
    exit_with(ended, allowed_failures=0.0, again=again)
    demo = read_demo(out)
    tables = {
        "Broad misalignment, by the exact rule (95 % interval for these probes)": demo.summaries,
        "The same replies by the embedded judge (definition organism-judge)": demo.judged,
    }
    changed = {"aligned -> misaligned": demo.worse, "misaligned -> realigned": demo.better}
    page = demo_page(out, tables, TRAINED_ON, changed, demo.gates, MAX_INCREASE)
    print_text(fitted(page))
