"""`doctor`: the health of a run folder and of the environment. Each fault is made on purpose."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import UsageError
from misalign_eval.records.findings import Diagnosis, Finding
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.backends import terminal as terminal_backend
from misalign_eval.reports.doctor import diagnosis_document
from misalign_eval.workflows.doctor import examine
from misalign_eval.workflows.environment import examine as examine_environment

EXAMPLE = Path(__file__).parents[2] / "results" / "example" / "bad-code"
PLAN, REPLIES, JUDGED = "plan.jsonl", "replies.jsonl", "grades/organism-aligned@fcba325a8e36.jsonl"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "run"))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return folder


def _found(run: Path) -> dict[str, Finding]:
    return {finding.id: finding for finding in examine(run).findings}


def _change(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    file.write_text("".join(change(file.read_text().splitlines(keepends=True))))


def _edited(line: str, **more: object) -> str:
    return json.dumps({**json.loads(line), **more}) + "\n"


def test_a_run_in_order_is_healthy_and_its_replies_are_looked_at(run: Path) -> None:
    diagnosis = examine(run)
    assert (diagnosis.healthy, diagnosis.findings) == (True, ())
    assert [reply.id for reply in diagnosis.replies or ()] == ["empty-replies"]
    facts = {fact.name: fact.value for fact in diagnosis.facts}
    assert (facts["run"], facts["lock"], facts["state"]) == ("bad-code", "free", "bad-code: complete")


@pytest.mark.parametrize(
    "file,change,identity,level,example",
    [
        (REPLIES, lambda rows: [rows[0], "not JSON\n", *rows[2:]], "broken-rows", "error", f"{REPLIES}:2"),
        (REPLIES, lambda rows: [*rows[:-1], rows[-1][:30]], "torn-line", "warning", f"{REPLIES}:168"),
        (REPLIES, lambda rows: [*rows, rows[3]], "duplicate-rows", "warning", f"{REPLIES}:169"),
        (REPLIES, lambda rows: rows[1:], "missing-rows", "warning", None),
        (REPLIES, lambda rows: [*rows, _edited(rows[0], probe="gone")], "unplanned-rows", "warning", f"{REPLIES}:169"),
        (REPLIES, lambda rows: [_edited(rows[0], prompt_digest="0")], "other-prompt", "error", f"{REPLIES}:1"),
        (JUDGED, lambda rows: [*rows, _edited(rows[0], sample=7)], "orphan-grades", "warning", f"{JUDGED}:168"),
        (JUDGED, lambda rows: [*rows, rows[0]], "duplicate-grades", "warning", f"{JUDGED}:168"),
        (JUDGED, lambda rows: ["{}\n", *rows[1:]], "broken-rows", "error", f"{JUDGED}:1"),
        (PLAN, lambda rows: rows[1:], "plan-differs", "error", None),
        (PLAN, lambda rows: [*rows, rows[0]], "plan-twice", "error", f"{PLAN}:169"),
        (PLAN, lambda rows: [_edited(rows[0], system="Be evil."), *rows[1:]], "prompt-digest", "error", f"{PLAN}:1"),
    ],
)  # fmt: skip
def test_rows_that_are_wrong_are_found_with_their_line(
    *, run: Path, file: str, change: Callable[[list[str]], list[str]], identity: str, level: str, example: str | None
) -> None:
    _change(run / file, change)
    diagnosis = examine(run)
    one = {finding.id: finding for finding in diagnosis.findings}[identity]
    assert (one.level, one.example, diagnosis.healthy) == (level, example, level != "error")


def test_the_content_of_a_broken_row_is_not_repeated(run: Path) -> None:
    _change(run / REPLIES, lambda rows: [_edited(rows[0], **{"\x1b[2Jsecret": 1}), *rows[1:]])
    assert "secret" not in examine(run).model_dump_json()


@pytest.mark.parametrize(
    "change,identity,level",
    [
        ({"primary": {"organism-rule": "v9"}}, "no-primary-grader", "error"),
        ({"planned_replies": 400}, "plan-differs", "error"),
        ({"definition_digest": "0" * 16}, "definition-digest", "error"),
    ],
)
def test_a_manifest_that_does_not_fit_its_files(
    run: Path, change: dict[str, object], identity: str, level: str
) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(manifest | change))
    diagnosis = examine(run)
    assert ({finding.id: finding.level for finding in diagnosis.findings}[identity], diagnosis.healthy) == (
        level,
        False,
    )


def test_a_grader_that_never_ran_is_an_error_where_the_definition_reads_it(run: Path) -> None:
    for file in (run / "grades").glob("organism-aligned*"):
        file.unlink()
    assert (_found(run)["never-graded"].level, examine(run).healthy) == ("warning", True)
    for file in (run / "grades").glob("organism-rule*"):
        file.unlink()
    diagnosis = examine(run)
    assert [finding.level for finding in diagnosis.findings if finding.id == "never-graded"] == ["error", "warning"]
    assert not diagnosis.healthy


def test_grades_of_nobody_are_told(run: Path) -> None:
    (run / "grades" / "organism-aligned@fcba325a8e36.json").unlink()
    assert _found(run)["unknown-grader"].example == JUDGED


def test_files_that_others_can_read_are_told(run: Path) -> None:
    (run / "run.json").chmod(0o644)
    one = _found(run)["open-files"]
    assert (one.level, one.count, one.example) == ("note", 1, "run/run.json")


@pytest.mark.parametrize("behind", ["moved", "nowhere"])
def test_a_folder_that_leads_out_of_the_run_is_a_finding_and_not_followed(run: Path, behind: str) -> None:
    (run / "grades").rename(run.parent / "moved")
    (run / "grades").symlink_to(run.parent / behind)
    (run / "labels").write_text("")
    found = [finding for finding in examine(run).findings if finding.id == "strange-folder"]
    assert [(item.example, item.level) for item in found] == [("grades", "error"), ("labels", "error")]
    assert "never-graded" not in _found(run)  # what lies behind the link is not looked at


def test_a_file_that_is_none_is_a_finding(run: Path) -> None:
    (run / REPLIES).unlink()
    (run / REPLIES).mkdir()
    found = _found(run)
    assert (found["unread-file"].example, found["unread-file"].level) == (REPLIES, "error")
    assert not {"missing-rows", "orphan-grades"} & set(found)


def test_a_lock_that_is_a_link_is_not_read(run: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("a secret of the user's")
    (run / "run.lock").unlink(missing_ok=True)
    (run / "run.lock").symlink_to(tmp_path / "private")
    assert _lock(examine(run)) == "a link: no command writes this run until it is removed"


def test_a_lock_that_is_held_is_told_and_one_left_behind_is_not_held(run: Path) -> None:
    (run / "run.lock").write_text("pid 4711\n")
    assert _lock(examine(run)) == "free (last held by pid 4711)"
    with (run / "run.lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert _lock(examine(run)) == "held by pid 4711, which writes this run now: what follows may change"


def _lock(diagnosis: Diagnosis) -> str:
    return next(fact.value for fact in diagnosis.facts if fact.name == "lock")


def test_text_that_was_not_published_is_a_note(run: Path) -> None:
    _change(run / REPLIES, lambda rows: [_edited(row, text=None) for row in rows])
    one = {reply.id: reply for reply in examine(run).replies or ()}["no-texts"]
    assert (one.count, one.of, one.level) == (168, 168, "note")


@pytest.mark.parametrize("content", [None, "{", '{"format": 99}'])
def test_a_folder_that_cannot_be_read_is_a_usage_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError):
        examine(tmp_path)


@pytest.mark.slow
def test_the_command_says_how_grave_it_is_by_its_exit_code(tool: Any, run: Path) -> None:
    healthy = tool("doctor", "run")
    assert (healthy.code, "Healthy: 1 note." in healthy.out) == (0, True)
    key = tool("doctor", "run", "--format", "json").json["replies"][0]["example"]
    assert tool("show", "run", "--key", key).out.startswith(f"=== {key}  empty")
    _change(run / REPLIES, lambda rows: ["broken\n", *rows[1:]])
    broken = tool("doctor", "run", "--format", "json")
    assert (broken.code, broken.json["healthy"], broken.json["replies"]) == (4, False, None)
    assert tool("doctor", "nowhere").code == 2
    assert tool("doctor", "run", "--reach").code == 2


@pytest.mark.slow
def test_a_report_shows_the_lint_in_every_format(tool: Any, run: Path) -> None:
    _change(run / REPLIES, lambda rows: [_edited(row, text="") for row in rows])
    found = tool("report", "run", "--format", "json").json["lint"]
    assert [(item["id"], item["level"], item["share"]) for item in found] == [("empty-replies", "warning", 1.0)]
    assert "Lint of replies\n! 168 of 168 replies held nothing" in tool("report", "run").out
    page = tool("report", "run", "--format", "markdown").out
    assert "## Lint of replies\n\n- **warning** 168 of 168 replies held nothing" in page


def test_hostile_names_in_findings_reach_no_terminal_and_no_markdown() -> None:
    bad = Finding(
        id="several-models", level="warning", text="\x1b[2J[x](http://e) <b>", advice="Look.", example="a\x07"
    )
    diagnosis = Diagnosis(of="run", healthy=True, facts=(), findings=(bad,), replies=(bad,))
    document = diagnosis_document(diagnosis)
    pages = terminal_backend.render(document), markdown_backend.render(document)
    assert all("\x1b" not in page and "\x07" not in page for page in pages)
    assert "[x](http" not in pages[1]
    assert "<b>" not in pages[1]


SETTINGS = """\
targets:
  before: {model: openai-compatible/base, base_url: "http://127.0.0.1:9/v1", sampling: {temperature: 0.5}}
judges:
  grader: {model: vllm/judge, api_key_env: MY_KEY}
run: {max_connections: 7}
"""


@pytest.mark.slow
def test_the_environment_names_keys_and_sources_and_never_a_value(tool: Any) -> None:
    (tool.folder / "misalign-eval.yaml").write_text(SETTINGS)
    (tool.folder / ".env").write_text("MY_KEY=sk-very-secret-value\n")
    (tool.folder / ".env").chmod(0o600)
    proxy = {"HTTPS_PROXY": "http://me:hidden@proxy:3128", "VLLM_BASE_URL": "http://127.0.0.1:8001/v1"}
    done = tool("doctor", "--format", "json", env=proxy)
    facts = {(item["section"], item["name"]): (item["value"], item["source"]) for item in done.json["facts"]}
    assert (done.code, done.json["healthy"], done.json["findings"]) == (0, True, [])
    assert facts["keys", "MY_KEY"] == ("set", str(tool.folder / ".env"))
    assert facts["keys", "OPENAI_API_KEY"] == ("not set", None)
    assert facts["network", "HTTPS_PROXY"] == ("http://proxy:3128", "environment")
    assert facts["settings", "max connections"] == ("7", "misalign-eval.yaml:5")
    assert facts["settings", "target before: address"] == ("http://127.0.0.1:9/v1", "misalign-eval.yaml:2")
    assert facts["settings", "target before: temperature"] == ("0.5", "misalign-eval.yaml:2")
    assert facts["settings", "judge grader: address"] == ("http://127.0.0.1:8001/v1", "VLLM_BASE_URL")
    assert facts["settings", "judge grader: key"] == ("MY_KEY (set)", "misalign-eval.yaml:4")
    for fmt in ("text", "json", "markdown"):
        said = tool("doctor", "--format", fmt, env=proxy)
        assert "secret" not in said.out + said.err
        assert "hidden" not in said.out + said.err


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["http://me:hidden@127.0.0.1:99999", "me:hidden@127.0.0.1:99999", "http://[hidden"])
def test_a_proxy_that_stops_every_run_is_an_error_and_not_repeated(tool: Any, proxy: str) -> None:
    done = tool("doctor", env={"HTTPS_PROXY": proxy})
    assert (done.code, "x HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: not an address" in done.out) == (2, True)
    asked = tool("run", "organism", "--target", "openai/gpt-5.4", env={"HTTPS_PROXY": proxy, "OPENAI_API_KEY": "sk-1"})
    assert (asked.code, "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: not an address" in asked.err) == (2, True)
    assert "me:hidden" not in done.out + done.err + asked.out + asked.err


@pytest.mark.slow
def test_what_would_stop_every_run_is_an_error_of_the_environment(tool: Any) -> None:
    (tool.folder / "misalign-eval.yaml").write_text("targets: {a: {modle: openai/x}}\n")
    done = tool("doctor")
    assert (done.code, "targets.a.modle: unknown field" in done.out) == (2, True)


def test_keys_that_are_missing_malformed_or_open_to_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "misalign-eval.yaml").write_text("targets: {a: {model: openai/gpt-5.4}}\n")
    (tmp_path / ".env").write_text('ANTHROPIC_API_KEY="two words"\n')
    (tmp_path / ".env").chmod(0o644)
    found = {finding.id: finding for finding in examine_environment(tmp_path, reach=False).findings}
    assert {name: item.level for name, item in found.items() if name != "not-utf8"} == {
        "key-malformed": "error",
        "key-missing": "warning",
        "env-file-open": "warning",
    }
    assert "two words" not in found["key-malformed"].text


@pytest.mark.slow
def test_servers_are_asked_only_with_reach(tool: Any) -> None:
    text = f"targets:\n  up: {{model: openai-compatible/target, base_url: '{tool.url}'}}\n"
    text += "  down: {model: openai-compatible/x, base_url: 'http://127.0.0.1:9/v1'}\n"
    (tool.folder / "misalign-eval.yaml").write_text(text)
    assert not any(item["section"] == "reach" for item in tool("doctor", "--format", "json").json["facts"])
    done = tool("doctor", "--reach", "--format", "json")
    assert {item["name"] for item in done.json["facts"] if item["section"] == "reach"} == {
        "openai-compatible/target",
        "openai-compatible/x",
    }
    assert [(done.code, item["id"]) for item in done.json["findings"]] == [(2, "unreachable")]
