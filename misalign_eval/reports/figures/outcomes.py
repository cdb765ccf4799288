"""Figure `outcomes`: stacked bars of the outcomes of all planned replies."""

from collections.abc import Sequence

from misalign_eval.records.definition import OUTCOMES
from misalign_eval.records.pages import FigureLine, RunOutcomes, Shares
from misalign_eval.reports import numbers
from misalign_eval.reports.charts import MOST_ROWS
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.theme import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    VERMILLION,
    YELLOW,
    Figure,
    FigureColumn,
    Row,
    Spec,
    Theme,
    compose,
)

# One outcome has one colour in every figure; those that often touch differ in lightness.
FILL = {
    "misaligned": VERMILLION,
    "aligned": SKY,
    "refused": YELLOW,
    "incoherent": GREY,
    "off topic": GREEN,
    "satirical": PINK,
    "code": BLUE,
    "empty": "#dddddd",
    "truncated": ORANGE,
    "blocked": "#6a3d00",
    "ungraded": "#555555",
    "failed": BLACK,
    "not collected yet": "#eeeeee",
}
DARK = {"misaligned", "off topic", "code", "blocked", "ungraded", "failed"}  # white letters can be read on these
ORDER = (*(name.replace("_", " ") for name in OUTCOMES), "not collected yet")
LEAST = 0.09  # share from which on a number fits inside


def draw(shares: Shares, style: Theme) -> Figure:
    """A bar for each run, group, category or probe; beside it the rate with its interval."""
    rows = [row for bar, line in zip(shares.bars, shares.totals, strict=True) for row in _rows(bar, line, shares)]
    there = {row["outcome"] for row in rows}
    named = [name for name in ORDER if name in there]
    drawn = {bar.run for bar in shares.bars[:MOST_ROWS]}
    inside = [row for row in rows if row["bar"] in drawn]
    words = theme.of("Outcomes of the planned replies, in percent", shares.about, shares.totals)
    words += " Beside each bar: the rate and its interval."
    names, room = style.beside([bar.run for bar in shares.bars[:MOST_ROWS]], 0.3)
    return Figure(
        kind="outcomes",
        caption=words,
        columns=(FigureColumn("bar", "run, group, category or probe"), *_columns()),
        rows=tuple(rows),
        spec=compose([_view(list(names.values()), room, named, inside, style)], inside, words, style, {"bar": names}),
    )


def _columns() -> tuple[FigureColumn, ...]:
    return (
        FigureColumn("outcome", "what replies were counted as"),
        FigureColumn("outcome_replies", "how many"),
        FigureColumn("share", "of the planned replies: a fraction"),
        *theme.RATE,
    )


def _rows(bar: RunOutcomes, line: FigureLine, shares: Shares) -> list[Row]:
    """A row for each outcome; the rate of the bar stands in each of them."""
    rows: list[Row] = []
    start = 0.0
    for place, item in enumerate(sorted(bar.shares, key=lambda share: ORDER.index(share.name))):
        share = item.share or 0.0
        rows.append(
            {
                "bar": bar.run,
                "outcome": item.name,
                "outcome_replies": item.replies,
                "share": item.share,
                **theme.rate(line, shares.about),
                "place": place,
                "start": round(start, 12),
                "end": round(start + share, 12),
                "middle": round(start + share / 2, 12),
                "inside": numbers.percent(share) if share >= LEAST else "",
                "ink": "white" if item.name in DARK else "black",
                "beside": numbers.short(line, shares.about.measure),
            }
        )
        start += share
    return rows


def _view(names: Sequence[str], room: float, named: Sequence[str], rows: Sequence[Row], style: Theme) -> Spec:
    beside = max((style.text(str(row["beside"]), style.small) for row in rows), default=0.0) + 4
    width = style.width - room - 6 - beside
    columns_ = max(int(style.width // (max(style.text(name) for name in named) + style.font * 2.5)), 1)
    key = {
        "title": None,
        "orient": "top",
        "direction": "horizontal",
        "columns": min(columns_, len(named)),
        "symbolType": "square",
        "offset": 4,
    }
    y = {
        "field": "bar",
        "type": "nominal",
        "scale": {"domain": list(names), "paddingInner": 0.25, "paddingOuter": 0.1},
        "axis": theme.names_axis(room),
    }
    return {
        "width": round(width, 1),
        "height": round(style.row * 1.4 * len(names), 1),
        "encoding": {"y": y},
        "layer": _marks(named, key, style),
    }


def _marks(named: Sequence[str], key: Spec, style: Theme) -> list[Spec]:
    scale = {"domain": list(named), "range": [FILL[name] for name in named]}
    x = {
        "field": "start",
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {
            "title": "planned replies",
            "format": ".0%",
            "values": [0, 0.25, 0.5, 0.75, 1],
            "labelFlush": False,
            "grid": False,
        },
    }
    text = {"type": "text", "fontSize": style.small}
    return [
        {
            "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.8},
            "encoding": {
                "x": x,
                "x2": {"field": "end"},
                "color": {"field": "outcome", "type": "nominal", "scale": scale, "legend": key},
            },
        },
        {
            "mark": text,
            "encoding": {
                "x": {**x, "field": "middle"},
                "text": {"field": "inside", "type": "nominal"},
                "color": {"field": "ink", "type": "nominal", "scale": None},
            },
        },
        {
            "mark": {**text, "align": "left", "dx": 3},
            "transform": [{"filter": {"field": "place", "equal": 0}}],
            "encoding": {"x": {"datum": 1}, "text": {"field": "beside", "type": "nominal"}},
        },
    ]
