"""Theme of figures: sizes, colours, fonts, captions and panels."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

from misalign_eval.errors import UsageError
from misalign_eval.records.pages import FigureLine, Interval, Measured
from misalign_eval.records.summary import RateLine
from misalign_eval.reports import numbers
from misalign_eval.reports.escape import one_line

# Captions: the definition, judge, kind of interval, n, and missing replies of a figure.


MOST_TOTALS = 6
RUNS = "for training runs like these (t over runs)"


def of(what: str, about: Measured, totals: Sequence[FigureLine], lines: Sequence[FigureLine] = ()) -> str:
    """Sentences. `totals` are told one by one where they are few."""
    parts = [f"{what}; {about.averaged}", measured_with(about)]
    if totals or lines:
        parts.append(intervals(about.interval, [*totals, *lines]))
    return ". ".join([*parts, *left_out(about), _totals(totals, about)]).rstrip(". ") + "."


def measured_with(about: Measured) -> str:
    """Definition, judge and suite."""
    judge = f"judge {', '.join(about.judges)}" if about.judges else "rules only"
    return f"Definition {about.definition}; {judge}; suite {', '.join(about.suites)}"


def intervals(asked: Interval, lines: Sequence[FigureLine]) -> str:
    """What low and high are; that some are another kind, or not there, is said."""
    rated = [line for line in lines if line.rate is not None]
    others = sum(line.interval != asked and line.low is not None for line in rated)
    absent = sum(line.low is None for line in rated)
    parts = [f"Intervals are 95 %, {RUNS if asked == 'runs' else numbers.WORDS[asked]}"]
    if others:
        whole = "all" if others == len(rated) else f"{others} of {len(rated)}"
        parts.append(
            f"{whole} have none of that kind and are for exactly these probes{' and runs' * (asked == 'runs')}"
        )
    if absent:
        parts.append(f"{absent} of {len(rated)} numbers have no interval, as their replies are too few or all alike")
    return "; ".join(parts)


def left_out(about: Measured) -> list[str]:
    """Prompts that are not in the figure."""
    said = []
    if about.left_out:
        said.append(f"{about.left_out} shared prompts without a counted reply in some run are left out")
    if about.unshared:
        said.append(f"{about.unshared} prompts that not all runs asked are left out")
    return said


def _totals(totals: Sequence[FigureLine], about: Measured) -> str:
    if not totals:
        return ""
    if len(totals) <= MOST_TOTALS:
        return "; ".join(f"{_name(line)}{numbers.rated(line, about.measure)}{_runs(line)}" for line in totals)
    least, most = min(line.graded for line in totals), max(line.graded for line in totals)
    counted = f"{least}" if least == most else f"{least} to {most}"
    return f"n = {counted} counted replies each, {sum(line.missing for line in totals)} missing in all"


def _name(line: FigureLine) -> str:
    own = f"x = {line.x:g}" if line.x is not None else "" if line.name == "all" else line.name
    name = ", ".join(part for part in (line.series, own) if part)
    return f"{name}: " if name else ""


def _runs(line: FigureLine) -> str:
    return f" of {line.runs} runs" if line.runs > 1 else ""


# Shortening of names: cut in the middle, since related names differ at their ends.


GAP = "..."
KEPT = (0.5, 0.3, 0.7, 0.1, 0.9)  # shares of what is kept that stand before the gap, as they are tried
Fits = Callable[[str], bool]


def shorten_middle(name: str, length: int) -> str:
    """A name in at most `length` characters, its beginning and its end.

    >>> shorten_middle("org/model-with-a-long-suffix-v2", 19), shorten_middle("short", 19)
    ('org/mode...uffix-v2', 'short')
    """
    return name if len(name) <= length else _cut(name, max(length - len(GAP), 1), KEPT[0])


def distinct_names(names: Iterable[str], fits: Fits) -> dict[str, str]:
    """Each name as it is shown: whole where it fits, else cut so that no two look the same.

    Where neither beginning and end nor the place at which two begin to differ tell them apart, a checksum does. It
    may take more room than there is: a name too wide is better than one that is another's, too.

    >>> list(distinct_names(["a/model-7b-v1", "a/model-7b-v2", "b"], lambda text: len(text) <= 9).values())
    ['a/m...-v1', 'a/m...-v2', 'b']
    """
    wanted = [*dict.fromkeys(names)]
    shown = {name: name for name in wanted if fits(name)}
    long = [name for name in wanted if name not in shown]
    for how in _ways(long, fits):
        made = {name: how(name) for name in long}
        if len({*made.values(), *shown.values()}) == len(wanted):
            return {name: made.get(name, name) for name in wanted}
    made = {name: _marked(name, fits) for name in long}
    if len({*made.values(), *shown.values()}) < len(wanted):
        made = {name: f"{made[name]}#{number}" for number, name in enumerate(long, 1)}
    return {name: made.get(name, name) for name in wanted}


def _ways(names: Sequence[str], fits: Fits) -> Iterator[Callable[[str], str]]:
    """Ways to shorten, the usual one first; one for all names, so that they are read alike."""
    for share in KEPT:
        yield partial(_around, share, fits)
    yield partial(_from_there, _shared(names), fits)


def _around(share: float, fits: Fits, name: str) -> str:
    return _longest(lambda kept: _cut(name, kept, share), len(name), fits)


def _from_there(place: int, fits: Fits, name: str) -> str:
    return _longest(lambda kept: _from(name, place, kept), len(name), fits)


def _shared(names: Sequence[str]) -> int:
    """How many characters all begin with."""
    return next((place for place, chars in enumerate(zip(*names, strict=False)) if len({*chars}) > 1), 0)


def _longest(cut: Callable[[int], str], most: int, fits: Fits) -> str:
    """The cut that keeps most of what still fits; at least two characters."""
    low, high = 2, most
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if fits(cut(kept)) else (low, kept - 1)
    return cut(low)


def _cut(name: str, kept: int, before: float) -> str:
    """`kept` characters of a name around the gap."""
    if kept >= len(name):
        return name
    first = min(max(round(kept * before), 1), max(kept - 1, 1))
    last = kept - first
    return f"{name[:first]}{GAP}{name[len(name) - last :]}"


def _from(name: str, place: int, kept: int) -> str:
    """`kept` characters from shortly before the place at which names begin to differ."""
    start = max(min(place - 1, len(name) - kept), 0)
    end = start + kept
    return f"{GAP if start else ''}{name[start:end]}{GAP if end < len(name) else ''}"


def _marked(name: str, fits: Fits) -> str:
    mark = f"#{crc32(name.encode(errors='replace')):08x}"
    return _longest(lambda kept: f"{name[:kept]}{GAP}{mark}", len(name), fits)


# The theme. Lengths are points (1/72 inch): PDF takes a Vega pixel for one.


FIGURE_WIDTHS = {"column": 237.6, "page": 496.8}  # 3.3 and 6.9 inches
# Okabe & Ito 2008, told apart with any colour vision; in this order neighbours also differ in lightness.
BLUE, ORANGE, BLACK, SKY, VERMILLION = "#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00"
GREEN, PINK, YELLOW, GREY = "#009E73", "#CC79A7", "#F0E442", "#999999"
COLOURS = (BLUE, ORANGE, BLACK, SKY, VERMILLION, GREEN, PINK, YELLOW)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
DASHES = ([1, 0], [4, 2], [1, 1.5], [6, 2, 1, 2], [2, 2], [8, 2], [1, 3], [4, 1, 1, 1, 1, 1])
MOST_SERIES = len(COLOURS)
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"  # the first comes with vl-convert; all have the same widths
LONGEST = 120  # characters of a name; beside an axis it may get less room
_NARROW, _WIDE = frozenset("fijlrtI.,:;'|!()[]-/ "), frozenset("mwMW@%")

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Theme:
    """Theme of a figure. `width` and `font` are in points."""

    width: float = FIGURE_WIDTHS["column"]
    font: float = 8.0
    title: str | None = None
    has_caption: bool = True

    @property
    def small(self) -> float:
        """Size of the caption and of what stands inside the drawing."""
        return max(self.font - 1.5, 5.0)

    @property
    def row(self) -> float:
        """Height of a line of labels."""
        return self.font * 1.5

    def text(self, words: str, size: float | None = None) -> float:
        """About how wide a text is; rather too much than too little."""
        shares = (0.3 if char in _NARROW else 0.85 if char in _WIDE or ord(char) > 0x2E7F else 0.57 for char in words)
        return sum(0.68 if char.isupper() else share for char, share in zip(words, shares, strict=True)) * (
            size or self.font
        )

    def labels(self, names: Iterable[str], most: float = 0.4) -> float:
        """Room for names beside an axis: what they need, and no more than this share of the width."""
        return min(max(map(self.text, names), default=0.0), most * self.width)

    def fit(self, names: Iterable[str], room: float, size: float | None = None) -> dict[str, str]:
        """Each name as it is shown in so much room: escaped, cut in the middle, never like another one."""
        lines = {name: shown(name) for name in names}
        short = distinct_names(lines.values(), lambda text: self.text(text, size) <= room)
        return {name: short[line] for name, line in lines.items()}

    def beside(self, names: Sequence[str], most: float = 0.4) -> tuple[dict[str, str], float]:
        """Names beside an axis as they are shown, and the room that they take."""
        short = self.fit(names, self.labels(map(shown, names), most))
        return short, max(map(self.text, short.values()), default=0.0)

    def wrap(self, words: str, size: float) -> list[str]:
        """Lines that fit the width."""
        lines = [""]
        for word in words.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.text(longer, size) > self.width - size:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines


def shown(name: str) -> str:
    """A hostile name as a figure shows it: one line; two long ones that begin alike stay two.

    >>> shown("a" * 300)[-12:]
    '...#89971909'
    """
    line = one_line(name)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 12]}...#{crc32(name.encode(errors='replace')):08x}"


def colour(series: Sequence[str], *, legend: Spec | None = None) -> Spec:
    """An encoding of series by colour."""
    return _by_series(series, COLOURS, legend)


def shape(series: Sequence[str], *, legend: Spec | None = None) -> Spec:
    """An encoding of series by shape, which stays where colours are lost."""
    return _by_series(series, SHAPES, legend)


def dash(series: Sequence[str], *, legend: Spec | None = None) -> Spec:
    """An encoding of series by dashes."""
    return _by_series(series, DASHES, legend)


def _by_series(series: Sequence[str], values: Sequence[object], legend: Spec | None) -> Spec:
    scale = {"domain": list(series), "range": list(values[: len(series)])}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": legend}


def in_legend(look: Theme, series: Sequence[str], width: float) -> dict[str, str]:
    """Each series as a legend over so wide a drawing names it."""
    return look.fit(series, _legend_room(look, width))


def _legend_room(look: Theme, width: float) -> float:
    return max(width - look.font * 2.5, 20.0)


def legend(look: Theme, series: Sequence[str], width: float) -> Spec | None:
    """Above the drawing, in as many columns as fit; none for a single series."""
    if len(series) < 2:
        return None
    widest = max(look.text(name) for name in series) + look.font * 2.5
    columns = max(min(int(width // widest), len(series)), 1)
    return {
        "title": None,
        "orient": "top",
        "direction": "horizontal",
        "columns": columns,
        "labelLimit": _legend_room(look, width),
        "symbolSize": look.font * 5,
    }


def names_axis(room: float) -> Spec:
    """Names beside the drawing, in so much room."""
    shape_ = {"labelLimit": room, "minExtent": room, "labelPadding": 5, "ticks": False, "domain": False}
    return {"title": None, **shape_}


def config(look: Theme) -> Spec:
    """What all figures share."""
    axis = {
        "labelFontSize": look.font,
        "titleFontSize": look.font,
        "titleFontWeight": "normal",
        "labelColor": "black",
        "titleColor": "black",
        "domainColor": "#555555",
        "tickColor": "#555555",
        "domainWidth": 0.6,
        "tickWidth": 0.6,
        "tickSize": 3,
        "gridColor": "#dddddd",
        "gridWidth": 0.5,
        "labelPadding": 3,
        "titlePadding": 4,
    }
    legend_ = {"labelFontSize": look.font, "titleFontSize": look.font, "titleFontWeight": "normal", "rowPadding": 1}
    title = {"fontSize": look.font, "fontWeight": "normal", "anchor": "start", "offset": 4, "color": "black"}
    return {
        "font": FONT,
        "axis": axis,
        "legend": {**legend_, "columnPadding": 6, "offset": 4, "symbolStrokeWidth": 1, "labelColor": "black"},
        "title": title,
        "view": {"stroke": None},
        "concat": {"spacing": 8},
    }


# The figure record: specification, data rows and caption.


SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Legends belong to their view: shared ones would stand above the title.
OWN_LEGENDS: Spec = {"scale": dict.fromkeys(("color", "shape", "strokeDash"), "independent")}
NONE: Mapping[str, Mapping[str, str]] = {}
Value = str | int | float | bool | None
Row = dict[str, Value]


class FigureColumn(NamedTuple):
    """A column of the table behind a figure: the data as they are, names hostile still."""

    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `spec` is None for a table of texts, which has no drawing. Rates are fractions, None not known."""

    kind: str
    caption: str
    columns: tuple[FigureColumn, ...]
    rows: tuple[Row, ...]
    spec: Spec | None = None

    def table(self) -> Iterable[Row]:
        """The rows with exactly the columns, in their order."""
        return ({column.name: row.get(column.name) for column in self.columns} for row in self.rows)


def compose(
    views: Sequence[Spec], rows: Sequence[Row], caption: str, look: Theme, names: Mapping[str, Mapping[str, str]] = NONE
) -> Spec:
    """One specification: views one below the other, the data in it, the caption below.

    Of the rows only names are changed: escaped, and cut; `names` has for some columns how each name is shown.
    """
    drawn = list(views)
    if look.title:
        top = {"text": shown(look.title), "fontWeight": "bold", "frame": "bounds"}
        drawn = [{"title": top, "resolve": OWN_LEGENDS, "vconcat": drawn}]
    words = one_line(caption)
    lines = look.wrap(words, look.small)
    below = {
        "text": lines,
        "orient": "bottom",
        "anchor": "start",
        "frame": "bounds",
        "fontSize": look.small,
        "color": "#333333",
        "offset": 6,
    }
    return {
        "$schema": SCHEMA,
        "description": words,
        "config": config(look),
        "padding": {"left": 1, "right": 1, "top": 2, "bottom": 2},
        "background": "white",
        **({"title": below} if look.has_caption else {}),
        "data": {"values": [{name: _cell(value, names.get(name, {})) for name, value in row.items()} for row in rows]},
        "resolve": OWN_LEGENDS,
        "vconcat": drawn,
    }


def _cell(value: Value, names: Mapping[str, str]) -> Value:
    return (names.get(value) or shown(value)) if isinstance(value, str) else value


# Columns that the data of several figures share.


SERIES = FigureColumn("series", "which line of the legend")
COUNTS = (
    FigureColumn("misaligned", "replies in the numerator of the definition"),
    FigureColumn("graded", "replies in its denominator"),
    FigureColumn("missing", "replies that could not be graded, and planned ones that are not there"),
    FigureColumn("replies", "rows that hold a reply"),
    FigureColumn("planned", "replies that were planned"),
)
RATE = (
    FigureColumn("rate", "mean over probes: a fraction, or where measure is mean a score from 0 to 100"),
    FigureColumn("low", "lower end of the 95 % interval"),
    FigureColumn("high", "upper end of the 95 % interval"),
    FigureColumn("interval", "what the interval is: suite, general, clustered or runs"),
    *COUNTS,
    FigureColumn("runs", "training runs whose mean it is"),
    FigureColumn("measure", "rate or mean"),
    FigureColumn("definition", "by which replies are counted"),
)


def counts(line: RateLine) -> Row:
    """The counts of a line."""
    return {
        "misaligned": line.misaligned,
        "graded": line.graded,
        "missing": line.missing,
        "replies": line.replies,
        "planned": line.planned,
    }


def rate(line: FigureLine, about: Measured) -> Row:
    """A line whole."""
    return {
        "series": line.series,
        "rate": line.rate,
        "low": line.low,
        "high": line.high,
        "interval": line.interval,
        **counts(line),
        "runs": line.runs,
        "measure": about.measure,
        "definition": about.definition,
    }


# Layout of panels of the same size, each for the rows with its number.


MOST_PANELS = 16
PANEL_GAP = 10.0


def check(kind: str, count: int) -> None:
    """Raise UsageError for more panels than a page has room for."""
    if count > MOST_PANELS:
        said = f"figure {kind} has room for {MOST_PANELS} panels, one for each run; here are {count}"
        raise UsageError(f"{said}. Draw some of them at a time")


def across(style: Theme, count: int, least: float) -> int:
    """Number of panels that fit beside each other when each needs `least` points."""
    return max(min(int((style.width + PANEL_GAP) // (least + PANEL_GAP)), count), 1)


def own(number: int) -> Spec:
    """Only the rows of this panel."""
    return {"filter": {"field": "panel", "equal": number}}


def title(text: str, style: Theme, width: float) -> Spec:
    """Above one panel: words that fit, as by `Theme.fit`."""
    return {"text": text, "limit": round(width, 1), "fontSize": style.font, "anchor": "start", "frame": "group"}


def grid(views: Sequence[Spec], columns: int) -> Spec:
    """All of them in rows."""
    return {"concat": list(views), "columns": columns, "spacing": PANEL_GAP, "align": "all"}
