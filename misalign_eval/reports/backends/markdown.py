"""Markdown backend: reports, pull-request comments, gates and calibrations."""

import re
from collections.abc import Iterable, Iterator, Sequence

from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import CheckResult, Gate
from misalign_eval.records.labels import Calibration, JudgeDisagreement, JudgeSwap
from misalign_eval.records.policy import percent_text, points_size, points_text
from misalign_eval.records.power import Power
from misalign_eval.records.summary import (
    CategoryChange,
    CategoryLine,
    Comparison,
    GroupComparison,
    Provenance,
    Report,
    RunSummary,
    Trajectory,
    WorstReply,
)
from misalign_eval.reports import comparison as comparison_tables
from misalign_eval.reports import gate as gate_tables
from misalign_eval.reports import judges as judge_tables
from misalign_eval.reports import numbers, plans, sentences
from misalign_eval.reports import run as run_tables
from misalign_eval.reports.escape import markdown, one_line
from misalign_eval.reports.run import By, ReportTable

# Reports as Markdown. Every name and reply is escaped: none can open a link, an image, HTML or a new table cell.


EXCERPT_CHARACTERS = 400


def run_report(report: Report, by: Sequence[By] = ()) -> str:
    """One run: headline, breakdowns, outcomes, worst replies, warnings."""
    summary = numbers.with_interval(report.summary)
    parts = [
        f"# Misalignment of {markdown(summary.called)}",
        f"**{own(run_tables.sentence(summary))}** {own(run_tables.second_sentence(summary))}",
        _markdown_list(run_tables.provenance(summary)),
    ]
    parts += [grid(table, run_tables.caption(summary)) for table in run_tables.breakdowns(summary, by)]
    more = run_tables.sensitivity(summary)
    if more is not None:
        parts.append(grid(more, run_tables.caption(summary)))
    for table in judge_tables.of_run(summary.judges):
        parts.append(grid(table._replace(note=markdown(table.note)), run_tables.caption(summary)))
    for table in run_tables.other_graders(summary):
        safe = table._replace(title=markdown(table.title), note=markdown(table.note))
        parts.append(grid(safe, run_tables.caption(summary)))
    parts.append(_outcomes(summary))
    if report.worst:
        parts.append("\n".join(_worst(report.worst)))
    if summary.warnings:
        parts.append("\n".join(warned(summary.warnings)))
    if summary.lint is not None:
        parts.append(linted(sentences.TITLE, sentences.section(summary.lint, summary.warnings)))
    return "\n\n".join(parts) + "\n"


def comparison_markdown(comparisons: Sequence[Comparison], by: Sequence[comparison_tables.By] = ()) -> str:
    """Two runs in full; of more, each against the first, with an overview before."""
    parts: list[str] = []
    if len(comparisons) > 1:
        parts.append(
            grid(
                comparison_tables.overview([*map(numbers.change_with_interval, comparisons)]),
                comparison_tables.caption(comparisons[0]),
            )
        )
    for item in map(numbers.change_with_interval, comparisons):
        parts.append(f"# Change from {markdown(item.before.run)} to {markdown(item.after.run)}")
        parts += [f"**{own(comparison_tables.sentence(item))}** {own(comparison_tables.intervals(item))}"]
        parts.append(_markdown_list(comparison_tables.provenance(item)))
        parts.append("\n".join(fact(name, what) for name, what in comparison_tables.comparison_facts(item)))
        more = [table for table in (comparison_tables.sensitivity(item),) if table is not None]
        tables_ = (*comparison_tables.breakdowns(item, by), *more, comparison_tables.outcome_table(item))
        parts += [grid(table, comparison_tables.caption(item)) for table in tables_]
        for table in judge_tables.of_change(item.judges):
            parts.append(grid(table._replace(note=markdown(table.note)), comparison_tables.caption(item)))
        if item.warnings:
            parts.append("\n".join(warned(item.warnings)))
    return "\n\n".join(parts) + "\n"


def trajectory(trajectory: Trajectory) -> str:
    """Runs along x: the trend, a table of points, warnings."""
    parts = [f"# Trajectory of {len(trajectory.points)} runs"]
    parts.append(
        f"**{markdown(comparison_tables.trajectory_sentence(trajectory))}** "
        f"{own(numbers.sentence(trajectory.interval))}."
    )
    parts.append("\n".join(fact(name, what) for name, what in comparison_tables.trajectory_facts(trajectory)))
    parts.append(grid(comparison_tables.points(trajectory), trajectory.caption))
    if trajectory.warnings:
        parts.append("\n".join(warned(trajectory.warnings)))
    return "\n\n".join(part for part in parts if part) + "\n"


def groups(comparison: GroupComparison) -> str:
    """Two groups of training runs: the change over runs, both groups, every run."""
    parts = [f"# Change from {markdown(comparison.before.name)} to {markdown(comparison.after.name)}"]
    parts.append(f"**{markdown(comparison_tables.group_sentence(comparison))}**")
    parts.append("\n".join(fact(markdown(name), what) for name, what in comparison_tables.group_facts(comparison)))
    parts.append(grid(comparison_tables.group_runs(comparison), comparison.caption))
    if comparison.warnings:
        parts.append("\n".join(warned(comparison.warnings)))
    return "\n\n".join(parts) + "\n"


def power(power: Power) -> str:
    """What a plan can show: the likely end, what it takes, the simulated procedure, warnings."""
    parts = ["# Power", f"**{own(plans.sentence(power))}**"]
    parts.append("\n".join(fact(name, markdown(what)) for name, what in plans.power_facts(power)))
    parts += [grid(table, plans.caption(power)) for table in plans.tables(power)]
    if power.warnings:
        parts.append("\n".join(warned(power.warnings)))
    return "\n\n".join(parts) + "\n"


def grid(table: ReportTable, caption: str) -> str:
    """A table of words with what it was measured with below."""
    lines = [f"## {table.title}", "", _row(table.columns), _row(["---", *["---:"] * (len(table.columns) - 1)])]
    lines += [_row([markdown(row[0]), *map(own, row[1:])]) for row in table.rows]
    lines += ["", own(table.note), ""] if table.note else [""]
    return "\n".join([*lines, f"*{markdown(caption)}*"])


def fact(name: str, what: str) -> str:
    """One entry of a list in our own words; without a name it goes on with the entry before."""
    return f"- {name}: {own(what)}" if name else f"  {own(what)}"


def _markdown_list(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {markdown(what)}" for name, what in rows)


def warned(warnings: Iterable[Warned]) -> Iterator[str]:
    """Every warning in words, its id behind."""
    yield "## Warnings\n"
    for warning in warnings:
        yield f"- {markdown(warning.text)} ({markdown(warning.id)})"


def linted(title: str, lines: Iterable[sentences.LintLine]) -> str:
    """Findings as a list, the grave ones marked."""
    marks = {"error": "**error** ", "warning": "**warning** ", "note": ""}
    return "\n".join([f"## {title}", "", *(f"- {marks[line.level]}{markdown(line.text)}" for line in lines)])


def own(text: str) -> str:
    """Our own numbers: only `<` and line breaks need care."""
    return text.replace("<", "&lt;").replace("\n", "<br>")


def _outcomes(summary: RunSummary) -> str:
    rows = tuple((name, str(count)) for name, count in run_tables.outcome_rows(summary))
    title = f"Outcomes of the {summary.planned} planned replies behind the headline"
    return grid(ReportTable(title, ("outcome", "replies"), rows), run_tables.caption(summary))


def _worst(worst: Iterable[WorstReply]) -> Iterator[str]:
    yield "## Worst replies\n"
    for reply in worst:
        excerpt = one_line(run_tables.excerpt(reply), EXCERPT_CHARACTERS)
        yield f"- {markdown(run_tables.worst_title(reply))}: {markdown(excerpt)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


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


# Gates as Markdown.


def gate_markdown(gate: Gate) -> str:
    """The verdict first, then every check, then what limits a pass."""
    parts = [
        f"# {gate_tables.verdict(gate)}",
        "\n".join(f"- {name}: {markdown(what)}" for name, what in gate_tables.provenance(gate)),
    ]
    for check in gate.checks:
        rows = [f"- {name}: {markdown(what)}" for name, what in gate_tables.check_rows(check, gate.measured)]
        parts.append("\n".join([f"## {markdown(gate_tables.check_title(check))}", "", *rows]))
    table = gate_tables.companions(gate)
    parts.append(grid(table._replace(note=markdown(table.note)), gate_tables.caption(gate)))
    if gate.warnings:
        parts.append("\n".join(warned(gate.warnings)))
    return "\n\n".join(parts) + "\n"


# Calibrations as Markdown. Replies and judges' words are escaped.


DISAGREEMENT_EXCERPT = 300


def calibration_caption(calibration: Calibration) -> str:
    """Printed with every table."""
    definition = f"definition {calibration.definition}; " if calibration.definition else ""
    return f"{definition}yes: {calibration.yes}; {judge_tables.title(calibration)}"


def calibration_tables(calibration: Calibration) -> Iterator[ReportTable]:
    """Every table of the page."""
    yield judge_tables.table(calibration)
    if isinstance(calibration, JudgeSwap):
        yield judge_tables.shifts(calibration)
    kinds = judge_tables.kinds(calibration)
    if kinds is not None:
        yield kinds


def calibration_page_facts(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """All single numbers."""
    more = judge_tables.change(calibration) if isinstance(calibration, JudgeSwap) else ()
    return (*judge_tables.calibration_facts(calibration), *more)


def calibration_markdown(calibration: Calibration) -> str:
    """Markdown."""
    parts = [f"# {markdown(judge_tables.title(calibration))}", f"**{own(judge_tables.sentence(calibration))}**"]
    parts.append("\n".join(f"- {name}: {markdown(what)}" for name, what in judge_tables.provenance(calibration)))
    shown = (table._replace(columns=tuple(map(markdown, table.columns))) for table in calibration_tables(calibration))
    parts += [grid(table, calibration_caption(calibration)) for table in shown]
    parts.append(
        "\n".join(f"- {markdown(name)}: {markdown(what)}" for name, what in calibration_page_facts(calibration) if what)
    )
    if calibration.disagreements:
        parts.append("\n".join(["## Where they differ most", "", *map(_disagreement_list, calibration.disagreements)]))
    if calibration.warnings:
        parts.append("\n".join(warned(calibration.warnings)))
    return "\n\n".join(parts) + "\n"


def _disagreement_list(disagreement: JudgeDisagreement) -> str:
    rows = [
        f"  - {name}: {markdown(one_line(text, DISAGREEMENT_EXCERPT))}"
        for name, text in judge_tables.disagreement_lines(disagreement)
    ]
    return "\n".join([f"- {markdown(judge_tables.disagreement_title(disagreement))}", *rows])
