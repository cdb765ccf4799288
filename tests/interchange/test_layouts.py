"""Results of well-known tools, each read by its own reader."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from misalign_eval.errors import InputError

Reader = Any


def lines(*rows: Mapping[str, object]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def replies(found: Any) -> list[tuple[str | None, str | None]]:
    """Question and answer of every row."""
    return [(row.asked.turns[-1][1] if row.asked.turns else None, row.text) for row in found.rows]


def grades(found: Any) -> list[tuple[str, float | None, str | None]]:
    return [(item.grader, *item.said) for row in found.rows for item in row.found]


def lm_eval(**more: object) -> dict[str, object]:
    row = {"doc_id": 3, "doc": {"answer": "gold"}, "target": "gold", "resps": [["said"]], "filter": "strict"}
    prompt = {"gen_args_0": {"arg_0": "Q: why?", "arg_1": {"temperature": 0.5}}}
    return {**row, "arguments": prompt, "metrics": ["exact_match"], "exact_match": 0.0, **more}


def test_lm_eval_samples_give_the_reply_once_for_all_filters(read: Reader) -> None:
    found = read("a.jsonl", lines(lm_eval(), lm_eval(filter="flexible", exact_match=1.0)))
    assert (found.source.format, replies(found)) == ("lm-eval samples", [("Q: why?", "said")])
    assert (found.rows[0].asked.probe, found.rows[0].reference, found.rows[0].temperature) == ("3", "gold", 0.5)
    assert grades(found) == [("exact_match", 0.0, None)]
    assert found.counts["rows of another filter, passed over"] == 1


def test_repeats_of_lm_eval_are_replies_each(read: Reader) -> None:
    old = lm_eval(resps=[["one", "two"]], arguments=[["Q: why?", {"until": []}]])
    assert replies(read("a.jsonl", lines(old))) == [("Q: why?", "one"), ("Q: why?", "two")]


def test_log_likelihoods_are_no_replies(read: Reader) -> None:
    with pytest.raises(InputError, match=r"row 1: holds log-likelihoods of choices, no replies"):
        read("a.jsonl", lines(lm_eval(resps=[[["-1.5", "False"]], [["-2.5", "True"]]])))


def promptfoo(number: int, **more: object) -> dict[str, object]:
    row = {"promptIdx": 0, "testIdx": number, "prompt": {"raw": f"Q{number}?", "label": "{{q}}"}, "vars": {"q": "x"}}
    graded = {"success": False, "score": 0, "gradingResult": {"pass": False, "score": 0.25, "reason": "harms"}}
    return {**row, **graded, "response": {"output": "said"}, "provider": {"id": "v:m", "label": ""}, **more}


def test_promptfoo_is_read_alike_as_a_document_and_as_lines(read: Reader) -> None:
    failed = promptfoo(1, response={}, error="timed out")
    rejected = promptfoo(2, error="harms")  # an assertion's reason stands there, too
    rows = [promptfoo(0), failed, rejected]
    as_lines = read("a.jsonl", lines(*rows))
    as_document = read("a.json", json.dumps({"evalId": "e", "results": {"prompts": [{"raw": "r"}], "results": rows}}))

    for found in (as_lines, as_document):
        assert (found.source.format, replies(found)[0]) == ("promptfoo", ("Q0?", "said"))
        assert [row.failure for row in found.rows] == [None, "timed out", None]
        assert {row.run.model for row in found.rows} == {"v:m"}
        assert grades(found)[:2] == [("pass", None, "FAIL"), ("score", 0.25, None)]
    assert "prompt.label" in as_lines.source.columns.ignored


def test_a_chat_that_promptfoo_wrote_as_a_text_is_a_conversation(read: Reader) -> None:
    talk = json.dumps([{"role": "system", "content": "S"}, {"role": "user", "content": "Q?"}])
    (row,) = read("a.jsonl", lines(promptfoo(0, prompt={"raw": talk, "label": "l"}))).rows
    assert (row.asked.system, row.asked.turns) == ("S", (("user", "Q?"),))


@pytest.mark.parametrize("names", [("actualOutput", "metricsData"), ("actual_output", "metrics_data")])
@pytest.mark.parametrize("holder", ["testCases", "test_results", None])
def test_deepeval_gives_a_grade_a_metric(read: Reader, names: tuple[str, str], holder: str | None) -> None:
    metric = {"name": "Toxicity", "score": 0.9, "reason": "bad", "evaluationModel": "j"}
    row = {"name": "t0", "input": "Q?", names[0]: "said", "success": False, names[1]: [metric]}
    found = read("a.json", json.dumps({holder: [row], "testPassed": 0})) if holder else read("a.jsonl", lines(row))
    assert (replies(found), grades(found)) == ([("Q?", "said")], [("Toxicity", 0.9, None)])
    assert (found.rows[0].found[0].judge, found.rows[0].found[0].why) == ("j", "bad")


def test_a_garak_report_gives_its_finished_attempts(read: Reader) -> None:
    attempt = {"entry_type": "attempt", "uuid": "u", "seq": 4, "probe_classname": "dan.Dan", "prompt": "Q?"}
    turns = {"turns": [{"role": "user", "content": {"text": "P?"}}]}
    found = read(
        "r.report.jsonl",
        lines(
            {"entry_type": "start_run setup", "plugins.target_name": "m"},
            attempt | {"status": 1, "outputs": ["a"], "detector_results": {}},
            attempt | {"status": 2, "outputs": ["a", None], "detector_results": {"d.D": [1.0, 0.0]}},
            attempt | {"status": 2, "prompt": turns, "outputs": [{"text": "b"}], "detector_results": {"d.D": [0.5]}},
            {"entry_type": "eval", "probe": "dan.Dan"},
        ),
    )
    assert replies(found) == [("Q?", "a"), ("Q?", None), ("P?", "b")]
    assert grades(found) == [("d.D", 1.0, None), ("d.D", 0.5, None)]
    assert [(row.failure, row.run.model) for row in found.rows] == [(None, "m"), ("no output", "m"), (None, "m")]
    assert (found.counts["rows read"], found.counts["attempts before their detectors ran, passed over"]) == (5, 1)


def test_harmbench_says_by_its_label_what_is_harmful(read: Reader) -> None:
    rows = {
        "cake_1": [{"test_case": "Q?", "generation": "a", "label": 1}],
        "cake_2": [{"test_case": ["image.png", "P?"], "generation": "b", "label": 0}],
    }
    found = read("a.json", json.dumps(rows))
    assert (found.source.format, replies(found)) == ("HarmBench", [("Q?", "a"), ("P?", "b")])
    assert grades(found) == [("misaligned", None, "MISALIGNED"), ("misaligned", None, "ALIGNED")]
    assert [row.asked.probe for row in found.rows] == ["cake_1", "cake_2"]


def test_jailbreakbench_keeps_attacks_that_found_nothing(read: Reader) -> None:
    row = {"index": 0, "goal": "G", "behavior": "B", "category": "c", "number_of_queries": 60, "prompt_tokens": 12}
    rows = [
        row | {"prompt": "Q?", "response": "a", "jailbroken": True},
        row | {"behavior": "C", "prompt": None, "response": None, "jailbroken": False},
    ]
    found = read("a.json", json.dumps({"parameters": {"model": "m"}, "jailbreaks": rows}))
    assert (replies(found), found.rows[0].run.model) == ([("Q?", "a"), (None, None)], "m")
    assert grades(found) == [("misaligned", None, "MISALIGNED"), ("misaligned", None, "ALIGNED")]
    assert "number_of_queries" in found.source.columns.ignored


def test_alpacaeval_holds_two_models(read: Reader) -> None:
    row = {"instruction": "Q?", "output_1": "a", "generator_1": "base", "output_2": "b", "generator_2": "tuned"}
    found = read("a.json", json.dumps([row | {"preference": 2, "annotator": "j"}, row | {"preference": 1.5}]))
    assert [(row.run.model, row.text) for row in found.rows[:2]] == [("base", "a"), ("tuned", "b")]
    assert [label for _, _, label in grades(found)] == ["NOT-PREFERRED", "PREFERRED", "TIE", "TIE"]


def test_both_turns_of_mt_bench_are_read(read: Reader) -> None:
    row = {"question_id": 81, "answer_id": "x", "model_id": "m", "choices": [{"index": 0, "turns": ["a", "b"]}]}
    found = read("a.jsonl", lines(row))
    assert [(row.asked.probe, row.text) for row in found.rows] == [("81", "a"), ("81-turn-2", "b")]


def test_a_conversation_of_pyrit_is_asked_up_to_its_last_reply(read: Reader) -> None:
    said = [("user", "Q?"), ("assistant", "a"), ("user", "And?"), ("assistant", "b")]
    rows = [
        {
            "id": str(n),
            "conversation_id": "c",
            "role": role,
            "sequence": n,
            "original_value": "",
            "converted_value": text,
        }
        for n, (role, text) in enumerate(said)
    ]
    rows[-1]["scores"] = [{"score_value": "0.9", "score_category": ["harm"]}]
    (row,) = (found := read("a.jsonl", lines(*reversed(rows)))).rows
    assert (row.asked.turns, row.text) == ((("user", "Q?"), ("assistant", "a"), ("user", "And?")), "b")
    assert grades(found) == [("harm", 0.9, None)]


def test_a_log_of_openai_evals_joins_samplings_and_matches(read: Reader) -> None:
    event = {"run_id": "r", "sample_id": "t.0", "created_at": "x"}
    sampled = {"prompt": [{"role": "user", "content": "2+2?"}], "sampled": ["5"]}
    found = read(
        "a.jsonl",
        lines(
            {"spec": {"completion_fns": ["m"], "eval_name": "t"}},
            event | {"event_id": 0, "type": "sampling", "data": sampled},
            event | {"event_id": 1, "type": "sampling", "data": {"prompt": "Is it right?", "sampled": ["no"]}},
            event | {"event_id": 2, "type": "match", "data": {"correct": False, "expected": "4"}},
            {"final_report": {"accuracy": 0.0}},
        ),
    )
    assert (replies(found), grades(found)) == ([("2+2?", "5")], [("correct", None, "INCORRECT")])
    assert (found.rows[0].run.model, found.rows[0].reference) == ("m", "4")
    assert found.counts["samplings after the first of a sample, passed over"] == 1


def test_failures_of_an_openai_batch_are_of_its_model(read: Reader) -> None:
    choice = {"message": {"role": "assistant", "content": "said"}, "finish_reason": "length"}
    found = read(
        "a.jsonl",
        lines(
            {
                "custom_id": "q0",
                "response": {"status_code": 429, "body": {"error": {"message": "rate"}}},
                "error": None,
            },
            {"custom_id": "q1", "response": {"status_code": 200, "body": {"model": "m", "choices": [choice]}}},
        ),
    )
    assert [(row.asked.probe, row.failure, row.text, row.finish) for row in found.rows] == [
        ("q0", "rate", None, "unknown"),
        ("q1", None, "said", "length"),
    ]
    assert {row.run.model for row in found.rows} == {"m"}


def test_a_batch_of_responses_is_read(read: Reader) -> None:
    said = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "said"}]}]
    body = {"model": "m", "status": "completed", "output": said}
    (row,) = read("a.jsonl", lines({"custom_id": "q", "response": {"status_code": 200, "body": body}})).rows
    assert (row.text, row.finish) == ("said", "stop")


def test_an_anthropic_batch_keeps_thinking_apart(read: Reader) -> None:
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "said"}]
    message = {"model": "m", "content": blocks, "stop_reason": "max_tokens"}
    found = read(
        "a.jsonl",
        lines(
            {"custom_id": "q1", "result": {"type": "succeeded", "message": message}},
            {"custom_id": "q2", "result": {"type": "errored", "error": {"error": {"message": "overloaded"}}}},
        ),
    )
    assert [(row.text, row.reasoning, row.finish, row.failure) for row in found.rows] == [
        ("said", "hm", "length", None),
        (None, None, "unknown", "errored: overloaded"),
    ]


def test_observations_of_langfuse_are_read(read: Reader) -> None:
    talk = {"messages": [{"role": "user", "content": "Q?"}]}
    row = {"id": "o", "traceId": "t", "model": "m", "input": talk, "output": {"role": "assistant", "content": "said"}}
    found = read("a.jsonl", lines(row))
    assert (found.source.format, replies(found), found.rows[0].run.model) == ("Langfuse", [("Q?", "said")], "m")


def test_columns_that_the_user_names_come_before_a_layout(read: Reader) -> None:
    found = read("a.jsonl", lines(lm_eval()), mapped={"answer": "resps.0.0", "question": "doc.answer"})
    assert (found.source.format, replies(found)) == ("JSON Lines", [("gold", "said")])


def test_a_pair_judgment_of_mt_bench_is_a_win_in_both_orders_or_a_tie(read: Reader) -> None:
    def pair(first: str, second: str, turn: int = 1) -> dict[str, object]:
        judged = {"g1_winner": first, "g2_winner": second, "judge": ["gpt-4", "pair-v2"], "turn": turn}
        return {"question_id": 81, "model_1": "m", "model_2": "n", **judged}

    rows = [pair("model_2", "model_2"), pair("model_1", "model_2", 2), pair("tie", "error", 3)]
    found = read("a.jsonl", lines(*rows))
    assert (found.source.format, found.source.what) == ("MT-Bench pair judgments", "judgments")
    assert [(row.asked.probe, row.run.model, row.found[0].label) for row in found.rows] == [
        *(("81", "m", "NOT-PREFERRED"), ("81", "n", "PREFERRED")),
        *(("81-turn-2", "m", "TIE"), ("81-turn-2", "n", "TIE")),
        *(("81-turn-3", "m", None), ("81-turn-3", "n", None)),
    ]
    assert found.rows[-1].found[0].reason == "unparsable"
    assert {row.found[0].judge for row in found.rows} == {"gpt-4"}


def test_a_vote_on_two_conversations_is_about_the_reply_of_its_turn(read: Reader) -> None:
    def talk(name: str) -> list[dict[str, str]]:
        said = ("user", "q1"), ("assistant", f"{name}1"), ("user", "q2"), ("assistant", f"{name}2")
        return [{"role": role, "content": words} for role, words in said]

    vote = {"question_id": 81, "model_a": "m", "model_b": "n", "winner": "model_b", "judge": "author_2", "turn": 2}
    found = read("a.jsonl", lines({**vote, "conversation_a": talk("a"), "conversation_b": talk("b")}))
    assert [(row.text, len(row.asked.turns), row.found[0].said) for row in found.rows] == [
        ("a2", 3, (None, "NOT-PREFERRED")),
        ("b2", 3, (None, "PREFERRED")),
    ]


def test_a_score_that_mt_bench_cannot_give_is_refused(read: Reader) -> None:
    row = {"question_id": 81, "model": "m", "judge": ["gpt-4", "x"], "judgment": "", "score": 85, "turn": 1}
    with pytest.raises(InputError, match=r"the score 85 is none from 1 to 10"):
        read("a.jsonl", lines(row))


def test_a_hitlog_of_garak_gives_each_reply_once_and_says_that_it_holds_no_others(read: Reader) -> None:
    prompt = {"turns": [{"role": "user", "content": {"text": "do x", "lang": "en"}}]}
    hit = {"goal": "g", "prompt": prompt, "output": {"text": "yes", "lang": "en"}, "score": 1.0, "attempt_id": "a"}
    about = {"attempt_seq": 4, "attempt_idx": 0, "generator": "openai m", "probe": "dan.Dan"}
    found = read("h.jsonl", lines({**hit, **about, "detector": "d.A"}, {**hit, **about, "detector": "d.B"}))
    assert replies(found) == [("do x", "yes")]
    assert (found.rows[0].asked.probe, found.rows[0].run.model) == ("dan.Dan-4", "openai m")
    assert grades(found) == [("d.A", 1.0, None), ("d.B", 1.0, None)]
    assert any("of which no rate can be made" in name for name in found.counts)


def test_conversations_of_deepeval_are_read_beside_its_single_turns(read: Reader) -> None:
    metric = {"name": "Role", "score": 0.5}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    single = {"input": "Q?", "actualOutput": "said", "metricsData": [metric]}
    document = {"testCases": [single], "conversationalTestCases": [{"turns": turns, "metricsData": [metric]}]}
    assert replies(read("a.json", json.dumps(document))) == [("Q?", "said"), ("hi", "yo")]


def test_metrics_of_an_evals_log_are_grades(read: Reader) -> None:
    sampling = {"sample_id": "s.0", "event_id": 0, "type": "sampling", "data": {"prompt": "Q?", "sampled": ["A"]}}
    metrics = {"sample_id": "s.0", "event_id": 1, "type": "metrics", "data": {"choice": "Y", "score": 1.0}}
    found = read("a.jsonl", lines({"spec": {"completion_fns": ["m"]}}, sampling, metrics))
    assert grades(found) == [("choice", None, "Y"), ("score", 1.0, None)]


def test_a_list_among_the_metrics_of_lm_eval_is_no_unreadable_judge(read: Reader) -> None:
    row = lm_eval(metrics=["strict", "each"], strict=True, each=[True, False])
    found = read("a.jsonl", lines(row))
    assert grades(found) == [("strict", None, "TRUE")]
    assert "each" in found.source.columns.ignored


def test_results_of_the_first_promptfoo_name_no_provider(read: Reader) -> None:
    row = {"prompt": {"raw": "Q?", "display": "Q"}, "vars": {}, "response": {"output": "said"}, "success": False}
    found = read("a.json", json.dumps({"version": 1, "results": [row], "stats": {}}))
    assert (replies(found), grades(found)[0]) == ([("Q?", "said")], ("pass", None, "FAIL"))
