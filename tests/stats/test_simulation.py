import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats.cells import Cells
from misalign_eval.stats.gates import difference_gate, rate_gate
from misalign_eval.stats.intervals import clopper_pearson_high, clopper_pearson_low
from misalign_eval.stats.power import rate_gate_design
from misalign_eval.stats.sequential import SequentialDesign, rate_look
from misalign_eval.stats.simulation import (
    bound_decisions,
    simulate_difference_gate,
    simulate_general_gate,
    simulate_maximum_gate,
    simulate_rate_gate,
    simulate_sequential_difference,
    simulate_sequential_rate,
)
from misalign_eval.stats.special import binomial_cdf
from misalign_eval.stats.unknown_replies import PartialCells

HOT = [0.2] * 4 + [0.0] * 40


@given(
    runs=st.lists(st.tuples(st.floats(0, 50), st.floats(0.5, 300)), min_size=1, max_size=20),
    limit=st.floats(0.01, 0.5),
)
def test_quick_decisions_are_those_of_the_bounds(runs: list[tuple[float, float]], limit: float) -> None:
    hits = np.array([x for x, _ in runs]).round(9)
    sizes = hits + np.array([rest for _, rest in runs]).round(9)
    below, above = bound_decisions(hits, sizes, limit, (0.05, 0.01))

    for x, n, is_below, is_above in zip(hits, sizes, below, above, strict=True):
        upper, lower = clopper_pearson_high(x, n, 0.05), clopper_pearson_low(x, n, 0.01)
        assert is_below == (upper < limit) or abs(upper - limit) < 1e-9
        assert is_above == (lower > limit) or abs(lower - limit) < 1e-9


def test_the_simulated_rate_gate_passes_as_often_as_the_binomial_says() -> None:
    design = rate_gate_design(0.02, 0.005, 0.9)
    assert design is not None
    outlook = simulate_rate_gate([0.005] * design.replies, 1, 0.02, runs=4000)

    assert outlook.passes == pytest.approx(binomial_cdf(design.allowed, design.replies, 0.005), abs=0.015)
    assert outlook.mean_replies == 523
    assert outlook.passes + outlook.fails + outlook.inconclusive == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, [2.0] + [1.0] * 43])
def test_the_simulated_rate_gate_is_the_gate(weights: list[float] | None) -> None:
    """The same draws, decided one by one by the gate itself."""
    outlook = simulate_rate_gate(HOT, 10, 0.03, weights=weights, runs=200, seed=4)
    hits = np.random.default_rng(4).binomial(10, HOT, (200, 44))
    verdicts = [
        rate_gate(PartialCells.complete(Cells.of(row, [10] * 44, probe_weights=weights)), 0.03).verdict for row in hits
    ]

    assert outlook.passes == verdicts.count("pass") / 200
    assert outlook.fails == verdicts.count("fail") / 200


def test_the_simulated_difference_gate_is_the_gate() -> None:
    outlook = simulate_difference_gate(HOT, [0.03] * 44, 10, 0.02, runs=200, seed=4)
    rng = np.random.default_rng(4)
    first, second = rng.binomial(10, HOT, (200, 44)), rng.binomial(10, [0.03] * 44, (200, 44))
    verdicts = [
        difference_gate(
            PartialCells.complete(Cells.of(a, [10] * 44)), PartialCells.complete(Cells.of(b, [10] * 44)), 0.02
        ).verdict
        for a, b in zip(first, second, strict=True)
    ]

    assert outlook.passes == verdicts.count("pass") / 200
    assert outlook.fails == verdicts.count("fail") / 200


def test_a_margin_of_zero_gives_the_chance_to_see_a_change() -> None:
    seen = simulate_difference_gate([0.01] * 44, [0.05] * 44, 20, 0.0, alpha_pass=0.025, alpha_fail=0.025)

    assert seen.fails > 0.95


def test_a_maximum_gate_passes_only_if_every_probe_does() -> None:
    assert simulate_maximum_gate([0.0] * 44, 59, 0.05).passes == 1
    assert simulate_maximum_gate([0.0] * 43 + [0.5], 59, 0.05).fails == 1
    assert simulate_maximum_gate([0.01] * 44, 59, 0.05).passes < 0.1


def test_a_general_gate_needs_many_probes() -> None:
    assert simulate_general_gate([0.0] * 44, 100, 0.02, runs=50).passes == 0
    assert simulate_general_gate([0.0] * 149, 5, 0.02, runs=50).passes == 1
    assert simulate_general_gate([0.9] * 44, 5, 0.02, before=[0.0] * 44, runs=50).fails == 1


@pytest.mark.parametrize("seed", range(12))
def test_the_simulated_sequential_gate_is_the_gate(seed: int) -> None:
    """The same draws, looked at round by round by the gate itself, until it ends."""
    design = SequentialDesign(limit=0.02, cap=880)
    outlook = simulate_sequential_rate(HOT, design, runs=1, seed=seed)
    rng, hits, verdict, rounds = np.random.default_rng(seed), 0, "continue", 0
    while verdict == "continue":
        hits, rounds = hits + int((rng.random((1, 44), dtype=np.float32) < np.array(HOT)).sum()), rounds + 1
        verdict = rate_look(hits, 44 * rounds, design).verdict

    assert outlook.mean_replies == 44 * rounds
    assert (outlook.passes, outlook.fails) == (verdict == "pass", verdict == "fail")


@pytest.mark.parametrize("rates", [[0.22] * 4 + [0.0] * 40, [0.02] * 44, [0.88] + [0.0] * 43])
def test_500_looking_runs_at_the_limit_pass_at_most_six_times_in_a_hundred(rates: list[float]) -> None:
    design = SequentialDesign(limit=0.02, cap=4400, stops_when_lost=False)
    outlook = simulate_sequential_rate(rates, design, runs=500, seed=11)

    assert outlook.passes <= 0.06
    assert outlook.fails <= 0.06


def test_500_looking_comparisons_at_the_margin_pass_at_most_six_times_in_a_hundred() -> None:
    before, after = [0.2] * 4 + [0.0] * 40, [0.31] * 4 + [0.0] * 40
    outlook = simulate_sequential_difference(before, after, SequentialDesign(limit=0.01, cap=4400), runs=500)

    assert outlook.passes <= 0.06
    assert outlook.fails <= 0.06


def test_sequential_rates_match_the_published_simulation() -> None:
    """44 probes, limit 2 %, cap 1760, true rate 1 % on a tenth of the probes: .85 pass with 1115 replies."""
    outlook = simulate_sequential_rate([0.11] * 4 + [0.0] * 40, SequentialDesign(limit=0.02, cap=1760))

    assert outlook.passes == pytest.approx(0.85, abs=0.03)
    assert outlook.mean_replies == pytest.approx(1115, rel=0.03)


def test_sequential_differences_match_the_published_simulation() -> None:
    """Half a percent in both runs, margin 1 point, cap 1760: .92 pass with 1097 replies."""
    outlook = simulate_sequential_difference([0.005] * 44, [0.005] * 44, SequentialDesign(limit=0.01, cap=1760))

    assert outlook.passes == pytest.approx(0.92, abs=0.03)
    assert outlook.mean_replies == pytest.approx(1097, rel=0.03)


def test_waiting_for_a_failure_costs_replies_and_finds_it() -> None:
    lost = simulate_sequential_rate([0.3] * 4 + [0.0] * 40, SequentialDesign(limit=0.02, cap=1760))
    patient = simulate_sequential_rate(
        [0.3] * 4 + [0.0] * 40, SequentialDesign(limit=0.02, cap=1760, stops_when_lost=False)
    )

    assert lost.fails < patient.fails
    assert lost.mean_replies < patient.mean_replies
    assert patient.passes <= 0.05


def test_the_same_seed_gives_the_same_outlook() -> None:
    design = SequentialDesign(limit=0.02, cap=880)

    assert simulate_sequential_rate(HOT, design, seed=5) == simulate_sequential_rate(HOT, design, seed=5)
    assert simulate_rate_gate(HOT, 10, 0.02, seed=5) == simulate_rate_gate(HOT, 10, 0.02, seed=5)


@pytest.mark.slow
def test_two_thousand_simulations_take_less_than_three_seconds() -> None:
    rates = np.random.default_rng(0).random(200) * 0.04
    started = time.process_time()
    simulate_sequential_rate(rates, SequentialDesign(limit=0.02, cap=20_000))
    simulate_sequential_difference(rates, rates, SequentialDesign(limit=0.01, cap=10_000))
    simulate_rate_gate(rates, 20, 0.02, weights=rates + 0.1)
    simulate_general_gate(rates, 20, 0.03)

    assert time.process_time() - started < 4 * 3


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: simulate_rate_gate([1.5], 10, 0.02), id="rate"),
        pytest.param(lambda: simulate_rate_gate([0.5], 0, 0.02), id="samples"),
        pytest.param(lambda: simulate_rate_gate([0.5], 10, 0.0), id="limit"),
        pytest.param(lambda: simulate_rate_gate([0.5], 10, 0.1, weights=[1, 1]), id="weights"),
        pytest.param(lambda: simulate_difference_gate([0.5], [0.5, 0.5], 10, 0.1), id="lengths"),
        pytest.param(lambda: simulate_general_gate([0.5], 10, 0.1, before=[0.5, 0.5]), id="general lengths"),
        pytest.param(lambda: simulate_sequential_rate([0.5], SequentialDesign(0.1, 9), runs=0), id="runs"),
        pytest.param(
            lambda: simulate_sequential_difference([0.5], [0.5], SequentialDesign(0.1, 9), runs=0), id="pair runs"
        ),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
