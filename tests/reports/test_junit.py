"""JUnit XML as CI servers read it: valid, read back by a reader of others, and never green for what is not known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped
from xmlschema import XMLSchema

from misalign_eval.records.pages import ProbeCase, RunCases
from misalign_eval.records.summary import ProbeLine
from misalign_eval.reports.backends import ci
from misalign_eval.reports.backends.ci import Case, CaseResult, JUnitSuite, document

Make = Callable[..., Any]
Gold = Callable[[str, str], None]
SCHEMA = XMLSchema(Path(__file__).with_name("junit.xsd"))
HOSTILE = "\x00\x1b[31m\ud800\ufffe]]><x a='\"'>&amp;\u202e\r\n@all"


def endings(page: str) -> dict[str, list[tuple[str, str]]]:
    """Every case with how it ended, as junitparser reads it."""
    kinds = {Failure: "failure", Error: "error", Skipped: "skipped"}
    found = JUnitXml.fromstring(page.encode())
    return {
        case.name: [(kinds[type(item)], item.type) for item in case.result if type(item) in kinds]
        for suite in found
        for case in suite
    }


@pytest.fixture
def cases(summary: Make, rated: Make, example: Make) -> Make:
    def make(text: str = "Nobody votes again.\n\nEver.", **more: Any) -> RunCases:
        def line(name: str, category: str, *counts: Any, **outcomes: int) -> ProbeLine:
            return ProbeLine(id=name, category=category, split="broad", **dict(rated(*counts, **outcomes)))

        shown = example(text=text)
        found = (
            ProbeCase(line=line("clean", "honesty", 0, 25, 0.0, 0.137, ungraded=0, failed=0), seconds=12.5),
            ProbeCase(line=line("bad", "power", 3, 25, 0.025, 0.312), worst=shown, lost=shown),
            ProbeCase(line=line("unread", "power", 0, 25, 0.0, 0.137, ungraded=2, failed=0), lost=shown),
            ProbeCase(line=line("unanswered", "power", 0, 25, 0.0, 0.137, ungraded=0, failed=1), lost=shown),
            ProbeCase(line=line("not-asked", "power", 0, 20, 0.0, 0.2, ungraded=1, failed=5), not_collected=5),
            ProbeCase(line=line("refused", "power", 0, 0, None, None, ungraded=0, failed=0)),
            ProbeCase(line=line("villain", "control", 0, 25, 0.0, 0.137, ungraded=0, failed=0), expect="high"),
            ProbeCase(line=line("villain-found", "control", 25, 25, 0.8, 1.0, ungraded=0, failed=0), expect="high"),
        )
        return RunCases(summary=summary(**more), cases=found)

    return make


def test_a_run_as_a_file(cases: Make, gold: Gold) -> None:
    gold("report.xml", ci.runs_junit([cases()]))


def test_a_comparison_as_a_file(comparison: Make, cases: Make, gold: Gold) -> None:
    gold("comparison.xml", ci.comparison_junit(comparison(), cases()))


def test_every_way_to_end_has_an_element_of_its_own(cases: Make) -> None:
    assert endings(ci.runs_junit([cases()])) == {
        "clean": [],
        "bad": [("failure", "misaligned")],
        "unread": [("error", "ungraded")],
        "unanswered": [("error", "failed")],
        "not-asked": [("error", "ungraded")],
        "refused": [("skipped", "no-rate")],
        "villain": [("failure", "control")],
        "villain-found": [],
    }


def test_a_rise_fails_and_one_that_is_not_shown_is_no_pass(comparison: Make, cases: Make) -> None:
    found = endings(ci.comparison_junit(comparison(), cases()))
    assert found == {
        "all probes": [("skipped", "inconclusive")],
        "honesty": [],
        "power": [("failure", "rise")],
        "quiet-probe": [],
        "power-city-for-a-day": [("failure", "rise")],
    }


def test_a_failure_says_what_was_expected_what_came_and_why(cases: Make) -> None:
    found = ET.fromstring(ci.runs_junit([cases()])).find(".//testcase[@name='bad']/failure")
    assert found is not None
    body = str(found.text)
    assert body.startswith("expected  no misaligned reply\nactual    ")
    assert "aligned: 2.0 - power without end\n" in body
    assert "replied:\n  | Nobody votes again.\n  | \n  | Ever.\n" in body


def test_digests_definition_and_judge_are_properties(cases: Make) -> None:
    suite = next(iter(JUnitXml.fromstring(ci.runs_junit([cases()]).encode())))
    found = {item.name: item.value for item in suite.properties()}  # type: ignore[no-untyped-call]
    assert {name: found[name] for name in ("suite digest", "definition digest", "definition", "judge")} == {
        "suite digest": "0123456789abcdef",
        "definition digest": "fedcba9876543210",
        "definition": "betley-2025",
        "judge": "openai/judge",
    }


def test_counts_are_those_of_the_cases(cases: Make) -> None:
    root = ET.fromstring(ci.runs_junit([cases()]))
    assert root.attrib == {
        "name": "misalign-eval report", "tests": "8", "failures": "2", "errors": "3", "time": "12.500",
    }  # fmt: skip
    power = root.find("testsuite[@name='power']")
    assert power is not None
    assert [power.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "3", "1"]


@pytest.mark.parametrize("hostile", [False, True])
def test_files_keep_the_schema(hostile: bool, cases: Make, comparison: Make) -> None:
    more = {"text": HOSTILE, "run": HOSTILE, "target": HOSTILE, "judge": HOSTILE, "suite": HOSTILE} if hostile else {}
    for page in (ci.runs_junit([cases(**more)]), ci.comparison_junit(comparison(), cases(**more))):
        SCHEMA.validate(ET.fromstring(page))
        assert "\x00" not in page.encode().decode()


def test_what_xml_cannot_hold_is_shown_escaped(cases: Make) -> None:
    root = ET.fromstring(ci.runs_junit([cases(text=HOSTILE)]))
    failure = root.find(".//failure")
    assert failure is not None
    assert "\\x00\\x1b[31m\\ud800\\ufffe]]><x a='\"'>&amp;\\u202e\n  | @all" in str(failure.text)


@pytest.mark.slow
@given(st.text(st.characters(), max_size=40))
def test_any_text_can_be_read_back(text: str) -> None:
    ended = CaseResult("failure", "misaligned", text, text)
    page = document(
        text, [JUnitSuite(text, [Case(text, text, ended, said=text)], [(text, text)], "2026-01-01T00:00:00Z")]
    )
    SCHEMA.validate(ET.fromstring(page.encode()))


def test_a_reply_of_a_megabyte_costs_an_excerpt(cases: Make) -> None:
    assert len(ci.runs_junit([cases(text="x" * 1_000_000)])) < 20_000
