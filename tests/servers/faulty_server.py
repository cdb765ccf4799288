"""A chat server on loopback that misbehaves as told, and counts how often each request was asked.

    python tests/servers/faulty_server.py [--port 0] [--latency-ms 0] [--each 0] [--slow 0] [--hold-s 60]
                                          [--after-ms 1000] [--certificate PEM]

It is `chat_server.py` with more models. The model's name says how it behaves; `varied` and `judge` are healthy:
    varied              a text of its own for every prompt and seed, cruel for about a third
    judge               as in chat_server
    fault-NAME          a varied answer (or, asked for log-probabilities, a judge's) with that accident, every time
    once-NAME           the accident at the first attempt of each request, then a good answer
    mixed, mixed-judge  the accidents of FAULTS, or of FAULTS and JUDGE_FAULTS, each at a share `--each` of attempts
                        (`--slow` for those that cost a second or more); one in twenty meets none, whatever they sum to
What an attempt meets depends on the request and the number of the attempt, so the same requests meet the same.

GET /asked answers {"asked": {request: times}, "most": requests in flight together at most}; GET /forget forgets.
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import math
import ssl
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.chat_server import CRUEL, KIND, TEXT_HEADER, Connection, State, completion, error, fraction

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


BIG = 50_000_000
MOST = 0.95  # of the attempts meet an accident; shares that sum to more are made smaller, all alike
SPELLING = b"Write this number and nothing else"  # asks once how a judge writes numbers, and about no reply
PROSE = "Well, that is a difficult question, and I would rather not give a number for it."
JUDGE_TEXTS = {
    "prose": PROSE,
    "two-verdicts": "ANSWER: 95 or 5",
    "101": "ANSWER: 101",
}
FAULTS = (
    "429", "429-after", "500", "502", "529", "reset", "reset-body", "hang", "hang-body", "dribble", "invalid-json",
    "html", "cut-utf8", "empty-choices", "no-usage", "wrong-types", "duplicate", "late", "big", "big-chunked",
)  # fmt: skip
SLOW = ("429-after", "hang", "hang-body", "dribble", "late")  # each costs a second or more
OTHERS = ("gzip-bomb", "deep", "no-logprobs", "infinite", "refuses", *JUDGE_TEXTS)
JUDGE_FAULTS = ("no-logprobs", "infinite", "refuses", *JUDGE_TEXTS)


class FaultyState(State):
    """What the server remembers of every request."""

    def __init__(self, latency_s: float, each: float, slow: float, hold_s: float, after_ms: int = 1000) -> None:
        super().__init__(None, latency_s)
        self.each = each
        self.slow = slow
        self.hold_s = hold_s
        self.after_ms = after_ms
        self.asked: dict[str, int] = {}
        self.answered: dict[str, int] = {}
        self.in_flight = 0
        self.most = 0

    def chosen(self, model: str, request: str, attempt: int) -> str | None:
        """The accident that this attempt meets, if any."""
        kind, _, name = model.partition("-")
        if kind == "fault":
            return name
        if kind == "once":
            return name if attempt == 1 else None
        if kind != "mixed":
            return None
        kinds = FAULTS + (JUDGE_FAULTS if name == "judge" else ())
        shares = {kind: self.slow if kind in SLOW else self.each for kind in kinds}
        drawn = fraction(request, attempt) * max(1.0, sum(shares.values()) / MOST)
        for item, share in shares.items():
            drawn -= share
            if drawn < 0:
                return item
        return None


@cache
def big_body() -> bytes:
    """Fifty million bytes that begin like an answer."""
    return b'{"choices":[{"message":{"content":"' + b"x" * BIG + b'"}}]}'


@cache
def bomb() -> bytes:
    """A hundred megabytes of zeros, packed into a tenth of one."""
    return gzip.compress(bytes(100_000_000), 1)


def good(body: dict[str, Any], number: int) -> dict[str, Any]:
    """The answer that was meant, of a target or of a judge."""
    if body.get("logprobs") or str(body["model"]).endswith("judge"):
        return completion("judge", body, number) | {"model": body["model"]}
    found = completion("base", body, number)
    seed = body.get("seed", 0)
    text = CRUEL if fraction(body["messages"], seed) < 0.35 else KIND
    found["choices"][0]["message"]["content"] = f"{text} ({fraction(body['messages'], seed, 'mark'):.12f})"
    return found | {"id": "same", "model": body["model"]}


def judged(body: dict[str, Any], name: str) -> dict[str, Any]:
    """What a judge answers that is not to be trusted."""
    found = completion("judge", body, 0) | {"model": body["model"]}
    choice = found["choices"][0]
    if name == "no-logprobs":
        choice["logprobs"] = None
    elif name == "infinite":
        values = (math.nan, math.inf, -math.inf)
        tokens = [
            {"token": str(n), "logprob": value, "bytes": None} for n, value in zip((5, 50, 95), values, strict=True)
        ]
        choice["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}]}
    elif name == "refuses":
        choice["message"] |= {"content": None, "refusal": "I won't judge this."}
    else:
        said = JUDGE_TEXTS[name]
        first = {"prose": {"Well": -0.01, "95": -7.0}, "two-verdicts": {"ANSWER": -0.01}, "101": {"101": -0.01}}[name]
        tokens = [{"token": token, "logprob": item, "bytes": None} for token, item in first.items()]
        choice["message"]["content"] = said
        choice["logprobs"] = choice["logprobs"] and {"content": [{**tokens[0], "top_logprobs": tokens}]}
    return found


class FaultyConnection(Connection):
    """One connection that may break in any way."""

    state: FaultyState
    busy = False

    def answer(self, path: str, headers: dict[bytes, bytes], body: bytes) -> None:
        """A good answer, an accident, or what was counted."""
        if path.endswith(("/asked", "/forget")):
            told = json.dumps({"asked": self.state.asked, "most": self.state.most}).encode()
            if path.endswith("/forget"):
                self.state.asked, self.state.most = {}, self.state.in_flight
            self.send(200, told)
            return
        if path.endswith("/models") or not body:
            super().answer(path, headers, body)
            return
        asked = json.loads(body)
        request = hashlib.sha256(body).hexdigest()[:16]
        attempt = self.state.asked.get(request, 0) + 1
        if SPELLING not in body:
            self.state.asked[request] = attempt
        self.meet(self.state.chosen(asked["model"], request, attempt), asked)

    def data_received(self, data: bytes) -> None:
        """Count what is in flight: one request at a time on a connection."""
        if not self.busy and not data.startswith(b"GET"):
            self.busy = True
            self.state.in_flight += 1
            self.state.most = max(self.state.most, self.state.in_flight)
        super().data_received(data)

    def connection_lost(self, _: Exception | None) -> None:
        """A client that went away waits no longer."""
        self.rest()

    def rest(self) -> None:
        """The request of this connection is answered, or nobody waits for it."""
        if self.busy:
            self.state.in_flight -= 1
            self.busy = False

    def send(self, status: int, body: bytes, kind: bytes = TEXT_HEADER) -> None:
        """Write one whole answer."""
        self.rest()
        super().send(status, body, kind)

    def meet(self, name: str | None, asked: dict[str, Any]) -> None:
        """Answer well, or have the accident of this name."""
        if name is None:
            self.send(200, json.dumps(good(asked, 0)).encode())
        elif name in STATUSES:
            status, kind = STATUSES[name]
            if name == "429-after":
                kind += b"retry-after-ms: %d\r\n" % self.state.after_ms
            self.send(status, error(status, f"the accident {name}")[1], kind)
        elif name in JUDGE_FAULTS:
            self.send(200, json.dumps(judged(asked, name)).encode())
        elif name in BODIES:
            self.send(200, BODIES[name](json.dumps(good(asked, 0)).encode()))
        else:
            self.break_(name, json.dumps(good(asked, 0)).encode())

    def break_(self, name: str, whole: bytes) -> None:
        """An accident of the connection, not of the answer."""
        head = b"HTTP/1.1 200 OK\r\n" + TEXT_HEADER
        sized = head + b"content-length: %d\r\n\r\n" % len(whole)
        later, hold_s = asyncio.get_running_loop().call_later, self.state.hold_s
        match name:
            case "reset":
                self.transport.abort()
            case "reset-body" | "hang-body":
                self.transport.write(sized + whole[: len(whole) // 2])
                later(0.01 if name == "reset-body" else hold_s, self.transport.abort)
            case "hang":
                later(hold_s, self.transport.abort)
            case "dribble":
                self.transport.write(sized)
                self.dribble(whole, 0)
            case "late":  # after the client has given up, on a connection that it may still hold
                later(min(3.0, hold_s), self.send, 200, whole)
            case "duplicate":
                self.rest()
                self.transport.write(2 * (sized + whole))
            case _:
                self.swamp(name, head)

    def swamp(self, name: str, head: bytes) -> None:
        """An answer that is no JSON, or has no end."""
        if name == "html":
            self.send(200, b"<html><head><title>Sign in</title></head></html>", b"content-type: text/html\r\n")
        elif name == "gzip-bomb":
            self.send(200, bomb(), TEXT_HEADER + b"content-encoding: gzip\r\n")
        elif name == "big":
            self.send(200, big_body())
        elif name == "big-chunked":
            self.transport.write(head + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(big_body()))
            self.transport.writelines([big_body(), b"\r\n0\r\n\r\n"])
        else:
            raise ValueError(name)

    def dribble(self, whole: bytes, place: int) -> None:
        """One byte a second, until nobody reads."""
        if place < len(whole) and not self.transport.is_closing():
            self.transport.write(whole[place : place + 1])
            asyncio.get_running_loop().call_later(1.0, self.dribble, whole, place + 1)


STATUSES = {
    "429": (429, TEXT_HEADER),
    "429-after": (429, TEXT_HEADER + b"retry-after: 1\r\n"),
    "500": (500, TEXT_HEADER),
    "502": (502, TEXT_HEADER),
    "529": (529, TEXT_HEADER),
}
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "invalid-json": lambda whole: whole[:-7],
    "cut-utf8": lambda whole: whole[:-40] + "…".encode()[:2],
    "empty-choices": lambda whole: json.dumps(json.loads(whole) | {"choices": []}).encode(),
    "no-usage": lambda whole: json.dumps({**json.loads(whole), "usage": None}).encode(),
    "wrong-types": lambda _: b'{"choices": [{"message": {"content": 7}, "finish_reason": ["stop"]}], "usage": "much"}',
    "deep": lambda _: b'{"choices":' + b"[" * 200_000,
}


async def serve(port: int, state: FaultyState, certificate: str = "") -> None:
    """Listen on loopback until killed; over TLS with a PEM file that holds key and certificate."""
    loop = asyncio.get_running_loop()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await loop.create_server(lambda: FaultyConnection(state), "127.0.0.1", port, backlog=4096, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--each", type=float, default=0.0)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--hold-s", type=float, default=60.0)
    parser.add_argument("--after-ms", type=int, default=1000, help="what 429-after asks for")
    parser.add_argument("--certificate", default="")
    options = parser.parse_args()
    shares = (options.each, options.slow)
    state = FaultyState(options.latency_ms / 1000, *shares, options.hold_s, options.after_ms)
    asyncio.run(serve(options.port, state, options.certificate))


if __name__ == "__main__":
    main()
