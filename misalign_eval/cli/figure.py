"""`misalign-eval figure`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.options import (
    CALLED_DIRECTLY,
    DefinitionOption,
    JudgeOption,
    SplitOption,
    choices,
    named_groups,
    numbers,
    refuse_unused,
)
from misalign_eval.cli.output import fitted, print_text
from misalign_eval.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from misalign_eval.records.pages import Interval
    from misalign_eval.reports.figures.theme import Figure, Theme
    from misalign_eval.workflows.figures import FigureRequest


INTERVALS: "tuple[Interval, ...]" = ("suite", "general", "clustered", "runs")
LOOK = ("width", "font_size", "title", "caption")
OWNERS = {"x_scale": "curve", "grader": "histogram", "key": "examples", "limit": "examples"}
POINTS = {"in": 72.0, "mm": 72 / 25.4, "cm": 72 / 2.54, "pt": 1.0}
NARROWEST, WIDEST = 108.0, 1440.0  # 1.5 and 20 inches
FONTS = (5.0, 24.0)


def figure(
    kind: Annotated[str, typer.Argument(help="What to draw; `figure list` tells what each shows and needs.")],
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of the runs.")] = None,
    *,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o", "--output", help="Write .pdf, .svg, .png, .html, .json (Vega-Lite) or .csv (the data); repeatable."
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RUN,RUN", help="Runs drawn as one series, or one run by another name; repeatable."),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(help="Of a curve: where each run stands, as 0,20,40. Of bars: category, split, suite, probe."),
    ] = None,
    x_scale: Annotated[str, typer.Option("--x-scale", help="Of a curve: value or log.")] = "value",
    grader: Annotated[str | None, typer.Option(help="Of a histogram: whose scores.")] = None,
    key: Annotated[
        list[str] | None, typer.Option(metavar="P/N/V#S", help="Of examples: this reply; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Of examples: at most so many of each run.")] = 8,
    width: Annotated[str, typer.Option(help="column (3.3 in), page (6.9 in), or a length as 85mm.")] = "column",
    font_size: Annotated[float, typer.Option("--font-size", help="In points, 5 to 24.")] = 8.0,
    title: Annotated[str | None, typer.Option(help="Above the drawing.")] = None,
    caption: Annotated[
        bool, typer.Option("--caption/--no-caption", help="What is counted, n and missing, below the drawing.")
    ] = True,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    split: SplitOption = None,
    interval: Annotated[
        str, typer.Option("--interval", help="suite, general or clustered; runs: over the training runs of a group.")
    ] = "suite",
    context: typer.Context = CALLED_DIRECTLY,
) -> None:
    """Draw a figure for a paper, or write the data behind it. The caption goes to standard output.

    KIND is probes, bars, variants, curve, outcomes, scatter, histogram, judges, dumbbell or examples (a table of
    replies: .tex, .md, .html, .json, .csv). `figure list` tells what each shows. .pdf, .svg, .png and .html need the
    extra `figures`; nothing leaves the machine.
    """
    if kind == "list":
        _list(context, runs, output)
        return
    from misalign_eval.reports.figures.theme import Theme

    _check_kind(kind)
    for option, owner in OWNERS.items():
        if kind != owner:
            refuse_unused(context, (option,), f"it belongs to figure {owner}")
    if key:
        refuse_unused(context, ("limit",), "--key names the replies")
    if not output:
        raise UsageError(f"figure needs a file: -o {kind}.{'tex' if kind == 'examples' else 'pdf'}")
    look = Theme(width=_points(width), font=_font(font_size), title=title, has_caption=caption)
    _refuse_undrawn(context, kind, output)
    from misalign_eval.workflows import figures
    from misalign_eval.workflows.figures import FigureRequest

    figures.check(kind, output)
    chosen = _interval(interval)
    asked = FigureRequest(
        kind=kind,
        runs=tuple(runs or ()),
        groups=named_groups(group or ()),
        choices=choices(definition, use_judge, split),
        interval=chosen,
        x=None if kind == "curve" else x,
        places=numbers(x) if kind == "curve" and x is not None else None,
        is_log=_is_log(x_scale),
        grader=grader,
        keys=tuple(key or ()),
        limit=limit,
    )
    _write(_made(asked, look), output)


def _refuse_undrawn(context: typer.Context, kind: str, output: Sequence[Path]) -> None:
    if kind in ("examples", "judges"):
        refuse_unused(context, ("interval",), "it is of rates, which this figure does not show")
    if kind == "examples":
        refuse_unused(context, LOOK, "a table of replies is not drawn")
    elif all(file.suffix.lower() == ".csv" for file in output):
        refuse_unused(context, LOOK, "a .csv holds the data, and nothing is drawn")


def _made(asked: "FigureRequest", look: "Theme") -> "Figure":
    from misalign_eval.reports.figures.render import KINDS
    from misalign_eval.workflows.figures import read_figure

    return KINDS[asked.kind].draw(read_figure(asked), look)


def _write(figure: "Figure", output: Sequence[Path]) -> None:
    from misalign_eval.files import atomic_write
    from misalign_eval.reports.escape import plain
    from misalign_eval.workflows.figures import content

    for file in output:
        body = content(figure, file.suffix.lower())
        try:
            atomic_write(file, [body], mode=0o666)
        except OSError as error:
            raise UsageError(f"-o {file}: cannot be written: {error.strerror}") from error
    print_text(fitted(f"{plain(figure.caption)}\n"))


def _list(context: typer.Context, runs: Sequence[Path] | None, output: Sequence[Path] | None) -> None:
    if runs or output:
        raise UsageError("figure list takes nothing else")
    refuse_unused(context, set(context.params if context else ()) - {"kind"}, "figure list takes nothing else")
    from misalign_eval.cli.output import listed
    from misalign_eval.reports.figures.render import KINDS

    for name, kind in KINDS.items():
        print_text(listed([(f"{name:<10}", kind.shows), ("", f"needs {kind.needs}")]))


def _check_kind(kind: str) -> None:
    from misalign_eval.reports.figures.render import KINDS

    if kind not in KINDS:
        raise UsageError(f"unknown figure `{kind}`. {did_you_mean(kind, tuple(KINDS))} `figure list` shows them")


def _points(given: str) -> float:
    from misalign_eval.reports.figures.theme import FIGURE_WIDTHS

    if given in FIGURE_WIDTHS:
        return FIGURE_WIDTHS[given]
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(in|mm|cm|pt)", given)
    if match is None:
        raise UsageError(f"--width {given}: write column, page, or a length such as 3.5in or 85mm")
    points = float(match[1]) * POINTS[match[2]]
    if not NARROWEST <= points <= WIDEST:
        raise UsageError(f"--width {given}: from 1.5 to 20 inches")
    return points


def _font(given: float) -> float:
    if not FONTS[0] <= given <= FONTS[1]:
        raise UsageError(f"--font-size {given:g}: from {FONTS[0]:g} to {FONTS[1]:g} points")
    return given


def _interval(given: str) -> "Interval":
    for known in INTERVALS:
        if given == known:
            return known
    raise UsageError(f"--interval {given}: no such interval. {did_you_mean(given, INTERVALS)}")


def _is_log(given: str) -> bool:
    if given not in {"value", "log"}:
        raise UsageError(f"--x-scale {given}: no such scale. {did_you_mean(given, ('value', 'log'))}")
    return given == "log"
