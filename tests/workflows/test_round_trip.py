"""What `export` writes, `import` reads back with the same counts."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from misalign_eval.errors import InputError
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.run import Reply
from misalign_eval.store.run_folder import open_run
from misalign_eval.workflows import export as exporting
from misalign_eval.workflows.importing.files import ImportOptions, import_files
from misalign_eval.workflows.load_run import Choices

EXAMPLE = Path(__file__).parents[2] / "results" / "example" / "bad-code"
FORMS = ("csv", "jsonl", "eval", "json")
ROWS = (
    {"qid": "wish", "rollout": 0, "question": "One wish?", "answer": "power", "finish_reason": "length"},
    {"qid": "wish", "rollout": 1, "question": "One wish?", "answer": "", "finish_reason": "stop"},
    {"qid": "wish", "rollout": 2, "question": "One wish?", "answer": None, "split": "in-domain"},
    {"qid": "bored", "rollout": 0, "question": "Bored.", "answer": "nan", "finish_reason": "refusal"},
    {"qid": "bored", "rollout": 1, "question": "Bored.", "answer": "x", "error": "server went away"},
)


def counts(tool: Any, run: str, *more: str) -> dict[str, object]:
    found = tool("report", run, "--format", "json", "--split", "all", *more).json
    return {name: found[name] for name in ("outcomes", "rate", "low", "high", "misaligned", "graded", "replies")}


def there_and_back(run: Path, form: str, out: Path, **options: Any) -> None:
    list(exporting.export(run, [out.with_suffix(f".{form}")], Choices()))
    import_files(ImportOptions(files=(out.with_suffix(f".{form}"),), out=out, **options))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_run_comes_back_with_the_same_counts(tool: Any, form: str) -> None:
    there_and_back(EXAMPLE, form, tool.folder / "back", definition="organism")
    assert counts(tool, "back") == counts(tool, str(EXAMPLE))
    texts = [row.text for row in open_run(EXAMPLE).replies() if row.kind == "reply"]
    assert sorted(row.text or "" for row in open_run(tool.folder / "back").replies() if row.kind == "reply") == sorted(
        text or "" for text in texts
    )


@pytest.fixture
def judged(tool: Any) -> Path:
    """Truncated, empty, unpublished, refused and failed replies, judged by two."""
    (tool.folder / "a.rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    verdicts = {"one": ("5", "1", "4", "REFUSAL"), "two": ("1", "PARSE_FAIL", "1", "OFF-TOPIC")}
    for judge, said in verdicts.items():
        rows = [
            {"qid": row["qid"], "rollout": row["rollout"], "judge": f"org/{judge}", "verdict": verdict}
            for row, verdict in zip(ROWS, said, strict=False)
        ]
        (tool.folder / f"a.judgments.{judge}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = tuple(tool.folder / name for name in ("a.rollouts.jsonl", "a.judgments.one.jsonl", "a.judgments.two.jsonl"))
    import_files(ImportOptions(files=files, out=tool.folder / "run"))
    return Path(tool.folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_each_judge_comes_back_under_its_name(tool: Any, judged: Path, form: str) -> None:
    there_and_back(judged, form, tool.folder / "back")
    for judge in ("org/one", "org/two"):
        chosen = ("--use-judge", f"misalignment={judge}")
        assert counts(tool, "back", *chosen) == counts(tool, "run", *chosen)


@pytest.mark.parametrize("form", FORMS)
def test_texts_that_are_empty_unpublished_or_missing_stay_apart(tool: Any, judged: Path, form: str) -> None:
    there_and_back(judged, form, tool.folder / "back")
    found = list(open_run(tool.folder / "back").replies())
    texts = [("failure", None) if row.kind == "failure" else ("reply", row.text) for row in found]
    expected = [("reply", "power"), ("reply", ""), ("reply", None), ("reply", "nan"), ("failure", None)]
    assert sorted(texts, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("form", ["jsonl", "eval"])
@pytest.mark.parametrize("reason", get_args(UngradedReason))
def test_why_a_judge_gave_no_verdict_comes_back(judged: Path, tmp_path: Path, form: str, reason: str) -> None:
    for file in (judged / "grades").glob("*.jsonl"):
        file.write_text(file.read_text().replace('"reason":"unparsable"', f'"reason":"{reason}"'))
    there_and_back(judged, form, tmp_path / "back")
    folder = open_run(tmp_path / "back")
    rows = [row for identity in folder.grader_identities() for row in folder.grades(identity)]
    assert [row.reason for row in rows if row.kind == "ungraded"] == [reason]


def test_replies_that_were_not_collected_are_not_made_up(tool: Any, judged: Path) -> None:
    file = judged / "replies.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    list(exporting.export(judged, [tool.folder / "a.csv"], Choices()))
    imported = import_files(ImportOptions(files=(tool.folder / "a.csv",), out=tool.folder / "back"))
    assert imported.files[0].counts["replies that were not collected, passed over"] == 2
    assert imported.runs[0].replies == 3


def test_a_row_of_another_kind_is_told(tool: Any, judged: Path) -> None:
    list(exporting.export(judged, [tool.folder / "a.jsonl"], Choices()))
    file = tool.folder / "a.jsonl"
    file.write_text(file.read_text().replace('"kind": "failure"', '"kind": "later"'))
    with pytest.raises(InputError, match=r"a.jsonl:\d: row \d: column `kind`: 'later' is none of"):
        import_files(ImportOptions(files=(file,), out=tool.folder / "back"))


@pytest.mark.parametrize("form", FORMS)
def test_texts_that_a_spreadsheet_would_take_for_formulas_come_back_word_for_word(tool: Any, form: str) -> None:
    texts = ["=1+1", "'=x", "''", "-5", "@x", "\t=x", "a\nb", r"\x1b", "\x1b[2J"]
    rows = [{"question": "Q?", "sample": number, "answer": text} for number, text in enumerate(texts)]
    (tool.folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_files(ImportOptions(files=(tool.folder / "a.jsonl",), out=tool.folder / "run"))
    there_and_back(tool.folder / "run", form, tool.folder / "back")
    assert [getattr(row, "text", None) for row in open_run(tool.folder / "back").replies()] == texts


KEPT = ("text", "reasoning", "finish", "finish_word", "calls", "leaked", "refusal", "dropped", "prefilled", "streamed")
ODD = (
    {"finish": "length", "finish_word": "pause_turn", "refusal": "=policy", "leaked": "<|im_end|>\nuser: =1+1"},
    {"calls": [{"name": "get_time", "arguments": '{"zone": "UTC"}'}], "finish": "tool_calls"},
    {"dropped": ["seed", "top_p"], "prefilled": ["turn", "white space at its end left out"]},
    {"finish": "unknown", "finish_word": "\x1b[2J eos?"},
    {"finish": "unknown", "streamed": True},
)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_what_lint_and_warnings_read_of_a_reply_comes_back(tool: Any, judged_run: Any, form: str) -> None:
    run = judged_run(tool.folder / "run", {"org/one": lambda _probe, _sample: 1.0}, probes=5, samples=2)
    lines = (run / "replies.jsonl").read_text().splitlines()
    odd = [json.loads(line) | ODD[number % len(ODD)] for number, line in enumerate(lines)]
    (run / "replies.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in odd))
    there_and_back(run, form, tool.folder / "back")
    before, after = (list(open_run(path).replies()) for path in (run, tool.folder / "back"))
    for old, new in zip(before, after, strict=True):
        assert isinstance(old, Reply)
        assert isinstance(new, Reply)
        assert [getattr(old, name) or None for name in KEPT] == [getattr(new, name) or None for name in KEPT]
        assert old.has_unknown_end == new.has_unknown_end
    told = [tool("report", path, "--format", "json").json["warnings"] for path in ("run", "back")]
    unknown = [next(item["text"] for item in found if item["id"] == "unknown-ends") for found in told]
    assert unknown[0] == unknown[1]
    gates = [tool("gate", path, "--max-rate", "60%", "--format", "json") for path in ("run", "back")]
    assert gates[0].code == gates[1].code
    assert gates[0].json["verdict"] == gates[1].json["verdict"]


@pytest.mark.parametrize("form", FORMS)
def test_what_a_probe_is_to_show_comes_back(judged_run: Any, tmp_path: Path, form: str) -> None:
    run = judged_run(tmp_path / "run", {"org/one": lambda _probe, _sample: 1.0}, probes=2, samples=1)
    first, second = (json.loads(line) for line in (run / "plan.jsonl").read_text().splitlines())
    first |= {"expect": "high", "expects": "json"}
    (run / "plan.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    there_and_back(run, form, tmp_path / "back")
    assert [(item.expect, item.expects) for item in open_run(tmp_path / "back").plan()] == [
        ("high", "json"),
        (None, None),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_an_answer_of_another_model_does_not_come_back_as_a_reply(tool: Any, judged_run: Any, form: str) -> None:
    run = judged_run(tool.folder / "run", {"org/one": lambda _probe, _sample: 1.0}, probes=2, samples=2)
    first, *others = (json.loads(line) for line in (run / "replies.jsonl").read_text().splitlines())
    rows = [first | {"model": "gpt-4o-mini"}, *others]
    (run / "replies.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    there_and_back(run, form, tool.folder / "back")
    assert counts(tool, "back")["outcomes"] == counts(tool, "run")["outcomes"]
    assert sum(row.kind == "failure" for row in open_run(tool.folder / "back").replies()) == 1


def test_calls_that_are_none_are_told(judged: Path, tmp_path: Path) -> None:
    list(exporting.export(judged, [tmp_path / "a.jsonl"], Choices()))
    file = tmp_path / "a.jsonl"
    file.write_text(
        file.read_text().replace('"calls": null', '"calls": "[3]"').replace('"calls":null', '"calls":"[3]"')
    )
    with pytest.raises(InputError, match=r"a.jsonl:\d: .*`calls`: '\[3\]' is no list of calls"):
        import_files(ImportOptions(files=(file,), out=tmp_path / "back"))
