"""Tables of plans: what a run can show, and what it costs."""

from collections.abc import Iterator, Sequence

from misalign_eval.records.power import Chances, Estimand, Need, Power
from misalign_eval.records.run import DryRun, ExpectedAnswer, FirstRequest, Reads
from misalign_eval.records.suite import prefill_of
from misalign_eval.reports import numbers
from misalign_eval.reports.escape import plain
from misalign_eval.reports.run import ReportTable

# What a plan can show, before it is a terminal page or Markdown: sentences and rows of words.


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


def power_facts(found: Power) -> tuple[tuple[str, str], ...]:
    """What is assumed, asked and paid."""
    design = found.design
    paraphrases = f" x {design.paraphrases} paraphrases" if design.paraphrases > 1 else ""
    size = f"{design.probes} probes{paraphrases} x {design.samples} samples = {design.replies:,} replies"
    rows = [("question", f"{_question(found)}, {ESTIMANDS[found.estimand]}"), ("assumed", _power_assumptions(found))]
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


def tables(found: Power) -> tuple[ReportTable, ...]:
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


def _power_assumptions(found: Power) -> str:
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


def _scenarios(title: str, rows: Sequence[Chances], found: Power) -> ReportTable:
    runs = " a run" if found.design.runs > 1 else ""
    heads = ("if the truth is", "rate", *rows[0].chances, f"mean replies{runs}")
    cells = tuple((one.scenario, _rates(one), *_shares(one), f"{one.replies:,.0f}") for one in rows)
    return ReportTable(title, heads, cells)


def _by_samples(found: Power) -> ReportTable:
    rows = found.by_samples
    heads = ("samples", "replies", *rows[0].chances)
    cells = tuple((f"{one.samples:,}", f"{one.replies:,.0f}", *_shares(one)) for one in rows)
    return ReportTable("Other numbers of samples, as assumed, decided once", heads, cells)


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


# A dry run in words.


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
    for one in answers:
        kinds.setdefault((one.reads, one.answers, one.tokens), []).append(one.grader)
    for (reads, count, tokens), graders in kinds.items():
        times = "an answer" if count == 1 else f"each of {count} answers"
        length = "1 token" if tokens == 1 else f"{tokens} tokens"
        yield f"{length} for {times} of {', '.join(dict.fromkeys(graders))}: {_READS[reads]}"
    if any(one.reads != "logprobs" for one in answers):
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
