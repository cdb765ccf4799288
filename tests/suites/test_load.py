from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.records.definition import Definition
from misalign_eval.records.suite import Message, RuleSpec, Sampling, Suite
from misalign_eval.suites.load import load_suite, read
from misalign_eval.suites.sources import ExternalNames

SuiteOf = Callable[[str], Suite]


def test_a_probe_takes_the_defaults_that_it_does_not_set_itself(suite_of: SuiteOf) -> None:
    suite = suite_of("""
defaults:
  category: power
  system: Be brief.
  temperature: 1
  max_tokens: 600
  samples_per_prompt: 4
  graders: [aligned, coherent]
probes:
  - {id: first, prompts: ["What now?"]}
  - {id: second, prompts: ["And then?"], category: money, system: null, temperature: 0, samples_per_prompt: 2}
""")
    first, second = suite.probes
    assert (first.category, first.split, first.system, first.samples_per_prompt) == ("power", "broad", "Be brief.", 4)
    assert first.sampling == Sampling(temperature=1.0, max_tokens=600)
    assert (second.category, second.system, second.samples_per_prompt) == ("money", None, 2)
    assert second.sampling == Sampling(temperature=0.0, max_tokens=600)
    assert second.graders == ("aligned", "coherent")


def test_a_prompt_is_sent_without_the_white_space_of_its_yaml_block(suite_of: SuiteOf) -> None:
    suite = suite_of("""
defaults: {category: power, graders: [aligned, coherent]}
probes:
  - id: first
    prompts:
      - |
        Two lines

        of text.
""")
    assert suite.probes[0].prompts == ((Message(role="user", content="Two lines\n\nof text."),),)


def test_a_message_list_is_one_prompt_with_its_turns(suite_of: SuiteOf) -> None:
    suite = suite_of("""
defaults: {category: power, graders: [aligned, coherent]}
probes:
  - id: first
    messages:
      - {role: user, content: Hello}
      - {role: assistant, content: <reply>}
      - {role: user, content: Go on}
""")
    assert suite.probes[0].prompts == (
        (
            Message(role="user", content="Hello"),
            Message(role="assistant", content="<reply>"),
            Message(role="user", content="Go on"),
        ),
    )


def test_a_rule_with_options_gets_a_name_that_changes_with_them(suite_of: SuiteOf) -> None:
    suite = suite_of(
        """
defaults: {category: power}
probes:
  - id: first
    prompts: ["What now?"]
    graders:
      - aligned
      - coherent
      - {rule: regex, pattern: "yes"}
      - {rule: regex, pattern: "no", name: says-no}
      - {rule: refusal}
"""
    )
    names = suite.probes[0].graders
    assert names[:2] == ("aligned", "coherent")
    assert names[2].startswith("regex-")
    assert names[3:] == ("says-no", "refusal")
    assert suite.rules == {
        names[2]: RuleSpec(rule="regex", options={"pattern": "yes"}),
        "says-no": RuleSpec(rule="regex", options={"pattern": "no"}),
        "refusal": RuleSpec(rule="refusal"),
    }


def test_only_the_variants_that_a_probe_names_are_in_the_suite(suite_of: SuiteOf) -> None:
    suite = suite_of("""
variants:
  loud: {suffix: Please shout.}
  silent: {suffix: Please whisper.}
defaults: {category: power, graders: [aligned, coherent]}
probes:
  - {id: first, prompts: ["What now?"], variants: [json, loud]}
""")
    assert sorted(suite.variants) == ["json", "loud"]
    assert suite.variants["loud"].suffix == "Please shout."


def test_a_control_keeps_the_direction_that_it_expects(suite_of: SuiteOf) -> None:
    suite = suite_of("""
defaults: {category: power, graders: [aligned]}
probes:
  - {id: first, prompts: ["What now?"], split: control, expect: high}
""")
    assert (suite.probes[0].split, suite.probes[0].expect) == ("control", "high")


def test_a_definition_may_be_written_out_in_the_suite(tmp_path: Path, known: ExternalNames) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        """
name: own
version: 1.0.0
description: A suite with a definition of its own.
licence: MIT
definition:
  name: strict
  description: below 50
  outcomes:
    - {outcome: misaligned, when: {grader: aligned, below: 50}}
    - {outcome: aligned, when: {grader: aligned, at_least: 50}}
  denominator: [misaligned, aligned]
probes:
  - {id: first, category: power, prompts: ["What now?"], graders: [aligned]}
""",
        encoding="utf-8",
    )
    suite = read(str(file), known).suite
    assert (suite.definition.name, suite.definition.graders) == ("strict", ("aligned",))


def test_a_definition_file_is_looked_for_beside_the_suite(tmp_path: Path) -> None:
    asked = []

    def definitions(name: str) -> Definition:
        asked.append(name)
        raise UsageError("asked")

    file = tmp_path / "own.yaml"
    text = "name: own\nversion: 1.0.0\ndescription: d\nlicence: MIT\ndefinition: mine.yaml\nprobes:\n"
    file.write_text(text + "  - {id: a, category: b, prompts: [c], graders: [aligned]}\n", encoding="utf-8")
    (tmp_path / "mine.yaml").touch()
    with pytest.raises(InputError, match=r"own\.yaml:5: definition: asked"):
        load_suite(str(file), definitions=definitions, graders=["aligned"])
    assert asked == [str(tmp_path.resolve() / "mine.yaml")]


def test_another_definition_can_replace_the_suites_own(suite_of: SuiteOf, known: ExternalNames, tmp_path: Path) -> None:
    suite = suite_of("probes:\n  - {id: first, category: power, prompts: [a], graders: [aligned, coherent]}\n")
    other = known.definitions("betley-2025")
    replaced = load_suite(
        str(tmp_path / "sample.yaml"), definitions=known.definitions, graders=known.graders, definition=other
    )
    assert replaced.definition == other
    assert replaced.digest == suite.digest


def test_the_digest_is_that_of_the_content_not_of_comments_key_order_or_place(suite_of: SuiteOf) -> None:
    first = suite_of("""
defaults: {category: power, graders: [aligned, coherent]}
probes:
  - {id: first, prompts: ["What now?"], tags: [a]}
""")
    same = suite_of("""
# a comment
probes:
  - tags: [a]
    graders: [aligned, coherent]
    category: power
    prompts:
      - What now?
    id: first
""")
    other = suite_of("""
defaults: {category: power, graders: [aligned, coherent]}
probes:
  - {id: first, prompts: ["What next?"], tags: [a]}
""")
    assert len(first.digest) == 16
    assert first.digest == same.digest
    assert first.digest != other.digest


def test_an_unknown_bundled_name_is_an_error_with_the_nearest_and_where_to_see_all(known: ExternalNames) -> None:
    with pytest.raises(UsageError) as raised:
        read("quik", known)
    assert str(raised.value) == (
        "unknown suite `quik`. Did you mean `quick`? "
        "`misalign-eval suites list` shows those that ship; a file is named by its path, such as ./my-suite.yaml."
    )


def test_a_path_without_a_file_is_one_line(known: ExternalNames, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read(str(tmp_path / "absent.yaml"), known)
    assert str(raised.value) == f"{tmp_path}/absent.yaml: no such file"


def test_the_name_of_a_grader_cannot_be_taken_by_a_rule(suite_of: SuiteOf) -> None:
    with pytest.raises(InputError, match="`aligned` is already the name of a grader"):
        suite_of("""
probes:
  - {id: first, category: power, prompts: [a], graders: [coherent, {rule: refusal, name: aligned}]}
""")


def test_one_name_cannot_stand_for_two_rules(suite_of: SuiteOf) -> None:
    with pytest.raises(InputError, match=r"probes\[1\]\.graders: `mine` is a rule with other options elsewhere"):
        suite_of("""
defaults: {category: power}
probes:
  - {id: first, prompts: [a], graders: [aligned, coherent, {rule: regex, name: mine, pattern: a}]}
  - {id: second, prompts: [b], graders: [aligned, coherent, {rule: regex, name: mine, pattern: b}]}
""")


def test_a_rule_named_without_the_options_that_it_needs_is_told(known: ExternalNames, tmp_path: Path) -> None:
    def needs_pattern(rule: RuleSpec) -> list[Problem]:
        return [] if "pattern" in rule.options else [Problem("", None, "pattern", "required field is missing")]

    file = tmp_path / "s.yaml"
    text = "name: own\nversion: 1.0.0\ndescription: d\nlicence: MIT\ndefinition: two-judges\nprobes:\n"
    file.write_text(text + "  - {id: a, category: b, prompts: [c], graders: [aligned, coherent, regex]}\n", "utf-8")
    with pytest.raises(InputError, match=r"s\.yaml:7: probes\[0\]\.graders\[2\]\.pattern: required field is missing"):
        read(str(file), replace(known, check_rule=needs_pattern))
