"""Figures as files: what is in each format, and what is safe about it."""

import csv
import io
import json
import re
import struct
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import MissingExtraError, UsageError
from misalign_eval.reports.figures import render
from misalign_eval.reports.figures.render import KINDS
from misalign_eval.reports.figures.theme import FIGURE_WIDTHS, Theme
from misalign_eval.workflows import figures

Make = Callable[..., Any]
DRAWN = [kind for kind in KINDS if kind != "examples"]
HOSTILE = "</script><img src=x onerror=1> {\\input{/etc/passwd}} 50% a|b \x1b[2J\u202e"


class Tags(HTMLParser):
    """Which elements a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


def rendered(figure: Any, extension: str) -> bytes:
    pytest.importorskip("vl_convert", reason="drawing needs the extra `figures`")
    return figures.content(figure, extension)


def table(figure: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(figures.content(figure, ".csv").decode())))


@pytest.mark.slow
@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("width", ["column", "page"])
def test_each_kind_is_drawn_at_the_width_asked_for(kind: str, width: str, records: dict[str, Any]) -> None:
    figure = KINDS[kind].draw(records[kind], Theme(width=FIGURE_WIDTHS[width]))
    found = re.search(r'<svg [^>]*width="([0-9.]+)pt"', rendered(figure, ".svg").decode())
    assert found is not None
    assert 0.85 * FIGURE_WIDTHS[width] <= float(found[1]) <= FIGURE_WIDTHS[width] + 1


@pytest.mark.parametrize("kind", DRAWN)
def test_each_kind_comes_as_pdf_and_png(kind: str, records: dict[str, Any]) -> None:
    figure = KINDS[kind].draw(records[kind], Theme())
    pdf, png = rendered(figure, ".pdf"), rendered(figure, ".png")
    assert pdf.startswith(b"%PDF-")
    assert b"LiberationSans" in pdf  # text stays text: a font is in the file
    assert png.startswith(b"\x89PNG")
    box = re.search(rb"/MediaBox ?\[0 0 ([0-9.]+)", pdf)
    assert box is not None
    pixels = struct.unpack(">I", png[16:20])[0]
    assert pixels == pytest.approx(float(box[1]) * 300 / 72, abs=3)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_page_runs_no_script_and_asks_for_nothing(kind: str, records: dict[str, Any]) -> None:
    page = rendered(KINDS[kind].draw(records[kind], Theme()), ".html").decode()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "src=" not in page


def test_a_hostile_name_is_text_in_drawing_and_page(rates: Make) -> None:
    figure = KINDS["probes"].draw(rates(series=(HOSTILE, "tuned"), names=("quiet", HOSTILE)), Theme(title=HOSTILE))
    for extension in (".svg", ".html"):
        text = rendered(figure, extension).decode()
        reader = Tags()
        reader.feed(text)
        assert {"img", "script"} & reader.seen == set()
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_csv_has_a_row_for_all_that_is_drawn(kind: str, records: dict[str, Any]) -> None:
    figure = KINDS[kind].draw(records[kind], Theme())
    rows = table(figure)
    assert len(rows) == len(figure.rows)
    assert list(rows[0]) == [column.name for column in figure.columns]


def test_the_csv_has_rates_as_fractions_with_interval_counts_and_missing(records: dict[str, Any]) -> None:
    rows = table(KINDS["probes"].draw(records["probes"], Theme()))
    first = {name: rows[1][name] for name in ("probe", "series", "rate", "low", "misaligned", "graded", "missing")}
    assert first == {
        "probe": "loud",
        "series": "tuned",
        "rate": "0.75",
        "low": "0.65",
        "misaligned": "15",
        "graded": "20",
        "missing": "1",
    }
    assert rows[-1]["rate"] == ""  # not known is empty, never 0


def test_a_name_that_is_a_formula_is_text_in_the_csv(rates: Make) -> None:
    rows = table(KINDS["probes"].draw(rates(names=("=cmd()",)), Theme()))
    assert {row["probe"] for row in rows} == {"'=cmd()"}


def test_the_json_of_a_drawing_is_its_specification(records: dict[str, Any]) -> None:
    figure = KINDS["bars"].draw(records["bars"], Theme())
    assert json.loads(figures.content(figure, ".json")) == figure.spec


def test_examples_come_as_latex_and_markdown(records: dict[str, Any], gold: Callable[[str, str], None]) -> None:
    figure = KINDS["examples"].draw(records["examples"], Theme())
    for extension in (".tex", ".md"):
        gold(f"figures/examples{extension}", figures.content(figure, extension).decode())


def test_a_hostile_reply_is_literal_in_latex_and_markdown(replies: Make, example: Make) -> None:
    figure = KINDS["examples"].draw(replies(example(text=HOSTILE)), Theme())
    latex, markdown = (figures.content(figure, extension).decode() for extension in (".tex", ".md"))
    literal = (
        r"\{\textbackslash{}input\{/etc/passwd\}\} 50\% a\textbar{}b \textbackslash{}x1b{[}2J\textbackslash{}u202e"
    )
    assert literal in latex
    assert "\\<img src=x onerror=1\\>" in markdown
    assert r"a\|b" in markdown


def test_a_table_of_texts_needs_no_extra(records: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    figure = KINDS["examples"].draw(records["examples"], Theme())
    assert b"Nobody votes again." in figures.content(figure, ".html")


def test_without_the_extra_drawing_is_refused_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'misalign-eval[figures]'")):
        figures.check("probes", [tmp_path / "a.pdf"])
    figures.check("probes", [tmp_path / "a.json", tmp_path / "a.csv"])


@pytest.mark.parametrize(
    "kind, name, words",
    [
        ("probes", "a.bmp", "figure probes is written as .svg, .pdf"),
        ("examples", "a.pdf", "figure examples is written as .tex, .md"),
        ("probes", "none/a.csv", "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path, kind: str, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        figures.check(kind, [tmp_path / name])


def test_a_drawing_may_fetch_nothing(records: dict[str, Any]) -> None:
    pytest.importorskip("vl_convert", reason="drawing needs the extra `figures`")
    drawn = KINDS["bars"].draw(records["bars"], Theme()).spec or {}
    spec = {**drawn, "data": {"url": "http://127.0.0.1:9/data.json"}}
    with pytest.raises(ValueError, match=r"127\.0\.0\.1|base_url|allowed"):
        render.pdf(spec)
