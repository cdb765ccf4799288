"""How a verdict is shown: whole expected pages, and nothing hostile gets through."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.analysis.gate.gate import GateQuestion, gate
from misalign_eval.records.gate import Gate
from misalign_eval.records.policy import Stopping
from misalign_eval.reports.backends import json_out
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends import terminal as terminal_backend
from misalign_eval.reports.gate import gate_document

Make = Callable[..., Any]
Gold = Callable[[str, str], None]


def lines(line: str, probes: int) -> dict[str, str]:
    return {f"p{number}": line for number in range(probes)}


@pytest.fixture
def stopped(side: Make, policy: Make) -> Gate:
    wanted = policy({"kind": "rate", "limit": 0.02})
    return gate(GateQuestion(wanted, side(lines("a" * 20, 44)), stopping=Stopping(policy=wanted, cap=20)))


def test_a_failed_gate_on_a_terminal_of_80_columns(failed: Gate, gold: Gold) -> None:
    page = terminal_backend.render(gate_document(failed))
    gold("failed.txt", page)
    assert max(map(len, page.splitlines())) <= 80
    assert "\x1b" not in page


def test_a_failed_gate_in_markdown(failed: Gate, gold: Gold) -> None:
    gold("failed.md", markdown_backend.render(gate_document(failed)))


def test_a_failed_gate_in_json(failed: Gate, gold: Gold) -> None:
    gold("failed.json", json_out.document(failed))


def test_a_gate_that_stopped_early_says_so(stopped: Gate, gold: Gold) -> None:
    gold("stopped.txt", terminal_backend.render(gate_document(stopped)))
    gold("stopped.md", markdown_backend.render(gate_document(stopped)))


def test_json_has_the_keys_that_others_rely_on(failed: Gate) -> None:
    document = json.loads(json_out.document(failed))
    assert {"verdict", "checks", "warnings"} <= document.keys()
    for check in document["checks"]:
        assert {"name", "limit", "estimate", "bound", "verdict", "why"} <= check.keys()


def test_an_inconclusive_gate_that_the_policy_accepts_still_says_inconclusive(side: Make, policy: Make) -> None:
    wanted = policy({"kind": "rate", "limit": 0.02}, on_inconclusive="pass")
    found = gate(GateQuestion(wanted, side(lines("a" * 39 + "m", 10))))
    assert terminal_backend.render(gate_document(found)).startswith("Gate: INCONCLUSIVE, accepted by policy\n")


def test_names_cannot_act_on_a_terminal_or_a_page(side: Make, policy: Make) -> None:
    run = side(lines("a" * 40, 10), "\x1b[31m<b>[x](http://y)")
    found = gate(GateQuestion(policy({"kind": "rate", "limit": 0.02}), run))
    assert "\x1b" not in terminal_backend.render(gate_document(found))
    page = markdown_backend.render(gate_document(found))
    assert "\x1b" not in page
    assert "<b>" not in page.replace("\\<b\\>", "")
