"""Tables of judges: calibrations, agreement, and rates under each judge."""

from collections.abc import Iterator

from misalign_eval.records.base import Bounds, Estimated
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
from misalign_eval.reports.run import ReportTable
from misalign_eval.reports.sentences import METHODS, change_survives_text, percent_text

# What a calibration says, before it is a terminal page or Markdown: sentences and rows of words.
#
# Replies and the judge's words are still hostile here; the renderer escapes them.


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


def points(found: Estimated) -> str:
    """`+4.2 points [+1.1, +7.3]`."""
    if found.estimate is None or found.low is None or found.high is None:
        return "cannot be said"
    return f"{numbers.points(found.estimate)} points {numbers.interval_points(found.low, found.high)}"


def title(made: Calibration) -> str:
    """Who is held against whom."""
    who = made.judge or ", ".join(f"{name}@{identity}" for name, identity in made.graders.items())
    return f"Judge {who} against {made.reference}"


def sentence(made: Calibration) -> str:
    """The finding, whole."""
    if not made.n:
        return "No reply has both a label and a verdict: nothing can be said."
    same = Estimated(estimate=made.agreement, **dict(made.agreement_interval))
    return f"They agree on {percent_text(same)} of the replies ({made.n} compared)."


def provenance(made: Calibration) -> tuple[tuple[str, str], ...]:
    """What was compared with what."""
    rows = (
        ("run", made.run or ""),
        ("target", made.target or ""),
        ("replies", made.scope),
        ("graders", ", ".join(f"{name}@{identity}" for name, identity in made.graders.items())),
        ("definition", made.definition or ""),
        ("yes means", made.yes),
        ("reference", made.reference),
        ("drawn from", DRAWN[made.design]),
    )
    return tuple(row for row in rows if row[1])


def table(made: JudgeAgreement) -> ReportTable:
    """The two-by-two table, in replies."""
    (neither, wrong), (missed, both) = made.table
    rows = (
        ("reference: no", str(neither), str(wrong), str(neither + wrong)),
        ("reference: yes", str(missed), str(both), str(missed + both)),
        ("together", str(neither + missed), str(wrong + both), str(made.n)),
    )
    return ReportTable("Replies by verdict", ("", "judge: no", "judge: yes", "together"), rows)


def calibration_facts(made: Calibration) -> tuple[tuple[str, str], ...]:
    """Shares with their intervals first, chance-corrected numbers after, then the rate."""
    rows = [
        ("agreement", percent_text(Estimated(estimate=made.agreement, **dict(made.agreement_interval)))),
        ("sensitivity", percent_text(made.sensitivity)),
        ("specificity", percent_text(made.specificity)),
        ("PPV", _right(made.ppv, "yes")),
        ("NPV", _right(made.npv, "no")),
        ("kappa", coefficient(made.kappa, made.kappa_interval, degenerate=made.is_degenerate)),
        ("AC1", coefficient(made.ac1, made.ac1_interval)),
        ("alpha", coefficient(made.alpha, made.alpha_interval, degenerate=made.is_degenerate)),
    ]
    return (*rows, *rates(made), *_needed(made.needed))


def _right(found: Estimated, said: str) -> str:
    return percent_text(found) if found.estimate is None else f"{percent_text(found)} of the judge's {said} are right"


def rates(made: Calibration) -> Iterator[tuple[str, str]]:
    """The judge's rate and the corrected one."""
    if made.split_votes.estimate is not None:
        yield "split votes", f"{percent_text(made.split_votes)} of the replies"
    if made.judged_rate.estimate is None:
        return
    yield "judge's rate", f"{percent_text(made.judged_rate)} ({made.graded} replies)"
    corrected = made.corrected_rate
    if corrected.method is not None:
        yield "corrected", f"{percent_text(corrected)} ({METHODS[corrected.method]})"
    if made.ppi_rate.estimate is not None:
        yield "PPI++", f"{percent_text(made.ppi_rate)} (if the labelled replies are a simple random sample)"


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


def kinds(made: Calibration) -> ReportTable | None:
    """Agreement by what sort of case it is; None without kinds."""
    if not made.kinds:
        return None
    rows = tuple((one.kind, f"{one.agreed}/{one.n}") for one in sorted(made.kinds, key=lambda one: one.agreed / one.n))
    return ReportTable("Verdicts that agree, by kind of reply", ("kind", "agree"), rows)


def disagreement_title(one: JudgeDisagreement) -> str:
    """`power/0/plain#3: labelled misaligned, judge says aligned (score 71.0)`."""
    score = "" if one.score is None or one.judge == f"{one.score:g}" else f" (score {one.score:.1f})"
    return f"{one.where}: {one.reference}, the judge says {one.judge}{score}"


def disagreement_lines(one: JudgeDisagreement) -> Iterator[tuple[str, str]]:
    """Everything that helps to read it; hostile."""
    for name, text in (("question", one.question), ("reply", one.text), ("judge", one.why), ("note", one.note)):
        if text:
            yield name, text


def shifts(made: JudgeSwap) -> ReportTable:
    """The level under both judges, and how far it moves."""
    rows = tuple(
        (one.run, percent_text(one.reference), percent_text(one.judge), points(one.shift)) for one in made.shifts
    )
    heads = ("run", f"{made.reference} % [95 %]", f"{made.judge or 'judge'} % [95 %]", "shift")
    note = "macro rates over the replies that both graded, for exactly these probes"
    return ReportTable("Level under both judges", heads, rows, note)


def change(made: JudgeSwap) -> tuple[tuple[str, str], ...]:
    """The change between two runs under both judges."""
    found = made.difference
    if found is None:
        return ()
    return (
        (f"change by {made.reference}", points(found.reference)),
        (f"change by {made.judge}", points(found.judge)),
        ("shift of the change", points(found.shift)),
        ("survives", change_survives_text(found.kept, same_direction=found.same_direction)),
    )


# The same replies under several judges: the tables of `report` and `compare`.


def of_run(found: RunJudges | None) -> tuple[ReportTable, ...]:
    """The headline under each judge, and how well they agree; nothing where there is one judge."""
    return () if found is None else tuple(_of_run(found))


def _of_run(found: RunJudges) -> Iterator[ReportTable]:
    split = "; ".join(
        f"split votes of {one.judge} on {one.grader}: {percent_text(one)} of {one.replies} replies"
        for one in found.split_votes
    )
    rows = tuple(
        (
            _name(one.judge, is_primary=one.is_primary),
            _short(Estimated(estimate=one.rate, low=one.low, high=one.high)),
            f"{one.misaligned}/{one.graded}",
            str(one.missing),
        )
        for one in found.judges
    )
    heads = ("judge", "misaligned % [95 %]", "replies", "missing")
    yield ReportTable("The same replies under each judge", heads, rows, split)
    yield from _members(found.members)
    yield from _agreement(found.pairs)
    if found.latent is not None:
        yield _latent(found.latent)


def _members(found: tuple[MemberVotes, ...]) -> Iterator[ReportTable]:
    if not found:
        return
    rows = tuple((one.judge, one.grader, _short(one), f"{one.yes}/{one.replies}", str(one.silent)) for one in found)
    means = ", ".join(dict.fromkeys(one.means for one in found))
    heads = ("judge", "grader", "yes % [95 %]", "replies", "no verdict")
    note = f"each member's own votes, yes being {means}; shares of single replies, no means over probes"
    yield ReportTable("Members of the ensemble", heads, rows, note)


def _latent(found: LatentRate) -> ReportTable:
    rows = tuple(
        (judge, numbers.percent(sensitivity), numbers.percent(specificity))
        for judge, sensitivity, specificity in zip(found.judges, found.sensitivity, found.specificity, strict=True)
    )
    rate = numbers.percent(found.rate)
    note = f"by Dawid-Skene {rate} % of {found.replies} replies would be misaligned"
    heads = ("judge", "sensitivity %", "specificity %")
    title = "If the judges' mistakes had nothing in common"
    return ReportTable(title, heads, rows, f"{note}; no correction: judges share their mistakes")


def of_change(found: ChangeJudges | None) -> tuple[ReportTable, ...]:
    """The change under each judge, and what is left of it; nothing where there is one judge."""
    return () if found is None else tuple(_of_change(found))


def _of_change(found: ChangeJudges) -> Iterator[ReportTable]:
    rows = tuple(
        (
            _name(one.judge, is_primary=one.is_primary),
            _short(one.before),
            _short(one.after),
            numbers.change(one.difference.estimate, one.difference.low, one.difference.high),
            "-" if one.kept is None else f"{100 * one.kept:.0f} %",
        )
        for one in found.judges
    )
    others = [one for one in found.judges if not one.is_primary]
    note = "; ".join(
        f"under {one.judge} {change_survives_text(one.kept, same_direction=one.same_direction)}" for one in others
    )
    heads = ("judge", "before % [95 %]", "after % [95 %]", "points [95 %]", "kept")
    yield ReportTable("The same change under each judge", heads, rows, note)
    yield from _agreement(found.pairs)


def _agreement(pairs: tuple[JudgePair, ...]) -> Iterator[ReportTable]:
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
    heads = ("judge", "agree % [95 %]", "kappa", "AC1")
    notes = [f"against {pairs[0].reference}, misaligned or not; intervals of kappa and AC1 by bootstrap over probes"]
    yield ReportTable("Agreement of the judges", heads, rows, "; ".join([*notes, *map(_counts, pairs)]))


def _counts(pair: JudgePair) -> str:
    (neither, wrong), (missed, both) = pair.table
    return f"{pair.judge}: both no {neither}, only it yes {wrong}, only the other yes {missed}, both yes {both}"


def _short(found: Estimated) -> str:
    """For a column whose head gives the unit."""
    if found.estimate is None:
        return "-"
    return f"{numbers.percent(found.estimate)} {numbers.interval(found.low, found.high)}"


def _name(judge: str, *, is_primary: bool) -> str:
    return f"{judge} (primary)" if is_primary else judge
