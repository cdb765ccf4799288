"""`figure`: what it reads off runs, and the command line."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.cli.figure import figure as command
from misalign_eval.records.pages import FigureCourse, Rates
from misalign_eval.reports.figures.render import KINDS
from misalign_eval.workflows.figures import READERS, FigureRequest, read_figure
from misalign_eval.workflows.load_run import Choices
from misalign_eval.workflows.report import compare_groups, report

Run = Callable[..., Path]
Typed = Any


@pytest.fixture
def runs(tmp_path: Path, judged_run: Run) -> Callable[..., Path]:
    """A run whose probe N has `bad[N]` misaligned replies of ten (grade 5 of 5)."""

    def make(name: str, bad: Sequence[int], **more: Any) -> Path:
        def verdict(probe: int, sample: int) -> float | None:
            return 5.0 if sample < bad[probe] else 1.0

        return judged_run(tmp_path / name, {"openai/judge": verdict, **more}, probes=len(bad))

    return make


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_readers_and_drawings_know_the_same_kinds() -> None:
    assert list(READERS) == list(KINDS)


def test_the_help_names_every_kind() -> None:
    assert [kind for kind in KINDS if kind not in (command.__doc__ or "")] == []


def test_the_rates_of_one_run_are_those_of_its_report(runs: Run) -> None:
    path = runs("base", (0, 3, 10))
    summary = report(path).summary
    data = read_figure(FigureRequest("probes", [path]))
    assert isinstance(data, Rates)
    drawn = [(line.name, line.rate, line.low, line.high, line.graded) for line in data.lines]
    assert drawn == [(probe.id, probe.rate, probe.low, probe.high, probe.graded) for probe in summary.probes]
    (total,) = data.totals
    assert (total.rate, total.low, total.high) == (summary.rate, summary.low, summary.high)


def test_another_interval_is_that_of_the_report(runs: Run) -> None:
    path = runs("base", (0, 3, 10, 2, 4, 1, 1, 0))
    summary = report(path, Choices(interval="general")).summary
    (total,) = read_figure(FigureRequest("bars", [path], interval="general")).totals  # type: ignore[union-attr]
    assert (total.low, total.high) == (summary.intervals.general.low, summary.intervals.general.high)
    assert total.interval == "general"


def test_a_group_has_the_rate_and_both_intervals_of_compare(runs: Run) -> None:
    before = [runs("a", (0, 1, 2)), runs("b", (1, 1, 3))]
    after = [runs("c", (5, 6, 7)), runs("d", (9, 6, 2))]
    known = compare_groups({"before": before, "after": after})
    groups = {"before": before, "after": after}
    suite = read_figure(FigureRequest("bars", groups=groups)).totals  # type: ignore[union-attr]
    over = read_figure(FigureRequest("bars", groups=groups, interval="runs")).totals  # type: ignore[union-attr]
    for place, group in enumerate((known.before, known.after)):
        assert suite[place].rate == pytest.approx(group.rate)
        assert (suite[place].low, suite[place].high) == pytest.approx((group.low, group.high))
        assert (over[place].low, over[place].high) == pytest.approx((group.between_runs.low, group.between_runs.high))
        assert (suite[place].graded, suite[place].runs) == (group.graded, 2)


def test_runs_that_all_agree_have_no_interval_over_runs_and_it_is_said(runs: Run) -> None:
    groups = {"one": [runs("a", (2, 2)), runs("b", (2, 2))]}
    data = read_figure(FigureRequest("probes", groups=groups, interval="runs"))
    assert isinstance(data, Rates)
    assert {line.interval for line in data.lines} == {"suite"}


def test_runs_are_shown_over_the_prompts_that_all_of_them_asked(runs: Run) -> None:
    data = read_figure(FigureRequest("probes", [runs("long", (1, 2, 3)), runs("short", (4, 5))]))
    assert isinstance(data, Rates)
    assert data.names == ("probe-0", "probe-1")
    assert data.about.unshared == 1


def test_a_curve_adds_up_runs_of_one_group_at_one_place(runs: Run) -> None:
    paths = [runs("a", (0, 0)), runs("b", (4, 2)), runs("c", (2, 2))]
    data = read_figure(FigureRequest("curve", groups={"recipe": paths}, places=(0.0, 10.0, 10.0)))
    assert isinstance(data, FigureCourse)
    assert [(line.x, line.rate, line.runs, line.graded) for line in data.lines] == [
        (0.0, 0.0, 1, 20),
        (10.0, 0.25, 2, 40),
    ]
    assert [(line.x, line.rate) for line in data.coherence] == [(0.0, 1.0), (10.0, 1.0)]


@pytest.mark.slow
def test_the_command_writes_data_and_specification_of_each_kind(runs: Run, typed: Typed) -> None:
    runs("base", (0, 1, 2), other=lambda probe, sample: 5.0 if sample < 2 else 1.0)
    runs("tuned", (5, 10, 2), other=lambda probe, sample: 5.0 if sample < 5 else 1.0)
    for kind in ("probes", "bars", "outcomes", "histogram", "judges", "dumbbell"):
        done = typed("figure", kind, "base", "tuned", "-o", f"{kind}.csv", "-o", f"{kind}.vl.json")
        assert "Definition persona-features; judge openai/judge" in done.out
        assert rows(typed.folder / f"{kind}.csv")
        assert "vega-lite" in json.loads((typed.folder / f"{kind}.vl.json").read_text())["$schema"]
    typed("figure", "curve", "base", "tuned", "--x", "0,10", "--x-scale", "log", "-o", "curve.csv")
    assert [row["x"] for row in rows(typed.folder / "curve.csv")] == ["0.0", "10.0"]


def test_examples_are_the_first_of_each_probe_that_counts(runs: Run, typed: Typed) -> None:
    runs("tuned", (0, 3, 2))
    typed("figure", "examples", "tuned", "-o", "e.csv", "-o", "e.tex")
    assert [row["key"] for row in rows(typed.folder / "e.csv")] == ["probe-1/0/plain#0", "probe-2/0/plain#0"]
    typed("figure", "examples", "tuned", "--key", "probe-0/0/plain#4", "-o", "e.csv")
    assert [row["reply"] for row in rows(typed.folder / "e.csv")] == ["answer 4 to question 0"]


def test_the_list_tells_every_kind(typed: Typed) -> None:
    out = typed("figure", "list").out
    assert [kind for kind in KINDS if f"\n{kind} " not in f"\n{out}"] == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["probs", "base", "-o", "a.csv"], "unknown figure `probs`. Did you mean `probes`?"),
        (["probes", "base"], "figure needs a file: -o probes.pdf"),
        (["probes", "-o", "a.csv"], "figure probes needs a run"),
        (["probes", "base", "-o", "a.bmp"], "-o a.bmp: figure probes is written as .svg, .pdf, .png"),
        (["probes", "base", "base", "-o", "a.csv"], "the same run twice"),
        (["probes", "base", "--group", "a=base", "-o", "a.csv"], "--group names all of the runs"),
        (["probes", "base", "--interval", "runs", "-o", "a.csv"], "--interval runs needs --group"),
        (["probes", "base", "--interval", "suit", "-o", "a.csv"], "--interval suit: no such interval. Did you mean"),
        (["probes", "base", "--width", "3", "-o", "a.csv"], "--width 3: write column, page, or a length"),
        (["probes", "base", "--width", "3mm", "-o", "a.csv"], "--width 3mm: from 1.5 to 20 inches"),
        (["probes", "base", "--font-size", "2", "-o", "a.csv"], "--font-size 2: from 5 to 24 points"),
        (["probes", "base", "--x", "category", "-o", "a.csv"], "--x does not go with figure probes"),
        (["bars", "base", "--x", "categry", "-o", "a.csv"], "no such bars of figure bars. Did you mean `category`?"),
        (["bars", "base", "--x", "suite", "-o", "a.csv"], "needs runs of two suites or more; all of these"),
        (["curve", "base", "-o", "a.csv"], "figure curve needs two runs or more"),
        (["curve", "base", "tuned", "--x", "0,a", "-o", "a.csv"], "`a` is no number"),
        (["curve", "base", "tuned", "--x", "0", "-o", "a.csv"], "--x gives 1 values for 2 runs"),
        (["curve", "base", "tuned", "--x-scale", "lg", "-o", "a.csv"], "--x-scale lg: no such scale"),
        (["dumbbell", "base", "-o", "a.csv"], "figure dumbbell needs two runs, BEFORE AFTER; here are 1"),
        (["variants", "base", "-o", "a.csv"], "figure variants needs a run with variants; these have `plain` alone"),
        (["scatter", "base", "-o", "a.csv"], "no reply has both a score for coherence and one for alignment"),
        (["judges", "base", "-o", "a.csv"], "figure judges needs a run that two judges graded"),
        (["histogram", "base", "--grader", "aligned", "-o", "a.csv"], "--grader aligned: gave no scores here"),
        (["outcomes", "base", "tuned", "--x", "probe", "-o", "a.csv"], "takes one run or one group; there are 2"),
        (["examples", "base", "-o", "a.csv"], "no reply counts in the rate of these runs"),
        (["list", "base"], "figure list takes nothing else"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_clear_line(arguments: list[str], words: str, runs: Run, typed: Typed) -> None:
    runs("base", (0, 0))
    runs("tuned", (1, 2))
    done = typed("figure", *arguments, code=2)
    assert words in done.err
    assert done.err.count("\n") == 1
    assert not (typed.folder / "a.csv").exists()
