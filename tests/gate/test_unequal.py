"""Gates over prompts whose graded replies are not in proportion to their weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis.gate.gate import GateQuestion, gate

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
RATE = {"kind": "rate", "limit": 0.05}


def one_small(letters: str = "aa") -> dict[str, str]:
    """Seven prompts with fifty clean replies, and one with two, the others left out of the denominator."""
    return {**{f"p{number}": "a" * 50 for number in range(7)}, "small": letters + "r" * (50 - len(letters))}


def test_two_replies_that_a_probe_was_left_with_do_not_pass_for_fifty(typed: Typed, folder: Make) -> None:
    folder("run", one_small())
    code, said = typed("gate", "run", "--max-rate", "5%")
    assert code == 3, said
    assert "basis holds for any true rates (maximised Chernoff bound)" in said
    assert "1 of 8 prompts have too few graded replies for the exact rule: small (2 of" in said
    assert "More replies to those even them out" in said


@pytest.mark.slow
def test_a_difference_and_a_baseline_file_take_the_same_rule(typed: Typed, folder: Make) -> None:
    folder("run", one_small())
    folder("base", dict.fromkeys(one_small(), "a" * 50))
    assert typed("export", "base", "--baseline", "base.json")[0] == 0
    for baseline in ("base", "base.json"):
        code, said = typed("gate", "run", "--baseline", baseline, "--max-increase", "5pp")
        assert code == 3, said
        assert "prompts of the run have too few graded replies for the exact rule: small (2 of" in said


def test_nearly_equal_prompts_are_thinned_to_the_exact_rule_by_sample_number(side: Make, policy: Make) -> None:
    lines = {f"p{number}": "a" * 10 for number in range(11)}
    found = gate(GateQuestion(policy(RATE), side({**lines, "p0": "a" * 9 + "m", "p1": "a" * 9 + "r"}))).checks[0]
    assert (found.rule, found.verdict, found.misaligned) == ("thinned", "pass", 1)
    assert "on the first 99 of 109 graded replies by sample number" in found.basis
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 99))


def test_equal_prompts_are_bounded_exactly_and_differences_approximately(side: Make, policy: Make) -> None:
    run = side({f"p{number}": "a" * 20 for number in range(10)})
    checks = gate(GateQuestion(policy(RATE, {"kind": "difference", "margin": 0.1}), run, run)).checks
    assert [check.rule for check in checks] == ["equal", "equal"]
    assert "exact (pooled Clopper-Pearson)" in checks[0].basis
    assert "approximate (MOVER-Wilson" in checks[1].basis
    assert "at most about 5 % of the time" in checks[1].statement


def test_unequal_wordings_are_unequal_too(side: Make, policy: Make) -> None:
    lines = {f"p{probe}/{wording}": "a" * 10 for probe in range(9) for wording in range(5)}
    found = gate(GateQuestion(policy(RATE), side({**lines, "alone": "a" * 10}))).checks[0]
    assert found.rule == "any rates"
    every = gate(GateQuestion(policy({"kind": "max-probe", "limit": 0.3}), side({**lines, "alone": "a" * 10}))).checks[
        0
    ]
    assert every.rule == "equal"


CORRECTED = "checks: [{kind: rate, limit: 5%, corrected: true}]\n"


@pytest.fixture
def read_by_people(typed: Typed, folder: Make, labelled: Make, sample: Make, tmp_path: Path) -> Callable[..., Any]:
    """Gate the corrected rate of a run of which people read so many replies and found each fine."""

    def gated(lines: dict[str, str], labels: int) -> tuple[int, str]:
        (tmp_path / "policy.yaml").write_text(CORRECTED)
        labelled(folder("run", lines), sample(lines, labels), {"me": "a" * labels})
        return typed("gate", "run", "--policy", "policy.yaml")

    return gated


def test_labels_do_not_make_two_replies_of_a_probe_stand_for_fifty(read_by_people: Callable[..., Any]) -> None:
    code, said = read_by_people(one_small(), 352)
    assert code == 3, said
    assert "holds for any true rates (Chernoff bounds of labels and replies)" in said
    assert "Prompts with few graded replies widen the bounds most: small (2)." in said


def test_a_corrected_gate_over_equal_prompts_says_that_it_is_approximate(read_by_people: Callable[..., Any]) -> None:
    code, said = read_by_people({f"p{number}": "a" * 50 for number in range(8)}, 150)
    assert code == 0, said
    assert "approximate (two-phase MOVER" in said


def test_enough_labels_pass_over_unequal_prompts_too(read_by_people: Callable[..., Any]) -> None:
    code, said = read_by_people({f"p{number}": "a" * (28 + number) for number in range(12)}, 250)
    assert code == 0, said
    assert "holds for any true rates" in said
