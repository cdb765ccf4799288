"""Tables of gates: the verdict, each check, and the guardrails that limit a pass."""

import math
from collections.abc import Mapping

from misalign_eval.records.definition import Outcome
from misalign_eval.records.document import Facts, ReportDocument, Table, Trusted, captioned, trusted, warnings_block
from misalign_eval.records.gate import CheckResult, CompanionResult, Gate
from misalign_eval.records.policy import percent_text, points_size, points_text
from misalign_eval.reports import sentences
from misalign_eval.reports.run import suite
from misalign_eval.stats.sequential import needed_log_evidence

SHOUT = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE"}


def gate_document(gate: Gate) -> ReportDocument:
    """The verdict first, then every check, then what limits a pass."""
    return ReportDocument(
        title=Trusted(verdict(gate)),
        tone=gate.verdict,
        blocks=(
            Facts(provenance(gate)),
            *(Facts(check_rows(check, gate.measured), check_title(check)) for check in gate.checks),
            *captioned((companions(gate),), caption(gate)),
            *warnings_block(gate.warnings),
        ),
    )


def verdict(gate: Gate) -> str:
    """The verdict and the exit code that it gives."""
    word = SHOUT[gate.verdict]
    if gate.verdict == "inconclusive":
        word += {0: ", accepted by policy", 1: ", counted as failed by policy"}.get(gate.exit_code, ": no pass")
    samples = "1 sample" if gate.stopped_at == 1 else f"{gate.stopped_at} samples"
    decided = f", decided after {samples} of each prompt" if gate.stopped_at is not None else ""
    return f"Gate: {word}{decided}"


def provenance(gate: Gate) -> tuple[tuple[str, str], ...]:
    """Whose verdict this is."""
    source = gate.provenance
    method = "looks after every round, with early stopping" if gate.method == "sequential" else "looks once, at the end"
    rows = (
        ("run", ", ".join(gate.runs)),
        ("target", _target(gate)),
        ("baseline", gate.baseline or ""),
        ("suite", suite(source)),
        ("definition", source.definition),
        ("judge", source.judge or "none: rules only"),
        *sentences.provenance(source.calibration),
        ("controls", _controls(gate)),
        ("measured", gate.measured),
        ("method", method if gate.looks == 1 else f"look {gate.looks} at this run"),
        ("not needed", f"{gate.not_needed} planned replies" if gate.not_needed else ""),
    )
    return tuple(row for row in rows if row[1])


def _controls(gate: Gate) -> str:
    """What the judge said of the replies that were written for it."""
    return "; ".join(control.words for control in gate.controls)


def _target(gate: Gate) -> str:
    source = gate.provenance
    digest = f" ({gate.target_digest[:8]})" if gate.target_digest else ""
    return f"{source.called} at {source.host}{digest}" if source.host else f"{source.called}{digest}"


def caption(gate: Gate) -> str:
    """Printed with every table."""
    source = gate.provenance
    return f"definition {source.definition}; judge {source.judge or 'none'}; suite {suite(source)}"


def check_title(check: CheckResult) -> str:
    """`rate: pass`."""
    return f"{check.name}: {check.verdict}"


def check_rows(check: CheckResult, measured: str) -> tuple[tuple[str, str], ...]:
    """A check in full: estimate, bound, limit, n, why, error, what would settle it."""
    by = "" if check.labels is None else "by the judge "
    counts = f"{by}{check.misaligned}/{check.graded} graded replies misaligned, {check.unknown} unknown{_kinds(check)}"
    rows = (
        ("what", _what(check, measured)),
        ("estimate", f"{_amount(check, check.estimate)} ({counts})"),
        ("beside", _beside(check)),
        ("interval", _interval(check)),
        ("bound", _bound(check)),
        ("evidence", _evidence(check)),
        ("basis", check.basis),
        ("why", check.why),
        ("error", check.statement),
        ("settles", check.settles),
    )
    return tuple(row for row in rows if row[1])


def companions(gate: Gate) -> Table:
    """What must hold beside the checks for a pass to mean something."""
    rows = tuple(
        (
            companion.name.replace("_", " "),
            "-" if companion.share is None else percent_text(companion.share),
            "-" if companion.most is None else percent_text(companion.most),
            _rise(companion),
            "-" if companion.most_rise is None else f"{100 * companion.most_rise:.3g}",
            "yes" if companion.holds else "NO",
        )
        for companion in gate.companions
    )
    columns = trusted("replies", "at most", "allowed", "rise", "allowed", "holds")
    broken = "; ".join(companion.why for companion in gate.companions if not companion.holds)
    note = f"No pass: {broken}" if broken else "every unknown reply counts against each share"
    return Table("What a pass also needs", columns, rows, note)


def unknown(check: CheckResult) -> str:
    """`87 blocked, 3 ungraded`."""
    return counts(check.unknown_as) or str(check.unknown)


def counts(outcomes: Mapping[Outcome, int]) -> str:
    """`87 blocked, 3 off topic`."""
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in outcomes.items())


def _kinds(check: CheckResult) -> str:
    return f" ({counts(check.unknown_as)})" if check.unknown_as else ""


def _beside(check: CheckResult) -> str:
    return f"{counts(check.beside)}: in neither" if check.beside else ""


def _rise(share: CompanionResult) -> str:
    if share.rise is None:
        return "-"
    low = "" if share.rise_low is None else f", ≥ {100 * share.rise_low:+.3g}"
    return f"{points_text(share.rise)}{low}"


def _what(check: CheckResult, measured: str) -> str:
    of = "for probes like these" if check.estimand == "general" else "for exactly these probes"
    if check.labels is not None:
        measured = f"rate as people judge, corrected by {check.labels} labels"
    kind = {"rate": measured, "difference": f"rise of the {measured}", "max-probe": f"{measured} of every probe"}
    return f"{kind.get(check.kind, check.kind)}, {of}: {check.scope}"


def _interval(check: CheckResult) -> str:
    if check.low is None or check.high is None:
        return ""
    ends = f"{_amount(check, check.low)} to {_amount(check, check.high)}"
    if check.rounds is None:
        levels = f"{percent_text(1 - check.alpha_fail)} below, {percent_text(1 - check.alpha_pass)} above"
        return f"{ends} (one-sided bounds: {levels})"
    return f"{ends} (95 %, holds at every round; the point estimate is selected by stopping)"


def _evidence(check: CheckResult) -> str:
    """Evidence of early stopping so far, on both sides."""
    if check.evidence_pass is None or check.evidence_fail is None:
        return ""
    sides = (("pass", check.evidence_pass, check.alpha_pass), ("fail", check.evidence_fail, check.alpha_fail))
    shown = [f"{_times(log)} of {_times(needed_log_evidence(alpha))} for {side}" for side, log, alpha in sides]
    return ", ".join(shown)


def _times(log: float) -> str:
    return f"{math.exp(log):,.3g}" if log < 20 else f"e^{log:.0f}"


def _bound(check: CheckResult) -> str:
    side = "lower" if check.verdict == "fail" else "upper"
    name = "margin" if check.kind == "difference" else "limit"
    return f"{side} {_amount(check, check.bound)} against a {name} of {_limit(check)}"


def _limit(check: CheckResult) -> str:
    return points_size(check.limit) if check.kind == "difference" else percent_text(check.limit)


def _amount(check: CheckResult, fraction: float | None) -> str:
    if fraction is None:
        return "none"
    return points_text(fraction) if check.kind == "difference" else percent_text(fraction)
