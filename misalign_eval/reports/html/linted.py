"""The lint of replies on the page, below the warnings, with links to the replies that are on it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from misalign_eval.records.analysis import Warned
from misalign_eval.records.lint import Finding
from misalign_eval.records.page import Exhibit, Page
from misalign_eval.reports import lint_words
from misalign_eval.reports.html.markup import Child, Html, el


class _Run(NamedTuple):
    """One run with what was found in its replies, and what the warnings say of it already."""

    name: str
    findings: Sequence[Finding]
    warnings: Sequence[Warned]


def count(page: Page) -> int:
    """How many findings are more than a note."""
    return sum(one.level != "note" for run in _runs(page) for one in lint_words.unsaid(run.findings, run.warnings))


def blocks(page: Page) -> Iterator[Html]:
    """A heading, and a list for each run; nothing where no replies were looked at."""
    runs = list(_runs(page))
    if runs:
        yield el("h3", lint_words.TITLE)
    for place, run in enumerate(runs):
        if len(runs) > 1:
            yield el("p", el("b", run.name))
        links = _links(page.exhibit, place)
        lines = (_line(line, links) for line in lint_words.section(run.findings, run.warnings))
        yield el("ul", *lines, class_="warnings lint")


def _runs(page: Page) -> Iterator[_Run]:
    names = page.exhibit.runs if page.exhibit is not None else [one.summary.run for one in page.reports]
    for name, report in zip(names, page.reports, strict=False):
        if report.summary.lint is not None:
            yield _Run(name, report.summary.lint, report.summary.warnings)
    for one in page.lint:
        yield _Run(one.run, one.findings, one.warnings)


def _links(exhibit: Exhibit | None, run: int) -> Mapping[str, str]:
    """The address of every reply of a run that is on the page, by its key."""
    found = {}
    for slot in exhibit.slots if exhibit is not None else ():
        if slot.replies[run] is not None and exhibit is not None:
            one = exhibit.prompts[slot.prompt]
            prompt = f"{one.probe}/{one.prompt}/{one.variant}"
            found[f"{prompt}#{slot.sample}"] = f"#show&{urlencode({'reply': f'{prompt}/{slot.sample}'})}"
    return found


def _line(line: lint_words.Line, links: Mapping[str, str]) -> Html:
    words: list[Child] = [line.text]
    if line.example is not None and line.example in links:
        before, key, after = line.text.rpartition(line.example)
        words = [before, el("a", key, href=links[line.example]), after]
    head = [el("b", "error: ")] if line.level == "error" else []
    return el("li", *head, *words, class_=line.level)
