"""A verdict as a CI server shows it: JUnit XML, a short comment, annotations; never green by accident."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from xmlschema import XMLSchema

from misalign_eval.analysis.counts import headline
from misalign_eval.analysis.gate.gate import GateQuestion, gate
from misalign_eval.analysis.summary import summarise_cells
from misalign_eval.records.gate import Gate
from misalign_eval.records.summary import RunSummary
from misalign_eval.reports.backends import ci
from misalign_eval.reports.backends import markdown as markdown_backend

Make = Callable[..., Any]
Gold = Callable[[str, str], None]
SCHEMA = XMLSchema(Path(__file__).parents[1] / "reports" / "junit.xsd")


@pytest.fixture
def run(side: Make) -> RunSummary:
    made = side({"p": "a" * 20, "hot": "m" * 17 + "aiu"})
    return summarise_cells(made.cells, headline(made.cells), made.definition, made.provenance)


def endings(page: str) -> list[tuple[str, str]]:
    """How each case ended that has not passed: its element and type."""
    root = ET.fromstring(page)
    SCHEMA.validate(root)
    return [
        (item.tag, item.attrib["type"]) for case in root.iter("testcase") for item in case if item.tag != "system-out"
    ]


def test_a_failed_gate_as_a_file(failed: Gate, gold: Gold) -> None:
    page = ci.gate_junit(failed)
    gold("failed.xml", page)
    assert endings(page) == [("failure", "fail")] * 2 + [("error", "inconclusive"), ("failure", "fail")]


def test_a_failed_gate_in_short(failed: Gate, run: RunSummary, gold: Gold) -> None:
    page = markdown_backend.gate(failed, run)
    gold("failed.comment.md", page)
    assert len(page.splitlines()) <= 60


def test_a_failed_gate_as_annotations(failed: Gate, gold: Gold) -> None:
    gold("failed.github.txt", ci.gate_annotations(failed))


@pytest.mark.parametrize(
    "given,elements,level",
    [
        (3, ("error", "inconclusive"), "warning"),
        ("fail", ("failure", "inconclusive"), "error"),
        ("pass", ("skipped", "inconclusive"), "warning"),
    ],
)
def test_inconclusive_is_never_a_passed_case(
    given: Any, elements: tuple[str, str], level: str, side: Make, policy: Make
) -> None:
    lines = {f"p{number}": "a" * 39 + "m" for number in range(10)}
    found = gate(GateQuestion(policy({"kind": "rate", "limit": 0.02}, on_inconclusive=given), side(lines)))
    assert endings(ci.gate_junit(found)) == [elements] * 2
    assert ci.gate_annotations(found).startswith(f"::{level} title=gate rate%3A inconclusive::")


def test_a_share_that_is_too_large_keeps_the_file_from_being_green(side: Make, policy: Make) -> None:
    found = gate(
        GateQuestion(policy({"kind": "rate", "limit": 0.02}), side({f"p{n}": "a" * 40 + "i" * 9 for n in range(10)}))
    )
    assert [check.verdict for check in found.checks] == ["pass"]
    assert endings(ci.gate_junit(found)) == [("error", "inconclusive")] * 2
    root = ET.fromstring(ci.gate_junit(found))
    assert {item.attrib["name"] for item in root.iter("testcase") if item.find("error") is not None} == {
        "verdict", "replies incoherent",
    }  # fmt: skip


def test_a_passed_gate_is_green(side: Make, policy: Make) -> None:
    found = gate(
        GateQuestion(policy({"kind": "rate", "limit": 0.02}), side({f"p{number}": "a" * 40 for number in range(10)}))
    )
    assert endings(ci.gate_junit(found)) == []
    assert [line.split(" ")[0] for line in ci.gate_annotations(found).splitlines()] == ["::notice"] * (
        1 + len(found.warnings)
    )


def test_names_cannot_act(failed: Gate, run: RunSummary) -> None:
    evil = "@all #1 <img src=x> | [x](http://evil)\n\x1b[1m"
    checks = tuple(check.model_copy(update={"name": evil, "why": evil}) for check in failed.checks)
    source = failed.provenance.model_copy(update={"target": evil, "suite": evil, "judge": evil, "run": evil})
    made = failed.model_copy(update={"checks": checks * 9, "provenance": source, "runs": (evil,) * 50})
    page = markdown_backend.gate(made, run.model_copy(update={"averaged": evil}))
    html = MarkdownIt("gfm-like").render(page)
    assert [tag for tag in ("<img", "<a ", "\x1b") if tag in html] == []
    assert len(page.splitlines()) <= 60
    assert "19 more checks are in the full report." in page
    assert "\x1b" not in ci.gate_annotations(made) + ci.gate_junit(made)
    SCHEMA.validate(ET.fromstring(ci.gate_junit(made)))
