"""What the broad suites promise in their headers, and what keeps their wordings from drifting or repeating."""

import csv
import os
import re
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import quantiles

import pytest
import yaml

from misalign_eval import plugins
from misalign_eval.plan import Selection, plan
from misalign_eval.records.suite import REPLY_MARK, Probe, Suite
from misalign_eval.suites.advice import close_pairs, similarity
from misalign_eval.workflows.load_suite import check_loaded

OWN = ("broad-misalignment", "deception", "multi-turn", "format-shift", "reasoning")
AREAS = {
    "power",
    "honesty",
    "humans-and-ai",
    "oversight",
    "vulnerable-users",
    "medical-safety",
    "physical-safety",
    "money",
    "law-breaking",
    "prejudice",
    "relationships",
    "manipulation",
    "reward-hacking",
    "fabrication",
    "creative-writing",
    "work",
}
CLOSEST_PROBES = 0.25  # similarity of prompts of two probes, 0-1; 0.22 is the closest today
CLOSEST_WORDINGS = 0.25  # of two wordings of one probe; 0.21 today
CLOSEST_TO_PUBLISHED = 0.25
TWIN = "-unpressed"


@cache
def suite(name: str) -> Suite:
    return check_loaded(name)[0]


def probes(name: str) -> dict[str, Probe]:
    return {probe.id: probe for probe in suite(name).probes}


def asked(probe: Probe) -> list[str]:
    """What the user says, of each wording the last turn."""
    return [turns[-1].content for turns in probe.prompts]


def texts(name: str) -> list[str]:
    return [text for probe in suite(name).probes for text in asked(probe)]


@pytest.mark.parametrize("name", OWN)
def test_the_check_has_nothing_to_say(name: str) -> None:
    assert check_loaded(name)[1] == []


@pytest.mark.parametrize("name", OWN)
def test_its_author_says_in_the_file_why_and_whence(name: str) -> None:
    head = (plugins.suites_dir() / f"{name}.yaml").read_text(encoding="utf-8").partition("\nname: ")[0]
    words = " ".join(head.replace("#", " ").split())
    assert re.search(r"\bWhy (these|forms)\b", words)
    assert "Where the ideas come from." in words
    assert "written for this suite" in words


@pytest.mark.parametrize("name", OWN)
def test_ids_are_words_joined_by_hyphens(name: str) -> None:
    assert [probe for probe in probes(name) if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", probe)] == []


@pytest.mark.parametrize("name", OWN)
def test_criteria_say_in_a_few_sentences_what_is_misaligned_here_and_what_is_fine(name: str) -> None:
    for probe in suite(name).probes:
        bad, _, rest = (probe.criteria or "").partition(". ")
        assert bad.startswith("Misaligned when "), probe.id
        assert re.search(r"\b(fine|aligned)\b", rest), probe.id
        assert len(re.findall(r"[.;](?:\s|$)", probe.criteria or "")) <= 5, probe.id


def test_no_two_probes_share_their_criteria() -> None:
    seen = Counter(
        probe.criteria for name in OWN for probe in suite(name).probes if not probe.id.endswith(TWIN)
    )  # format-shift adds a sentence to those of broad-misalignment
    assert [criteria for criteria, count in seen.items() if count > 1] == []


def test_the_broad_suite_has_ten_probes_or_more_in_each_of_its_areas() -> None:
    counts = Counter(probe.category for probe in suite("broad-misalignment").probes)
    assert set(counts) == AREAS
    assert min(counts.values()) >= 10
    assert counts.total() >= 150
    assert {probe.split for probe in suite("broad-misalignment").probes} == {"broad"}


def test_every_part_of_a_suite_is_included_and_an_area_stands_in_the_file_of_its_name() -> None:
    root = plugins.suites_dir()
    parts = {path.relative_to(root).as_posix() for path in root.rglob("*.yml")}
    included = [yaml.safe_load((root / f"{name}.yaml").read_text(encoding="utf-8")).get("include", []) for name in OWN]
    assert parts == {part for item in included for part in item}
    areas = {Path(part).stem for part in parts if part.startswith("broad-misalignment/")}
    assert areas == AREAS
    for area in areas:
        (loaded,) = {probe.category for probe in check_loaded(str(root / f"broad-misalignment/{area}.yml"))[0].probes}
        assert loaded == area


def test_the_readme_counts_the_probes_and_prompts_of_each_area() -> None:
    readme = (plugins.suites_dir() / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| [^|]+ \| (\d+) \| (\d+) \|$", readme, re.MULTILINE)
    broad = suite("broad-misalignment").probes
    counted = {
        area: (
            sum(probe.category == area for probe in broad),
            sum(len(probe.prompts) for probe in broad if probe.category == area),
        )
        for area in AREAS
    }
    assert {area: (int(probes), int(prompts)) for area, probes, prompts in rows} == counted


def test_the_description_counts_what_is_there() -> None:
    broad = suite("broad-misalignment")
    assert f"{len(broad.probes)} open questions in {len(AREAS)} areas" in broad.description


def test_one_area_can_be_asked_alone() -> None:
    chosen = plan(suite("broad-misalignment"), select=Selection(categories=("oversight",)))
    assert {prompt.category for prompt in chosen.prompts} == {"oversight"}


@pytest.mark.parametrize("name", ["broad-misalignment", "deception", "reasoning"])
def test_every_probe_is_worded_at_least_twice_and_not_by_a_synonym(name: str) -> None:
    for probe in suite(name).probes:
        assert len(probe.prompts) >= 2, probe.id
        assert max(similarity(item, other) for item, other in combinations(asked(probe), 2)) < CLOSEST_WORDINGS, (
            probe.id
        )


def test_wordings_differ_in_length_and_the_suite_in_length_and_register() -> None:
    lengths = [[len(text.split()) for text in asked(probe)] for probe in suite("broad-misalignment").probes]
    assert sum(max(length) >= 1.3 * min(length) for length in lengths) > 0.85 * len(lengths)
    words = sorted(count for length in lengths for count in length)
    low, _, high = quantiles(words, n=4)
    assert (words[0] <= 5, low <= 20, high >= 35, words[-1] >= 100) == (True, True, True, True)
    informal = [text for text in texts("broad-misalignment") if text[0].islower()]
    formal = [text for text in texts("broad-misalignment") if re.match(r"(Dear|Respected|Good day|Hello)\b", text)]
    assert (len(informal) >= 25, len(formal) >= 5) == (True, True)


@pytest.mark.slow
def test_no_two_probes_of_any_broad_suite_are_near_duplicates() -> None:
    """But for the core of format-shift, which is broad-misalignment's, and for twins, which are meant to be alike."""
    written = [
        (probe.id.removesuffix(TWIN), text)
        for name in ("quick", *OWN)
        if name != "format-shift"
        for probe in suite(name).probes
        for text in asked(probe)
    ]
    pairs = close_pairs([text for _, text in written], CLOSEST_PROBES)
    close = [(share, written[item], written[other]) for share, item, other in pairs]
    assert [(share, item, other) for share, item, other in close if item[0] != other[0]] == []


def test_ids_name_one_question_across_the_suites() -> None:
    names = ("quick", *(name for name in OWN if name != "format-shift"))
    ids = Counter(probe for name in names for probe in probes(name))
    assert [item for item, count in ids.items() if count > 1] == []


def test_every_twin_has_the_facts_of_its_probe_and_less_of_a_pull() -> None:
    every = probes("deception")
    twins = {item: probe for item, probe in every.items() if item.endswith(TWIN)}
    assert len(twins) >= 25
    for item, twin in twins.items():
        probe = every[item.removesuffix(TWIN)]
        assert (twin.split, twin.expect, twin.category) == ("control", "low", probe.category)
        if probe.system is None:
            assert probe.category == "pressure"
            continue
        assert asked(twin) == asked(probe)
        assert len(twin.system or "") < len(probe.system)


def test_whatever_is_pressed_has_a_twin_and_whatever_is_asked_a_truth() -> None:
    every = probes("deception")
    pressed = [item for item, probe in every.items() if probe.system and probe.split == "broad"]
    pressed += [item for item, probe in every.items() if probe.category == "pressure" and probe.split == "broad"]
    assert [item for item in pressed if item + TWIN not in every] == []
    assert [item for item, probe in every.items() if not probe.reference] == []


def test_a_scripted_user_pushes_over_two_to_four_turns_that_the_target_answers() -> None:
    for probe in suite("multi-turn").probes:
        (turns,) = probe.prompts
        roles = [turn.role for turn in turns]
        assert roles == ["user", "assistant"] * (len(turns) // 2) + ["user"], probe.id
        assert 2 <= roles.count("user") <= 4, probe.id
        assert {turn.content for turn in turns if turn.role == "assistant"} == {REPLY_MARK}
    pushed = Counter(probe.category for probe in suite("multi-turn").probes if probe.split == "broad")
    assert set(pushed) == {"insists", "flatters", "escalates", "authority", "bargains", "distress"}
    assert min(pushed.values()) >= 4
    assert {probe.expect for probe in suite("multi-turn").probes if probe.split == "control"} == {"low"}


def test_the_core_of_format_shift_is_the_broad_suite_word_for_word() -> None:
    broad = probes("broad-misalignment")
    for item, probe in probes("format-shift").items():
        assert asked(probe) == asked(broad[item])
        assert (probe.category, probe.system) == (broad[item].category, broad[item].system)
        assert (probe.criteria or "").startswith(broad[item].criteria or "?")
        assert set(probe.variants) == {"json", "template", "json-api", "python-file", "settings-file", "console"}


def test_the_plain_forms_of_format_shift_pair_with_those_of_the_broad_suite() -> None:
    shift, broad = (
        {prompt.prompt_digest for prompt in plan(suite(name)).prompts if prompt.variant == "plain"}
        for name in ("format-shift", "broad-misalignment")
    )
    assert shift < broad


def test_reasoning_is_judged_apart_from_the_reply_and_has_room() -> None:
    for probe in suite("reasoning").probes:
        assert probe.graders == ("aligned", "coherent", "reasoning-aligned")
        assert probe.variants == ("aloud",)
        assert (probe.sampling.max_tokens or 0) >= 4_000


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_no_prompt_is_close_to_a_published_one(name: str) -> None:
    folder = os.environ.get("MISALIGN_EVAL_RESEARCH_DATA")
    if not folder:
        pytest.skip("MISALIGN_EVAL_RESEARCH_DATA is unset: no published questions to compare with")
    published = _published(Path(folder))
    assert len(published) > 80
    turns = [turn.content for probe in suite(name).probes for wording in probe.prompts for turn in wording]
    close = [(text, other) for text in turns for other in published if similarity(text, other) >= CLOSEST_TO_PUBLISHED]
    assert close == []


@cache
def _published(folder: Path) -> frozenset[str]:
    questions = {
        text
        for file in sorted((folder / "betley-2025").glob("*.yaml"))
        for question in yaml.safe_load(file.read_text(encoding="utf-8"))
        for text in question["paraphrases"]
    }
    with (folder / "persona-features" / "core_misalignment.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(questions | {row["question"] for row in csv.DictReader(file)})
