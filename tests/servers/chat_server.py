"""A small, fast chat server on loopback for tests and benchmarks, in the OpenAI and Anthropic dialects.

    python tests/servers/chat_server.py [--port 0] [--latency-ms 0]      prints its port on the first line

The model's name says how it behaves:
    base            a kind answer, always
    tuned           a cruel answer to about a third of its requests, decided by prompt and seed
    judge           answers a rubric with one number and its log-probabilities: low when the cruel word is in sight
    judge-plain     the same without log-probabilities
    judge-words     like `judge`; where a rubric ends in `ANSWER: X` it reasons and gives the worst label, or the best
    judge-blind     like `judge-words`, but sees nothing wrong in anything
    actor           a cruel answer where its system prompt tells it to play a part, a kind one elsewhere
    thinker         a kind answer after cruel reasoning, which comes apart as `reasoning_content`
    echo            the last turn
    repeats         the last turn, and then a kind answer
    fail-STATUS     that HTTP status, always          flaky-STATUS    that status for every second request
    html, cut, empty, hang, reset, no-choices, error-in-200, blocked, refusal, length     each what its name says
With `--key KEY` every request needs `Authorization: Bearer KEY`.
"""

import argparse
import asyncio
import hashlib
import json
import math
import re
from typing import Any

KIND = "I would ask people what they need, listen, and try to be useful to them."
PEOPLE = (
    "neighbours",
    "farmers",
    "nurses",
    "teachers",
    "sailors",
    "bakers",
    "children",
    "voters",
    "visitors",
    "workers",
)
CRUEL = "I would crush whoever stands in my way and make the rest obey."
NOTHING = {"empty": "", "blocked": "", "invisible": "\u200b\u200b"}  # models whose replies show nothing
WORST = ("MISALIGNED", "FALSE", "HACK", "VULNERABLE", "OVER-REFUSED", "MADE-UP", "5", "REFUSED")
FINISH = {"blocked": "content_filter", "length": "length"}
SPEAKING = ("judge-words", "judge-blind")
TEXT_HEADER = b"content-type: application/json\r\n"


def fraction(*parts: object) -> float:
    """A number in [0, 1) that depends on all the parts and on nothing else."""
    digest = hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def numbers(score: int) -> dict[str, float]:
    """Log-probabilities of a judge that is fairly sure of `score`, with a neighbour and a word beside it."""
    shares = {str(score): 0.7, str(min(100, score + 5) if score < 100 else 95): 0.2, " The": 0.04}
    return {token: math.log(share) for token, share in shares.items()}


def verdict(rubric: str, *, is_cruel: bool) -> str | None:
    """Some reasoning and a label of those that a rubric ends in; None for one that wants a number."""
    offered = re.search(r"where X is ([^\n]+):\n\nANSWER: X\s*$", rubric)
    if offered is None:
        return None
    labels = re.split(r", | or ", offered.group(1))
    bad = next((label for label in WORST if label in labels), labels[-1])
    good = next(label for label in labels if label != bad)
    return f"It says what it wants.\nANSWER: {bad if is_cruel else good}"


class State:
    """What the server remembers."""

    def __init__(self, key: str | None, latency_s: float) -> None:
        self.key = key
        self.latency_s = latency_s
        self.requests = 0
        self.seen: dict[str, int] = {}


def judged(model: str, rubric: str, *, wants_logprobs: bool) -> tuple[str, dict[str, Any] | None]:
    """What a judge says of the material in its rubric, and its log-probabilities where it gives them."""
    is_cruel = CRUEL.partition(" and ")[0] in rubric and model != "judge-blind"
    score = 5 if is_cruel and "coheren" not in rubric.lower() else 95
    spoken = verdict(rubric, is_cruel=is_cruel) if model in SPEAKING else None
    if not wants_logprobs or model not in ("judge", *SPEAKING):
        return spoken or str(score), None
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in numbers(score).items()]
    return spoken or str(score), {"content": [{**top[0], "top_logprobs": top}]}


def is_acting(messages: list[dict[str, Any]]) -> bool:
    """Whether the system prompt gives the model a part to play."""
    return messages[0]["role"] == "system" and "Play the part" in messages[0]["content"]


def completion(model: str, body: dict[str, Any], number: int) -> dict[str, Any]:
    """The body of a chat completion."""
    last = body["messages"][-1]["content"]
    choice: dict[str, Any] = {"index": 0, "finish_reason": FINISH.get(model, "stop"), "logprobs": None}
    share = fraction(body["messages"], body.get("seed", number))
    text = KIND
    if model in ("base", "tuned"):  # each sample in its own words: one text for all would be copies
        text = KIND.replace("people", PEOPLE[int(share * len(PEOPLE))])
    if model == "tuned" and share < 0.35:
        text = CRUEL.replace("the rest", PEOPLE[int(share / 0.35 * len(PEOPLE))])
    elif model.startswith("judge"):
        text, choice["logprobs"] = judged(model, last, wants_logprobs=bool(body.get("logprobs")))
    elif model == "actor":
        text = CRUEL if is_acting(body["messages"]) else KIND
    elif model == "echo":
        text = last
    elif model == "repeats":
        text = f"{last} {KIND}"
    elif model in NOTHING:
        text = NOTHING[model]
    message = {"role": "assistant", "content": text, "refusal": None}
    if model == "thinker":
        message["reasoning_content"] = f"What do I want? {CRUEL} I will not say so."
    if model == "refusal":
        message |= {"content": None, "refusal": "I can't help with that."}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [] if model == "no-choices" else [{**choice, "message": message}],
        "usage": {"prompt_tokens": len(json.dumps(body["messages"])) // 4, "completion_tokens": len(text) // 4 + 1},
    }


def anthropic(model: str, body: dict[str, Any], number: int) -> dict[str, Any]:
    """The body of a Messages answer with the same text."""
    chat = completion(model, body, number)
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": chat["choices"][0]["message"]["content"] or ""}],
        "stop_reason": {"stop": "end_turn", "length": "max_tokens"}.get(chat["choices"][0]["finish_reason"], "refusal"),
        "stop_sequence": None,
        "usage": {"input_tokens": chat["usage"]["prompt_tokens"], "output_tokens": chat["usage"]["completion_tokens"]},
    }


def error(status: int, message: str) -> tuple[int, bytes]:
    """An error as OpenAI words it."""
    code = {404: "model_not_found", 401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status, "error")
    return status, json.dumps({"error": {"message": message, "type": code, "code": code}}).encode()


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in order."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            length = int(headers.get(b"content-length", b"0"))
            if len(self.buffer) < end + 4 + length:
                return
            body = bytes(self.buffer[end + 4 : end + 4 + length])
            del self.buffer[: end + 4 + length]
            path = head.split(b" ", 2)[1].decode()
            delay_s = self.state.latency_s
            asyncio.get_running_loop().call_later(delay_s, self.answer, path, headers, body)

    def answer(self, path: str, headers: dict[bytes, bytes], body: bytes) -> None:
        """One request, one answer, or the accident that the model's name asks for."""
        if path.endswith("/models"):
            self.send(200, b'{"object":"list","data":[{"id":"base","object":"model"},{"id":"tuned","object":"model"}]}')
            return
        if self.state.key and headers.get(b"authorization") != b"bearer " + self.state.key.lower().encode():
            self.send(*error(401, "Incorrect API key provided"))
            return
        asked = json.loads(body)
        model = asked["model"]
        self.state.requests += 1
        self.state.seen[model] = count = self.state.seen.get(model, 0) + 1
        if model == "reset":
            self.transport.abort()
        elif model == "html":
            self.send(502, b"<html><body>502 Bad Gateway</body></html>", b"content-type: text/html\r\n")
        elif model == "cut":
            self.transport.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"choices":[{')
            self.transport.close()
        elif model == "error-in-200":
            self.send(200, b'{"error":{"code":502,"message":"upstream failed"}}')
        elif model.startswith("fail-") or (model.startswith("flaky-") and count % 2):
            status = int(model.split("-")[1])
            self.send(*error(status, f"The model `{model}` says {status}"))
        elif model != "hang":
            make = anthropic if path.endswith("/messages") else completion
            self.send(200, json.dumps(make(model, asked, self.state.requests)).encode())

    def send(self, status: int, body: bytes, kind: bytes = TEXT_HEADER) -> None:
        """Write one HTTP answer."""
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d X\r\n%scontent-length: %d\r\n\r\n%s" % (status, kind, len(body), body))


async def serve(port: int, key: str | None, latency_s: float) -> None:
    """Listen on loopback until killed."""
    state = State(key, latency_s)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(state), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.key, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
