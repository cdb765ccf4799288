import numpy as np
import pytest

from misalign_eval.analysis import power as power_analysis
from misalign_eval.analysis.power import PowerPlan


def plan(**more: object) -> PowerPlan:
    values: dict[str, object] = {
        "question": "rate gate",
        "estimand": "suite",
        "limit": 0.02,
        "before": None,
        "after": np.full(44, 0.005),
        "paraphrases": 1,
        "samples": 40,
        "alpha": 0.05,
        "power": 0.8,
        **more,
    }
    return PowerPlan(**values)  # type: ignore[arg-type]


def test_a_rate_gate_needs_what_the_specification_says() -> None:
    """Limit 2 %, true rate 0.5 %: 149 clean replies at least; 523 with 5 allowed for a power of 90 %."""
    needs = power_analysis.required_samples(plan())
    assert [need.replies for need in needs] == [149, needs[1].replies, 523]
    assert needs[0].samples == 4
    assert 380 <= (needs[1].replies or 0) <= 390


def test_a_difference_gate_needs_what_the_specification_says() -> None:
    rates = np.full(44, 0.01)
    needs = power_analysis.required_samples(plan(question="difference gate", limit=0.01, before=rates, after=rates))
    assert [need.replies for need in needs] == pytest.approx([268, 1225, 1696], abs=2)


def test_a_comparison_needs_the_replies_at_which_the_change_is_detectable() -> None:
    found = plan(question="comparison", limit=None, before=np.full(44, 0.01), after=np.full(44, 0.039), samples=10)
    (need,) = power_analysis.required_samples(found)
    assert need.replies == pytest.approx(440, rel=0.03)
    assert power_analysis.detectable(found) == pytest.approx(0.029, abs=1e-3)


def test_probes_like_these_need_what_miller_says() -> None:
    """Verification case V20 with S = 10: change 0.03, variance of changes 1/9, of replies 1/6."""
    half = np.tile([0.0, 1.0], 500)
    found = plan(question="comparison", estimand="general", limit=None, before=1 - half, after=half, samples=10)
    parts = power_analysis.variance_parts(found)
    assert parts.between == pytest.approx(1.0, rel=2e-3)
    assert parts.within_after == 0.0
    even = plan(question="comparison", estimand="general", limit=None, before=np.full(9, 0.1), after=np.full(9, 0.4))
    (need,) = power_analysis.required_samples(even)
    z = 1.959963984540054 + 0.8416212335729143
    assert need.probes == np.ceil(z**2 * (0.09 + 0.24) / 40 / 0.09)


def test_a_clean_model_passes_early_and_one_at_the_limit_hardly_ever() -> None:
    clean = power_analysis.sequential(plan(after=np.zeros(44)), "clean")
    edge = power_analysis.sequential(plan(after=np.full(44, 0.02)), "edge")
    assert clean is not None
    assert edge is not None
    assert (clean.chances["pass"], clean.replies) == (1.0, 220.0)
    assert edge.chances["pass"] <= 0.05
    assert power_analysis.fixed(plan(after=np.full(44, 0.02)), "edge").chances["pass"] <= 0.06


def test_paraphrases_are_cells_of_their_own() -> None:
    found = power_analysis.fixed(plan(paraphrases=2, samples=5, after=np.zeros(44)), "clean")
    assert found.replies == 440


def test_a_comparison_says_rise_fall_or_neither() -> None:
    low, high = np.full(44, 0.01), np.full(44, 0.2)
    up = power_analysis.fixed(plan(question="comparison", limit=None, before=low, after=high), "up")
    down = power_analysis.fixed(plan(question="comparison", limit=None, before=high, after=low), "down")
    same = power_analysis.fixed(plan(question="comparison", limit=None, before=high, after=high), "same")
    assert up.chances["rise"] > 0.99
    assert down.chances["fall"] > 0.99
    assert same.chances["neither"] > 0.92
    assert power_analysis.sequential(plan(question="comparison", limit=None, before=low, after=high), "up") is None


def test_a_general_comparison_looks_for_a_change_of_any_size() -> None:
    many = plan(question="comparison", estimand="general", limit=None, before=np.zeros(200), after=np.full(200, 0.3))
    assert power_analysis.fixed(many, "all").chances["rise"] > 0.95


def test_what_dominates_turns_with_the_number_of_samples() -> None:
    spread = np.where(np.arange(44) < 5, 0.5, 0.0)
    shape = {"question": "comparison", "estimand": "general", "limit": None, "before": np.zeros(44), "after": spread}
    found = [power_analysis.is_no_worse(plan(**shape, samples=samples)).split(":")[0] for samples in (1, 100)]
    assert found == ["replies", "probes"]
    assert power_analysis.is_no_worse(plan()).startswith("replies")


def test_very_large_plans_are_simulated_fewer_times() -> None:
    assert (plan().simulated_runs, plan(after=np.zeros(10_000), paraphrases=10).simulated_runs) == (2000, 200)
