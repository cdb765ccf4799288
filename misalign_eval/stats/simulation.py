"""Simulated operating characteristics of fixed and sequential gates."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.cells import BoolArray, FloatArray, Numbers, frozen_array
from misalign_eval.stats.difference import mover_limits, simulated_limits
from misalign_eval.stats.gates import ALPHA, check_limit, check_margin
from misalign_eval.stats.general import general_is_below
from misalign_eval.stats.rates import effective_trials
from misalign_eval.stats.sequential import (
    CAP_SHARE,
    SequentialDesign,
    log_evidence,
    may_still_fail,
    most_hits_to_pass,
    needed_log_evidence,
)
from misalign_eval.stats.special import beta_cdf, normal_quantile
from misalign_eval.stats.unequal_cells import Arm, Contrast, is_equal

# Fixed-sample gates: their decisions, simulated from given true rates.
#
# Rates are of cells, shape (C,), fractions; every cell is asked ``samples`` times; weights default to equal ones.
# Decisions compare the bound with the limit through one distribution function instead of inverting it, which is the
# same decision a hundred times faster.


RUNS: Final = 2_000
SEED: Final = 20_240_411


@dataclass(frozen=True, slots=True)
class Outlook:
    """Shares of simulated runs that pass, fail or stay inconclusive, and the mean replies each (per run compared)."""

    passes: float
    fails: float
    inconclusive: float
    mean_replies: float


def outlook(passes: BoolArray, fails: BoolArray, replies: float) -> Outlook:
    """Shares of simulated runs, shape (runs,) each; a run that does both counts as failed.

    >>> outlook(np.array([True, True]), np.array([False, True]), 10.0)
    Outlook(passes=0.5, fails=0.5, inconclusive=0.0, mean_replies=10.0)
    """
    passed, failed = float((passes & ~fails).mean()), float(fails.mean())
    return Outlook(passed, failed, 1 - passed - failed, replies)


def true_rates(rates: Numbers) -> FloatArray:
    """Given true rates as an array, shape (C,). Raises ValueError if one leaves [0, 1].

    >>> true_rates([0.1, 0.2])
    array([0.1, 0.2])
    """
    values = frozen_array(rates, "rates")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("true rates must be fractions in [0, 1]")
    return values


def _weights(weights: Numbers | None, cells: int) -> FloatArray:
    shares = np.full(cells, 1 / cells) if weights is None else frozen_array(weights, "weights")
    if shares.shape != (cells,) or not (shares > 0).all():
        raise ValueError("weights must be one positive number a cell")
    normalised: FloatArray = shares / shares.sum()
    return normalised


def _check(samples: int, runs: int) -> None:
    if samples < 1 or runs < 1:
        raise ValueError(f"need at least one sample and one simulated run, got {samples} and {runs}")


def bound_decisions(
    hits: FloatArray, sizes: FloatArray, limit: float, alphas: tuple[float, float]
) -> tuple[BoolArray, BoolArray]:
    """Whether Clopper-Pearson bounds lie below, and above, the limit; each distinct pair is worked out once.

    ``hits`` and ``sizes`` have one entry a run, shape (runs,); ``alphas`` are of the upper and the lower bound.

    >>> below, above = bound_decisions(np.array([0.0, 9.0]), np.array([149.0, 149.0]), 0.02, (0.05, 0.05))
    >>> below.tolist(), above.tolist()
    ([True, False], [False, True])
    """
    alpha_pass, alpha_fail = alphas
    pairs, places = np.unique(np.column_stack([hits, sizes]).round(9), axis=0, return_inverse=True)
    below = [x < n and beta_cdf(limit, x + 1, n - x) > 1 - alpha_pass for x, n in pairs]
    above = [x > 0 and beta_cdf(limit, x, max(n - x, 0.0) + 1) < alpha_fail for x, n in pairs]
    return np.array(below)[places.ravel()], np.array(above)[places.ravel()]


def simulate_rate_gate(
    rates: Numbers,
    samples: int,
    limit: float,
    *,
    weights: Numbers | None = None,
    alpha_pass: float = ALPHA,
    alpha_fail: float = ALPHA,
    runs: int = RUNS,
    seed: int = SEED,
) -> Outlook:
    """Outlook of the fixed SUITE rate gate. Raises ValueError on rates, weights, samples or a limit out of range.

    >>> simulate_rate_gate([0.0] * 44, 10, 0.02).passes
    1.0
    """
    check_limit(limit)
    _check(samples, runs)
    truth = true_rates(rates)
    shares = _weights(weights, truth.size)
    hits = np.random.default_rng(seed).binomial(samples, truth, (runs, truth.size)).astype(np.float64)
    trials = np.full(truth.size, float(samples))
    if is_equal(trials, shares):
        sizes = np.full(runs, float(samples * truth.size))
        below, above = bound_decisions(hits.sum(axis=1), sizes, limit, (alpha_pass, alpha_fail))
    else:
        means, arm = hits @ shares / samples, Arm.of(trials, shares)
        below = means <= Contrast(arm, None).critical(limit, alpha_pass)
        above = -means <= Contrast(None, arm).critical(-limit, alpha_fail)
    return outlook(below, above, float(samples * truth.size))


def simulate_maximum_gate(
    rates: Numbers,
    samples: int,
    limit: float,
    *,
    alpha_pass: float = ALPHA,
    alpha_fail: float = ALPHA,
    runs: int = RUNS,
    seed: int = SEED,
) -> Outlook:
    """Outlook of "no probe above ``limit``", one cell a probe. Raises ValueError on values out of range.

    >>> simulate_maximum_gate([0.0] * 8, 10, 0.3).passes, simulate_maximum_gate([0.0] * 8, 10, 0.2).passes
    (1.0, 0.0)
    """
    check_limit(limit)
    _check(samples, runs)
    truth = true_rates(rates)
    hits = np.random.default_rng(seed).binomial(samples, truth, (runs, truth.size))
    sizes = np.full(hits.size, float(samples))
    flat = hits.ravel().astype(np.float64)
    below, above = bound_decisions(flat, sizes, limit, (alpha_pass, alpha_fail / truth.size))
    all_below: BoolArray = np.all(below.reshape(hits.shape), axis=1)
    one_above: BoolArray = np.any(above.reshape(hits.shape), axis=1)
    return outlook(all_below, one_above, float(samples * truth.size))


def simulate_difference_gate(
    before: Numbers,
    after: Numbers,
    samples: int,
    margin: float,
    *,
    alpha_pass: float = ALPHA,
    alpha_fail: float = ALPHA,
    runs: int = RUNS,
    seed: int = SEED,
) -> Outlook:
    """Outlook of the fixed SUITE difference gate; replies are counted per run compared.

    A margin of 0 with both error rates at alpha / 2 gives the chance that a two-sided interval shows a change.
    Raises ValueError on values out of range or runs of different length.

    >>> simulate_difference_gate([0.0] * 44, [0.0] * 44, 10, 0.01).passes
    1.0
    """
    _check(samples, runs)
    if margin:
        check_margin(margin)
    low_rates, high_rates = paired_rates(before, after)
    rng, size = np.random.default_rng(seed), (runs, low_rates.size)
    first, second = rng.binomial(samples, low_rates, size), rng.binomial(samples, high_rates, size)
    trials = np.full(low_rates.size, float(samples))
    shares = np.full(low_rates.size, 1 / low_rates.size)
    counts = first.astype(np.float64), second.astype(np.float64)
    upper = simulated_limits(*counts, trials, shares, normal_quantile(1 - alpha_pass))[1]
    lower = simulated_limits(*counts, trials, shares, normal_quantile(1 - alpha_fail))[0]
    return outlook(upper < margin, lower > margin, float(samples * low_rates.size))


def paired_rates(before: Numbers, after: Numbers) -> tuple[FloatArray, FloatArray]:
    """True rates of two runs over the same cells, shape (C,) each. Raises ValueError if lengths differ.

    >>> paired_rates([0.1], [0.2])
    (array([0.1]), array([0.2]))
    """
    first, second = true_rates(before), true_rates(after)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} rates before but {second.size} after")
    return first, second


def simulate_general_gate(
    rates: Numbers,
    samples: int,
    limit: float,
    *,
    before: Numbers | None = None,
    alpha_pass: float = ALPHA,
    alpha_fail: float = ALPHA,
    runs: int = RUNS,
    seed: int = SEED,
) -> Outlook:
    """Outlook of the GENERAL rate gate, or with ``before`` of the difference gate; one cell a probe.

    Each simulated run draws its probes anew, with replacement, from the given rates. Raises ValueError on values out
    of range.

    >>> simulate_general_gate([0.0] * 149, 2, 0.02, runs=20).passes
    1.0
    """
    _check(samples, runs)
    check_margin(limit)
    after = true_rates(rates)
    baseline = None if before is None else paired_rates(before, rates)[0]
    rng = np.random.default_rng(seed)
    passes, fails = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    for run in range(runs):
        picks = rng.integers(0, after.size, after.size)
        values, target = rng.binomial(samples, after[picks]) / samples, limit
        if baseline is not None:
            earlier = rng.binomial(samples, baseline[picks]) / samples
            values, target = (values - earlier + 1) / 2, (limit + 1) / 2
        # A bound never lies on the far side of the mean, so one of the two questions has a known answer.
        if values.mean() < target:
            passes[run] = general_is_below(values, target, alpha_pass)
        else:
            fails[run] = general_is_below(1 - values, 1 - target, alpha_fail)
    return outlook(passes, fails, float(samples * after.size))


# Sequential gates: the frequency and the time of their decisions, simulated.


@dataclass(slots=True)
class _Tally:
    """Events so far of the simulated runs that still go on, and what became of all of them."""

    hits: FloatArray
    running: npt.NDArray[np.intp]
    passes: BoolArray
    fails: BoolArray
    replies: FloatArray

    @classmethod
    def start(cls, shape: tuple[int, ...]) -> "_Tally":
        runs = shape[0]
        none = np.zeros(runs, dtype=bool)
        return cls(np.zeros(shape), np.arange(runs), none, none.copy(), np.zeros(runs))

    def stop(self, passed: BoolArray, failed: BoolArray, lost: BoolArray, replies: int) -> BoolArray:
        """Record the runs that end here and keep the others; true for those that go on."""
        going: BoolArray = ~(passed | failed | lost)
        self.passes[self.running[passed & ~failed]] = True
        self.fails[self.running[failed]] = True
        self.replies[self.running[~going]] = replies
        self.running, self.hits = self.running[going], self.hits[going]
        return going


def simulate_sequential_rate(
    rates: Numbers, design: SequentialDesign, *, runs: int = RUNS, seed: int = SEED
) -> Outlook:
    """Outlook of the rate gate that looks after every round over all cells (equal weights), with its mean replies.

    The cap is rounded up to whole rounds. Raises ValueError on rates out of range.

    >>> simulate_sequential_rate([0.0] * 44, SequentialDesign(limit=0.02, cap=1760)).mean_replies
    220.0
    """
    if runs < 1:
        raise ValueError(f"need at least one simulated run, got {runs}")
    truth = true_rates(rates)
    rng, tally, rounds = np.random.default_rng(seed), _Tally.start((runs,)), -(-design.cap // truth.size)
    most = most_hits_to_pass(design) if design.stops_when_lost else design.cap
    for done in range(1, rounds + 1):
        total = done * truth.size
        tally.hits += (rng.random((tally.running.size, truth.size), dtype=np.float32) < truth).sum(axis=1)
        counts = np.column_stack([total - tally.hits, tally.hits])
        passed = log_evidence(counts, design.limit, "pass") >= needed_log_evidence(design.alpha_pass)
        failed = log_evidence(counts, design.limit, "fail") >= needed_log_evidence(design.alpha_fail)
        lost: BoolArray = (tally.hits > most) & ~may_still_fail(counts, design)
        if done == rounds:
            sizes, alphas = np.full(tally.hits.size, float(total)), (design.alpha_pass, design.alpha_fail)
            shares = CAP_SHARE * alphas[0], CAP_SHARE * alphas[1]
            below, above = bound_decisions(tally.hits, sizes, design.limit, shares)
            passed, failed, lost = passed | below, failed | above, np.ones_like(lost)
        tally.stop(passed, failed, lost, total)
        if not tally.running.size:
            break
    return outlook(tally.passes, tally.fails, float(tally.replies.mean()))


def simulate_sequential_difference(
    before: Numbers, after: Numbers, design: SequentialDesign, *, runs: int = RUNS, seed: int = SEED
) -> Outlook:
    """Outlook of the difference gate that looks after every round of pairs (equal weights); replies per run compared.

    ``design.limit`` is the margin. The cap is rounded up to whole rounds; curtailment is left out, as it hardly ever
    applies. Raises ValueError on rates out of range or runs of different length.

    >>> simulate_sequential_difference([0.0] * 44, [0.0] * 44, SequentialDesign(limit=0.01, cap=1760)).mean_replies
    484.0
    """
    if runs < 1:
        raise ValueError(f"need at least one simulated run, got {runs}")
    low_rates, high_rates = paired_rates(before, after)
    cells, rng = low_rates.size, np.random.default_rng(seed)
    rounds = -(-design.cap // cells)
    tally, moves = _Tally.start((runs, 2, cells)), np.zeros((runs, 2))
    for done in range(1, rounds + 1):
        draws = rng.random((tally.running.size, 2, cells), dtype=np.float32) < np.stack([low_rates, high_rates])
        tally.hits += draws
        moves += np.stack([draws[:, 0] & ~draws[:, 1], draws[:, 1] & ~draws[:, 0]], axis=1).sum(axis=2)
        counts = np.column_stack([moves[:, 0], done * cells - moves.sum(axis=1), moves[:, 1]])
        passed = log_evidence(counts, design.limit, "pass") >= needed_log_evidence(design.alpha_pass)
        failed = log_evidence(counts, design.limit, "fail") >= needed_log_evidence(design.alpha_fail)
        lost = np.zeros_like(passed)
        if done == rounds:
            below, above = _cap_decisions(tally.hits, done, design)
            passed, failed, lost = passed | below, failed | above, np.ones_like(lost)
        moves = moves[tally.stop(passed, failed, lost, done * cells)]
        if not tally.running.size:
            break
    return outlook(tally.passes, tally.fails, float(tally.replies.mean()))


def _cap_decisions(hits: FloatArray, samples: int, design: SequentialDesign) -> tuple[BoolArray, BoolArray]:
    trials = np.full(hits.shape[-1], float(samples))
    shares = np.full(hits.shape[-1], 1 / hits.shape[-1])
    first, second = (effective_trials(hits[:, run], trials, shares) for run in (0, 1))
    upper = mover_limits(first, second, normal_quantile(1 - CAP_SHARE * design.alpha_pass))[1]
    lower = mover_limits(first, second, normal_quantile(1 - CAP_SHARE * design.alpha_fail))[0]
    return upper < design.limit, lower > design.limit
