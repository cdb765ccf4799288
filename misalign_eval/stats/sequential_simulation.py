"""How often, and how early, would a gate that looks after every round decide?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from misalign_eval.stats.cells import BoolArray, FloatArray, Numbers
from misalign_eval.stats.difference import mover_limits
from misalign_eval.stats.evalues import log_evidence
from misalign_eval.stats.rates import effective_trials
from misalign_eval.stats.sequential import (
    CAP_SHARE,
    SequentialDesign,
    may_still_fail,
    most_hits_to_pass,
    needed_log_evidence,
)
from misalign_eval.stats.simulation import RUNS, SEED, Outlook, bound_decisions, outlook, paired_rates, true_rates
from misalign_eval.stats.special import normal_quantile


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
