"""A gate over all the replies of a run, looked at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from misalign_eval.analysis import gate_corrected
from misalign_eval.analysis import gate_words as words
from misalign_eval.analysis.gate_cells import Counted, Counting, Side, count, has_reply, paired_scope, scope, subject
from misalign_eval.analysis.gate_corrected import Labels
from misalign_eval.analysis.selection import Headline
from misalign_eval.analysis.tally import Cell
from misalign_eval.records.gate import CheckResult, Verdict
from misalign_eval.records.policy import Check, Policy
from misalign_eval.stats.gates import Decision, difference_gate, maximum_gate, rate_gate
from misalign_eval.stats.missing import PartialCells, ruled
from misalign_eval.stats.settlement import difference_settlement, rate_settlement
from misalign_eval.stats.unequal import needed_for_proportion


@dataclass(frozen=True, slots=True)
class _Reading:
    """A check with its counts; `before` only for a difference."""

    check: Check
    head: Headline
    after: Counted
    before: Counted | None
    alpha_fail: float
    looks: int

    @property
    def unknown(self) -> int:
        return self.after.unknown + (self.before.unknown if self.before else 0)

    @property
    def lost(self) -> int:
        """Unknown replies that can be asked or judged again."""
        return self.after.lost + (self.before.lost if self.before else 0)

    @property
    def before_partial(self) -> PartialCells | None:
        return self.before.partial if self.before else None

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.after.silent, *(self.before.silent if self.before else ())]))


def fixed(
    policy: Policy, run: Side, baseline: Side | None, *, looks: int = 1, labels: Labels | None = None
) -> tuple[CheckResult, ...]:
    """Decide every check. A false fail is shared out among the checks; a false pass needs no correction.

    `labels` are for checks of the corrected rate. Raises UsageError for a scope that the run does not have, and a
    baseline with other prompts.
    """
    checks, run, baseline = len(policy.checks), run.under(policy), baseline and baseline.under(policy)
    return tuple(
        gate_corrected.result(check, checks, run, labels, looks)
        if check.kind == "rate" and check.corrected
        else _result(_read(check, checks, run, baseline, looks))
        for check in policy.checks
    )


def _read(check: Check, checks: int, run: Side, baseline: Side | None, looks: int) -> _Reading:
    alpha_fail = check.alpha_fail / checks
    if check.kind != "difference" or baseline is None:
        head = scope(check, run.cells)
        return _Reading(check, head, count(head.cells, run.counting), None, alpha_fail, looks)
    before, after = paired_scope(check, baseline, run)
    kept = _usable(before.cells, after.cells, run.counting)
    now, then = (count(head.cells, run.counting, kept) for head in (after, before))
    return _Reading(check, after, now, then, alpha_fail, looks)


def _usable(before: Sequence[Cell], after: Sequence[Cell], counting: Counting) -> list[bool]:
    """Pairs with something to count on both sides; the others forbid a pass as silent probes."""
    return [
        all(has_reply(cell.count(counting.graded), cell.count(counting.unknown)) for cell in pair)
        for pair in zip(before, after, strict=True)
    ]


def _decision(found: _Reading) -> Decision | None:
    check, after, before = found.check, found.after.partial, found.before_partial
    if after is None:
        return None
    if check.kind == "max-probe":
        return maximum_gate(after, check.limit, alpha_pass=check.alpha_pass, alpha_fail=found.alpha_fail)
    alphas = {"alpha_pass": check.alpha_pass, "alpha_fail": found.alpha_fail}
    if check.kind == "rate":
        return rate_gate(after, check.limit, estimand=check.estimand, **alphas)
    if before is None:
        return None
    return difference_gate(before, after, check.margin, estimand=check.estimand, **alphas)


def _result(found: _Reading) -> CheckResult:
    decision = _decision(found)
    verdict: Verdict = decision.verdict if decision else "inconclusive"
    reason: str = decision.reason if decision else "nothing graded"
    if verdict == "pass" and found.silent:
        verdict, reason = "inconclusive", "ungraded cell"
    check, general = found.check, found.check.estimand == "general"
    rule = decision.rule if decision else None
    alpha_fail = found.alpha_fail / (len(found.after.probes) or 1) if check.kind == "max-probe" else found.alpha_fail
    low = decision.lower if decision else None
    high = decision.upper if decision else None
    probe = found.after.probes[decision.probe] if decision and decision.probe is not None else None
    return CheckResult(
        **subject(check, found.head),
        estimate=decision.estimate if decision else None,
        bound=low if verdict == "fail" else high,
        low=low,
        high=high,
        alpha_fail=alpha_fail,
        verdict=verdict,
        reason=reason,
        why=_why(found, alpha_fail, verdict, reason, low, high) + (f" (probe {probe})" if probe else ""),
        statement=words.statement(
            check, verdict, found.alpha_fail, found.looks, approximate=words.is_approximate(check, rule)
        ),
        settles="" if verdict != "inconclusive" else _settles(found, decision, general=general),
        misaligned=found.after.misaligned,
        graded=found.after.graded,
        unknown=found.unknown,
        probe=probe,
        rule=(rule or "gaffke") if decision else "",
        basis=_basis(found, decision) if decision else "",
    )


def _basis(found: _Reading, decision: Decision) -> str:
    sides = _sides(found, decision)
    kept = sum(float(ruled(side)[1].graded.sum()) for side, _, _ in sides)
    graded = sum(float(side.graded.sum()) for side, _, _ in sides)
    return words.basis(found.check, decision.rule, round(kept), round(graded))


def _sides(found: _Reading, decision: Decision) -> list[tuple[PartialCells, tuple[str, ...], str]]:
    """The cells behind the bounds, their names, and whose they are; of a check of every probe those that decide."""
    after, before = found.after.partial, found.before
    if after is None:
        return []
    if decision.probe is not None:
        inside = np.flatnonzero(after.probes == decision.probe)
        return [(after.select(decision.probe), tuple(found.after.prompts[place] for place in inside), "")]
    if before is None or before.partial is None:
        return [(after, found.after.prompts, "")]
    return [(before.partial, before.prompts, " of the baseline"), (after, found.after.prompts, " of the run")]


def _uneven(found: _Reading, decision: Decision) -> str:
    """Which prompts starve the bound, where it is the one for any true rates."""
    parts = []
    for cells, names, where in _sides(found, decision) if decision.rule == "any rates" else ():
        if ruled(cells)[0] != "any rates":
            continue
        needed = needed_for_proportion(cells.graded, cells.weights)
        starved = [
            (name, int(there), int(most))
            for name, there, most in zip(names, cells.graded, needed, strict=True)
            if most > there
        ]
        parts.append(words.uneven(starved, len(names), where))
    return " ".join(parts)


def _why(found: _Reading, alpha_fail: float, verdict: str, reason: str, low: float | None, high: float | None) -> str:
    planned = found.after.planned + (found.before.planned if found.before else 0)
    if verdict == "inconclusive" and found.silent:
        return words.of_silence(found.silent)
    if reason == "too many unknown":
        return words.of_unknown(found.unknown, planned)
    if reason == "depends on unknown":
        return words.depends(found.unknown)
    return words.why(found.check, alpha_fail, verdict, low, high)


def _settles(found: _Reading, decision: Decision | None, *, general: bool) -> str:
    check, after, before = found.check, found.after.partial, found.before_partial
    if general:
        return words.settling_general(len(found.after.probes))
    if decision is None or decision.estimate is None or after is None or not (after.graded >= 1).any():
        return words.settling(check, None, 0, found.lost)
    alphas = {"alpha_pass": check.alpha_pass, "alpha_fail": found.alpha_fail}
    uneven = _uneven(found, decision)
    if check.kind == "difference" and before is not None and (before.graded >= 1).any():
        rates = min(before.observed.rate, 1.0), min(after.observed.rate, 1.0)
        settled = difference_settlement(*rates, check.limit, **alphas)
        return words.settling(check, settled, found.after.graded, found.lost, uneven)
    if check.kind == "max-probe" and decision.probe is not None:
        worst = after.select(decision.probe)
        if not (worst.graded >= 1).any():
            return words.settling(check, None, 0, found.lost)
        settled = rate_settlement(min(worst.observed.rate, 1.0), check.limit, **alphas)
        return words.settling(check, settled, int(worst.graded.sum()), found.lost, uneven)
    settled = rate_settlement(min(after.observed.rate, 1.0), check.limit, **alphas)
    return words.settling(check, settled, found.after.graded, found.lost, uneven)
