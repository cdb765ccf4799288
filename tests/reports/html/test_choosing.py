"""Which replies a page holds when it cannot hold all, and the command line that writes it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.reports.backends.html import render
from misalign_eval.workflows import documents
from misalign_eval.workflows.documents import PageLimits

KIND, CRUEL = ("I help.", 90.0, 95.0), ("I rule.", 5.0, 95.0)


def _shown(path: Path, limits: PageLimits) -> list[tuple[str, int]]:
    exhibit = documents.of_runs([path], limits=limits).exhibit
    assert exhibit is not None
    return [(exhibit.prompts[slot.prompt].probe, slot.sample) for slot in exhibit.slots]


def test_with_room_every_reply_is_shown(runs: Any) -> None:
    path = runs("a", {"p-x": [KIND] * 3, "q-x": [CRUEL] * 2})
    assert _shown(path, PageLimits(replies=5)) == [("p-x", 0), ("p-x", 1), ("p-x", 2), ("q-x", 0), ("q-x", 1)]


def test_without_room_half_is_for_misaligned_replies_and_no_probe_is_left_out(runs: Any) -> None:
    path = runs("a", {"p-x": [KIND] * 10, "q-x": [*[KIND] * 7, CRUEL, CRUEL, CRUEL]})
    assert _shown(path, PageLimits(replies=4)) == [("p-x", 0), ("q-x", 0), ("q-x", 7), ("q-x", 8)]


def test_before_and_after_of_a_sample_stay_together(runs: Any) -> None:
    before = runs("a", {"p-x": [KIND] * 10})
    after = runs("b", {"p-x": [*[KIND] * 9, CRUEL]})
    exhibit = documents.of_pair([before, after], limits=PageLimits(replies=4)).exhibit
    assert exhibit is not None
    assert [(slot.sample, [reply is not None for reply in slot.replies]) for slot in exhibit.slots] == [
        (0, [True, True]),
        (9, [True, True]),
    ]
    assert exhibit.replies == 20


def test_texts_past_the_room_for_characters_are_left_out_last_rank_first(runs: Any) -> None:
    path = runs("a", {"p-x": [("y" * 1000, 90.0, 95.0)] * 5})
    assert _shown(path, PageLimits(characters=3500)) == [("p-x", 0), ("p-x", 1), ("p-x", 2)]


def test_what_is_left_out_is_said_on_the_page(runs: Any) -> None:
    path = runs("a", {"p-x": [KIND] * 10})
    page = render(documents.of_runs([path], limits=PageLimits(replies=4)))
    assert "4 of 10 replies are here" in page
    assert "do not read shares off this list: every number above counts all replies" in page


def test_numbers_count_all_replies_whatever_is_shown(runs: Any) -> None:
    path = runs("a", {"p-x": [*[KIND] * 6, *[CRUEL] * 4]})
    few, every = (documents.of_runs([path], limits=PageLimits(replies=most)) for most in (2, 1000))
    assert few.distributions == every.distributions
    assert few.reports == every.reports


def _tool(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "misalign_eval", *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "tuned"],
        ["compare", "base", "tuned"],
        ["compare", "base", "tuned", "third", "--x", "0,1,2"],
        ["compare", "--group", "before=base", "--group", "after=tuned,third"],
        ["gate", "tuned", "--baseline", "base", "--max-rate", "50%"],
    ],
    ids=" ".join,
)
def test_a_file_named_html_is_a_page_and_the_terminal_keeps_its_text(
    *, arguments: list[str], pair: Any, runs: Any, taken: Any
) -> None:
    runs("third", {"power-city": [CRUEL] * 4, "home-rent": [CRUEL] * 4})
    place = pair.before.parent
    done = _tool(place, *arguments, "-o", "page.html")
    assert (done.returncode in {0, 1, 3}, done.stderr) == (True, "")
    parsed = taken((place / "page.html").read_text(encoding="utf-8"))
    assert {"replies", "origin"} <= set(parsed.attributes("id"))
    assert "<" not in done.stdout.replace("p <", "")


@pytest.mark.slow
def test_a_page_on_standard_output_is_the_page_in_the_file(pair: Any) -> None:
    done = _tool(pair.before.parent, "report", "tuned", "--format", "html", "-o", "page.html")
    assert done.stdout == (pair.before.parent / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_report_html_in_the_folder_is_rebuilt_byte_for_byte_and_not_made_unasked(pair: Any) -> None:
    place, page = pair.before.parent, pair.after / "report.html"
    _tool(place, "report", "tuned")
    assert not page.exists()
    _tool(place, "report", "tuned", "-o", "tuned/report.html")
    first = page.read_bytes()
    page.write_text("stale")
    _tool(place, "report", "tuned", "--format", "json")
    assert page.read_bytes() == first


@pytest.mark.slow
def test_another_way_of_counting_leaves_the_folders_page_as_it_is(pair: Any) -> None:
    place, page = pair.before.parent, pair.after / "report.html"
    page.write_text("kept")
    _tool(place, "report", "tuned", "--definition", "model-organisms")
    assert page.read_text() == "kept"


def test_the_page_says_how_to_do_it_again(pair: Any) -> None:
    (origin,) = documents.of_runs([pair.after]).origins
    assert origin.command == "misalign-eval run told.yaml --target told/tuned --judge judge/main --seed 7"
    assert ("planned", "8 replies to 2 prompts") in origin.facts


def test_a_command_without_pages_says_what_it_can_write(pair: Any) -> None:
    done = _tool(pair.before.parent, "show", "tuned", "-o", "page.html")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the extension must name the format" in done.stderr


def test_data_of_the_page_is_one_json_document(pair: Any, taken: Any) -> None:
    parsed = taken(render(documents.of_runs([pair.after])))
    texts = [text for attributes, text in parsed.scripts if attributes.get("id") == "replies-data"]
    assert [json.loads(text)["format"] for text in texts] == [1]
