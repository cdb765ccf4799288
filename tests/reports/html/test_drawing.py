"""The renderer: places on scales, a mark for each number, nothing drawn for what is not known."""

import re

import pytest

from misalign_eval.records.pages import (
    ChartEstimate,
    ChartMark,
    CurveChart,
    CurvePanel,
    CurvePoint,
    HistogramChart,
    HistogramPanel,
    IntervalChart,
    IntervalRow,
    MatrixChart,
)
from misalign_eval.reports import escape
from misalign_eval.reports.backends import svg
from misalign_eval.reports.backends.svg import AxisScale, covering, nice_step


def _estimate(value: float | None, low: float | None = None, high: float | None = None) -> ChartEstimate:
    return ChartEstimate(value=value, low=low, high=high, text="t")


def _chart(*rows: IntervalRow, series: tuple[str, ...] = ("run",), is_change: bool = False) -> IntervalChart:
    return IntervalChart(
        id="c",
        title="Title",
        description="What it shows.",
        head="probe",
        axis="misaligned replies, %",
        measure="rate",
        series=series,
        rows=rows,
        is_change=is_change,
    )


@pytest.mark.parametrize("least, step", [(0.011, 0.02), (0.2, 0.2), (3, 5), (0.021, 0.025), (7, 10)])
def test_steps_are_round(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step)


def test_a_scale_covers_every_interval_and_begins_at_zero() -> None:
    scale = covering([_estimate(0.1, 0.05, 0.31), _estimate(None)], "rate")
    assert (scale.low, scale.high) == pytest.approx((0.0, 0.4))


def test_a_scale_of_differences_reaches_below_zero() -> None:
    scale = covering([_estimate(-0.1, -0.2, 0.05)], "rate")
    assert (scale.low, scale.high) == pytest.approx((-0.2, 0.05))


def test_a_scale_without_any_number_is_whole() -> None:
    scale = covering([_estimate(None)], "rate")
    assert (scale.low, scale.high) == (0.0, 1.0)


def test_every_row_has_its_interval_and_its_point_in_place() -> None:
    drawn = svg.draw_intervals(_chart(IntervalRow(name="p", values=(_estimate(0.5, 0.25, 1.0),))))
    assert re.findall(r'<circle cx="([\d.]+%)"', drawn) == ["50.00%"]
    assert ('x1="25.00%" x2="100.00%"' in drawn, "<style" in drawn, " style=" in drawn) == (True, False, False)


def test_an_unknown_rate_is_left_blank() -> None:
    drawn = svg.draw_intervals(_chart(IntervalRow(name="p", values=(_estimate(None),))))
    assert (drawn.count("<circle"), drawn.count('class="ci')) == (0, 0)


def test_before_and_after_are_joined_and_have_shapes_of_their_own() -> None:
    row = IntervalRow(name="p", values=(_estimate(0.1, 0.0, 0.2), _estimate(0.6, 0.5, 0.7)))
    drawn = svg.draw_intervals(_chart(row, series=("before", "after"), is_change=True))
    body = drawn[drawn.index("<tbody>") :]
    assert (body.count('class="joint"'), body.count("<circle"), body.count("<path")) == (1, 1, 1)


def test_a_hostile_name_stays_text() -> None:
    drawn = svg.draw_intervals(_chart(IntervalRow(name='<i onclick="x">', values=(_estimate(0.1),))))
    assert '<th scope="row">&lt;i onclick=&quot;x&quot;&gt;</th>' in drawn


def test_a_histogram_has_a_bar_for_each_count_and_its_threshold() -> None:
    chart = HistogramChart(
        id="h",
        title="Scores",
        description="d",
        axis="aligned score",
        edges=(0.0, 50.0, 100.0),
        panels=(HistogramPanel(name="run", counts=(3, 0), scored=3, unscored=2),),
        marks=(ChartMark(value=30.0, text="misaligned: below 30"),),
    )
    drawn = svg.draw_histogram(chart)
    assert (drawn.count("<rect"), drawn.count('class="limit"')) == (1, 1)
    assert "<title>run: 3 replies with a score, 2 without</title>" in drawn
    assert '<td class="num">no score</td><td class="num"></td><td class="num">2</td>' in drawn


def test_a_curve_is_broken_where_a_run_has_no_rate() -> None:
    rates = (0.1, 0.2, None, 0.3, 0.4)
    points = tuple(CurvePoint(x=float(x), name=f"r{x}", estimate=_estimate(rate)) for x, rate in enumerate(rates))
    panel = CurvePanel(axis="misaligned replies, %", measure="rate", points=points)
    drawn = svg.draw_curves(
        CurveChart(id="c", title="t", description="d", x_axis="step", is_log=False, panels=(panel,))
    )
    assert (drawn.count("<polyline"), drawn.count("<circle")) == (2, 4)


def test_a_matrix_marks_where_judges_agree() -> None:
    chart = MatrixChart(
        id="m", title="t", description="d", row_axis="one", column_axis="two", names=("a", "b"), counts=((5, 1), (0, 2))
    )
    drawn = svg.draw_matrix(chart)
    assert re.findall(r'<td class="num shade(\d)( agreed)?">(\d)</td>', drawn) == [
        ("5", " agreed", "5"),
        ("1", "", "1"),
        ("0", "", "0"),
        ("5", " agreed", "2"),
    ]


def test_ticks_stay_inside_their_scale() -> None:
    assert AxisScale(-0.2, 0.05).ticks() == (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05)


def test_text_is_escaped_once_and_html_is_left_alone() -> None:
    assert escape.el("p", "a & b", escape.el("b", "<")) == "<p>a &amp; b<b>&lt;</b></p>"
