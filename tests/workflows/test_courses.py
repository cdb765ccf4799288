"""`compare` of many runs and with other readings, through the installed command line."""

from pathlib import Path
from typing import Any

import pytest

from misalign_eval.cli.compare import compare
from misalign_eval.errors import UsageError

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(tool: Any) -> Any:
    """Two runs of an untuned and two of a tuned model."""
    for name, target, step in (("b1", "base", 0), ("b2", "base", 0), ("t1", "tuned", 20), ("t2", "tuned", 40)):
        flags = tool.asking(target, "--out", name, "--label", f"step={step}", "-q")
        flags[flags.index("--seed") + 1] = str(len(name) + ord(name[1]))
        done = tool(*flags)
        assert done.code == 0, done.err
    return tool


def test_steps_and_groups_and_readings(runs: Any) -> None:
    found = runs("compare", "t2", "b1", "t1", "--format", "json").json
    assert [(point["x"], point["run"]) for point in found["points"]] == [(0.0, "b1"), (20.0, "t1"), (40.0, "t2")]
    assert found["x_from"] == "step"
    kept = (runs.folder / "t1" / "summary.json").read_bytes()
    assert found["points"][0]["outcomes"]["incoherent"] == 0
    groups = runs("compare", "--group", "after=t1,t2", "--group", "before=b1,b2", "--format", "json").json
    assert [groups[side]["name"] for side in ("before", "after")] == ["before", "after"]
    assert len(groups["after"]["runs"]) == 2
    pages = [
        runs("compare", "b1", "t1", "--x", "0,1"),
        runs("compare", "b1", "t1", "t2", "--by", "category"),
        runs("compare", "--group", "x=b1", "--group", "x=b2", "--group", "y=t1,t2", "--format", "markdown"),
        runs("compare", "b1", "t1", "--interval", "clustered", "--sensitivity"),
        runs("report", "t1", "--interval", "general", "--sensitivity"),
    ]
    assert [page.code for page in pages] == [0] * 5, [page.err for page in pages]
    assert [page.out.splitlines()[0].split(":")[0] for page in pages[:3]] == [
        "Trajectory",
        "Trajectory",
        "# Change from x to y",
    ]
    assert all("unknown: every" in page.out for page in pages[3:])
    assert max(len(line) for page in pages if page is not pages[2] for line in page.out.splitlines()) <= 80
    assert (runs.folder / "t1" / "summary.json").read_bytes() == kept  # another reading leaves the folder as it is


BAD: list[tuple[dict[str, Any], str]] = [
    ({"runs": ["b1", "t1"], "x": "0,a"}, "--x 0,a: `a` is no number"),
    ({"runs": ["b1", "t1"], "x": "0,nan"}, "--x 0,nan: `nan` is no number"),
    ({"runs": ["b1"]}, "compare needs two runs"),
    ({"group": ["before=b1,"]}, "--group before=b1,: write NAME=RUN,RUN"),
    ({"group": ["=b1"]}, "--group =b1: write NAME=RUN,RUN"),
    ({"group": ["before=b1"]}, "--group needs two groups"),
    ({"group": ["a=b1", "b=b1"]}, "cannot be compared with itself"),
    ({"group": ["a=b1", "b=t1", "c=t2"]}, "there are 3"),
    ({"runs": ["b1", "t1"], "group": ["a=b1"]}, "--group names all of the runs"),
    ({"runs": ["b1", "t1"], "interval": "genral"}, "--interval genral: no such interval. Did you mean `general`?"),
    ({"runs": ["b1", "t1", "t2"], "x_scale": "ln"}, "--x-scale ln: no such scale"),
    ({"runs": ["b1", "b1", "t2"]}, "cannot be compared with itself"),
    ({"group": ["a=b1", "b=t1"], "sensitivity": True}, "do not go with --group"),
    ({"runs": ["b1", "t1", "t2"]}, "b1: no run: it is not there"),
]


@pytest.mark.parametrize("given,message", BAD, ids=[message for _, message in BAD])
def test_what_does_not_fit_is_one_clear_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare([Path(run) for run in given.pop("runs", [])] or None, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
