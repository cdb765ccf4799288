import json
import resource
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import UsageError
from misalign_eval.workflows.power import PowerOptions, power


def test_a_gate_is_planned_without_a_run_or_a_network() -> None:
    found = power(PowerOptions(max_rate=0.02, rate=0.005, samples=40, cost_per_reply_usd=0.01))
    assert (found.question, found.design.replies, found.design.runs) == ("rate gate", 1760, 1)
    assert found.sequential[0].chances["pass"] > 0.97
    assert found.sequential[0].replies == pytest.approx(482, rel=0.15)  # 482 in the specification
    assert found.bill is not None
    assert found.bill.expected == pytest.approx(found.sequential[0].replies * 0.01)
    assert found.bill.whole == pytest.approx(17.6)
    edge = found.sequential[-1]
    assert edge.scenario.startswith("just at the limit")
    assert edge.chances["pass"] <= 0.05


@pytest.mark.slow
def test_a_plan_that_cannot_pass_is_warned_about() -> None:
    found = power(PowerOptions(max_rate=0.02, rate=0.0, probes=20, samples=2))
    assert [warning.id for warning in found.warnings] == ["W8"]
    general = power(PowerOptions(max_rate=0.02, rate=0.0, probes=44, estimand="general"))
    assert "W8" in {warning.id for warning in general.warnings}
    assert [need.probes for need in general.needs] == [149]


@pytest.mark.slow
def test_a_rate_on_few_probes_is_carried_by_them_alone() -> None:
    found = power(PowerOptions(rate=0.01, after=0.03, hot=0.1, estimand="general"))
    assert found.assumed.spread == "all of it on 4 of 44 probes"
    assert found.assumed.before == pytest.approx(0.01)
    assert found.assumed.after == pytest.approx(0.03)
    assert {"W4", "W5"} <= {warning.id for warning in found.warnings}


def test_a_budget_buys_as_many_samples_as_it_pays_for() -> None:
    found = power(PowerOptions(max_increase=0.01, rate=0.01, budget_usd=44.0, cost_per_reply_usd=0.01))
    assert (found.design.samples, found.design.runs) == (50, 2)
    assert found.bill is not None
    assert found.bill.whole == pytest.approx(44.0)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"rate": 0.01}, "needs a question"),
    ({"max_rate": 0.02}, "needs a rate to expect"),
    ({"max_rate": 0.02, "max_increase": 0.01, "rate": 0.01}, "two questions"),
    ({"max_increase": 0.0, "rate": 0.01}, "--max-increase 0: no finite sample"),
    ({"max_rate": 1.0, "rate": 0.01}, "--max-rate 1: no finite sample"),
    ({"max_rate": 0.02, "rate": 0.01, "after": 0.03}, "--after goes with"),
    ({"max_rate": 0.02, "rate": 0.01, "hot": 0.0}, "--hot 0"),
    ({"max_rate": 0.5, "rate": 0.4, "hot": 0.1}, "so few probes cannot carry it"),
    ({"max_rate": 0.02, "rate": 0.01, "budget_usd": 5.0}, "--budget needs a price"),
    ({"max_rate": 0.02, "rate": 0.01, "budget_usd": 0.01, "cost_per_reply_usd": 1.0}, "costs 44.00 USD already"),
    ({"max_rate": 0.02, "rate": 0.01, "alpha": 0.7}, "--alpha"),
]


@pytest.mark.parametrize("options,message", BAD, ids=[message for _, message in BAD])
def test_options_that_do_not_fit_are_one_clear_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        power(PowerOptions(**options))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_pilot_gives_rates_size_and_price(tool: Any) -> None:
    done = tool(*tool.asking("tuned", "--out", "pilot", "-q"))
    assert done.code == 0, done.err
    found = tool("power", "--max-increase", "10pp", "--pilot", "pilot", "--format", "json").json
    report = tool("report", "pilot", "--format", "json").json
    assert found["assumed"]["before"] == pytest.approx(report["rate"], abs=0.1)
    assert (found["design"]["probes"], found["design"]["runs"]) == (3, 2)
    assert found["bill"] is None  # the server names no prices
    assert "pilot" in found["assumed"]["spread"]
    missing = tool("power", "--max-rate", "2%", "--pilot", "nowhere")
    assert (missing.code, missing.err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_a_pilot_without_a_graded_reply_says_nothing(tool: Any) -> None:
    assert tool(*tool.asking("base", "--out", "pilot", "-q", judge="empty")).code in {0, 4}
    done = tool("power", "--max-rate", "2%", "--pilot", "pilot")
    assert (done.code, "no graded reply" in done.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [["--max-rate", "2"], ["--rate", "1pp"], ["--max-increase", "1%"], ["--estimand", "x"]]
)
def test_malformed_numbers_are_refused_with_the_right_spelling(tool: Any, flags: list[str]) -> None:
    done = tool("power", *flags)
    assert (done.code, flags[0] in done.err, done.err.count("\n")) == (2, True, 1)


@pytest.mark.slow
def test_the_answer_comes_within_three_seconds(tool: Any, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    flags = ["--max-increase", "1pp", "--rate", "1%", "--probes", "200", "--samples", "100", "--cost-per-reply", "0.01"]
    done = tool("power", *flags, "-o", str(tmp_path / "plan.json"), "-o", str(tmp_path / "plan.md"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.code == 0, done.err
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.0
    assert json.loads((tmp_path / "plan.json").read_text())["design"]["replies"] == 20_000
    assert (tmp_path / "plan.md").read_text().startswith("# Power\n")
