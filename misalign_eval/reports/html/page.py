"""The whole page."""

from collections.abc import Iterator, Sequence

from misalign_eval import __version__
from misalign_eval.records.page import Page
from misalign_eval.reports import estimand, tables
from misalign_eval.reports.html import assets, explorer, linted, origins, replies, sections, words
from misalign_eval.reports.html.markup import Html, el
from misalign_eval.reports.html.parts import Section
from misalign_eval.reports.html.policy import content_security_policy


def render(page: Page) -> str:
    """One HTML file; the same record gives the same bytes."""
    return "".join(_pieces(page))


def _pieces(page: Page) -> Iterator[str]:
    """The replies come one by one: no second copy of them all is made."""
    found = list(sections.of_page(page))
    if page.exhibit is not None:
        found.append(replies.section(page.exhibit))
    found.append(origins.section(page.origins, __version__))
    style, script = assets.style(), assets.script()
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=content_security_policy(script, style)),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", page.title),
        el("style", Html(style)),
    )
    yield f'<!doctype html>\n<html lang="en">{head}<body>'
    yield from _body(page, found)
    if page.exhibit is not None:
        yield from explorer.data(page.exhibit)
    yield f"{el('script', Html(script))}</body></html>\n"


def _body(page: Page, found: Sequence[Section]) -> list[Html]:
    links = (el("li", el("a", one.title, href=f"#{one.id}")) for one in found)
    contents = el("nav", el("h2", "Contents", class_="quiet"), el("ul", *links), aria_label="Contents")
    blocks = (el("section", el("h2", one.title), *one.body, id=one.id) for one in found)
    return [
        el("a", "To the content", href="#measured", class_="skip"),
        el("header", el("p", page.title, class_="kicker"), *_verdict(page)),
        el("div", contents, el("main", *blocks), class_="columns"),
        el("footer", el("p", f"misalign-eval {__version__}. This file needs no network and sends nothing.")),
    ]


def _verdict(page: Page) -> list[Html]:
    """The headline sentence, and how many warnings it comes with."""
    parts = [el("h1", sentence) for sentence in _sentences(page)[:1]]
    parts += [el("p", sentence, class_="lead") for sentence in _sentences(page)[1:]]
    if page.comparison is not None and page.gate is None:
        parts.insert(0, el("p", words.chip(page.comparison), class_="chip"))
        parts.append(el("p", words.beyond(estimand.shown_change(page.comparison)), class_="lead"))
    if page.gate is not None:
        parts.insert(0, el("p", page.gate.verdict, class_=f"chip {page.gate.verdict}"))
    if len(page.reports) == 1 and page.gate is None:
        shown = estimand.shown(page.reports[0].summary)
        parts.append(el("p", f"{tables.sentence(shown)} {tables.second_sentence(shown)}", class_="lead"))
    count = len(sections.warnings_of(page)) + linted.count(page)
    if count:
        text = f"{count} {'warning' if count == 1 else 'warnings'} to read with it"
        parts.append(el("p", el("a", text, href="#warnings"), class_="lead"))
    return parts


def _sentences(page: Page) -> list[str]:
    """What was found, the most pressing first."""
    found = []
    if page.gate is not None:
        found += words.of_gate(page.gate)
    if page.comparison is not None:
        found.append(words.of_change(estimand.shown_change(page.comparison)))
    found += [words.of_run(estimand.shown(one.summary)) for one in page.reports]
    if page.trajectory is not None:
        found.append(words.of_trajectory(page.trajectory))
    if page.groups is not None:
        found.append(words.of_groups(page.groups))
    return found
