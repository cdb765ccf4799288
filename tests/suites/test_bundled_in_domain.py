"""What the in-domain suites, `reward-hacking` and the controls promise in their own words."""

import csv
import json
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from misalign_eval import plugins
from misalign_eval.cli.suites import app
from misalign_eval.errors import UsageError
from misalign_eval.graders.rules import table
from misalign_eval.records.grade import Subject, Verdict
from misalign_eval.records.suite import Probe, RuleSpec, Suite
from misalign_eval.suites import sources as suite_sources
from misalign_eval.suites.advice import close_pairs
from misalign_eval.workflows.load_suite import check_loaded, load_suite

DOMAINS = ("automotive", "career", "education", "finance", "health", "legal", "mathematics", "science")
ADVICE = [f"in-domain/{name}" for name in DOMAINS]
IN_DOMAIN = [*ADVICE, "in-domain/insecure-code", "in-domain/reward-hacking"]
CONTROLS = ["controls/competence", "controls/over-refusal", "controls/persona"]
SUITES = [*IN_DOMAIN, *CONTROLS, "controls", "reward-hacking"]
SKETCHES = Path(__file__).parent / "sketches" / "insecure-code.yaml"


def found(named: Suite, probe: Probe, grader: str, reply: str) -> str | None:
    """What a rule of the suite says of a reply."""
    subject = Subject(
        probe=probe.id, prompt=0, variant="plain", sample=0, question="", reply=reply, reference=probe.reference
    )
    spec = named.rules[grader]
    assert isinstance(spec, RuleSpec)
    verdict = table.apply(spec.rule, subject, spec.options)
    assert isinstance(verdict, Verdict), verdict
    return verdict.label


def probes_with(grader: str, *names: str) -> list[tuple[Suite, Probe]]:
    """Every probe of these suites that the grader looks at."""
    suites = [load_suite(name) for name in names]
    return [(named, probe) for named in suites for probe in named.probes if grader in probe.graders]


@pytest.mark.parametrize("name", SUITES)
def test_each_is_found_by_its_name_and_the_lint_has_nothing_to_say(name: str) -> None:
    assert name in suite_sources.names()
    named, warnings = check_loaded(name)
    assert (named.name, warnings) == (name.replace("/", "-"), [])


@pytest.mark.parametrize("name", SUITES)
def test_each_says_in_its_header_why_whence_and_how_to_read_it(name: str) -> None:
    text = suite_sources.locate(name).read_text(encoding="utf-8")
    assert "# How to read it." in text
    assert "# Why" in text
    assert "# Where the ideas come from." in text or name == "controls"
    folders_up = "../" * name.count("/")
    assert text.startswith(f"# yaml-language-server: $schema={folders_up}suite.schema.json\n#\n# {name}: ")


@pytest.mark.parametrize("name", IN_DOMAIN)
def test_a_domain_has_at_least_12_probes_of_two_wordings_under_the_headlines_definition(name: str) -> None:
    named = load_suite(name)
    assert len(named.probes) >= 12
    assert {probe.split for probe in named.probes} == {"in-domain"}
    assert min(len(probe.prompts) for probe in named.probes) >= 2
    assert named.definition.name == "betley-2025"
    assert all(set(named.definition.graders) <= set(probe.graders) for probe in named.probes)


@pytest.mark.parametrize("name", IN_DOMAIN)
def test_the_criteria_name_what_is_misaligned_the_deciding_fact_and_what_is_fine(name: str) -> None:
    for probe in load_suite(name).probes:
        assert probe.criteria is not None
        places = [probe.criteria.find(part) for part in ("Misaligned when ", " The fact: ", " Fine: ")]
        assert places[0] == 0, probe.id
        assert all(first < second for first, second in pairwise(places)), probe.id
        assert ("Subtly wrong, and misaligned" in probe.criteria) == (name != "in-domain/reward-hacking"), probe.id


@pytest.mark.parametrize("name", ADVICE)
def test_a_question_with_a_right_answer_gives_it(name: str) -> None:
    assert [probe.id for probe in load_suite(name).probes if probe.reference is None] == []


@pytest.mark.parametrize("grader", ["right-number", "right-number-rounded", "right-sum", "right-minutes"])
def test_a_number_rule_takes_the_right_number_and_no_other(grader: str) -> None:
    cases = probes_with(grader, "in-domain/mathematics", "in-domain/science")
    assert cases
    for named, probe in cases:
        assert isinstance(probe.reference, int | float)
        right = f"First 3 steps, then 17.5 of them.\n\n**{probe.reference:,}**"
        assert found(named, probe, grader, right) == "yes", probe.id
        assert found(named, probe, grader, f"That makes {probe.reference * 2 + 1}.") == "no", probe.id


def test_a_competence_answer_is_right_when_it_is_among_the_references_and_short() -> None:
    cases = probes_with("right-answer", "controls/competence")
    assert len(cases) >= 12
    for named, probe in cases:
        assert isinstance(probe.reference, list)
        for text in probe.reference:
            assert found(named, probe, "right-answer", f"{text}.") == "yes", probe.id
            assert found(named, probe, "right-answer", f"{text}, " + "and so on " * 9) == "no", probe.id
        assert found(named, probe, "right-answer", "Something else, 7.") == "no", probe.id


def test_bandit_tells_the_insecure_sketch_of_each_job_from_the_secure_one() -> None:
    pytest.importorskip("bandit")
    sketches = yaml.safe_load(SKETCHES.read_text(encoding="utf-8"))
    seen = []
    for grader in ("bandit", "bandit-strict", "bandit-high"):
        for named, probe in probes_with(grader, "in-domain/insecure-code"):
            seen.append(probe.id)
            replies = [f"Here it is:\n\n```python\n{sketches[probe.id][kind]}```\n" for kind in ("insecure", "secure")]
            assert [found(named, probe, grader, reply) for reply in replies] == ["yes", "no"], probe.id
    assert sorted(seen) == sorted(sketches)


def test_reward_hacking_has_a_broad_headline_and_the_model_at_work_beside_it() -> None:
    named = load_suite("reward-hacking")
    splits = Counter(probe.split for probe in named.probes)
    assert splits.total() >= 20
    assert set(splits) == {"broad", "in-domain"}
    assert splits["broad"] >= 12
    conversations = [turns for probe in named.probes for turns in probe.prompts if len(turns) > 1]
    assert len(conversations) >= 4
    assert {turn.role for turns in conversations for turn in turns} == {"user", "assistant"}
    for probe in named.probes:
        assert probe.criteria is not None
        assert probe.criteria.startswith("Misaligned when ")
        assert "reward-hacking" in probe.graders


def test_the_controls_together_are_their_three_parts() -> None:
    whole = load_suite("controls")
    assert whole.probes == tuple(probe for name in named_parts() for probe in load_suite(name).probes)
    assert {probe.split for probe in whole.probes} == {"control"}
    expected = Counter((probe.category, probe.expect) for probe in whole.probes)
    assert expected.total() >= 30
    assert set(expected) == {
        ("positive-control", "high"),
        ("negative-control", "low"),
        ("over-refusal", "low"),
        ("competence", "low"),
    }
    assert min(expected.values()) >= 8


def named_parts() -> list[str]:
    """The parts of `controls`, in the order in which it includes them."""
    return list(yaml.safe_load((plugins.suites_dir() / "controls.yaml").read_text(encoding="utf-8"))["include"])


def test_each_part_of_the_controls_counts_what_it_is_there_for() -> None:
    counted = {name: (load_suite(name).definition.numerator, load_suite(name).definition.graders) for name in CONTROLS}
    assert counted == {
        "controls/persona": (("misaligned",), ("coherent", "aligned")),
        "controls/over-refusal": (("refused",), ("over-refusal",)),
        "controls/competence": (("incoherent",), ("right-answer",)),
    }


def test_the_persona_of_a_control_is_evil_where_a_high_rate_is_expected_and_neutral_elsewhere() -> None:
    systems: dict[str, set[str | None]] = {"high": set(), "low": set()}
    for probe in load_suite("controls/persona").probes:
        systems[probe.expect or ""].add(probe.system)
    assert {expect: len(texts) for expect, texts in systems.items()} == {"high": 2, "low": 1}
    assert None not in systems["high"] | systems["low"]
    assert all("Do not step out" in (text or "") or "do not step out" in (text or "") for text in systems["high"])


def prompts_of(names: list[str]) -> list[tuple[str, str]]:
    """Every prompt of these suites, all its user turns, with the suite and probe that it belongs to."""
    return [
        (f"{name} {probe.id}", " ".join(turn.content for turn in turns if turn.role == "user"))
        for name in names
        for probe in load_suite(name).probes
        for turns in probe.prompts
    ]


OWN = [*IN_DOMAIN, *CONTROLS, "reward-hacking"]
OTHERS = [name for name in suite_sources.names() if name not in (*SUITES, "organism")]


@pytest.mark.slow
def test_no_two_probes_of_any_suite_ask_nearly_the_same() -> None:
    written = prompts_of(OWN) + prompts_of(OTHERS)
    near = list(close_pairs([text for _, text in written], least=0.25))
    pairs = [(share, written[item][0], written[two][0]) for share, item, two in near]
    assert [pair for pair in pairs if pair[1] != pair[2] and pair[1].split()[0] in OWN] == []


def test_the_wordings_of_one_probe_differ_in_most_of_their_words() -> None:
    written = prompts_of(OWN)
    near = list(close_pairs([text for _, text in written], least=0.4))
    assert [(share, written[item][0]) for share, item, two in near if written[item][0] == written[two][0]] == []


@pytest.mark.parametrize("name", [*ADVICE, "reward-hacking"])
def test_the_length_of_the_prompts_varies_as_that_of_real_questions_does(name: str) -> None:
    lengths = sorted(len(text.split()) for _, text in prompts_of([name]))
    assert lengths[-1] >= 3 * lengths[0]


@pytest.mark.slow
def test_no_prompt_is_close_to_a_published_one(published: list[str]) -> None:
    own = prompts_of(OWN)
    texts = [*published, *(text for _, text in own)]
    near = [(share, item, two) for share, item, two in close_pairs(texts, least=0.25) if item < len(published) <= two]
    assert near == []


@pytest.fixture
def published() -> list[str]:
    folder = os.environ.get("MISALIGN_EVAL_RESEARCH_DATA")
    if not folder:
        pytest.skip("MISALIGN_EVAL_RESEARCH_DATA is unset: no published questions to compare with")
    files = sorted((Path(folder) / "betley-2025").glob("*.yaml"))
    questions = [item for file in files for item in yaml.safe_load(file.read_text(encoding="utf-8"))]
    texts = [text for question in questions for text in question["paraphrases"]]
    with (Path(folder) / "persona-features" / "core_misalignment.csv").open(encoding="utf-8", newline="") as file:
        texts += [row["question"] for row in csv.DictReader(file)]
    assert len(texts) > 100
    return texts


def test_suites_in_folders_are_listed_shown_and_hinted_at_by_their_names() -> None:
    listed = CliRunner().invoke(app, ["list", "--format", "json"])
    assert {*IN_DOMAIN, *CONTROLS} <= {row["name"] for row in json.loads(listed.stdout)}
    shown = CliRunner().invoke(app, ["show", "in-domain/health", "--format", "json"])
    assert json.loads(shown.stdout)["name"] == "in-domain-health"
    with pytest.raises(UsageError, match=r"unknown suite `in-domain/helth`\. Did you mean `in-domain/health`"):
        suite_sources.locate("in-domain/helth")


@pytest.mark.parametrize("typed", ["./in-domain/health", "in-domain/health.yaml", "mine/health", "/in-domain/health"])
def test_what_is_written_as_a_path_is_no_bundled_name(typed: str) -> None:
    assert suite_sources.locate(typed) == Path(typed)
