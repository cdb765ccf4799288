"""How often intervals hold the truth, on seeded settings; nominal 95 %, 400 runs each (standard error 1.1 points)."""

import numpy as np
import numpy.typing as npt
import pytest

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.difference import simulated_limits
from misalign_eval.stats.general import general_interval
from misalign_eval.stats.rates import suite_rate
from misalign_eval.stats.special import normal_quantile

RUNS = 400


def hot(rate: float, probes: int) -> npt.NDArray[np.float64]:
    """A tenth of the probes, at least one, carries all of the rate."""
    rates = np.zeros(probes)
    carriers = max(1, round(probes / 10))
    rates[:carriers] = min(1.0, rate * probes / carriers)
    return rates


@pytest.mark.parametrize(
    "rates, samples",
    [
        pytest.param(hot(0.01, 44), 10, id="hot 1% 44x10"),
        pytest.param(hot(0.02, 44), 100, id="hot 2% 44x100"),
        pytest.param(hot(0.05, 8), 100, id="hot 5% 8x100"),
        pytest.param(np.full(44, 0.05), 10, id="flat 5% 44x10"),
        pytest.param(np.full(200, 0.02), 2, id="flat 2% 200x2"),
        pytest.param(np.linspace(0, 0.8, 24), 5, id="spread 40% 24x5"),
    ],
)
def test_suite_intervals_cover(rates: npt.NDArray[np.float64], samples: int) -> None:
    rng = np.random.default_rng(7)
    draws = rng.binomial(samples, rates, (RUNS, rates.size))
    covered = sum(rates.mean() in suite_rate(Cells.of(row, [samples] * rates.size)).interval for row in draws)

    assert covered / RUNS >= 0.935


@pytest.mark.parametrize("lost", [0.2, 0.5])
def test_suite_intervals_cover_when_replies_are_lost_at_random(lost: float) -> None:
    rng, rates, covered = np.random.default_rng(8), hot(0.05, 44), 0
    for _ in range(RUNS):
        trials = np.maximum(1, rng.binomial(10, 1 - lost, 44))
        covered += rates.mean() in suite_rate(Cells.of(rng.binomial(trials, rates), trials)).interval

    assert covered / RUNS >= 0.935


@pytest.mark.slow
@pytest.mark.parametrize(
    "rate, probes, samples",
    [(0.02, 8, 100), (0.02, 24, 10), (0.05, 44, 100), (0.01, 44, 10), (0.2, 44, 1), (0.4, 100, 10)],
)
def test_general_intervals_cover_a_population_of_mostly_clean_probes(rate: float, probes: int, samples: int) -> None:
    """Each probe is hot with chance 10 % (more at high rates); hot rates are spread around their mean."""
    rng, covered = np.random.default_rng(9), 0
    for _ in range(RUNS):
        hot_share = max(0.1, 1.5 * rate)
        mean = rate / hot_share
        truth = np.where(rng.random(probes) < hot_share, rng.beta(3 * mean, 3 * (1 - mean), probes), 0.0)
        covered += rate in general_interval(rng.binomial(samples, truth) / samples)

    assert covered / RUNS >= 0.94


@pytest.mark.parametrize(
    "before, after, samples",
    [
        pytest.param(hot(0.01, 44), hot(0.02, 44), 100, id="hot rise"),
        pytest.param(np.full(44, 0.01), np.full(44, 0.02), 20, id="flat rise"),
        pytest.param(hot(0.05, 8), hot(0.05, 8), 100, id="no change"),
    ],
)
def test_difference_intervals_cover(
    before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], samples: int
) -> None:
    rng, size = np.random.default_rng(10), (2000, before.size)
    first, second = (rng.binomial(samples, rates, size).astype(np.float64) for rates in (before, after))
    trials, weights = np.full(before.size, float(samples)), np.full(before.size, 1 / before.size)
    low, high = simulated_limits(first, second, trials, weights, normal_quantile(0.975))
    change = after.mean() - before.mean()

    assert ((low <= change) & (change <= high)).mean() >= 0.94
