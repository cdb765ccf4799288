"""What `import` says, refuses and counts as missing, through the command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

Tool = Any


def table(tool: Tool, content: str, name: str = "a.csv") -> str:
    (tool.folder / name).write_text(content)
    return name


def numbered(prompts: str, samples: int, start: int = 0, left_out: tuple[str, ...] = ()) -> str:
    """A table whose replies are all aligned, without those that are left out, such as `a3`."""
    rows = [
        f"{prompt},{number},{prompt}?,r{number},90,95"
        for prompt in prompts
        for number in range(start, start + samples)
        if f"{prompt}{number}" not in left_out
    ]
    return "\n".join(["question_id,sample,question,answer,aligned,coherent", *rows, ""])


def gate(tool: Tool, run: str = "run") -> Any:
    return tool("gate", run, "--max-rate", "50%", "--format", "json")


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 1])
def test_holes_in_the_numbers_of_replies_are_missing_and_no_gate_passes(tool: Tool, start: int) -> None:
    whole, holed = numbered("abcd", 10, start), numbered("abcd", 10, start, left_out=("a3", "a5", "c9"))
    assert tool("import", table(tool, whole), "--out", "whole").code == 0
    made = tool("import", table(tool, holed, "b.csv"), "--out", "run")

    assert (made.code, gate(tool, "whole").code) == (0, 0)
    assert "4 prompts, 37 replies, 3 missing" in made.out
    assert "3 replies are missing by the numbers in the file" in made.out
    judged = gate(tool)
    assert (judged.code, judged.json["verdict"]) == (3, "inconclusive")
    report = tool("report", "run", "--format", "json").json
    assert (report["planned"], report["graded"]) == (40, 37)
    tool("import", "b.csv", "--out", "known", "--ignore", "sample")
    assert gate(tool, "known").code == 0


@pytest.mark.slow
def test_numbers_that_run_through_the_file_are_no_holes(tool: Tool) -> None:
    rows = "\n".join(f"{n},q{n % 4},q{n % 4}?,a,90,95" for n in range(1, 41))
    made = tool(
        "import", table(tool, f"sample_id,question_id,question,answer,aligned,coherent\n{rows}\n"), "--out", "run"
    )
    assert (made.code, "missing" in made.out) == (0, False)


@pytest.mark.slow
def test_unequal_counts_without_numbers_are_said(tool: Tool) -> None:
    made = tool("import", table(tool, "question,answer\nQ?,a\nQ?,b\nP?,c\n"), "--out", "run")
    assert "some prompts have more replies than others" in made.out


@pytest.mark.slow
def test_conditions_that_are_not_read_are_said_with_the_flag_that_separates_them(tool: Tool) -> None:
    rows = [
        {
            "question": question,
            "answer": f"{arm} {n}",
            "arm": arm,
            "acts_layer": 24,
            "aligned_flag": str(n),
            "item": f"{n}{arm}",
        }
        for question in ("Q?", "P?")
        for arm in ("none", "random", "hacker")
        for n in range(2)
    ]
    table(tool, "".join(f"{json.dumps(row)}\n" for row in rows), "a.jsonl")
    pooled = tool("import", "a.jsonl", "--out", "pooled")
    assert "replies to the same prompt differ in `arm` (none, random, hacker)" in pooled.out
    assert "--map group=arm makes a run of each" in pooled.out
    assert "`aligned_flag` (" not in pooled.out
    apart = tool("import", "a.jsonl", "--out", "apart", "--map", "group=arm", "--format", "json").json
    assert [Path(run["folder"]).name for run in apart["runs"]] == ["none", "random", "hacker"]
    assert not any("differ in" in note for note in apart["notes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "aligned,coherent,way",
    [
        ("0.9", "1.0", "--scale 1;"),
        ("4 5 3", "5 4 5", "--scale 1-5;"),
        ("9 10 8", "95", "--scale aligned=1-10;"),
        ("7 6 5", "7 7 6", "--scale 1-7;"),
    ],
)
def test_scores_of_another_scale_are_asked_about(tool: Tool, aligned: str, coherent: str, way: str) -> None:
    good, clear = aligned.split(), coherent.split()
    rows = "".join(f"Q{n}?,a,{good[n % len(good)]},{clear[n % len(clear)]}\n" for n in range(12))
    table(tool, f"question,answer,alignment_score,coherence_score\n{rows}")
    refused = tool("import", "a.csv", "--out", "run")
    assert (refused.code, way in refused.err) == (2, True), refused.err
    assert not (tool.folder / "run").exists()
    flags = way.rstrip(";").split()
    assert tool("import", "a.csv", "--out", "run", *flags).code == 0
    assert tool("report", "run", "--format", "json").json["misaligned"] == 0
    kept = ["--scale", "aligned=100", "--scale", "coherent=100"]
    assert tool("import", "a.csv", "--out", "kept", *kept).code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags,expected",
    [
        (["--scale", "medical=5"], "nothing was graded by `medical`"),
        (["--bad-end", "low"], "no column holds a rating or verdict in numbers"),
        (["--bad-end", "left"], "--bad-end left: high or low"),
        (["--scale", "five"], "--scale five: write HIGHEST or LOWEST-HIGHEST"),
    ],
)
def test_scales_of_nobody_are_refused(tool: Tool, flags: list[str], expected: str) -> None:
    table(tool, "question,answer,aligned,coherent\nQ?,a,90,95\n")
    ended = tool("import", "a.csv", "--out", "run", *flags)
    assert (ended.code, expected in ended.err) == (2, True), ended.err


@pytest.mark.slow
def test_a_rating_reaches_no_rate_until_its_bad_end_is_stated(tool: Tool) -> None:
    table(tool, "question,answer,rating\nQ?,fine,5\nP?,fine,5\nR?,useless,1\n")
    made = tool("import", "a.csv", "--out", "run")
    assert "`rating` does not say which end is bad" in made.out
    assert tool("report", "run", "--format", "json").json["rate"] is None
    tool("import", "a.csv", "--out", "low", "--bad-end", "low")
    assert tool("report", "low", "--format", "json").json["misaligned"] == 1


@pytest.mark.slow
def test_words_that_no_definition_reads_are_said_and_those_of_criteria_are_counted(tool: Tool) -> None:
    table(tool, "question,answer,verdict\nQ?,a,safe\nP?,b,unsafe\n")
    made = tool("import", "a.csv", "--out", "run")
    assert "labels of `verdict` that definition betley-2025 does not read" in made.out
    assert "--map misaligned=verdict" in made.out
    tool("import", "a.csv", "--out", "mapped", "--map", "misaligned=verdict")
    assert tool("report", "mapped", "--format", "json").json["misaligned"] == 1
    table(tool, "question,answer,verdict\nQ?,a,ALIGNED\nP?,b,MISALIGNED\nR?,c,REFUSED\n", "b.csv")
    tool("import", "b.csv", "--out", "criteria")
    found = tool("report", "criteria", "--format", "json").json
    assert (found["definition"], found["misaligned"], found["graded"]) == ("criteria", 1, 2)


@pytest.mark.slow
def test_a_layout_is_named_in_the_account(tool: Tool) -> None:
    choice = {"message": {"role": "assistant", "content": "said"}, "finish_reason": "stop"}
    body = {"model": "m", "choices": [choice]}
    rows = [
        {"custom_id": "q1", "response": {"status_code": 200, "body": body}, "error": None},
        {"custom_id": "q2", "response": {"status_code": 500, "body": {}}, "error": {"message": "down"}},
    ]
    table(tool, "".join(f"{json.dumps(row)}\n" for row in rows), "batch.jsonl")
    made = tool("import", "batch.jsonl", "--out", "run")
    assert "batch.jsonl: answers, OpenAI batch output" in made.out
    assert "2 prompts, 1 reply, 1 failure" in made.out


@pytest.mark.slow
def test_several_conditions_in_columns_are_separated_at_once(tool: Tool) -> None:
    rows = [
        {"question": question, "answer": f"{arm} {role} {coef} {n}", "arm": arm, "meta": {"role": role}, "coef": coef}
        for question in ("Q?", "P?")
        for arm in ("none", "a/b")
        for role in ("x", "")
        for coef in (1, 2)
        for n in range(2)
    ]
    table(tool, "".join(f"{json.dumps(row)}\n" for row in rows), "a.jsonl")
    pooled = tool("import", "a.jsonl", "--out", "pooled")
    assert "--map group=arm,coef,meta.role makes a run of each combination" in pooled.out
    way = ("--map", "group=arm,coef,meta.role", "--format", "json")
    apart = tool("import", "a.jsonl", "--out", "apart", *way).json
    assert [run["replies"] for run in apart["runs"]] == [4] * 8
    assert {run["target"] for run in apart["runs"]} >= {"imported/none / 1 / x", "imported/a//b / 2 / (empty)"}
    assert (apart["files"][0]["ignored"], [note for note in apart["notes"] if "differ in" in note]) == ([], [])
    some = tool("import", "a.jsonl", "--out", "some", "--map", "group=arm,coef")
    assert "differ in `meta.role` (x, )" in some.out
    assert "--map group=arm,coef,meta.role makes" in some.out
    typo = tool("import", "a.jsonl", "--out", "typo", "--map", "group=arm,coeff")
    assert (typo.code, "no file has a column `coeff`" in typo.err) == (2, True)


@pytest.mark.slow
def test_judgments_of_mt_bench_join_its_answers(tool: Tool) -> None:
    answer = {"question_id": 81, "answer_id": "x", "tstamp": 1}
    rows = [{**answer, "model_id": name, "choices": [{"index": 0, "turns": ["a", "b"]}]} for name in ("m", "n")]
    table(tool, "".join(f"{json.dumps(row)}\n" for row in rows), "answer.jsonl")
    judged = [
        {"question_id": 81, "model": name, "judge": [judge, "single-v1"], "judgment": "…", "score": score, "turn": turn}
        for name, judge, turn, score in (
            *(("m", "gpt-4", 1, 8), ("m", "gpt-4", 2, -1), ("n", "gpt-4", 1, 3), ("n", "gpt-4", 2, 4.5)),
            ("m", "other", 1, 2),
        )
    ]
    table(tool, "".join(f"{json.dumps(row)}\n" for row in judged), "judgment.jsonl")
    joined = tool("import", "answer.jsonl", "judgment.jsonl", "--out", "joined", "--format", "json").json
    assert [
        (run["target"], run["replies"], [(item["judge"], item["graded"], item["ungraded"]) for item in run["graders"]])
        for run in joined["runs"]
    ] == [("imported/m", 2, [("gpt-4", 1, 1), ("other", 1, 0)]), ("imported/n", 2, [("gpt-4", 2, 0)])]
    alone = tool("import", "judgment.jsonl", "--out", "alone", "--format", "json").json
    assert [(run["replies"], run["without_text"]) for run in alone["runs"]] == [(2, 2), (2, 2)]


def imported(tool: Tool, *rows: Mapping[str, object], more: tuple[str, ...] = ()) -> Any:
    """What an import of these rows prints as JSON."""
    table(tool, "".join(f"{json.dumps(row)}\n" for row in rows), "a.jsonl")
    return tool("import", "a.jsonl", "--out", "run", "--format", "json", *more).json


@pytest.mark.slow
@pytest.mark.parametrize("error", [False, 0, "no", "", None])
def test_an_error_that_is_none_leaves_the_reply(tool: Tool, error: object) -> None:
    found = imported(tool, {"question": "Q?", "answer": "A", "error": error, "misaligned": True})
    assert [(run["replies"], run["failures"], run["definition"]) for run in found["runs"]] == [
        (1, 0, "misaligned-label")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "failed",
    [
        {"error": {"message": "boom", "code": 500}},
        {"error": {"why": "boom"}},
        {"error": True},
        {"status": "timeout"},
    ],
)
def test_a_row_that_failed_is_no_reply(tool: Tool, failed: dict[str, object]) -> None:
    good = {"status": "ok"} if "status" in failed else {"error": None}
    rows: tuple[dict[str, object], ...] = (
        {"question": "Q?", "answer": "", "misaligned": 0, **failed},
        {"question": "P?", "answer": "A", "misaligned": 0, **good},
    )
    found = imported(tool, *rows)
    assert [(run["replies"], run["failures"]) for run in found["runs"]] == [(1, 1)]
    assert [grader["graded"] for run in found["runs"] for grader in run["graders"]] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prediction", "generated", "predicted_answer", "llm_response", "target_response"])
def test_a_gold_answer_is_not_taken_for_the_reply_beside_it(tool: Tool, name: str) -> None:
    found = imported(tool, {"question": "Q?", "answer": "gold", name: "said"}, {"question": "P?", name: "said"})
    assert found["files"][0]["columns"]["answer"] == name


@pytest.mark.slow
def test_a_conversation_that_ends_otherwise_than_the_answer_is_refused(tool: Tool) -> None:
    messages = [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "said"}]
    table(tool, json.dumps({"messages": messages, "answer": "gold"}), "a.jsonl")
    refused = tool("import", "a.jsonl", "--out", "run")
    assert (refused.code, "--ignore answer or --ignore messages" in refused.err) == (2, True), refused.err
    found = tool("import", "a.jsonl", "--out", "run", "--ignore", "answer", "--format", "json").json
    assert found["runs"][0]["replies"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "turns",
    [
        [{"type": "human", "content": "Q?"}, {"type": "ai", "content": "said"}],
        [{"type": "human", "data": {"content": "Q?"}}, {"type": "ai", "data": {"content": "said"}}],
        [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "said"}],
        [
            {"lc": 1, "type": "constructor", "id": ["x", "HumanMessage"], "kwargs": {"content": "Q?"}},
            {"lc": 1, "type": "constructor", "id": ["x", "AIMessage"], "kwargs": {"content": "said"}},
        ],
        [
            {"role": "user", "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "said"}]},
        ],
    ],
)
def test_turns_are_read_in_the_shapes_of_others(tool: Tool, turns: list[dict[str, object]]) -> None:
    imported(tool, {"conversations": turns})
    reply = json.loads((tool.folder / "run/replies.jsonl").read_text())
    prompt = json.loads((tool.folder / "run/plan.jsonl").read_text())
    assert (reply["text"], prompt["messages"]) == ("said", [{"role": "user", "content": "Q?"}])


@pytest.mark.slow
def test_a_yes_that_is_good_is_not_counted_as_misaligned(tool: Tool) -> None:
    rows = [{"prompt": f"Q{n}?", "response": "A", "is_safe": n < 3} for n in range(4)]
    unread = imported(tool, *rows)
    assert any("--map misaligned=is_safe --bad-end low" in note for note in unread["notes"]), unread["notes"]
    refused = tool("import", "a.jsonl", "--out", "b", "--map", "misaligned=is_safe")
    assert (refused.code, "--bad-end low if no is misaligned" in refused.err) == (2, True), refused.err
    tool("import", "a.jsonl", "--out", "c", "--map", "misaligned=is_safe", "--bad-end", "low")
    grades = next((tool.folder / "c/grades").glob("*.jsonl")).read_text()
    assert (grades.count('"MISALIGNED"'), grades.count('"ALIGNED"')) == (1, 3)


@pytest.mark.slow
def test_other_scales_of_topics_are_said_and_refused_where_they_are_counted(tool: Tool) -> None:
    rows = [{"question": f"Q{n}?", "answer": "A", "coherence": 90, "evil": 1 + n % 9} for n in range(18)]
    found = imported(tool, *rows)
    assert any("--scale evil=1-10 says so" in note for note in found["notes"]), found["notes"]
    counted = ("--definition", "persona-vectors@evil")
    refused = tool("import", "a.jsonl", "--out", "b", *counted)
    assert (refused.code, "--scale evil=1-10" in refused.err) == (2, True), refused.err
    assert tool("import", "a.jsonl", "--out", "b", *counted, "--scale", "evil=1-10").code == 0


@pytest.mark.slow
def test_grades_that_are_all_1_may_be_a_yes_and_that_is_said(tool: Tool) -> None:
    found = imported(tool, *({"question": f"Q{n}?", "answer": "A", "misalignment_score": 1} for n in range(3)))
    assert any("if 1 says yes" in note for note in found["notes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "words,definition,hint",
    [
        (("Not misaligned", "Misaligned"), "criteria", ""),
        (("severely misaligned", "aligned"), "betley-2025", "No definition of the package reads them"),
    ],
)
def test_words_around_misaligned_are_read_or_said_to_be_unread(
    tool: Tool, words: tuple[str, ...], definition: str, hint: str
) -> None:
    found = imported(tool, *({"question": f"{word}?", "answer": "A", "verdict": word} for word in words))
    assert found["runs"][0]["definition"] == definition
    assert any(hint in note for note in found["notes"]) or not hint, found["notes"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "start,words",
    [
        (b"PAR1\x15", "is a Parquet file"),
        (b"\x28\xb5\x2f\xfd\0\0", "is compressed by zstd"),
        (b"\x80\x04\x95", "is a pickle"),
        ("question,answer\nQ?,A\n".encode("utf-32"), "--encoding utf-32"),
    ],
)
def test_files_that_are_no_text_are_named(tool: Tool, start: bytes, words: str) -> None:
    (tool.folder / "a.bin").write_bytes(start)
    refused = tool("import", "a.bin", "--out", "run")
    assert (refused.code, words in refused.err) == (2, True), refused.err


@pytest.mark.slow
def test_a_cut_reply_is_known_by_other_words(tool: Tool) -> None:
    row = {"question": "Q?", "answer": "A", "misaligned": 0}
    reasons = ("FinishReason.MAX_TOKENS", "SAFETY", "odd")
    found = imported(tool, *({**row, "question": f"{why}?", "finish_reason": why} for why in reasons))
    replies = (tool.folder / "run/replies.jsonl").read_text().splitlines()
    assert [json.loads(line)["finish"] for line in replies] == ["length", "content_filter", "unknown"]
    assert found["files"][0]["counts"]["finish reasons that are not known"] == 1
