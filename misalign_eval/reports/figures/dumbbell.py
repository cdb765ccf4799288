"""Figure `dumbbell`: before and after by probe or category, joined, the largest rise first."""

from collections.abc import Sequence

from misalign_eval.records.pages import ChangedLine, Changes, FigureLine
from misalign_eval.records.summary import RateLine
from misalign_eval.reports.charts import MOST_ROWS
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.intervals import across, top, what
from misalign_eval.reports.figures.theme import BLUE, VERMILLION, Figure, FigureColumn, Row, Spec, Theme, compose

SIDES = ("before", "after")
P = {"probe": "mid-p", "category": "exact p"}
ADJUSTED = {"probe": "Benjamini-Hochberg", "category": "Holm"}


def draw(changes: Changes, style: Theme) -> Figure:
    """A row for each name: two points on one line, and the interval of each beside it."""
    rows = [_row(changes, line) for line in changes.lines]
    drawn = changes.lines[:MOST_ROWS]
    long = [side for line in drawn for side in _sides(changes, line)]
    measure = changes.about.measure
    title = f"{what(measure)} before and after by {changes.by}, sorted by change"
    words = theme.of(title, changes.about, [_total(changes, side) for side in (0, 1)])
    if len(changes.lines) > len(drawn):
        words += f" {len(changes.lines) - len(drawn)} more with smaller changes are in the data alone."
    head = FigureColumn(changes.by, f"{changes.by} of the replies")
    names, room = style.beside([line.name for line in drawn])
    view = _view(changes, list(names.values()), room, long, style)
    return Figure(
        kind="dumbbell",
        caption=words,
        columns=(head, *_columns(changes)),
        rows=tuple(rows),
        spec=compose([view], long, words, style, {changes.by: names}),
    )


def _total(changes: Changes, side: int) -> FigureLine:
    summary = (changes.before, changes.after)[side]
    kind = changes.about.interval
    chosen = None if kind == "runs" else getattr(summary.intervals, kind)
    own = kind if chosen is not None and chosen.low is not None else "suite"
    name = f"{SIDES[side]} ({changes.names[side]})"
    return FigureLine(series=name, name="all", interval=own, **summary.model_dump(include=set(RateLine.model_fields)))


def _row(changes: Changes, line: ChangedLine) -> Row:
    row: Row = {changes.by: line.name}
    for side, rated in zip(SIDES, (line.before, line.after), strict=True):
        ends = {"": rated.rate, "_low": rated.low, "_high": rated.high}
        row |= {f"{side}{end}": value for end, value in ends.items()}
        row |= {f"{side}_{name}": value for name, value in theme.counts(rated).items()}
    row |= {"difference": line.difference, "low": line.low, "high": line.high}
    row |= {"p_value": line.p_value, "p_adjusted": line.p_adjusted}
    row |= {"together_low": line.bonferroni.low, "together_high": line.bonferroni.high}
    return row | {"measure": changes.about.measure, "definition": changes.about.definition}


def _columns(changes: Changes) -> tuple[FigureColumn, ...]:
    sides = []
    for side in SIDES:
        sides += [
            FigureColumn(side, f"rate {side}: a fraction, or where measure is mean a score"),
            FigureColumn(f"{side}_low", "lower end of its 95 % interval, for exactly these probes"),
            FigureColumn(f"{side}_high", "upper end"),
            *(FigureColumn(f"{side}_{count.name}", f"{count.about}, {side}") for count in theme.COUNTS),
        ]
    return (
        *sides,
        FigureColumn("difference", "after less before"),
        FigureColumn("low", "lower end of its 95 % interval"),
        FigureColumn("high", "upper end"),
        FigureColumn("p_value", f"{P[changes.by]} of the permutation test"),
        FigureColumn("p_adjusted", f"the same, adjusted by {ADJUSTED[changes.by]}"),
        FigureColumn("together_low", "lower end of the Bonferroni interval, which holds with all the others at 95 %"),
        FigureColumn("together_high", "upper end"),
        FigureColumn("measure", "rate or mean"),
        FigureColumn("definition", "by which replies are counted"),
    )


def _sides(changes: Changes, line: ChangedLine) -> list[Row]:
    """For drawing: a row for each point; that of `before` also says where the other one is."""
    return [
        {
            changes.by: line.name,
            "series": side,
            "rate": rated.rate,
            "low": rated.low,
            "high": rated.high,
            "other": line.after.rate if side == "before" else None,
        }
        for side, rated in zip(SIDES, (line.before, line.after), strict=True)
    ]


def _view(changes: Changes, names: Sequence[str], room: float, rows: Sequence[Row], style: Theme) -> Spec:
    width = style.width - room - 8 - style.font * 1.3
    y = {
        "field": changes.by,
        "type": "nominal",
        "scale": {"domain": list(names)},
        "axis": theme.names_axis(room),
    }
    return {
        "width": round(width, 1),
        "height": round(style.row * 1.15 * len(names), 1),
        "encoding": {"y": y},
        "layer": _marks(changes, top(rows, changes.about.measure), theme.legend(style, SIDES, width), style),
    }


def _marks(changes: Changes, most: float, key: Spec | None, style: Theme) -> list[Spec]:
    x = across(changes.about.measure, most)
    known = {"filter": {"field": "rate", "valid": True}}
    scale = {"domain": list(SIDES), "range": [BLUE, VERMILLION]}
    paint = {"field": "series", "type": "nominal", "scale": scale, "legend": key}
    shapes = {**paint, "scale": {"domain": list(SIDES), "range": ["circle", "diamond"]}}
    join = {"type": "rule", "strokeWidth": 2.5, "color": "#bbbbbb"}
    point = {"type": "point", "filled": True, "opacity": 1, "size": style.font * 3.2}
    beside = style.font * 0.38
    ends = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": paint}
    marks: list[Spec] = [
        {
            "mark": join,
            "transform": [known, {"filter": {"field": "other", "valid": True}}],
            "encoding": {"x": x, "x2": {"field": "other"}},
        }
    ]
    for side, offset in zip(SIDES, (-beside, beside), strict=True):
        mark = {"type": "rule", "strokeWidth": 0.8, "yOffset": offset}
        only = {"filter": {"field": "series", "equal": side}}
        marks.append({"mark": mark, "transform": [known, only], "encoding": ends})
    return [*marks, {"mark": point, "transform": [known], "encoding": {"x": x, "color": paint, "shape": shapes}}]
