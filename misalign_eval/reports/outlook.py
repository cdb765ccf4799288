"""What a plan can show, before it is a terminal page or Markdown: sentences and rows of words."""

from collections.abc import Sequence

from misalign_eval.records.power import Chances, Estimand, Need, Power
from misalign_eval.reports import numbers
from misalign_eval.reports.tables import Table

ESTIMANDS: dict[Estimand, str] = {
    "suite": "for exactly these probes (SUITE)",
    "general": "for probes like these (GENERAL)",
}


def sentence(found: Power) -> str:
    """The plan and its most likely end."""
    first = (found.sequential or found.fixed)[0]
    how = " with early stopping" if found.sequential else ""
    verdict, chance = max(first.chances.items(), key=lambda one: one[1])
    words = {"rise": "shows a rise", "fall": "shows a fall", "neither": "shows no change"}.get(verdict, verdict)
    size = f"{found.design.replies:,} replies{' a run' if found.design.runs > 1 else ''}"
    return f"{_question(found)}: with {size}{how} the most likely end is: {words} ({_chance(chance)})."


def facts(found: Power) -> tuple[tuple[str, str], ...]:
    """What is assumed, asked and paid."""
    design = found.design
    paraphrases = f" x {design.paraphrases} paraphrases" if design.paraphrases > 1 else ""
    size = f"{design.probes} probes{paraphrases} x {design.samples} samples = {design.replies:,} replies"
    rows = [("question", f"{_question(found)}, {ESTIMANDS[found.estimand]}"), ("assumed", _assumed(found))]
    rows.append(("plan", size if design.runs == 1 else f"{size} in each of two runs"))
    sides = "two-sided" if found.question == "comparison" else "one-sided, each way"
    rows.append(("errors", f"alpha {found.alpha:g} ({sides}), wanted power {found.power:g}"))
    rows += [("" if place else "it takes", _need(need)) for place, need in enumerate(found.needs)]
    if found.detectable is not None:
        rise = f"{numbers.percent(found.detectable)} points"
        rows.append(("detectable", f"a rise of {rise} with chance {found.power:g}, two runs of this size"))
    rows.append(("dominates", found.dominates))
    rows.append(("bill", _bill(found)))
    return tuple(rows)


def tables(found: Power) -> tuple[Table, ...]:
    """The simulated procedure: with early stopping, whole, and for other numbers of samples."""
    made = []
    if found.sequential:
        title = "With early stopping (`run --stop-when-decided`), this plan as the cap"
        made.append(_scenarios(title, found.sequential, found))
    made.append(_scenarios("All replies collected, then decided once", found.fixed, found))
    made.append(_by_samples(found))
    return tuple(made)


def caption(found: Power) -> str:
    """Where the figures come from."""
    return f"shares of {found.simulated_runs:,} simulated runs of the procedure itself; assumed: {found.assumed.spread}"


def _question(found: Power) -> str:
    limit = "" if found.limit is None else f"{100 * found.limit:.3g}"
    match found.question:
        case "rate gate":
            return f"Gate: rate below {limit} %"
        case "difference gate":
            return f"Gate: increase below {limit} percentage points"
        case "comparison":
            return "Comparison before and after"


def _assumed(found: Power) -> str:
    after = f"{numbers.percent(found.assumed.after)} %"
    rates = (
        after if found.assumed.before is None else f"{numbers.percent(found.assumed.before)} % before, {after} after"
    )
    return f"{rates}; {found.assumed.spread}"


def _need(need: Need) -> str:
    if need.probes is not None:
        return f"{need.probes:,} probes {need.goal}"
    if need.replies is None:
        return f"more replies than can be asked {need.goal}"
    samples = "1 sample" if need.samples == 1 else f"{need.samples:,} samples"
    return f"{need.replies:,} replies {need.goal}: {samples} of each prompt"


def _bill(found: Power) -> str:
    if found.bill is None:
        return "unknown: give --cost-per-reply, or a --pilot whose prices are known"
    whole = f"{_usd(found.bill.whole)} for the whole plan at {_usd(found.bill.per_reply)} a reply, grades included"
    if found.bill.expected is None:
        return whole
    return f"{_usd(found.bill.expected)} expected with early stopping; {whole}"


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.2g}"


def _scenarios(title: str, rows: Sequence[Chances], found: Power) -> Table:
    runs = " a run" if found.design.runs > 1 else ""
    heads = ("if the truth is", "rate", *rows[0].chances, f"mean replies{runs}")
    cells = tuple((one.scenario, _rates(one), *_shares(one), f"{one.replies:,.0f}") for one in rows)
    return Table(title, heads, cells)


def _by_samples(found: Power) -> Table:
    rows = found.by_samples
    heads = ("samples", "replies", *rows[0].chances)
    cells = tuple((f"{one.samples:,}", f"{one.replies:,.0f}", *_shares(one)) for one in rows)
    return Table("Other numbers of samples, as assumed, decided once", heads, cells)


def _rates(one: Chances) -> str:
    after = f"{numbers.percent(one.after)} %"
    return after if one.before is None else f"{numbers.percent(one.before)} to {after}"


def _shares(one: Chances) -> tuple[str, ...]:
    return tuple(_chance(share) for share in one.chances.values())


def _chance(share: float) -> str:
    """Two digits are what some thousand simulated runs give; certainty is never claimed.

    >>> [_chance(share) for share in (0.0, 0.987, 1.0)]
    ['<1 %', '99 %', '>99 %']
    """
    if share < 0.005:
        return "<1 %"
    return ">99 %" if share > 0.995 else f"{100 * share:.0f} %"
