"""`misalign-eval compare`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from misalign_eval.cli import output as outputs
from misalign_eval.cli.options import (
    CALLED_DIRECTLY,
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
    named_groups,
    numbers,
    refuse_unshown,
    refuse_unused,
)
from misalign_eval.cli.output import check_format, emit, format_of, pages
from misalign_eval.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from misalign_eval.records.pages import Page
    from misalign_eval.records.summary import Scale
    from misalign_eval.reports.comparison import By
    from misalign_eval.workflows.load_run import Choices


FORMATS = ("text", "json", "markdown", "html")
FORMATS_OF_A_PAIR = (*FORMATS, *outputs.FORMATS)
SCALES: "tuple[Scale, ...]" = ("value", "rank", "log")


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="BEFORE AFTER [MORE]...", help="Folders of the runs.")
    ] = None,
    *,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RUN,RUN", help="Training runs of one recipe; once for before, once for after."),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(metavar="0,20,40", help="Where each run stands on a trajectory; else its `step` label."),
    ] = None,
    x_scale: Annotated[
        str, typer.Option("--x-scale", help="What the trend is tested against: value, rank or log.")
    ] = "value",
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
    """Show what changed between two runs, prompt by prompt, and whether it could be chance.

    Prompts are paired by what was sent. Whatever else differs (suite, judge, sampling, dates) is said. Three runs or
    more make a trajectory where --x or their `step` labels order them, else each is compared with the first. With
    --group, training runs of one recipe are compared with those of another.
    """
    is_pair = not group and x is None and len(runs or ()) == 2
    is_course = not group and not is_pair and (x is not None or _have_steps(runs or ()))
    if group:
        refuse_unused(context, ("x_scale", "by"), "--group compares training runs as wholes")
    elif not is_course:
        refuse_unused(context, ("x_scale",), "it belongs to a trajectory, of three runs or with --x")
    check_format(FORMATS_OF_A_PAIR if is_pair else FORMATS, fmt, output or ())
    refuse_unshown(context, fmt, output or ())
    from misalign_eval.reports import comparison as comparison_tables

    chosen, files = breakdowns(by, comparison_tables.BREAKDOWNS), output or ()
    read_as = choices(definition, use_judge, split, interval, sensitivity=sensitivity)
    _refuse_mixed(runs or (), group, x)
    if group:
        _groups(group, read_as, fmt, files)
    elif is_course:
        _trajectory(runs or (), x, x_scale, read_as, (fmt, files, chosen))
    else:
        _pair(runs or (), read_as, (fmt, files, chosen))


def _refuse_mixed(runs: Sequence[Path], group: Sequence[str] | None, x: str | None) -> None:
    if group and (runs or x is not None):
        raise UsageError("--group names all of the runs: give no other runs and no --x with it")
    if not group and len(runs) < 2:
        raise UsageError("compare needs two runs, BEFORE AFTER, or --group before=R1,R2 --group after=R3,R4")


def _have_steps(runs: Sequence[Path]) -> bool:
    """Whether every one of three runs or more says where it stands."""
    from misalign_eval.store.run_folder import exists, open_run

    if len(runs) < 3 or not all(map(exists, runs)):
        return len(runs) > 2  # which folder holds no run is said where they are read
    return all("step" in open_run(run).manifest.labels for run in runs)


Out: TypeAlias = tuple[str, Sequence[Path], "Sequence[By]"]  # format, files, breakdowns


def _pair(runs: Sequence[Path], read_as: "Choices", out: Out) -> None:
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.comparison import comparison_documents
    from misalign_eval.workflows import documents
    from misalign_eval.workflows.report import compare as make

    fmt, files, by = out
    found = make(runs, read_as)

    renderers = {**pages(*comparison_documents(found, by)), "json": lambda: json_out.documents(found)}
    if len(found) == 1:
        renderers |= {
            "html": lambda: _html(lambda: documents.of_pair(runs, read_as)),
            **outputs.of_pair(runs, found[0], read_as),
        }
    elif "html" in (fmt, *map(format_of, files)):
        raise UsageError("these runs have no order: a page of several needs --x, or `step` labels. Or compare two")
    emit(renderers, fmt, files)


def _trajectory(runs: Sequence[Path], x: str | None, scale: str, read_as: "Choices", out: Out) -> None:
    from misalign_eval.analysis.trajectory import Along
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.comparison import comparison_documents, trajectory_document
    from misalign_eval.workflows import documents
    from misalign_eval.workflows.report import trajectory

    fmt, files, by = out
    along = Along(None if x is None else numbers(x), _scale(scale))
    found = trajectory(runs, along, read_as)
    parts = [pages(trajectory_document(found))]
    if by or read_as.sensitivity:
        parts.append(pages(*comparison_documents(found.comparisons, by)))
    renderers = {
        "text": lambda: "".join(part["text"]() for part in parts),
        "markdown": lambda: "".join(part["markdown"]() for part in parts),
        "json": lambda: json_out.document(found),
        "html": lambda: _html(lambda: documents.of_trajectory(runs, along, read_as)),
    }
    emit(renderers, fmt, files)


def _groups(given: Sequence[str], read_as: "Choices", fmt: str, files: Sequence[Path]) -> None:
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.comparison import groups_document
    from misalign_eval.workflows import documents
    from misalign_eval.workflows.report import compare_groups

    named = named_groups(given)
    comparison = compare_groups(named, read_as)

    renderers = {
        **pages(groups_document(comparison)),
        "json": lambda: json_out.document(comparison),
        "html": lambda: _html(lambda: documents.of_groups(named, read_as)),
    }
    emit(renderers, fmt, files)


def _html(make: "Callable[[], Page]") -> str:
    from misalign_eval.reports.backends.html import render

    return render(make())


def _scale(given: str) -> "Scale":
    for known in SCALES:
        if given == known:
            return known
    raise UsageError(f"--x-scale {given}: no such scale. {did_you_mean(given, SCALES)}")
