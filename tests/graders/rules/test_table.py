"""The table of rules: options are checked strictly and in words, and rules can be joined."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misalign_eval.graders.rules import table
from misalign_eval.records.grade import NoVerdict, Verdict

YES: dict[str, Any] = {"rule": "length", "with": {"at_least": 0}}
NO: dict[str, Any] = {"rule": "empty"}
OPEN: dict[str, Any] = {"rule": "exact"}  # nothing to compare with
NEEDED: dict[str, dict[str, Any]] = {
    "all": {"rules": [YES]},
    "any": {"rules": [YES]},
    "at-least": {"rules": [YES], "at_least": 1},
    "not": {"rule": "empty"},
    "language": {"language": "en"},
    "length": {"at_most": 10},
    "regex": {"pattern": "x"},
}


@pytest.mark.parametrize(
    "rule, parts, says",
    [
        ("all", [YES, YES], "yes"),
        ("all", [YES, NO], "no"),
        ("all", [NO, OPEN], "no"),
        ("all", [YES, OPEN], None),
        ("any", [NO, YES], "yes"),
        ("any", [OPEN, YES], "yes"),
        ("any", [NO, NO], "no"),
        ("any", [NO, OPEN], None),
    ],
)
def test_rules_are_joined_and_an_open_one_is_not_guessed(
    rule: str, parts: Any, says: str | None, make_subject: Any
) -> None:
    found = table.apply(rule, make_subject(), {"rules": parts})
    assert (found.label if isinstance(found, Verdict) else None) == says


@pytest.mark.parametrize("least, says", [(1, "yes"), (2, "yes"), (3, None), (4, "no")])
def test_k_of_n_counts_with_what_may_still_hold(least: int, says: str | None, make_subject: Any) -> None:
    options: Any = {"at_least": least, "rules": [YES, YES, OPEN, NO]}
    found = table.apply("at-least", make_subject(), options)
    assert (found.label if isinstance(found, Verdict) else None) == says


def test_not_turns_yes_and_no_round_and_leaves_open_open(make_subject: Any) -> None:
    assert [getattr(table.apply("not", make_subject(), part), "label", None) for part in (YES, NO, OPEN)] == [
        "no",
        "yes",
        None,
    ]


def test_rules_nest_and_say_why(make_subject: Any) -> None:
    nested: Any = {"rules": [{"rule": "not", "with": NO}, {"rule": "any", "with": {"rules": [NO, YES]}}]}
    found = table.apply("all", make_subject(), nested)
    assert isinstance(found, Verdict)
    assert found.label == "yes"
    assert str(found.why).startswith("2 of 2 hold; not: yes, not: 7 characters besides white space; any: yes")


def test_a_letter_is_neither_yes_nor_no_to_a_rule_over_rules(make_subject: Any) -> None:
    found = table.apply("not", make_subject("B"), {"rule": "choice"})
    assert isinstance(found, NoVerdict)
    assert found.message == "choice: says `B`, neither yes nor no"


@pytest.mark.parametrize(
    "rule, options, said",
    [
        ("contain", {}, "w: unknown rule `contain`. Did you mean `contains`?"),
        ("contains", {"anny": ["x"]}, "w.anny: unknown field. Did you mean `any`?"),
        ("contains", {"any": "x"}, "w.any: should be a list, not `x`"),
        ("contains", {"any": []}, "w.any: is empty"),
        ("contains", {"any": ["x"], "all": ["y"]}, "w: set `any` or `all`, not both; the rule `all` joins two rules"),
        ("contains", {"any": ["x"], "ignore_case": "yes"}, "w.ignore_case: should be true or false, not `yes`"),
        ("length", {}, "w: set `at_least`, `at_most` or both"),
        ("length", {"at_least": 3, "at_most": 2}, "w: `at_least` is greater than `at_most`"),
        (
            "length",
            {"at_most": 2, "unit": "word"},
            "w.unit: `word` is not one of characters, words. Did you mean `words`?",
        ),
        ("regex", {}, "w.pattern: required field is missing"),
        (
            "regex",
            {"pattern": "("},
            "w.pattern: not a regular expression: ",
        ),
        ("regex", {"pattern": "[[a]"}, "w.pattern: not a clear regular expression: Possible nested set"),
        ("language", {"language": "english"}, "w.language: `english` is not one of ar, de, el, en"),
        ("all", {"rules": []}, "w.rules: is empty"),
        ("all", {"rules": [{"rule": "regexx"}]}, "w.rules[0].rule: unknown rule `regexx`. Did you mean `regex`?"),
        ("all", {"rules": [{"rule": "empty", "wth": {}}]}, "w.rules[0].wth: unknown field. Did you mean `with`?"),
        (
            "all",
            {"rules": [{"rule": "regex", "with": {"patern": "x"}}]},
            "w.rules[0].with.patern: unknown field. Did you",
        ),
        (
            "not",
            {"rule": "exact", "with": {"expeced": ["x"]}},
            "w.with.expeced: unknown field. Did you mean `expected`?",
        ),
        ("at-least", {"at_least": 2, "rules": [YES]}, "w: `at_least` is 2, but there are 1 rules"),
        ("empty", {"x": 1}, "w.x: unknown field"),
    ],
)
def test_a_wrong_option_is_named_with_its_place_and_the_fix(rule: str, options: Any, said: str) -> None:
    problems = table.check_options(rule, options, file="s.yaml", line=3, where="w")
    assert [str(problem) for problem in problems if str(problem).startswith(f"s.yaml:3: {said}")] != [], problems


def test_every_rule_has_a_version_a_description_and_a_schema_of_its_options() -> None:
    for name, info in table.RULES.items():
        assert info.version >= 1, name
        assert info.description, name
        assert info.schema["additionalProperties"] is False, name


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(reply=st.text())
def test_no_reply_makes_a_rule_raise_or_say_anything_but_a_label_or_a_reason(make_subject: Any, reply: str) -> None:
    for name in set(table.names()) - {"regex", "insecure-code"}:
        found = table.apply(name, make_subject(reply, reference="x"), NEEDED.get(name, {}))
        if isinstance(found, Verdict):
            assert found.score is None
            assert found.label in (("A", "B", "C", "D") if name == "choice" else ()) + ("yes", "no")
        else:
            assert found.reason == "rule_error"
