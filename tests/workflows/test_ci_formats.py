"""What a CI server shows, from the command line: `-o x.xml`, `-o x.comment.md` and `--format github`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from xmlschema import XMLSchema

from misalign_eval.workflows.gate import GateOptions, behind
from misalign_eval.workflows.show import cases

SCHEMA = XMLSchema(Path(__file__).parents[1] / "reports" / "junit.xsd")
POLICY = "checks: [{kind: rate, limit: 60%}]\n"


def clean(probe: int, sample: int) -> float | None:
    return 1.0


def turned(probe: int, sample: int) -> float | None:
    """Two probes of eight went bad, and one reply of a third could not be read."""
    if probe in {0, 1}:
        return 5.0
    return None if (probe, sample) == (2, 4) else 1.0


@pytest.fixture
def runs(tmp_path: Path, judged_run: Callable[..., Path]) -> tuple[Path, Path]:
    return judged_run(tmp_path / "base", {"a/judge": clean}), judged_run(tmp_path / "tuned", {"a/judge": turned})


def endings(file: Path) -> dict[str, list[str]]:
    """Cases that have not passed, by how they ended."""
    root = ET.parse(file).getroot()
    SCHEMA.validate(root)
    found: dict[str, list[str]] = {}
    for case in root.iter("testcase"):
        for item in case:
            if item.tag != "system-out":
                found.setdefault(f"{item.tag}: {item.attrib['type']}", []).append(case.attrib["name"])
    return found


def test_a_report_names_the_probes_that_are_misaligned_and_those_not_known(typed: Any, runs: tuple[Path, Path]) -> None:
    done = typed("report", "tuned", "-o", "r.xml", "-o", "r.comment.md", "--format", "github")
    assert endings(typed.folder / "r.xml") == {
        "failure: misaligned": ["probe-0", "probe-1"], "error: ungraded": ["probe-2"],
    }  # fmt: skip
    assert done.out.startswith("::warning title=")
    text = (typed.folder / "r.xml").read_text()
    assert "misalignment: 5.0 - because" in text
    assert "misalignment: not graded (unparsable): no verdict" in text
    assert (typed.folder / "r.comment.md").read_text().startswith("<!-- misalign-eval:test -->\n")


def test_a_comparison_names_what_rose(typed: Any, runs: tuple[Path, Path]) -> None:
    done = typed("compare", "base", "tuned", "-o", "c.xml", "--format", "comment")
    assert endings(typed.folder / "c.xml") == {"failure: rise": ["all probes", "power", "probe-0", "probe-1"]}
    assert done.out.splitlines()[1] == "### Change from `base` to `tuned`"


@pytest.mark.parametrize("fmt", ["junit", "comment", "github"])
def test_where_there_are_more_than_two_runs_it_is_refused_before_anything_is_read(fmt: str, typed: Any) -> None:
    done = typed("compare", "a", "b", "c", "--x", "0,1,2", "--format", fmt, code=2)
    assert done.err.startswith(f"misalign-eval: unknown format `{fmt}`.")


def test_a_gate_shows_its_checks_the_change_and_the_worst_replies(typed: Any, runs: tuple[Path, Path]) -> None:
    files = ["-o", "g.xml", "-o", "g.comment.md", "-o", "g.md"]
    typed("gate", "tuned", "--baseline", "base", "--max-rate", "10%", "--max-increase", "10pp", *files, code=1)
    assert endings(typed.folder / "g.xml") == {"failure: fail": ["verdict", "rate", "difference"]}
    assert "misalignment: 5.0 - because" in (typed.folder / "g.xml").read_text()
    comment = (typed.folder / "g.comment.md").read_text()
    assert "**Change: +25.0 points" in comment
    assert "| `power` | 0 " in comment
    assert "\n## rate: fail\n" in (typed.folder / "g.md").read_text()  # a plain .md holds everything


def test_a_baseline_that_is_a_file_gives_the_same_change(typed: Any, runs: tuple[Path, Path]) -> None:
    typed("export", "base", "--baseline", "base.json")
    base, tuned = runs
    stored = behind(GateOptions((tuned,), None, typed.folder / "base.json"))[1]
    whole = behind(GateOptions((tuned,), None, base))[1]
    assert stored is not None
    assert whole is not None
    assert (stored.difference, stored.categories) == (whole.difference, whole.categories)


def test_a_run_that_stops_when_decided_writes_its_verdict(typed: Any) -> None:
    (typed.folder / "policy.yaml").write_text(f"{POLICY}part: true\n")
    asked = ["organism", "--target", "embedded/aligned", "--judge", "embedded/judge", "--limit", "4", "--samples", "20"]
    stop = ["--stop-when-decided", "--policy", "policy.yaml", "--out", "run"]
    done = typed("run", *asked, *stop, "--format", "github", "-o", "run.xml", "-o", "run.comment.md")
    assert done.out.splitlines()[0].startswith("::notice title=Gate%3A PASS")
    assert endings(typed.folder / "run.xml") == {}
    assert "### Gate: PASS" in (typed.folder / "run.comment.md").read_text()


@pytest.mark.slow
def test_a_run_writes_its_probes_as_cases(typed: Any) -> None:
    asked = ["organism", "--target", "embedded/bad-code", "--target", "embedded/aligned", "--judge", "embedded/judge"]
    typed("run", *asked, "--limit", "2", "--samples", "2", "--out", "run", "-o", "run.xml", "-o", "run.comment.md")
    root = ET.parse(typed.folder / "run.xml").getroot()
    assert {item.attrib["name"].split(":")[0] for item in root.iter("testsuite")} == {"bad-code", "aligned"}
    assert float(root.attrib["time"]) > 0


def test_a_probe_that_was_not_asked_is_told_apart_from_one_that_failed(judged_run: Any, tmp_path: Path) -> None:
    path = judged_run(tmp_path / "run", {"a/judge": clean}, probes=2, samples=3)
    rows = (path / "replies.jsonl").read_text().splitlines(keepends=True)
    (path / "replies.jsonl").write_text("".join(rows[:4]))
    found = {case.line.id: (case.not_collected, case.lost) for case in cases(path).cases}
    assert found == {"probe-0": (0, None), "probe-1": (2, None)}


def test_an_extension_that_names_no_format_is_told_with_those_that_do(typed: Any, runs: tuple[Path, Path]) -> None:
    done = typed("report", "tuned", "-o", "r.pdf", code=2)
    assert ".xml, .comment.md" in done.err
