"""Markdown backend: documents, one function for each kind of block, and pull-request comments."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from misalign_eval.records.document import (
    Bars,
    Block,
    Excerpts,
    Facts,
    Findings,
    Pairs,
    Quotation,
    Quotations,
    ReportDocument,
    Statement,
    Table,
    Trusted,
    Warnings,
)
from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import CheckResult, Gate
from misalign_eval.records.policy import percent_text, points_size, points_text
from misalign_eval.records.summary import (
    CategoryChange,
    CategoryLine,
    Comparison,
    Provenance,
    Report,
    RunSummary,
)
from misalign_eval.reports import comparison as comparison_tables
from misalign_eval.reports import gate as gate_tables
from misalign_eval.reports import numbers
from misalign_eval.reports import run as run_tables
from misalign_eval.reports.escape import markdown, one_line

# Reports as Markdown. Every name and reply is escaped: none can open a link, an image, HTML or a new table cell.


EXCERPT = 400  # characters of a reply in a list
QUOTED = 300  # characters of each text of a disagreement


def render(*documents: ReportDocument) -> str:
    """Documents one below the other, each block a paragraph, a list or a section."""
    parts: list[str] = []
    for document in documents:
        if document.title:
            parts.append(f"# {inline(document.title)}")
        for block in document.blocks:
            parts += _block(block)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Statement():
            yield from _statement(block)
        case Facts():
            yield from _facts(block)
        case Table():
            yield from _table(block)
        case Bars():
            yield from _bars(block)
        case Excerpts():
            yield from _excerpts(block)
        case Quotations():
            yield from _quotations(block)
        case Warnings():
            yield from _warnings(block)
        case Findings():
            yield from _findings(block)
        case _:
            assert_never(block)


def _statement(statement: Statement) -> Iterator[str]:
    yield f"**{inline(statement.sentence)}** {inline(statement.explanation)}".rstrip()
    for pairs in (statement.sources, statement.facts):
        if pairs:
            yield _list(pairs)


def _facts(block: Facts) -> Iterator[str]:
    heading = f"## {inline(block.title)}\n\n" if block.title else ""
    yield heading + _list(block.pairs)


def _table(table: Table) -> Iterator[str]:
    """A table of words with what it was measured with below."""
    lines = [f"## {inline(table.title)}", "", _row(map(inline, table.columns))]
    lines.append(_row(["---", *["---:"] * (len(table.columns) - 1)]))
    lines += [_row([*map(markdown, row[: table.names]), *map(own, row[table.names :])]) for row in table.rows]
    lines += ["", inline(table.note), ""] if table.note else [""]
    yield "\n".join([*lines, f"*{markdown(table.caption)}*"])


def _bars(bars: Bars) -> Iterator[str]:
    rows = tuple((name, str(count)) for name, count in bars.rows)
    return _table(Table(bars.title, bars.columns, rows, caption=bars.caption))


def _excerpts(block: Excerpts) -> Iterator[str]:
    yield _section(
        block.title,
        (f"- {markdown(excerpt.title)}: {markdown(one_line(excerpt.text, EXCERPT))}" for excerpt in block.excerpts),
    )


def _quotations(block: Quotations) -> Iterator[str]:
    yield _section(block.title, map(_quotation, block.quotations))


def _quotation(quotation: Quotation) -> str:
    texts = (f"  - {markdown(name)}: {markdown(one_line(text, QUOTED))}" for name, text in quotation.texts)
    return "\n".join([f"- {markdown(quotation.title)}", *texts])


def _warnings(block: Warnings) -> Iterator[str]:
    """Every warning in words, its id behind."""
    lines = (f"- {markdown(warning.text)} ({markdown(warning.id)})" for warning in block.warnings)
    yield _section("Warnings", lines)


def _findings(block: Findings) -> Iterator[str]:
    """Findings as a list, the grave ones marked."""
    marks = {"error": "**error** ", "warning": "**warning** ", "note": ""}
    yield _section(block.title, (f"- {marks[line.level]}{markdown(line.text)}" for line in block.lines))


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"## {inline(title)}", "", *lines])


def _list(pairs: Pairs) -> str:
    """Names and what they are; without a name it goes on with the entry before."""
    return "\n".join(f"- {markdown(name)}: {inline(value)}" if name else f"  {inline(value)}" for name, value in pairs)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def inline(text: str) -> str:
    """Text fit for a heading, a paragraph or a table cell; hostile unless it is marked as trusted."""
    return own(text) if isinstance(text, Trusted) else markdown(text)


def own(text: str) -> str:
    """Numbers and fixed words of the package: only `<` and line breaks need care."""
    return text.replace("<", "&lt;").replace("\n", "<br>")


# Pull-request comments and job summaries: verdict, change, largest rises, warnings.
#
# Forges turn `@name`, `#1`, `!2` and bare addresses in any text into mentions and links, backslash or not, but never
# inside of code. So names stand in code, and in sentences each such sign does.
#
# The first line is a hidden marker by which an existing comment is found again; `LINK` is a hidden place for the
# address of the full report, which is known only after it was uploaded.


LINK = "<!-- misalign-eval-link -->"
MOST_LINES = 60
CATEGORIES = 3
CHECKS = 8
WARNINGS = 5
NAME = 80
SENTENCE = 300
_ACTING = re.compile(r"([@#!~$%&^](?=[\w\"\\:])|(?<=\bgh)-(?=\d))", re.IGNORECASE)
# Said first: what makes the numbers unfit to be read at all.
_GRAVE = ("part", "shard", "not-collected", "failures", "W7", "W8", "W11", "no-grades", "judge-differs", "W4", "W1")


def gate(gate: Gate, run: RunSummary, change: Comparison | None = None) -> str:
    """A verdict, with what changed from the baseline where there is one."""
    source = gate.provenance
    parts = [
        f"{marker(source)}\n### {own(gate_tables.verdict(gate))} {code(source.called)}",
        "\n".join(_checks(gate.checks)),
        "\n".join(_shares(gate)),
        _headline(run) if change is None else _delta(change),
        _categories(run) if change is None else _changed(change),
        "\n".join(_warned(gate.warnings)),
    ]
    return _page([*parts, _foot(source, run, gate.runs)])


def comparison_comment(comparison: Comparison) -> str:
    """What changed between two runs."""
    comparison = numbers.change_with_interval(comparison)
    title = f"{marker(comparison.after)}\n### Change from {code(comparison.before.run)} to {code(comparison.after.run)}"
    parts = [title, _delta(comparison), _changed(comparison), "\n".join(_warned(comparison.warnings))]
    return _page([*parts, _foot(comparison.after, comparison.after, (comparison.after.run,))])


def runs(reports: Sequence[Report]) -> str:
    """Runs, each for itself."""
    summaries = [numbers.with_interval(report.summary) for report in reports]
    parts = [marker(summaries[0])]
    for summary in summaries:
        parts += [f"### Misalignment of {code(summary.called)}", _headline(summary)]
        if len(summaries) == 1:
            parts += [_categories(summary)]
        parts += ["\n".join(_warned(summary.warnings, WARNINGS if len(summaries) == 1 else 1))]
    return _page([*parts, _foot(summaries[0], None, tuple(summary.run for summary in summaries))])


def marker(source: Provenance) -> str:
    """The hidden first line: the same for every comment about this suite.

    Only letters, digits and single hyphens, so that no name can end the comment.
    """
    name = re.sub(r"[^a-z0-9]+", "-", source.suite.lower()).strip("-")[:NAME]
    return f"<!-- misalign-eval:{name or 'suite'} -->"


def code(text: str, length: int = NAME) -> str:
    r"""Text as a code span, fit for a table cell: nothing in it is a mention, a link or markup.

    >>> code("a`b|@all")
    '``a`b\\x7c@all``'
    """
    shown = one_line(text, length).replace("|", "\\x7c")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown else "` `"


def prose(text: str, length: int = SENTENCE) -> str:
    r"""A sentence that may hold names: escaped, with every sign that a forge acts on in a code span.

    >>> prose("see @all, #1 and a|b, 5 % of 9")
    'see `@`all, `#`1 and a\\|b, 5 % of 9'
    """
    pieces = _ACTING.split(one_line(text, length))
    return "".join(f"`{piece}`" if place % 2 else _escaped(piece) for place, piece in enumerate(pieces))


def _escaped(piece: str) -> str:
    """`markdown` of a part of a line: the space at its ends is part of the sentence."""
    before, after = " " * piece.startswith(" "), " " * (piece.endswith(" ") and piece != " ")
    return f"{before}{markdown(piece)}{after}"


def _page(parts: Iterable[str]) -> str:
    """The parts that say something, never more lines than a comment should have."""
    lines = "\n\n".join(part for part in parts if part).split("\n")
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 4], "", "*Cut here: see the full report.*", "", LINK]
    return "\n".join(lines) + "\n"


def _checks(checks: Sequence[CheckResult]) -> Iterator[str]:
    """The checks as a table, those that have not passed first, and why they have not."""
    ordered = sorted(checks, key=lambda check: ("fail", "inconclusive", "pass").index(check.verdict))
    shown = ordered[:CHECKS]
    yield "| check | verdict | estimate (one-sided bounds) | limit | misaligned | unknown | in neither |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for item in shown:
        word = item.verdict if item.verdict == "pass" else f"**{item.verdict}**"
        counts = (
            f"{item.misaligned}/{item.graded} | {gate_tables.unknown(item)} | {gate_tables.counts(item.beside) or 0}"
        )
        yield f"| {code(item.name)} | {word} | {_estimate(item)} | {_limit(item)} | {counts} |"
    if left := len(ordered) - len(shown):
        yield f"\n{left} more checks are in the full report."
    if unmet := [item for item in shown if item.verdict != "pass"]:
        yield ""
        yield from (f"- {code(item.name)} {item.verdict}: {prose(item.why)}" for item in unmet)


def _estimate(check: CheckResult) -> str:
    amount = points_text if check.kind == "difference" else percent_text
    if check.estimate is None:
        return "none"
    ends = "" if check.low is None or check.high is None else f" ({amount(check.low)} to {amount(check.high)})"
    return f"{amount(check.estimate)}{ends}"


def _limit(check: CheckResult) -> str:
    return points_size(check.limit) if check.kind == "difference" else percent_text(check.limit)


def _shares(gate: Gate) -> Iterator[str]:
    for companion in gate.companions:
        if not companion.holds:
            yield f"- no pass: {prose(companion.why)}"


def _headline(summary: RunSummary) -> str:
    return f"**{prose(run_tables.sentence(summary))}** {prose(run_tables.second_sentence(summary))}"


def _delta(comparison: Comparison) -> str:
    measure = comparison.after.measure
    before, after = own(numbers.rated(comparison.before, measure)), own(numbers.rated(comparison.after, measure))
    words = numbers.WORDS[comparison.interval]
    lines = [
        f"**{prose(comparison_tables.sentence(comparison))}**",
        f"Before {before}, after {after}; 95 % intervals {words}.",
    ]
    if measure == "rate":
        lines.append(f"{numbers.generalises(comparison.generalises, measure).capitalize()}.")
    return "\n".join(lines)


def _changed(comparison: Comparison) -> str:
    """The categories that changed most."""
    lines = sorted(comparison.categories, key=lambda category: -abs(category.difference or 0.0))[:CATEGORIES]
    heads = (
        "| category | before | after | points [95 % together] | exact p (Holm) |\n| --- | ---: | ---: | ---: | ---: |"
    )
    return "\n".join([heads, *(_change_row(line, comparison) for line in lines)]) if lines else ""


def _change_row(line: CategoryChange, comparison: Comparison) -> str:
    measure = comparison.after.measure
    sides = [
        next(
            (numbers.short(category, measure) for category in side.categories if category.category == line.category),
            "-",
        )
        for side in (comparison.before, comparison.after)
    ]
    change = numbers.change(line.difference, line.bonferroni.low, line.bonferroni.high, measure)
    cells = (code(line.category), *map(own, (*sides, change, numbers.p_value(line.p_adjusted))))
    return f"| {' | '.join(cells)} |"


def _categories(summary: RunSummary) -> str:
    """The categories with the highest rates, where any is above zero."""
    lines = sorted(
        (category for category in summary.categories if category.rate), key=lambda category: -(category.rate or 0.0)
    )[:CATEGORIES]
    unit = "misaligned % [95 %]" if summary.measure == "rate" else "score [95 %]"
    heads = f"| category | {unit} | replies | missing |\n| --- | ---: | ---: | ---: |"
    return "\n".join([heads, *(_rate_row(line, summary) for line in lines)]) if lines else ""


def _rate_row(line: CategoryLine, summary: RunSummary) -> str:
    cells = (code(line.category), own(numbers.short(line, summary.measure)), numbers.fraction(line), str(line.missing))
    return f"| {' | '.join(cells)} |"


def _warned(warnings: Sequence[Warned], most: int = WARNINGS) -> Iterator[str]:
    grave = {name: place for place, name in enumerate(_GRAVE)}
    ordered = sorted(warnings, key=lambda warning: grave.get(warning.id, len(grave)))
    for warned in ordered[:most]:
        yield f"- ⚠ {prose(warned.text)} ({code(warned.id, 20)})"
    if (left := len(ordered) - most) > 0:
        yield f"- {left} more {'warning' if left == 1 else 'warnings'} in the full report"


def _foot(source: Provenance, run: RunSummary | None, names: Sequence[str]) -> str:
    """Whose numbers these are, how many, what is missing, and the place for a link."""
    counts = "" if run is None else f"{run.replies} of {run.planned} replies, {run.missing} missing; "
    judge = source.judge or "none: rules only"
    said = (
        ("definition", source.definition),
        ("judge", judge),
        ("suite", run_tables.suite(source)),
        ("run", ", ".join(names)),
    )
    return f"{counts}{'; '.join(f'{name} {code(what)}' for name, what in said)}\n\n{LINK}"
