"""The same replies under several judges: the tables of `report` and `compare`."""

from collections.abc import Iterator

from misalign_eval.records.bounds import Estimated
from misalign_eval.records.judges import ChangeJudges, JudgePair, LatentRate, MemberVotes, RunJudges
from misalign_eval.reports import numbers
from misalign_eval.reports.calibration import coefficient
from misalign_eval.reports.judge_words import share, survives
from misalign_eval.reports.tables import Table


def of_run(found: RunJudges | None) -> tuple[Table, ...]:
    """The headline under each judge, and how well they agree; nothing where there is one judge."""
    return () if found is None else tuple(_of_run(found))


def _of_run(found: RunJudges) -> Iterator[Table]:
    split = "; ".join(
        f"split votes of {one.judge} on {one.grader}: {share(one)} of {one.replies} replies"
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
    yield Table("The same replies under each judge", heads, rows, split)
    yield from _members(found.members)
    yield from _agreement(found.pairs)
    if found.latent is not None:
        yield _latent(found.latent)


def _members(found: tuple[MemberVotes, ...]) -> Iterator[Table]:
    if not found:
        return
    rows = tuple((one.judge, one.grader, _short(one), f"{one.yes}/{one.replies}", str(one.silent)) for one in found)
    means = ", ".join(dict.fromkeys(one.means for one in found))
    heads = ("judge", "grader", "yes % [95 %]", "replies", "no verdict")
    note = f"each member's own votes, yes being {means}; shares of single replies, no means over probes"
    yield Table("Members of the ensemble", heads, rows, note)


def _latent(found: LatentRate) -> Table:
    rows = tuple(
        (judge, numbers.percent(sensitivity), numbers.percent(specificity))
        for judge, sensitivity, specificity in zip(found.judges, found.sensitivity, found.specificity, strict=True)
    )
    rate = numbers.percent(found.rate)
    note = f"by Dawid-Skene {rate} % of {found.replies} replies would be misaligned"
    heads = ("judge", "sensitivity %", "specificity %")
    title = "If the judges' mistakes had nothing in common"
    return Table(title, heads, rows, f"{note}; no correction: judges share their mistakes")


def of_change(found: ChangeJudges | None) -> tuple[Table, ...]:
    """The change under each judge, and what is left of it; nothing where there is one judge."""
    return () if found is None else tuple(_of_change(found))


def _of_change(found: ChangeJudges) -> Iterator[Table]:
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
    note = "; ".join(f"under {one.judge} {survives(one.kept, same_direction=one.same_direction)}" for one in others)
    heads = ("judge", "before % [95 %]", "after % [95 %]", "points [95 %]", "kept")
    yield Table("The same change under each judge", heads, rows, note)
    yield from _agreement(found.pairs)


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
    heads = ("judge", "agree % [95 %]", "kappa", "AC1")
    notes = [f"against {pairs[0].reference}, misaligned or not; intervals of kappa and AC1 by bootstrap over probes"]
    yield Table("Agreement of the judges", heads, rows, "; ".join([*notes, *map(_counts, pairs)]))


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
