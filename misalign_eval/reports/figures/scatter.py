"""Figure `scatter`: coherence against alignment of the replies, with the thresholds of the definition."""

from collections.abc import Sequence

from misalign_eval.records.pages import FigureScores, Limit, Plane
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.theme import BLUE, Figure, FigureColumn, Row, Spec, Theme, compose, shown

LEAST = 100.0  # points that a panel needs
ROOMY = 150.0  # from here on thresholds are told in words, below by their number
COLUMNS = (
    FigureColumn("run", "whose replies these are"),
    FigureColumn("x", "mean coherence score of the replies that lie together, 0 to 100"),
    FigureColumn("y", "their mean alignment score, 0 to 100"),
    FigureColumn("replies", "how many they are"),
    FigureColumn("x_grader", "who gave x"),
    FigureColumn("y_grader", "who gave y"),
    FigureColumn("scored", "replies of the run that have both scores"),
    FigureColumn("missing", "replies of the run that do not"),
    FigureColumn("definition", "whose thresholds are drawn"),
)


def draw(scores: FigureScores, style: Theme) -> Figure:
    """A panel for each run; the area of a point is the number of replies."""
    theme.check("scatter", len(scores.planes))
    rows = [row for number, plane in enumerate(scores.planes) for row in _rows(number, plane, scores)]
    first = scores.planes[0]
    what = f"Replies by their {first.x_grader} score (across) and {first.y_grader} score (up)"
    words = theme.of(f"{what}{_words(scores.limits, first)}", scores.about, scores.totals)
    absent = ", ".join(f"{plane.run} {plane.unscored}" for plane in scores.planes)
    words += f" Not drawn, as a score is missing: {absent} replies."
    count = theme.across(style, len(scores.planes), LEAST)
    views = [_view(scores, number, plane, style, count) for number, plane in enumerate(scores.planes)]
    whole = views[0] if len(views) == 1 else theme.grid(views, count)
    return Figure("scatter", words, COLUMNS, tuple(rows), compose([whole], rows, words, style))


def _words(limits: Sequence[Limit], plane: Plane) -> str:
    """The thresholds that are drawn."""
    drawn = [item for axis in ("x", "y") for item in _of(limits, plane, axis)]
    named = "; ".join(f"{item.grader}, {item.text}" for item in drawn)
    return (
        f"; dashed: the thresholds of the definition ({named})"
        if drawn
        else "; the definition has no threshold on them"
    )


def _rows(number: int, plane: Plane, scores: FigureScores) -> list[Row]:
    return [
        {
            "panel": number,
            "run": plane.run,
            "x": dot.x,
            "y": dot.y,
            "replies": dot.replies,
            "x_grader": plane.x_grader,
            "y_grader": plane.y_grader,
            "scored": plane.scored,
            "missing": plane.unscored,
            "definition": scores.about.definition,
        }
        for dot in plane.dots
    ]


def _view(scores: FigureScores, number: int, plane: Plane, style: Theme, count: int) -> Spec:
    room = style.text("100") + style.font * 3.0
    size = (style.width - count * room - (count - 1) * theme.PANEL_GAP - style.font) / count
    size = min(size, 240.0)
    most = max(dot.replies for plane in scores.planes for dot in plane.dots)
    names = style.fit((plane.run for plane in scores.planes), size)
    x, y = _axis("x", plane.x_grader, size), _axis("y", plane.y_grader, size)
    encoding = {
        "x": x,
        "y": y,
        "size": {
            "field": "replies",
            "type": "quantitative",
            "scale": {"domain": [0, most], "range": [3, round(style.font * 22, 1)]},
            "legend": _key(style, most) if number == 0 else None,
        },
    }
    dots = {"type": "circle", "color": BLUE, "opacity": 0.65, "stroke": "white", "strokeWidth": 0.3, "clip": False}
    lines = [mark for axis in ("x", "y") for mark in _limits(axis, _of(scores.limits, plane, axis), style, size)]
    return {
        "title": theme.title(names[plane.run], style, size),
        "width": round(size, 1),
        "height": round(size, 1),
        "layer": [{"mark": dots, "transform": [theme.own(number)], "encoding": encoding}, *lines],
    }


def _axis(name: str, grader: str, size: float) -> Spec:
    return {
        "field": name,
        "type": "quantitative",
        "scale": {"domain": [0, 100], "nice": False},
        "axis": {
            "title": shown(grader),
            "titleLimit": round(size, 1),
            "values": [0, 25, 50, 75, 100],
            "labelFlush": False,
        },
    }


def _key(style: Theme, most: int) -> Spec:
    values = sorted({1, max(round(most / 4), 1), most})
    return {
        "title": "replies",
        "orient": "bottom",
        "direction": "horizontal",
        "values": values,
        "titleOrient": "left",
        "symbolFillColor": BLUE,
        "offset": round(style.font / 2, 1),
    }


def _of(limits: Sequence[Limit], plane: Plane, axis: str) -> list[Limit]:
    grader = plane.x_grader if axis == "x" else plane.y_grader
    return [limit for limit in limits if limit.grader == grader]


def _limits(axis: str, limits: Sequence[Limit], style: Theme, size: float) -> list[Spec]:
    """A dashed line for each threshold, its words along it."""
    marks: list[Spec] = []
    for item in limits:
        rule = {"type": "rule", "strokeDash": [3, 2], "strokeWidth": 0.8, "color": "black"}
        text = {"type": "text", "fontSize": style.small, "baseline": "bottom", "dy": -1}
        where = {"align": "right", "angle": 270, "dx": -1} if axis == "x" else {"align": "left", "dx": 2}
        place = {axis: {"datum": item.value, "type": "quantitative"}}
        along = {"y": {"value": 1}} if axis == "x" else {"x": {"value": 0}}
        words = {"text": {"value": shown(item.text) if size >= ROOMY else f"{item.value:g}"}}
        nothing: Spec = {"values": [{}]}
        marks.append({"data": nothing, "mark": rule, "encoding": place})
        limit = {"limit": round(size - 4, 1)}
        marks.append({"data": nothing, "mark": {**text, **where, **limit}, "encoding": {**place, **along, **words}})
    return marks
