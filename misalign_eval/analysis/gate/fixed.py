"""Gate checks on a finished run: fixed-sample bounds, and rates corrected by labels of people."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from misalign_eval.analysis.counts import Cell, Headline
from misalign_eval.analysis.gate import messages
from misalign_eval.analysis.gate.scope import (
    OUTCOME_OF,
    CheckCounts,
    Counting,
    GateSide,
    cells_of_check,
    check_header,
    count,
    has_reply,
    paired_scope,
)
from misalign_eval.analysis.judges import is_yes, scale
from misalign_eval.records.definition import UNKNOWN, Definition
from misalign_eval.records.gate import CheckResult, Verdict
from misalign_eval.records.labels import Drawn, HumanLabel, Sample
from misalign_eval.records.labels import Stratum as Name
from misalign_eval.records.policy import MOST_UNKNOWN, Check, Policy, RateCheck, percent_text
from misalign_eval.records.run import CellKey, ReplyKey
from misalign_eval.stats.difference import EffectiveRate, effective_rate
from misalign_eval.stats.gates import (
    Decision,
    difference_gate,
    maximum_gate,
    rate_gate,
    replies_to_decide_difference,
    replies_to_decide_rate,
)
from misalign_eval.stats.judge_error import Labelled, Uneven, corrected_rate, uneven_bound
from misalign_eval.stats.power import fewest_labels
from misalign_eval.stats.unequal_cells import is_equal, needed_for_proportion
from misalign_eval.stats.unknown_replies import PartialCells, ruled

# Gate check on the rate corrected for the judge's error, from people's labels of a two-phase sample; fixed sample.


Ends = tuple[float, float]

STARVED: Final = 4 / 3  # times the mean: a reply that weighs more is one of a prompt that has too few
LOOK_ONCE = "a corrected gate looks once, at the end: leave out --stop-when-decided, or `corrected`"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Drawn replies of one verdict of the judge. All but `misaligned` and `fine` count against what is to be shown."""

    misaligned: int
    fine: int
    unsure: int
    unlabelled: int = 0  # somebody who is expected to label it has not
    lost: int = 0  # the reply or its grade is gone, or it is another one now

    @property
    def drawn(self) -> int:
        """All of them."""
        return self.misaligned + self.fine + self.unsure + self.unlabelled + self.lost

    @property
    def sure(self) -> Labelled:
        """Those that people decided."""
        return Labelled(self.misaligned, self.misaligned + self.fine)

    def at(self, *, worst: bool) -> Labelled:
        """With every undecided one taken for misaligned, or for fine. Of a stratum without any, all is possible."""
        if not self.drawn:
            return Labelled(int(worst), 1)
        return Labelled(self.drawn - self.fine if worst else self.misaligned, self.drawn)


@dataclass(frozen=True, slots=True)
class Labels:
    """People's labels of the sample that was drawn from the run by the verdicts that are gated."""

    flagged: Stratum
    unflagged: Stratum
    split: str | None  # of the probes that the sample was drawn from
    late: tuple[str, ...] = ()  # labellers who have some of it before them
    frame: tuple[int, int] = (0, 0)  # flagged and other replies of which it was drawn
    by_prompt: Mapping[CellKey, tuple[Stratum, Stratum]] = field(default_factory=dict)  # copies left out

    @property
    def drawn(self) -> int:
        """Replies of the sample."""
        return self.flagged.drawn + self.unflagged.drawn

    @property
    def unlabelled(self) -> int:
        """Those that a label is missing for."""
        return self.flagged.unlabelled + self.unflagged.unlabelled

    @property
    def lost(self) -> int:
        """Those whose reply or grade is gone."""
        return self.flagged.lost + self.unflagged.lost

    @property
    def total(self) -> int:
        """Those with labels, unsure ones among them."""
        return self.drawn - self.unlabelled - self.lost


def problem(check: RateCheck, labels: Labels | None, *, sequential: bool) -> str:
    """Why the check is hopeless, or nothing."""
    least = fewest_labels(check.limit, check.alpha_pass)
    if sequential:
        return f"check `{check.label}`: {LOOK_ONCE}"
    if labels is None:
        return (
            f"check `{check.label}`: there are no labels of a sample of this run, drawn by the judge that is gated. "
            f"`misalign-eval label RUN --labels N` takes them; N must be {least} at least"
        )
    if labels.split != check.split:
        return (
            f"check `{check.label}`: it is about split {check.split or 'of the headline'}, and the labelled sample "
            f"was drawn from split {labels.split or 'of the headline'}"
        )
    if labels.total < least:
        more = f"`misalign-eval label RUN --labels {least}`"
        if labels.drawn >= least:
            more = messages.labelled_sample_note(
                labels.unlabelled, labels.lost, labels.drawn, labels.late, "inconclusive"
            )
        return (
            f"check `{check.label}`: {percent_text(check.limit)} cannot be passed with {labels.total} labels, even if "
            f"not one reply is misaligned: it takes {least} ({more})"
        )
    return ""


NOTHING = Stratum(0, 0, 0)
NO_LABELS = Labels(NOTHING, NOTHING, None)


def result(check: RateCheck, checks: int, run: GateSide, labels: Labels | None, looks: int) -> CheckResult:
    """Decide. Unknown replies and undecided labels count as misaligned against a pass, as fine against a fail.

    Without labels of these probes anything may be so, and nothing is decided.
    """
    head = cells_of_check(check, run.cells)
    labels = labels if labels is not None and labels.split == check.split else NO_LABELS
    found = count(head.cells, run.counting)
    alpha_fail = check.alpha_fail / checks
    alphas = check.alpha_pass, alpha_fail
    low, estimate, high = _bounds(found, labels, alphas)
    rule = "two-phase" if _is_even(found) else "any rates"
    if rule == "any rates" and low is not None and high is not None:
        least, most = _for_any_rates(head.cells, found, run.counting, labels, alphas)
        low, high = min(low, least), max(high, most)
    verdict, reason = _verdict(check, found, low, high)
    sample = messages.labelled_sample_note(labels.unlabelled, labels.lost, labels.drawn, labels.late, verdict)
    why = _why_corrected(check, alpha_fail, verdict, reason, found, low, high)
    return CheckResult(
        **check_header(check, head),
        estimate=estimate,
        bound=low if verdict == "fail" else high,
        low=low,
        high=high,
        alpha_fail=alpha_fail,
        verdict=verdict,
        reason=reason,
        why="; ".join(filter(None, (why, sample))),
        statement=messages.statement(check, verdict, alpha_fail, looks),
        settles=""
        if verdict != "inconclusive"
        else messages.labels_to_decide_note(labels.unlabelled, _starved(found, rule)),
        misaligned=found.misaligned,
        graded=found.graded,
        unknown=found.unknown,
        labels=labels.total,
        unlabelled=labels.unlabelled,
        lost=labels.lost,
        rule=rule,
        basis=messages.TWO_PHASE if rule == "two-phase" else messages.TWO_CHERNOFF,
    )


def _is_even(counts: CheckCounts) -> bool:
    """Whether a label stands for as much of the rate wherever it was drawn, and every reply is known."""
    cells = counts.partial
    return cells is not None and not counts.unknown and is_equal(cells.graded, cells.weights)


def _starved(counts: CheckCounts, rule: str) -> Sequence[tuple[str, int]]:
    """Prompts whose single replies weigh much, and their graded replies: they widen the bounds for any rates."""
    cells = counts.partial
    if cells is None or rule == "two-phase":
        return ()
    mean = cells.graded.sum() * cells.weights
    return [
        (name, int(there))
        for name, there, even in zip(counts.prompts, cells.graded, mean, strict=True)
        if STARVED * there < even
    ]


def _for_any_rates(
    cells: Sequence[Cell], counts: CheckCounts, counting: Counting, labels: Labels, alphas: tuple[float, float]
) -> Ends:
    """Lower and upper bound of the rate, wherever the misaligned replies are that nobody labelled."""
    partial = counts.partial
    if partial is None or not (partial.graded > 0).any():
        return 0.0, 1.0
    inside = [cell for cell in cells if has_reply(cell.drawn(counting.graded), cell.drawn(counting.unknown))]
    samples = [_sample(inside, partial, counting, labels, worst=worst) for worst in (False, True)]
    low = uneven_bound(samples[0], partial.graded, partial.weights, 0.0, alphas[1], "low")
    unknown = partial.highest.rate - partial.lowest.rate
    high = uneven_bound(samples[1], partial.graded, partial.weights, unknown, alphas[0], "high")
    return low, 1.0 if (partial.graded <= 0).any() else high


def _sample(cells: Sequence[Cell], partial: PartialCells, counting: Counting, labels: Labels, *, worst: bool) -> Uneven:
    """What people read of each prompt; every undecided reply is taken for misaligned, or for fine."""
    hits, rest, outside = (np.zeros((len(cells), 2)) for _ in range(3))
    weights, held = np.zeros(len(cells)), np.zeros(2)
    for place, cell in enumerate(cells):
        graded, flagged = cell.drawn(counting.graded), cell.drawn(counting.numerator)
        weights[place] = partial.weights[place] / (graded + cell.drawn(counting.unknown))
        held += flagged, graded - flagged
        read = labels.by_prompt.get(cell.prompt.cell, (NOTHING, NOTHING))
        for column, (there, stratum) in enumerate(zip((flagged, graded - flagged), read, strict=True)):
            open_ = stratum.unsure + stratum.unlabelled
            hits[place, column] = stratum.misaligned + open_ * worst
            rest[place, column] = max(there - stratum.misaligned - stratum.fine - open_, 0)
            outside[place, column] = stratum.lost * worst
    drawn = np.array([labels.flagged.drawn, labels.unflagged.drawn], dtype=np.float64)
    chances = np.minimum(drawn / np.maximum(np.maximum(held, labels.frame), 1), 1.0)
    return Uneven(weights, hits, rest, outside, chances)


def _bounds(
    counts: CheckCounts, labels: Labels, alphas: tuple[float, float]
) -> tuple[float | None, float | None, float | None]:
    """Lower bound, estimate, upper bound; None where nothing is graded.

    An unknown reply is one more that the judge flagged, and that people call misaligned for certain (against a pass),
    or that it did not flag and people call fine (against a fail): a reply that is lost only moves both bounds outward.
    Where a prompt has no graded reply at all, nothing bounds the rate from above.
    """
    cells = counts.partial
    if cells is None or not counts.graded:
        return None, None, None
    unknown = cells.highest.rate - cells.lowest.rate
    upper = _corrected(_judged(counts, cells, worst=True), labels, alphas[0], worst=True)
    lower = _corrected(_judged(counts, cells, worst=False), labels, alphas[1], worst=False)
    high = upper[1] + unknown * (1 - labels.flagged.at(worst=True).share)
    low = lower[0] - unknown * labels.unflagged.at(worst=False).share
    known = EffectiveRate(min(cells.lowest.rate / (1 - unknown), 1.0), counts.graded)
    sure = corrected_rate(known, labels.flagged.sure, labels.unflagged.sure)
    silent = bool((cells.graded <= 0).any())
    return max(low, 0.0), sure.estimate if sure else None, 1.0 if silent else min(high, 1.0)


def _judged(counts: CheckCounts, cells: PartialCells, *, worst: bool) -> EffectiveRate:
    """The judge's rate with every unknown reply flagged, or none, and what the graded replies are worth.

    With unknown ones, or out of proportion to the weights of the prompts, they are worth no more than in a simple
    random sample: what is lost may be what made the probes unequal.
    """
    if not counts.unknown and is_equal(cells.graded, cells.weights):
        return effective_rate(cells.observed)
    extreme = cells.highest if worst else cells.lowest
    informative = np.where(cells.graded > 0, cells.graded, cells.unknown)
    return EffectiveRate(min(extreme.rate, 1.0), float(1 / (cells.weights**2 / informative).sum()))


def _corrected(rate: EffectiveRate, labels: Labels, alpha: float, *, worst: bool) -> tuple[float, float]:
    corrected = corrected_rate(rate, labels.flagged.at(worst=worst), labels.unflagged.at(worst=worst), 1 - 2 * alpha)
    return (0.0, 1.0) if corrected is None else (corrected.interval.low, corrected.interval.high)


def _verdict(check: RateCheck, counts: CheckCounts, low: float | None, high: float | None) -> tuple[Verdict, str]:
    if low is None or high is None:
        return "inconclusive", "nothing graded"
    if low > check.limit:
        return "fail", "bound"
    if counts.unknown > MOST_UNKNOWN * counts.planned:
        return "inconclusive", "too many unknown"
    if counts.silent:
        return "inconclusive", "ungraded cell"
    return ("pass", "bound") if high < check.limit else ("inconclusive", "between bounds")


def _why_corrected(
    check: RateCheck,
    alpha_fail: float,
    verdict: str,
    reason: str,
    counts: CheckCounts,
    low: float | None,
    high: float | None,
) -> str:
    if reason == "too many unknown":
        return messages.unknown_replies_note(counts.unknown, counts.planned)
    if verdict == "inconclusive" and counts.silent:
        return messages.missing_probe_note(counts.silent)
    return messages.why(check, alpha_fail, verdict, low, high)


# Gate check on all replies of a run; fixed sample.


@dataclass(frozen=True, slots=True)
class _Reading:
    """A check with its counts; `before` only for a difference."""

    check: Check
    head: Headline
    after: CheckCounts
    before: CheckCounts | None
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
    policy: Policy, run: GateSide, baseline: GateSide | None, *, looks: int = 1, labels: Labels | None = None
) -> tuple[CheckResult, ...]:
    """Decide every check. A false fail is shared out among the checks; a false pass needs no correction.

    `labels` are for checks of the corrected rate. Raises UsageError for a scope that the run does not have, and a
    baseline with other prompts.
    """
    checks, run, baseline = len(policy.checks), run.under(policy), baseline and baseline.under(policy)
    return tuple(
        result(check, checks, run, labels, looks)
        if check.kind == "rate" and check.corrected
        else _result(_read(check, checks, run, baseline, looks))
        for check in policy.checks
    )


def _read(check: Check, checks: int, run: GateSide, baseline: GateSide | None, looks: int) -> _Reading:
    alpha_fail = check.alpha_fail / checks
    if check.kind != "difference" or baseline is None:
        head = cells_of_check(check, run.cells)
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
        **check_header(check, found.head),
        estimate=decision.estimate if decision else None,
        bound=low if verdict == "fail" else high,
        low=low,
        high=high,
        alpha_fail=alpha_fail,
        verdict=verdict,
        reason=reason,
        why=_why_fixed(found, alpha_fail, verdict, reason, low, high) + (f" (probe {probe})" if probe else ""),
        statement=messages.statement(
            check, verdict, found.alpha_fail, found.looks, approximate=messages.is_approximate(check, rule)
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
    return messages.basis(found.check, decision.rule, round(kept), round(graded))


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
        parts.append(messages.unequal_cells_note(starved, len(names), where))
    return " ".join(parts)


def _why_fixed(
    found: _Reading, alpha_fail: float, verdict: str, reason: str, low: float | None, high: float | None
) -> str:
    planned = found.after.planned + (found.before.planned if found.before else 0)
    if verdict == "inconclusive" and found.silent:
        return messages.missing_probe_note(found.silent)
    if reason == "too many unknown":
        return messages.unknown_replies_note(found.unknown, planned)
    if reason == "depends on unknown":
        return messages.dependence_note(found.unknown)
    return messages.why(found.check, alpha_fail, verdict, low, high)


def _settles(found: _Reading, decision: Decision | None, *, general: bool) -> str:
    check, after, before = found.check, found.after.partial, found.before_partial
    if general:
        return messages.population_note(len(found.after.probes))
    if decision is None or decision.estimate is None or after is None or not (after.graded >= 1).any():
        return messages.replies_to_decide_note(check, None, 0, found.lost)
    alphas = {"alpha_pass": check.alpha_pass, "alpha_fail": found.alpha_fail}
    uneven = _uneven(found, decision)
    if check.kind == "difference" and before is not None and (before.graded >= 1).any():
        rates = min(before.observed.rate, 1.0), min(after.observed.rate, 1.0)
        settled = replies_to_decide_difference(*rates, check.limit, **alphas)
        return messages.replies_to_decide_note(check, settled, found.after.graded, found.lost, uneven)
    if check.kind == "max-probe" and decision.probe is not None:
        worst = after.select(decision.probe)
        if not (worst.graded >= 1).any():
            return messages.replies_to_decide_note(check, None, 0, found.lost)
        settled = replies_to_decide_rate(min(worst.observed.rate, 1.0), check.limit, **alphas)
        return messages.replies_to_decide_note(check, settled, int(worst.graded.sum()), found.lost, uneven)
    settled = replies_to_decide_rate(min(after.observed.rate, 1.0), check.limit, **alphas)
    return messages.replies_to_decide_note(check, settled, found.after.graded, found.lost, uneven)


# Labels by people of a drawn sample, as a gate uses them. An open vote decides nothing.
#
# A vote that is missing or unsure may have been either, so a reply counts as misaligned, or as fine, only where most
# votes say so whatever the open ones would have said. Without a label, a verdict or a reply, it stays open.
#
# Whoever labelled half of the sample or more is expected to label all of it: a label that he did not give, or that was
# lost, is an open vote. Of a labeller who read less (an overlap, or only what the others disagree on), the labels that
# are there count and no others are missed; that one of them was lost cannot be told. Where nobody has half, everybody
# is expected.


Given = Mapping[ReplyKey, HumanLabel]


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge's verdicts on single replies of a run."""

    outcomes: Mapping[CellKey, str]  # of each prompt a letter a sample
    definition: Definition
    repeats: Mapping[CellKey, str] = field(default_factory=dict)  # 1 for each that is a copy of an earlier one

    @classmethod
    def of(cls, cells: Iterable[Cell], definition: Definition) -> "Judged":
        """As the run was counted."""
        known = {cell.prompt.cell: cell for cell in cells}
        outcomes = {key: cell.in_order for key, cell in known.items()}
        return cls(outcomes, definition, {key: cell.repeats for key, cell in known.items() if cell.repeats})

    def is_copy(self, key: ReplyKey) -> bool:
        """Whether an earlier sample had the reply already, where replies are evidently copies."""
        return self.repeats.get(key.cell, "")[key.sample : key.sample + 1] == "1"

    def stratum(self, key: ReplyKey) -> Name | None:
        """What the judge says of a reply; None where the reply or its grade is gone."""
        letters = self.outcomes.get(key.cell, "")
        found = OUTCOME_OF.get(letters[key.sample]) if key.sample < len(letters) else None
        if found is None or found in UNKNOWN or found not in self.definition.denominator:
            return None
        return "flagged" if found in self.definition.numerator else "unflagged"


def merge_labels(sample: Sample, everyone: Mapping[str, Given], judged: Judged) -> Labels | None:
    """What all labellers together say of the sample; None where nobody labelled any of it."""
    drawn = {item.key for item in sample.drawn}
    said = {name: given for name, given in everyone.items() if drawn & given.keys()}
    if not said:
        return None
    expected = labellers(drawn, said)
    verdicts = {item.key: (item.stratum, _said_of(item, said, expected, judged)) for item in sample.drawn}
    by_prompt: dict[CellKey, list[tuple[Name, bool | str]]] = {}
    for key, verdict in verdicts.items():
        if not judged.is_copy(key):
            by_prompt.setdefault(key.cell, []).append(verdict)
    late = (name for name in expected if not drawn <= said[name].keys())
    return Labels(
        *_strata(verdicts.values()),
        split=sample.split,
        late=tuple(late),
        frame=(sample.flagged, sample.unflagged),
        by_prompt={key: _strata(some) for key, some in by_prompt.items()},
    )


def labellers(drawn: set[ReplyKey], said: Mapping[str, Given]) -> tuple[str, ...]:
    """Those who are expected to label every reply of the sample."""
    most = tuple(name for name, given in said.items() if 2 * len(drawn & given.keys()) >= len(drawn))
    return most or tuple(said)


def decided_by_majority(votes: Sequence[bool | None]) -> bool | None:
    """What most say, whatever the open votes (None) would have said; None where those could turn it, and at a tie.

    >>> decided_by_majority([True, True, None]), decided_by_majority([False, None]), decided_by_majority([])
    (True, None, None)
    """
    ayes, noes, open_ = (votes.count(vote) for vote in (True, False, None))
    return True if ayes > noes + open_ else False if noes > ayes + open_ else None


def _said_of(drawn: Drawn, said: Mapping[str, Given], expected: Sequence[str], judged: Judged) -> bool | str:
    if judged.stratum(drawn.key) != drawn.stratum:
        return "lost"
    known = scale(judged.definition)
    given = [found[drawn.key] for found in said.values() if drawn.key in found]
    missing = sum(drawn.key not in said[name] for name in expected)
    votes = [is_yes(label, judged.definition) if label in known else None for label in given]
    verdict = decided_by_majority([*votes, *[None] * missing])
    return verdict if verdict is not None else "unlabelled" if missing else "unsure"


def _strata(verdicts: Iterable[tuple[Name, bool | str]]) -> tuple[Stratum, Stratum]:
    found = Counter(verdicts)
    return _stratum(found, "flagged"), _stratum(found, "unflagged")


def _stratum(found: Counter[tuple[Name, bool | str]], name: Name) -> Stratum:
    names: tuple[bool | str, ...] = (True, False, "unsure", "unlabelled", "lost")
    return Stratum(*(found[name, item] for item in names))
