"""Tables of plans: the power of a run, and its estimated cost."""

from collections.abc import Iterator, Sequence

from misalign_eval.records.document import (
    ReportDocument,
    Statement,
    Table,
    Trusted,
    captioned,
    trusted,
    warnings_block,
)
from misalign_eval.records.power import Chances, Estimand, Need, Power
from misalign_eval.records.run import DryRun, ExpectedAnswer, FirstRequest, Reads
from misalign_eval.records.suite import prefill_of
from misalign_eval.reports import numbers
from misalign_eval.reports.escape import plain

# Power, as sentences and table rows for every backend.


ESTIMANDS: dict[Estimand, str] = {
    "suite": "for exactly these probes (SUITE)",
    "general": "for probes like these (GENERAL)",
}


def power_document(power: Power) -> ReportDocument:
    """What a plan can show: the likely end, what it takes, the simulated procedure, warnings."""
    statement = Statement(Trusted(sentence(power)), facts=power_facts(power))
    return ReportDocument(
        "Power", (statement, *captioned(tables(power), caption(power)), *warnings_block(power.warnings))
    )


def sentence(power: Power) -> str:
    """The plan and its most likely end."""
    first = (power.sequential or power.fixed)[0]
    how = " with early stopping" if power.sequential else ""
    verdict, chance = max(first.chances.items(), key=lambda chance: chance[1])
    words = {"rise": "shows a rise", "fall": "shows a fall", "neither": "shows no change"}.get(verdict, verdict)
    size = f"{power.design.replies:,} replies{' a run' if power.design.runs > 1 else ''}"
    return f"{_question(power)}: with {size}{how} the most likely end is: {words} ({_chance(chance)})."


def power_facts(power: Power) -> tuple[tuple[str, str], ...]:
    """What is assumed, asked and paid."""
    design = power.design
    paraphrases = f" x {design.paraphrases} paraphrases" if design.paraphrases > 1 else ""
    size = f"{design.probes} probes{paraphrases} x {design.samples} samples = {design.replies:,} replies"
    rows = [("question", f"{_question(power)}, {ESTIMANDS[power.estimand]}"), ("assumed", _power_assumptions(power))]
    rows.append(("plan", size if design.runs == 1 else f"{size} in each of two runs"))
    sides = "two-sided" if power.question == "comparison" else "one-sided, each way"
    rows.append(("errors", f"alpha {power.alpha:g} ({sides}), wanted power {power.power:g}"))
    rows += [("" if place else "it takes", _need(need)) for place, need in enumerate(power.needs)]
    if power.detectable is not None:
        rise = f"{numbers.percent(power.detectable)} points"
        rows.append(("detectable", f"a rise of {rise} with chance {power.power:g}, two runs of this size"))
    rows.append(("dominates", power.dominates))
    rows.append(("bill", _bill(power)))
    return tuple(rows)


def tables(power: Power) -> tuple[Table, ...]:
    """The simulated procedure: with early stopping, whole, and for other numbers of samples."""
    made = []
    if power.sequential:
        title = "With early stopping (`run --stop-when-decided`), this plan as the cap"
        made.append(_scenarios(title, power.sequential, power))
    made.append(_scenarios("All replies collected, then decided once", power.fixed, power))
    made.append(_by_samples(power))
    return tuple(made)


def caption(power: Power) -> str:
    """Source of the figures."""
    return f"shares of {power.simulated_runs:,} simulated runs of the procedure itself; assumed: {power.assumed.spread}"


def _question(power: Power) -> str:
    limit = "" if power.limit is None else f"{100 * power.limit:.3g}"
    match power.question:
        case "rate gate":
            return f"Gate: rate below {limit} %"
        case "difference gate":
            return f"Gate: increase below {limit} percentage points"
        case "comparison":
            return "Comparison before and after"


def _power_assumptions(power: Power) -> str:
    after = f"{numbers.percent(power.assumed.after)} %"
    rates = (
        after if power.assumed.before is None else f"{numbers.percent(power.assumed.before)} % before, {after} after"
    )
    return f"{rates}; {power.assumed.spread}"


def _need(need: Need) -> str:
    if need.probes is not None:
        return f"{need.probes:,} probes {need.goal}"
    if need.replies is None:
        return f"more replies than can be asked {need.goal}"
    samples = "1 sample" if need.samples == 1 else f"{need.samples:,} samples"
    return f"{need.replies:,} replies {need.goal}: {samples} of each prompt"


def _bill(power: Power) -> str:
    if power.bill is None:
        return "unknown: give --cost-per-reply, or a --pilot whose prices are known"
    whole = f"{_usd(power.bill.whole)} for the whole plan at {_usd(power.bill.per_reply)} a reply, grades included"
    if power.bill.expected is None:
        return whole
    return f"{_usd(power.bill.expected)} expected with early stopping; {whole}"


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.2g}"


def _scenarios(title: str, rows: Sequence[Chances], power: Power) -> Table:
    runs = " a run" if power.design.runs > 1 else ""
    heads = trusted("if the truth is", "rate", *rows[0].chances, f"mean replies{runs}")
    cells = tuple((row.scenario, _rates(row), *_shares(row), f"{row.replies:,.0f}") for row in rows)
    return Table(Trusted(title), heads, cells)


def _by_samples(power: Power) -> Table:
    rows = power.by_samples
    heads = trusted("samples", "replies", *rows[0].chances)
    cells = tuple((f"{row.samples:,}", f"{row.replies:,.0f}", *_shares(row)) for row in rows)
    return Table("Other numbers of samples, as assumed, decided once", heads, cells)


def _rates(chances: Chances) -> str:
    after = f"{numbers.percent(chances.after)} %"
    return after if chances.before is None else f"{numbers.percent(chances.before)} to {after}"


def _shares(chances: Chances) -> tuple[str, ...]:
    return tuple(_chance(share) for share in chances.chances.values())


def _chance(share: float) -> str:
    """Two digits are what some thousand simulated runs give; certainty is never claimed.

    >>> [_chance(share) for share in (0.0, 0.987, 1.0)]
    ['<1 %', '99 %', '>99 %']
    """
    if share < 0.005:
        return "<1 %"
    return ">99 %" if share > 0.995 else f"{100 * share:.0f} %"


# Dry runs.


_READS: dict[Reads, str] = {
    "logprobs": "log-probabilities of its first token",
    "sampled": "a number",
    "label": "a word or two",
    "structured": "a JSON object with its reason",
    "rubric": "it reasons, then gives its verdict",
    "unknown": "a grader of another package, which does not say",
}


def plan_text(runs: Sequence[DryRun]) -> str:
    """Every planned run with its counts, then the first requests as they would leave."""
    lines = [line for run in runs for line in (*_plan_counts(run), "")]
    lines += [line for request in runs[0].first for line in (*_request(request), "")]
    return plain("\n".join([*lines, "Nothing was sent."])) + "\n"


def _plan_counts(run: DryRun) -> Iterator[str]:
    yield f"{run.suite} {run.suite_version} -> {run.target}, by definition {run.definition}"
    yield f"  folder   {run.folder}"
    yield f"  plan     {run.prompts} prompts, {run.replies:,} replies, seed {'none' if run.seed is None else run.seed}"
    yield (
        f"  target   {run.target_requests:,} requests, about {run.target_input_tokens:,} + "
        f"{run.target_output_tokens:,}{_most(run.target_output_tokens, run.target_output_tokens_most)} tokens"
    )
    if run.target_headers:
        yield f"  headers  to the target: {', '.join(run.target_headers)}"
    yield from (f"  headers  to judge {judge}: {', '.join(names)}" for judge, names in run.judge_headers.items())
    if run.judge_requests:
        judged = f"{run.judge_output_tokens:,}{_most(run.judge_output_tokens, run.judge_output_tokens_most)}"
        yield (
            f"  judge    {run.judge_requests:,} requests to {', '.join(run.judges)}, about "
            f"{run.judge_input_tokens:,} + {judged} tokens"
        )
        yield from (f"  assumed  {line}" for line in _cost_assumptions(run.judge_answers))
    yield f"  cost     {'unknown' if run.cost_usd is None else f'about ${run.cost_usd:.2f}'}"


def _most(usual: int, tokens: int | None) -> str:
    return "" if tokens in {None, usual} else f" (at most {tokens:,})"


def _cost_assumptions(answers: Sequence[ExpectedAnswer]) -> Iterator[str]:
    """What each kind of answer was taken to be, with the graders that are read so."""
    kinds: dict[tuple[Reads, int, int], list[str]] = {}
    for answer in answers:
        kinds.setdefault((answer.reads, answer.answers, answer.tokens), []).append(answer.grader)
    for (reads, count, tokens), graders in kinds.items():
        times = "an answer" if count == 1 else f"each of {count} answers"
        length = "1 token" if tokens == 1 else f"{tokens} tokens"
        yield f"{length} for {times} of {', '.join(dict.fromkeys(graders))}: {_READS[reads]}"
    if any(answer.reads != "logprobs" for answer in answers):
        yield "a judge that thinks before it answers writes more, and one that cannot be read is asked again"


def _request(request: FirstRequest) -> Iterator[str]:
    yield f"First messages of {request.probe}, prompt {request.prompt}, {request.variant}, x{request.samples}"
    settings = request.sampling.model_dump(exclude_none=True)
    yield "  " + (", ".join(f"{name} {value}" for name, value in settings.items()) or "the server's own settings")
    is_now = prefill_of(request.messages) is not None
    for message in request.messages[: len(request.messages) - is_now]:
        yield from _turn(message.role, message.content)
    if request.prefill is not None:
        when = "" if is_now else ", after the turns between"
        yield from _turn(f"assistant (prefill: the target continues it{when})", request.prefill)


def _turn(speaker: str, content: str) -> Iterator[str]:
    yield f"  {speaker}:"
    yield from (f"    {line}" for line in content.splitlines())
