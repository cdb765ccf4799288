"""How the scores of one grader are spread, a panel for each run, with the thresholds of the definition."""

from collections.abc import Sequence

from misalign_eval.records.pages import FigureScores, Histogram, Limit
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.theme import BLUE, Figure, FigureColumn, Row, Spec, Theme, compose, shown

LEAST = 190.0
COLUMNS = (
    FigureColumn("run", "whose replies these are"),
    FigureColumn("grader", "who gave the scores"),
    FigureColumn("from", "lower end of the bin, in it"),
    FigureColumn("to", "upper end of the bin, in it for the last bin alone"),
    FigureColumn("replies", "scores in the bin"),
    FigureColumn("scored", "replies of the run with a score"),
    FigureColumn("missing", "replies of the run without one"),
    FigureColumn("definition", "whose thresholds are drawn"),
)


def draw(found: FigureScores, style: Theme) -> Figure:
    """All panels on the same axes."""
    theme.check("histogram", len(found.histograms))
    rows = [row for number, one in enumerate(found.histograms) for row in _rows(number, one, found)]
    grader = found.histograms[0].grader
    dashed = "; dashed: the thresholds of the definition" if found.limits else ""
    words = theme.of(f"Scores of {grader}{dashed}", found.about, found.totals)
    absent = ", ".join(f"{one.run} {one.unscored} of {one.scored + one.unscored}" for one in found.histograms)
    words += f" Without a score: {absent} replies."
    count = theme.across(style, len(found.histograms), LEAST)
    most = max((count for one in found.histograms for count in one.counts), default=1)
    views = [_view(found, number, one, max(most, 1), style, count) for number, one in enumerate(found.histograms)]
    whole = views[0] if len(views) == 1 else theme.grid(views, count)
    return Figure("histogram", words, COLUMNS, tuple(rows), compose([whole], rows, words, style))


def _rows(number: int, one: Histogram, found: FigureScores) -> list[Row]:
    return [
        {
            "panel": number,
            "run": one.run,
            "grader": one.grader,
            "from": low,
            "to": high,
            "replies": replies,
            "scored": one.scored,
            "missing": one.unscored,
            "definition": found.about.definition,
        }
        for low, high, replies in zip(one.edges, one.edges[1:], one.counts, strict=False)
    ]


def _view(found: FigureScores, number: int, one: Histogram, most: int, style: Theme, count: int) -> Spec:
    room = style.text(f"{most:,}") + style.font * 2.9
    width = (style.width - count * room - (count - 1) * theme.PANEL_GAP - style.font) / count
    height = min(width * 0.4, 110.0)
    x = {
        "field": "from",
        "type": "quantitative",
        "scale": {"domain": [one.edges[0], one.edges[-1]], "nice": False},
        "axis": {
            "title": f"{shown(one.grader)} score",
            "titleLimit": round(width, 1),
            "grid": False,
            "tickCount": 5,
            "labelFlush": False,
        },
    }
    y = {
        "field": "replies",
        "type": "quantitative",
        "scale": {"domain": [0, most]},
        "axis": {"title": "replies", "tickCount": 4, "tickMinStep": 1, "format": "d"},
    }
    bars = {"type": "rect", "color": BLUE, "stroke": "white", "strokeWidth": 0.4}
    zero = {"y2": {"datum": 0}}
    layer = [
        {
            "mark": bars,
            "transform": [theme.own(number)],
            "encoding": {"x": x, "x2": {"field": "to"}, "y": y, **zero},
        },
        *_limits(found.limits, style, height),
    ]
    counted = max((f" ({one.scored} with a score)" for one in found.histograms), key=style.text)
    names = style.fit((one.run for one in found.histograms), width - style.text(counted))
    name = f"{names[one.run]} ({one.scored} with a score)"
    size = {"width": round(width, 1), "height": round(height, 1)}
    return {"title": theme.title(name, style, width), **size, "layer": layer}


def _limits(limits: Sequence[Limit], style: Theme, height: float) -> list[Spec]:
    marks: list[Spec] = []
    for one in limits:
        rule = {"type": "rule", "strokeDash": [3, 2], "strokeWidth": 0.8, "color": "black"}
        text = {"type": "text", "fontSize": style.small, "align": "right", "baseline": "bottom", "angle": 270, "dy": -1}
        place = {"x": {"datum": one.value, "type": "quantitative"}}
        nothing: Spec = {"values": [{}]}
        marks.append({"data": nothing, "mark": rule, "encoding": place})
        words = {**place, "y": {"value": 1}, "text": {"value": shown(one.text)}}
        marks.append({"data": nothing, "mark": {**text, "limit": round(height, 1)}, "encoding": words})
    return marks
