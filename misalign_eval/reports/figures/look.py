"""Sizes, colours and fonts of figures in papers. Lengths are points (1/72 inch): PDF takes a Vega pixel for one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from misalign_eval.reports.escape import one_line
from misalign_eval.reports.shortening import distinct

WIDTHS = {"column": 237.6, "page": 496.8}  # 3.3 and 6.9 inches
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
class Look:
    """How a figure is to look. `width` and `font` in points."""

    width: float = WIDTHS["column"]
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
        short = distinct(lines.values(), lambda text: self.text(text, size) <= room)
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


def in_legend(look: Look, series: Sequence[str], width: float) -> dict[str, str]:
    """Each series as a legend over so wide a drawing names it."""
    return look.fit(series, _legend_room(look, width))


def _legend_room(look: Look, width: float) -> float:
    return max(width - look.font * 2.5, 20.0)


def legend(look: Look, series: Sequence[str], width: float) -> Spec | None:
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


def config(look: Look) -> Spec:
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
