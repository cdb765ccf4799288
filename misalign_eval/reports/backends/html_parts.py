"""HTML building blocks of sections: charts, tables, facts, warnings."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from misalign_eval.records.document import Table
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


class Section(NamedTuple):
    """One heading of the page with what is below it."""

    id: str
    title: str
    body: tuple[Html, ...]


def chart_part(chart: Chart) -> Html:
    """A chart as a figure."""
    match chart:
        case IntervalChart():
            return svg.draw_intervals(chart)
        case BarChart():
            return svg.draw_bars(chart)
        case HistogramChart():
            return svg.draw_histogram(chart)
        case PlaneChart():
            return svg.draw_plane(chart)
        case MatrixChart():
            return svg.draw_matrix(chart)
        case CurveChart():
            return svg.draw_curves(chart)


def table_part(table: Table) -> Html:
    """A table of words; it scrolls where it is too wide."""
    head = el("tr", *(el("th", name, scope="col") for name in table.columns))
    body = (el("tr", el("th", row[0], scope="row"), *(el("td", lines(cell)) for cell in row[1:])) for row in table.rows)
    words = [el("p", table.note, class_="note")] if table.note else []
    inner = el("table", el("caption", table.title), el("thead", head), el("tbody", *body))
    scroll = el("div", inner, class_="scroll", tabindex="0")
    return el("div", scroll, *words, el("p", table.caption, class_="caption"))


def facts(rows: Iterable[tuple[str, str]]) -> Html:
    """Names and what they are; one without a name goes on with the entry before."""
    entries: list[Html] = []
    for name, what in rows:
        if name:
            entries.append(el("dt", name))
        entries.append(el("dd", what))
    return el("dl", *entries, class_="facts")


def warnings(warneds: Sequence[Warned]) -> Html:
    """Every warning in words, its id behind."""
    if not warneds:
        return el("p", "None.")
    return el("ul", *(el("li", warned.text, " ", el("code", warned.id)) for warned in warneds), class_="warnings")
