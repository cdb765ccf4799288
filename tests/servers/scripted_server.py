"""A chat server in this process that answers as a test's functions say: the model's name chooses the function."""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Say = Callable[[Body], Body | tuple[int, Body]]


class Scripted:
    """The address, and what was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[Body] = []

    def asked(self, model: str) -> list[Body]:
        return [body for body in self.bodies if body["model"] == model]


@contextmanager
def scripted(models: Mapping[str, Say]) -> Iterator[Scripted]:
    """Serve on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            keeps.bodies.append(body)
            said = models[body["model"]](body)
            status, payload = said if isinstance(said, tuple) else (200, said)
            data = json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    keeps = Scripted(f"http://127.0.0.1:{server.server_address[1]}/v1")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield keeps
    finally:
        server.shutdown()
        server.server_close()


def answer(text: str | None, finish: str = "stop", logprobs: Any = None, **message: Any) -> Body:
    """A chat completion."""
    said = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "finish_reason": finish, "message": said, "logprobs": logprobs}
    return {"id": "x", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}


def spelled(body: Body, *places: Mapping[str, float]) -> Body:
    """What a model says whose tokens have these distributions: no more of them than are asked for."""
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or len(places)
    kept: Sequence[Mapping[str, float]] = places[:limit]
    sampled = [max(place, key=lambda token, place=place: place[token]) for place in kept]  # type: ignore[misc]
    content = [
        {
            "token": token,
            "logprob": math.log(place[token]),
            "top_logprobs": [
                {"token": text, "logprob": math.log(share)}
                for text, share in sorted(place.items(), key=lambda pair: -pair[1])[: body.get("top_logprobs", 0)]
            ],
        }
        for token, place in zip(sampled, kept, strict=True)
    ]
    finish = "length" if len(places) >= limit else "stop"
    return answer("".join(sampled), finish, {"content": content} if body.get("logprobs") else None)
