import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from misalign_eval.reports import transcript
from misalign_eval.reports.backends import json_out
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends import terminal as terminal_backend
from misalign_eval.reports.comparison import comparison_documents
from misalign_eval.reports.run import run_document

Make = Callable[..., Any]
Gold = Callable[[str, str], None]


def test_a_report_on_a_terminal_of_80_columns(report: Make, gold: Gold) -> None:
    page = terminal_backend.render(run_document(report()))
    gold("report.txt", page)
    assert max(map(len, page.splitlines())) <= 80
    assert "\x1b" not in page


def test_a_report_in_markdown(report: Make, gold: Gold) -> None:
    gold("report.md", markdown_backend.render(run_document(report())))


def test_a_report_in_json(report: Make, gold: Gold) -> None:
    gold("report.json", json_out.document(report().summary))


def test_a_comparison_on_a_terminal_of_80_columns(comparison: Make, gold: Gold) -> None:
    page = terminal_backend.render(*comparison_documents([comparison()]))
    gold("comparison.txt", page)
    assert max(map(len, page.splitlines())) <= 80


def test_a_comparison_in_markdown(comparison: Make, gold: Gold) -> None:
    gold("comparison.md", markdown_backend.render(*comparison_documents([comparison()])))


def test_a_comparison_in_json(comparison: Make, gold: Gold) -> None:
    gold("comparison.json", json_out.document(comparison()))


def test_a_reply_with_all_that_belongs_to_it(example: Make, gold: Gold) -> None:
    gold("show.txt", transcript.transcript_text([example()], 12))


def test_three_runs_have_an_overview_first(comparison: Make) -> None:
    pages = (
        terminal_backend.render(*comparison_documents([comparison()] * 2)),
        markdown_backend.render(*comparison_documents([comparison()] * 2)),
    )
    assert [page.lstrip("# ").splitlines()[0] for page in pages] == ["Runs", "Runs"]


def test_json_has_the_keys_that_others_rely_on(report: Make, comparison: Make) -> None:
    document = json.loads(json_out.document(report().summary))
    promised = (
        "run target judge definition measure rate low high misaligned graded replies planned outcomes intervals "
        "probes categories splits variants warnings"
    )
    assert set(promised.split()) <= document.keys()
    assert {"id", "category", "split", "rate", "low", "high", "misaligned", "graded"} <= document["probes"][0].keys()
    none = {"low": None, "high": None}
    assert document["intervals"] == {"suite": {"low": 0.021, "high": 0.162}, "general": none, "clustered": None}
    changed = json.loads(json_out.document(comparison()))
    expected = "definition before after difference ratio generalises probes categories warnings"
    assert set(expected.split()) <= changed.keys()
    assert {"id", "category", "before", "after", "difference", "p_value", "p_adjusted"} <= changed["probes"][0].keys()
    assert changed["before"].keys() == document.keys()


def test_one_breakdown_can_be_asked_for_and_is_whole(report: Make, summary: Make) -> None:
    line = summary().probes[1]
    many = report(probes=tuple(line.model_copy(update={"id": f"p{number:03d}"}) for number in range(60)))
    assert "35 more with lower rates" in terminal_backend.render(run_document(many))
    whole = terminal_backend.render(run_document(many, ["probe"]))
    assert ("p059" in whole, "By category" in whole, "more with lower rates" in whole) == (True, False, False)


def test_a_mean_score_is_not_shown_in_percent(report: Make) -> None:
    page = terminal_backend.render(run_document(report(measure="mean", rate=41.3, low=30.0, high=52.0)))
    assert "Mean score: 41.3 [30.0, 52.0] (50 replies, 2 ungraded, 1 not collected)" in page
    assert "%" not in page.replace("95 %", "")


def test_colours_only_on_request(report: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in terminal_backend.render(run_document(report()))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[33m" not in terminal_backend.render(run_document(report()))


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_ascii() -> None:
    """A C locale must neither fail nor show code points for our own signs."""
    program = (
        "from misalign_eval.reports.backends.terminal import rendered; import sys;"
        "sys.stdout.write(rendered('0/50 (≤7.1 %) 2× █ → é'))"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert ran.stdout == b"0/50 (<=7.1 %) 2x # -> \\xe9\n"
