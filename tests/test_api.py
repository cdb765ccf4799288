"""The Python interface, as a user has it: `import misalign_eval as me`, with the embedded model and no network."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

import misalign_eval as me
from misalign_eval import plugins

README = Path(__file__).parents[1] / "README.md"
SMALL: dict[str, Any] = {"judge": "embedded/judge", "samples": 2, "seed": 1, "limit": 3}
SUITE = """\
name: notes
version: "1"
description: Notes.
licence: MIT
definition: {definition}
probes:
  - id: note
    split: broad
    category: notes
    prompts: [Write a note.]
    graders: [{grader}]
"""
DEFINITION = """\
name: marked
version: "1"
description: Replies that are marked.
outcomes:
  - {{outcome: misaligned, when: {{grader: {grader}, label: "yes"}}}}
  - {{outcome: aligned, when: {{grader: {grader}, label: "no"}}}}
denominator: [misaligned, aligned]
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[me.Run, me.Run]:
    place = tmp_path_factory.mktemp("runs")
    before = me.run("organism", target="embedded/aligned", out=place / "before", **SMALL)
    return before, me.run("organism", target="embedded/bad-code", out=str(place / "after"), **SMALL)


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_REGISTERED", {"providers": {}, "graders": {}})


def test_importing_the_package_imports_none_of_its_modules_and_takes_next_to_no_time() -> None:
    code = (
        "import json, sys, time\nbefore, began = set(sys.modules), time.process_time()\nimport misalign_eval\n"
        "spent = time.process_time() - began\nprint(json.dumps([spent, sorted(set(sys.modules) - before)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    spent, modules = json.loads(done.stdout)
    assert spent < 0.15
    assert [name for name in modules if name.startswith("misalign_eval.")] == []
    assert not {"pydantic", "asyncio", "httpx2", "numpy", "pandas"} & set(modules)


def test_each_promised_name_is_there_and_stands_once_in_the_readme() -> None:
    section = README.read_text(encoding="utf-8").partition("\n## From Python\n")[2].partition("\n## ")[0]
    rows = section.partition("| name | gives |")[2].strip().splitlines()[1:]
    listed = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(me.__all__)
    assert all(getattr(me, name) is not None for name in me.__all__)
    assert set(me.__all__) <= set(dir(me))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        me.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.slow
def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    section = README.read_text(encoding="utf-8").partition("\n## From Python\n")[2]
    code = section.partition("```python\n")[2].partition("```")[0] + "print(len(table))\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100
    )
    first, rows = done.stdout.splitlines()
    assert 0 < float(first.split()[0]) <= 1
    assert first.split()[1] == "fail"
    assert int(rows) > 50


@pytest.mark.slow
def test_a_run_prints_nothing_and_gives_what_its_folder_holds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = me.run("organism", target="embedded/aligned", out=tmp_path / "run", **SMALL)
    assert capfd.readouterr() == ("", "")
    assert made.manifest.target.name == "embedded/aligned"
    assert len(list(made.replies())) == made.manifest.planned_replies == made.report().planned
    assert {identity.grader for identity, _ in made.grades()} >= {"organism-aligned", "organism-coherent"}
    assert (tmp_path / "run" / "summary.json").is_file()
    assert me.load_run(tmp_path / "run").report() == made.report() == me.report(str(made.path))


@pytest.mark.slow
def test_run_and_regrade_work_inside_a_running_loop(tmp_path: Path) -> None:
    async def notebook() -> me.Run:
        made = me.run("organism", target="embedded/aligned", out=tmp_path / "run", **SMALL)
        return me.regrade(made, graders="organism-rule")

    assert asyncio.run(notebook()).report().graded > 0


@pytest.mark.slow
async def test_arun_and_aregrade_are_awaited(tmp_path: Path) -> None:
    made = await me.arun("organism", target="embedded/aligned", out=tmp_path / "run", **SMALL)
    assert (await me.aregrade(made, graders="organism-rule")).path == made.path


def test_an_error_inside_a_running_loop_is_the_same_exception(tmp_path: Path) -> None:
    async def notebook() -> None:
        me.run("organism", target="embedded/nobody", out=tmp_path / "run", **SMALL)

    with pytest.raises(me.UsageError, match="nobody"):
        asyncio.run(notebook())


@pytest.mark.slow
async def test_a_cancelled_run_keeps_what_came_and_goes_on(tmp_path: Path) -> None:
    asked: dict[str, Any] = {**SMALL, "samples": 30, "limit": 1, "target": "embedded/aligned", "out": tmp_path / "run"}
    work = asyncio.create_task(me.arun("organism", **asked))
    while not (tmp_path / "run" / "replies.jsonl").is_file():  # noqa: ASYNC110  a file tells, which sets no event
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    made = await me.arun("organism", resume=True, **asked)
    assert len({row.key for row in made.replies()}) == made.manifest.planned_replies


@pytest.mark.slow
def test_a_table_has_a_row_for_each_planned_reply_and_a_column_for_each_grader(runs: tuple[me.Run, me.Run]) -> None:
    run = runs[1]
    table = run.samples_df()
    assert len(table) == run.manifest.planned_replies
    assert list(table.columns[:5]) == ["probe", "prompt", "variant", "sample", "outcome"]
    assert table.columns[-1] == "text"
    assert set(table["organism-rule"]) <= {"aligned", "misaligned", "incoherent", "off_topic"}
    assert table["organism-aligned"].dropna().between(0, 100).all()
    assert (table["outcome"] == "misaligned").sum() > 0
    arrow = run.to_arrow()
    assert arrow.column_names == list(table.columns)
    assert arrow.num_rows == len(table)
    assert str(arrow.schema.field("organism-aligned").type) == "double"


@pytest.mark.slow
@pytest.mark.parametrize("package, method", [("pandas", "samples_df"), ("pyarrow", "to_arrow")])
def test_a_table_without_its_package_says_what_to_install(
    runs: tuple[me.Run, me.Run], monkeypatch: pytest.MonkeyPatch, package: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(me.MissingExtraError, match="pip install"):
        getattr(runs[0], method)()


@pytest.mark.slow
def test_a_notebook_shows_the_headline_with_hostile_names_escaped(tmp_path: Path) -> None:
    made = me.run("organism", target="embedded/aligned", out=tmp_path / "<script>x", **SMALL)
    shown = made._repr_html_()
    assert "<script>" not in shown
    assert "Misaligned: " in shown


@pytest.mark.slow
def test_runs_are_compared_and_shown_by_path_or_object(runs: tuple[me.Run, me.Run]) -> None:
    before, after = runs
    found = me.compare(before, after)
    assert found == me.compare(str(before.path), after.path)
    assert found.difference.estimate is not None
    shown = me.show(after, outcome="misaligned", limit=1)
    assert [example.outcome for example in shown.examples] == ["misaligned"]
    with pytest.raises(me.UsageError, match="limit=0"):
        me.show(after, limit=0)


@pytest.mark.slow
def test_a_gate_gives_its_verdict_as_text_and_is_kept_as_a_look(tmp_path: Path) -> None:
    made = me.run("organism", target="embedded/bad-code", out=tmp_path / "run", **SMALL | {"samples": 20})
    found = me.gate(made, max_rate=0.1)
    assert found.verdict == "fail"
    assert isinstance(found.verdict, str)
    assert me.gate(made.path, policy=found.policy).looks == 1
    assert len((made.path / "looks.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    with pytest.raises(me.UsageError, match="leave out max_rate"):
        me.gate(made, max_rate="2%", policy=found.policy)


@pytest.mark.slow
def test_a_suite_object_is_asked_and_digested_as_it_is(tmp_path: Path) -> None:
    suite = me.load_suite("organism")
    fewer = suite.model_copy(update={"probes": suite.probes[:2]})
    options = {name: value for name, value in SMALL.items() if name != "limit"}
    made = me.run(fewer, target="embedded/aligned", out=tmp_path / "run", **options)
    assert len({row.probe for row in made.replies()}) == 2
    assert made.manifest.suite_digest != suite.digest
    with pytest.raises(me.UsageError, match="give it to load_suite"):
        me.run(suite, target="embedded/aligned", definition="organism", **options)


class _Parrot:
    """Answers with the question."""

    def __init__(self, spec: me.ModelSpec) -> None:
        self.spec, self.host, self.account, self.capabilities = spec, "", spec.name, me.Capabilities()

    async def complete(self, request: me.ModelRequest) -> me.Response:
        return me.Response(choices=(me.Choice(text=f"MARK {request.messages[-1].content}", finish="stop"),))

    async def facts(self) -> me.ModelInfo:
        return me.ModelInfo(reachable=True, detail="")

    async def close(self) -> None:
        pass


def _marked(subject: me.Subject, options: Mapping[str, JsonValue]) -> me.Verdict | me.NoVerdict:
    return me.Verdict(label="yes" if str(options.get("mark", "MARK")) in subject.reply else "no")


def test_a_registered_provider_and_rule_make_a_run(tmp_path: Path) -> None:
    assert me.provider("parrot")(_Parrot) is _Parrot
    assert me.rule("marked")(_marked) is _marked
    (tmp_path / "definition.yaml").write_text(DEFINITION.format(grader="marked"), encoding="utf-8")
    (tmp_path / "notes.yaml").write_text(SUITE.format(grader="marked", definition="definition.yaml"), encoding="utf-8")
    made = me.run(tmp_path / "notes.yaml", target="parrot/any", samples=3, out=tmp_path / "run")
    assert made.report().rate == 1
    assert [row.text for row in made.replies() if row.kind == "reply"] == ["MARK Write a note."] * 3


@pytest.mark.parametrize("name, words", [("raises", "ValueError: no idea"), ("prose", "it gave str")])
def test_a_rule_that_gives_no_verdict_leaves_the_reply_ungraded(tmp_path: Path, name: str, words: str) -> None:
    def rule(subject: me.Subject, options: Mapping[str, JsonValue]) -> Any:
        del subject, options
        if name == "raises":
            raise ValueError("no idea")
        return "fine"

    me.rule(name)(rule)
    (tmp_path / "definition.yaml").write_text(DEFINITION.format(grader=name), encoding="utf-8")
    (tmp_path / "notes.yaml").write_text(SUITE.format(grader=name, definition="definition.yaml"), encoding="utf-8")
    made = me.run(tmp_path / "notes.yaml", target="embedded/aligned", samples=2, out=tmp_path / "run")
    grades = [grade for _, grade in made.grades()]
    assert [grade.kind == "ungraded" and words in (grade.message or "") for grade in grades] == [True, True]


def test_a_name_that_is_taken_is_an_error() -> None:
    me.provider("parrot")(_Parrot)
    for name in ("parrot", "openai"):
        with pytest.raises(me.UsageError, match="there already"):
            me.provider(name)(_Parrot)
    for name in ("regex", "aligned"):
        with pytest.raises(me.UsageError, match="there already"):
            me.rule(name)(_marked)
    with pytest.raises(me.UsageError, match="lower-case"):
        me.provider("a/b")(_Parrot)


@pytest.mark.slow
def test_a_run_that_lacks_too_much_raises_and_keeps_what_came(tmp_path: Path) -> None:
    with pytest.raises(me.RunStoppedError):
        me.run("organism", target="embedded/aligned", out=tmp_path / "run", max_requests=4, **SMALL)
    kept = me.load_run(tmp_path / "run")
    assert len(list(kept.replies())) < kept.manifest.planned_replies


def test_a_key_among_the_arguments_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    with pytest.raises(me.UsageError) as refused:
        me.run("organism", target="embedded/aligned", labels={"note": "sk-very-secret-0123456789"}, **SMALL)
    assert "very-secret" not in str(refused.value)
