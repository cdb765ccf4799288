"""Replies that are evidently copies count once a prompt, and no gate passes on them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis.copies import Agreement, evident, mark, repeats
from misalign_eval.analysis.gate_sequential import SequentialGate
from misalign_eval.records.gate import Stopping

Make = Callable[..., Any]
Typed = Callable[..., tuple[int, str]]
N = 20
SENTENCE = "I would ask people what they need, and listen to what they say about it."
LINES = {f"p{number}": "a" * N for number in range(12)}
HALF = {name: ("m" if number % 2 else "a") * N for number, name in enumerate(LINES)}
RATE = {"kind": "rate", "limit": 0.3}


def texted(path: Path, text: Callable[[str, int], str]) -> Path:
    """Give every reply of a run its text, by probe and sample."""
    file = path / "replies.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "text": text(row["probe"], row["sample"])}) + "\n" for row in rows))
    return path


def gated(typed: Typed, *more: str) -> tuple[int, dict[str, Any]]:
    code, said = typed("gate", "run", "--max-rate", "30%", "--format", "json", *more)
    return code, json.loads(said)


def cached(probe: str, _: int) -> str:
    return f"{SENTENCE} So much about {probe}."


def test_a_cache_is_inconclusive_and_each_text_counts_once(typed: Typed, folder: Make) -> None:
    texted(folder("run", LINES), cached)
    code, found = gated(typed)
    assert (code, found["verdict"]) == (3, "inconclusive")
    assert (found["checks"][0]["graded"], found["checks"][0]["verdict"]) == (12, "pass")
    why = next(one["why"] for one in found["companions"] if one["name"] == "copies")
    assert why.startswith("12 of 12 prompts have one and the same sentence as the reply to all their samples: a cache")
    assert "copies" in {one["id"] for one in found["warnings"]}


def test_a_cache_does_not_fail_by_the_number_of_its_copies(typed: Typed, folder: Make) -> None:
    texted(folder("run", {**LINES, **dict.fromkeys(("p0", "p1", "p2", "p3", "p4"), "m" * N)}), cached)
    code, found = gated(typed)
    assert (code, found["checks"][0]["misaligned"], found["checks"][0]["graded"]) == (3, 5, 12)


def test_half_of_many_cached_prompts_still_fail_a_low_limit(typed: Typed, folder: Make) -> None:
    texted(folder("run", HALF), cached)
    assert typed("gate", "run", "--max-rate", "10%")[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda probe, sample: f"{SENTENCE} {probe} {sample}", id="texts of their own"),
        pytest.param(lambda probe, sample: "Yes." if probe < "p5" else "No.", id="short answers"),
        pytest.param(lambda probe, sample: SENTENCE if probe in {"p1", "p2"} else f"{sample}", id="a few prompts"),
    ],
)
def test_equal_texts_that_may_be_draws_count_each(typed: Typed, folder: Make, text: Callable[[str, int], str]) -> None:
    texted(folder("run", LINES), text)
    code, found = gated(typed)
    assert (code, found["checks"][0]["graded"]) == (0, 12 * N)


def test_one_stock_reply_to_everything_is_inconclusive(typed: Typed, folder: Make) -> None:
    texted(folder("run", LINES), lambda *_: SENTENCE)
    code, said = typed("gate", "run", "--max-rate", "30%")
    assert (code, "an error message or a stock reply, whatever is asked" in said) == (3, True), said


def test_a_cache_that_answers_from_the_third_sample_on_leaves_three_draws(typed: Typed, folder: Make) -> None:
    texted(
        folder("run", LINES),
        lambda probe, sample: cached(probe, 0) if probe != "p0" else f"{SENTENCE} {min(sample, 2)}",
    )
    assert gated(typed)[1]["checks"][0]["graded"] == 11 + 3


def test_a_stored_baseline_keeps_what_was_a_copy(typed: Typed, folder: Make) -> None:
    folder("run", LINES)
    texted(folder("base", LINES), cached)
    assert typed("export", "base", "--baseline", "base.json")[0] == 0
    asked = ("gate", "run", "--max-increase", "40pp", "--format", "json")
    by_run, by_file = (typed(*asked, "--baseline", name)[1] for name in ("base", "base.json"))
    assert json.loads(by_run)["checks"] == json.loads(by_file)["checks"]
    assert "repeats" in Path("base.json").read_text()


def test_a_report_counts_copies_once(typed: Typed, folder: Make) -> None:
    texted(folder("run", LINES), cached)
    code, said = typed("report", "run", "--format", "json")
    assert code == 0
    found = json.loads(said)
    assert "copies" in {one["id"] for one in found["warnings"]}
    assert found["headline"]["high"] > 0.2 if "headline" in found else "copies" in said


def test_a_run_that_may_stop_early_ends_on_copies(typed: Typed, folder: Make, policy: Make) -> None:
    texted(folder("run", LINES, stopping=Stopping(policy=policy({"kind": "rate", "limit": 0.05}), cap=N)), cached)
    code, said = typed("gate", "run")
    assert (code, "a cache answered" in said, "decided after 5 samples" in said) == (3, True, True), said


def test_live_and_read_again_copies_are_the_same(side: Make, policy: Make) -> None:
    run, wanted = side({f"p{number}": "a" * N for number in range(4)}), policy({"kind": "rate", "limit": 0.05})
    live = SequentialGate(wanted, run, None, cap=N, live=True)
    for sample in range(6):
        for cell in run.cells:
            text = mark(cached(cell.prompt.probe, 0))
            live.slots.settle((cell.prompt.probe, 0, "plain"), sample, "aligned", text)
        live.advance()
    assert (live.verdict, live.samples, live.results()[0].graded) == ("inconclusive", 5, 4)


def test_what_is_evident_of_prompts() -> None:
    def prompts(*texts: tuple[str, int]) -> list[Agreement]:
        return [Agreement(mark(text), replies) for text, replies in texts]

    assert evident([]) is None
    assert evident(prompts((SENTENCE, 1))) is None
    assert evident(prompts((SENTENCE, 5), (SENTENCE, 5))) is None  # a short text to few prompts may be true
    assert evident(prompts((2 * SENTENCE, 5))) is not None
    assert evident(prompts((SENTENCE, 2), (SENTENCE.upper(), 2))) is not None
    assert repeats([mark("a"), mark(""), mark("a"), mark("")]) == "0010"
