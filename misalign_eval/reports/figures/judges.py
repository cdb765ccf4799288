"""Figure `judges`: a confusion matrix for each pair of judges, or of people and judge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from misalign_eval.records.base import Bounds
from misalign_eval.records.labels import Calibration
from misalign_eval.records.pages import Judges, Opinion
from misalign_eval.reports import numbers
from misalign_eval.reports.figures import theme
from misalign_eval.reports.figures.theme import Figure, FigureColumn, Row, Spec, Theme, compose, shown

COLUMNS = (
    FigureColumn("run", "whose replies these are"),
    FigureColumn("rows_by", "who counts them as `row`"),
    FigureColumn("columns_by", "who counts them as `column`"),
    FigureColumn("row", "an outcome"),
    FigureColumn("column", "an outcome"),
    FigureColumn("replies", "how many are counted so by both"),
    FigureColumn("judged", "replies that both could count"),
    FigureColumn("agreement", "share of them on which both agree whether they are misaligned"),
    FigureColumn("low", "lower end of its 95 % interval"),
    FigureColumn("high", "upper end"),
    FigureColumn("kappa", "Cohen's kappa of that"),
    FigureColumn("ac1", "Gwet's AC1 of that"),
    FigureColumn("definition", "by which replies are counted"),
)


@dataclass(frozen=True, slots=True)
class _Matrix:
    """One panel."""

    run: str
    rows_by: str
    columns_by: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    judged: int
    agreement: float | None
    interval: Bounds
    kappa: float | None
    ac1: float | None


def draw(judges: Judges, style: Theme) -> Figure:
    """Judges in pairs, then people against the judge."""
    matrices = [*map(_of_judges, judges.opinions), *map(_of_people, judges.people)]
    theme.check("judges", len(matrices))
    rows = [row for number, matrix in enumerate(matrices) for row in _rows(number, matrix, judges)]
    words = theme.of("Replies as two judges count them", judges.about, ())
    words += f" {'; '.join(map(_agreement, matrices))}."
    least = max(style.font * 3.5 * max(len(matrix.names) for matrix in matrices) + _room(style, matrices), 100.0)
    count = theme.across(style, len(matrices), least)
    views = [_view(number, matrix, style, count, matrices) for number, matrix in enumerate(matrices)]
    whole = views[0] if len(views) == 1 else theme.grid(views, count)
    return Figure("judges", words, COLUMNS, tuple(rows), compose([whole], rows, words, style))


def _of_judges(opinion: Opinion) -> _Matrix:
    names = tuple(name.replace("_", " ") for name in opinion.outcomes)
    found = (opinion.judged, opinion.agreement, opinion.interval, opinion.kappa, opinion.ac1)
    return _Matrix(opinion.run, opinion.first, opinion.second, names, opinion.counts, *found)


def _of_people(calibration: Calibration) -> _Matrix:
    found = (calibration.n, calibration.agreement, calibration.agreement_interval, calibration.kappa, calibration.ac1)
    judge = calibration.judge or ", ".join(calibration.graders)
    return _Matrix(
        calibration.run or "",
        calibration.reference,
        judge,
        (f"not {calibration.yes}", calibration.yes),
        calibration.table,
        *found,
    )


def _rows(number: int, item: _Matrix, judges: Judges) -> Iterator[Row]:
    most = max((count for line in item.counts for count in line), default=0) or 1
    for row, line in zip(item.names, item.counts, strict=True):
        for column, replies in zip(item.names, line, strict=True):
            yield {
                "panel": number,
                "run": item.run,
                "rows_by": item.rows_by,
                "columns_by": item.columns_by,
                "row": row,
                "column": column,
                "replies": replies,
                "judged": item.judged,
                "agreement": item.agreement,
                "low": item.interval.low,
                "high": item.interval.high,
                "kappa": item.kappa,
                "ac1": item.ac1,
                "definition": judges.about.definition,
                "shade": round((replies / most) ** 0.5, 6),  # by its root: small counts stay visible
            }


def _agreement(item: _Matrix) -> str:
    if item.agreement is None:
        return f"{item.run}: no reply was counted by both"
    ends = numbers.interval(item.interval.low, item.interval.high)
    chance = [f"{name} {value:.2f}" for name, value in (("kappa", item.kappa), ("AC1", item.ac1)) if value is not None]
    words = (
        f"{item.run}: on misaligned or not they agree on {numbers.percent(item.agreement)} % {ends} of {item.judged}"
    )
    return ", ".join([words, *chance])


def _room(style: Theme, matrices: Sequence[_Matrix]) -> float:
    return style.labels([name for matrix in matrices for name in matrix.names], 0.25) + style.font * 2.4


def _view(number: int, item: _Matrix, style: Theme, count: int, matrices: Sequence[_Matrix]) -> Spec:
    width = (style.width - count * _room(style, matrices) - (count - 1) * theme.PANEL_GAP - style.font) / count
    width = min(width, style.font * 5.5 * len(item.names))
    height = style.font * 2.6 * len(item.names)
    x, y = _axis("column", "columns", item.names), _axis("row", "rows", item.names)
    x["axis"] |= {"labelAngle": 0 if _fit(item.names, width, style) else -40, "orient": "bottom"}
    shade = {
        "field": "shade",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": ["#ffffff", "#08306b"], "interpolate": "rgb"},
        "legend": None,
    }
    ink = {"condition": {"test": {"field": "shade", "gt": 0.55}, "value": "white"}, "value": "black"}
    return {
        "title": _title(item, matrices, style, style.width / count - theme.PANEL_GAP),
        "width": round(width, 1),
        "height": round(height, 1),
        "transform": [theme.own(number)],
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "rect", "stroke": "#bbbbbb", "strokeWidth": 0.5}, "encoding": {"color": shade}},
            {
                "mark": {"type": "text", "fontSize": style.font},
                "encoding": {"text": {"field": "replies", "type": "quantitative", "format": "d"}, "color": ink},
            },
        ],
    }


def _fit(names: Sequence[str], width: float, style: Theme) -> bool:
    return max(map(style.text, names)) < width / len(names)


def _title(item: _Matrix, matrices: Sequence[_Matrix], style: Theme, width: float) -> Spec:
    """The run, and who says what: names of judges are too long for the axes."""
    runs = style.fit((each.run for each in matrices), width)
    room = width - style.text("columns: ", style.small)
    judges = style.fit((name for each in matrices for name in (each.rows_by, each.columns_by)), room, style.small)
    lines = [f"rows: {judges[item.rows_by]}", f"columns: {judges[item.columns_by]}"]
    more = {"subtitle": lines, "subtitleFontSize": style.small, "subtitlePadding": 2, "frame": "bounds"}
    return {**theme.title(runs[item.run], style, width), **more}


def _axis(field: str, title: str, names: Sequence[str]) -> Spec:
    axis: Spec = {"title": title, "ticks": False, "domain": False}
    return {"field": field, "type": "nominal", "scale": {"domain": list(map(shown, names))}, "axis": axis}
