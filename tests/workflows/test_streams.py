"""Servers that answer with streams alone, or stream unasked."""

import json
from typing import Any

import pytest

MUST = {"error": {"message": "Stream must be set to true", "type": "invalid_request_error", "code": "bad_request"}}


def asking(scripted: Any, *more: str) -> list[str]:
    at = ["--base-url", scripted.url, "--judge-base-url", scripted.url, "--max-connections", "1", "-q"]
    models = ["--target", "openai-compatible/tuned", "--judge", "openai-compatible/judge"]
    return ["run", "small.yaml", *models, *at, "--out", "r", *more]


def stream(body: dict[str, Any], text: str = "I would ask.", *, end: bool = True) -> bytes:
    """Events as servers send them: a role, words, a reason, the usage, and the end."""
    is_judge = body["model"] == "judge"
    token = {"token": "95", "logprob": -0.1, "top_logprobs": [{"token": "95", "logprob": -0.1}]}
    pieces: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": None}}]
    if is_judge:
        pieces.append({"delta": {"content": "95"}, "logprobs": {"content": [token]}})
    else:
        pieces += [{"delta": {"reasoning_content": "Hm"}}, {"delta": {"reasoning_content": "m."}}]
        pieces += [{"delta": {"content": word}} for word in (text[:4], text[4:])]
    if end:
        pieces.append({"delta": {}, "finish_reason": "stop"})
    events: list[Any] = [{"model": body["model"], "choices": [{"index": 0, **piece}]} for piece in pieces]
    if end:
        events.append({"model": body["model"], "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    lines = [": comment", *(f"data: {json.dumps(event)}" for event in events), *(["data: [DONE]"] if end else [])]
    return "\n\n".join([*lines, ""]).encode()


@pytest.fixture(autouse=True)
def suite(tool: Any) -> None:
    """The suite of `tool`, in the folder that `typed` shares with it."""


def rows(typed: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (typed.folder / "r" / "replies.jsonl").read_text().splitlines()]


def test_a_server_that_only_streams_is_asked_for_streams_after_it_said_so_once(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, _number: stream(body) if body.get("stream") else (400, MUST)
    typed(*asking(scripted))
    assert sum(not one.body.get("stream") for one in scripted.of("tuned")) == 1
    first = rows(typed)[0]
    assert (first["text"], first["reasoning"], first["finish"]) == ("I would ask.", "Hmm.", "stop")
    assert first["usage"] == {"input_tokens": 7, "output_tokens": 3}
    assert typed("report", "r", "--format", "json").json["graded"] == 20


def test_a_stream_that_nobody_asked_for_is_read(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, _number: stream(body)
    typed(*asking(scripted))
    assert {row["text"] for row in rows(typed)} == {"I would ask."}


def test_a_stream_that_broke_off_is_a_failure(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, number: stream(body, end=number != 3) if body["model"] == "tuned" else {}
    typed(*asking(scripted))
    assert {row["attempts"] for row in rows(typed)} == {1, 2}  # asked again, and never taken for a reply
