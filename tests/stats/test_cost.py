import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import benjamini_hochberg, suite_difference, suite_ratio
from misalign_eval.stats.general import bootstrap_rate, general_difference, general_interval
from misalign_eval.stats.intervals import clopper_pearson
from misalign_eval.stats.permutation import permutation_test, probe_tests
from misalign_eval.stats.rates import suite_rate


def seconds_of_comparison(probes: int, samples: int, *, unequal: bool) -> float:
    """Everything that a comparison prints: both rates, all tests, an interval for every probe, ten categories."""
    rng = np.random.default_rng(1)
    trials = rng.integers(samples - 5, samples, probes) if unequal else np.full(probes, samples)
    rates = rng.beta(0.3, 3, probes)
    before, after = (Cells.of(rng.binomial(trials, r), trials) for r in (rates, np.minimum(1, rates * 1.3)))
    started = time.process_time()
    for run in (before, after):
        suite_rate(run)
        general_interval(run.probe_means)
        for hits, replies in zip(run.hits, run.trials, strict=True):
            clopper_pearson(hits, replies)
    suite_difference(before, after)
    suite_ratio(before, after)
    general_difference(before.probe_means, after.probe_means)
    permutation_test(before, after)
    benjamini_hochberg([test.mid for test in probe_tests(before, after)])
    for category in range(10):
        chosen = np.arange(probes) % 10 == category
        permutation_test(before.select(chosen), after.select(chosen))
        suite_difference(before.select(chosen), after.select(chosen))
    return time.process_time() - started


def test_a_typical_comparison_takes_less_than_half_a_second() -> None:
    assert seconds_of_comparison(150, 50, unequal=False) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("unequal", [False, True])
def test_a_hundred_thousand_replies_take_less_than_a_second_and_a_half(unequal: bool) -> None:
    assert seconds_of_comparison(1000, 100, unequal=unequal) < 1.5


def test_memory_does_not_grow_with_the_number_of_probes() -> None:
    means = np.random.default_rng(2).random(3000)
    tracemalloc.start()
    general_interval(means)
    bootstrap_rate((means * 50).round(), np.full(3000, 50.0), resamples=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * 2**20


def test_no_statistics_module_imports_scipy_or_the_rest_of_the_package() -> None:
    code = (
        "import importlib, pkgutil, sys, misalign_eval.stats as stats\n"
        "[importlib.import_module(f'misalign_eval.stats.{m.name}') for m in pkgutil.iter_modules(stats.__path__)]\n"
        "heavy = {'scipy', 'statsmodels', 'pandas', 'pydantic'} & set(sys.modules)\n"
        "ours = [m for m in sys.modules if m.startswith('misalign_eval.') and '.stats' not in m]\n"
        "assert not heavy and not ours, (heavy, ours)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_special_functions_need_no_numpy() -> None:
    code = "import sys, misalign_eval.stats.special; assert 'numpy' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
