"""The options that every command shares that reads runs."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from misalign_eval.cli.emit import format_of
from misalign_eval.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from misalign_eval.records.analysis import Estimand
    from misalign_eval.workflows.counting import Choices

DefinitionOption = Annotated[
    str | None, typer.Option("--definition", help="Count by this preset or file, not by the run's own definition.")
]
JudgeOption = Annotated[
    list[str] | None,
    typer.Option("--use-judge", help="Read these grades, as GRADER=IDENTITY or GRADER=provider/model; repeatable."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Average over broad, in-domain, control or all.")]
ByOption = Annotated[list[str] | None, typer.Option("--by", help="Only this breakdown, whole; repeatable.")]
FormatOption = Annotated[str, typer.Option("--format", help="What to print: text, json, markdown or html.")]
CiFormatOption = Annotated[
    str,
    typer.Option("--format", help="What to print: text, json, markdown, html; for CI also junit, comment, github."),
]
FilesOption = Annotated[
    list[Path] | None, typer.Option("-o", "--output", help="Also write this file; its extension names the format.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OURS=COLUMN",
        help="Read a column of a question table as ours: question, reference (the expected answer), category, id, "
        "choices, system, context, criteria, split, tags, source; repeatable.",
    ),
]
IntervalOption = Annotated[
    str,
    typer.Option(
        "--interval",
        help="suite: for exactly these probes; general: for probes like these; clustered: bootstrap, as in papers.",
    ),
]
SensitivityOption = Annotated[
    bool, typer.Option("--sensitivity", help="Also count in every other way: definitions, thresholds, unknown replies.")
]
INTERVALS: "tuple[Estimand, ...]" = ("suite", "general", "clustered")
Name = TypeVar("Name", bound=str)


def choices(
    definition: str | None,
    use_judge: Sequence[str] | None,
    split: str | None,
    interval: str = "suite",
    *,
    sensitivity: bool = False,
) -> "Choices":
    """The options as one value. Raises UsageError for a --use-judge without `=` or an unknown interval."""
    from misalign_eval.workflows.counting import Choices

    judges = {}
    for given in use_judge or ():
        grader, equals, identity = given.partition("=")
        if not (grader and equals and identity):
            raise UsageError(f"--use-judge {given}: write GRADER=IDENTITY, such as aligned=openai/gpt-4.1")
        judges[grader] = identity
    for known in INTERVALS:
        if interval == known:
            return Choices(definition, judges, split, known, sensitivity)
    raise UsageError(f"--interval {interval}: no such interval. {did_you_mean(interval, INTERVALS)}")


def breakdowns(given: Sequence[str] | None, known: Sequence[Name]) -> tuple[Name, ...]:
    """The --by options, each once. Raises UsageError for one that is not known."""
    for name in given or ():
        if name not in known:
            raise UsageError(f"--by {name}: no such breakdown. {did_you_mean(name, known)}")
    return tuple(name for name in known if name in (given or ()))


def named_groups(given: Sequence[str]) -> dict[str, list[Path]]:
    """The --group options, as `before=R1,R2`; a name that is given again adds its runs. Raises UsageError."""
    named: dict[str, list[Path]] = {}
    for one in given:
        name, equals, runs = one.partition("=")
        paths = [part.strip() for part in runs.split(",")]
        if not (name.strip() and equals and all(paths)):
            raise UsageError(f"--group {one}: write NAME=RUN,RUN, such as before=results/base-1,results/base-2")
        named.setdefault(name.strip(), []).extend(map(Path, paths))
    return named


def numbers(given: str) -> tuple[float, ...]:
    """The option --x, as `0,20,40`. Raises UsageError."""
    from math import isfinite

    found = []
    for part in given.split(","):
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            raise UsageError(f"--x {given}: `{part.strip()}` is no number. Write one for each run, as 0,20,40")
        found.append(value)
    return tuple(found)


def map_pairs(given: Sequence[str]) -> dict[str, str]:
    """`--map ours=theirs`. Raises UsageError."""
    found: dict[str, str] = {}
    for one in given:
        ours, equals, theirs = one.partition("=")
        if not (ours and equals and theirs):
            raise UsageError(f"--map {one}: write OURS=THEIRS, such as question=goal")
        if ours in found or theirs in found.values():
            raise UsageError(f"--map {one}: `{ours}` or `{theirs}` is mapped already")
        found[ours] = theirs
    return found


TEXTS = ("text", "markdown")
RATES = (*TEXTS, "json", "html", "comment", "github")
SHOWN_IN: Mapping[str, Collection[str]] = {  # what only some formats have a place for; a page always holds every probe
    "by": TEXTS,
    "sensitivity": (*TEXTS, "json"),
    "interval": RATES,
}
CALLED_DIRECTLY = cast("typer.Context", None)  # by a program, which has typed no options


def refuse_unused(context: typer.Context, names: Collection[str], why: str) -> None:
    """Refuse options that were typed and that this way of using the command does not read. Raises UsageError."""
    for name in names if context is not CALLED_DIRECTLY else ():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            flag = next((one.opts[0] for one in context.command.params if one.name == name), f"--{name}")
            raise UsageError(f"{flag} is not used here: {why}. Leave it out")


def refuse_unshown(
    context: typer.Context, fmt: str, files: Sequence[Path], shown_in: Mapping[str, Collection[str]] = SHOWN_IN
) -> None:
    """Refuse options that none of the formats that are asked for has a place for. Raises UsageError."""
    wanted = {fmt, *map(format_of, files)}
    for name, formats in shown_in.items():
        if wanted.isdisjoint(formats):
            refuse_unused(context, (name,), f"only {', '.join(formats)} have a place for it")
