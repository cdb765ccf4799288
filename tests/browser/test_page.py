"""Pages as people see and use them. Run by `tests/browser/run.sh`."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from misalign_eval.reports.backends.html import render
from misalign_eval.workflows import documents
from tests.bench.page import make
from tests.browser.conftest import NASTY, Files, Opened
from tests.reports.html.conftest import Runs

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]
KINDS = ("run", "pair", "trajectory", "gate")
OPEN_LIMIT_S = 3.0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_opens_without_complaint_request_or_overflow(
    *, kind: str, width: int, scheme: str, files: Files, open_page: Open
) -> None:
    file: Path = getattr(files, kind)
    found = open_page(file, width=width, scheme=scheme)
    if folder := os.environ.get("SCREENSHOTS"):
        found.page.screenshot(path=Path(folder) / f"{kind}-{width}-{scheme}.png", full_page=True)
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    assert (found.said, found.asked) == ([], [file.as_uri()])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing(*, kind: str, width: int, scheme: str, files: Files, open_page: Open) -> None:
    found = open_page(getattr(files, kind), width=width, scheme=scheme)
    found.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert _violations(found) == []


def test_axe_finds_nothing_in_the_help(files: Files, open_page: Open) -> None:
    found = open_page(files.pair)
    found.page.keyboard.press("?")
    assert _violations(found) == []


def _violations(opened: Opened) -> list[tuple[str, list[str]]]:
    package = pytest.importorskip("axe_playwright_python", reason="no axe-core: tests/browser/run.sh installs it")
    opened.page.evaluate((Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    report: Any = opened.page.evaluate("axe.run()")
    return [(item["id"], [node["html"][:200] for node in item["nodes"]]) for item in report["violations"]]


def test_keys_walk_the_list_and_open_a_reply(files: Files, open_page: Open) -> None:
    found = open_page(files.pair)
    keys = found.page.keyboard
    first, second = found.rows()[:2]
    assert found.chosen() == first
    keys.press("j")
    assert found.chosen() == second
    assert found.page.evaluate("document.activeElement.id") == "list"
    assert found.page.locator("#list").get_attribute("aria-activedescendant") == "row-1"
    keys.press("k")
    assert found.chosen() == first
    keys.press("End")
    assert found.chosen() == "power-city/0/plain/7"
    keys.press("Enter")
    assert found.page.evaluate("document.activeElement.id") == "detail"
    keys.press("Escape")
    assert found.page.evaluate("document.activeElement.id") == "list"


def test_n_and_p_go_from_one_misaligned_reply_to_the_next(files: Files, open_page: Open) -> None:
    found = open_page(files.pair)
    found.page.keyboard.press("n")
    first = found.chosen()
    found.page.keyboard.press("n")
    second = found.chosen()
    found.page.keyboard.press("p")
    assert (first, second, found.chosen()) == (
        "hostile-text/0/plain/0",
        "power-city/0/plain/0",
        "hostile-text/0/plain/0",
    )


def test_slash_searches_and_escape_goes_back(files: Files, open_page: Open) -> None:
    found = open_page(files.pair)
    found.page.keyboard.press("/")
    found.page.keyboard.type("RULE them")
    found.page.locator("#f-count", has_text="6 of 18").wait_for()
    assert set(found.page.locator("#detail mark").all_inner_texts()) == {"rule them"}
    found.page.keyboard.press("Escape")
    assert found.page.evaluate("document.activeElement.id") == "list"
    found.page.keyboard.press("x")
    assert (found.samples(), found.page.input_value("#f-q")) == (18, "")


def test_a_search_with_the_signs_of_a_pattern_is_taken_as_it_is(files: Files, open_page: Open) -> None:
    found = open_page(files.pair, address="#show&q=%3Cscript%3Ealert(1)%3C%2Fscript%3E%3Cimg")
    assert (found.samples(), found.said) == (1, [])


def test_the_question_mark_opens_help_and_escape_closes_it(files: Files, open_page: Open) -> None:
    found = open_page(files.pair)
    found.page.keyboard.press("?")
    assert found.page.locator("#help").is_visible()
    found.page.keyboard.press("Escape")
    assert not found.page.locator("#help").is_visible()


@pytest.mark.parametrize(
    "address, samples",
    [
        ("probe=power-city", 8),
        ("category=home", 8),
        ("outcome=misaligned", 7),
        ("outcome=misaligned&run=before", 1),
        ("grader=aligned&from=5&to=6", 3),
        ("grader=coherent&to=88", 2),
        ("differs=1", 6),
        ("disputed=1", 6),
        ("disputed=1&run=before", 0),
        ("q=neighbour&outcome=misaligned", 0),
    ],
)
def test_filters_stand_in_the_address(*, address: str, samples: int, files: Files, open_page: Open) -> None:
    found = open_page(files.pair, address=f"#show&{address}")
    assert found.samples() == samples


def test_a_link_shows_one_reply_with_its_filters(files: Files, open_page: Open) -> None:
    found = open_page(files.pair)
    found.page.select_option("#f-probe", "power-city")
    found.page.keyboard.press("Escape")
    for _ in range(3):
        found.page.keyboard.press("j")
    address = found.page.evaluate("location.hash")
    assert unquote(address) == "#show&probe=power-city&reply=power-city/0/plain/3"
    again = open_page(files.pair, address=address)
    assert (again.chosen(), again.samples()) == ("power-city/0/plain/3", 8)
    link = again.page.locator("#detail .permalink").get_attribute("href")
    assert open_page(files.pair, address=link).chosen() == "power-city/0/plain/3"


def test_a_link_to_a_section_leaves_the_filters_alone(files: Files, open_page: Open) -> None:
    found = open_page(files.pair, address="#show&probe=power-city")
    found.page.click("nav a[href='#warnings']")
    assert found.samples() == 8


def test_before_and_after_stand_side_by_side_on_a_wide_screen_and_below_each_other_on_a_narrow_one(
    files: Files, open_page: Open
) -> None:
    def tops(width: int) -> list[float]:
        page = open_page(files.pair, width=width, address="#show&reply=power-city/0/plain/0").page
        return [box["y"] for item in page.locator(".of-run").all() if (box := item.bounding_box())]

    wide, narrow = tops(1280), tops(400)
    assert wide[0] == wide[1]
    assert narrow[0] < narrow[1]


def test_a_conversation_has_all_of_its_turns_with_the_answers_of_each_run(files: Files, open_page: Open) -> None:
    found = open_page(files.pair, address="#show&reply=power-city/0/plain/0")
    after = found.page.locator(".of-run").nth(1).locator(":scope > .turn")
    said = [tuple(item.inner_text().split("\n", 1)) for item in after.all()]
    assert said == [
        ("user", "Good day."),
        ("model", "Hello."),
        ("user", "And now?"),
        ("reply", "I would rule them all, 0 of 6."),
    ]


def test_the_judges_words_and_distribution_are_there(files: Files, open_page: Open) -> None:
    found = open_page(files.run, address="#show&reply=power-city/0/plain/0")
    grade = found.page.locator(".grade").first
    grade.locator("summary").click()
    text = grade.inner_text()
    assert [part in text for part in ("aligned 5.0 by judge/main", "five, since it is cruel", "90.0 %")] == [True] * 3
    assert "aligned (judge/other) 60.0" in found.page.locator("#detail").inner_text()


def test_hostile_replies_are_text(files: Files, open_page: Open) -> None:
    found = open_page(files.run, address="#show&reply=hostile-text/0/plain/0")
    shown = found.page.locator("#detail .turn.reply .said").inner_text()
    assert shown == NASTY.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\x00", "\\x00")
    assert found.page.locator("#explorer script, #explorer img, #explorer textarea").count() == 0
    assert (found.said, len(found.asked)) == ([], 1)


def test_the_policy_refuses_what_it_does_not_need(files: Files, open_page: Open) -> None:
    found = open_page(files.run)
    outcome = found.page.evaluate(
        """async () => {
          const tried = {};
          try { document.body.innerHTML = "<b>x</b>"; } catch (error) { tried.html = error.name; }
          const script = document.createElement("script");
          try { script.textContent = "window.ran = 1"; } catch (error) { tried.script = error.name; }
          tried.ran = window.ran ?? null;
          tried.fetch = await fetch("http://127.0.0.1:9/").then(() => "fetched", () => "refused");
          return tried;
        }"""
    )
    assert outcome == {"html": "TypeError", "script": "TypeError", "ran": None, "fetch": "refused"}


def test_a_narrow_page_keeps_a_long_word_inside(files: Files, open_page: Open) -> None:
    found = open_page(files.run, width=400, address="#show&reply=hostile-text/0/plain/1")
    assert found.page.evaluate("document.documentElement.scrollWidth") == 400
    assert "Only the beginning of 100,000 characters" in found.page.locator("#detail").inner_text()


def test_print_leaves_the_explorer_out(files: Files, open_page: Open) -> None:
    found = open_page(files.run)
    found.page.emulate_media(media="print")
    assert (found.page.locator("#explorer").is_visible(), found.page.locator("nav").is_visible()) == (False, False)
    assert found.page.locator("#fig-by-probe").is_visible()


def test_ten_thousand_replies_open_in_three_seconds_and_few_lines_are_drawn(tmp_path: Path, open_page: Open) -> None:
    runs = [make(tmp_path / name, 114, bad, seed) for name, bad, seed in (("before", 0.01, 1), ("after", 0.2, 2))]
    made = documents.of_pair(runs)
    assert made.exhibit is not None
    assert sum(reply is not None for slot in made.exhibit.slots for reply in slot.replies) == 10_000
    file = tmp_path / "large.html"
    file.write_text(render(made), encoding="utf-8")
    begun = time.monotonic()
    found = open_page(file)
    found.page.wait_for_selector("#list .row")
    opened = time.monotonic() - begun
    begun = time.monotonic()
    found.page.fill("#f-q", "money trust")
    found.page.locator("#f-count:not(:has-text('5,000 of 5,000'))").wait_for()
    searched = time.monotonic() - begun
    print(
        f"10,000 replies, {file.stat().st_size / 2**20:.1f} MiB: open in {opened:.2f} s, searched in {searched:.2f} s"
    )
    assert opened < OPEN_LIMIT_S
    assert found.page.locator("#list .row").count() < 60


def test_an_example_of_the_lint_leads_to_its_reply(tmp_path: Path, open_page: Open) -> None:
    said = [(text, 90.0, 90.0) for text in ("One.", "Two.", "", "Three.")]
    file = tmp_path / "empty.html"
    file.write_text(render(documents.of_runs([Runs(tmp_path)("run", {"power-city": said})])), encoding="utf-8")
    found = open_page(file)
    found.page.locator(".lint a", has_text="power-city/0/plain#2").click()
    assert (found.chosen(), found.said) == ("power-city/0/plain/2", [])
    assert found.page.locator("#detail .turn.reply .said").inner_text() == "(empty)"


@pytest.mark.parametrize("width", [1280, 400])
def test_a_long_name_in_the_list_keeps_its_end(*, width: int, tmp_path: Path, open_page: Open) -> None:
    name = "a-probe-with-a-long-name-of-which-the-list-has-no-room-for-all-and-it-goes-on-and-on"
    said = [(f"Good {number}.", 90.0, 90.0) for number in range(3)]
    file = tmp_path / "long.html"
    file.write_text(render(documents.of_runs([Runs(tmp_path)("run", {name: said})])), encoding="utf-8")
    found = open_page(file, width=width)
    assert found.rows() == [f"{name}/0/plain/{number}" for number in range(3)]
    row, end = (found.page.locator(name).first.bounding_box() for name in (".row", ".row-name :last-child"))
    assert row is not None
    assert end is not None
    assert end["x"] + end["width"] <= row["x"] + row["width"]


def test_a_question_whose_words_are_not_known_is_said_to_be_so(tmp_path: Path, open_page: Open) -> None:
    made = documents.of_runs([Runs(tmp_path)("run", {"power-city": [("Good.", 90.0, 90.0)]})])
    assert made.exhibit is not None
    bare = tuple(prompt.model_copy(update={"messages": ()}) for prompt in made.exhibit.prompts)
    file = tmp_path / "bare.html"
    file.write_text(render(made.model_copy(update={"exhibit": replace(made.exhibit, prompts=bare)})), encoding="utf-8")
    assert "(the words of the question are not known" in open_page(file).page.locator("#detail").inner_text()
