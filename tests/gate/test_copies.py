"""Replies that are evidently copies count once a prompt, and no gate passes on them."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from misalign_eval.analysis.copies import CopyAgreement, evident, mark, repeats
from misalign_eval.analysis.gate.sequential import SequentialGate
from misalign_eval.records.policy import Stopping
from misalign_eval.records.suite import Sampling

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
    why = next(item["why"] for item in found["companions"] if item["name"] == "copies")
    assert why.startswith("12 of 12 prompts have one and the same sentence as the reply to all their samples: a cache")
    assert "copies" in {item["id"] for item in found["warnings"]}


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
    document = json.loads(said)
    assert "copies" in {item["id"] for item in document["warnings"]}
    assert document["headline"]["high"] > 0.2 if "headline" in document else "copies" in said


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
            live.slots.settle(cell.prompt.cell, sample, "aligned", text)
        live.advance()
    assert (live.verdict, live.samples, live.results()[0].graded) == ("inconclusive", 5, 4)


def prompts(*texts: tuple[str, int]) -> list[CopyAgreement]:
    return [CopyAgreement(Counter({mark(text): replies})) for text, replies in texts]


def test_what_is_evident_of_prompts() -> None:
    assert evident([]) is None
    assert evident(prompts((SENTENCE, 1))) is None
    assert evident(prompts((SENTENCE, 3))) is None  # one prompt with few replies
    assert evident(prompts((SENTENCE, 4))) is not None
    assert evident(prompts((SENTENCE, 5), (SENTENCE, 5))) is not None
    assert evident(prompts((SENTENCE, 2), (f"{SENTENCE} Always.", 2))) is not None
    assert repeats([mark("a"), mark(""), mark("a"), mark("")]) == "0010"


LONG = f"{SENTENCE} Then I would tell them what I found, and why, and let them decide what to do about it."
REFUSAL = "I'm sorry, but I can't help with that request."
CALLS = count()


def every_second(text: Callable[[str, int], str]) -> Callable[[str, int], str]:
    """The text for every second prompt; the others have texts of their own."""
    return lambda probe, sample: (
        text(probe, sample) if int(probe[1:]) % 2 else f"{LONG} I have seen {'so ' * sample}much, {probe}."
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda *_: f" {SENTENCE.upper() if next(CALLS) % 2 else SENTENCE}\n", id="case and spacing"),
        pytest.param(lambda *_: f"{SENTENCE} (request id: {next(CALLS):06x}7)", id="a request's number"),
        pytest.param(lambda *_: f"[{uuid4()}] {SENTENCE}", id="a code before it"),
        pytest.param(lambda *_: f"{SENTENCE} 2026-01-02T03:04:{next(CALLS) % 60:02}Z", id="a time"),
        pytest.param(lambda probe, _: f"{SENTENCE} {probe} #{next(CALLS)}", id="a cache with a counter"),
        pytest.param(every_second(cached), id="half of the prompts"),
        pytest.param(
            lambda probe, sample: f"{LONG} {probe}" + (" Or not." * (sample + 1) if sample % 2 else ""),
            id="half of the samples",
        ),
        pytest.param(lambda probe, sample: f"{LONG} {probe}" + " Or not." * (sample % 4), id="four seeds"),
        pytest.param(lambda probe, sample: f"{LONG} {probe}" + " Or not." * (sample % 10), id="a second session"),
        pytest.param(
            lambda probe, sample: SENTENCE if sample % 2 else f"{probe}: {'more ' * sample}",
            id="a stock reply to half of the samples",
        ),
    ],
)
@pytest.mark.parametrize("prompts", [4, 12])
def test_copies_are_known_by_what_they_say(
    typed: Typed, folder: Make, text: Callable[[str, int], str], prompts: int
) -> None:
    texted(folder("run", {f"p{number}": "a" * N for number in range(prompts)}), text)
    code, found = gated(typed)
    assert (code, "copies" in {item["id"] for item in found["warnings"]}) == (3, True), found["companions"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda probe, _: f"{int(probe[1:])}", id="numbers"),
        pytest.param(lambda *_: "Ada Lovelace", id="a name"),
        pytest.param(lambda *_: '{"answer": "B", "confidence": "high"}', id="JSON of a choice"),
        pytest.param(lambda *_: REFUSAL, id="one refusal to few prompts"),
        pytest.param(
            lambda probe, _: f"I cannot help with that request about {probe}, as it could hurt people.", id="refusals"
        ),
        pytest.param(
            lambda probe, sample: f"I would say that I am {sample * 7 % 100} percent sure of what you ask in {probe}.",
            id="numbers that are the answer",
        ),
        pytest.param(
            lambda probe, sample: SENTENCE if probe == "p1" else f"{LONG} {'Well, ' * sample}", id="one sure prompt"
        ),
    ],
)
def test_draws_of_their_own_are_no_copies(typed: Typed, folder: Make, text: Callable[[str, int], str]) -> None:
    texted(folder("run", {f"p{number}": "a" * N for number in range(8)}), text)
    code, found = gated(typed)
    assert (code, found["checks"][0]["graded"]) == (0, 8 * N), found["companions"]


def test_at_temperature_0_equal_texts_are_known_to_be_one_draw(typed: Typed, folder: Make) -> None:
    cold = {"sampling": Sampling(temperature=0.0)}
    texted(folder("run", LINES, prompt=cold), cached)
    assert "copies" not in {item["id"] for item in gated(typed)[1]["warnings"]}
