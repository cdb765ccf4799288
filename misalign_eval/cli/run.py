"""`run`: collect replies and grade them; with --dry-run, what it would cost; with early stopping, the verdict."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli import output as outputs
from misalign_eval.cli.options import (
    JUDGE_FLAGS,
    JudgeEffort,
    JudgeMaxTokens,
    JudgeTemperature,
    MapOption,
    map_pairs,
    refuse_unused,
)
from misalign_eval.cli.output import check_format, emit, pages

if TYPE_CHECKING:
    from misalign_eval.records.gate import Gate
    from misalign_eval.records.summary import Report
    from misalign_eval.workflows.gate import GateOptions
    from misalign_eval.workflows.run import PreparedRun, RunOutcome


# `misalign-eval run`.


Many = list[str] | None
FORMATS = ("text", "json", "markdown", "html", *outputs.FORMATS)


def run(
    context: typer.Context,
    suite: Annotated[list[str], typer.Argument(metavar="SUITE...", help="Bundled names (see `suites list`) or files.")],
    target: Annotated[Many, typer.Option(metavar="P/M", help="Model under test as provider/model; repeatable.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where the targets live.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the targets' key.")] = None,
    judge: Annotated[Many, typer.Option(metavar="P/M", help="Model that grades; several make an ensemble.")] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="Where the judges live.")] = None,
    judge_api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the judges' key.")
    ] = None,
    judge_method: Annotated[
        str, typer.Option(help="How 0-100 judges are read: auto, logprobs or sampled answers.")
    ] = "auto",
    judge_temperature: JudgeTemperature = None,
    judge_max_tokens: JudgeMaxTokens = None,
    judge_effort: JudgeEffort = None,
    served_as: Annotated[
        Many, typer.Option(metavar="NAME", help="Accept answers of a model of this name or pattern; repeatable.")
    ] = None,
    judge_served_as: Annotated[Many, typer.Option(metavar="NAME", help="The same for the judges; repeatable.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Replies per prompt, in place of the suite's.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the run; every request is sent one of its own.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="In place of the suite's.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="In place of the suite's.")] = None,
    reasoning_effort: Annotated[str | None, typer.Option(help="For reasoning models, as their API names it.")] = None,
    definition: Annotated[str | None, typer.Option(help="What counts as misaligned: a preset or a file.")] = None,
    mapped: MapOption = None,
    out: Annotated[Path | None, typer.Option(help="Results folder; several runs get one each inside it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, or start it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan and first messages; send nothing.")] = False,
    tag: Annotated[Many, typer.Option(help="Only probes with this tag; repeatable.")] = None,
    category: Annotated[Many, typer.Option(help="Only probes of this category; repeatable.")] = None,
    probe: Annotated[Many, typer.Option(help="Only this probe; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N of the probes chosen.")] = None,
    max_connections: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Requests in flight per account; 50.")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop before the run passes this many USD.")] = None,
    max_requests: Annotated[int | None, typer.Option(min=1, help="Stop before the run passes this many.")] = None,
    max_failures: Annotated[float, typer.Option(min=0, max=1, help="Share that may fail without exit code 4.")] = 0.05,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one attempt at a request.")] = 300.0,
    stop_when_decided: Annotated[
        bool, typer.Option("--stop-when-decided", help="End as soon as --policy is decided; exit as `gate` does.")
    ] = False,
    policy: Annotated[Path | None, typer.Option(help="Policy file, for --stop-when-decided.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Run or file that the policy compares with.")] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Ask only part I of N; `merge` joins the parts.")
    ] = None,
    label: Annotated[Many, typer.Option(metavar="K=V", help="Kept with the run, as step=20; repeatable.")] = None,
    fmt: Annotated[
        str, typer.Option("--format", help="On standard output: text, json, markdown, html, junit, comment or github.")
    ] = "text",
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="Also write this file, by its extension; repeatable.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
) -> None:
    """Ask the targets, grade their replies, and report how misaligned each one is."""
    from misalign_eval.cli.options import (
        chosen_method,
        chosen_shard,
        judge_sampling,
        labels,
        print_graders,
        print_settings,
        refuse_keys,
        stop_rule,
    )
    from misalign_eval.plan import Selection
    from misalign_eval.records.suite import Sampling
    from misalign_eval.settings import load_settings
    from misalign_eval.workflows.options import RequestLimits, RunOptions, TargetAddress
    from misalign_eval.workflows.run import prepare

    settings = load_settings(Path.cwd())
    refuse_keys(context.params, settings)
    check_format(FORMATS, fmt, output or ())
    if not judge:
        refuse_unused(context, JUDGE_FLAGS, "no --judge is named")
    options = RunOptions(
        suites=tuple(suite),
        targets=tuple(target or ()),
        target_at=TargetAddress(base_url, api_key_env, tuple(served_as or ())),
        judges=tuple(judge or ()),
        judge_at=TargetAddress(judge_base_url, judge_api_key_env, tuple(judge_served_as or ())),
        method=chosen_method(judge_method),
        judge_sampling=judge_sampling(judge_temperature, judge_max_tokens, judge_effort),
        samples=samples,
        seed=seed,
        sampling=Sampling(temperature=temperature, max_tokens=max_tokens, reasoning_effort=reasoning_effort),
        definition=definition,
        mapped=map_pairs(mapped or ()),
        selection=Selection(tuple(tag or ()), tuple(category or ()), tuple(probe or ()), limit),
        out=out,
        resume=resume,
        limits=RequestLimits.of(max_connections or settings.run.max_connections, max_cost, max_requests, timeout),
        max_failures=max_failures,
        shard=chosen_shard(shard),
        labels=labels(label or ()),
        stop=stop_rule(policy, baseline, asked=stop_when_decided),
    )
    prepared = prepare(options, settings)
    print_settings(settings, options.targets, options.target_at, "targets")
    print_settings(settings, options.judges, options.judge_at, "judges")
    print_graders()
    carry_out(prepared, dry_run=dry_run, quiet=quiet, fmt=fmt, files=output or ())


def carry_out(prepared: "PreparedRun", *, dry_run: bool, quiet: bool, fmt: str, files: Sequence[Path]) -> None:
    """Show the plan, or run it. Raises typer.Exit with the exit code of a run that is not complete."""
    import asyncio

    from misalign_eval.cli.options import exit_with, print_note, resume_command
    from misalign_eval.cli.progress import RunProgress
    from misalign_eval.workflows.run import execute, notes

    for note in prepared.told:
        print_note(note)
    if dry_run:
        emit_plan(prepared, fmt, files)
        return
    for note in notes(prepared):
        print_note(note)
    with RunProgress(quiet, resume_command(prepared.out)) as progress:
        ended = asyncio.run(execute(prepared, progress))
    if prepared.options.stop is not None and ended.stopped_by is None:
        exit_decided(prepared, ended, fmt, files)
        return
    if ended.stopped_by is None or fmt != "text" or files:
        show(ended, fmt, files)
    exit_with(ended, allowed_failures=prepared.options.max_failures, again=resume_command(prepared.out))


def show(ended: "RunOutcome", fmt: str, files: Sequence[Path]) -> None:
    """Report every folder of a run: in JSON one document, a list when there are several."""
    from misalign_eval.cli.options import print_note
    from misalign_eval.cli.report import rebuild, runs_page
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.numbers import cost_lines
    from misalign_eval.reports.run import run_document
    from misalign_eval.workflows.completeness import spent
    from misalign_eval.workflows.report import report

    made = [report(folder.path) for folder in ended.folders]
    for folder, one in zip(ended.folders, made, strict=True):
        rebuild(folder.path, one)
    renderers = {
        **pages(*map(run_document, made)),
        "json": lambda: json_out.documents([item.summary for item in made]),
        "html": lambda: runs_page([folder.path for folder in ended.folders]),
        **outputs.of_runs([folder.path for folder in ended.folders], made),
    }
    emit(renderers, fmt, files)
    for folder in ended.folders:
        print_note("\n".join([f"{folder.path}", *cost_lines(spent(folder))]))
    if len(ended.folders) == 2:
        print_note(f"Next: misalign-eval compare {shlex.join(str(folder.path) for folder in ended.folders)}")


# `misalign-eval run --dry-run`.


def emit_plan(prepared: "PreparedRun", fmt: str, files: Sequence[Path]) -> None:
    """Show what would be asked."""
    from misalign_eval.reports.backends.json_out import documents
    from misalign_eval.reports.plans import plan_text
    from misalign_eval.workflows.run import dry_run

    runs = dry_run(prepared)
    renderers = {
        "text": lambda: plan_text(runs),
        "json": lambda: documents(runs),
        "markdown": lambda: f"```text\n{plan_text(runs)}```\n",
    }
    emit(renderers, fmt, files)


# `misalign-eval run --stop-when-decided`: the report, then the verdict, and the gate's exit code.


def exit_decided(prepared: "PreparedRun", ended: "RunOutcome", fmt: str, files: Sequence[Path]) -> None:
    """Say what was found and decided. Raises typer.Exit with the gate's code, or 4 for an undecided incomplete run."""
    from misalign_eval.cli.gate import gate_page
    from misalign_eval.cli.options import exit_with, print_note, resume_command
    from misalign_eval.cli.report import rebuild
    from misalign_eval.reports.numbers import cost_lines
    from misalign_eval.workflows.completeness import spent
    from misalign_eval.workflows.report import report

    folder = ended.folders[0]
    gate = has_verdict(prepared)
    made = report(folder.path)
    rebuild(folder.path, made)
    options = _options(prepared)
    _emit(made, gate, fmt, files, {"html": lambda: gate_page(gate, options), **outputs.of_gate(gate, options)})
    print_note("\n".join([f"{folder.path}", *cost_lines(spent(folder))]))
    if gate.verdict == "inconclusive" and gate.stopped_at is None:
        exit_with(ended, allowed_failures=prepared.options.max_failures, again=resume_command(prepared.out))
    else:
        for note in ended.notes:
            print_note(note)
    if gate.exit_code:
        raise typer.Exit(gate.exit_code)


def has_verdict(prepared: "PreparedRun") -> "Gate":
    """The verdict as the rows give it."""
    from misalign_eval.workflows.gate import gate

    return gate(_options(prepared))


def _options(prepared: "PreparedRun") -> "GateOptions":
    from misalign_eval.workflows.gate import GateOptions

    stop = prepared.options.stop
    baseline = stop.baseline_path if stop else None
    return GateOptions((prepared.folders[0][0],), stop.policy if stop else None, baseline)


def _emit(
    report: "Report", gate: "Gate", fmt: str, files: Sequence[Path], more: Mapping[str, Callable[[], str]]
) -> None:
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.gate import gate_document
    from misalign_eval.reports.run import run_document

    def as_json() -> str:
        """The run's own document, with the gate's beside its keys."""
        both = json.loads(json_out.document(report.summary)) | {"gate": json.loads(json_out.document(gate))}
        return json.dumps(both, indent=2) + "\n"

    documents = run_document(report), gate_document(gate)
    verdict_first = pages(*reversed(documents))["markdown"]
    emit({**pages(*documents), "markdown": verdict_first, "json": as_json, **more}, fmt, files)
