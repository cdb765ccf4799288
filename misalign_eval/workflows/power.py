"""`power`: what a plan can show and what it costs, from assumed rates or a pilot run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from misalign_eval.analysis import power as power_analysis
from misalign_eval.analysis.counts import headline
from misalign_eval.analysis.estimates import counted
from misalign_eval.analysis.power import PowerPlan
from misalign_eval.analysis.warnings import of_files
from misalign_eval.errors import UsageError
from misalign_eval.records.findings import Warned
from misalign_eval.records.power import CostEstimate, Estimand, Power, PowerAssumptions, Question
from misalign_eval.stats.cautions import FEWEST_CHANGED, has_few_events, is_concentrated
from misalign_eval.stats.cells import Cells, FloatArray
from misalign_eval.stats.gates import fewest_replies
from misalign_eval.stats.general import FEWEST_PROBES
from misalign_eval.stats.power import check_margin_plan, check_plan
from misalign_eval.stats.rates import suite_rate
from misalign_eval.stats.sequential import SequentialDesign, most_hits_to_pass
from misalign_eval.workflows.completeness import spent
from misalign_eval.workflows.load_run import Choices, CountedRun, count

PROBES, SAMPLES = 44, 10


@dataclass(frozen=True, slots=True)
class PowerOptions:
    """What `power` was told; None is for "not said". Rates, limits and shares are fractions."""

    max_rate: float | None = None
    max_increase: float | None = None
    rate: float | None = None
    after: float | None = None
    pilot: Path | None = None
    hot: float | None = None  # share of the probes that carry all of the rate; None: all of them
    probes: int | None = None
    paraphrases: int | None = None
    samples: int | None = None
    budget_usd: float | None = None
    cost_per_reply_usd: float | None = None
    alpha: float = 0.05
    power: float = 0.8
    estimand: Estimand = "suite"


@dataclass(frozen=True, slots=True, eq=False)
class _Pilot:
    """Counts of the pilot's headline, its size, and what a reply cost."""

    cells: Cells
    paraphrases: int
    samples: int
    cost_per_reply_usd: float | None
    name: str
    warnings: tuple[Warned, ...] = ()


def power(options: PowerOptions) -> Power:
    """Work out a plan. Raises UsageError for options that do not fit together or a plan that asks for nothing."""
    _check(options)
    pilot = None if options.pilot is None else _pilot(options.pilot)
    plan, assumed = _plan(options, pilot)
    fixed = [power_analysis.fixed(plan, "as assumed")]
    early = [power_analysis.sequential(plan, "as assumed")]
    for scenario, other in _scenarios(plan, pilot):
        fixed.append(power_analysis.fixed(other, scenario))
        early.append(power_analysis.sequential(other, scenario))
    stopped = tuple(item for item in early if item is not None)
    return Power(
        question=plan.question,
        estimand=plan.estimand,
        limit=plan.limit,
        alpha=plan.alpha,
        power=plan.power,
        assumed=assumed,
        design=plan.design,
        needs=power_analysis.required_samples(plan),
        detectable=power_analysis.detectable(plan),
        fixed=tuple(fixed),
        sequential=stopped,
        by_samples=power_analysis.by_samples(plan),
        dominates=power_analysis.is_no_worse(plan),
        bill=_bill(plan, _price(options, pilot), stopped[0].replies if stopped else None),
        simulated_runs=plan.simulated_runs,
        warnings=tuple(_warnings(plan, pilot)),
    )


def _check(options: PowerOptions) -> None:
    if options.max_rate is not None and options.max_increase is not None:
        raise UsageError("--max-rate and --max-increase are two questions: ask one at a time")
    for name, limit in (("--max-rate", options.max_rate), ("--max-increase", options.max_increase)):
        if limit is not None and not 0 < limit < 1:
            how = "no finite sample can decide against it; choose one between 0 and 1, such as 2% or 1pp"
            raise UsageError(f"{name} {limit:g}: {how}")
    if options.rate is None and options.pilot is None:
        raise UsageError("power needs a rate to expect: --rate 1%, or --pilot RUN to take it from a run")
    if options.max_rate is not None and options.after is not None:
        raise UsageError("--after goes with a comparison or --max-increase; for --max-rate give --rate alone")
    if options.max_rate is None and options.max_increase is None and options.after is None:
        raise UsageError("power needs a question: --max-rate 2%, --max-increase 1pp, or --after 3% for a comparison")
    if options.hot is not None and not 0 < options.hot <= 1:
        raise UsageError(f"--hot {options.hot:g}: the share of probes that carry the rate is above 0 and at most 1")
    if not (0 < options.alpha < 0.5 and 0.5 <= options.power < 1):
        raise UsageError("--alpha lies between 0 and 0.5, --power between 0.5 and 1")


def _pilot(path: Path) -> _Pilot:
    found = count(path, Choices())
    if found.tally.definition.measure == "mean":
        raise UsageError(f"{path}: a pilot of mean scores has no rate to plan with")
    cells = headline(found.tally.cells()).cells
    counts = counted(cells, found.tally.definition)
    if counts is None:
        raise UsageError(f"{path}: the pilot has no graded reply, so it says nothing about the rate")
    paraphrases = np.bincount(counts.probes)
    alike = int(paraphrases[0]) if (paraphrases == paraphrases[0]).all() else 1
    replies = sum(cell.prompt.samples for cell in cells) / counts.probe_count
    samples = max(1, round(replies / alike))
    warned = tuple(of_files(found.tally.differing, found.tally.first_digits))
    return _Pilot(counts, alike, samples, _spent_per_reply(found), found.provenance.run, warned)


def _spent_per_reply(run: CountedRun) -> float | None:
    """Target and judges together, retries included; None where some answer has no known price."""
    bill = spent(run.folder)
    replies = sum(cell.replies for cell in run.tally.cells())
    if not replies or bill.target.unpriced or bill.judges.unpriced:
        return None
    return (bill.target.cost_usd + bill.judges.cost_usd) / replies


def _plan(options: PowerOptions, pilot: _Pilot | None) -> tuple[PowerPlan, PowerAssumptions]:
    probes = options.probes or (pilot.cells.probe_count if pilot else PROBES)
    hot = 1.0 if options.hot is None else options.hot
    shape, spread = _shape(options, pilot, probes, hot)
    first = options.rate if options.rate is not None else float(shape.mean())
    question: Question = "rate gate"
    if options.max_rate is None:
        question = "comparison" if options.max_increase is None else "difference gate"
    last = first if options.after is None else options.after
    after = _scaled(shape, last, "--after" if options.after is not None else "--rate", hot)
    before = None if question == "rate gate" else _scaled(shape, first, "--rate", hot)
    limit = options.max_rate if question == "rate gate" else options.max_increase
    paraphrases = options.paraphrases or (pilot.paraphrases if pilot else 1)
    plan = PowerPlan(question, options.estimand, limit, before, after, paraphrases, 1, options.alpha, options.power)
    plan = replace(plan, samples=_samples(options, pilot, plan))
    return plan, PowerAssumptions(before=plan.rates[0], after=plan.rates[1], spread=spread)


def _shape(options: PowerOptions, pilot: _Pilot | None, probes: int, share: float) -> tuple[FloatArray, str]:
    """How the rate is spread over the probes, up to its height."""
    if pilot is not None and pilot.cells.hits.any():
        if options.hot is not None:
            raise UsageError("--hot is not used here: the pilot says on which probes the rate lies. Leave it out")
        return _pilot_rates(pilot, probes), f"over probes as in the pilot {pilot.name}, drawn towards its mean"
    rate = options.rate or 0.0
    hot = max(1, round(share * probes))
    shape = np.where(np.arange(probes) < hot, min(rate * probes / hot, 1.0), 0.0)
    if hot == probes:
        return shape, "every probe alike"
    return shape, f"all of it on {hot} of {probes} probes"


def _pilot_rates(pilot: _Pilot, probes: int) -> FloatArray:
    """Rates of the pilot's probes, two replies drawn towards the mean: none seen in ten is not none at all."""
    mean = pilot.cells.rate
    shares = (pilot.cells.hits + 2 * mean) / (pilot.cells.trials + 2)
    rates = np.bincount(pilot.cells.probes, shares) / np.bincount(pilot.cells.probes)
    return np.resize(rates, probes)


def _scaled(shape: FloatArray, rate: float, flag: str, hot: float) -> FloatArray:
    """The same spread at another height, as far as no probe passes 100 %."""
    mean = float(shape.mean())
    if rate <= 0 or mean <= 0:
        carriers = np.arange(shape.size) < max(1, round(hot * shape.size))
        shape, mean = carriers.astype(np.float64), float(carriers.mean())
    scaled = shape * (rate / mean)
    if scaled.max() > 1 + 1e-9:
        scaled = _capped(scaled, rate)
        if abs(scaled.mean() - rate) > 1e-6:
            raise UsageError(f"{flag} {rate:.3g}: so few probes cannot carry it; choose a larger --hot or a lower rate")
    return np.clip(scaled, 0.0, 1.0)


def _capped(rates: FloatArray, mean: float) -> FloatArray:
    """Probes at 100 % hand the rest to those below that have any."""
    for _ in range(rates.size):
        rates = np.minimum(rates, 1.0)
        open_ = (rates > 0) & (rates < 1)
        short = (mean - rates.mean()) * rates.size
        if short <= 1e-9 or not open_.any():
            break
        rates = np.where(open_, rates * (1 + short / rates[open_].sum()), rates)
    return rates


def _samples(options: PowerOptions, pilot: _Pilot | None, plan: PowerPlan) -> int:
    if options.budget_usd is None:
        return options.samples or (pilot.samples if pilot else SAMPLES)
    price = _price(options, pilot)
    if not price:
        raise UsageError("--budget needs a price: --cost-per-reply USD, or a --pilot whose prices are known")
    affordable = int(options.budget_usd / price / (plan.design.replies * plan.design.runs))
    if affordable < 1:
        least = price * plan.design.replies * plan.design.runs
        raise UsageError(f"--budget {options.budget_usd:g}: one reply to every prompt costs {least:.2f} USD already")
    return min(affordable, options.samples or affordable)


def _price(options: PowerOptions, pilot: _Pilot | None) -> float | None:
    if options.cost_per_reply_usd is not None:
        return options.cost_per_reply_usd
    return pilot.cost_per_reply_usd if pilot else None


def _bill(plan: PowerPlan, price: float | None, stopped: float | None) -> CostEstimate | None:
    if price is None:
        return None
    runs = plan.design.runs
    expected = None if stopped is None else stopped * runs * price
    return CostEstimate(per_reply=price, whole=plan.design.replies * runs * price, expected=expected)


def _scenarios(plan: PowerPlan, pilot: _Pilot | None) -> Iterator[tuple[str, PowerPlan]]:
    """What else may be true: a model just at the limit shows the error rate, the pilot's limit what it leaves open."""
    if pilot is not None and plan.before is None:
        high = suite_rate(pilot.cells).interval.high
        yield "at the upper limit of the pilot's interval", replace(plan, after=_scaled(plan.after, high, "pilot", 1.0))
    if plan.limit is None:
        return
    edge = plan.limit if plan.before is None else min(float(plan.before.mean()) + plan.limit, 1.0)
    text = "just at the limit (passing is an error)"
    yield text, replace(plan, after=_scaled(plan.after, edge, "limit", 1.0))


def _warnings(plan: PowerPlan, pilot: _Pilot | None) -> Iterator[Warned]:
    yield from pilot.warnings if pilot is not None else ()
    if pilot is not None and has_few_events(pilot.cells):
        yield Warned(id="W1", text="the pilot has fewer than 5 misaligned replies: the rate it suggests is unstable")
    if plan.samples == 1:
        yield Warned(id="W2", text="one reply a prompt: differences between probes cannot sharpen the interval")
    if plan.estimand == "general":
        yield from _general_warnings(plan)
    elif not _can_pass(plan):
        text = f"{plan.design.replies} replies cannot pass this gate even with no misaligned reply: see what it takes"
        yield Warned(id="W8", text=text)
    elif plan.question == "rate gate" and plan.limit is not None:
        cap = SequentialDesign(plan.limit, plan.design.replies, plan.alpha, plan.alpha)
        if most_hits_to_pass(cap) < 0:
            text = f"with early stopping {plan.design.replies} replies cannot pass even with no misaligned reply"
            yield Warned(id="W8", text=text)


def _general_warnings(plan: PowerPlan) -> Iterator[Warned]:
    expected = plan.after * plan.samples * plan.paraphrases
    if plan.rates[1] > 0 and is_concentrated(expected):
        text = "few probes carry the assumed rate: formulas for probes like these are optimistic"
        yield Warned(id="W4", text=text)
    if plan.before is not None:
        changed = int((np.abs(plan.after - plan.before) > 1e-12).sum())
        if plan.rates[0] != plan.rates[1] and changed < FEWEST_CHANGED:
            text = f"fewer than {FEWEST_CHANGED} probes change as assumed: no test over probes can show that"
            yield Warned(id="W5", text=text)
    if plan.after.size < FEWEST_PROBES:
        yield Warned(id="few-probes", text=f"fewer than {FEWEST_PROBES} probes: too few to generalise from")
    if (
        plan.question == "rate gate"
        and plan.limit is not None
        and plan.after.size < fewest_replies(plan.limit, plan.alpha)
    ):
        text = f"{plan.after.size} probes cannot pass this gate even with no misaligned reply: see what it takes"
        yield Warned(id="W8", text=text)


def _can_pass(plan: PowerPlan) -> bool:
    if plan.limit is None:
        return True
    if plan.question == "rate gate":
        return check_plan(plan.limit, plan.design.replies, alpha=plan.alpha)
    return check_margin_plan(plan.limit, plan.design.replies, alpha=plan.alpha)
