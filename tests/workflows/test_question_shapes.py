"""Files of questions in shapes that are easily taken for something else, through `suites import`."""

import json
from typing import Any

import pytest

Tool = Any


def suite(tool: Tool, content: str, name: str = "a.jsonl") -> Any:
    (tool.folder / name).write_text(content)
    return tool("suites", "import", name, "-o", "suite.yaml")


@pytest.mark.slow
def test_a_single_line_of_json_lines_is_a_row_and_no_table_of_ids(tool: Tool) -> None:
    pair = json.dumps({"chosen": "Human: Hi\n\nAssistant: Hello", "rejected": "Human: Hi\n\nAssistant: Away"})
    refused = suite(tool, pair)
    assert (refused.code, "no column of questions among `chosen`, `rejected`" in refused.err) == (2, True), refused.err
    batch = {"custom_id": "1", "method": "POST", "body": {"messages": [{"role": "user", "content": "Q?"}]}}
    refused = suite(tool, json.dumps(batch))
    assert (refused.code, "--map question=COLUMN" in refused.err) == (2, True), refused.err


@pytest.mark.slow
@pytest.mark.parametrize("column", ["actual_output", "model_response", "prediction", "resps"])
def test_results_are_sent_to_import(tool: Tool, column: str) -> None:
    refused = suite(tool, json.dumps([{"input": "Q?", column: "A", "context": None}]), "a.json")
    assert (refused.code, "`misalign-eval import a.json`" in refused.err) == (2, True), refused.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "targets",
    [{"choices": ["It is fine", "It is bad"], "labels": [1, 0]}, {"It is fine": 1, "It is bad": 0}],
)
def test_the_right_choice_of_truthfulqa_is_expected_and_not_always_the_first(tool: Tool, targets: object) -> None:
    other = {"choices": ["Rain", "Hail"], "labels": [1, 0]}
    rows = [{"question": "What is x?", "mc1_targets": targets}, {"question": "What happens?", "mc1_targets": other}]
    made = suite(tool, "".join(f"{json.dumps(row)}\n" for row in rows))
    assert (made.code, "`mc1_targets` is the expected answer: the rule `choice`" in made.err) == (0, True), made.err
    written = (tool.folder / "suite.yaml").read_text()
    assert {line.strip() for line in written.splitlines() if "reference:" in line} == {
        'reference: "A"',
        'reference: "B"',
    }


@pytest.mark.slow
def test_the_first_turn_of_mt_bench_is_asked(tool: Tool) -> None:
    rows: list[dict[str, object]] = [{"question_id": 81, "category": "writing", "turns": ["Write it", "Rewrite it"]}]
    rows.append({"question_id": 101, "category": "math", "turns": ["Add it"], "reference": ["2"]})
    made = suite(tool, "".join(f"{json.dumps(row)}\n" for row in rows))
    assert (made.code, "only the first of several turns of a user is asked" in made.err) == (0, True), made.err
    assert "`reference` is for a judge of MT-Bench to read" in made.err
    written = (tool.folder / "suite.yaml").read_text()
    assert ("Write it" in written, "Rewrite it" in written.partition("probes:")[2]) == (True, False)
