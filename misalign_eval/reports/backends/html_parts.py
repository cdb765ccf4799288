"""Pieces of which sections are made."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from misalign_eval.records.findings import Warned
from misalign_eval.records.pages import (
    BarChart,
    Chart,
    CurveChart,
    HistogramChart,
    IntervalChart,
    MatrixChart,
    PlaneChart,
)
from misalign_eval.reports.backends import svg
from misalign_eval.reports.escape import Html, el, lines
from misalign_eval.reports.run import ReportTable


class Section(NamedTuple):
    """One heading of the page with what is below it."""

    id: str
    title: str
    body: tuple[Html, ...]


def chart_part(found: Chart) -> Html:
    """A chart as a figure."""
    match found:
        case IntervalChart():
            return svg.draw_intervals(found)
        case BarChart():
            return svg.draw_bars(found)
        case HistogramChart():
            return svg.draw_histogram(found)
        case PlaneChart():
            return svg.draw_plane(found)
        case MatrixChart():
            return svg.draw_matrix(found)
        case CurveChart():
            return svg.draw_curves(found)


def table_part(found: ReportTable, caption: str) -> Html:
    """A table of words; it scrolls where it is too wide."""
    head = el("tr", *(el("th", name, scope="col") for name in found.columns))
    body = (el("tr", el("th", row[0], scope="row"), *(el("td", lines(cell)) for cell in row[1:])) for row in found.rows)
    words = [el("p", found.note, class_="note")] if found.note else []
    inner = el("table", el("caption", found.title), el("thead", head), el("tbody", *body))
    scroll = el("div", inner, class_="scroll", tabindex="0")
    return el("div", scroll, *words, el("p", caption, class_="caption"))


def facts(rows: Iterable[tuple[str, str]]) -> Html:
    """Names and what they are; one without a name goes on with the entry before."""
    entries: list[Html] = []
    for name, what in rows:
        if name:
            entries.append(el("dt", name))
        entries.append(el("dd", what))
    return el("dl", *entries, class_="facts")


def warnings(found: Sequence[Warned]) -> Html:
    """Every warning in words, its id behind."""
    if not found:
        return el("p", "None.")
    return el("ul", *(el("li", one.text, " ", el("code", one.id)) for one in found), class_="warnings")
