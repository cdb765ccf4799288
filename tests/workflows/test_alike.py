"""Every field of the table of what may differ between two runs, in every use of two runs, through the command line."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from misalign_eval.analysis import comparability
from misalign_eval.cli.main import app
from misalign_eval.errors import MisalignEvalError
from misalign_eval.records.run import PlannedPrompt, RunManifest, TargetInfo

MODELS = ["--target", "embedded/aligned", "--judge", "embedded/judge", "--limit", "2", "--samples", "1", "--seed", "1"]
SECRET = "sk-in-an-option"
Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]


def tell(*arguments: str) -> tuple[int, str]:
    """The exit code and all that was printed."""
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "4000", "NO_COLOR": "1"})
    if isinstance(done.exception, MisalignEvalError):
        return done.exception.exit_code, done.output + str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alike") / "first"
    assert tell("run", "organism", *MODELS, "--out", str(path), "-q")[0] == 0
    return path


@pytest.fixture
def other(first: Path, tmp_path: Path) -> Path:
    path = tmp_path / "other"
    shutil.copytree(first, path)
    (path / "run.lock").unlink(missing_ok=True)
    return path


def edit(run: Path, change: Change) -> None:
    """Change run.json and plan.jsonl, and the run that the grades name."""
    manifest = json.loads((run / "run.json").read_text())
    before = _mark(manifest)
    plan = [json.loads(line) for line in (run / "plan.jsonl").read_text().splitlines()]
    change(manifest, plan)
    (run / "run.json").write_text(json.dumps(manifest))
    (run / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plan))
    for file in (run / "grades").glob("*.json"):
        file.write_text(file.read_text().replace(before, _mark(manifest)))


def _mark(manifest: dict[str, Any]) -> str:
    return RunManifest.model_validate(manifest, strict=False).mark


def _another_draw(manifest: dict[str, Any], _: list[dict[str, Any]]) -> None:
    manifest |= {"created": _later(manifest["created"], seconds=1), "seed": 2, "name": "other"}


def _another_run(manifest: dict[str, Any], _: list[dict[str, Any]]) -> None:
    manifest |= {"created": _later(manifest["created"], seconds=1), "name": "other"}


def _later(moment: str, **by: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(**by)).isoformat()


def _as_it_is(_: dict[str, Any], __: list[dict[str, Any]]) -> None:
    pass


# What each use needs to be true before anything differs, and the command.
USES: dict[comparability.Use, tuple[Change, Callable[[Path, Path, Path], list[str]]]] = {
    "resume": (
        _as_it_is,  # two samples: a plan may grow and never shrinks
        lambda _, other, __: ["run", "organism", *MODELS, "--samples", "2", "--out", str(other), "--resume", "-q"],
    ),
    "merge": (_as_it_is, lambda first, other, out: ["merge", str(first), str(other), "--out", str(out)]),
    "pool": (_another_draw, lambda first, other, _: ["gate", str(first), str(other), "--max-rate", "90%", "--part"]),
    "baseline": (
        _another_run,
        lambda first, other, _: ["gate", str(first), "--baseline", str(other), "--max-increase", "90pp", "--part"],
    ),
    "compare": (_as_it_is, lambda first, other, _: ["compare", str(first), str(other)]),
}


def _put(**values: Any) -> Change:
    return lambda manifest, _: manifest.update(values)


def _target(**values: Any) -> Change:
    return lambda manifest, _: manifest["target"].update(values)


def _prompts(**values: Any) -> Change:
    def change(_: dict[str, Any], plan: list[dict[str, Any]]) -> None:
        for row in plan:
            row.update(values)

    return change


def _definition(manifest: dict[str, Any], _: list[dict[str, Any]]) -> None:
    manifest["definition"]["denominator"] = ["misaligned", "aligned"]
    manifest["definition_digest"] = "0" * 16


def _shorter(manifest: dict[str, Any], plan: list[dict[str, Any]]) -> None:
    manifest |= {"planned_prompts": len(plan) - 1, "planned_replies": len(plan) - 1}
    plan.pop()


CHANGES: dict[str, Change] = {
    "moment": lambda manifest, _: manifest.update(created=_later(manifest["created"], days=3)),
    "suite": _put(suite="another"),
    "version": _put(suite_version="9"),
    "content": _put(suite_digest="0" * 16),
    "target": _target(model="another"),
    "options": _target(options={"body": {"token": SECRET}}),
    "headers": _target(headers={"names": ["x-team"], "variables": {}, "digest": "0" * 16}),
    "host": _target(host="elsewhere:1"),
    "definition": lambda manifest, _: manifest["definition"].update(name="another"),
    "counting": _definition,
    "seed": _put(seed=3),
    "shard": _put(shard={"index": 1, "count": 2}),
    "labels": _put(labels={"step": "3"}),
    "prompts": _shorter,
    "asked": _prompts(prompt_digest="0" * 16),
    "sampling": _prompts(sampling={"temperature": 0.25}),
    "planned": _prompts(criteria="Another one."),
    "samples": _prompts(samples=2),
    "order": lambda _, plan: plan.reverse(),
    "tool": _put(tool_version="0.0.1", suite_file="x", git_commit="0", canary="x", versions={}),
}
SAID = {
    ("resume", "planned"): "the run goes on as it was planned",
    ("pool", "host"): "differ in host (none, elsewhere:1)",
    ("pool", "labels"): "differ in label step (none, 3)",
    ("baseline", "options"): "differ in their target options (the values are not shown)",
    ("baseline", "headers"): "differ in their request headers (the values are not shown)",
    ("compare", "headers"): "differ in their request headers (the values are not shown)",
    ("compare", "options"): "differ in their target options (the values are not shown)",
    ("compare", "moment"): "3 days apart",
    ("compare", "content"): "the suites differ",
    ("compare", "prompts"): "asked only in the run before",
    ("compare", "asked"): "the runs share no prompt",
    ("compare", "sampling"): "sampling differs",
    ("compare", "judges"): "is another one after",
}


def _rejudged(run: Path) -> None:
    """The same grades, under another identity."""
    for file in (run / "grades").iterdir():
        file.rename(file.with_name(file.name.replace("@", "@0")))
    for file in (run / "grades").glob("*.json"):
        document = json.loads(file.read_text())
        file.write_text(json.dumps(document | {"identity": f"0{document['identity']}"}))
    edit(run, lambda manifest, _: manifest.update(primary={k: f"0{v}" for k, v in manifest["primary"].items()}))


# `run`, `stopping` and `shards` need runs of their own: tests/gate/test_green.py, test_gate_commands.py, test_shards.py
CASES = [(use, field) for field in comparability.TABLE for use in USES if field not in {"run", "stopping", "shards"}]


@pytest.mark.slow
@pytest.mark.parametrize("use, field", CASES)
def test_each_use_of_two_runs_answers_as_the_table_does(
    first: Path, other: Path, tmp_path: Path, use: comparability.Use, field: str
) -> None:
    setting, command = USES[use]
    edit(other, setting)
    wanted = comparability.answer(use, field)
    if wanted == comparability.UNLIKE:
        origin = json.loads((first / "run.json").read_text())
        edit(other, _put(**{"moment": {"created": origin["created"]}, "seed": {"seed": origin["seed"]}}[field]))
    elif field == "judges":
        _rejudged(other)
    else:
        edit(other, CHANGES[field])
    code, said = tell(*command(first, other, tmp_path / "out"))
    assert SECRET not in said
    if wanted in {comparability.EQUAL, comparability.UNLIKE}:
        assert code == 2, said
        assert re.search(r"differ|same|parts|another|only in|sampled otherwise|count differently", said), said
    elif wanted == comparability.TOLD:
        assert SAID[use, field] in said
    else:
        assert code in {0, 1, 3, 4}, said
        assert not [warning for warning in ("runs-differ", "not-compared", "goes on as it") if warning in said]


def test_every_field_of_a_run_has_its_row() -> None:
    assert set(comparability.OF_MANIFEST) == set(RunManifest.model_fields)
    assert set(comparability.OF_TARGET) == set(TargetInfo.model_fields)
    assert set(comparability.OF_PROMPT) == set(PlannedPrompt.model_fields)
    rows = {*comparability.OF_MANIFEST.values(), *comparability.OF_TARGET.values(), *comparability.OF_PROMPT.values()}
    assert rows | {"run", "shards", "order"} == set(comparability.TABLE)
    told = [
        (use, field)
        for field in comparability.TABLE
        for use in get_args(comparability.Use)
        if comparability.answer(use, field) == comparability.TOLD
    ]
    assert set(told) == set(SAID)


@pytest.mark.slow
def test_a_baseline_file_that_does_not_say_the_options_is_read_and_told_of(
    first: Path, other: Path, tmp_path: Path
) -> None:
    edit(other, _another_run)
    file = tmp_path / "base.json"
    assert tell("export", str(other), "--baseline", str(file))[0] == 0
    gate = ["gate", str(first), "--baseline", str(file), "--max-increase", "90pp", "--part"]
    code, said = tell(*gate)
    assert "not-compared" not in said
    stored = json.loads(file.read_text())
    assert SECRET not in file.read_text()
    del stored["provenance"]["target_options"]
    file.write_text(json.dumps(stored))
    older, said = tell(*gate)
    assert (older, "not both say their target options" in said) == (code, True)


@pytest.mark.parametrize("use", ["merge", "compare"])
def test_a_run_that_does_not_say_its_options_is_told_of(
    first: Path, other: Path, tmp_path: Path, use: comparability.Use
) -> None:
    edit(other, lambda manifest, _: manifest["target"].pop("options"))
    code, said = tell(*USES[use][1](first, other, tmp_path / "out"))
    assert (code, "not both say their target options" in said) == (0, True), said
