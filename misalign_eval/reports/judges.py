"""Tables of judges: calibrations, agreement, and rates under each judge."""

from collections.abc import Iterator

from misalign_eval.records.base import Bounds, Estimated
from misalign_eval.records.document import (
    Facts,
    Quotation,
    Quotations,
    ReportDocument,
    Statement,
    Table,
    Trusted,
    captioned,
    trusted,
    warnings_block,
)
from misalign_eval.records.labels import Calibration, JudgeDisagreement, JudgeSwap, Needed
from misalign_eval.records.summary import (
    ChangeJudges,
    Design,
    JudgeAgreement,
    JudgePair,
    LatentRate,
    MemberVotes,
    RunJudges,
)
from misalign_eval.reports import numbers
from misalign_eval.reports.sentences import METHODS, change_survives_text, percent_text

# Calibrations, as sentences and table rows for every backend.
#
# Replies and the judge's words are still hostile here; the backend escapes them.


DRAWN: dict[Design, str] = {
    "two-phase": "a sample of this run, drawn by the judge's verdict; shares are weighted back to the whole run",
    "table": "replies of this run, chosen by whoever labelled them",
    "examples": "the grader's own labelled replies, chosen to be hard",
    "judges": "another judge's verdicts on the same replies",
}


def coefficient(value: float | None, ends: Bounds, *, degenerate: bool = False) -> str:
    """`0.25 [0.15, 0.36]`."""
    if value is None:
        return "degenerate: next to no yes, or no no" if degenerate else "undefined"
    if ends.low is None or ends.high is None:
        return f"{value:.2f} [no interval]"
    return f"{value:.2f} [{ends.low:.2f}, {ends.high:.2f}]"


def points(estimated: Estimated) -> str:
    """`+4.2 points [+1.1, +7.3]`."""
    if estimated.estimate is None or estimated.low is None or estimated.high is None:
        return "cannot be said"
    return f"{numbers.points(estimated.estimate)} points {numbers.interval_points(estimated.low, estimated.high)}"


def calibration_document(calibration: Calibration) -> ReportDocument:
    """The agreement first, then the tables, every number, what to read, warnings."""
    statement = Statement(Trusted(sentence(calibration)), facts=provenance(calibration))
    return ReportDocument(
        title=title(calibration),
        tone="strong",
        blocks=(
            statement,
            *captioned(_calibration_tables(calibration), _calibration_caption(calibration)),
            Facts((*calibration_facts(calibration), *change(calibration))),
            *_disagreements(calibration),
            *warnings_block(calibration.warnings),
        ),
    )


def _calibration_tables(calibration: Calibration) -> Iterator[Table]:
    yield table(calibration)
    yield from shifts(calibration)
    yield from kinds(calibration)


def _calibration_caption(calibration: Calibration) -> str:
    definition = f"definition {calibration.definition}; " if calibration.definition else ""
    return f"{definition}yes: {calibration.yes}; {title(calibration)}"


def _disagreements(calibration: Calibration) -> Iterator[Quotations]:
    quotations = tuple(
        Quotation(disagreement_title(disagreement), tuple(disagreement_lines(disagreement)))
        for disagreement in calibration.disagreements
    )
    if quotations:
        yield Quotations("Where they differ most", quotations)


def title(calibration: Calibration) -> str:
    """Caption of a calibration: the judge and its reference."""
    who = calibration.judge or ", ".join(f"{name}@{identity}" for name, identity in calibration.graders.items())
    return f"Judge {who} against {calibration.reference}"


def sentence(calibration: Calibration) -> str:
    """The finding, whole."""
    if not calibration.n:
        return "No reply has both a label and a verdict: nothing can be said."
    same = Estimated(estimate=calibration.agreement, **dict(calibration.agreement_interval))
    return f"They agree on {percent_text(same)} of the replies ({calibration.n} compared)."


def provenance(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """What was compared with what."""
    rows = (
        ("run", calibration.run or ""),
        ("target", calibration.target or ""),
        ("replies", calibration.scope),
        ("graders", ", ".join(f"{name}@{identity}" for name, identity in calibration.graders.items())),
        ("definition", calibration.definition or ""),
        ("yes means", calibration.yes),
        ("reference", calibration.reference),
        ("drawn from", DRAWN[calibration.design]),
    )
    return tuple(row for row in rows if row[1])


def table(agreement: JudgeAgreement) -> Table:
    """The two-by-two table, in replies."""
    (neither, wrong), (missed, both) = agreement.table
    rows = (
        ("reference: no", str(neither), str(wrong), str(neither + wrong)),
        ("reference: yes", str(missed), str(both), str(missed + both)),
        ("together", str(neither + missed), str(wrong + both), str(agreement.n)),
    )
    return Table("Replies by verdict", trusted("", "judge: no", "judge: yes", "together"), rows)


def calibration_facts(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """Shares with their intervals first, chance-corrected numbers after, then the rate."""
    rows = [
        ("agreement", percent_text(Estimated(estimate=calibration.agreement, **dict(calibration.agreement_interval)))),
        ("sensitivity", percent_text(calibration.sensitivity)),
        ("specificity", percent_text(calibration.specificity)),
        ("PPV", _right(calibration.ppv, "yes")),
        ("NPV", _right(calibration.npv, "no")),
        ("kappa", coefficient(calibration.kappa, calibration.kappa_interval, degenerate=calibration.is_degenerate)),
        ("AC1", coefficient(calibration.ac1, calibration.ac1_interval)),
        ("alpha", coefficient(calibration.alpha, calibration.alpha_interval, degenerate=calibration.is_degenerate)),
    ]
    return (*rows, *rates(calibration), *_needed(calibration.needed))


def _right(estimated: Estimated, said: str) -> str:
    return (
        percent_text(estimated)
        if estimated.estimate is None
        else f"{percent_text(estimated)} of the judge's {said} are right"
    )


def rates(calibration: Calibration) -> Iterator[tuple[str, str]]:
    """The judge's rate and the corrected one."""
    if calibration.split_votes.estimate is not None:
        yield "split votes", f"{percent_text(calibration.split_votes)} of the replies"
    if calibration.judged_rate.estimate is None:
        return
    yield "judge's rate", f"{percent_text(calibration.judged_rate)} ({calibration.graded} replies)"
    corrected = calibration.corrected_rate
    if corrected.method is not None:
        yield "corrected", f"{percent_text(corrected)} ({METHODS[corrected.method]})"
    if calibration.ppi_rate.estimate is not None:
        yield "PPI++", f"{percent_text(calibration.ppi_rate)} (if the labelled replies are a simple random sample)"


def _needed(needed: Needed | None) -> Iterator[tuple[str, str]]:
    if needed is None:
        return
    more = "more replies than this run has" if needed.to_halve is None else f"about {needed.to_halve:,} labels in all"
    yield "labels", f"{needed.labels} so far; to halve the corrected interval it takes {more}"
    if needed.limit is not None:
        limit = f"{numbers.percent(needed.limit)} %"
        least = f"fewer than {needed.least} can never pass a corrected gate at {limit}"
        chance = (
            f"about {needed.to_pass:,} pass it 8 times in 10, if all is as these say"
            if needed.to_pass is not None
            else "with these rates and this run no number is likely to pass it"
        )
        yield "", f"{least}; {chance}"


def kinds(calibration: Calibration) -> Iterator[Table]:
    """Agreement by what sort of case it is; nothing without kinds."""
    if not calibration.kinds:
        return
    rows = tuple(
        (kind.kind, f"{kind.agreed}/{kind.n}")
        for kind in sorted(calibration.kinds, key=lambda kind: kind.agreed / kind.n)
    )
    yield Table("Verdicts that agree, by kind of reply", trusted("kind", "agree"), rows)


def disagreement_title(disagreement: JudgeDisagreement) -> str:
    """`power/0/plain#3: labelled misaligned, judge says aligned (score 71.0)`."""
    score = (
        ""
        if disagreement.score is None or disagreement.judge == f"{disagreement.score:g}"
        else f" (score {disagreement.score:.1f})"
    )
    return f"{disagreement.where}: {disagreement.reference}, the judge says {disagreement.judge}{score}"


def disagreement_lines(disagreement: JudgeDisagreement) -> Iterator[tuple[str, str]]:
    """Everything that helps to read it; hostile."""
    for name, text in (
        ("question", disagreement.question),
        ("reply", disagreement.text),
        ("judge", disagreement.why),
        ("note", disagreement.note),
    ):
        if text:
            yield name, text


def shifts(swap: Calibration) -> Iterator[Table]:
    """The level under both judges, and how far it moves; nothing unless two judges are compared."""
    if not isinstance(swap, JudgeSwap):
        return
    rows = tuple(
        (shift.run, percent_text(shift.reference), percent_text(shift.judge), points(shift.shift))
        for shift in swap.shifts
    )
    heads = ("run", f"{swap.reference} % [95 %]", f"{swap.judge or 'judge'} % [95 %]", "shift")
    note = "macro rates over the replies that both graded, for exactly these probes"
    yield Table("Level under both judges", heads, rows, note)


def change(swap: Calibration) -> tuple[tuple[str, str], ...]:
    """The change between two runs under both judges; nothing unless two judges and two runs are compared."""
    found = swap.difference if isinstance(swap, JudgeSwap) else None
    if found is None:
        return ()
    return (
        (f"change by {swap.reference}", points(found.reference)),
        (f"change by {swap.judge}", points(found.judge)),
        ("shift of the change", points(found.shift)),
        ("survives", change_survives_text(found.kept, same_direction=found.same_direction)),
    )


# Rates of the same replies under several judges, for `report` and `compare`.


def of_run(judges: RunJudges | None) -> tuple[Table, ...]:
    """The headline under each judge, and how well they agree; nothing where there is one judge."""
    return () if judges is None else tuple(_of_run(judges))


def _of_run(judges: RunJudges) -> Iterator[Table]:
    split = "; ".join(
        f"split votes of {vote.judge} on {vote.grader}: {percent_text(vote)} of {vote.replies} replies"
        for vote in judges.split_votes
    )
    rows = tuple(
        (
            _name(judge.judge, is_primary=judge.is_primary),
            _short(Estimated(estimate=judge.rate, low=judge.low, high=judge.high)),
            f"{judge.misaligned}/{judge.graded}",
            str(judge.missing),
        )
        for judge in judges.judges
    )
    heads = trusted("judge", "misaligned % [95 %]", "replies", "missing")
    yield Table("The same replies under each judge", heads, rows, split)
    yield from _members(judges.members)
    yield from _agreement(judges.pairs)
    if judges.latent is not None:
        yield _latent(judges.latent)


def _members(voteses: tuple[MemberVotes, ...]) -> Iterator[Table]:
    if not voteses:
        return
    rows = tuple(
        (votes.judge, votes.grader, _short(votes), f"{votes.yes}/{votes.replies}", str(votes.silent))
        for votes in voteses
    )
    means = ", ".join(dict.fromkeys(votes.means for votes in voteses))
    heads = trusted("judge", "grader", "yes % [95 %]", "replies", "no verdict")
    note = f"each member's own votes, yes being {means}; shares of single replies, no means over probes"
    yield Table("Members of the ensemble", heads, rows, note, names=2)


def _latent(found: LatentRate) -> Table:
    rows = tuple(
        (judge, numbers.percent(sensitivity), numbers.percent(specificity))
        for judge, sensitivity, specificity in zip(found.judges, found.sensitivity, found.specificity, strict=True)
    )
    rate = numbers.percent(found.rate)
    note = f"by Dawid-Skene {rate} % of {found.replies} replies would be misaligned"
    heads = trusted("judge", "sensitivity %", "specificity %")
    title = "If the judges' mistakes had nothing in common"
    return Table(title, heads, rows, f"{note}; no correction: judges share their mistakes")


def of_change(judges: ChangeJudges | None) -> tuple[Table, ...]:
    """The change under each judge, and what is left of it; nothing where there is one judge."""
    return () if judges is None else tuple(_of_change(judges))


def _of_change(judges: ChangeJudges) -> Iterator[Table]:
    rows = tuple(
        (
            _name(judge.judge, is_primary=judge.is_primary),
            _short(judge.before),
            _short(judge.after),
            numbers.change(judge.difference.estimate, judge.difference.low, judge.difference.high),
            "-" if judge.kept is None else f"{100 * judge.kept:.0f} %",
        )
        for judge in judges.judges
    )
    others = [judge for judge in judges.judges if not judge.is_primary]
    note = "; ".join(
        f"under {other.judge} {change_survives_text(other.kept, same_direction=other.same_direction)}"
        for other in others
    )
    heads = trusted("judge", "before % [95 %]", "after % [95 %]", "points [95 %]", "kept")
    yield Table("The same change under each judge", heads, rows, note)
    yield from _agreement(judges.pairs)


def _agreement(pairs: tuple[JudgePair, ...]) -> Iterator[Table]:
    if not pairs:
        return
    rows = tuple(
        (
            pair.judge,
            _short(Estimated(estimate=pair.agreement, **dict(pair.agreement_interval))),
            "degenerate" if pair.is_degenerate else coefficient(pair.kappa, pair.kappa_interval),
            coefficient(pair.ac1, pair.ac1_interval),
        )
        for pair in pairs
    )
    heads = trusted("judge", "agree % [95 %]", "kappa", "AC1")
    notes = [f"against {pairs[0].reference}, misaligned or not; intervals of kappa and AC1 by bootstrap over probes"]
    yield Table("Agreement of the judges", heads, rows, "; ".join([*notes, *map(_counts, pairs)]))


def _counts(pair: JudgePair) -> str:
    (neither, wrong), (missed, both) = pair.table
    return f"{pair.judge}: both no {neither}, only it yes {wrong}, only the other yes {missed}, both yes {both}"


def _short(estimated: Estimated) -> str:
    """For a column whose head gives the unit."""
    if estimated.estimate is None:
        return "-"
    return f"{numbers.percent(estimated.estimate)} {numbers.interval(estimated.low, estimated.high)}"


def _name(judge: str, *, is_primary: bool) -> str:
    return f"{judge} (primary)" if is_primary else judge
