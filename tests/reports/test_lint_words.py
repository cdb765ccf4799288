"""What counting and looking find alike is told once."""

from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.records.findings import Finding, Level, Warned
from misalign_eval.records.findings import finding as findings_finding
from misalign_eval.reports import sentences
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends import terminal as terminal_backend
from misalign_eval.reports.run import run_document

Make = Callable[..., Any]


def finding(identity: str, text: str = "some replies are odd", level: Level = "warning") -> Finding:
    return findings_finding(identity, level, text, "Look.", count=1, of=4, example="p/0/plain#1")


@pytest.mark.parametrize(
    "looked, counted",
    [("truncated-replies", "truncated"), ("identical-replies", "W6"), ("form-not-obeyed", "form-not-obeyed")],
)
def test_the_warning_speaks_where_both_saw_the_same_replies(looked: str, counted: str) -> None:
    said = [Warned(id=counted, text="x")]
    assert sentences.unsaid([finding(looked), finding("stock-reply")], said) == (finding("stock-reply"),)
    assert sentences.unsaid([finding(looked)], []) == (finding(looked),)
    assert [line.text for line in sentences.section([finding(looked)], said)] == ["nothing more found"]


def test_the_finding_speaks_where_it_is_graver_and_only_of_its_variant() -> None:
    text = "variant json asked for json: none of 10 replies is json: its system prompt may never have left"
    graver = finding("system-not-obeyed", text, "error")
    same = Warned(id="form-not-obeyed", text="variant json asked for json, and none of 10 replies is json: did it?")
    other = Warned(id="form-not-obeyed", text="variant json-2 asked for json, and none of 10 replies is json: did it?")
    assert sentences.warned([same, other], [graver]) == (other,)
    assert sentences.warned([same, other], None) == (same, other)
    assert sentences.unsaid([graver], [same]) == (graver,)


def test_a_report_tells_each_fact_once(report: Make) -> None:
    said = (Warned(id="W6", text="half of the replies are the same"),)
    lint = (finding("identical-replies", "9 of 10 replies repeat another"), finding("stock-reply", "one text to all"))
    made = report(warnings=said, lint=lint)
    for page in (terminal_backend.render(run_document(made)), markdown_backend.render(run_document(made))):
        assert "half of the replies are the same" in page
        assert "one text to all" in page
        assert "repeat another" not in page
