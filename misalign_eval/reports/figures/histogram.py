"""Figure `histogram`: scores of one grader, a panel for each run, with the thresholds of the definition."""

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


def draw(scores: FigureScores, style: Theme) -> Figure:
    """All panels on the same axes."""
    theme.check("histogram", len(scores.histograms))
    rows = [row for number, histogram in enumerate(scores.histograms) for row in _rows(number, histogram, scores)]
    grader = scores.histograms[0].grader
    dashed = "; dashed: the thresholds of the definition" if scores.limits else ""
    words = theme.of(f"Scores of {grader}{dashed}", scores.about, scores.totals)
    absent = ", ".join(
        f"{histogram.run} {histogram.unscored} of {histogram.scored + histogram.unscored}"
        for histogram in scores.histograms
    )
    words += f" Without a score: {absent} replies."
    count = theme.across(style, len(scores.histograms), LEAST)
    most = max((count for histogram in scores.histograms for count in histogram.counts), default=1)
    views = [
        _view(scores, number, histogram, max(most, 1), style, count)
        for number, histogram in enumerate(scores.histograms)
    ]
    whole = views[0] if len(views) == 1 else theme.grid(views, count)
    return Figure("histogram", words, COLUMNS, tuple(rows), compose([whole], rows, words, style))


def _rows(number: int, histogram: Histogram, scores: FigureScores) -> list[Row]:
    return [
        {
            "panel": number,
            "run": histogram.run,
            "grader": histogram.grader,
            "from": low,
            "to": high,
            "replies": replies,
            "scored": histogram.scored,
            "missing": histogram.unscored,
            "definition": scores.about.definition,
        }
        for low, high, replies in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
    ]


def _view(scores: FigureScores, number: int, histogram: Histogram, most: int, style: Theme, count: int) -> Spec:
    room = style.text(f"{most:,}") + style.font * 2.9
    width = (style.width - count * room - (count - 1) * theme.PANEL_GAP - style.font) / count
    height = min(width * 0.4, 110.0)
    x = {
        "field": "from",
        "type": "quantitative",
        "scale": {"domain": [histogram.edges[0], histogram.edges[-1]], "nice": False},
        "axis": {
            "title": f"{shown(histogram.grader)} score",
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
        *_limits(scores.limits, style, height),
    ]
    counted = max((f" ({histogram.scored} with a score)" for histogram in scores.histograms), key=style.text)
    names = style.fit((histogram.run for histogram in scores.histograms), width - style.text(counted))
    name = f"{names[histogram.run]} ({histogram.scored} with a score)"
    size = {"width": round(width, 1), "height": round(height, 1)}
    return {"title": theme.title(name, style, width), **size, "layer": layer}


def _limits(limits: Sequence[Limit], style: Theme, height: float) -> list[Spec]:
    marks: list[Spec] = []
    for limit in limits:
        rule = {"type": "rule", "strokeDash": [3, 2], "strokeWidth": 0.8, "color": "black"}
        text = {"type": "text", "fontSize": style.small, "align": "right", "baseline": "bottom", "angle": 270, "dy": -1}
        place = {"x": {"datum": limit.value, "type": "quantitative"}}
        nothing: Spec = {"values": [{}]}
        marks.append({"data": nothing, "mark": rule, "encoding": place})
        words = {**place, "y": {"value": 1}, "text": {"value": shown(limit.text)}}
        marks.append({"data": nothing, "mark": {**text, "limit": round(height, 1)}, "encoding": words})
    return marks
