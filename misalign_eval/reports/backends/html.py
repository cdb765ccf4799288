"""HTML backend: one page that opens from disk, without network, with its security policy.

All text becomes HTML in `escape.markup` alone; scripts put text in by `textContent`; the policy forbids the rest.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence

from misalign_eval import __version__
from misalign_eval.records.document import captioned
from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import CheckResult, Gate
from misalign_eval.records.pages import ChartEstimate, IntervalChart, IntervalRow, Page
from misalign_eval.records.summary import Comparison, GroupComparison, Measure, RateLine, RunSummary, Trajectory
from misalign_eval.reports import charts as change_charts
from misalign_eval.reports import comparison as comparison_tables
from misalign_eval.reports import gate as gate_tables
from misalign_eval.reports import judges as judge_tables
from misalign_eval.reports import numbers
from misalign_eval.reports import run as run_tables
from misalign_eval.reports.backends import assets, html_parts, html_replies
from misalign_eval.reports.backends.html_parts import Section
from misalign_eval.reports.escape import Html, el

# Content security policy: no request, no evaluation of text, no script or style but the page's own.


FORBIDDEN = ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'")


def content_security_policy(script: str, style: str) -> str:
    """The value of the Content-Security-Policy: the one script and the one style sheet by their digests.

    >>> content_security_policy("", "").split("; ")[1]
    "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    first, *rest = FORBIDDEN
    return "; ".join([first, f"script-src {_digest(script)}", f"style-src {_digest(style)}", *rest])


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# Headline of a page: its result in one sentence.


def of_run(summary: RunSummary) -> str:
    """How often, in words, with the interval behind."""
    if summary.rate is None:
        return f"No reply of {summary.called} could be counted, so nothing is known of its misalignment."
    if summary.measure == "mean":
        mean = numbers.rated(summary, "mean")
        return f"The replies of {summary.called} score {mean} on average, on a scale from 0 to 100."
    share = f"{numbers.percent(summary.rate)} % {numbers.interval(summary.low, summary.high)}"
    if not summary.misaligned:
        bound = numbers.bound(summary)
        return f"None of {summary.graded} counted replies of {summary.called} was misaligned; its rate is {bound}."
    if summary.misaligned == summary.graded:
        return f"Every one of {summary.graded} counted replies of {summary.called} was misaligned: {share}."
    return f"{summary.called} gave a misaligned reply {_often(summary.rate)}: {share}."


def of_change(comparison: Comparison) -> str:
    """Whether it rose, fell, or neither is shown."""
    measure, change = comparison.after.measure, comparison.difference
    what = "Misalignment" if measure == "rate" else "The mean score"
    rates = f"from {_short(comparison.before, measure)} to {_short(comparison.after, measure)}"
    if change.estimate is None or change.low is None or change.high is None:
        return "Nothing can be said about a change: too few replies count in both runs."
    if change.low <= 0 <= change.high:
        seen = f"; {numbers.detectable(comparison.detectable, measure)}" if comparison.detectable is not None else ""
        return f"No change is shown: {rates}{seen}."
    verb = "rose" if change.estimate > 0 else "fell"
    return f"{what} {verb} {rates}{' of replies' if measure == 'rate' else ''}."


def exceeds_text(comparison: Comparison) -> str:
    """The change with its interval, and whether it holds for probes like these."""
    measure = comparison.after.measure
    change = numbers.difference(comparison.difference, measure).removesuffix(", no p")
    text = f"{change}, over {comparison.after.averaged}."
    if measure == "mean" or comparison.generalises.holds is None:
        return text
    also = "It is shown" if comparison.generalises.holds else "It is not shown"
    return f"{text} {also} to hold for other probes like these."


def of_trajectory(trajectory: Trajectory) -> str:
    """Where it begins and ends, whether it moves, and from where on it is above the first."""
    first, last = trajectory.points[0], trajectory.points[-1]
    measure = trajectory.measure
    ends = f"from {_short(first, measure)} at x = {first.x:g} to {_short(last, measure)} at x = {last.x:g}"
    if trajectory.trend is None or trajectory.trend.p_value >= 0.05 or not trajectory.trend.z:
        text = f"No trend is shown along x: {ends}."
    else:
        text = f"Misalignment {'rises' if trajectory.trend.z > 0 else 'falls'} along x, {ends}."
    if trajectory.onset is not None and trajectory.onset.x is not None:
        text += f" It is shown to be above the first from x = {trajectory.onset.x:g} on."
    return text + _beyond_the_ends(trajectory)


def _beyond_the_ends(trajectory: Trajectory) -> str:
    """The highest point where it is neither the first nor the last: the ends of a curve that comes back hide it."""
    first, *between, last = trajectory.points
    known = [item for item in between if item.rate is not None]
    highest = max(known, key=lambda item: item.rate or 0.0, default=None)
    ends = [item.rate for item in (first, last) if item.rate is not None]
    if highest is None or highest.rate is None or len(ends) < 2 or highest.low is None or highest.low <= max(ends):
        return ""
    return f" In between it is as high as {_short(highest, trajectory.measure)}, at x = {highest.x:g}."


def of_groups(comparison: GroupComparison) -> str:
    """What training runs of the one recipe do that those of the other do not."""
    rates = f"from {_short(comparison.before, comparison.measure)} to {_short(comparison.after, comparison.measure)}"
    if comparison.between_runs is None:
        return f"The mean went {rates}; these training runs allow no statement about the recipe."
    if comparison.between_runs.low <= 0 <= comparison.between_runs.high:
        return f"No change is shown for training runs like these: {rates}."
    verb = "higher" if comparison.between_runs.estimate > 0 else "lower"
    return f"Training runs like these of {comparison.after.name} are {verb} than of {comparison.before.name}: {rates}."


def of_gate(gate: Gate) -> list[str]:
    """The verdict, then why of each check that has it."""
    first = {"pass": "passed", "fail": "failed", "inconclusive": "could not decide"}[gate.verdict]
    rest = gate_tables.verdict(gate).partition(",")[2]
    why = [f"{check.name}: {check.why}." for check in gate.checks if check.verdict == gate.verdict]
    return [f"The gate {first}{f',{rest}' if rest else ''}.", *why]


def badge(comparison: Comparison) -> str:
    """The change in two words."""
    change = comparison.difference
    if change.estimate is None or change.low is None or change.high is None:
        return "not known"
    if change.low <= 0 <= change.high:
        return "no change shown"
    return "rise shown" if change.estimate > 0 else "fall shown"


def _often(rate: float) -> str:
    """`about 3 times in 100`; rarer than once in a hundred, `about once in 240`."""
    if rate < 0.01:
        return f"about once in {round(1 / rate)}"
    times = round(100 * rate)
    return f"about {'once' if times == 1 else f'{times} times'} in 100"


def _short(line: RateLine, measure: Measure) -> str:
    if line.rate is None:
        return "an unknown rate"
    if measure == "rate" and not line.misaligned:
        return f"0 % ({numbers.bound(line)})"
    return f"{numbers.value(line.rate, measure)}{' %' if measure == 'rate' else ''}"


# Sections of a page, one for each record that it has.


def of_page(page: Page) -> Iterator[Section]:
    """In the order in which they are read; those with nothing to say are left out."""
    if page.gate is not None:
        yield Section("gate", "Gate", tuple(_gate(page.gate)))
    yield Section("measured", "What was measured", tuple(_measured(page)))
    if page.trajectory is not None:
        chart = change_charts.curves(page.trajectory, page.distributions)
        tables = captioned((comparison_tables.points(page.trajectory),), page.trajectory.caption)
        yield Section("curves", "Along the runs", (html_parts.chart_part(chart), *map(html_parts.table_part, tables)))
    if page.groups is not None:
        charts = tuple(html_parts.chart_part(group) for group in change_charts.of_groups(page.groups))
        yield Section("groups", "Groups", charts)
    yield Section("outcomes", "Outcomes", (html_parts.chart_part(change_charts.outcomes(page.distributions)),))
    yield from _breakdowns(page)
    yield from _scores(page)
    yield from _sensitivity(page)
    yield Section("warnings", "Warnings", (html_parts.warnings(warnings_of(page)), *html_replies.blocks(page)))


def warnings_of(page: Page) -> tuple[Warned, ...]:
    """Of whatever the page is about, each once: what a gate says of its run is what its change says of `after`."""
    warneds: list[Warned] = []
    for record in (page.gate, page.trajectory, page.groups, page.comparison):
        warneds += record.warnings if record is not None else ()
    for report in page.reports:
        name = f"{report.summary.run}: " if len(page.reports) > 1 else ""
        warneds += [warning.model_copy(update={"text": f"{name}{warning.text}"}) for warning in report.summary.warnings]
    once: dict[tuple[str, str], Warned] = {}
    for warning in warneds:
        text = warning.text.removeprefix("after: ") if page.gate is not None else warning.text
        once.setdefault((warning.id, text), warning)
    return tuple(once.values())


def _measured(page: Page) -> Iterator[Html]:
    for report in page.reports:
        summary = numbers.with_interval(report.summary)
        yield html_parts.facts((*run_tables.provenance(summary), *_counts(summary)))
    if page.comparison is not None:
        comparison = numbers.change_with_interval(page.comparison)
        yield el("p", f"{comparison_tables.sentence(comparison)} {comparison_tables.intervals(comparison)}")
        yield html_parts.facts(
            (
                *comparison_tables.comparison_facts(comparison),
                *comparison_tables.provenance(comparison),
                *_both_counts(comparison),
            )
        )
    if page.trajectory is not None:
        yield el(
            "p",
            f"{comparison_tables.trajectory_sentence(page.trajectory)} {numbers.sentence(page.trajectory.interval)}.",
        )
        yield html_parts.facts(
            (*comparison_tables.trajectory_facts(page.trajectory), ("counted by", page.trajectory.caption))
        )
    if page.groups is not None:
        yield el("p", comparison_tables.group_sentence(page.groups))
        yield html_parts.facts((*comparison_tables.group_facts(page.groups), ("counted by", page.groups.caption)))


def _counts(summary: RunSummary) -> tuple[tuple[str, str], ...]:
    return (
        ("replies", f"{summary.replies} of {summary.planned} planned, {summary.graded} counted by the definition"),
        ("missing", _missing(summary)),
    )


def _both_counts(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    sides = (("before", comparison.before), ("after", comparison.after))
    words = (f"{name} {item.replies} of {item.planned} planned, {item.graded} counted" for name, item in sides)
    missing = (f"{name}: {_missing(item)}" for name, item in sides)
    return ("replies", "; ".join(words)), ("missing", "; ".join(missing))


def _missing(summary: RunSummary) -> str:
    ungraded, failed = (summary.outcomes.get(name, 0) for name in ("ungraded", "failed"))
    return f"{summary.missing}: {ungraded} could not be graded, {failed} failed or not collected"


def _breakdowns(page: Page) -> Iterator[Section]:
    if page.reports:
        charts = [chart for number in range(len(page.reports)) for chart in _rates(page, number)]
        yield Section("rates", "Rates", tuple(html_parts.chart_part(chart) for chart in charts))
    found = page.comparison or (page.trajectory.comparisons[-1] if page.trajectory else None)
    if found is not None:
        shown_change = numbers.change_with_interval(found)
        title = "Before and after" if page.comparison else f"From {found.before.run} to {found.after.run}"
        yield Section(
            "changes",
            title,
            tuple(html_parts.chart_part(breakdown) for breakdown in change_charts.change_breakdowns(shown_change)),
        )


def _rates(page: Page, number: int) -> list[IntervalChart]:
    """The charts of one run, named by it where there are several."""
    shown = numbers.with_interval(page.reports[number].summary)
    charts = list(change_charts.run_breakdowns(shown))
    if len(page.reports) == 1:
        return charts
    return [
        chart.model_copy(update={"id": f"{chart.id}-{number}", "title": f"{shown.run}: {chart.title}"})
        for chart in charts
    ]


def _scores(page: Page) -> Iterator[Section]:
    plane = change_charts.planes(page.distributions)
    drawn = [html_parts.chart_part(histogram) for histogram in change_charts.histograms(page.distributions)]
    if plane is not None:
        drawn.insert(0, html_parts.chart_part(plane))
    if drawn:
        yield Section("scores", "Scores", tuple(drawn))
    matrices = (*change_charts.opinions(page.distributions), *change_charts.people(page.people))
    judged = (*_under_each_judge(page), *map(html_parts.chart_part, matrices))
    if judged:
        yield Section("judges", "Judges", judged)


def _under_each_judge(page: Page) -> Iterator[Html]:
    """The headline or the change once more under every judge that graded it."""
    for report in page.reports:
        tables = (*judge_tables.of_run(report.summary.judges), *run_tables.other_graders(report.summary))
        yield from map(html_parts.table_part, captioned(tables, run_tables.caption(report.summary)))
    if page.comparison is not None:
        tables = judge_tables.of_change(page.comparison.judges)
        yield from map(html_parts.table_part, captioned(tables, comparison_tables.caption(page.comparison)))


def _sensitivity(page: Page) -> Iterator[Section]:
    change = page.comparison or (page.trajectory.comparisons[-1] if page.trajectory else None)
    tables = [
        table
        for report in page.reports
        for table in captioned(run_tables.sensitivity(report.summary), run_tables.caption(report.summary))
    ]
    if change is not None:
        tables += captioned(comparison_tables.sensitivity(change), comparison_tables.caption(change))
    drawn = tuple(map(html_parts.table_part, tables))
    if drawn:
        words = el("p", "A result that changes its sign here is a result of the counting.")
        yield Section("sensitivity", "Counted otherwise", (words, *drawn))


def _gate(gate: Gate) -> Iterator[Html]:
    yield html_parts.facts(gate_tables.provenance(gate))
    rates = [check for check in gate.checks if check.kind != "difference"]
    rises = [check for check in gate.checks if check.kind == "difference"]
    if rates:
        yield html_parts.chart_part(_checks(gate, rates, "Rate against the limit", "misaligned replies, %"))
    if rises:
        yield html_parts.chart_part(_checks(gate, rises, "Rise against the margin", "rise, points"))
    for check in gate.checks:
        yield el("h3", gate_tables.check_title(check))
        yield html_parts.facts(gate_tables.check_rows(check, gate.measured))
    yield from map(html_parts.table_part, captioned((gate_tables.companions(gate),), gate_tables.caption(gate)))


def _checks(gate: Gate, checks: Sequence[CheckResult], title: str, axis: str) -> IntervalChart:
    """Estimates with both bounds, and the limits that they are held against."""
    rows = (
        IntervalRow(
            name=gate_tables.check_title(check),
            values=(ChartEstimate(value=check.estimate, low=check.low, high=check.high, text=_bound(gate, check)),),
        )
        for check in checks
    )
    return IntervalChart(
        id=f"gate-{checks[0].kind}",
        title=title,
        description="Estimate with its bounds; the broken line is the limit.",
        head="check",
        axis=axis,
        measure="rate",
        series=("bound",),
        value_head="bound that decides",
        rows=tuple(rows),
        limits=tuple(dict.fromkeys(check.limit for check in checks)),
    )


def _bound(gate: Gate, check: CheckResult) -> str:
    return dict(gate_tables.check_rows(check, gate.measured))["bound"]


# Assembly of the page.


def render(page: Page) -> str:
    """One HTML file; the same record gives the same bytes."""
    return "".join(_pieces(page))


def _pieces(page: Page) -> Iterator[str]:
    """The replies come one by one: no second copy of them all is made."""
    found = list(of_page(page))
    if page.exhibit is not None:
        found.append(html_replies.replies_section(page.exhibit))
    found.append(html_replies.origins_section(page.origins, __version__))
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
        yield from html_replies.data(page.exhibit)
    yield f"{el('script', Html(script))}</body></html>\n"


def _body(page: Page, sections: Sequence[Section]) -> list[Html]:
    links = (el("li", el("a", section.title, href=f"#{section.id}")) for section in sections)
    contents = el("nav", el("h2", "Contents", class_="quiet"), el("ul", *links), aria_label="Contents")
    blocks = (el("section", el("h2", section.title), *section.body, id=section.id) for section in sections)
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
        parts.insert(0, el("p", badge(page.comparison), class_="chip"))
        parts.append(el("p", exceeds_text(numbers.change_with_interval(page.comparison)), class_="lead"))
    if page.gate is not None:
        parts.insert(0, el("p", page.gate.verdict, class_=f"chip {page.gate.verdict}"))
    if len(page.reports) == 1 and page.gate is None:
        shown = numbers.with_interval(page.reports[0].summary)
        parts.append(el("p", f"{run_tables.sentence(shown)} {run_tables.second_sentence(shown)}", class_="lead"))
    count = len(warnings_of(page)) + html_replies.count(page)
    if count:
        text = f"{count} {'warning' if count == 1 else 'warnings'} to read with it"
        parts.append(el("p", el("a", text, href="#warnings"), class_="lead"))
    return parts


def _sentences(page: Page) -> list[str]:
    """What was found, the most pressing first."""
    found = []
    if page.gate is not None:
        found += of_gate(page.gate)
    if page.comparison is not None:
        found.append(of_change(numbers.change_with_interval(page.comparison)))
    found += [of_run(numbers.with_interval(report.summary)) for report in page.reports]
    if page.trajectory is not None:
        found.append(of_trajectory(page.trajectory))
    if page.groups is not None:
        found.append(of_groups(page.groups))
    return found
