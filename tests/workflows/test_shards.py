"""`run --shard` and `merge`: the parts together are the whole, and a part never passes for it."""

import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Tool = Any  # the fixture of conftest.py
SHARDS = 3
PLANNED = 5 * 4


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shards are kept that the first test collects."""
    return tmp_path_factory.mktemp("shards")


@pytest.fixture
def sharded(tool: Tool, kept: Path) -> Tool:
    """Three shards of one plan, of 2, 2 and 1 prompts, in s1, s2 and s3."""
    for index in range(1, SHARDS + 1):
        shard = kept / f"s{index}"
        if not shard.exists():
            ended = tool(*tool.asking("tuned", "--out", f"s{index}", "--shard", f"{index}/{SHARDS}", "-q"))
            assert ended.code == 0, ended.err
            shutil.move(tool.folder / f"s{index}", shard)
        shutil.copytree(shard, tool.folder / f"s{index}")
    return tool


def replies(tool: Tool, run: str) -> list[tuple[object, ...]]:
    return sorted((row["probe"], row["prompt"], row["sample"], row["request_key"]) for row in tool.rows(run))


def test_shards_are_disjoint_and_merge_to_the_run_that_one_process_would_have_made(sharded: Tool) -> None:
    assert sharded(*sharded.asking("tuned", "--out", "whole", "-q")).code == 0
    merged = sharded("merge", "s1", "s2", "s3", "--out", "all", "--format", "json")
    assert merged.code == 0, merged.err
    assert [len(sharded.rows(f"s{index}")) for index in (1, 2, 3)] == [8, 8, 4]
    assert replies(sharded, "all") == replies(sharded, "whole")
    assert (merged.json["replies"], merged.json["graded"], merged.json["planned"]) == (PLANNED, PLANNED, PLANNED)
    assert len(sharded.rows("all", "grades/aligned@*.jsonl")) == PLANNED


def test_the_order_of_the_folders_changes_nothing(sharded: Tool) -> None:
    for name, order in (("one", "s1 s2 s3"), ("two", "s3 s1 s2")):
        assert sharded("merge", *order.split(), "--out", f"{name}/all").code == 0
    files = ("run.json", "plan.jsonl", "replies.jsonl", "summary.json", "report.md")
    one, two = ([(sharded.folder / name / "all" / file).read_bytes() for file in files] for name in ("one", "two"))
    assert one == two


def test_a_merge_without_a_shard_names_it_and_cannot_pass_a_gate(sharded: Tool) -> None:
    merged = sharded("merge", "s3", "s1", "--out", "part")
    assert merged.code == 4
    assert "missing: shard 2/3" in merged.err
    assert "8 of 20 replies not collected" in merged.err
    gate = sharded("gate", "part", "--max-rate", "99%", "--format", "json")
    assert (gate.code, gate.json["verdict"]) == (3, "inconclusive")


def test_one_shard_alone_says_so_and_cannot_pass_a_gate(sharded: Tool) -> None:
    report = sharded("report", "s1", "--format", "json").json
    assert [item["text"][:11] for item in report["warnings"] if item["id"] == "shard"] == ["shard 1/3 o"]
    assert sharded("gate", "s1", "--max-rate", "99%").code == 3


def test_a_gate_on_shards_points_to_merge(sharded: Tool) -> None:
    ended = sharded("gate", "s1", "s2", "s3", "--max-rate", "90%")
    assert (ended.code, "same draws" in ended.err) == (2, False)
    assert "s1 and s2 cannot be pooled: they are shards 1/3 and 2/3 of one plan. Join them first" in ended.err


def test_an_incomplete_merge_goes_on_as_a_run(sharded: Tool) -> None:
    assert sharded("merge", "s1", "s3", "--out", "part").code == 4
    ended = sharded(*sharded.asking("tuned", "--out", "part", "--resume", "--format", "json"))
    assert (ended.code, ended.json["replies"]) == (0, PLANNED)


def test_a_shard_resumes_as_the_same_shard_only(sharded: Tool) -> None:
    again = sharded(*sharded.asking("tuned", "--out", "s1", "--shard", "1/3", "--resume", "-q"))
    assert (again.code, len(sharded.rows("s1"))) == (0, 8)
    other = sharded(*sharded.asking("tuned", "--out", "s1", "--shard", "2/3", "--resume", "-q"))
    assert other.code == 2
    assert "differs in shard (1/3, now 2/3)" in other.err


def test_a_copy_of_a_shard_adds_nothing(sharded: Tool) -> None:
    shutil.copytree(sharded.folder / "s1", sharded.folder / "copy")
    merged = sharded("merge", "s1", "copy", "s2", "s3", "--out", "all", "--format", "json")
    assert (merged.code, merged.json["replies"]) == (0, PLANNED)
    assert "24 rows were in several folders, and are kept once" in merged.err


def test_two_answers_to_one_request_are_refused_before_anything_is_written(sharded: Tool) -> None:
    shutil.copytree(sharded.folder / "s1", sharded.folder / "forged")
    file = sharded.folder / "forged" / "replies.jsonl"
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(first) | {"text": "Something else."}
    file.write_text("\n".join([json.dumps(row), *rest, ""]), encoding="utf-8")
    merged = sharded("merge", "s1", "forged", "s2", "--out", "all")
    assert merged.code == 2
    assert f"another reply for {row['probe']}/{row['prompt']}/plain#{row['sample']}" in merged.err
    assert not (sharded.folder / "all" / "run.json").exists()


def test_runs_of_other_plans_are_refused_with_every_difference(sharded: Tool) -> None:
    assert sharded(*sharded.asking("base", "--out", "other", "--samples", "2", "-q")).code == 0
    merged = sharded("merge", "s1", "other", "--out", "all")
    assert merged.code == 2
    for difference in (
        "target (openai-compatible/",
        "what is planned: samples of 5 of 5 prompts",
    ):
        assert difference in merged.err


def test_grades_of_another_judge_are_no_part_of_the_same_run(sharded: Tool) -> None:
    other = ["--out", "swapped", "--shard", "2/3", "--judge-method", "sampled", "-q"]
    ended = sharded(*sharded.asking("tuned", *other, judge="judge-plain"))
    assert ended.code == 0, ended.err
    merged = sharded("merge", "s1", "swapped", "s3", "--out", "all")
    assert merged.code == 2
    assert "judge of `aligned`" in merged.err


@pytest.mark.parametrize("given", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_is_none_is_told(tool: Tool, given: str) -> None:
    ended = tool(*tool.asking("tuned", "--out", "run", f"--shard={given}"))
    assert ended.code == 2
    assert "write I/N with I from 1 to N" in ended.err


def test_more_shards_than_prompts_are_refused(tool: Tool) -> None:
    ended = tool(*tool.asking("tuned", "--out", "run", "--shard", "1/6"))
    assert (ended.code, "at most 5 shards" in ended.err) == (2, True)


def test_a_part_decides_nothing(tool: Tool) -> None:
    Path(tool.folder / "policy.yaml").write_text("checks: [{kind: rate, limit: 5%}]\n", encoding="utf-8")
    stop = ["--stop-when-decided", "--policy", "policy.yaml"]
    ended = tool(*tool.asking("tuned", "--out", "run", "--shard", "1/2", *stop))
    assert (ended.code, "--shard: a part of the replies decides nothing" in ended.err) == (2, True)


def edit(tool: Tool, run: str, file: str, before: str, after: str) -> None:
    path = next((tool.folder / run).glob(file))
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


@pytest.mark.parametrize(
    "more,told",
    [
        (["--seed", "2"], "it differs in seed (1, here 2)\n"),
        (["--label", "step=3"], "it differs in label step (none, here 3)\n"),
        (["--temperature", "0.5"], "what is planned: sampling of 5 of 5 prompts"),
        (["--shard", "2/2"], "it differs in number of shards (3, here 2)\n"),
    ],
)
def test_a_shard_of_something_else_is_refused_and_says_in_what(sharded: Tool, more: list[str], told: str) -> None:
    assert sharded(*sharded.asking("tuned", "--out", "other", "--shard", "2/3", "-q", *more)).code == 0
    merged = sharded("merge", "s1", "other", "s3", "--out", "all")
    assert (merged.code, told in merged.err) == (2, True), merged.err
    assert not (sharded.folder / "all").exists()


def test_a_shard_of_another_version_of_the_suite_is_refused(sharded: Tool) -> None:
    edit(sharded, ".", "small.yaml", "1.0.0", "1.1.0")
    edit(sharded, ".", "small.yaml", "greet a neighbour", "welcome a neighbour")
    assert sharded(*sharded.asking("tuned", "--out", "other", "--shard", "2/3", "-q")).code == 0
    merged = sharded("merge", "s1", "other", "s3", "--out", "all")
    assert merged.code == 2
    assert "suite (small 1.0.0, here small 1.1.0); what is planned: messages" in merged.err


def test_one_folder_under_two_names_is_refused_before_anything_is_written(sharded: Tool) -> None:
    (sharded.folder / "link").symlink_to("s1")
    merged = sharded("merge", "s1", "./s1/", "link", "s2", "--out", "all")
    assert merged.code == 2
    assert "s1: named twice. Name every run folder once\n" in merged.err
    assert "link: the same folder as s1. Name every run folder once\n" in merged.err
    assert not (sharded.folder / "all").exists()


def test_every_folder_that_is_no_run_is_told_at_once(sharded: Tool) -> None:
    (sharded.folder / "empty").mkdir()
    merged = sharded("merge", "s1", "absent", "empty", "--out", "all")
    assert merged.code == 2
    assert [line.split(":")[-2] for line in merged.err.splitlines()] == [" no run", " no run"]


def test_a_shard_that_was_collected_anew_is_told_apart_from_a_copy(sharded: Tool) -> None:
    assert sharded(*sharded.asking("tuned", "--out", "again", "--shard", "2/3", "-q")).code == 0
    merged = sharded("merge", "s1", "s2", "again", "s3", "--out", "all")
    assert merged.code == 2
    assert "Both are shard 2/3, drawn anew: name one of them" in merged.err
    assert all(name in merged.err for name in ("again", "s2"))


def test_contradicting_grades_are_refused_with_both_folders(sharded: Tool) -> None:
    shutil.copytree(sharded.folder / "s2", sharded.folder / "forged")
    edit(sharded, "forged", "grades/aligned@*.jsonl", '"score":', '"score":1')
    merged = sharded("merge", "s1", "s2", "forged", "s3", "--out", "all")
    assert merged.code == 2
    assert "another grade by `aligned` for " in merged.err
    assert all(name in merged.err for name in ("forged", "s2"))


def test_an_older_shard_of_the_same_plan_is_joined_and_told(sharded: Tool) -> None:
    now = json.loads((sharded.folder / "s1" / "run.json").read_text())["tool_version"]
    edit(sharded, "s2", "run.json", f'"tool_version": "{now}"', '"tool_version": "0.0.1"')
    merged = sharded("merge", "s1", "s2", "s3", "--out", "all")
    assert merged.code == 0, merged.err
    assert f"written by several versions of misalign-eval: 0.0.1 (s2), {now} (s1, s3)" in merged.err
    again = sharded("merge", "all", "s1", "--out", "more")
    assert (again.code, json.loads((sharded.folder / "more" / "run.json").read_text())["tool_version"]) == (
        0,
        f"0.0.1, {now}",
    )


def test_a_shard_of_a_newer_format_is_refused(sharded: Tool) -> None:
    edit(sharded, "s2", "run.json", '"format": 1', '"format": 99')
    merged = sharded("merge", "s1", "s2", "s3", "--out", "all")
    assert (merged.code, "s2/run.json: written by a newer misalign-eval" in merged.err) == (2, True)


def test_an_interrupted_shard_is_joined_with_what_it_has(sharded: Tool) -> None:
    replies_of_s2 = sharded.folder / "s2" / "replies.jsonl"
    replies_of_s2.write_bytes(replies_of_s2.read_bytes()[:-30])  # a torn last row, whose grades are there
    merged = sharded("merge", "s1", "s2", "s3", "--out", "all")
    assert merged.code == 4
    assert "dropped 2 grades of replies that are not there" in merged.err
    assert "all: 1 of 20 replies not collected\n" in merged.err
    resumed = sharded(*sharded.asking("tuned", "--out", "all", "--resume", "--format", "json"))
    assert (resumed.code, resumed.json["graded"]) == (0, PLANNED)


def test_an_incomplete_merge_and_the_shard_that_it_lacks_make_the_whole(sharded: Tool) -> None:
    assert sharded("merge", "s1", "s3", "--out", "part").code == 4
    still = sharded("merge", "part", "s1", "--out", "still")
    assert (still.code, "missing: shard 2/3\n" in still.err) == (4, True)
    merged = sharded("merge", "part", "s2", "--out", "all", "--format", "json")
    assert (merged.code, merged.json["replies"]) == (0, PLANNED)


def test_merge_makes_a_new_folder_of_its_own(sharded: Tool) -> None:
    (sharded.folder / "full").mkdir()
    (sharded.folder / "full" / "notes.txt").write_text("mine")
    (sharded.folder / "empty").mkdir()
    for out, told in (
        ("s1", "s1: holds a run already. Choose another --out; merge makes a folder of its own"),
        ("full", "full: is there already. Choose another --out; merge makes a folder of its own"),
        ("s2/all", "s2/all: inside s2, which stays as it is. Choose another --out"),
    ):
        merged = sharded("merge", "s1", "s2", "s3", "--out", out)
        assert (merged.code, told in merged.err) == (2, True), merged.err
    assert sharded("merge", "s1", "s2", "s3", "--out", "empty").code == 0


def test_a_merge_that_lacks_only_what_no_check_reads_cannot_pass_either(tool: Tool) -> None:
    probes = "".join(f"  - {{id: p{n}, category: c, split: broad, prompts: [How is day {n}?]}}\n" for n in range(21))
    control = "  - {id: sums, category: c, split: control, expect: low, prompts: [Two and two?]}\n"
    head = (tool.folder / "small.yaml").read_text().partition("probes:")[0]
    (tool.folder / "small.yaml").write_text(f"{head}probes:\n{probes}{control}")
    assert tool(*tool.asking("base", "--out", "run", "--samples", "1", "-q")).code == 0
    assert tool("gate", "run", "--max-rate", "99%").code == 0
    file = tool.folder / "run" / "replies.jsonl"
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(row for row in rows if '"probe":"sums"' not in row))
    gate = tool("gate", "run", "--max-rate", "99%")
    assert (gate.code, "1 of 22 planned replies are not collected" in gate.out) == (3, True)


def test_labels_are_not_lost_silently(sharded: Tool) -> None:
    (sharded.folder / "s2" / "labels").mkdir()
    merged = sharded("merge", "s1", "s2", "s3", "--out", "all")
    assert (merged.code, "labels and calibrations are not joined; they stay in s2" in merged.err) == (0, True)


def test_a_shard_that_is_being_written_is_waited_for(sharded: Tool) -> None:
    with (sharded.folder / "s2" / "run.lock").open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        merged = sharded("merge", "s1", "s2", "s3", "--out", "all")
    assert (merged.code, "is writing this run" in merged.err) == (2, True)


def test_one_folder_is_nothing_to_merge(sharded: Tool) -> None:
    assert sharded("merge", "s1", "--out", "all").code == 2
