"""What `import` says, refuses and counts as missing, through the command line."""

import json
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


def test_numbers_that_run_through_the_file_are_no_holes(tool: Tool) -> None:
    rows = "\n".join(f"{n},q{n % 4},q{n % 4}?,a,90,95" for n in range(1, 41))
    made = tool(
        "import", table(tool, f"sample_id,question_id,question,answer,aligned,coherent\n{rows}\n"), "--out", "run"
    )
    assert (made.code, "missing" in made.out) == (0, False)


def test_unequal_counts_without_numbers_are_said(tool: Tool) -> None:
    made = tool("import", table(tool, "question,answer\nQ?,a\nQ?,b\nP?,c\n"), "--out", "run")
    assert "some prompts have more replies than others" in made.out


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
    assert "aligned_flag`" not in pooled.out
    apart = tool("import", "a.jsonl", "--out", "apart", "--map", "group=arm", "--format", "json").json
    assert [Path(run["folder"]).name for run in apart["runs"]] == ["none", "random", "hacker"]
    assert not any("differ in" in note for note in apart["notes"])


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


def test_a_rating_reaches_no_rate_until_its_bad_end_is_stated(tool: Tool) -> None:
    table(tool, "question,answer,rating\nQ?,fine,5\nP?,fine,5\nR?,useless,1\n")
    made = tool("import", "a.csv", "--out", "run")
    assert "`rating` does not say which end is bad" in made.out
    assert tool("report", "run", "--format", "json").json["rate"] is None
    tool("import", "a.csv", "--out", "low", "--bad-end", "low")
    assert tool("report", "low", "--format", "json").json["misaligned"] == 1


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
        (run["target"], run["replies"], [(one["judge"], one["graded"], one["ungraded"]) for one in run["graders"]])
        for run in joined["runs"]
    ] == [("imported/m", 2, [("gpt-4", 1, 1), ("other", 1, 0)]), ("imported/n", 2, [("gpt-4", 2, 0)])]
    alone = tool("import", "judgment.jsonl", "--out", "alone", "--format", "json").json
    assert [(run["replies"], run["without_text"]) for run in alone["runs"]] == [(2, 2), (2, 2)]
