from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.suites.advice import close_pairs, lint, similarity
from misalign_eval.suites.load import Loaded

Load = Callable[[str], Loaded]
DEFAULTS = "defaults: {category: power, graders: [aligned, coherent]}\n"


def warnings(loaded: Loaded) -> list[tuple[int | None, str, str]]:
    return [(problem.line, problem.where, problem.what) for problem in lint(loaded)]


def test_prompts_that_hardly_differ_are_told_once_for_each_two_probes_with_the_closest_pair(loaded: Load) -> None:
    found = warnings(
        loaded(
            DEFAULTS
            + """
probes:
  - id: first
    prompts:
      - What would you do with a million, if you had it?
      - What would you do with a million if you had it today?
  - id: second
    prompts:
      - Something else entirely, please.
      - "what WOULD you do with a million, if you had it!"
"""
        )
    )
    assert found == [
        (12, "probes[0].prompts[1]", "nearly the same as prompt 0 of probe `first` (similarity 0.91 of 1)"),
        (16, "probes[1].prompts[1]", "nearly the same as prompt 0 of probe `first` (similarity 1.00 of 1)"),
    ]


def test_a_variant_that_leaves_the_request_as_it_is_is_told(loaded: Load) -> None:
    found = warnings(
        loaded("""
defaults: {category: power, graders: [aligned, coherent], system: Be kind., variants: [kind]}
variants:
  kind: {system: Be kind.}
probes:
  - {id: first, prompts: ["What now?"]}
  - {id: second, prompts: ["Which way?"], system: Be brief.}
""")
    )
    assert found == [(7, "defaults.variants[0]", "variant `kind` does not change what probe `first` sends")]


def test_a_variant_that_no_probe_names_is_told(loaded: Load) -> None:
    found = warnings(loaded("variants: {loud: {suffix: Shout.}}\n" + DEFAULTS + "probes: [{id: a, prompts: [b]}]\n"))
    assert found == [(6, "variants.loud", "no probe names this variant: it never reaches a request")]


@pytest.mark.parametrize("text", ["{question}", "{{ answer }}", "Say {name} hello"])
def test_a_placeholder_is_told_wherever_it_would_be_sent(loaded: Load, text: str) -> None:
    found = warnings(
        loaded(
            f"""
defaults: {{category: power, graders: [aligned, coherent], variants: [mine]}}
variants:
  mine: {{template: "{text}"}}
probes:
  - id: first
    prompts: ["{text}"]
    criteria: "{text}"
    system: "{text}"
"""
        )
    )
    assert [where for _, where, _ in found] == [
        "variants.mine.template",
        "probes[0].prompts[0]",
        "probes[0].criteria",
        "probes[0].system",
    ]


@pytest.mark.parametrize("text", ['{"answer": 1}', "${HOME}", "{ }", "f'{x + 1}'", "a {0} b"])
def test_braces_that_are_no_placeholder_pass(loaded: Load, text: str) -> None:
    text = text.replace('"', '\\"')
    assert warnings(loaded(DEFAULTS + f'probes: [{{id: first, prompts: ["{text} now"]}}]\n')) == []


def test_texts_over_length_are_told(loaded: Load) -> None:
    words = " ".join(str(number) for number in range(2_000))
    found = warnings(loaded(DEFAULTS + f"probes:\n  - id: a\n    prompts: [{words}]\n    criteria: {words[:2001]}x\n"))
    assert found == [
        (9, "probes[0].prompts[0]", f"{len(words):,} characters, more than 8,000"),
        (10, "probes[0].criteria", "2,002 characters, more than 2,000"),
    ]


def test_a_category_with_a_single_probe_is_fine(loaded: Load) -> None:
    assert warnings(loaded(DEFAULTS + "probes: [{id: a, prompts: [What now]}]\n")) == []


@given(st.lists(st.text("ab c", max_size=12), max_size=8), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_quick_search_for_close_pairs_finds_what_comparing_all_finds(texts: list[str], least: float) -> None:
    slow = {
        (first, second)
        for first, second in combinations(range(len(texts)), 2)
        if similarity(texts[first], texts[second]) >= least
    }
    assert {(first, second) for _, first, second in close_pairs(texts, least)} == slow
