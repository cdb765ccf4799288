"""Figure `curve`: rates over steps or dose, with the coherence of the same replies below."""

from collections.abc import Sequence

from misalign_eval.records.pages import FigureCourse
from misalign_eval.records.summary import Measure
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.intervals import axis, axis_format, check_series, top, what
from misalign_eval.reports.figures.theme import Figure, FigureColumn, Row, Spec, Theme, compose

HEIGHTS = (0.5, 0.28)  # of the width of a column
MOST_TICKS = 8
RATE, COHERENCE = 0, 1  # panels


def draw(course: FigureCourse, style: Theme) -> Figure:
    """A line for each series, broken where a point has no rate."""
    check_series("curve", course.series)
    rows = [{"x": line.x, **theme.rate(line, course.about)} for line in course.lines]
    below = [
        {
            "panel": COHERENCE,
            "x": line.x,
            "series": line.series,
            "rate": line.rate,
            "low": line.low,
            "high": line.high,
        }
        for line in course.coherence
    ]
    for row, line in zip(rows, course.coherence, strict=True):
        row |= {"coherence": line.rate, "coherence_low": line.low, "coherence_high": line.high}
        row |= {"coherence_of": line.grader or "share of replies that are not incoherent"}
    words = theme.of(f"{what(course.about.measure)} along {course.x_name}", course.about, course.lines)
    words += f" Below: {_coherence(course)} of the same replies."
    drawn = [{"panel": RATE, **row} for row in rows] + below
    return Figure(
        kind="curve",
        caption=words,
        columns=(FigureColumn("x", course.x_name), theme.SERIES, *theme.RATE, *_columns()),
        rows=tuple(rows),
        spec=compose(_views(course, rows, below, style), drawn, words, style, {"series": _series(course, style)}),
    )


def _columns() -> tuple[FigureColumn, ...]:
    return (
        FigureColumn("coherence", "mean score of the grader of coherence, or share of coherent replies"),
        FigureColumn("coherence_low", "lower end of its 95 % interval, for exactly these probes"),
        FigureColumn("coherence_high", "upper end"),
        FigureColumn("coherence_of", "the grader whose scores these are"),
    )


def _coherence(course: FigureCourse) -> str:
    grader = course.coherence[0].grader
    return "share of coherent replies" if grader is None else f"mean {grader} score, from 0 to 100,"


def _views(course: FigureCourse, rows: Sequence[Row], below: Sequence[Row], style: Theme) -> list[Spec]:
    measure = course.about.measure
    grader = course.coherence[0].grader
    second: Measure = "rate" if grader is None else "mean"
    return [
        _view(course, RATE, measure, axis(measure), top(rows, measure), style),
        _view(course, COHERENCE, second, "coherence", top(below, second), style),
    ]


def _view(course: FigureCourse, panel: int, measure: Measure, name: str, most: float, style: Theme) -> Spec:
    width = _width(style)
    height = min(style.width, 300) * HEIGHTS[panel]
    series = list(_series(course, style).values())
    key = theme.legend(style, series, width) if panel == RATE else None
    y = {
        "field": "rate",
        "type": "quantitative",
        "scale": {"domain": [0, most], "nice": measure == "rate"},
        "axis": {"title": name, "titleLimit": height, "tickCount": 4, **axis_format(measure, most), **_fixed(style)},
    }
    return {
        "width": round(width, 1),
        "height": round(height, 1),
        "transform": [{"filter": {"field": "panel", "equal": panel}}],
        "encoding": {"x": _x(course, panel)},
        "layer": _marks(y, series, key, style),
    }


def _width(style: Theme) -> float:
    room = style.text("100%") + style.font * 2.2
    return style.width - room - style.font * 1.2


def _series(course: FigureCourse, style: Theme) -> dict[str, str]:
    """Each series as the legend names it."""
    return theme.in_legend(style, course.series, _width(style))


def _fixed(style: Theme) -> Spec:
    """Both panels begin at the same place."""
    extent = round(style.text("100%") + 4, 1)
    return {"minExtent": extent, "maxExtent": extent}


def _x(course: FigureCourse, panel: int) -> Spec:
    places = sorted({line.x for line in course.lines if line.x is not None})
    spare = 0.0 if course.is_log else (places[-1] - places[0]) * 0.03
    scale: Spec = {"domain": [places[0] - spare, places[-1] + spare], "zero": False, "nice": False}
    return {
        "field": "x",
        "type": "quantitative",
        "scale": {**scale, "type": "symlog"} if course.is_log else scale,
        "axis": {
            "title": course.x_name if panel == COHERENCE else None,
            "labels": panel == COHERENCE,
            "labelFlush": False,
            "labelOverlap": True,
            **({"values": places} if course.is_log or len(places) <= MOST_TICKS else {"tickCount": MOST_TICKS}),
            "format": ".12~g",
        },
    }


def _marks(y: Spec, series: Sequence[str], key: Spec | None, style: Theme) -> list[Spec]:
    paint = theme.colour(series, legend=key)
    known = [{"filter": {"field": "rate", "valid": True}}]
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": paint}
    point = {"type": "point", "filled": True, "opacity": 1, "size": style.font * 3}
    line = {"type": "line", "strokeWidth": 1.2}
    return [
        {"mark": line, "encoding": {"y": y, "color": paint, "strokeDash": theme.dash(series, legend=key)}},
        {"mark": {"type": "rule", "strokeWidth": 1}, "transform": known, "encoding": ends},
        {
            "mark": point,
            "transform": known,
            "encoding": {"y": y, "color": paint, "shape": theme.shape(series, legend=key)},
        },
    ]
