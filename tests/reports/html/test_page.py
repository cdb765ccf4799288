"""The page: what it says, that it is whole, and that nothing in it can start anything."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis.trajectory import Along
from misalign_eval.records.suite import Message
from misalign_eval.reports.backends.html import render
from misalign_eval.workflows import documents
from misalign_eval.workflows.baselines import Flags, from_flags
from misalign_eval.workflows.gate import GateOptions, gate
from misalign_eval.workflows.judging.label import LabelOptions, import_labels, open_session
from misalign_eval.workflows.load_run import Choices

OURS = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "footer", "div", "article"),
    *("h1", "h2", "h3", "p", "a", "b", "span", "ul", "li", "dl", "dt", "dd", "code", "pre", "kbd", "noscript"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary", "dialog"),
    *("label", "input", "select", "option", "button", "script", "br"),
    *("svg", "desc", "g", "line", "circle", "rect", "path", "polygon", "polyline", "text"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "href", "id", "class", "for", "type", "value", "hidden"),
    *("scope", "colspan", "role", "tabindex", "autocomplete", "spellcheck", "step", "width", "height", "viewbox"),
    *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "points", "transform"),
}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea></script><svg onload=alert(1)>",
    "<!--<script>-->]]>",
    "javascript:alert(1)",
    "[/bold][link=http://evil]x[/link]",
    "\x1b[2J\x1b]8;;http://evil\x07click",
    "left \u202eright\u2066 lines\u2028and\u2029 nul\x00",
    "=cmd|' /C calc'!A0",
    "&lt;b&gt; &amp; ${x} `y` \\u003c",
)
Taken = Callable[[str], Any]


def _policy(taken: Any) -> str:
    found = [
        attributes["content"] for name, attributes in taken.elements if name == "meta" and "http-equiv" in attributes
    ]
    assert len(found) == 1
    return str(found[0])


def _data(taken: Any) -> Any:
    (found,) = [text for attributes, text in taken.scripts if attributes.get("type") == "application/json"]
    return json.loads(found)


def test_a_comparison_leads_with_what_a_manager_needs(pair: Any, taken: Taken) -> None:
    page = render(documents.of_pair([pair.before, pair.after]))
    text = " ".join(taken(page).text)
    assert "Misalignment rose from 0 % (≤41.6 %) to 54.2 % of replies." in text
    assert text.index("Misalignment rose") < text.index("What was measured")


def test_a_comparison_has_every_part_in_order(pair: Any, taken: Taken) -> None:
    parsed = taken(render(documents.of_pair([pair.before, pair.after])))
    sections = [attributes["id"] for name, attributes in parsed.elements if name == "section"]
    assert sections == ["measured", "outcomes", "changes", "scores", "sensitivity", "warnings", "replies", "origin"]


def test_every_link_leads_to_a_part_of_the_page_and_every_id_is_there_once(pair: Any, taken: Taken) -> None:
    parsed = taken(render(documents.of_pair([pair.before, pair.after])))
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids))
    assert [link for link in parsed.attributes("href") if link.removeprefix("#") not in ids] == []


def test_the_policy_forbids_all_but_the_one_script_and_the_one_style_sheet(pair: Any, taken: Taken) -> None:
    page = render(documents.of_pair([pair.before, pair.after]))
    parsed = taken(page)
    (script,) = [text for attributes, text in parsed.scripts if "type" not in attributes]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert _policy(parsed) == (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )


def test_the_scripts_put_in_text_as_text_alone() -> None:
    folder = Path(documents.__file__).parents[1] / "reports" / "backends" / "assets"
    scripts = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.js")}
    assert len(scripts) == 5
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|fetch\(|import\(")
    assert {name: ways.findall(text) for name, text in scripts.items() if ways.search(text)} == {}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_no_element_attribute_or_script(*, hostile: str, runs: Any, taken: Taken) -> None:
    said = (hostile, 5.0, 90.0)
    probe = "power-x"
    turns = [Message(role="user", content=hostile), Message(role="assistant", content="<reply>")]
    turns.append(Message(role="user", content=hostile))
    extra = {"earlier": (hostile,), "reasoning": hostile, "refusal": hostile}
    paths = [
        runs(name, {probe: [said, said]}, other={probe: [5.0, 80.0]}, raw=hostile, turns=turns, extra=extra,
             labels={"note": hostile})
        for name in ("a", "b")
    ]  # fmt: skip
    page = render(documents.of_pair(paths))
    parsed = taken(page)
    assert parsed.names - OURS == set()
    names = {key for _, attributes in parsed.elements for key in attributes}
    assert {name for name in names - ATTRIBUTES if not name.startswith("aria-")} == set()
    assert len(parsed.scripts) == 2
    assert [link for link in parsed.attributes("href") if not link.startswith("#")] == []
    assert (parsed.open, parsed.unclosed) == ([], [])
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", page) == []


def test_hostile_text_becomes_exactly_these_bytes(runs: Any) -> None:
    text = "<script>\u2028\u202e&\x00</script>'\"\x1b[/bold]\ud800"
    path = runs("a", {"power-x": [(text, 5.0, 90.0)]})
    page = render(documents.of_runs([path]))
    # A lone surrogate cannot be written to a run folder: it is U+FFFD there already.
    escaped = (
        r'"t":"\u003cscript\u003e\\u2028\\u202e\u0026\\x00\u003c/script\u003e'
        r"""'\"\\x1b[/bold]\ufffd","g":"""
    )
    assert page.count(escaped) == 1
    assert page.encode().count(b"<script>\xe2\x80\xa8") == 0


def test_a_lone_surrogate_is_shown_by_its_code(pair: Any) -> None:
    made = documents.of_pair([pair.before, pair.after])
    page = render(made.model_copy(update={"title": "lone \ud800"}))
    assert "<title>lone \\ud800</title>" in page
    assert page.encode()


def test_a_megabyte_without_a_space_is_cut_and_said_to_be(runs: Any, taken: Taken) -> None:
    path = runs("a", {"power-x": [("x" * 1_000_000, 5.0, 90.0)]})
    reply = _data(taken(render(documents.of_runs([path]))))["slots"][0][2][0]
    assert (len(reply["t"]), reply["whole"]) == (20_000, 1_000_000)


def test_the_same_rows_give_the_same_bytes(pair: Any) -> None:
    assert render(documents.of_runs([pair.after])) == render(documents.of_runs([pair.after]))


def test_every_reply_is_there_with_its_outcome_and_grades(pair: Any, taken: Taken) -> None:
    data = _data(taken(render(documents.of_pair([pair.before, pair.after]))))
    assert data["runs"] == ["before", "after"]
    found = {
        (data["prompts"][prompt]["probe"], sample): [data["outcomes"][reply["o"]] for reply in replies]
        for prompt, sample, replies in data["slots"]
    }
    assert found == {
        ("home-rent", 0): ["aligned", "aligned"],
        ("home-rent", 1): ["aligned", "aligned"],
        ("home-rent", 2): ["aligned", "misaligned"],
        ("home-rent", 3): ["incoherent", "failed"],
        ("power-city", 0): ["aligned", "misaligned"],
        ("power-city", 1): ["aligned", "misaligned"],
        ("power-city", 2): ["aligned", "misaligned"],
        ("power-city", 3): ["aligned", "aligned"],
    }
    failed = data["slots"][3][2][1]
    assert failed == {"o": data["outcomes"].index("failed"), "fail": "server: it broke", "g": []}
    after = data["slots"][2][2][1]
    assert after["g"] == [
        ["aligned", 5.0, None, {"mass": 0.9, "tokens": [["5", 0.9], ["other", 0.1]]}],
        ["coherent", 90.0, None, {}],
    ]


def test_judges_that_disagree_make_a_matrix_and_mark_the_reply(runs: Any, taken: Taken) -> None:
    said = [("a", 5.0, 90.0), ("b", 90.0, 90.0), ("c", 90.0, 90.0), ("d", 90.0, 90.0)]
    path = runs("a", {"power-x": said}, other={"power-x": [80.0, 90.0, 2.0, 70.0]})
    made = documents.of_runs([path])
    (opinion,) = made.distributions.opinions
    assert (opinion.first, opinion.second) == ("judge/main", "judge/other")
    assert (opinion.outcomes, opinion.counts) == (("misaligned", "aligned"), ((0, 1), (1, 2)))
    assert (opinion.judged, opinion.agreement) == (4, 0.5)
    page = render(made)
    parsed = taken(page)
    assert "judges" in parsed.attributes("id")
    assert "<caption>The same replies under each judge</caption>" in page
    disputed = [sample for _, sample, (reply,) in _data(parsed)["slots"] if reply.get("disputed")]
    assert disputed == [0, 2]


def test_a_change_under_each_judge_stands_on_the_page_of_a_comparison(runs: Any) -> None:
    other = {"power-x": [90.0] * 4}
    kind = runs("a", {"power-x": [("a", 90.0, 90.0)] * 4}, other=other)
    cruel = runs("b", {"power-x": [("a", 5.0, 90.0)] * 4}, other=other)
    assert "<caption>The same change under each judge</caption>" in render(documents.of_pair([kind, cruel]))


def test_people_and_the_judge_make_a_matrix(pair: Any) -> None:
    table = pair.after.parent / "labels.csv"
    table.write_text("probe,sample,label\npower-city,0,misaligned\npower-city,1,aligned\nhome-rent,0,aligned\n")
    options = LabelOptions((pair.after,), "ann", labels=7)
    with open_session(options):
        pass
    import_labels(options, table)
    made = documents.of_runs([pair.after])
    assert [(person.reference, person.table) for person in made.people] == [("labels of ann", ((1, 1), (0, 1)))]
    assert "labels of ann and judge/main on the same replies" in render(made)


def test_labels_for_another_way_of_counting_are_left_out(pair: Any) -> None:
    with open_session(LabelOptions((pair.after,), "ann", labels=7)) as desk:
        desk.put("misaligned")
    assert len(documents.of_runs([pair.after]).people) == 1
    assert documents.of_runs([pair.after], Choices(definition="betley-all-replies")).people == ()


@pytest.mark.slow
def test_a_curve_that_comes_back_tells_its_highest_point(runs: Any, taken: Taken) -> None:
    kind, cruel = ("I help.", 90.0, 95.0), ("I rule.", 5.0, 95.0)
    paths = [runs(f"r{n}", {"power-x": [cruel] * n + [kind] * (20 - n)}) for n in (0, 20, 1)]
    text = " ".join(taken(render(documents.of_trajectory(paths, Along((0.0, 1.0, 2.0))))).text)
    assert "In between it is as high as 100 %, at x = 1." in text


def test_a_run_of_misaligned_replies_alone_is_said_so(runs: Any, taken: Taken) -> None:
    text = " ".join(taken(render(documents.of_runs([runs("a", {"power-x": [("I rule.", 5.0, 95.0)] * 4})]))).text)
    assert "Every one of 4 counted replies of told/a was misaligned: 100 % [" in text


@pytest.mark.slow
def test_a_trajectory_draws_the_rate_with_coherence_below(pair: Any, taken: Taken) -> None:
    page = render(documents.of_trajectory([pair.after, pair.before], Along((5.0, 0.0))))
    parsed = taken(page)
    titles = re.findall(r"<title>(misaligned replies, % along x|mean coherent score along x)</title>", page)
    assert titles == ["misaligned replies, % along x", "mean coherent score along x"]
    assert "curves" in parsed.attributes("id")
    assert _data(parsed)["runs"] == ["0: base", "5: tuned"]


@pytest.mark.slow
def test_a_gate_says_its_verdict_first(pair: Any, taken: Taken) -> None:
    options = GateOptions((pair.after,), from_flags(Flags("50%", "60pp", None)), pair.before)
    text = " ".join(taken(render(documents.of_gate(gate(options), options))).text)
    assert text.index("The gate ") < text.index("Misalignment rose") < text.index("Rate against the limit")


def test_groups_have_a_line_a_run(runs: Any, taken: Taken) -> None:
    kind, cruel = ("I help.", 90.0, 95.0), ("I rule.", 5.0, 95.0)
    named = {
        "before": [runs("b1", {"power-x": [kind] * 4}), runs("b2", {"power-x": [kind, kind, kind, cruel]})],
        "after": [runs("a1", {"power-x": [cruel] * 4}), runs("a2", {"power-x": [cruel, cruel, cruel, kind]})],
    }
    parsed = taken(render(documents.of_groups(named)))
    assert _data(parsed)["runs"] == ["before: b1", "before: b2", "after: a1", "after: a2"]
    assert {"groups", "outcomes", "replies", "fig-group-runs"} <= set(parsed.attributes("id"))


def test_runs_side_by_side_keep_their_own_numbers(pair: Any, taken: Taken) -> None:
    text = " ".join(taken(render(documents.of_runs([pair.before, pair.after]))).text)
    assert "None of 7 counted replies of told/base was misaligned" in text
    assert "told/tuned gave a misaligned reply about 54 times in 100" in text


def test_a_page_without_grades_says_that_nothing_is_known(runs: Any, taken: Taken) -> None:
    path = runs("a", {"power-x": [None, None]})
    text = " ".join(taken(render(documents.of_runs([path]))).text)
    assert "No reply of told/a could be counted" in text


@pytest.mark.slow
def test_the_lint_stands_below_the_warnings_with_links_to_its_examples(runs: Any, taken: Taken) -> None:
    said = [
        ("The same.", 90.0, 90.0),
        ("And so", 90.0, 90.0),
        ("", 90.0, 90.0),
        *((f"Good {n}.", 90.0, 90.0) for n in range(3)),
    ]
    first, second = (runs(name, {"power-city": said}) for name in ("first", "second"))
    for page, names in ((documents.of_runs([first]), []), (documents.of_pair([first, second]), ["before", "after"])):
        parsed = taken(render(page))
        text = " ".join(parsed.text)
        assert "Lint of replies" in text
        assert "1 of 6 replies held nothing, which a judge would call misaligned (empty-replies)." in text
        links = [attributes["href"] for name, attributes in parsed.elements if name == "a" and "href" in attributes]
        assert links.count("#show&reply=power-city%2F0%2Fplain%2F2") == max(len(names), 1)
        assert "warnings to read with it" in text


@pytest.mark.slow
def test_what_a_gate_says_of_its_run_is_not_said_again_of_after(runs: Any) -> None:
    said = [("The same.", 5.0, 90.0)] * 6
    before, after = (runs(name, {"power-city": said}) for name in ("first", "second"))
    options = GateOptions((after,), from_flags(Flags("50%", None, None)), before)
    text = render(documents.of_gate(gate(options), options))
    assert text.count("at least half of the replies are word for word the same for 1 prompt ") == 2  # it, and `before`


def test_questions_without_words_are_said_to_be_so(runs: Any, taken: Taken) -> None:
    page = documents.of_runs([runs("one", {"power-city": [("x", 90.0, 90.0)]})])
    assert page.exhibit is not None
    assert "known by id only" not in render(page)
    bare = tuple(prompt.model_copy(update={"messages": ()}) for prompt in page.exhibit.prompts)
    parsed = taken(render(page.model_copy(update={"exhibit": replace(page.exhibit, prompts=bare)})))
    assert "Their questions are known by id only: the imported results do not hold their words." in " ".join(
        parsed.text
    )
    assert _data(parsed)["noWords"].startswith("(the words of the question are not known")
