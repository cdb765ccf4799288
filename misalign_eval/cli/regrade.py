"""`misalign-eval regrade`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.options import (
    JUDGE_FLAGS,
    FilesOption,
    FormatOption,
    JudgeEffort,
    JudgeMaxTokens,
    JudgeTemperature,
    refuse_unused,
)
from misalign_eval.cli.output import check_format

FORMATS = ("text", "json", "markdown", "html")


def regrade(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    judge: Annotated[
        list[str] | None, typer.Option(metavar="P/M", help="Model that grades; several make an ensemble.")
    ] = None,
    grader: Annotated[
        list[str] | None, typer.Option(help="A grader, instead of those that the run's definition reads; repeatable.")
    ] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="Where the judges live.")] = None,
    judge_api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the judges' key.")
    ] = None,
    judge_served_as: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Accept answers of a judge of this name or pattern; repeatable."),
    ] = None,
    judge_method: Annotated[
        str, typer.Option(help="How 0-100 judges are read: auto, logprobs or sampled answers.")
    ] = "auto",
    judge_temperature: JudgeTemperature = None,
    judge_max_tokens: JudgeMaxTokens = None,
    judge_effort: JudgeEffort = None,
    primary: Annotated[bool, typer.Option("--primary", help="Report these grades from now on.")] = False,
    max_connections: Annotated[int | None, typer.Option(min=1, max=1000, help="Requests in flight; 50.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop before the run passes this many USD.")] = None,
    max_requests: Annotated[int | None, typer.Option(min=1, help="Stop before the run passes this many.")] = None,
    max_failures: Annotated[float, typer.Option(min=0, max=1, help="Share that may fail without exit code 4.")] = 0.05,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one attempt at a request.")] = 300.0,
    fmt: FormatOption = "text",
    output: FilesOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
) -> None:
    """Grade the replies of a run by another judge or other graders. The target is not asked again.

    The new grades stand beside the old ones. Reports show the run's primary judge until --primary changes it; until
    then `report RUN --use-judge GRADER=PROVIDER/MODEL` shows the new ones. Repeating the command goes on where it
    stopped.
    """
    check_format(FORMATS, fmt, output or ())
    if not judge:
        refuse_unused(context, JUDGE_FLAGS, "no --judge is named")
    import asyncio

    from misalign_eval.cli.options import (
        chosen_method,
        exit_with,
        judge_sampling,
        print_graders,
        print_settings,
    )
    from misalign_eval.cli.progress import RunProgress
    from misalign_eval.cli.run import show
    from misalign_eval.settings import load_settings
    from misalign_eval.workflows.options import RequestLimits, TargetAddress
    from misalign_eval.workflows.regrade import RegradeOptions
    from misalign_eval.workflows.regrade import regrade as carry_out

    settings = load_settings(Path.cwd())
    options = RegradeOptions(
        run=run,
        graders=tuple(grader or ()),
        judges=tuple(judge or ()),
        judge_at=TargetAddress(judge_base_url, judge_api_key_env, tuple(judge_served_as or ())),
        method=chosen_method(judge_method),
        judge_sampling=judge_sampling(judge_temperature, judge_max_tokens, judge_effort),
        make_primary=primary,
        limits=RequestLimits.of(max_connections or settings.run.max_connections, max_cost, max_requests, timeout),
    )
    print_settings(settings, options.judges, options.judge_at, "judges")
    print_graders()
    again = f"misalign-eval {shlex.join(sys.argv[1:])}"
    with RunProgress(quiet, again) as progress:
        ended = asyncio.run(carry_out(options, settings, progress))
    if ended.stopped_by is None or fmt != "text" or output:
        show(ended, fmt, output or ())
    exit_with(ended, allowed_failures=max_failures, again=again)
