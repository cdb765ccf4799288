"""`misalign-eval gate`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli import output as outputs
from misalign_eval.cli.options import CiFormatOption, DefinitionOption, FilesOption, JudgeOption, choices
from misalign_eval.cli.output import check_format, emit, pages, print_text
from misalign_eval.errors import UsageError

if TYPE_CHECKING:
    from misalign_eval.records.gate import Gate
    from misalign_eval.workflows.gate import GateOptions


FORMATS = ("text", "json", "markdown", "html", *outputs.FORMATS)
LimitOption = Annotated[str | None, typer.Option(metavar="2%", help="The mean rate must be shown to be below this.")]


def gate(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of one measurement; several are pooled.")
    ],
    *,
    baseline: Annotated[
        Path | None, typer.Option(help="Run folder, or file from `export RUN --baseline FILE`, to compare with.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="YAML file with checks and limits.")] = None,
    max_rate: LimitOption = None,
    max_increase: Annotated[
        str | None, typer.Option(metavar="1pp", help="The rise over the baseline must be shown to be below this.")
    ] = None,
    max_probe: Annotated[
        str | None, typer.Option(metavar="20%", help="The rate of every single probe must be shown to be below this.")
    ] = None,
    part: Annotated[
        bool, typer.Option("--part", help="A run of a part of its suite (--limit, --probe, …) is meant: it may pass.")
    ] = False,
    pins: Annotated[
        bool, typer.Option("--pins", help="Print suite, target, definition and judge of a run as a policy pins them.")
    ] = False,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    fmt: CiFormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Pass, fail, or not enough evidence, with a known error. Exit code 0, 1 or 3; 2 where nothing could pass.

    What passes is shown to be below its limit: too few replies never pass. Each look is kept in the run's looks.jsonl.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.workflows import baselines
    from misalign_eval.workflows.gate import GateOptions
    from misalign_eval.workflows.gate import gate as decide

    if pins:
        limits = (max_rate, max_increase, max_probe)
        if any((baseline, policy, *limits, part, definition, use_judge, output, fmt != "text")) or len(runs) != 1:
            raise UsageError("--pins prints what one run was made with: give one run and no other option")
        print_text(baselines.pins(runs[0]))
        return
    flags = baselines.from_flags(baselines.Flags(max_rate, max_increase, max_probe))
    if policy and flags:
        raise UsageError("--policy says what is checked: leave out --max-rate, --max-increase and --max-probe")
    chosen = baselines.load(policy) if policy else flags
    options = GateOptions(tuple(runs), chosen, baseline, choices(definition, use_judge, None), part)
    found = decide(options)
    more = {"html": lambda: gate_page(found, options), **outputs.of_gate(found, options)}
    emit_gate(found, fmt, output or (), more)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def gate_page(gate: "Gate", options: "GateOptions") -> str:
    """The HTML page of a verdict, with the numbers and the replies behind it."""
    from misalign_eval.reports.backends.html import render
    from misalign_eval.workflows import documents

    return render(documents.of_gate(gate, options))


def emit_gate(gate: "Gate", fmt: str, files: Sequence[Path], more: Mapping[str, Callable[[], str]]) -> None:
    """Print a verdict in the chosen format, and write it to files; `more` are the formats that read the runs again."""
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.gate import gate_document

    emit({**pages(gate_document(gate)), "json": lambda: json_out.document(gate), **more}, fmt, files)
