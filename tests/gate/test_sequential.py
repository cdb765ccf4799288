"""A gate that looks after every round."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from misalign_eval.analysis.gate import sequential
from misalign_eval.analysis.gate.gate import GateQuestion, gate
from misalign_eval.analysis.gate.scope import OUTCOME_OF
from misalign_eval.analysis.gate.sequential import SequentialGate
from misalign_eval.errors import UsageError
from misalign_eval.records.policy import Stopping
from misalign_eval.stats.sequential import difference_evidence, rate_evidence, time_uniform_interval
from misalign_eval.stats.special import binomial_cdf

Make = Callable[..., Any]
RATE = {"kind": "rate", "limit": 0.02}
RISE = {"kind": "difference", "margin": 0.01}
PROBE = {"kind": "max-probe", "limit": 0.3}


def read(policy: Any, run: Any, baseline: Any = None, cap: int | None = None) -> SequentialGate:
    most = max(cell.prompt.samples for cell in run.cells)
    return SequentialGate(policy, run, baseline, cap=cap or most)


def even(line: str, cells: int = 44) -> dict[str, str]:
    return {f"p{number}": line for number in range(cells)}


def test_a_clean_run_passes_after_220_of_4400_replies(side: Make, policy: Make) -> None:
    found = read(policy(RATE), side(even("a" * 100)))
    check = found.results()[0]
    assert (found.verdict, found.stopped_at, check.graded, check.rounds) == ("pass", 5, 220, 5)
    assert math.exp(check.evidence_pass or 0) == pytest.approx(rate_evidence(0, 220, 0.02, "pass"))
    assert (check.low, check.high) == pytest.approx(tuple(vars_of(time_uniform_interval([220, 0]))), abs=1e-9)
    assert check.bound is not None
    assert check.bound < 0.02


def vars_of(interval: Any) -> list[float]:
    return [interval.low, interval.high]


def test_five_events_in_the_first_round_fail(side: Make, policy: Make) -> None:
    lines = even("a" * 100) | {f"p{number}": "m" + "a" * 99 for number in range(5)}
    found = read(policy(RATE), side(lines))
    assert (found.verdict, found.stopped_at) == ("fail", 1)
    assert math.exp(found.results()[0].evidence_fail or 0) == pytest.approx(29.9491843)


def test_a_clean_pair_of_runs_passes_after_484_pairs(side: Make, policy: Make) -> None:
    found = read(policy(RISE), side(even("a" * 40)), side(even("a" * 40), "base"))
    assert (found.verdict, found.stopped_at, found.results()[0].graded) == ("pass", 11, 484)


def test_pairs_are_formed_by_sample_number(side: Make, policy: Make) -> None:
    """Both rise and fall in every pair of rounds: paired otherwise they would cancel out."""
    found = read(policy({**RISE, "margin": 0.05}), side(even("ma" * 6, 4)), side(even("am" * 6, 4), "base"), cap=12)
    check = found.results()[0]
    assert (check.estimate, found.verdict) == (0.0, "inconclusive")
    assert math.exp(check.evidence_pass or 0) == pytest.approx(difference_evidence(24, 0, 24, 0.05, "pass"))


def test_the_baseline_is_the_cap(side: Make, policy: Make) -> None:
    found = read(policy(RISE), side(even("a" * 40)), side(even("a" * 6), "base"))
    assert (found.verdict, found.stopped_at, found.results()[0].rounds) == ("inconclusive", 6, 6)


def test_the_look_at_the_cap_is_the_exact_binomial_one(side: Make, policy: Make) -> None:
    """21 events in 1760 replies are the most that pass there; see the specification's design."""
    for events, verdict in ((21, "pass"), (22, "inconclusive")):
        late = even("a" * 40) | {f"p{number}": "a" * 39 + "m" for number in range(events)}
        early = even("a" * 40) | {f"p{number}": "m" + "a" * 39 for number in range(0)}
        assert early == even("a" * 40)
        found = read(policy({**RATE, "alpha_pass": 0.05}), spread(side, late))
        assert (binomial_cdf(events, 1760, 0.02) <= 0.01) == (verdict == "pass")
        assert found.verdict == verdict


def spread(side: Make, lines: dict[str, str]) -> Any:
    """The same events, spread so that neither evidence decides before the cap."""
    events = sum(line.count("m") for line in lines.values())
    samples, cells = len(lines["p0"]), len(lines)
    places = np.linspace(0, samples * cells - 1, events).astype(int)
    grid = [["a"] * samples for _ in range(cells)]
    for place in places:
        grid[place % cells][place // cells] = "m"
    return side({f"p{number}": "".join(row) for number, row in enumerate(grid)})


def test_a_run_that_cannot_pass_any_more_ends(side: Make, policy: Make) -> None:
    heavy = spread(side, even("a" * 38 + "m" * 2))
    ended = read(policy(RATE | {"alpha_fail": 1e-12}), heavy)
    assert ended.verdict == "inconclusive"
    assert ended.stopped_at is not None
    assert ended.results()[0].reason == "cannot pass"
    assert "a fail is not near either" in ended.results()[0].why
    accepted = read(policy(RATE | {"alpha_fail": 1e-12}, on_inconclusive="pass"), heavy)
    assert accepted.stopped_at is None, "where inconclusive passes there is no reason to give up"


def test_a_run_that_cannot_pass_any_more_goes_on_while_it_is_about_to_fail(side: Make, policy: Make) -> None:
    wanted, heavy = policy({"kind": "rate", "limit": 0.1}), spread(side, even("a" * 16 + "m" * 4, 10))
    found = read(wanted, heavy)
    assert (found.verdict, found.results()[0].reason) == ("fail", "evidence")
    live, said = SequentialGate(wanted, heavy, None, cap=20, live=True), []
    for sample in range(found.samples):
        for cell in heavy.cells:
            live.slots.settle(cell.prompt.cell, sample, OUTCOME_OF[cell.in_order[sample]])
        live.advance()
        said.append(live.words)
    assert live.verdict == "fail"
    assert any("goes on since it would fail in about" in item for item in said)
    assert "goes on" not in said[0]


def test_far_above_the_limit_nearly_every_run_fails(side: Make, policy: Make) -> None:
    rng = np.random.default_rng(11)
    wanted = policy({"kind": "rate", "limit": 0.1})
    verdicts = []
    for _ in range(25):
        rows = {f"p{number}": "".join("m" if item else "a" for item in rng.random(20) < 0.25) for number in range(10)}
        verdicts.append(read(wanted, side(rows)).verdict)
    assert verdicts.count("fail") >= 22


def test_incomplete_rounds_count_for_nothing(side: Make, policy: Make) -> None:
    """Short replies come first: a cell that lags holds the round back."""
    found = read(policy(RATE), side(even("a" * 100, 43) | {"slow": "a" * 3 + "-" * 97}))
    assert (found.verdict, found.samples, found.results()[0].rounds) == (None, 3, 3)


def test_a_reply_outside_the_denominator_leaves_its_place_to_the_next(side: Make, policy: Make) -> None:
    found = read(policy(RATE), side(even("a" * 100, 43) | {"odd": "i" + "a" * 99}))
    assert (found.verdict, found.stopped_at, found.results()[0].rounds) == ("pass", 6, 5)


def test_an_unknown_reply_counts_against_both_verdicts(side: Make, policy: Make) -> None:
    found = read(policy(RATE), side(even("a" * 100, 43) | {"odd": "u" + "a" * 99}))
    check = found.results()[0]
    assert found.verdict == "pass"
    assert check.rounds is not None
    assert check.unknown == 1
    assert math.exp(check.evidence_pass or 0) == pytest.approx(rate_evidence(1, 44 * check.rounds, 0.02, "pass"))


def test_every_probe_needs_evidence_of_its_own(side: Make, policy: Make) -> None:
    found = read(policy(PROBE), side(even("a" * 60, 3) | {"hot": "m" * 30 + "a" * 30}))
    assert (found.verdict, found.results()[0].probe) == ("fail", "hot")
    clean = read(policy(PROBE), side(even("a" * 60, 3)))
    assert clean.verdict == "pass"


def test_probes_with_unequal_paraphrases_weigh_the_same(side: Make, policy: Make) -> None:
    lines = even("a" * 200, 20) | {"p0/1": "a" * 200}
    found = read(policy(RATE), side(lines))
    assert found.verdict == "pass"
    assert found.stopped_at is not None
    assert found.stopped_at > 200 / 21
    paired = read(policy({**RISE, "margin": 0.05}), side(lines), side(lines, "base"))
    assert paired.verdict == "pass"


def test_the_verdict_does_not_depend_on_the_order_of_arrival(side: Make, policy: Make) -> None:
    run = side(even("aaaaaaam" + "a" * 32, 4))
    whole = read(policy({**RATE, "limit": 0.3}), run)
    live = SequentialGate(policy({**RATE, "limit": 0.3}), run, None, cap=40, live=True)
    places = [(cell, sample) for cell in run.cells for sample in range(40)]
    random.Random(1).shuffle(places)
    for cell, sample in places:
        live.slots.settle(cell.prompt.cell, sample, OUTCOME_OF[cell.in_order[sample]])
        live.advance()
    assert (live.verdict, live.stopped_at) == (whole.verdict, whole.stopped_at)
    assert live.results() == whole.results()


def test_several_checks_end_together_and_one_failure_ends_all(side: Make, policy: Make) -> None:
    wanted = policy({**RATE, "limit": 0.05, "name": "loose"}, RATE)
    found = read(wanted, side(even("a" * 100)))
    assert (found.verdict, [check.rounds for check in found.results()]) == ("pass", [2, 5])


def test_incoherence_holds_a_pass_back(side: Make, policy: Make) -> None:
    found = read(policy(RATE), side(even("iaaa" * 15)))
    assert found.results()[0].verdict == "pass"
    assert (found.verdict, found.stopped_at) == ("inconclusive", None)


def test_a_raised_cap_gives_no_second_look_at_the_end(side: Make, policy: Make) -> None:
    wanted, long = policy(RATE), spread(side, even("a" * 79) | {f"p{item}": "a" * 78 + "m" for item in range(40)})
    assert not read(wanted, long, cap=20).results()[0].reason.startswith("cap")


def test_another_policy_on_a_run_that_stopped_has_evidence_alone(side: Make, policy: Make) -> None:
    run = side(even("a" * 5))
    stopping = Stopping(policy=policy({**RATE, "limit": 0.05}), cap=5)
    found = gate(GateQuestion(policy(RATE), run, stopping=stopping))
    assert (found.method, found.verdict, found.stopped_at) == ("sequential", "pass", None)
    assert gate(GateQuestion(policy({**RATE, "limit": 0.01}), run, stopping=stopping)).verdict == "inconclusive"


@pytest.mark.parametrize(
    "check,lines,message",
    [
        (RATE, even("a" * 4), "2 % cannot be passed with 176 planned replies, all of them clean: it takes 200"),
        (RISE, even("a" * 10), "a margin of 1 point cannot be passed with 440 planned replies"),
        ({**RATE, "estimand": "general"}, even("a" * 4), "never about probes like these"),
    ],
)
def test_a_cap_that_nothing_could_pass_is_refused_before_any_request(
    side: Make, policy: Make, check: dict[str, Any], lines: dict[str, str], message: str
) -> None:
    run = side(lines)
    with pytest.raises(UsageError) as found:
        sequential.check_feasible(policy(check), run.cells, run.definition, run, sequential=True)
    assert message in str(found.value)


@pytest.mark.slow
@pytest.mark.parametrize("rate,wrong", [(0.02, "pass"), (0.02, "fail")])
def test_a_model_at_the_limit_is_rarely_misjudged(side: Make, policy: Make, rate: float, wrong: str) -> None:
    rng = np.random.default_rng(7)
    wanted, often = policy(RATE), 0
    for _ in range(200):
        bad = rng.random((8, 60)) < rate
        lines = {f"p{item}": "".join("m" if hit else "a" for hit in row) for item, row in enumerate(bad)}
        often += read(wanted, side(lines)).verdict == wrong
    assert often <= 0.06 * 200


CHECKS: tuple[dict[str, Any], ...] = (
    {"kind": "rate", "limit": 0.3},
    {"kind": "difference", "margin": 0.35},
    {"kind": "max-probe", "limit": 0.6},
)
ROWS = st.lists(st.text(alphabet="aaaaaaaaaamir", min_size=40, max_size=40), min_size=1, max_size=4)
HARM = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 39), st.sampled_from("uf-")), max_size=6)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(check=st.sampled_from(CHECKS), rows=ROWS, harm=HARM, harm_before=HARM, unequal=st.booleans())
def test_losing_replies_never_turns_a_verdict_into_a_pass(
    side: Make, policy: Make, check: dict[str, Any], rows: list[str], harm: Any, harm_before: Any, unequal: bool
) -> None:
    wanted, base = policy(check), ["a" * 40 for _ in rows]

    def verdict(now: list[str], then: list[str]) -> SequentialGate:
        return read(wanted, side(named(now, unequal)), side(named(then, unequal), "base"), cap=40)

    first = verdict(rows, base)
    kept = (first.stopped_at or 39) + 1
    collected = [row[:kept] + "-" * (40 - kept) for row in rows]
    if verdict(harmed(collected, harm), harmed(base, harm_before)).verdict == "pass":
        assert first.verdict == "pass"


def harmed(rows: list[str], harm: list[tuple[int, int, str]]) -> list[str]:
    found = [list(row) for row in rows]
    for row, place, letter in harm:
        if row < len(found):
            found[row][place] = letter
    return ["".join(row) for row in found]


def named(rows: list[str], unequal: bool) -> dict[str, str]:
    return {
        f"p{number // 2}/{number % 2}" if unequal and number < 2 else f"p{number}": row
        for number, row in enumerate(rows)
    }
