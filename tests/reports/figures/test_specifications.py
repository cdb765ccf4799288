"""Figures are compared by their specification, never by pixels."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from misalign_eval.errors import UsageError
from misalign_eval.reports.figures.render import KINDS
from misalign_eval.reports.figures.theme import COLOURS, DASHES, FIGURE_WIDTHS, MOST_SERIES, SHAPES, Theme, shown

Make = Callable[..., Any]
DRAWN = [kind for kind in KINDS if kind != "examples"]
HOSTILE = "</script><img src=x onerror=1> datum.rate \"+x' ${1} \x1b[2J\u202e=cmd|' /C'!A0"


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    altair = pytest.importorskip("altair", reason="the schema of Vega-Lite comes with altair, of the extra `dev`")
    version = altair.SCHEMA_VERSION.split(".")[0]
    file = Path(altair.__file__).parent / "vegalite" / version / "schema" / "vega-lite-schema.json"
    return jsonschema.Draft7Validator(json.loads(file.read_text(encoding="utf-8")))


def drawn(kind: str, record: object, look: Theme | None = None) -> Any:
    return KINDS[kind].draw(record, look or Theme())


def _walk(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for one in value:
            yield from _walk(one)


@pytest.mark.parametrize("kind", DRAWN)
def test_the_specification_of_each_kind_is_the_one_that_was_looked_at(
    kind: str, records: dict[str, Any], gold: Callable[[str, str], None]
) -> None:
    gold(f"figures/{kind}.vl.json", json.dumps(drawn(kind, records[kind]).spec, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize(
    "look", [Theme(), Theme(width=FIGURE_WIDTHS["page"], font=10, title="A title", has_caption=False)]
)
@pytest.mark.parametrize("kind", DRAWN)
def test_each_specification_is_valid_vega_lite(
    kind: str, look: Theme, records: dict[str, Any], schema: jsonschema.Draft7Validator
) -> None:
    assert [error.message for error in schema.iter_errors(drawn(kind, records[kind], look).spec)] == []


@pytest.mark.parametrize("kind", DRAWN)
def test_no_specification_holds_an_expression_or_an_address(kind: str, records: dict[str, Any]) -> None:
    forbidden = {"expr", "signal", "url", "href", "calculate", "labelExpr", "params"}
    spec = drawn(kind, records[kind]).spec
    assert [key for item in _walk(spec) for key in item if key in forbidden] == []
    filters = [item["filter"] for item in _walk(spec) if "filter" in item]
    assert [item for item in filters if isinstance(item, str)] == []


@pytest.mark.parametrize("kind", ["probes", "bars", "variants"])
def test_hostile_names_are_text_and_no_filter_holds_one(kind: str, rates: Make) -> None:
    by = {"probes": "probe", "bars": "category", "variants": "variant"}[kind]
    spec = drawn(kind, rates(by, (HOSTILE, "tuned"), names=("quiet", HOSTILE))).spec
    text = json.dumps(spec)
    assert "\\u202e" not in text.replace("\\\\u202e", "")
    assert "\\u001b" not in text
    values = [item["filter"] for item in _walk(spec) if "filter" in item]
    assert HOSTILE not in json.dumps(values)


def test_equal_data_give_equal_bytes(records: dict[str, Any]) -> None:
    one, other = (json.dumps([drawn(kind, records[kind]).spec for kind in DRAWN]) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_caption_says_definition_judge_and_suite(kind: str, records: dict[str, Any]) -> None:
    found = drawn(kind, records[kind])
    words = "Definition betley-2025; judge openai/judge; suite quick 1.0.0 (01234567)"
    assert words in found.caption
    if found.spec is not None:
        assert " ".join(found.spec["title"]["text"]) == found.caption
        assert found.spec["description"] == found.caption


@pytest.mark.parametrize("kind", ["probes", "bars", "variants", "curve", "dumbbell"])
def test_every_rate_that_is_drawn_has_its_interval(kind: str, records: dict[str, Any]) -> None:
    spec = drawn(kind, records[kind]).spec
    rows = spec["data"]["values"]
    assert [row for row in rows if row["rate"] is not None and (row["low"] is None or row["high"] is None)] == []
    rules = [item for item in _walk(spec) if isinstance(item.get("mark"), dict) and item["mark"].get("type") == "rule"]
    assert "low" in json.dumps(rules)


def test_a_probe_without_a_rate_says_so_and_is_not_drawn_at_zero(rates: Make) -> None:
    spec = drawn("probes", rates()).spec
    silent = [row for row in spec["data"]["values"] if row["probe"] == "silent"]
    assert [row["rate"] for row in silent] == [None, None]
    assert spec["vconcat"][0]["encoding"]["y"]["scale"]["domain"] == ["loud", "quiet", "silent"]


def test_series_are_told_apart_by_shape_and_dash_too(course: Make) -> None:
    spec = drawn("curve", course()).spec
    scales = {
        name: item[name]["scale"]["range"]
        for item in _walk(spec)
        for name in ("color", "shape", "strokeDash")
        if isinstance(item.get(name), dict)
    }
    assert scales == {"color": list(COLOURS[:2]), "shape": list(SHAPES[:2]), "strokeDash": list(DASHES[:2])}


def test_the_palette_differs_in_lightness_between_neighbours() -> None:
    def light(colour: str) -> float:
        parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        shares = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), shares, strict=True))

    steps = [abs(light(a) - light(b)) for a, b in pairwise(COLOURS[:4])]
    assert min(steps) > 0.2


def test_more_series_than_can_be_told_apart_are_refused(rates: Make) -> None:
    with pytest.raises(UsageError, match="tells 8 series apart and no more; here are 9"):
        drawn("probes", rates(series=tuple(f"run-{n}" for n in range(MOST_SERIES + 1))))


def test_more_panels_than_a_page_holds_are_refused(planes: Make) -> None:
    with pytest.raises(UsageError, match="room for 16 panels"):
        drawn("scatter", planes(17))


def test_the_data_hold_more_rows_than_the_drawing_has_room_for(rates: Make) -> None:
    found = drawn("probes", rates(series=("base",), names=tuple(f"probe-{n}" for n in range(70))))
    assert len(found.rows) == 70
    assert len(found.spec["data"]["values"]) == 60
    assert "10 more probe lines with lower rates are in the data alone" in found.caption


def test_only_small_rates_have_decimals_on_their_axis(rates: Make, line: Make) -> None:
    small = tuple(line("base", "quiet", 1, 1000, low=0.0, high=0.006) for _ in "x")
    found = rates(series=("base",), names=("quiet",)).model_copy(update={"lines": small})
    marks = drawn("probes", found).spec["vconcat"][0]["layer"]
    assert marks[1]["encoding"]["x"]["axis"]["format"] == ".1%"


def test_a_mean_score_stands_on_its_scale_of_a_hundred(rates: Make) -> None:
    marks = drawn("probes", rates(measure="mean")).spec["vconcat"][0]["layer"]
    assert marks[1]["encoding"]["x"]["scale"]["domain"] == [0, 100.0]
    assert marks[1]["encoding"]["x"]["axis"]["title"] == "mean score"


def test_intervals_of_another_kind_are_counted_in_the_caption(rates: Make) -> None:
    words = drawn("probes", rates(interval="runs")).caption
    assert "for training runs like these (t over runs); all have none of that kind" in words


def test_numbers_without_an_interval_are_counted_in_the_caption(rates: Make, line: Make) -> None:
    bare = (line("base", "quiet", 1, 1, low=None, high=None),)
    found = rates(series=("base",), names=("quiet",)).model_copy(update={"lines": bare})
    assert "1 of 2 numbers have no interval" in drawn("probes", found).caption


def test_prompts_that_are_not_in_the_figure_are_said(rates: Make) -> None:
    words = drawn("probes", rates(left_out=2, unshared=3)).caption
    assert "2 shared prompts without a counted reply in some run are left out" in words
    assert "3 prompts that not all runs asked are left out" in words


def test_long_names_that_begin_alike_stay_two() -> None:
    one, other = shown("a" * 200 + "1"), shown("a" * 200 + "2")
    assert len(one) <= 120
    assert one != other


def test_thresholds_are_drawn_and_told(planes: Make) -> None:
    found = drawn("scatter", planes(1))
    rules = [item for item in found.spec["vconcat"][0]["layer"] if item["mark"]["type"] == "rule"]
    assert [next(iter(rule["encoding"].values()))["datum"] for rule in rules] == [50.0, 30.0]
    assert "(coherent, incoherent: below 50; aligned, misaligned: below 30)" in found.caption


def test_outcomes_of_a_bar_lie_end_to_end(records: dict[str, Any]) -> None:
    rows = [row for row in drawn("outcomes", records["outcomes"]).spec["data"]["values"] if row["bar"] == "tuned"]
    assert [(row["outcome"], row["start"]) for row in rows] == [
        ("misaligned", 0.0),
        ("aligned", round(9 / 21, 12)),
        ("failed", round(20 / 21, 12)),
    ]
    assert rows[-1]["end"] == 1.0


def test_people_and_a_second_judge_are_panels_of_one_figure(records: dict[str, Any]) -> None:
    found = drawn("judges", records["judges"])
    assert [(row["rows_by"], row["replies"]) for row in found.rows if row["row"] == row["column"]] == [
        ("openai/judge", 8),
        ("openai/judge", 9),
        ("openai/judge", 1),
        ("labels by ann", 6),
        ("labels by ann", 2),
    ]


LONG = tuple(f"provider/organisation/a-model-whose-name-does-not-fit-the-column-v{n}" for n in (1, 2, 3))


def _named(spec: Any, field: str) -> set[str]:
    return {str(row[field]) for row in spec["data"]["values"]}


@pytest.mark.parametrize("kind", ["probes", "bars", "variants"])
def test_long_names_fit_and_stay_different_beside_the_axis_and_in_the_legend(kind: str, rates: Make) -> None:
    look = Theme()
    made = drawn(kind, rates(series=LONG, names=LONG), look)
    for field in ("probe", "series"):
        found = _named(made.spec, field)
        assert len(found) == 3
        assert all(name.endswith(("-v1", "-v2", "-v3")) and name.startswith("prov") for name in found)
        domains = [{*item["domain"]} for item in _walk(made.spec) if isinstance(item.get("domain"), list)]
        assert found in domains
    assert max(map(look.text, _named(made.spec, "probe"))) <= 0.4 * look.width
    assert {row["probe"] for row in made.rows} == set(LONG)  # the data are whole


def test_long_names_of_runs_stay_different_above_panels_and_in_a_curve(course: Make, planes: Make) -> None:
    found = planes(2)
    runs = [plane.model_copy(update={"run": name}) for plane, name in zip(found.planes, LONG, strict=False)]
    spec = drawn("scatter", found.model_copy(update={"planes": tuple(runs)})).spec
    titles = {
        item["title"]["text"]
        for item in _walk(spec)
        if isinstance(item.get("title"), dict) and "limit" in item["title"]
    }
    assert {title[-3:] for title in titles} == {"-v1", "-v2"}
    called = _named(drawn("curve", course(series=LONG[:2])).spec, "series")
    assert sorted(name[-3:] for name in called) == ["-v1", "-v2"]
