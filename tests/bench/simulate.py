"""Error rates of the statistics, simulated afresh and printed beside the figures they were chosen on.

    python tests/bench/simulate.py           # about two minutes on two slow cores
    python tests/bench/simulate.py --quick   # a tenth of the runs

Tables A and B: how often 95 % intervals hold the truth, for these probes (SUITE) and for probes like these
(GENERAL). C and D: how often comparisons err, or find a change. E: how often a fixed gate passes a model exactly
at its threshold. F and G: gates that look after every round. H: rates freed of the judge's error. Numbers differ by
simulation error (given as +-) and by how "hot" populations were drawn, which matters most for the power of Table G
from 5 % to 5 %. A line is marked where the two are more than three errors and two points apart.
N: gates over cells with replies out of proportion to their weights, at the limit: false passes and false fails. O: runs
above the limit that look after every round and stop once neither a pass nor a fail is near.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.cells import Cells, Side, macro_weights
from misalign_eval.stats.difference import EffectiveRate, effective_rate, simulated_limits
from misalign_eval.stats.gates import rate_gate
from misalign_eval.stats.general import general_difference, general_interval, mean_over_probes, paired_t
from misalign_eval.stats.intervals import Interval, clopper_pearson, wilson
from misalign_eval.stats.judge_error import (
    KnownErrorRates,
    Labelled,
    corrected_rate,
    lang_reiczigel,
    split_budget,
    uneven_bound,
)
from misalign_eval.stats.judge_error import Uneven as UnevenSample
from misalign_eval.stats.permutation import permutation_test
from misalign_eval.stats.rates import suite_rate
from misalign_eval.stats.sequential import SequentialDesign
from misalign_eval.stats.simulation import simulate_rate_gate, simulate_sequential_difference, simulate_sequential_rate
from misalign_eval.stats.special import normal_quantile
from misalign_eval.stats.unequal_cells import is_equal
from misalign_eval.stats.unknown_replies import PartialCells, ruled, ruled_pair, worst_difference_bound

Rates = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Generator = np.random.Generator

RATES = (0.001, 0.01, 0.02, 0.05, 0.2, 0.4)


@dataclass(frozen=True, slots=True)
class Row:
    """One simulated share beside the published one; ``published`` is a range where many settings share it."""

    table: str
    setting: str
    method: str
    published: tuple[float, float]
    found: float
    runs: int

    @property
    def error(self) -> float:
        return math.sqrt(max(self.found * (1 - self.found), 0.25 / self.runs) / self.runs)

    @property
    def is_far(self) -> bool:
        low, high = self.published
        return max(low - self.found, self.found - high) > max(3 * self.error, 0.02)


def hot(rate: float, probes: int) -> Rates:
    """A tenth of the probes (rounded up, more where the rate asks for it) carries all of it; others never fail."""
    carriers = max(math.ceil(probes / 10), math.ceil(rate * probes))
    rates = np.zeros(probes)
    rates[:carriers] = rate * probes / carriers
    return rates


def hot_population(rate: float, probes: int, rng: Generator) -> Rates:
    """Probes drawn anew: hot with chance 10 % (more where the rate asks for it), hot rates spread around their mean."""
    share = max(0.1, 1.5 * rate)
    mean = rate / share
    return np.where(rng.random(probes) < share, rng.beta(3 * mean, 3 * (1 - mean), probes), 0.0)


def covered(truth: float, interval: Interval) -> bool:
    return interval.low <= truth <= interval.high


SUITE_METHODS: dict[str, Callable[[Counts, int], Interval]] = {
    "strat-CP": lambda hits, samples: suite_rate(Cells.of(hits, np.full(hits.size, samples))).interval,
    "pooled CP": lambda hits, samples: clopper_pearson(float(hits.sum()), float(samples * hits.size)),
    "clustered t": lambda hits, samples: mean_over_probes(hits / samples).interval,
}

# Table A: lowest and mean coverage over the six rates, all of it on hot probes.
TABLE_A = {
    ("strat-CP", 10, 8): (0.98, 0.99), ("strat-CP", 10, 44): (0.97, 0.98), ("strat-CP", 10, 200): (0.95, 0.98),
    ("strat-CP", 100, 8): (0.96, 0.97), ("strat-CP", 100, 44): (0.95, 0.96), ("strat-CP", 100, 200): (0.95, 0.96),
    ("pooled CP", 10, 44): (0.98, 0.99), ("pooled CP", 100, 44): (0.96, 0.99),
    ("clustered t", 10, 44): (0.36, 0.88), ("clustered t", 100, 44): (0.94, 0.99),
}  # fmt: skip


def table_a(runs: int, rng: Generator) -> Iterator[Row]:
    for (method, samples, probes), (lowest, mean) in TABLE_A.items():
        shares = []
        for rate in RATES:
            rates = hot(rate, probes)
            draws = rng.binomial(samples, rates, (runs, probes))
            shares.append(np.mean([covered(rate, SUITE_METHODS[method](row, samples)) for row in draws]))
        setting = f"S={samples} Q={probes}"
        yield Row("A", f"{setting} lowest", method, (lowest, lowest), float(min(shares)), runs)
        yield Row("A", f"{setting} mean", method, (mean, mean), float(np.mean(shares)), runs * len(RATES))


GENERAL_METHODS: dict[str, Callable[[Rates, int], Interval]] = {
    "Gaffke": lambda means, _: general_interval(means),
    "clustered t": lambda means, _: mean_over_probes(means).interval,
    "Wilson, pooled replies": lambda means, samples: wilson(float(means.sum() * samples), float(samples * means.size)),
}

# Table B: coverage at the six rates, hot population, 100 replies a probe.
TABLE_B = {
    ("Gaffke", 8): (0.99,) * 6,
    ("Gaffke", 24): (0.99, 0.99, 0.99, 0.99, 0.98, 0.98),
    ("Gaffke", 44): (0.99, 0.98, 0.99, 0.99, 0.98, 0.98),
    ("Gaffke", 200): (0.99, 0.99, 0.98, 0.98, 0.95, 0.97),
    ("clustered t", 44): (0.35, 0.74, 0.83, 0.90, 0.94, 0.95),
    ("Wilson, pooled replies", 44): (0.38, 0.26, 0.28, 0.22, 0.18, 0.21),
}


def table_b(runs: int, rng: Generator) -> Iterator[Row]:
    for (method, probes), published in TABLE_B.items():
        for rate, share in zip(RATES, published, strict=True):
            means = (rng.binomial(100, hot_population(rate, probes, rng)) / 100 for _ in range(runs))
            hits = [covered(rate, GENERAL_METHODS[method](row, 100)) for row in means]
            yield Row("B", f"Q={probes} rate {rate:g}", method, (share, share), float(np.mean(hits)), runs)


def changed(name: str, base: float, probes: int) -> tuple[Rates, Rates]:
    """Rates before and after a rise of one point: on all probes, or on the few that are hot."""
    if name == "flat":
        return np.full(probes, base), np.full(probes, base + 0.01)
    return hot(base, probes) if base else np.zeros(probes), hot(base + 0.01, probes)


def table_c(runs: int, rng: Generator) -> Iterator[Row]:
    """Chance that a non-inferiority gate of one point passes, or calls worse, a rise of exactly one point."""
    z = normal_quantile(0.95)
    for probes, samples in ((8, 100), (44, 20), (44, 100), (200, 20)):
        for name in ("flat", "hot"):
            for base in (0.0, 0.05, 0.2):
                before, after = changed(name, base, probes)
                size = (runs, probes)
                first, second = (rng.binomial(samples, rates, size).astype(float) for rates in (before, after))
                trials, weights = np.full(probes, float(samples)), np.full(probes, 1 / probes)
                low, high = simulated_limits(first, second, trials, weights, z)
                setting = f"({probes},{samples}) {name} from {base:g}"
                yield Row("C", f"{setting}: pass", "MOVER-Wilson", (0.009, 0.053), float((high < 0.01).mean()), runs)
                yield Row("C", f"{setting}: fail", "MOVER-Wilson", (0.010, 0.058), float((low > 0.01).mean()), runs)


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the probes of one simulated comparison change: (before, after) rates, drawn anew each run."""

    name: str
    probes: int
    samples: int
    draw: Callable[[int, Generator], tuple[Rates, Rates]]


def shifted(base: float, share: float, up: float, down: float) -> Callable[[int, Generator], tuple[Rates, Rates]]:
    """Every probe starts at ``base``; a ``share`` of them moves by ``up``, the others by ``down``."""

    def draw(probes: int, rng: Generator) -> tuple[Rates, Rates]:
        before = np.full(probes, base)
        return before, before + np.where(rng.random(probes) < share, up, down)

    return draw


def swapped(probes: int, rng: Generator) -> tuple[Rates, Rates]:
    """A tenth of the probes moves by 50 points, up as often as down; the others stay at 1 %."""
    before, after = np.full((2, probes), 0.01)
    moved = rng.random(probes) < 0.1
    up = rng.random(probes) < 0.5
    before[moved], after[moved] = np.where(up, 0.25, 0.75)[moved], np.where(up, 0.75, 0.25)[moved]
    return before, after


def same(probes: int, rng: Generator) -> tuple[Rates, Rates]:
    rates = rng.beta(0.5, 4, probes)
    return rates, rates


# Table D: rejection rates at a two-sided 5 % of the SUITE test, the paired t test and the Gaffke bound.
TABLE_D = (
    (Scenario("same rates", 44, 10, same), (0.049, 0.053, 0.000)),
    (Scenario("10 % of probes +-50 points", 44, 100, swapped), (0.741, 0.044, 0.000)),
    (Scenario("10 % at +45, rest -5", 8, 100, shifted(0.05, 0.1, 0.45, -0.05)), (0.66, 0.385, 0.000)),
    (Scenario("10 % at +45, rest -5", 44, 100, shifted(0.05, 0.1, 0.45, -0.05)), (0.64, 0.089, 0.000)),
    (Scenario("3 % at +48.5, rest -1.5", 44, 100, shifted(0.015, 0.03, 0.485, -0.015)), (0.65, 0.26, 0.000)),
    (Scenario("all +4 points", 200, 100, shifted(0.05, 1.0, 0.04, 0.0)), (1.0, 1.0, 1.0)),
)


def table_d(runs: int, rng: Generator) -> Iterator[Row]:
    for scenario, published in TABLE_D:
        found = np.zeros(3)
        for _ in range(runs):
            rates = scenario.draw(scenario.probes, rng)
            first, second = (rng.binomial(scenario.samples, rate) for rate in rates)
            cells = [Cells.of(hits, np.full(scenario.probes, scenario.samples)) for hits in (first, second)]
            means = cells[0].probe_means, cells[1].probe_means
            found += (
                permutation_test(*cells).mid <= 0.05,
                paired_t(*means).p_value <= 0.05,
                not covered(0.0, general_difference(*means)),
            )
        for method, share, count in zip(("permutation", "paired t", "Gaffke"), published, found, strict=True):
            setting = f"{scenario.name}, ({scenario.probes},{scenario.samples})"
            yield Row("D", setting, method, (share, share), float(count / runs), runs)


def table_e(runs: int, rng: Generator) -> Iterator[Row]:
    for probes, samples in ((8, 100), (44, 10), (44, 100), (200, 5)):
        for name, published in (("flat", (0.023, 0.050)), ("hot", (0.004, 0.034))):
            rates = hot(0.02, probes) if name == "hot" else np.full(probes, 0.02)
            outlook = simulate_rate_gate(rates, samples, 0.02, runs=runs, seed=int(rng.integers(2**32)))
            yield Row("E", f"({probes},{samples}) {name}", "pooled CP passes", published, outlook.passes, runs)


# Table F: true rate, P(pass) and mean replies by cap; P(fail) where sampling goes on after passing is lost.
TABLE_F = (
    (0.002, (1.00, 294, 0.0), (1.00, 296, 0.0)),
    (0.005, (1.00, 482, 0.0), (1.00, 479, 0.0)),
    (0.01, (0.85, 1115, 0.0), (1.00, 1311, 0.0)),
    (0.015, (0.19, 1341, 0.0), (0.55, 3513, 0.0)),
    (0.02, (0.017, 1101, 0.004), (0.017, 3310, 0.007)),
    (0.03, (0.0, 742, 0.66), (0.0, 1841, 0.99)),
    (0.05, (0.0, 316, 1.00), (0.0, 323, 1.00)),
)


def table_f(runs: int, rng: Generator) -> Iterator[Row]:
    for rate, *by_cap in TABLE_F:
        for cap, (passes, replies, fails) in zip((1760, 4400), by_cap, strict=True):
            seed = int(rng.integers(2**32))
            eager = simulate_sequential_rate(hot(rate, 44), SequentialDesign(0.02, cap), runs=runs, seed=seed)
            patient = SequentialDesign(0.02, cap, stops_when_lost=False)
            waited = simulate_sequential_rate(hot(rate, 44), patient, runs=runs, seed=seed)
            setting = f"rate {rate:g}, cap {cap}"
            note = f"passes, {eager.mean_replies:.0f} replies (published {replies})"
            yield Row("F", setting, note, (passes, passes), eager.passes, runs)
            yield Row("F", setting, "fails, without curtailment", (fails, fails), waited.fails, runs)


# Table G: rates before and after, P(pass), P(fail) and mean replies per run by cap.
TABLE_G = (
    ("0 to 0", (0.0, 0.0), (1.00, 0.0, 484), (1.00, 0.0, 484)),
    ("0.5 % to 0.5 %", (0.005, 0.005), (0.92, 0.0, 1097), (1.00, 0.0, 1176)),
    ("1 % to 1 % hot", (-0.01, -0.01), (0.71, 0.0, 1321), (0.99, 0.0, 1727)),
    ("5 % to 5 % hot", (-0.05, -0.05), (0.25, 0.0, 1567), (0.64, 0.0, 3078)),
    ("0 to 3 % hot", (0.0, -0.03), (0.0, 1.00, 479), (0.0, 1.00, 469)),
    ("5 % to 6 % hot, at the margin", (-0.05, -0.06), (0.015, 0.016, 0), (0.023, 0.022, 0)),
)


def table_g(runs: int, rng: Generator) -> Iterator[Row]:
    for name, rates, *by_cap in TABLE_G:
        before, after = (hot(-rate, 44) if rate < 0 else np.full(44, rate) for rate in rates)
        for cap, (passes, fails, replies) in zip((1760, 4400), by_cap, strict=True):
            seed = int(rng.integers(2**32))
            outlook = simulate_sequential_difference(before, after, SequentialDesign(0.01, cap), runs=runs, seed=seed)
            beside = f" (published {replies})" if replies else ""
            note = f"passes, {outlook.mean_replies:.0f} replies{beside}"
            is_null = not replies
            yield Row("G", f"{name}, cap {cap}", note, (0.0 if is_null else passes, passes), outlook.passes, runs)
            yield Row("G", f"{name}, cap {cap}", "fails", (0.0 if is_null else fails, fails), outlook.fails, runs)


# Table H: true rate, sensitivity, specificity and labels; coverage of people's labels alone (CP), of Lang-Reiczigel
# with half of the labels external positives and half negatives, and of the two-phase interval with its width in points.
# The published widths are those of labels shared out half and half, which is simulated too; ours are 30 to 70.
TABLE_H = (
    (0.005, 0.9, 0.99, 300, (0.98, 0.99, 0.98), 1.8),
    (0.005, 0.9, 0.999, 100, (0.98, 1.00, 0.98), 5.0),
    (0.02, 0.9, 0.99, 100, (0.98, 1.00, 0.98), 7.7),
    (0.02, 0.9, 0.99, 600, (0.96, 0.97, 0.98), 1.5),
    (0.02, 0.75, 0.97, 300, (0.96, 0.96, 0.98), 3.4),
    (0.20, 0.9, 0.99, 300, (0.95, 0.98, 0.97), 5.4),
)


def halved(labels: int, flagged: int, unflagged: int) -> tuple[int, int]:
    """Half of the labels to each stratum, or all of it."""
    return min(flagged, labels // 2), min(unflagged, labels - min(flagged, labels // 2))


def table_h(runs: int, rng: Generator) -> Iterator[Row]:
    for rate, sensitivity, specificity, labels, published, width in TABLE_H:
        hits, widths = np.zeros(4), np.zeros((runs, 2))
        for run in range(runs):
            found = intervals_h(rate, sensitivity, specificity, labels, rng)
            hits += [interval is not None and covered(rate, interval) for interval in found]
            widths[run] = [100 * interval.width if interval is not None else 100 for interval in found[2:]]
        half, ours = widths.mean(axis=0)
        names = (
            "labels alone",
            "Lang-Reiczigel",
            f"two-phase 50:50, {half:.1f} points (published {width})",
            f"two-phase 30:70, {ours:.1f} points",
        )
        words = f"rate {rate:g}, Se {sensitivity:g}, Sp {specificity:g}, {labels} labels"
        for method, share, count in zip(names, (*published, published[2]), hits, strict=True):
            yield Row("H", words, method, (share, share), float(count / runs), runs)


def intervals_h(
    rate: float, sensitivity: float, specificity: float, labels: int, rng: Generator
) -> tuple[Interval, Interval | None, Interval | None, Interval | None]:
    """One simulated run of 4,400 replies, judged and labelled: the four intervals of its true rate."""
    replies = 4400
    bad = int(rng.binomial(replies, rate))
    caught = int(rng.binomial(bad, sensitivity))
    flagged = caught + int(rng.binomial(replies - bad, 1 - specificity))
    half = labels // 2
    external = [KnownErrorRates(rng.binomial(half, share) / half, half) for share in (sensitivity, specificity)]
    theirs = lang_reiczigel(KnownErrorRates(flagged / replies, replies), external[0], external[1])
    phases = []
    for share_out in (halved, split_budget):
        of_flagged, of_others = share_out(labels, flagged, replies - flagged)
        right = int(rng.hypergeometric(caught, flagged - caught, of_flagged)) if of_flagged else 0
        missed = int(rng.hypergeometric(bad - caught, replies - flagged - bad + caught, of_others))
        judged = EffectiveRate(flagged / replies, replies)
        phases.append(corrected_rate(judged, Labelled(right, of_flagged), Labelled(missed, of_others)))
    people = clopper_pearson(int(rng.hypergeometric(bad, replies - bad, labels)), labels)
    first, second = (phase.interval if phase is not None else None for phase in phases)
    return people, theirs.interval if theirs is not None else None, first, second


@dataclass(frozen=True, slots=True)
class Uneven:
    """Cells with replies out of proportion to their weights; the first ``hot`` of them carry all of the rate."""

    name: str
    trials: tuple[int, ...]
    probes: tuple[int, ...]
    hot: int
    rate: float  # of the hot cells

    @property
    def rates(self) -> Rates:
        return np.where(np.arange(len(self.trials)) < self.hot, self.rate, 0.0)

    @property
    def weights(self) -> Rates:
        return macro_weights(np.array(self.probes))

    @property
    def macro(self) -> float:
        return float(self.weights @ self.rates)


def few_small(small: int, replies: int, rate: float, cells: int, others: int = 50) -> Uneven:
    """So many cells with few replies carry all of the rate."""
    trials = (replies,) * small + (others,) * (cells - small)
    name = f"{small} of {cells} with n={replies} at {100 * rate:.0f} %, others n={others}"
    return Uneven(name, trials, tuple(range(cells)), small, rate)


# Nine designs in which pooled and stratified bounds err in up to a third of all runs.
UNEVEN = (
    few_small(1, 2, 0.40, 8),
    few_small(2, 1, 0.44, 44),
    few_small(2, 2, 0.20, 12),
    few_small(3, 5, 0.30, 24),
    few_small(2, 5, 0.40, 8, 10),
    few_small(4, 3, 0.60, 24),
    few_small(4, 4, 0.30, 24, 8),
    few_small(2, 5, 0.25, 10),
    Uneven("n=10, a probe of 1 wording at 50 %, 9 of 5", (10,) * 46, (0, *(1 + i // 5 for i in range(45))), 1, 0.5),
)
NEARLY = (
    Uneven("24 cells n=7-10 flat at 5 %", tuple(7 + i % 4 for i in range(24)), tuple(range(24)), 24, 0.05),
    Uneven("24 cells n=9-10, 2 at 60 %", (9, 10) * 12, tuple(range(24)), 2, 0.60),
    Uneven("44 cells n=14-17, 4 at 30 %", tuple(14 + i % 4 for i in range(44)), tuple(range(44)), 4, 0.30),
)


def drawn(design: Uneven, rates: Rates, rng: Generator) -> PartialCells:
    """One simulated run, reply by reply."""
    rows = [(rng.random(n) < rate).astype(int).tolist() for n, rate in zip(design.trials, rates, strict=True)]
    none = [0] * len(rows)
    return PartialCells.of([sum(row) for row in rows], design.trials, none, design.probes, in_order=rows)


def decided_rates(design: Uneven, runs: int, rng: Generator) -> tuple[str, float, float]:
    """The rule of a rate gate at the true rate, and how often it passes and fails; every distinct outcome once."""
    found: dict[tuple[float, float], tuple[bool, bool]] = {}
    passes = fails = 0
    for _ in range(runs):
        cells = drawn(design, design.rates, rng)
        taken = ruled(cells)[1]
        key = round(float(taken.weights @ (taken.hits / taken.graded)), 12), float(taken.graded.sum())
        if key not in found:
            verdict = rate_gate(cells, design.macro).verdict
            found[key] = verdict == "pass", verdict == "fail"
        passes, fails = passes + found[key][0], fails + found[key][1]
    return ruled(cells)[0], passes / runs, fails / runs


def decided_changes(design: Uneven, base: float, runs: int, rng: Generator) -> tuple[str, float, float]:
    """Likewise of a difference gate whose margin is the true change; ``base`` is the rate of all cells before."""
    before = np.full(len(design.trials), base)
    after = np.minimum(before + design.rates, 1.0)
    margin = float(design.weights @ (after - before))
    found: dict[tuple[float, float], tuple[bool, bool]] = {}
    passes = fails = 0
    for _ in range(runs):
        first, second = drawn(design, before, rng), drawn(design, after, rng)
        rule, (was, now) = ruled_pair(first, second), (ruled(item)[1].observed.rate for item in (first, second))
        # A bound never lies on the far side of its estimate, so one of the two questions has a known answer.
        key = round(was, 12), round(now, 12)
        if rule != "any rates" or key not in found:
            side: Side = "high" if now - was < margin else "low"
            bound = worst_difference_bound(first, second, 0.05, side)
            found[key] = side == "high" and bound < margin, side == "low" and bound > margin
        passes, fails = passes + found[key][0], fails + found[key][1]
    return rule, passes / runs, fails / runs


def table_n(runs: int, rng: Generator) -> Iterator[Row]:
    for design in (*UNEVEN, *NEARLY):
        rule, passes, fails = decided_rates(design, runs, rng)
        yield Row("N", design.name, f"rate, {rule}: passes", (0.0, 0.055), passes, runs)
        yield Row("N", design.name, f"rate, {rule}: fails", (0.0, 0.055), fails, runs)
        for base in (0.0, 0.05):
            rule, passes, fails = decided_changes(design, base, runs, rng)
            most = 0.055 if rule == "any rates" else 0.065
            yield Row("N", design.name, f"rise from {base:g}, {rule}: passes", (0.0, most), passes, runs)
            yield Row("N", design.name, f"rise from {base:g}, {rule}: fails", (0.0, most), fails, runs)


# Sensitivity and specificity of the judges of table P: right, usual, and one that misses most.
JUDGES = ((1.0, 1.0), (0.9, 0.99), (0.3, 0.97))
EVEN = tuple(
    Uneven(
        f"{cells} cells n={n}, {hot_cells} at {100 * rate:.0f} %", (n,) * cells, tuple(range(cells)), hot_cells, rate
    )
    for cells, n, hot_cells, rate in ((8, 50, 8, 0.05), (8, 50, 1, 0.4), (44, 10, 44, 0.05), (44, 10, 4, 0.5))
)


@dataclass(frozen=True, slots=True)
class Read:
    """One simulated run that a judge judged and people labelled a two-phase sample of."""

    judged: PartialCells
    flagged: Labelled
    unflagged: Labelled
    sample: UnevenSample

    @property
    def estimate(self) -> float:
        """The labelled hits, each for as many replies as it was drawn from."""
        drawn = self.sample.weights[:, None] * self.sample.hits / np.maximum(self.sample.chances, 1e-12)
        return float(drawn.sum())


def read(design: Uneven, judge: tuple[float, float], labels: int, rng: Generator) -> Read:
    """Draw the replies, the verdicts and the labels of one run."""
    trials = np.array(design.trials)
    bad = rng.binomial(trials, design.rates)
    caught, alarms = rng.binomial(bad, judge[0]), rng.binomial(trials - bad, 1 - judge[1])
    strata = ((caught, alarms), (bad - caught, trials - bad - alarms))
    sizes = [int(sum(part.sum() for part in parts)) for parts in strata]
    hits, rest = np.zeros((trials.size, 2)), np.zeros((trials.size, 2))
    given = split_budget(labels, *sizes)
    for column, parts in enumerate(strata):
        where = np.repeat(np.arange(2 * trials.size), np.concatenate(parts))
        found = np.bincount(rng.permutation(where)[: given[column]], minlength=2 * trials.size)
        hits[:, column] = found[: trials.size]
        rest[:, column] = sum(parts) - found[: trials.size] - found[trials.size :]
    chances = np.array([number / max(size, 1) for number, size in zip(given, sizes, strict=True)])
    judged = PartialCells.of(caught + alarms, trials, [0] * trials.size, design.probes)
    sample = UnevenSample(design.weights / trials, hits, rest, np.zeros_like(hits), chances)
    totals = [Labelled(int(hits[:, column].sum()), given[column]) for column in (0, 1)]
    return Read(judged, totals[0], totals[1], sample)


def decided_corrected(
    design: Uneven, judge: tuple[float, float], labels: int, runs: int, rng: Generator
) -> tuple[str, float, float]:
    """The rule of a gate on the corrected rate at the true rate, and how often it passes and fails."""
    rule = "equal" if is_equal(np.array(design.trials, dtype=float), design.weights) else "any rates"
    passes = fails = 0
    for _ in range(runs):
        found = read(design, judge, labels, rng)
        if rule == "equal":
            both = corrected_rate(effective_rate(found.judged.observed), found.flagged, found.unflagged, 0.90)
            interval = both.interval if both is not None else Interval(0.0, 1.0)
            passes, fails = passes + (interval.high < design.macro), fails + (interval.low > design.macro)
            continue
        side: Side = "high" if found.estimate < design.macro else "low"
        bound = uneven_bound(found.sample, found.judged.graded, design.weights, 0.0, 0.05, side)
        passes += side == "high" and bound < design.macro
        fails += side == "low" and bound > design.macro
    return rule, passes / runs, fails / runs


def table_p(runs: int, rng: Generator) -> Iterator[Row]:
    for design in (*EVEN, *UNEVEN, *NEARLY):
        labels = min(300, sum(design.trials) // 2)
        for judge in JUDGES:
            rule, passes, fails = decided_corrected(design, judge, labels, runs, rng)
            words = f"{design.name}, {labels} labels"
            method = f"Se {judge[0]:g}, Sp {judge[1]:g}, {rule}"
            most = 0.065 if rule == "equal" else 0.055
            yield Row("P", words, f"{method}: passes", (0.0, most), passes, runs)
            yield Row("P", words, f"{method}: fails", (0.0, most), fails, runs)


# Table O: probes, samples, limit and true rate. Before, a run ended as soon as it could not pass.
TABLE_O = ((10, 20, 0.1, 0.25), (10, 20, 0.1, 0.15), (10, 20, 0.1, 0.1), (44, 10, 0.1, 0.2), (24, 10, 0.05, 0.125))


def table_o(runs: int, rng: Generator) -> Iterator[Row]:
    for probes, samples, limit, rate in TABLE_O:
        seed = int(rng.integers(2**32))
        design = SequentialDesign(limit, probes * samples)
        outlook = simulate_sequential_rate(np.full(probes, rate), design, runs=runs, seed=seed)
        setting = f"({probes},{samples}) limit {limit:g}, true {rate:g}"
        low = 0.9 if rate >= 2.5 * limit and samples == 20 else 0.0
        most = 0.05 if rate <= limit else 1.0
        yield Row("O", setting, f"fails, {outlook.mean_replies:.0f} replies", (low, most), outlook.fails, runs)


TABLES: dict[str, tuple[Callable[[int, Generator], Iterator[Row]], int]] = {
    "A": (table_a, 600),
    "B": (table_b, 600),
    "C": (table_c, 10_000),
    "D": (table_d, 600),
    "E": (table_e, 10_000),
    "F": (table_f, 4_000),
    "G": (table_g, 4_000),
    "H": (table_h, 4_000),
    "N": (table_n, 1_000),
    "O": (table_o, 4_000),
    "P": (table_p, 1_000),
}


def line(row: Row) -> str:
    low, high = row.published
    published = f"{low:.3f}" if low == high else f"{low:.3f}-{high:.3f}"
    mark = "  <- apart" if row.is_far else ""
    return f"{row.setting:<42} {row.method:<44} {published:>12} {row.found:>8.3f} +-{row.error:.3f}{mark}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--tables", default="".join(TABLES), help="letters of the tables to simulate, such as AF")
    parser.add_argument("--seed", type=int, default=20_250_901)
    chosen = parser.parse_args()
    unknown = set(chosen.tables) - set(TABLES)
    if unknown:
        parser.error(f"unknown tables: {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}")
    for place, letter in enumerate(chosen.tables):
        simulate, runs = TABLES[letter]
        started = time.perf_counter()
        rng = np.random.default_rng([chosen.seed, place])
        print(f"\nTable {letter}{'':<35} {'':<44} {'published':>12} {'found':>8}")
        for row in simulate(max(50, runs // 10) if chosen.quick else runs, rng):
            print(line(row), flush=True)
        print(f"({time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
