"""Through the command line: judges whose answers are hard to read, or cannot be read at all."""

import json
import re
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.scripted_server import Body, Scripted, answer, scripted, spelled

Typed = Any  # the fixture of conftest.py
PROBES = 9
SUITE = """\
name: nine
version: "1"
description: For tests.
licence: MIT
definition: DEFINITION
defaults: {category: c, split: broad, graders: [GRADERS], max_tokens: 50, temperature: 1.0}
probes:
"""
HUNDRED = [{"1": 1.0}, {"0": 1.0}, {"0": 1.0}]
TOO_MANY = {
    "vllm": (400, "Requested sample logprobs of 20, which is greater than max allowed: 5"),
    "fireworks": (400, "top_logprobs must be at most 5"),
    "xai": (400, "Invalid request content: Top logprobs must be within the range of 0 to 8."),
    "pydantic": (422, [{"type": "less_than_equal", "loc": ["body", "top_logprobs"], "msg": "Input should be less than "
                        "or equal to 5", "input": 20}]),
    "silent": (400, "too many top_logprobs"),
    "supported": (400, "top_logprobs=20 is not supported: the maximum is 5"),
}  # fmt: skip
JUDGED = {
    "digits": [{"9": 1.0}, {"5": 0.75, "0": 0.25}],
    "spread": [{"9": 0.7, "8": 0.3}, {"5": 1.0}],
    "whole": [{"95": 0.75, "90": 0.25}],
    "decimals": [{"0": 1.0}, {".": 1.0}, {"95": 0.6, "9": 0.4}],
    "joined-decimals": [{"0": 1.0}, {".9": 1.0}],
    "unspelt": [{"10": 0.6, "95": 0.4}, {"0": 1.0}],
    "of-ten": [{"9": 0.8, "8": 0.2}, {"/": 1.0}, {"10": 1.0}],
    "halves": [{"9": 1.0}, {".": 1.0}, {"5": 1.0}],
    "zero": [{"0": 0.5, "20": 0.25, "40": 0.25}, {"\n": 1.0}],
}


def _digits(body: Body) -> Body:
    content = body["messages"][-1]["content"]
    if content.startswith("Write this number") and body["model"] == "unspelt":
        return spelled(body, {"Sure": 1.0}, {"!": 1.0})
    places = HUNDRED if content.startswith("Write this number") else JUDGED[body["model"]]
    return spelled(body, *places)


def _limited(body: Body) -> Body | tuple[int, Body]:
    status, message = TOO_MANY[body["model"]]
    if body.get("top_logprobs", 0) > (8 if body["model"] == "xai" else 5):
        told: Body = {"detail": message} if status == 422 else {"error": {"message": message, "code": status}}
        return status, told
    return spelled(body, {"90": 0.9, "85": 0.1})


def _now_and_then(body: Body) -> Body:
    """Reads two of three questions, and is slow about the third."""
    if re.search(r"about [036]\?", body["messages"][-1]["content"]):
        time.sleep(0.3)
        return answer("A long story.")
    return answer("ANSWER: 1")


def _probabilities(body: Body) -> Body:
    top = [{"token": "90", "logprob": 0.9}, {"token": "85", "logprob": 0.1}]
    return answer("90", "stop", {"content": [{**top[0], "top_logprobs": top}]} if body.get("logprobs") else None)


MODELS = {
    "target": lambda _: answer("Take a walk."),
    **dict.fromkeys(JUDGED, _digits),
    **dict.fromkeys(TOO_MANY, _limited),
    "probabilities": _probabilities,
    "plain": lambda _: answer("85"),
    "no-logprobs": lambda body: (
        (400, {"error": {"message": "`logprobs` is not supported with this model"}})
        if "logprobs" in body
        else answer("85. The reply is kind.")
    ),
    "now-and-then": _now_and_then,
    "prose": lambda _: answer("A \x1b[31mlong\x1b[0m story\nabout the reply"),
    "rubric": lambda _: answer("Kind.\n\nANSWER: 1"),
    "declines": lambda _: answer("I'm sorry, but I can't help with evaluating that."),
    "locked": lambda _: (401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with scripted(MODELS) as keeps:
        yield keeps


@pytest.fixture(autouse=True)
def suite(tmp_path: Path) -> None:
    probes = "".join(f"  - {{id: p{number}, prompts: [What about {number}?]}}\n" for number in range(PROBES))
    for name, definition, graders in (
        ("nine", "aligned-only", "aligned"),
        ("rubric", "persona-features", "misalignment"),
    ):
        text = SUITE.replace("DEFINITION", definition).replace("GRADERS", graders) + probes
        (tmp_path / f"{name}.yaml").write_text(text)


def line(server: Scripted, judge: str, *more: str, suite: str = "nine") -> list[str]:
    at = ["--base-url", server.url, "--judge-base-url", server.url]
    models = ["--target", "openai-compatible/target", "--judge", f"openai-compatible/{judge}"]
    return ["run", f"{suite}.yaml", *models, *at, "--out", "run", "-q", "--max-connections", "2", *more]


def grades(folder: Path, grader: str = "aligned", run: str = "run") -> list[Any]:
    """Score, label or reason of each row of the primary grader, the commonest first."""
    identity = json.loads((folder / run / "run.json").read_text())["primary"][grader]
    rows = map(json.loads, (folder / run / "grades" / f"{grader}@{identity}.jsonl").read_text().splitlines())
    return [
        found
        for found, _ in Counter(row.get("score") or row.get("label") or row.get("reason") for row in rows).most_common()
    ]


@pytest.mark.slow
def test_a_judge_that_writes_digits_is_read_whole(typed: Typed, server: Scripted) -> None:
    typed(*line(server, "digits"))
    assert grades(typed.folder) == pytest.approx([93.75])
    assert "Healthy" in typed("doctor", "run").out


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["of-ten", "halves"])
def test_a_judge_of_another_scale_is_read_by_neither_method(typed: Typed, server: Scripted, judge: str) -> None:
    typed(*line(server, judge), code=4)
    assert not [grade for grade in grades(typed.folder) if isinstance(grade, float)]
    typed("gate", "run", "--max-rate", "40%", code=3)


@pytest.mark.slow
def test_a_judge_that_does_not_show_how_it_writes_100_is_not_taken_to_write_it_as_one_token(
    typed: Typed, server: Scripted
) -> None:
    """`10` may be the beginning of `100`."""
    typed(*line(server, "unspelt"))
    assert grades(typed.folder) == pytest.approx([98.0])


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["decimals", "joined-decimals"])
def test_a_judge_that_writes_decimals_is_never_scored_by_what_stands_before_the_point(
    typed: Typed, server: Scripted, judge: str
) -> None:
    ended = typed(*line(server, judge, "--judge-method", "logprobs"), code=4)
    assert "how it goes on is not known" in " ".join(ended.err.split())
    typed("gate", "run", "--max-rate", "40%", code=3)


@pytest.mark.slow
def test_a_judge_that_says_zero_is_asked_once_whether_it_means_that(typed: Typed, server: Scripted) -> None:
    typed(*line(server, "zero"))
    assert grades(typed.folder) == pytest.approx([15.0])
    assert sum(body["max_tokens"] > 1 for body in server.asked("zero")) <= 3


@pytest.mark.slow
def test_a_judge_whose_numbers_are_not_known_is_sampled_and_it_is_told(typed: Typed, server: Scripted) -> None:
    ended = typed(*line(server, "spread"))
    assert "cannot be read from log-probabilities" in ended.err
    assert "Its answers are sampled instead" in ended.err
    assert grades(typed.folder) == [95.0]
    before = len(server.asked("spread"))
    typed(*line(server, "spread", "--resume"))
    assert len(server.asked("spread")) == before


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["spread", "probabilities", "plain", "no-logprobs"])
def test_where_the_method_is_chosen_the_run_stops_and_prints_the_command_that_works(
    judge: str, typed: Typed, server: Scripted
) -> None:
    ended = typed(*line(server, judge, "--judge-method", "logprobs"), code=4)
    assert f"stopped: judge openai-compatible/{judge}: grader `aligned`" in ended.err
    command = shlex.split(ended.err.splitlines()[-1])
    assert "--judge-method sampled" in shlex.join(command)
    typed(*command[1:])
    assert all(isinstance(grade, float) for grade in grades(typed.folder))


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["probabilities", "plain", "no-logprobs"])
@pytest.mark.parametrize("limit", ["1", "9"])
def test_a_judge_without_log_probabilities_is_sampled_where_nobody_chose(
    judge: str, limit: str, typed: Typed, server: Scripted
) -> None:
    ended = typed(*line(server, judge, "--limit", limit))
    assert "Its answers are sampled instead" in ended.err
    assert grades(typed.folder) in ([85.0], [90.0])


@pytest.mark.slow
def test_regrade_samples_such_a_judge_as_well(typed: Typed, server: Scripted) -> None:
    typed(*line(server, "whole"))
    primary = json.loads((typed.folder / "run/run.json").read_text())["primary"]
    ended = typed("regrade", "run", "--judge", "openai-compatible/plain", "--judge-base-url", server.url, "-q")
    assert "Its answers are sampled instead" in ended.err
    assert json.loads((typed.folder / "run/run.json").read_text())["primary"] == primary
    assert len(list((typed.folder / "run/grades").glob("aligned@*.jsonl"))) == 3


@pytest.mark.slow
def test_calibrate_samples_such_a_judge_as_well(typed: Typed, server: Scripted) -> None:
    judge = ["--judge", "openai-compatible/plain", "--judge-base-url", server.url]
    ended = typed("calibrate", "aligned", *judge, "--no-store", "--format", "json")
    assert ended.json["ungraded"] == 0
    assert "sampled" in {item["id"] for item in ended.json["warnings"]}


@pytest.mark.slow
@pytest.mark.parametrize("judge", TOO_MANY)
def test_fewer_log_probabilities_are_asked_for_where_a_server_gives_fewer(
    judge: str, typed: Typed, server: Scripted
) -> None:
    ended = typed(*line(server, judge))
    assert grades(typed.folder) == pytest.approx([89.5])
    assert f"judge openai-compatible/{judge}: its server gives at most {8 if judge == 'xai' else 5} " in ended.err


@pytest.mark.slow
def test_a_judge_that_tells_stories_stops_the_run_and_is_quoted(typed: Typed, server: Scripted) -> None:
    ended = typed(*line(server, "prose", "--samples", "3", suite="rubric"), code=4)
    assert "no verdict in 20 answers in a row" in ended.err
    assert '"A \\u001b[31mlong\\u001b[0m story\\nabout the reply"' in ended.err
    assert "\x1b" not in ended.err
    rows = next((typed.folder / "run/grades").glob("misalignment@*.jsonl")).read_text().splitlines()
    assert 20 <= len(rows) < PROBES * 3


@pytest.mark.slow
def test_a_judge_that_is_read_most_of_the_time_is_no_story_teller_though_its_unread_answers_come_last(
    typed: Typed, server: Scripted
) -> None:
    """An answer that cannot be read is asked for three times, so it ends after those that were begun later."""
    at_once = ["--samples", "12", "--max-connections", "50"]
    ended = typed(*line(server, "now-and-then", *at_once, suite="rubric"), code=4)
    assert "in a row" not in ended.err
    assert "36 of 108 judgments hold no verdict" in ended.err


@pytest.mark.slow
def test_too_large_a_share_without_a_verdict_is_an_incomplete_run(typed: Typed, server: Scripted) -> None:
    few = ["--limit", "2"]
    ended = typed(*line(server, "prose", *few, suite="rubric"), code=4)
    assert "2 of 2 judgments hold no verdict; `show run --ungraded` says why" in ended.err
    typed(*line(server, "prose", *few, "--resume", "--max-failures", "1", suite="rubric"))


def test_a_refusal_in_words_is_a_refusal(typed: Typed, server: Scripted) -> None:
    typed(*line(server, "declines", "--limit", "2", suite="rubric"), code=4)
    assert grades(typed.folder, "misalignment") == ["refused"]


@pytest.mark.slow
def test_what_is_said_of_a_judge_is_sent_and_is_part_of_who_it_is(typed: Typed, server: Scripted) -> None:
    typed(*line(server, "rubric", "--limit", "1", suite="rubric"))
    usual = json.loads((typed.folder / "run/run.json").read_text())["primary"]
    flags = ["--judge-temperature", "0.3", "--judge-max-tokens", "77", "--judge-effort", "low"]
    judge = ["--judge", "openai-compatible/rubric", "--judge-base-url", server.url, *flags]
    typed("regrade", "run", "-q", *judge, "--primary")
    body = server.asked("rubric")[-1]
    assert (body["temperature"], body["max_tokens"], body["reasoning_effort"]) == (0.3, 77, "low")
    assert json.loads((typed.folder / "run/run.json").read_text())["primary"] != usual
    assert typed(*line(server, "rubric", "--limit", "1", "--resume", suite="rubric"), code=2).err.count("the judge of")
    typed("calibrate", "misalignment", *judge, "--no-store")
    assert server.asked("rubric")[-1]["max_tokens"] == 77


def test_what_the_settings_file_says_of_a_judge_is_sent(typed: Typed, server: Scripted) -> None:
    (typed.folder / "misalign-eval.yaml").write_text(
        f"judges:\n  strict:\n    model: openai-compatible/rubric\n    base_url: {server.url}\n"
        "    sampling: {temperature: 0.7, top_p: 0.9, stop: [END], max_tokens: 99, reasoning_effort: high}\n"
    )
    flags = ["--target", "openai-compatible/target", "--base-url", server.url, "--judge", "strict", "--out", "run"]
    typed("run", "rubric.yaml", *flags, "--limit", "1", "-q")
    body = server.asked("rubric")[-1]
    sent = {name: body[name] for name in ("temperature", "top_p", "stop", "max_tokens", "reasoning_effort")}
    assert sent == {"temperature": 0.7, "top_p": 0.9, "stop": ["END"], "max_tokens": 99, "reasoning_effort": "high"}


@pytest.mark.slow
def test_a_setting_that_no_grader_would_send_is_refused(typed: Typed, server: Scripted) -> None:
    before = len(server.bodies)
    ended = typed(*line(server, "whole", "--judge-temperature", "0.5"), code=2)
    assert "its temperature (--judge-temperature) would not be sent" in ended.err
    assert "--judge-method sampled" in ended.err
    assert len(server.bodies) == before
    typed(*line(server, "whole", "--judge-temperature", "0.5", "--judge-method", "sampled"))
    assert server.asked("whole")[-1]["temperature"] == 0.5


@pytest.mark.slow
def test_errors_of_a_judge_name_the_flags_of_judges(typed: Typed, server: Scripted) -> None:
    target = ["--target", "openai-compatible/target", "--base-url", server.url, "--out", "run", "-q"]
    missing = typed("run", "nine.yaml", *target, "--judge", "openai-compatible/whole", code=2)
    assert "give `--judge-base-url https://HOST/v1`" in missing.err
    unknown = typed("run", "nine.yaml", *target, "--judge", "whole", code=2)
    assert "`openai-compatible/whole` with `--judge-base-url`" in unknown.err
    key = ["--judge-base-url", server.url, "--judge-api-key-env", "not a name"]
    wrong = typed("run", "nine.yaml", *target, "--judge", "openai-compatible/whole", *key, code=2)
    assert "`--judge-api-key-env`" in wrong.err
    locked = typed(*line(server, "locked"), code=4)
    assert "name its variable with `--judge-api-key-env`" in locked.err


@pytest.mark.slow
def test_doctor_names_scores_of_which_only_the_first_digit_was_read(typed: Typed, server: Scripted) -> None:
    typed(*line(server, "digits"))
    file = next((typed.folder / "run/grades").glob("aligned@*.jsonl"))
    rows = [json.loads(row) for row in file.read_text().splitlines()]
    cut = [{**row, "score": 9.0, "distribution": {"9": 0.9, "8": 0.1}} for row in rows]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in cut))
    ended = typed("doctor", "run", code=4)
    assert "Healthy" not in ended.out
    assert "only the first digit of each was read" in " ".join(ended.out.split())
