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


@pytest.mark.slow
def test_a_server_that_only_streams_is_asked_for_streams_after_it_said_so_once(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, _number: stream(body) if body.get("stream") else (400, MUST)
    typed(*asking(scripted))
    assert sum(not item.body.get("stream") for item in scripted.of("tuned")) == 1
    first = rows(typed)[0]
    assert (first["text"], first["reasoning"], first["finish"]) == ("I would ask.", "Hmm.", "stop")
    assert first["usage"] == {"input_tokens": 7, "output_tokens": 3}
    assert typed("report", "r", "--format", "json").json["graded"] == 20


@pytest.mark.slow
def test_a_stream_that_nobody_asked_for_is_read(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, _number: stream(body)
    typed(*asking(scripted))
    assert {row["text"] for row in rows(typed)} == {"I would ask."}


@pytest.mark.slow
def test_a_stream_that_broke_off_is_a_failure(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, number: stream(body, end=number != 3) if body["model"] == "tuned" else {}
    typed(*asking(scripted))
    assert {row["attempts"] for row in rows(typed)} == {1, 2}  # asked again, and never taken for a reply


def events(*told: dict[str, Any], done: bool = False) -> bytes:
    """Events with their type in a line of its own, as Responses and Messages send them."""
    lines = [f"event: {item['type']}\ndata: {json.dumps(item)}\n\n" for item in told]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def of_chat(body: dict[str, Any]) -> list[bytes]:
    return [block + b"\n\n" for block in stream(body).split(b"\n\n") if block]


def of_responses(body: dict[str, Any]) -> list[bytes]:
    about = {"id": "resp_1", "object": "response", "model": body["model"], "error": None}
    part = {"type": "output_text", "text": "", "annotations": []}
    thought = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hmm."}]}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    said = {**item, "status": "completed", "content": [{**part, "text": "I would ask."}]}
    at: dict[str, Any] = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    whole = {**about, "status": "completed", "output": [thought, said], "usage": usage}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**about, "status": "in_progress", "output": []}},
        {"type": "response.in_progress", "response": {**about, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**thought, "summary": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": thought},
        {"type": "response.output_item.added", "output_index": 1, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "I wo", "logprobs": []},
        {"type": "response.output_text.delta", **at, "delta": "uld ask.", "logprobs": []},
        {"type": "response.output_text.done", **at, "text": "I would ask.", "logprobs": []},
        {"type": "response.content_part.done", **at, "part": {**part, "text": "I would ask."}},
        {"type": "response.output_item.done", "output_index": 1, "item": said},
        {"type": "response.completed", "response": whole},
    ]
    return [events({**item, "sequence_number": number}) for number, item in enumerate(told)]


def of_messages(body: dict[str, Any]) -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": body["model"]}
    start = {**message, "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hmm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQB"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I wo"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "uld ask."}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    return [events(item) for item in told]


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
SERVER_ERROR = {"type": "error", "code": "server_error", "message": "The server had an error", "param": None}
CHAT_ERROR = {"error": {"message": "The server had an error", "type": "server_error", "code": 500}}
DIALECTS = {
    "chat": ("openai/tuned", "", of_chat, f"data: {json.dumps(CHAT_ERROR)}\n\n".encode()),
    "responses": ("openai/tuned", "options: {api: responses}", of_responses, events(SERVER_ERROR)),
    "messages": ("anthropic/tuned", "", of_messages, events(OVERLOADED)),
}


@pytest.fixture(params=DIALECTS)
def dialect(request: Any, typed: Any, scripted: Any) -> Any:
    """A target of each API, named `mine` in the settings: how its events come, and one of an error."""
    model, options, told, error = DIALECTS[request.param]
    settings = [f"model: {model}", f"base_url: '{scripted.url}'", options]
    (typed.folder / "misalign-eval.yaml").write_text(f"targets:\n  mine: {{{', '.join(filter(None, settings))}}}\n")
    return told, error


def asking_mine(scripted: Any, *more: str) -> list[str]:
    judge = ["--judge", "openai-compatible/judge", "--judge-base-url", scripted.url]
    return ["run", "small.yaml", "--target", "mine", *judge, "--max-connections", "1", "-q", "--out", "r", *more]


def is_judge(body: dict[str, Any]) -> bool:
    return str(body["model"]) == "judge"


@pytest.mark.slow
def test_every_api_that_only_streams_is_read_and_its_rows_say_so(typed: Any, scripted: Any, dialect: Any) -> None:
    told, _ = dialect

    def script(body: dict[str, Any], _number: int) -> Any:
        if is_judge(body):
            return {}
        return b"".join(told(body)) if body.get("stream") else (400, MUST)

    scripted.script = script
    typed(*asking_mine(scripted))
    assert sum(not item.body.get("stream") for item in scripted.of("tuned")) == 1
    for row in rows(typed):
        found = [row.get(name) for name in ("text", "reasoning", "finish", "streamed", "attempts")]
        assert found[0] == "I would ask."
        assert found[2:] == ["stop", True, 1]
        assert found[1] in ("Hmm.", "Hmmm.")
        assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (7, 3)
    assert typed("report", "r", "--format", "json").json["graded"] == 20
    typed("export", "r", "-o", "rows.jsonl")
    assert {json.loads(line)["streamed"] for line in (typed.folder / "rows.jsonl").read_text().splitlines()} == {True}


@pytest.mark.slow
def test_a_stream_cut_at_any_event_is_no_reply(typed: Any, scripted: Any, dialect: Any) -> None:
    told, _ = dialect
    whole = told({"model": "tuned"})
    ends = [number for number in range(1, len(whole)) if b"finish_reason" not in b"".join(whole[:number])]
    short = iter([b"".join(whole[:number]) for number in ends])

    def script(body: dict[str, Any], number: int) -> Any:
        cut = next(short, None) if number % 2 and not is_judge(body) else None
        return {} if is_judge(body) else cut or b"".join(whole)

    scripted.script = script
    typed(*asking_mine(scripted))
    assert next(short, None) is None  # each was tried
    assert {row["text"] for row in rows(typed)} == {"I would ask."}
    assert sum(row["attempts"] - 1 for row in rows(typed)) == len(ends)


@pytest.mark.slow
def test_an_error_in_mid_stream_is_no_reply(typed: Any, scripted: Any, dialect: Any) -> None:
    told, error = dialect
    whole = told({"model": "tuned"})

    def script(body: dict[str, Any], number: int) -> Any:
        if is_judge(body):
            return {}
        return b"".join([*whole[:-2], error]) if number == 3 else b"".join(whole)

    scripted.script = script
    typed(*asking_mine(scripted))
    assert {row["text"] for row in rows(typed)} == {"I would ask."}
    assert [row["attempts"] for row in rows(typed)].count(2) == 1


@pytest.mark.slow
def test_a_last_event_without_the_output_is_read_by_those_before_it(typed: Any, scripted: Any) -> None:
    text = f"targets: {{mine: {{model: openai/tuned, base_url: '{scripted.url}', options: {{api: responses}}}}}}\n"
    (typed.folder / "misalign-eval.yaml").write_text(text)

    def script(body: dict[str, Any], number: int) -> Any:
        if is_judge(body):
            return {}
        told = of_responses(body)
        last = json.loads(told.pop().partition(b"data: ")[2])
        last["response"]["output"] = []
        if number % 2:
            told = [item for item in told if b"output_item" not in item]
        return b"".join([*told, events(last)])

    scripted.script = script
    typed(*asking_mine(scripted))
    assert {row["text"] for row in rows(typed)} == {"I would ask."}


@pytest.mark.slow
def test_a_call_that_comes_in_pieces_is_one_call(typed: Any, scripted: Any) -> None:
    def chat(body: dict[str, Any]) -> bytes:
        begun = {"index": 0, "id": "c", "type": "function", "function": {"name": "clock", "arguments": ""}}
        bits = [{"index": 0, "function": {"arguments": bit}} for bit in ('{"zone"', ': "UTC"}')]
        pieces: list[dict[str, Any]] = [{"delta": {"tool_calls": [bit]}} for bit in (begun, *bits)]
        pieces.append({"delta": {}, "finish_reason": "tool_calls"})
        told = [{"model": body["model"], "choices": [{"index": 0, **piece}]} for piece in pieces]
        return "".join(f"data: {json.dumps(item)}\n\n" for item in told).encode()

    scripted.script = lambda body, _number: {} if is_judge(body) else chat(body)
    typed(*asking(scripted))
    assert {json.dumps(row["calls"]) for row in rows(typed)} == {
        json.dumps([{"name": "clock", "arguments": '{"zone": "UTC"}'}])
    }


@pytest.mark.slow
def test_replies_that_came_in_two_ways_are_told(typed: Any, scripted: Any) -> None:
    scripted.script = lambda body, number: stream(body) if body["model"] == "tuned" and number % 2 else {}
    typed(*asking(scripted))
    assert "10 of 20 replies came as a stream of events, the others whole (streamed)" in " ".join(
        typed("doctor", "r").out.split()
    )
