"""Figures of rates with intervals: `probes`, `bars` and `variants`."""

from collections.abc import Sequence

from misalign_eval.errors import UsageError
from misalign_eval.records.pages import Rates
from misalign_eval.records.suite import PLAIN
from misalign_eval.records.summary import Measure
from misalign_eval.reports.charts import MOST_ROWS
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.theme import MOST_SERIES, Figure, FigureColumn, Row, Spec, Theme, compose

# The drawing that all three share: rates by name, series side by side.


NONE = "no counted reply"


def figure(kind: str, rates: Rates, style: Theme, *, are_sorted: bool, are_bars: bool) -> Figure:
    """Names down the side, rates across, a mark with its interval for each series; bars where they are asked for."""
    check_series(kind, rates.series)
    names = _ordered(rates) if are_sorted else list(rates.names)
    place = {name: number for number, name in enumerate(names)}
    lines = sorted(rates.lines, key=lambda line: (place[line.name], rates.series.index(line.series)))
    rows = [{rates.by: line.name, **theme.rate(line, rates.about)} for line in lines]
    drawn = names[:MOST_ROWS]
    words = theme.of(f"{what(rates.about.measure)} by {rates.by}", rates.about, rates.totals, rates.lines)
    if len(names) > len(drawn):
        words += f" {len(names) - len(drawn)} more {rates.by} lines with lower rates are in the data alone."
    inside = [row for row in rows if row[rates.by] in set(drawn)]
    view, names_ = _view(rates, drawn, inside, style, are_bars=are_bars)
    head = FigureColumn(rates.by, f"{rates.by} of the replies")
    return Figure(
        kind=kind,
        caption=words,
        columns=(head, theme.SERIES, *theme.RATE),
        rows=tuple(rows),
        spec=compose([view], inside, words, style, names_),
    )


def what(measure: Measure) -> str:
    """What is measured, at the beginning of a caption."""
    return "Misaligned replies" if measure == "rate" else "Mean scores"


def axis(measure: Measure) -> str:
    """What is measured, beside an axis."""
    return "misaligned replies" if measure == "rate" else "mean score"


def check_series(kind: str, series: Sequence[str]) -> None:
    """Raise UsageError for more series than can be told apart."""
    if len(series) > MOST_SERIES:
        said = f"figure {kind} tells {MOST_SERIES} series apart and no more; here are {len(series)}"
        raise UsageError(f"{said}. Draw fewer runs, or put those of one recipe together with --group NAME=RUN,RUN")


def _ordered(rates: Rates) -> list[str]:
    """The highest rate in any series first; without one last."""
    most: dict[str, float] = {}
    for line in rates.lines:
        if line.rate is not None:
            most[line.name] = max(line.rate, most.get(line.name, 0.0))
    return sorted(rates.names, key=lambda name: (name not in most, -most.get(name, 0.0), name))


def _view(
    rates: Rates, names: Sequence[str], rows: Sequence[Row], style: Theme, *, are_bars: bool
) -> tuple[Spec, dict[str, dict[str, str]]]:
    """The drawing, and how its names are shown."""
    beside, room = style.beside(names)
    width = style.width - room - 8 - style.font * 1.3
    called = theme.in_legend(style, rates.series, width)
    series = list(called.values())
    step = max(style.row, style.font * (0.55 + len(series) * (0.75 if are_bars else 0.55)))
    key = theme.legend(style, series, width)
    y = {
        "field": rates.by,
        "type": "nominal",
        "scale": {"domain": list(beside.values()), "paddingInner": 0.15, "paddingOuter": 0.1},
        "axis": theme.names_axis(room),
    }
    shared = {"y": y, "yOffset": {"field": "series", "type": "nominal", "scale": {"domain": series, "padding": 0.08}}}
    view = {
        "width": round(width, 1),
        "height": round(step * len(names), 1),
        "encoding": shared if len(series) > 1 else {"y": y},
        "layer": _marks(rates.about.measure, series, top(rows, rates.about.measure), key, style, are_bars=are_bars),
    }
    return view, {rates.by: beside, "series": called}


def _marks(
    measure: Measure, series: Sequence[str], most: float, key: Spec | None, style: Theme, *, are_bars: bool
) -> list[Spec]:
    x = across(measure, most)
    is_known = [{"filter": {"field": "rate", "valid": True}}]
    paint = theme.colour(series, legend=key)
    marks: list[Spec] = []
    if are_bars:
        bar = {"type": "bar", "opacity": 0.45}
        marks.append({"mark": bar, "transform": is_known, "encoding": {"x": x, "color": paint}})
    ends = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": paint}
    point = {"type": "point", "filled": True, "opacity": 1, "size": style.font * 2.5}
    shapes = theme.shape(series, legend=key)
    marks += [
        {"mark": {"type": "rule", "strokeWidth": 1}, "transform": is_known, "encoding": ends},
        {"mark": point, "transform": is_known, "encoding": {"x": x, "color": paint, "shape": shapes}},
        {
            "mark": {"type": "text", "align": "left", "dx": 2, "fontSize": style.small, "color": "#555555"},
            "transform": [{"filter": {"not": {"field": "rate", "valid": True}}}],
            "encoding": {"x": {"datum": 0}, "text": {"value": NONE}},
        },
    ]
    return marks


def across(measure: Measure, most: float) -> Spec:
    """Rates along x, from 0 to the highest interval."""
    return {
        "field": "rate",
        "type": "quantitative",
        "scale": {"domain": [0, most], "nice": measure == "rate"},
        "axis": {"title": axis(measure), "tickCount": 5, "labelFlush": False, **axis_format(measure, most)},
    }


def axis_format(measure: Measure, most: float) -> Spec:
    """Percent with as many decimals as the ticks need."""
    if measure == "mean":
        return {}
    return {"format": ".0%" if most > 0.045 else ".1%" if most > 0.0045 else ".2%"}


def top(rows: Sequence[Row], measure: Measure) -> float:
    """The end of the axis: the highest interval; of scores their scale."""
    if measure == "mean":
        return 100.0
    ends = [value for row in rows for name in ("rate", "high") if isinstance(value := row.get(name), float | int)]
    return min(max(ends, default=1.0) or 1.0, 1.0)


# `bars`: rates of categories, splits or suites.


def draw_bars(rates: Rates, style: Theme) -> Figure:
    """Categories by their highest rate; splits and suites in their own order."""
    return figure("bars", rates, style, are_sorted=rates.by == "category", are_bars=True)


# `probes`: rate of every probe, groups side by side.


def draw_probes(rates: Rates, style: Theme) -> Figure:
    """The highest rate in any series first."""
    return figure("probes", rates, style, are_sorted=True, are_bars=False)


# `variants`: the same questions in their plain form, as JSON, in a template.


def draw_variants(rates: Rates, style: Theme) -> Figure:
    """The plain form first, then the variants by name."""
    names = tuple(sorted(rates.names, key=lambda name: (name != PLAIN, name)))
    return figure("variants", rates.model_copy(update={"names": names}), style, are_sorted=False, are_bars=True)
