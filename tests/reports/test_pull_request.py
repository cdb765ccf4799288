"""The short comment, rendered as a forge would: it says the verdict, and nothing hostile in it acts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from misalign_eval.records.findings import Warned
from misalign_eval.records.summary import CategoryLine
from misalign_eval.reports.backends import ci
from misalign_eval.reports.backends import markdown as markdown_backend

Make = Callable[..., Any]
Gold = Callable[[str, str], None]
GFM = MarkdownIt("gfm-like")  # tables, strikethrough, raw HTML, and bare addresses become links
HOSTILE = [
    "@all-of-you @octo/team",
    "see #1, octo/repo#2, GH-3, !4, %5, ~bug, $6, &7",
    "<script>alert(1)</script><img src=x onerror=y>",
    "![x](http://evil/p.png) [y](http://evil) <http://evil> http://evil.org www.evil.org me@evil.org",
    "a | b | c\n|---|---|\n",
    "`@all` ``#1`` \\`@all\\` `",
    "\\@all \\\\@all `\\`@all",
    "--> <!-- -->",
    "\x1b[2J\u202e\x00\ud800",
    "x" * 100_000,
    "# head\n\n- item\n\n***\n",
    "",
]
BARE_HOST = re.compile(
    r'<a href="http://[^"]*">(?!www\.|\w+:|[^<]*@)([^<]*)</a>'
)  # this renderer alone links `evil.org`
FORGE = re.compile(r"(?<!\w)@\w|(?<![\w&])#\d|\bGH-\d|(?<!\w)[!~%$]\w|(?<!\w)&amp;\d")


def acts(page: str) -> list[str]:
    """What a forge would make of the page: elements beyond our own, and mentions outside of code."""
    html = re.sub(r"<!-- misalign-eval[:a-z0-9-]* -->", "", GFM.render(page))
    html = BARE_HOST.sub(r"\1", html)
    elements = set(re.findall(r"<([a-zA-Z!][a-z0-9]*)", html))
    seen = re.sub(r"<code>.*?</code>", "\x00", html, flags=re.DOTALL)
    ours = {"h3", "p", "strong", "em", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code"}
    return [*sorted(elements - ours), *FORGE.findall(re.sub(r"<[^>]*>", "", seen))]


@pytest.fixture
def hostile(report: Make, comparison: Make, summary: Make) -> Make:
    def make(text: str) -> list[str]:
        names: dict[str, Any] = dict.fromkeys(("run", "target", "suite", "judge", "definition", "averaged"), text)
        names["warnings"] = (Warned(id=text, text=text),)
        names["categories"] = (
            CategoryLine(category=text, **dict(summary().categories[1].model_dump(exclude={"category"}))),
        )
        made = report(**names)
        changed = comparison()
        changed = comparison(
            before=changed.before.model_copy(update=names),
            after=made.summary,
            categories=(changed.categories[1].model_copy(update={"category": text}),),
            warnings=names["warnings"],
        )
        return [
            markdown_backend.runs([made]),
            markdown_backend.runs([made, made]),
            markdown_backend.comparison_comment(changed),
        ]

    return make


def test_a_run_in_short(report: Make, gold: Gold) -> None:
    gold("report.comment.md", markdown_backend.runs([report()]))


def test_a_comparison_in_short(comparison: Make, gold: Gold) -> None:
    gold("comparison.comment.md", markdown_backend.comparison_comment(comparison()))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_acts(text: str, hostile: Make) -> None:
    for page in hostile(text):
        assert acts(page) == []
        assert len(page.splitlines()) <= 60
        assert len(page) < 65_536


def test_the_check_itself_finds_what_acts() -> None:
    assert acts("@all <img src=x> http://evil.org #1 GH-2") == ["a", "img", "@a", "#1", "GH-2"]


@pytest.mark.slow
@given(st.text(st.sampled_from("@#!~$%&^\\`|<>[]()*_-: \n1aG.H/w"), max_size=30))
def test_no_text_acts_in_a_sentence_or_as_a_name(text: str) -> None:
    name, sentence = markdown_backend.code(text), markdown_backend.prose(text)
    page = f"| a | b |\n| --- | --- |\n| {name} | {sentence} |\n\nand {sentence} x\n"
    assert acts(page) == []
    assert GFM.render(page).count("<td>") == 2


def test_the_first_line_is_a_marker_that_no_name_can_leave(report: Make) -> None:
    first = markdown_backend.runs([report(suite="quick --> <b>")]).splitlines()[0]
    assert first == "<!-- misalign-eval:quick-b -->"


def test_many_runs_are_cut_and_say_so(report: Make) -> None:
    page = markdown_backend.runs([report()] * 40)
    assert len(page.splitlines()) == 60
    assert page.endswith(f"*Cut here: see the full report.*\n\n{markdown_backend.LINK}\n")


def test_grave_warnings_come_first_and_the_rest_are_counted(report: Make) -> None:
    warnings = tuple(Warned(id=name, text=f"about {name}") for name in ("a", "b", "c", "d", "e", "f", "W7"))
    page = markdown_backend.runs([report(warnings=warnings)])
    listed = [line for line in page.splitlines() if line.startswith("- ")]
    assert listed[0] == "- ⚠ about W7 (`W7`)"
    assert listed[-1] == "- 2 more warnings in the full report"


def test_a_run_as_annotations(report: Make, gold: Gold) -> None:
    gold("report.github.txt", ci.run_annotations([report()]))


def test_a_comparison_as_annotations(comparison: Make, gold: Gold) -> None:
    gold("comparison.github.txt", ci.comparison_annotations(comparison()))


@pytest.mark.parametrize("text", HOSTILE)
def test_an_annotation_stays_one_command(text: str, report: Make) -> None:
    made = report(target=f"{text}\n::add-mask::x", warnings=(Warned(id=text, text=f"{text}\r\n::stop-commands::x"),))
    lines = ci.run_annotations([made]).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch(r"::(warning|notice) title=[^:,]*::.*", line)
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", line)


def test_more_annotations_than_github_shows_are_counted(report: Make) -> None:
    warnings = tuple(Warned(id=f"w{number}", text="x") for number in range(25))
    found = [
        line for line in ci.run_annotations([report(warnings=warnings)]).splitlines() if line.startswith("::warning")
    ]
    assert len(found) == 10
    assert found[-1] == "::warning title=more::16 more are in the full report"
