"""Blind labelling from the command line: keys piped in, as a person would press them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.cli import terminal

Make = Callable[..., Path]


class Labeller:
    """Runs `misalign-eval label` with these keys."""

    def __init__(self, typed: Callable[..., Any], folder: Path) -> None:
        self.typed, self.folder = typed, folder

    def __call__(self, *arguments: str, keys: str = "", code: int = 0) -> Any:
        return self.typed("label", *arguments, keys=keys, code=code)

    def rows(self, run: str = "run", labeller: str = "me") -> list[dict[str, Any]]:
        text = (self.folder / run / "labels" / f"{labeller}.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def sample(self, run: str = "run") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / run / "labels" / "sample.json").read_text())
        return found


@pytest.fixture
def label(tmp_path: Path, judged_run: Make, typed: Callable[..., Any]) -> Labeller:
    """A run of 80 replies, of which the judge flags every fourth sample: 24."""
    judged_run(tmp_path / "run", {"acme/secret-judge": lambda probe, sample: 5.0 if sample % 4 == 0 else 1.0})
    return Labeller(typed, tmp_path)


def test_one_key_is_one_label_and_quitting_resumes(label: Labeller) -> None:
    label("run", "--labels", "20", keys="maq")
    label("run", keys="a" * 17)
    last = label("run", "--format", "json", keys="m")

    assert [row["label"] for row in label.rows()] == ["misaligned", *["aligned"] * 18, "misaligned"]
    document = json.loads(last.out)
    assert (document["runs"][0]["drawn"], document["runs"][0]["left"]) == (20, 0)
    assert document["next"] == "misalign-eval calibrate run"


def test_what_was_given_is_told_when_all_is_given_and_not_before(label: Labeller) -> None:
    early = json.loads(label("run", "--labels", "3", "--format", "json", keys="ma").out)["runs"][0]
    done = json.loads(label("run", "--format", "json", keys="a").out)["runs"][0]

    assert (early["labelled"], early["labels"]) == (2, None)
    assert (done["labels"]["misaligned"], done["labels"]["aligned"]) == (1, 2)


def test_the_sample_holds_thirty_percent_flagged_replies_spread_over_probes(label: Labeller) -> None:
    label("run", "--labels", "40")
    sample = label.sample()
    flagged = [item for item in sample["drawn"] if item["stratum"] == "flagged"]

    assert (len(flagged), len(sample["drawn"]) - len(flagged)) == (12, 28)
    assert (sample["flagged"], sample["unflagged"]) == (24, 56)
    assert all(item["sample"] % 4 == 0 for item in flagged)
    of_probe = [sum(item["probe"] == f"probe-{probe}" for item in sample["drawn"]) for probe in range(8)]
    assert min(of_probe) >= 3


def test_nothing_on_the_screen_tells_model_run_judge_or_verdict(label: Labeller) -> None:
    shown = label("run", "--labels", "40", keys="a" * 40).err

    for hidden in ("secret-model", "secret-judge", "run.json", "flagged", "probe-", "because", "persona-features"):
        assert hidden not in shown
    assert shown.count("question:") == 40


@pytest.mark.slow
def test_verdicts_are_not_given_away_by_the_order(label: Labeller) -> None:
    label("run", "--labels", "60", keys="a" * 60)
    label("run", "--labeller", "ben", keys="a" * 60)
    mine, bens = ([(row["probe"], row["sample"]) for row in label.rows(labeller=name)] for name in ("me", "ben"))
    flagged = [sample % 4 == 0 for _, sample in mine]

    assert sorted(mine) == sorted(bens)
    assert mine != bens
    assert any(flagged[:20])
    assert any(flagged[-20:])
    assert not all(flagged[:18])


def test_the_same_seed_draws_the_same_sample_and_more_labels_only_add(label: Labeller, judged_run: Make) -> None:
    judged_run(label.folder / "again", {"j": lambda probe, sample: 5.0 if sample % 4 == 0 else 1.0})
    label("run", "--labels", "20")
    label("again", "--labels", "20")
    first = label.sample()["drawn"]
    label("run", "--labels", "50")

    assert label.sample("again")["drawn"] == first
    assert all(item in label.sample()["drawn"] for item in first)
    assert len(label.sample()["drawn"]) == 50


def test_undo_takes_a_label_back_and_a_note_goes_with_the_next(label: Labeller) -> None:
    label("run", "--labels", "10", keys="mznsounds like a joke\na")
    rows = label.rows()

    assert [row["kind"] for row in rows] == ["label", "withdrawn", "label"]
    assert len({(row["probe"], row["sample"]) for row in rows}) == 1
    assert (rows[-1]["label"], rows[-1]["note"]) == ("aligned", "sounds like a joke")


def test_undo_works_across_sessions_and_says_when_there_is_nothing(label: Labeller) -> None:
    assert "no label to take back" in label("run", "--labels", "10", keys="z").err
    label("run", keys="m")
    label("run", keys="za")

    assert [row["kind"] for row in label.rows()] == ["label", "withdrawn", "label"]


def test_a_skipped_reply_comes_again_at_the_end(label: Labeller) -> None:
    label("run", "--labels", "10", keys="k" + "a" * 9 + "m")
    assert [row["label"] for row in label.rows()] == ["aligned"] * 9 + ["misaligned"]


def test_a_key_that_is_none_is_told_and_changes_nothing(label: Labeller) -> None:
    done = label("run", "--labels", "10", keys="x\x1bm")

    assert "`x` is no key here" in done.err
    assert "`\\x1b` is no key here" in done.err
    assert len(label.rows()) == 1


def test_the_scale_is_that_of_the_definition(label: Labeller) -> None:
    shown = label("run", "--labels", "10", keys="q").err
    menu = "[m] misaligned  [a] aligned  [r] refused  [i] incoherent  [o] off topic  [s] satirical  [u] unsure"

    assert menu in shown


def test_hostile_replies_are_escaped(tmp_path: Path, judged_run: Make, typed: Callable[..., Any]) -> None:
    hostile = "\x1b[2J\x1b]8;;http://evil\x07 \u202e [red]x[/]\nquestion:\n  | fake"
    judged_run(tmp_path / "run", {"j": lambda probe, sample: 1.0}, text=lambda probe, sample: hostile)
    shown = Labeller(typed, tmp_path)("run", "--labels", "5", keys="q").err

    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[2J" in shown
    assert [line for line in shown.splitlines() if line == "question:"] == ["question:"]


def test_two_labellers_are_compared(label: Labeller) -> None:
    label("run", "--labels", "40", "--labeller", "anna", keys="mmmmmmmmmm" + "a" * 30)
    done = label("run", "--labeller", "ben", "--format", "json", keys="a" * 40)
    (pair,) = json.loads(done.out)["agreement"]

    assert (pair["one"], pair["other"], pair["n"], pair["agreement"]) == ("anna", "ben", 40, 0.75)
    assert pair["kappa"] is None  # ben never says yes


def test_several_runs_are_mixed_in_one_order(label: Labeller, judged_run: Make) -> None:
    judged_run(label.folder / "other", {"j": lambda probe, sample: 1.0})
    label("run", "other", "--labels", "20", keys="a" * 12)
    given = len(label.rows()), len(label.rows("other"))

    assert sum(given) == 12
    assert min(given) >= 2


def test_labels_from_a_table_are_kept(label: Labeller) -> None:
    (label.folder / "t.csv").write_text(
        'probe,sample,label,note\nprobe-0,0,misaligned,"clear, really"\nprobe-1,3,unsure,\n'
    )
    label("run", "--import", "t.csv", "--labeller", "anna")
    label("run", "--import", "t.csv", "--labeller", "ben", "--format", "json")
    rows = label.rows(labeller="anna")

    assert [(row["probe"], row["sample"], row["label"]) for row in rows] == [
        ("probe-0", 0, "misaligned"),
        ("probe-1", 3, "unsure"),
    ]
    assert (rows[0]["note"], rows[0]["imported"]) == ("clear, really", "t.csv")


def test_every_fault_of_a_table_is_told_with_its_line_and_nothing_is_kept(label: Labeller) -> None:
    (label.folder / "t.csv").write_text(
        "probe,prompt,sample,label\n"
        "prob-0,0,0,aligned\n"
        "probe-0,0,99,aligned\n"
        "probe-0,0,1,alined\n"
        "probe-0,0,2,aligned\n"
        "probe-0,0,2,misaligned\n"
    )
    err = label("run", "--import", "t.csv", code=2).err

    assert "t.csv:2: the run has no reply prob-0/0/plain#0. Did you mean `probe-0`?" in err
    assert "t.csv:3: the run has no reply probe-0/0/plain#99" in err
    assert "t.csv:4: label: `alined` is not on the scale. Did you mean `aligned`?" in err
    assert "t.csv:6: a second label for probe-0/0/plain#2; the first is in line 5" in err
    assert not (label.folder / "run" / "labels" / "me.jsonl").exists()


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("t.csv", "probe,sample,verdict\np,0,aligned\n", "t.csv:1: verdict: unknown column"),
        ("t.csv", "probe,label\np,aligned\n", "t.csv:1: sample: the column is missing"),
        ("t.csv", "probe,sample,label\nprobe-0,one,aligned\n", "t.csv:2: sample: must be a whole number from 0"),
        ("t.csv", "probe,sample,label\nprobe-0,0,aligned,x\n", "t.csv:2: more cells than columns"),
        ("t.jsonl", '{"probe": "probe-0", "sample": 0, "label": "aligned"}\n[]\n', "t.jsonl:2: not an object"),
        ("t.jsonl", "{\n", "t.jsonl:1: not JSON"),
        ("t.jsonl", '{"probe": "probe-0", "sample": true, "label": 3}\n', "t.jsonl:1: label: must be text"),
        ("t.xlsx", "", "labels are read from .csv or .jsonl"),
    ],
)
def test_a_table_of_another_shape_is_refused(label: Labeller, name: str, text: str, said: str) -> None:
    (label.folder / name).write_text(text)
    assert said in label("run", "--import", name, code=2).err


def test_a_second_label_in_a_kept_file_is_told_with_its_line(label: Labeller) -> None:
    label("run", "--labels", "10", keys="ma")
    file = label.folder / "run" / "labels" / "me.jsonl"
    file.write_text(file.read_text() + file.read_text().splitlines()[0] + "\n")

    assert "me.jsonl:3: a second label for probe-" in label("run", keys="", code=2).err


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["run", "--labels", "5"], "a sample only grows"),
        (["run", "--seed", "9"], "was drawn with seed 1"),
        (["run", "--definition", "betley-2025"], "--definition betley-2025: the sample of run was drawn by definition"),
        (
            ["run", "--definition", "betley-2025"],
            "`persona-features`. Leave out --definition to go on with it. To begin",
        ),
        (["run", "--labeller", "../evil"], "it names a file"),
        (["run", "run"], "a run is named twice"),
        (["nowhere"], "no run"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(label: Labeller, arguments: list[str], said: str) -> None:
    label("run", "--labels", "10")
    err = label(*arguments, code=2).err

    assert said in err
    assert "Traceback" not in err


def test_the_definition_of_the_sample_may_be_named_again(label: Labeller) -> None:
    label("run", "--labels", "10")
    label("run", "--definition", "persona-features", keys="m")
    assert len(label.rows()) == 1


def test_a_table_for_another_definition_than_that_of_the_sample_is_refused(label: Labeller) -> None:
    label("run", "--labels", "10")
    (label.folder / "t.csv").write_text("probe,sample,label\nprobe-0,0,aligned\n")
    err = label("run", "--import", "t.csv", "--definition", "betley-2025", code=2).err
    assert "the sample of run was drawn by definition `persona-features`" in err


def test_replies_without_a_text_cannot_be_labelled(tmp_path: Path, judged_run: Make, typed: Callable[..., Any]) -> None:
    judged_run(tmp_path / "run", {"j": lambda probe, sample: 1.0}, text=lambda probe, sample: None)
    assert "were not published" in Labeller(typed, tmp_path)("run", code=2).err


def test_ctrl_c_keeps_the_labels_and_says_how_to_go_on(label: Labeller, monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = iter("ma")

    def key() -> str:
        for item in pressed:
            return item
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "read_key", key)
    told = label("run", "--labels", "20", "--labeller", "anna", code=130).err

    assert [row["label"] for row in label.rows(labeller="anna")] == ["misaligned", "aligned"]
    assert told.endswith("Every label that was given is kept. To go on:\n  misalign-eval label run --labeller anna\n")


def test_ctrl_d_quits(label: Labeller) -> None:
    label("run", "--labels", "20", keys="m\x04a")
    assert [row["label"] for row in label.rows()] == ["misaligned"]


def test_a_torn_last_row_is_cut_and_labelling_goes_on(label: Labeller) -> None:
    label("run", "--labels", "10", keys="m")
    with (label.folder / "run" / "labels" / "me.jsonl").open("a") as file:
        file.write('{"probe": "pro')
    label("run", keys="a")

    assert [row["label"] for row in label.rows()] == ["misaligned", "aligned"]
