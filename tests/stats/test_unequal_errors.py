"""How often gates over unequal cells err at their limit; `tests/bench/simulate.py --tables N` has the whole."""

import numpy as np
import pytest

from misalign_eval.stats.cells import macro_weights
from misalign_eval.stats.unequal_cells import Arm, Contrast

RUNS = 20_000
DESIGNS = {
    "one of 8 with 2 replies": ([2] + [50] * 7, None, 1, 0.40),
    "2 of 44 with 1": ([1] * 2 + [50] * 42, None, 2, 0.44),
    "2 of 12 with 2": ([2] * 2 + [50] * 10, None, 2, 0.20),
    "3 of 24 with 5": ([5] * 3 + [50] * 21, None, 3, 0.30),
    "2 of 8 with 5": ([5] * 2 + [10] * 6, None, 2, 0.40),
    "4 of 24 with 3": ([3] * 4 + [50] * 20, None, 4, 0.60),
    "4 of 24 with 4": ([4] * 4 + [8] * 20, None, 4, 0.30),
    "2 of 10 with 5": ([5] * 2 + [50] * 8, None, 2, 0.25),
    "one probe of one wording": ([10] * 46, [0] + [1 + place // 5 for place in range(45)], 1, 0.50),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_gate_over_unequal_cells_errs_no_more_than_it_states(name: str) -> None:
    trials, probes, hot, rate = DESIGNS[name]
    weights = macro_weights(np.array(range(len(trials)) if probes is None else probes))
    rates = np.where(np.arange(len(trials)) < hot, rate, 0.0)
    limit, arm = float(weights @ rates), Arm.of(trials, weights)
    outcomes = np.random.default_rng(7).binomial(trials, rates, (RUNS, len(trials))) / trials @ weights

    assert (outcomes <= Contrast(arm, None).critical(limit, 0.05)).mean() <= 0.055
    assert (outcomes >= -Contrast(None, arm).critical(-limit, 0.05)).mean() <= 0.055
