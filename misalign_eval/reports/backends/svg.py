"""SVG backend: charts inside the page, without style attributes, since the policy forbids them.

Coordinates across are percent where a chart fits any width, so that its text never shrinks.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from misalign_eval.records.pages import (
    BarChart,
    BarRow,
    ChartEstimate,
    ChartMark,
    CurveChart,
    CurvePanel,
    CurvePoint,
    HistogramChart,
    HistogramPanel,
    IntervalChart,
    IntervalRow,
    MatrixChart,
    PlaneChart,
    PlanePanel,
)
from misalign_eval.records.summary import Measure
from misalign_eval.reports import numbers
from misalign_eval.reports.escape import Html, el, join

# Marks that charts share: every series has a shape of its own besides its colour.


SERIES = 6  # colours and shapes; further series begin again
SHAPES = (
    None,  # a circle
    "M0-6 6 0 0 6-6 0Z",
    "M-5-5H5V5H-5Z",
    "M0-6 6 5H-6Z",
    "M0 6 6-5H-6Z",
    "M-6-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z",
)


def point(series: int, x: str, y: float) -> Html:
    """The mark of a series at a place; x with its unit."""
    path = SHAPES[series % SERIES]
    if path is None:
        return el("circle", cx=x, cy=y, r=5.0, class_=f"pt s{series % SERIES}")
    return el("svg", el("path", d=path, class_=f"pt s{series % SERIES}"), x=x, y=y, class_="at")


def whisker(series: int, low: str, high: str, y: float) -> Html:
    """An interval with its caps."""
    name = f"ci s{series % SERIES}"
    line = el("line", x1=low, x2=high, y1=y, y2=y, class_=name)
    caps = (el("line", x1=x, x2=x, y1=y - 3, y2=y + 3, class_=name) for x in (low, high))
    return join([line, *caps])


def key(names: tuple[str, ...]) -> Html:
    """Which series has which mark."""
    entries = (
        el("li", el("svg", point(number, "8", 8), width=16.0, height=16.0, aria_hidden="true"), name)
        for number, name in enumerate(names)
    )
    return el("ul", *entries, class_="key")


def percent(place: float) -> str:
    """A place across as an attribute."""
    return f"{place:.2f}%"


# Bar tables: counts as bars, each with its number beside it.


def draw_bars(chart: BarChart) -> Html:
    """The whole figure."""
    heads = [
        el("th", f"{name} ({total} planned)", scope="col", class_="num")
        for name, total in zip(chart.series, chart.totals, strict=True)
    ]
    head = el("tr", el("th", chart.head, scope="col"), el("th", "share of the planned", scope="col"), *heads)
    body = (_bar_row(chart, row) for row in chart.rows)
    parts = [el("p", chart.description, class_="desc")]
    if len(chart.series) > 1:
        parts.append(key(chart.series))
    table = el("table", el("thead", head), el("tbody", *body), class_="rows")
    return el("figure", el("figcaption", chart.title), *parts, table, id=f"fig-{chart.id}")


def _bar_row(chart: BarChart, row: BarRow) -> Html:
    bars = [
        el(
            "rect",
            x=0.0,
            y=2.0 + 14 * number,
            width=percent(100 * (share or 0.0)),
            height=11.0,
            class_=_horizontal_bar(number),
        )
        for number, share in enumerate(row.shares)
    ]
    height = 4.0 + 14 * len(row.shares)
    drawn = el("svg", *bars, width="100%", height=height, aria_hidden="true", class_="mark")
    cells = [
        el(
            "td",
            *([el("span", f"{name} ", class_="small-head")] if len(chart.series) > 1 else []),
            el("span", _words(count, share), class_="whole"),
            class_="num",
        )
        for name, count, share in zip(chart.series, row.counts, row.shares, strict=True)
    ]
    return el("tr", el("th", row.name, scope="row"), el("td", drawn, class_="plot"), *cells)


def _horizontal_bar(number: int) -> str:
    return f"bar s{number % SERIES}"


def _words(count: int, share: float | None) -> str:
    return f"{count}" if not count or share is None else f"{count} ({numbers.percent(share)} %)"


# Confusion matrices of two judges: counts, shaded by their share of the row.


SHADES = 5


def draw_matrix(chart: MatrixChart) -> Html:
    """The whole figure."""
    heads = el("tr", el("td", class_="corner"), *(el("th", name, scope="col") for name in chart.names))
    over = el("tr", el("td", class_="corner"), el("th", chart.column_axis, scope="colgroup", colspan=len(chart.names)))
    rows = (
        el(
            "tr",
            el("th", name, scope="row"),
            *(_cell(count, row, is_agreed=place == at) for at, count in enumerate(row)),
        )
        for place, (name, row) in enumerate(zip(chart.names, chart.counts, strict=True))
    )
    table = el("table", el("thead", over, heads), el("tbody", *rows), class_="matrix")
    parts = [el("p", chart.description, class_="desc"), el("p", f"Rows: {chart.row_axis}", class_="axis-name")]
    body = el("div", table, class_="scroll", tabindex="0")
    note = [el("p", chart.note)] if chart.note else []
    return el("figure", el("figcaption", chart.title), *parts, body, *note, id=f"fig-{chart.id}")


def _cell(count: int, row: tuple[int, ...], *, is_agreed: bool) -> Html:
    shade = math.ceil(SHADES * count / sum(row)) if count else 0
    return el("td", str(count), class_=f"num shade{shade}{' agreed' if is_agreed else ''}")


# Scales: from values to positions.


STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class AxisScale:
    """Places `low` at `start` and `high` at `stop`."""

    low: float
    high: float
    start: float = 0.0
    stop: float = 100.0

    def __call__(self, value: float) -> float:
        """Where a value stands; outside values stand at the edge.

        >>> AxisScale(0, 0.5)(0.25)
        50.0
        """
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Round values inside, at most so many.

        >>> AxisScale(0, 0.6).ticks()
        (0.0, 0.2, 0.4, 0.6)
        """
        step = nice_step((self.high - self.low) / (most - 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(round(number * step, 10) for number in range(first, last + 1))


def nice_step(least: float) -> float:
    """The smallest round step that is not below `least`."""
    size = 10.0 ** math.floor(math.log10(least))
    return next(step * size for step in STEPS if step * size >= least - 1e-12)


def covering(values: Iterable[ChartEstimate], measure: Measure, more: Iterable[float] = ()) -> AxisScale:
    """A scale from zero (or the lowest value) to just above the highest end of all intervals."""
    ends = [end for value in values for end in (value.low, value.value, value.high) if end is not None]
    ends += list(more)
    most, whole = max(ends, default=0.0), 1.0 if measure == "rate" else 100.0
    low = min(0.0, min(ends, default=0.0))
    high = most if most > low else whole
    step = nice_step((high - low) / 5)
    top = math.ceil(high / step - 1e-9) * step
    return AxisScale(math.floor(low / step + 1e-9) * step, min(top, whole) if most <= whole else top)


def label(value: float, measure: Measure) -> str:
    """A tick in percent, or as a score.

    >>> label(0.025, "rate"), label(50.0, "mean")
    ('2.5', '50')
    """
    return f"{100 * value if measure == 'rate' else value:.4g}"


# Frames of charts with two axes: panels of fixed size, beside or below each other.


WIDTH = 400.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 16.0, 36.0, 40.0


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """The drawing area of one panel with its scales, in user units of its SVG."""

    x: AxisScale
    y: AxisScale
    height: float

    @classmethod
    def of(cls, x: tuple[float, float], y: tuple[float, float], height: float) -> "ChartFrame":
        """A frame for these ranges of values."""
        across = AxisScale(*x, LEFT, WIDTH - RIGHT)
        return cls(across, AxisScale(*y, height - BOTTOM, TOP), height)


def panel(frame: ChartFrame, title: str, description: str, parts: Iterable[Html]) -> Html:
    """One SVG with a title and a description for those who do not see it."""
    inside = [el("title", title), el("desc", description), *parts]
    return el("svg", *inside, viewBox=f"0 0 {WIDTH:g} {frame.height:g}", role="img", class_="panel", aria_label=title)


Ticks = Iterable[tuple[float, str]]


def ticks(scale: AxisScale) -> Ticks:
    """The round values of a scale, as they are."""
    return [(value, f"{value:g}") for value in scale.ticks()]


def axes(frame: ChartFrame, x_name: str, y_name: str, x_ticks: Ticks, y_ticks: Ticks) -> Html:
    """Grid, labels and names; each tick is a value and its words."""
    bottom = frame.height - BOTTOM
    parts = [
        el("text", x_name, x=(LEFT + WIDTH - RIGHT) / 2, y=frame.height - 6, class_="name"),
        el("text", y_name, x=0.0, y=11.0, class_="name first"),
    ]
    for value, words in x_ticks:
        place = frame.x(value)
        parts.append(el("line", x1=place, x2=place, y1=TOP, y2=bottom, class_="grid"))
        parts.append(el("text", words, x=place, y=bottom + 14, class_="tick"))
    for value, words in y_ticks:
        place = frame.y(value)
        parts.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=place, y2=place, class_="grid"))
        parts.append(el("text", words, x=LEFT - 5, y=place + 4, class_="tick last"))
    return join(parts)


def x_mark(frame: ChartFrame, mark: ChartMark) -> Html:
    """A threshold on the axis across, its words above."""
    place = frame.x(mark.value)
    line = el("line", x1=place, x2=place, y1=TOP - 4, y2=frame.height - BOTTOM, class_="limit")
    side = " first" if place < WIDTH / 3 else " last" if place > WIDTH * 2 / 3 else ""
    return join([line, el("text", mark.text, x=place, y=TOP - 8, class_=f"limit-name{side}")])


def y_mark(frame: ChartFrame, mark: ChartMark) -> Html:
    """A threshold on the axis up."""
    place = frame.y(mark.value)
    line = el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=place, y2=place, class_="limit")
    return join([line, el("text", mark.text, x=LEFT + 4, y=place - 4, class_="limit-name first")])


def figure(name: str, title: str, description: str, panels: Iterable[Html], table: Html) -> Html:
    """Panels side by side, and the same numbers as a table below."""
    data = el("details", el("summary", "The numbers as a table"), el("div", table, class_="scroll", tabindex="0"))
    caption, words = el("figcaption", title), el("p", description, class_="desc")
    return el("figure", caption, words, el("div", *panels, class_="panels"), data, id=f"fig-{name}")


def grid(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    """A plain table of numbers."""
    head = el("tr", *(el("th", name, scope="col") for name in heads))
    body = (el("tr", *(el("td", cell, class_="num") for cell in row)) for row in rows)
    return el("table", el("thead", head), el("tbody", *body))


# Trajectory charts: one panel below the other, points with intervals, and the simultaneous band.


HEIGHTS = (260.0, 170.0)
CAP = 3.5
APART = 30.0  # of numbers on the axis


def draw_curves(chart: CurveChart) -> Html:
    """The whole figure."""
    panels = [_curve_panel(chart, panel, number) for number, panel in enumerate(chart.panels)]
    heads = (chart.x_axis, "run", *(panel.axis for panel in chart.panels))
    rows = [
        (f"{points[0].x:g}", points[0].name, *(point.estimate.text for point in points))
        for points in zip(*(panel.points for panel in chart.panels), strict=True)
    ]
    return figure(chart.id, chart.title, chart.description, [el("div", *panels, class_="stack")], grid(heads, rows))


def _curve_panel(chart: CurveChart, item: CurvePanel, number: int) -> Html:
    frame = _frame(chart, item, HEIGHTS[min(number, 1)])
    ups = [(tick, label(tick, item.measure)) for tick in frame.y.ticks()]
    parts = [
        axes(frame, chart.x_axis, item.axis, _ticks(chart, item, frame), ups),
        *_band(chart, item, frame),
        *_line(chart, item, frame),
    ]
    parts += [_point(_x(chart, point), point, frame, number) for point in item.points]
    title = f"{item.axis} along {chart.x_axis}"
    return panel(frame, title, chart.description, parts)


def _ticks(chart: CurveChart, panel: CurvePanel, frame: ChartFrame) -> Ticks:
    """At the runs themselves, where they leave room for their numbers; else at round values."""
    there: list[tuple[float, str]] = []
    for point in panel.points:
        place = _x(chart, point)
        if not there or frame.x(place) - frame.x(there[-1][0]) >= APART:
            there.append((place, f"{point.x:g}"))
    return there if chart.is_log or len(there) == len(panel.points) else ticks(frame.x)


def _frame(chart: CurveChart, panel: CurvePanel, height: float) -> ChartFrame:
    places = [_x(chart, point) for point in panel.points]
    bands = [ChartEstimate(value=None, low=point.band_low, high=point.band_high, text="") for point in panel.points]
    y = covering([*(point.estimate for point in panel.points), *bands], panel.measure)
    room = (max(places) - min(places)) * 0.04 or 1.0
    return ChartFrame.of((min(places) - room, max(places) + room), (y.low, y.high), height)


def _x(chart: CurveChart, point: CurvePoint) -> float:
    return math.log1p(point.x) if chart.is_log else point.x


def _band(chart: CurveChart, panel: CurvePanel, frame: ChartFrame) -> list[Html]:
    ends = [
        (frame.x(_x(chart, point)), point.band_low, point.band_high)
        for point in panel.points
        if point.band_low is not None and point.band_high is not None
    ]
    if len(ends) < 2:
        return []
    there = [f"{x:.2f},{frame.y(high):.2f}" for x, _, high in ends if high is not None]
    back = [f"{x:.2f},{frame.y(low):.2f}" for x, low, _ in reversed(ends) if low is not None]
    return [el("polygon", points=" ".join([*there, *back]), class_="band")]


def _line(chart: CurveChart, panel: CurvePanel, frame: ChartFrame) -> list[Html]:
    """Broken where a point has no value."""
    parts, run = [], list[str]()
    for point in panel.points:
        if point.estimate.value is not None:
            run.append(f"{frame.x(_x(chart, point)):.2f},{frame.y(point.estimate.value):.2f}")
        else:
            parts.append(run)
            run = []
    return [el("polyline", points=" ".join(part), class_="curve") for part in [*parts, run] if len(part) > 1]


def _point(x: float, point: CurvePoint, frame: ChartFrame, number: int) -> Html:
    one, place = point.estimate, frame.x(x)
    parts = [el("title", f"{point.x:g}, {point.name}: {one.text}")]
    if one.low is not None and one.high is not None:
        low, high = frame.y(one.low), frame.y(one.high)
        parts.append(el("line", x1=place, x2=place, y1=low, y2=high, class_=f"ci s{number}"))
        parts += [el("line", x1=place - CAP, x2=place + CAP, y1=y, y2=y, class_=f"ci s{number}") for y in (low, high)]
    if one.value is not None:
        parts.append(el("circle", cx=place, cy=frame.y(one.value), r=4.0, class_=f"pt s{number}"))
    return el("g", *parts)


# Histograms: a panel for each run, on the same axes.


HISTOGRAM_HEIGHT = 190.0


def draw_histogram(chart: HistogramChart) -> Html:
    """The whole figure."""
    most = max((count for panel in chart.panels for count in panel.counts), default=1)
    frame = ChartFrame.of((chart.edges[0], chart.edges[-1]), (0.0, float(max(most, 1))), HISTOGRAM_HEIGHT)
    panels = (_histogram_panel(chart, panel, frame, number) for number, panel in enumerate(chart.panels))
    heads = ("from", "to", *(panel.name for panel in chart.panels))
    rows = [
        (f"{low:g}", f"{high:g}", *(str(panel.counts[place]) for panel in chart.panels))
        for place, (low, high) in enumerate(zip(chart.edges, chart.edges[1:], strict=False))
    ]
    rows.append(("no score", "", *(str(panel.unscored) for panel in chart.panels)))
    return figure(chart.id, chart.title, chart.description, panels, grid(heads, rows))


def _histogram_panel(chart: HistogramChart, item: HistogramPanel, frame: ChartFrame, number: int) -> Html:
    parts = [axes(frame, chart.axis, "replies", ticks(frame.x), ticks(frame.y))]
    for low, high, count in zip(chart.edges, chart.edges[1:], item.counts, strict=False):
        left, right, top = frame.x(low), frame.x(high), frame.y(count)
        if count:
            size = {"width": right - left - 1, "height": max(frame.y(0) - top, 1.0)}
            words = el("title", f"{low:g} to {high:g}: {count} replies")
            parts.append(_histogram_bar(left, top, size, number, words))
    parts += [x_mark(frame, mark) for mark in chart.marks]
    title = f"{item.name}: {item.scored} replies with a score, {item.unscored} without"
    heading = el("p", title, class_="panel-name")
    return el("div", heading, panel(frame, title, chart.description, parts), class_="panel-box")


def _histogram_bar(left: float, top: float, size: dict[str, float], number: int, words: Html) -> Html:
    shape = el("rect", x=left + 0.5, y=top, class_=f"bar s{number % SERIES}", **size)
    return el("g", words, shape)


# Interval charts: a line for each estimate, in a table whose cells are drawn, so that it is its own text.


def draw_intervals(chart: IntervalChart) -> Html:
    """The whole figure."""
    values = [value for row in chart.rows for value in row.values]
    scale = covering(values, chart.measure, chart.limits)
    head = el(
        "tr",
        el("th", chart.head, scope="col"),
        el("th", el("span", chart.axis, class_="axis-name"), _axis(chart, scale), scope="col", class_="plot"),
        *(el("th", name, scope="col", class_="num") for name in _number_heads(chart)),
        *([el("th", chart.note_head, scope="col", class_="num")] if chart.note_head else []),
    )
    body = (_interval_row(chart, row, scale) for row in chart.rows)
    parts = [el("p", chart.description, class_="desc")]
    if len(chart.series) > 1:
        parts.append(key(chart.series))
    parts.append(el("table", el("thead", head), el("tbody", *body), class_="rows"))
    if chart.note:
        parts.append(el("p", chart.note, class_="note"))
    return el("figure", el("figcaption", chart.title), *parts, id=f"fig-{chart.id}")


def _number_heads(chart: IntervalChart) -> tuple[str, ...]:
    if chart.value_head:
        return (chart.value_head,)
    unit = "% [95 %]" if chart.measure == "rate" else "[95 %]"
    names = chart.series if len(chart.series) > 1 else ("rate" if chart.measure == "rate" else "mean",)
    return tuple(f"{name} {unit}" for name in names)


def _interval_row(chart: IntervalChart, row: IntervalRow, scale: AxisScale) -> Html:
    names = _number_heads(chart)
    cells = [
        el("td", el("span", f"{name} ", class_="small-head"), _unbroken(value.text), class_="num")
        for name, value in zip(names, row.values, strict=True)
    ]
    if chart.note_head:
        cells.append(
            el("td", el("span", f"{chart.note_head} ", class_="small-head"), _unbroken(row.note), class_="num")
        )
    drawn = el("td", _drawn(chart, row, scale), class_="plot")
    return el("tr", el("th", row.name, scope="row"), drawn, *cells)


def _unbroken(text: str) -> Html:
    """Lines end only between a number and its counts."""
    pieces = text.replace("], ", "],\n").split("\n")
    return join(part for piece in pieces for part in (el("span", piece, class_="whole"), " "))


def _drawn(chart: IntervalChart, row: IntervalRow, scale: AxisScale) -> Html:
    height = 26.0 if chart.is_change else 8.0 + 14 * len(row.values)
    parts = [_grid(scale, height), *(_limit(scale, limit, height) for limit in chart.limits)]
    if chart.is_change:
        parts.append(_joined(row, scale))
    for number, value in enumerate(row.values):
        y = 13.0 if chart.is_change else 11.0 + 14 * number
        aside = (-8.0 if number == 0 else 8.0) if chart.is_change else 0.0
        if value.low is not None and value.high is not None:
            parts.append(whisker(number, percent(scale(value.low)), percent(scale(value.high)), y + aside))
        if value.value is not None:
            parts.append(point(number, percent(scale(value.value)), y))
    return el("svg", *parts, width="100%", height=height, aria_hidden="true", class_="mark")


def _joined(row: IntervalRow, scale: AxisScale) -> Html:
    before, after = (value.value for value in row.values)
    if before is None or after is None:
        return Html("")
    return el("line", x1=percent(scale(before)), x2=percent(scale(after)), y1=13.0, y2=13.0, class_="joint")


def _limit(scale: AxisScale, limit: float, height: float) -> Html:
    return el("line", x1=percent(scale(limit)), x2=percent(scale(limit)), y1=0.0, y2=height, class_="limit")


def _grid(scale: AxisScale, height: float) -> Html:
    places = (percent(scale(tick)) for tick in scale.ticks())
    return join(el("line", x1=x, x2=x, y1=0.0, y2=height, class_="grid") for x in places)


def _axis(chart: IntervalChart, scale: AxisScale) -> Html:
    ticks = (
        el("text", label(tick, chart.measure), x=percent(scale(tick)), y=12.0, class_=_side(scale, tick))
        for tick in scale.ticks()
    )
    return el("svg", *ticks, width="100%", height=16.0, aria_hidden="true", class_="mark")


def _side(scale: AxisScale, tick: float) -> str:
    """Labels at the ends stay inside."""
    place = scale(tick)
    return "tick first" if place < 2 else "tick last" if place > 98 else "tick"


# Scatter charts: replies that lie together are one point, its area their number.


PLANE_HEIGHT = 360.0
LARGEST, SMALLEST = 16.0, 1.8  # radius
MOST_LINES = 200  # of the table; JSON has the scores


def draw_plane(chart: PlaneChart) -> Html:
    """The whole figure."""
    most = max(point.replies for panel in chart.panels for point in panel.points)
    points = [point for panel in chart.panels for point in panel.points]
    x, y = ((min(0.0, *values), max(100.0, *values)) for values in zip(*((p.x, p.y) for p in points), strict=True))
    frame = ChartFrame.of(x, y, PLANE_HEIGHT)
    panels = (_plane_panel(chart, panel, frame, number, most) for number, panel in enumerate(chart.panels))
    rows = [
        (panel.name, f"{p.x:.1f}", f"{p.y:.1f}", str(p.replies))
        for panel in chart.panels
        for p in sorted(panel.points, key=lambda p: -p.replies)[:MOST_LINES]
    ]
    table = grid(("run", chart.x_axis, chart.y_axis, "replies"), rows)
    return figure(chart.id, chart.title, chart.description, panels, table)


def _plane_panel(chart: PlaneChart, item: PlanePanel, frame: ChartFrame, number: int, most: int) -> Html:
    parts = [axes(frame, chart.x_axis, chart.y_axis, ticks(frame.x), ticks(frame.y))]
    parts += [x_mark(frame, mark) for mark in chart.x_marks]
    parts += [y_mark(frame, mark) for mark in chart.y_marks]
    for point in sorted(item.points, key=lambda p: -p.replies):
        radius = max(LARGEST * math.sqrt(point.replies / most), SMALLEST)
        words = el("title", f"{point.replies} replies at {point.x:.1f}, {point.y:.1f}")
        circle = el("circle", cx=frame.x(point.x), cy=frame.y(point.y), r=radius, class_=f"dot s{number % SERIES}")
        parts.append(el("g", words, circle))
    title = f"{item.name}: {item.scored} replies with both scores, {item.unscored} without"
    heading = el("p", title, class_="panel-name")
    return el("div", heading, panel(frame, title, chart.description, parts), class_="panel-box")
