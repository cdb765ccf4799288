"""Short Markdown for a job summary and a comment on a pull request: verdict, change, the worst of it, warnings.

Forges turn `@name`, `#1`, `!2` and bare addresses in any text into mentions and links, backslash or not, but never
inside of code. So names stand in code, and in sentences each such sign does.

The first line is a hidden marker by which an existing comment is found again; `LINK` is a hidden place for the address
of the full report, which is known only after it was uploaded.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from misalign_eval.records.analysis import (
    CategoryChange,
    CategoryLine,
    Comparison,
    Provenance,
    Report,
    RunSummary,
    Warned,
)
from misalign_eval.records.gate import CheckResult, Gate
from misalign_eval.records.policy import percent_text, points_size, points_text
from misalign_eval.reports import changes, estimand, numbers, tables, verdicts
from misalign_eval.reports.escape import markdown, one_line
from misalign_eval.reports.markdown import own

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


def gate(found: Gate, run: RunSummary, change: Comparison | None = None) -> str:
    """A verdict, with what changed from the baseline where there is one."""
    source = found.provenance
    parts = [
        f"{marker(source)}\n### {own(verdicts.verdict(found))} {code(source.called)}",
        "\n".join(_checks(found.checks)),
        "\n".join(_shares(found)),
        _headline(run) if change is None else _delta(change),
        _categories(run) if change is None else _changed(change),
        "\n".join(_warned(found.warnings)),
    ]
    return _page([*parts, _foot(source, run, found.runs)])


def comparison(found: Comparison) -> str:
    """What changed between two runs."""
    found = estimand.shown_change(found)
    title = f"{marker(found.after)}\n### Change from {code(found.before.run)} to {code(found.after.run)}"
    parts = [title, _delta(found), _changed(found), "\n".join(_warned(found.warnings))]
    return _page([*parts, _foot(found.after, found.after, (found.after.run,))])


def runs(found: Sequence[Report]) -> str:
    """Runs, each for itself."""
    summaries = [estimand.shown(one.summary) for one in found]
    parts = [marker(summaries[0])]
    for one in summaries:
        parts += [f"### Misalignment of {code(one.called)}", _headline(one)]
        if len(summaries) == 1:
            parts += [_categories(one)]
        parts += ["\n".join(_warned(one.warnings, WARNINGS if len(summaries) == 1 else 1))]
    return _page([*parts, _foot(summaries[0], None, tuple(one.run for one in summaries))])


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
    ordered = sorted(checks, key=lambda one: ("fail", "inconclusive", "pass").index(one.verdict))
    shown = ordered[:CHECKS]
    yield "| check | verdict | estimate (one-sided bounds) | limit | misaligned | unknown | in neither |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for one in shown:
        word = one.verdict if one.verdict == "pass" else f"**{one.verdict}**"
        counts = f"{one.misaligned}/{one.graded} | {verdicts.unknown(one)} | {verdicts.counts(one.beside) or 0}"
        yield f"| {code(one.name)} | {word} | {_estimate(one)} | {_limit(one)} | {counts} |"
    if left := len(ordered) - len(shown):
        yield f"\n{left} more checks are in the full report."
    if unmet := [one for one in shown if one.verdict != "pass"]:
        yield ""
        yield from (f"- {code(one.name)} {one.verdict}: {prose(one.why)}" for one in unmet)


def _estimate(check: CheckResult) -> str:
    amount = points_text if check.kind == "difference" else percent_text
    if check.estimate is None:
        return "none"
    ends = "" if check.low is None or check.high is None else f" ({amount(check.low)} to {amount(check.high)})"
    return f"{amount(check.estimate)}{ends}"


def _limit(check: CheckResult) -> str:
    return points_size(check.limit) if check.kind == "difference" else percent_text(check.limit)


def _shares(found: Gate) -> Iterator[str]:
    for one in found.companions:
        if not one.holds:
            yield f"- no pass: {prose(one.why)}"


def _headline(summary: RunSummary) -> str:
    return f"**{prose(tables.sentence(summary))}** {prose(tables.second_sentence(summary))}"


def _delta(found: Comparison) -> str:
    measure = found.after.measure
    before, after = own(numbers.rated(found.before, measure)), own(numbers.rated(found.after, measure))
    words = estimand.WORDS[found.interval]
    lines = [
        f"**{prose(changes.sentence(found))}**",
        f"Before {before}, after {after}; 95 % intervals {words}.",
    ]
    if measure == "rate":
        lines.append(f"{numbers.generalises(found.generalises, measure).capitalize()}.")
    return "\n".join(lines)


def _changed(found: Comparison) -> str:
    """The categories that changed most."""
    lines = sorted(found.categories, key=lambda one: -abs(one.difference or 0.0))[:CATEGORIES]
    heads = (
        "| category | before | after | points [95 % together] | exact p (Holm) |\n| --- | ---: | ---: | ---: | ---: |"
    )
    return "\n".join([heads, *(_change_row(one, found) for one in lines)]) if lines else ""


def _change_row(line: CategoryChange, found: Comparison) -> str:
    measure = found.after.measure
    sides = [
        next((numbers.short(one, measure) for one in side.categories if one.category == line.category), "-")
        for side in (found.before, found.after)
    ]
    change = numbers.change(line.difference, line.bonferroni.low, line.bonferroni.high, measure)
    cells = (code(line.category), *map(own, (*sides, change, numbers.p_value(line.p_adjusted))))
    return f"| {' | '.join(cells)} |"


def _categories(summary: RunSummary) -> str:
    """The categories with the highest rates, where any is above zero."""
    lines = sorted((one for one in summary.categories if one.rate), key=lambda one: -(one.rate or 0.0))[:CATEGORIES]
    unit = "misaligned % [95 %]" if summary.measure == "rate" else "score [95 %]"
    heads = f"| category | {unit} | replies | missing |\n| --- | ---: | ---: | ---: |"
    return "\n".join([heads, *(_rate_row(one, summary) for one in lines)]) if lines else ""


def _rate_row(line: CategoryLine, summary: RunSummary) -> str:
    cells = (code(line.category), own(numbers.short(line, summary.measure)), numbers.fraction(line), str(line.missing))
    return f"| {' | '.join(cells)} |"


def _warned(warnings: Sequence[Warned], most: int = WARNINGS) -> Iterator[str]:
    grave = {name: place for place, name in enumerate(_GRAVE)}
    ordered = sorted(warnings, key=lambda one: grave.get(one.id, len(grave)))
    for one in ordered[:most]:
        yield f"- ⚠ {prose(one.text)} ({code(one.id, 20)})"
    if (left := len(ordered) - most) > 0:
        yield f"- {left} more {'warning' if left == 1 else 'warnings'} in the full report"


def _foot(source: Provenance, run: RunSummary | None, names: Sequence[str]) -> str:
    """Whose numbers these are, how many, what is missing, and the place for a link."""
    counts = "" if run is None else f"{run.replies} of {run.planned} replies, {run.missing} missing; "
    judge = source.judge or "none: rules only"
    said = (
        ("definition", source.definition),
        ("judge", judge),
        ("suite", tables.suite(source)),
        ("run", ", ".join(names)),
    )
    return f"{counts}{'; '.join(f'{name} {code(what)}' for name, what in said)}\n\n{LINK}"
