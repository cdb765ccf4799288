"""The kinds of figures by name, and their rendering to SVG, PDF or PNG."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from misalign_eval.errors import MissingExtraError
from misalign_eval.reports import escape
from misalign_eval.reports.figures import curve, dumbbell, histogram, intervals, judges, outcomes, scatter
from misalign_eval.reports.figures import examples as example_figures
from misalign_eval.reports.figures.theme import Figure, Spec, Theme

# The table of kinds.


class FigureKind(NamedTuple):
    """One kind of figure."""

    shows: str
    needs: str
    draw: Callable[[Any, Theme], Figure]  # its own record of `records.figures`


KINDS = {
    "probes": FigureKind(
        "rate of every probe with its interval, runs or groups side by side", "RUN…", intervals.draw_probes
    ),
    "bars": FigureKind(
        "rates by category; --x split, --x suite", "RUN…; of several suites with --x suite", intervals.draw_bars
    ),
    "variants": FigureKind(
        "the plain form, JSON, template …", "RUN… of a suite with variants", intervals.draw_variants
    ),
    "curve": FigureKind(
        "rates along steps or dose, coherence below", "2 RUNs or more, labelled step=N or --x", curve.draw
    ),
    "outcomes": FigureKind("stacked bars of outcomes; --x category of one run", "RUN…", outcomes.draw),
    "scatter": FigureKind("aligned x coherent scores with the thresholds", "RUN… with both scores", scatter.draw),
    "histogram": FigureKind("scores of one grader (--grader)", "RUN… with scores", histogram.draw),
    "judges": FigureKind(
        "confusion matrix of two judges, or of people and judge", "RUN… judged twice, or labelled", judges.draw
    ),
    "dumbbell": FigureKind("before and after by probe; --x category", "BEFORE AFTER", dumbbell.draw),
    "examples": FigureKind("a table of replies, chosen by rule or by --key", "RUN…", example_figures.draw),
}


# Rendering with vl-convert, which brings Vega and its fonts: no browser, no network.


DRAWN = (".svg", ".pdf", ".png", ".html")
PPI = 300
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_ROOT = re.compile(r'<svg ([^>]*?)width="([0-9.]+)" height="([0-9.]+)"([^>]*)>')


def vl_convert() -> ModuleType:
    """The package. Raises MissingExtraError with the command that installs it."""
    try:
        import vl_convert as found
    except ImportError as error:
        raise MissingExtraError(
            "drawing .svg, .pdf, .png and .html needs vl-convert: pip install 'misalign-eval[figures]'. "
            "Without it, .json has the Vega-Lite specification and .csv the data"
        ) from error
    return found


def svg(figure: Figure, spec: Spec) -> str:
    """Sized in points, so that it is printed at the width asked for; with the caption for those who do not see it."""
    drawn: str = vl_convert().vegalite_to_svg(spec, allowed_base_urls=[])
    title = f"<title>{escape.html(figure.caption)}</title>"
    return _ROOT.sub(rf'<svg \1width="\2pt" height="\3pt"\4 role="img">{_literal(title)}', drawn, count=1)


def pdf(spec: Spec) -> bytes:
    """One page of the size of the figure; text stays text, fonts are embedded."""
    found: bytes = vl_convert().vegalite_to_pdf(spec, allowed_base_urls=[])
    return found


def png(spec: Spec) -> bytes:
    """With 300 pixels an inch."""
    found: bytes = vl_convert().vegalite_to_png(spec, ppi=PPI, allowed_base_urls=[])
    return found


def html(figure: Figure) -> str:
    """A page of its own: the drawing, the caption and the data as a table. No script runs in it."""
    drawn = "" if figure.spec is None else svg(figure, figure.spec)
    folded = "<details open>" if figure.spec is None else "<details>"
    heads = "".join(
        f"<th title='{escape.html(column.about)}'>{escape.html(column.name)}</th>" for column in figure.columns
    )
    rows = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>\n" for row in figure.table())
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape.html(escape.one_line(figure.caption, 80))}</title>"
        "<style>body{font:14px/1.4 sans-serif;margin:1rem;color:#111;background:#fff}svg{max-width:100%;height:auto}"
        "div{overflow-x:auto}table{border-collapse:collapse;font-size:12px}td,th{padding:2px 8px;text-align:right;"
        "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}</style></head><body>"
        f"<figure>{drawn}<figcaption>{escape.html(figure.caption)}</figcaption></figure>\n"
        f"{folded}<summary>The data behind it</summary><div><table><thead><tr>{heads}</tr></thead><tbody>\n{rows}"
        "</tbody></table></div></details></body></html>\n"
    )


def _cell(value: object) -> str:
    return f"<td>{'' if value is None else escape.html(str(value))}</td>"


def _literal(text: str) -> str:
    """For the replacement of a regular expression."""
    return text.replace("\\", "\\\\")
