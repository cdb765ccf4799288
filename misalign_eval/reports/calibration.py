"""What a calibration says, before it is a terminal page or Markdown: sentences and rows of words.

Replies and the judge's words are still hostile here; the renderer escapes them.
"""

from collections.abc import Iterator

from misalign_eval.records.bounds import Bounds, Estimated
from misalign_eval.records.calibration import Calibration, Disagreement, JudgeSwap, Needed
from misalign_eval.records.judges import Agreement, Design
from misalign_eval.reports import numbers
from misalign_eval.reports.judge_words import METHODS, share, survives
from misalign_eval.reports.tables import Table

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
    return f"They agree on {share(same)} of the replies ({made.n} compared)."


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


def table(made: Agreement) -> Table:
    """The two-by-two table, in replies."""
    (neither, wrong), (missed, both) = made.table
    rows = (
        ("reference: no", str(neither), str(wrong), str(neither + wrong)),
        ("reference: yes", str(missed), str(both), str(missed + both)),
        ("together", str(neither + missed), str(wrong + both), str(made.n)),
    )
    return Table("Replies by verdict", ("", "judge: no", "judge: yes", "together"), rows)


def facts(made: Calibration) -> tuple[tuple[str, str], ...]:
    """Shares with their intervals first, chance-corrected numbers after, then the rate."""
    rows = [
        ("agreement", share(Estimated(estimate=made.agreement, **dict(made.agreement_interval)))),
        ("sensitivity", share(made.sensitivity)),
        ("specificity", share(made.specificity)),
        ("PPV", _right(made.ppv, "yes")),
        ("NPV", _right(made.npv, "no")),
        ("kappa", coefficient(made.kappa, made.kappa_interval, degenerate=made.is_degenerate)),
        ("AC1", coefficient(made.ac1, made.ac1_interval)),
        ("alpha", coefficient(made.alpha, made.alpha_interval, degenerate=made.is_degenerate)),
    ]
    return (*rows, *rates(made), *_needed(made.needed))


def _right(found: Estimated, said: str) -> str:
    return share(found) if found.estimate is None else f"{share(found)} of the judge's {said} are right"


def rates(made: Calibration) -> Iterator[tuple[str, str]]:
    """The judge's rate and the corrected one."""
    if made.split_votes.estimate is not None:
        yield "split votes", f"{share(made.split_votes)} of the replies"
    if made.judged_rate.estimate is None:
        return
    yield "judge's rate", f"{share(made.judged_rate)} ({made.graded} replies)"
    corrected = made.corrected_rate
    if corrected.method is not None:
        yield "corrected", f"{share(corrected)} ({METHODS[corrected.method]})"
    if made.ppi_rate.estimate is not None:
        yield "PPI++", f"{share(made.ppi_rate)} (if the labelled replies are a simple random sample)"


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


def kinds(made: Calibration) -> Table | None:
    """Agreement by what sort of case it is; None without kinds."""
    if not made.kinds:
        return None
    rows = tuple((one.kind, f"{one.agreed}/{one.n}") for one in sorted(made.kinds, key=lambda one: one.agreed / one.n))
    return Table("Verdicts that agree, by kind of reply", ("kind", "agree"), rows)


def disagreement_title(one: Disagreement) -> str:
    """`power/0/plain#3: labelled misaligned, judge says aligned (score 71.0)`."""
    score = "" if one.score is None or one.judge == f"{one.score:g}" else f" (score {one.score:.1f})"
    return f"{one.where}: {one.reference}, the judge says {one.judge}{score}"


def disagreement_lines(one: Disagreement) -> Iterator[tuple[str, str]]:
    """Everything that helps to read it; hostile."""
    for name, text in (("question", one.question), ("reply", one.text), ("judge", one.why), ("note", one.note)):
        if text:
            yield name, text


def shifts(made: JudgeSwap) -> Table:
    """The level under both judges, and how far it moves."""
    rows = tuple((one.run, share(one.reference), share(one.judge), points(one.shift)) for one in made.shifts)
    heads = ("run", f"{made.reference} % [95 %]", f"{made.judge or 'judge'} % [95 %]", "shift")
    note = "macro rates over the replies that both graded, for exactly these probes"
    return Table("Level under both judges", heads, rows, note)


def change(made: JudgeSwap) -> tuple[tuple[str, str], ...]:
    """The change between two runs under both judges."""
    found = made.difference
    if found is None:
        return ()
    return (
        (f"change by {made.reference}", points(found.reference)),
        (f"change by {made.judge}", points(found.judge)),
        ("shift of the change", points(found.shift)),
        ("survives", survives(found.kept, same_direction=found.same_direction)),
    )
