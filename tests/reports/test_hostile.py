"""Replies, names and judges' words are written by others: none may act on a terminal, a page or a table."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from misalign_eval.records.findings import Warned
from misalign_eval.reports import escape, transcript
from misalign_eval.reports.backends import json_out
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends import terminal as terminal_backend
from misalign_eval.reports.comparison import comparison_documents
from misalign_eval.reports.run import run_document

Make = Callable[..., Any]
HOSTILE = [
    "\x1b[2J\x1b[1;31mgone",
    "\x1b]8;;http://evil\x07click\x1b]8;;\x07",
    "\x9b31m",
    "\x00\x07\x08\x7f",
    "over\rwritten",
    "left \u202eright\u202c \u2066\u2069",
    "zero\u200bwidth\u200d\ufeff\u00ad",
    "tags\U000e0041\U000e0042 and \ufe00 \U000e0101",
    "lone \ud83d surrogate",
    "lines\u2028and\u2029paragraphs\x85",
    "[bold red]markup[/] [link=http://evil]x[/link] :smile:",
    "<script>alert(1)</script> <img src=x onerror=y> &lt;",
    "| a | b |\n|---|---|\n| c | d |",
    "# head\n- item\n1. one\n> quote\n```\nfence\n~~~",
    "![x](http://evil/pixel.png) [y](javascript:z) <http://evil> http://evil www.evil.org",
    "`code` **bold** _it_ $x$ \\| ",
]
ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e01ef]"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_page_holds_a_character_that_acts(
    *, text: str, report: Make, worst: Make, comparison: Make, example: Make
) -> None:
    made = report(run=text, target=text, suite=text, judge=text, host=text, graders={text: text}, labels={text: text},
                  warnings=(Warned(id="W1", text=text),))  # fmt: skip
    made = made.model_copy(update={"worst": (worst(text=text, probe=text, label=text, score=None),)})
    found = comparison(after=made.summary, warnings=(Warned(id="x", text=text),))
    pages = [
        terminal_backend.render(run_document(made)),
        markdown_backend.render(run_document(made)),
        json_out.document(made.summary),
        terminal_backend.render(*comparison_documents([found, found])),
        markdown_backend.render(*comparison_documents([found, found])),
        json_out.document(found),
        transcript.transcript_text([example(text=text, reasoning=text)], 1),
    ]
    assert [ACTING.findall(page) for page in pages] == [[]] * len(pages)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_stays_one_cell_without_links_images_or_html(text: str) -> None:
    cell = escape.markdown(text)
    assert "\n" not in cell
    assert re.findall(r"(?<!\\)(?:\\\\)*[|<>\[\]`*_~$]", cell) == []
    assert re.findall(r"(?<!\\):(?=//)|www\.", cell) == []


def test_rich_markup_in_a_reply_is_shown_as_it_is(report: Make, worst: Make) -> None:
    made = report().model_copy(update={"worst": (worst(text="[bold red]x[/] :smile:"),)})
    assert "[bold red]x[/] :smile:" in terminal_backend.render(run_document(made))


def test_a_reply_cannot_pass_for_our_own_lines(example: Make) -> None:
    page = transcript.transcript_text([example(text="fine\n=== power/0/plain#4  aligned\nreply:")], 1)
    assert [line for line in page.splitlines() if line.startswith(("===", "reply"))] == [
        "=== power/0/plain#3  misaligned  (power, broad)",
        "reply (finish: length):",
    ]


def test_a_very_long_reply_costs_one_excerpt(report: Make, worst: Make) -> None:
    made = report().model_copy(update={"worst": (worst(text="x" * 10_000_000),)})
    assert len(terminal_backend.render(run_document(made))) < 5_000


@pytest.mark.parametrize("text", ["a" * 300, "word " * 60, " " * 74 + "aligned: 0.0", "\u65e5" * 90, "x" * 1_000_000])
def test_a_line_that_is_too_long_for_the_screen_goes_on_behind_the_margin(*, text: str, example: Make) -> None:
    lines = transcript.transcript_text([example(text=text)], 1, width=80).splitlines()
    assert max(map(cell_len, lines)) <= 80
    begin, end = (
        lines.index("reply (finish: length):") + 1,
        next(n for n, line in enumerate(lines) if line.startswith("aligned: ")),
    )
    assert "".join(line.removeprefix("  | ") for line in lines[begin:end]) == text
    assert all(line.startswith("  | ") for line in lines[begin:end])


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    assert escape.fenced("a\n````\nb").splitlines()[0] == "`````text"


@pytest.mark.slow
@given(st.text(st.characters(), max_size=60))
def test_whatever_comes_in_nothing_acts_and_nothing_visible_is_lost(text: str) -> None:
    shown = escape.plain(text)
    assert ACTING.findall(shown) == []
    assert escape.plain(shown) == shown
    visible = [char for char in text if char.isascii() and char.isprintable()]
    assert [char for char in shown if char in visible][: len(visible)] or not visible
    json.dumps(shown).encode()


@pytest.mark.parametrize("text", ["Grüße, 你好, 🙂 – naïve", "a\tb\nc", "e\u0301", "❤\ufe0f", "non\u00a0breaking"])
def test_ordinary_letters_of_every_script_stay(text: str) -> None:
    assert escape.plain(text) == text
