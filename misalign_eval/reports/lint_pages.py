"""What `doctor` says, as a page for the terminal or in Markdown."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from misalign_eval.records.lint import Diagnosis, Fact, Finding
from misalign_eval.reports import lint_words
from misalign_eval.reports import markdown as pages
from misalign_eval.reports import terminal as screens
from misalign_eval.reports.console import rendered
from misalign_eval.reports.escape import markdown as literal

FOLDER, ENVIRONMENT = "The folder", "Findings"


def terminal(found: Diagnosis) -> str:
    """Facts by section, findings, and one closing sentence."""
    parts: list[RenderableType] = []
    for section, facts in groupby(found.facts, lambda fact: fact.section):
        parts += [Text(section.capitalize(), style="bold"), screens.pairs(map(_pair, facts)), ""]
    for title, findings in _groups(found):
        parts += [Text(title, style="bold"), *screens.linted(_lines(findings)), ""]
    if found.warnings:
        parts += [*screens.warned(found.warnings), ""]
    return rendered(*parts, Text(_closing(found), style="bold"))


def markdown(found: Diagnosis) -> str:
    """The same as Markdown."""
    parts = [f"# Doctor: {literal(found.of)}"]
    for section, facts in groupby(found.facts, lambda fact: fact.section):
        rows = (f"- {literal(name)}: {literal(what)}" for name, what in map(_pair, facts))
        parts.append("\n".join([f"## {section.capitalize()}", "", *rows]))
    parts += [pages.linted(title, _lines(findings)) for title, findings in _groups(found)]
    if found.warnings:
        parts.append("\n".join(pages.warned(found.warnings)))
    return "\n\n".join([*parts, f"**{literal(_closing(found))}**"]) + "\n"


def _groups(found: Diagnosis) -> Iterator[tuple[str, Sequence[Finding]]]:
    yield (ENVIRONMENT if found.of == "environment" else FOLDER), found.findings
    if found.replies is not None:
        yield lint_words.TITLE, lint_words.unsaid(found.replies, found.warnings)


def _lines(findings: Sequence[Finding]) -> list[lint_words.Line]:
    return list(lint_words.whole(findings)) or [lint_words.Line("note", "nothing found")]


def _pair(fact: Fact) -> tuple[str, str]:
    return fact.name, f"{fact.value}  ({fact.source})" if fact.source else fact.value


def _closing(found: Diagnosis) -> str:
    every = (*found.findings, *lint_words.unsaid(found.replies or (), found.warnings))
    levels = [one.level for one in every]
    counts = [(levels.count(level), level) for level in ("error", "warning", "note")]
    told = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for count, level in counts if count)
    if not found.healthy:
        return f"Not healthy: {told}."
    read = any(one.example for one in found.replies or ())
    how = f" Read an example with: misalign-eval show {found.of} --key EXAMPLE" if read else ""
    return f"Healthy{f': {told}' if told else ''}.{how}"
