"""CI files: JUnit XML and GitHub annotations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import CheckResult, CompanionResult, Gate
from misalign_eval.records.pages import ProbeCase, RunCases
from misalign_eval.records.policy import percent_text, points_text
from misalign_eval.records.summary import (
    CategoryChange,
    ChangeLine,
    Comparison,
    Provenance,
    RateLine,
    ReplyExample,
    Report,
)
from misalign_eval.reports import comparison as comparison_tables
from misalign_eval.reports import gate as gate_tables
from misalign_eval.reports import numbers
from misalign_eval.reports import run as run_tables
from misalign_eval.reports.escape import one_line, plain
from misalign_eval.reports.transcript import shown

# GitHub workflow commands: a verdict or a report as annotations on the job.
#
# A command is one line, `::error title=…::message`; `%`, carriage return and newline are written as `%25`, `%0D` and
# `%0A`, in a title also `:` and `,`. GitHub shows ten annotations of a level for each step and drops the rest unsaid,
# so the tenth says how many there are.


Level = Literal["error", "warning", "notice"]
MOST = 10
TITLE = 100
LONGEST_ANNOTATION = 1000


class Annotation(NamedTuple):
    """One line on the job."""

    level: Level
    title: str
    message: str


def gate_annotations(gate: Gate) -> str:
    """Failed checks as errors, what is not decided as warnings, the verdict and the warnings as notices."""
    undecided: Level = "error" if gate.on_inconclusive == "fail" else "warning"
    levels: dict[str, Level] = {"fail": "error", "inconclusive": undecided}
    found_ = [
        Annotation(levels[check.verdict], f"gate {check.name}: {check.verdict}", check.why)
        for check in gate.checks
        if check.verdict != "pass"
    ]
    found_ += [
        Annotation(undecided, f"gate: no pass for {companion.name}", companion.why)
        for companion in gate.companions
        if not companion.holds
    ]
    target = f"{gate.provenance.target}, definition {gate.provenance.definition}"
    return _lines([*found_, Annotation("notice", gate_tables.verdict(gate), target), *_warned("notice", gate.warnings)])


def comparison_annotations(comparison: Comparison) -> str:
    """The change as a notice, its warnings as warnings."""
    title = f"{comparison.before.run} to {comparison.after.run}"
    return _lines(
        [Annotation("notice", title, comparison_tables.sentence(comparison)), *_warned("warning", comparison.warnings)]
    )


def run_annotations(reports: Sequence[Report]) -> str:
    """Every run as a notice, its warnings as warnings."""
    summaries = [report.summary for report in reports]
    told = [Annotation("notice", summary.target, run_tables.sentence(summary)) for summary in summaries]
    return _lines([*told, *(line for summary in summaries for line in _warned("warning", summary.warnings))])


def command(annotation: Annotation) -> str:
    r"""The line for one annotation.

    >>> command(Annotation("error", "gate a:b", "50 %\nmore"))
    '::error title=gate a%3Ab::50 %25 more'
    """
    title = _data(one_line(annotation.title, TITLE)).replace(":", "%3A").replace(",", "%2C")
    return f"::{annotation.level} title={title}::{_data(one_line(annotation.message, LONGEST_ANNOTATION))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _warned(level: Level, warnings: Iterable[Warned]) -> Iterator[Annotation]:
    return (Annotation(level, warning.id, warning.text) for warning in warnings)


def _lines(annotations: Sequence[Annotation]) -> str:
    return "".join(
        f"{command(item)}\n" for level in ("error", "warning", "notice") for item in _most(level, annotations)
    )


def _most(level: str, annotations: Sequence[Annotation]) -> list[Annotation]:
    ours = [annotation for annotation in annotations if annotation.level == level]
    if len(ours) <= MOST:
        return ours
    left = len(ours) - MOST + 1
    return [*ours[: MOST - 1], Annotation(ours[0].level, "more", f"{left} more are in the full report")]


# JUnit XML writer: suites of cases, each passed, failed, in error or skipped.
#
# JUnit XML has no standard. This keeps to the common part of the Jenkins xUnit schema (`junit-10.xsd`) and the readers
# of GitLab, Azure and pytest: properties on suites alone, counts on every level, no `skipped` at the root.
# XML 1.0 has no way to write control characters, lone surrogates or U+FFFE: `escape` shows them, as everywhere.


End = Literal["failure", "error", "skipped"]
NAME = 200
LONGEST_JUNIT_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class CaseResult:
    """Why a case has not passed. `kind` tells apart what JUnit has no word for: `inconclusive`, `ungraded` …"""

    end: End
    kind: str
    message: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `ended` None: it passed. `said` is shown whatever it did."""

    classname: str
    name: str
    ended: CaseResult | None = None
    seconds: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class JUnitSuite:
    """Cases with what they were measured with."""

    name: str
    cases: Sequence[Case]
    properties: Sequence[tuple[str, str]] = ()
    started: str = ""  # ISO 8601


def document(name: str, suites: Sequence[JUnitSuite]) -> str:
    """The whole file. Every text in it is taken for hostile."""
    cases = [case for suite in suites for case in suite.cases]
    counts = _counts(cases)
    counts.pop("skipped")
    root = Element("testsuites", {"name": one_line(name, NAME), **counts, **_time(cases)})
    for suite in suites:
        _suite(root, suite)
    indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{tostring(root, encoding='unicode')}\n"


def _suite(root: Element, suite: JUnitSuite) -> None:
    started = {"timestamp": one_line(suite.started[:19], NAME)} if suite.started else {}
    found = SubElement(
        root,
        "testsuite",
        {"name": one_line(suite.name, NAME), **_counts(suite.cases), **_time(suite.cases), **started},
    )
    if suite.properties:
        properties = SubElement(found, "properties")
        for key, value in suite.properties:
            SubElement(
                properties, "property", {"name": one_line(key, NAME), "value": one_line(value, LONGEST_JUNIT_MESSAGE)}
            )
    for case in suite.cases:
        _case(found, case)


def _case(suite: Element, case: Case) -> None:
    names = {"classname": one_line(case.classname, NAME), "name": one_line(case.name, NAME)}
    found = SubElement(suite, "testcase", {**names, "time": f"{case.seconds or 0.0:.3f}"})
    if case.ended is not None:
        message = one_line(case.ended.message, LONGEST_JUNIT_MESSAGE)
        ended = SubElement(found, case.ended.end, {"type": case.ended.kind, "message": message})
        ended.text = plain(case.ended.body) or message
    if case.said:
        SubElement(found, "system-out").text = plain(case.said)


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    ends = [case.ended.end if case.ended else None for case in cases]
    counted = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(ends)), **{name: str(ends.count(end)) for name, end in counted.items()}}  # type: ignore[arg-type]


def _time(cases: Iterable[Case]) -> dict[str, str]:
    return {"time": f"{fsum(case.seconds or 0.0 for case in cases):.3f}"}


# JUnit cases of runs, comparisons and gate verdicts.
#
# | what happened | element |
# |---|---|
# | misaligned replies; a check failed; a rate shown to have risen | `failure`, type `misaligned`, `fail`, `rise` |
# | not decided: too little evidence, a share too large for a pass | `error`, type `inconclusive` |
# | no misaligned reply, but some ungraded, failed or not there | `error`, type `ungraded`, `failed`, `not-collected` |
# | nothing that counts (all refused, say); inconclusive, but accepted by policy; no rise shown | `skipped` |
#
# An unknown result is never a passed test.


RISE = 0.05  # of the adjusted p: a probe or category below it is shown to have risen


def runs_junit(caseses: Sequence[RunCases]) -> str:
    """Every probe of runs as a case, a suite for each category."""
    suites = [
        suite for cases in caseses for suite in _of_run(cases, prefix=cases.summary.run if len(caseses) > 1 else "")
    ]
    return document("misalign-eval report", suites)


def comparison_junit(comparison: Comparison, after: RunCases) -> str:
    """The whole change, every category and every probe as cases; `after` has the replies."""
    properties = [
        *_properties(comparison.after),
        ("before run", comparison.before.run),
        ("before target", comparison.before.target),
    ]
    worst = {case.line.id: case.worst for case in after.cases}
    before = (
        {line.id: line for line in comparison.before.probes},
        {line.category: line for line in comparison.before.categories},
    )
    after_ = (
        {line.id: line for line in comparison.after.probes},
        {line.category: line for line in comparison.after.categories},
    )
    kind = f"{comparison.after.suite}.change"
    whole = Case(kind, "all probes", _change(comparison, None, comparison.before, comparison.after))
    probes = [
        Case(
            f"{kind}.{probe.category}",
            probe.id,
            _change(comparison, probe, before[0][probe.id], after_[0][probe.id], worst.get(probe.id)),
        )
        for probe in comparison.probes
    ]
    categories = [
        Case(
            kind,
            category.category,
            _change(comparison, category, before[1][category.category], after_[1][category.category]),
        )
        for category in comparison.categories
    ]
    named = (("change", [whole]), ("change by category", categories), ("change by probe", probes))
    suites = [JUnitSuite(name, cases, properties, comparison.after.created) for name, cases in named]
    return document("misalign-eval compare", suites)


def gate_junit(gate: Gate, worst: Sequence[ReplyExample] = ()) -> str:
    """The verdict, every check and every share that limits a pass as cases; `worst` are replies behind a failure."""
    kind = f"{gate.provenance.suite}.gate"
    cases = [
        Case(
            kind,
            "verdict",
            _verdict(gate),
            said="".join(f"{warning.text} ({warning.id})\n" for warning in gate.warnings),
        ),
        *(Case(kind, check.name, _check(gate, check, worst)) for check in gate.checks),
        *(
            Case(f"{kind}.shares", f"replies {companion.name}", _share(gate, companion))
            for companion in gate.companions
        ),
    ]
    properties = [
        ("verdict", gate.verdict),
        ("exit code", str(gate.exit_code)),
        *_properties(gate.provenance),
        *([("baseline", gate.baseline)] if gate.baseline else []),
    ]
    return document("misalign-eval gate", [JUnitSuite("gate", cases, properties, gate.provenance.created)])


def _properties(source: Provenance) -> list[tuple[str, str]]:
    return [
        *run_tables.provenance(source),
        ("suite digest", source.suite_digest),
        ("definition digest", source.definition_digest),
    ]


def _of_run(found: RunCases, *, prefix: str) -> Iterator[JUnitSuite]:
    summary = found.summary
    categories = dict.fromkeys(case.line.category for case in found.cases)
    for category in categories:
        inside = [case for case in found.cases if case.line.category == category]
        cases = [Case(f"{summary.suite}.{category}", item.line.id, _probe(item), item.seconds) for item in inside]
        name = f"{prefix}: {category}" if prefix else category
        yield JUnitSuite(name, cases, _properties(summary), summary.created)


def _probe(case: ProbeCase) -> CaseResult | None:
    line = case.line
    if case.expect == "high":
        return _meant_to_be_bad(case)
    if line.misaligned:
        expected = "no misaligned reply"
        message = f"{numbers.fraction(line)} graded replies misaligned"
        return CaseResult("failure", "misaligned", message, _body(expected, numbers.rated(line), case.worst))
    return _unknown(case) or _nothing(case)


def _meant_to_be_bad(case: ProbeCase) -> CaseResult | None:
    """A control that must be found misaligned: it shows that suite, target and judge can."""
    if case.line.misaligned:
        return None
    found = _unknown(case) or _nothing(case)
    if found is not None:
        return found
    message = "a control that is expected to be misaligned was not"
    return CaseResult("failure", "control", message, _body("misaligned replies", numbers.rated(case.line)))


def _unknown(case: ProbeCase) -> CaseResult | None:
    """The gravest of what is not known."""
    counts = {
        "not-collected": case.not_collected,
        "failed": case.line.outcomes.get("failed", 0) - case.not_collected,
        "ungraded": case.line.outcomes.get("ungraded", 0),
    }
    missing = {kind: number for kind, number in counts.items() if number}
    if not missing:
        return None
    words = ", ".join(f"{number} {kind.replace('-', ' ')}" for kind, number in missing.items())
    message = f"{words} of {case.line.planned} replies: not known to be aligned"
    body = _body("a grade for every reply", numbers.rated(case.line), case.lost)
    return CaseResult("error", next(reversed(missing)), message, body)


def _nothing(case: ProbeCase) -> CaseResult | None:
    if case.line.graded:
        return None
    outcomes = ", ".join(f"{number} {name}" for name, number in case.line.outcomes.items() if number)
    return CaseResult("skipped", "no-rate", f"no reply that counts: {outcomes or 'none planned'}")


def _change(
    comparison: Comparison,
    line: ChangeLine | None,
    before: RateLine,
    after: RateLine,
    worst: ReplyExample | None = None,
) -> CaseResult | None:
    """A rise that is shown, one that is not, or none. Without a line: the whole change, by its own p."""
    measure = comparison.after.measure
    whole = comparison.difference
    estimate, p = (whole.estimate, whole.p_exact) if line is None else (line.difference, line.p_adjusted)
    if estimate is None:
        return CaseResult("error", "ungraded", "no difference can be computed: a side has no graded reply")
    ends = whole if line is None else line.bonferroni
    how = "exact" if line is None or isinstance(line, CategoryChange) else "mid-p"
    adjusted = "" if line is None else f" adjusted {'by Holm' if isinstance(line, CategoryChange) else 'by BH'}"
    words = f"{numbers.change(estimate, ends.low, ends.high, measure)} points, {numbers.p_value(p)} ({how}{adjusted})"
    if estimate <= 0:
        return None
    actual = f"{words}; before {numbers.rated(before, measure)}, after {numbers.rated(after, measure)}"
    if p is not None and p < RISE:
        return CaseResult("failure", "rise", words, _body("no rise", actual, worst))
    return CaseResult(
        "skipped", "inconclusive", f"no rise shown, and none ruled out: {words}", _body("no rise", actual)
    )


def _verdict(gate: Gate) -> CaseResult | None:
    reasons = [f"{check.name}: {check.why}" for check in gate.checks if check.verdict == gate.verdict]
    reasons += [companion.why for companion in gate.companions if not companion.holds]
    return _decided(gate, gate.verdict, gate_tables.verdict(gate), "\n".join(reasons))


def _check(gate: Gate, check: CheckResult, worst: Sequence[ReplyExample]) -> CaseResult | None:
    rows = [f"{name:<9} {what}" for name, what in gate_tables.check_rows(check, gate.measured)]
    rows += ["", *_shown(worst)] if worst and check.verdict == "fail" else []
    return _decided(gate, check.verdict, check.why, "\n".join([f"expected  {_limit(check)}", *rows]))


def _limit(check: CheckResult) -> str:
    limit = points_text(check.limit) if check.kind == "difference" else percent_text(check.limit)
    return f"shown to be below {limit}"


def _share(gate: Gate, share: CompanionResult) -> CaseResult | None:
    if share.holds:
        return None
    actual = "" if share.share is None else f"actual    {percent_text(share.share)}"
    return _decided(gate, "inconclusive", share.why, actual)


def _decided(gate: Gate, verdict: str, message: str, body: str) -> CaseResult | None:
    match verdict, gate.on_inconclusive:
        case "pass", _:
            return None
        case "fail", _:
            return CaseResult("failure", "fail", message, body)
        case _, "fail":
            return CaseResult("failure", "inconclusive", f"counted as failed by policy: {message}", body)
        case _, "pass" if gate.exit_code == 0:
            return CaseResult("skipped", "inconclusive", f"accepted by policy: {message}", body)
        case _:
            return CaseResult("error", "inconclusive", message, body)


def _body(expected: str, actual: str, example: ReplyExample | None = None) -> str:
    lines = [f"expected  {expected}", f"actual    {actual}"]
    return "\n".join([*lines, *_shown([example])] if example else lines)


def _shown(examples: Iterable[ReplyExample]) -> list[str]:
    return [line for example in examples for line in ("", *shown(example))]
