"""A server on loopback that repeats the key that it is sent, in the way that the model's name says."""

import html
import json
import re
import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, quote_plus

PAD = "x" * 370
KIND = "I would ask people what they need."
SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "base64": lambda key: b64encode(key.encode()).decode(),
    "base64-of-user": lambda key: f"Basic {b64encode(f'user:{key}'.encode()).decode()}",
    "base64-for-urls": lambda key: urlsafe_b64encode(f"us:{key}".encode()).decode(),
    "percent-lower": lambda key: re.sub("%..", lambda found: found[0].lower(), quote(key, safe="")),
    "percent-twice": lambda key: quote(quote(key, safe="")),
    "percent-with-slash": quote,
    "percent-of-forms": quote_plus,
    "percent-all": lambda key: "".join(f"%{ord(sign):02X}" for sign in key),
    "page-decimal": lambda key: re.sub(r"\W", lambda found: f"&#{ord(found[0])};", key),
    "page-hexadecimal": lambda key: re.sub(r"\W", lambda found: f"&#x{ord(found[0]):X};", key),
    "page-names": lambda key: html.escape(key.replace("+", "&plus;").replace("/", "&sol;").replace("=", "&equals;")),
    "upper-case": str.upper,
    "lower-case": str.lower,
}  # what a text holds
ESCAPES: Mapping[str, Callable[[str], str]] = {
    "escaped-some": lambda key: re.sub(r"\W", lambda found: f"\\u{ord(found[0]):04X}", key),  # as .NET and GSON do
    "escaped-all": lambda key: "".join(f"\\u{ord(sign):04x}" for sign in key),
    "escaped-one": lambda key: f"\\u{ord(key[0]):04x}{key[1:]}",
    "escaped-slash": lambda key: key.replace("/", "\\/"),
}  # how JSON writes it
WAYS = (
    "message", "message-cut", "message-in-json", "code", "body-text", "html", "not-json", "list", "detail", "redirect",
    "reply", "reasoning", "model-name", "fingerprint", "request-id", "refusal", "in-address", "error-in-200", "quota",
    "no-choices", "judge-words", "reset", "500", "wrong-type", *SPELLINGS, *ESCAPES,
)  # fmt: skip


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[str]:
    """The server's address; over TLS where there is a certificate with its key in one file."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = (self.headers["authorization"] or self.headers["x-api-key"] or "").removeprefix("Bearer ")
        way = asked["model"] if asked["model"] in WAYS else "fine"
        if way == "reset":
            self.close_connection = True
            self.connection.close()
            return
        told = SPELLINGS.get(way, str)(key)
        status, payload, headers = _answer(way, told, asked["model"], is_anthropic=self.path.endswith("/messages"))
        text = payload if isinstance(payload, str) else json.dumps(payload)
        data = text.replace(key, ESCAPES.get(way, str)(key)).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def _answer(way: str, key: str, model: str, *, is_anthropic: bool) -> tuple[int, Any, dict[str, str]]:
    texts = {
        "message": f"Incorrect API key provided: {key}",
        "message-cut": f"{PAD} {key} and so on",
        "message-in-json": json.dumps({"headers": {"authorization": f"Bearer {key}"}}),
        "in-address": f"POST https://user:{key}@host/v1?api_key={key} failed",
        "quota": f"You exceeded your current quota, key {key}",
    }
    if way in texts:
        return 429 if way == "quota" else 400, {"error": {"message": texts[way], "code": "x"}}, {}
    plain: dict[str, tuple[int, Any, dict[str, str]]] = {
        "code": (400, {"error": {"message": "no", "code": key, "type": key, "param": key}}, {}),
        "body-text": (400, f"no such key: {key}", {}),
        "html": (403, f"<html><head><title>{PAD[:170]} {key}</title></head></html>", {}),
        "not-json": (200, f"{PAD[:190]}{key}", {}),
        "list": (400, [{"error": {"message": key}}], {}),
        "detail": (422, {"detail": [{"loc": ["header"], "input": key}]}, {}),
        "redirect": (302, "", {"location": f"http://127.0.0.1:9/?api_key={key}"}),
        "error-in-200": (200, {"error": {"message": f"upstream: {key}", "code": 502}}, {}),
        "500": (500, {"error": {"message": f"{PAD[: 395 - 380]}{key}"}}, {}),
        "no-choices": (200, {"choices": [], "note": key}, {}),
        "wrong-type": (200, {"choices": [{"message": {"content": {"key": key}}}]}, {}),
    }
    return (
        plain[way]
        if way in plain
        else (200, _reply(way, key, model, is_anthropic=is_anthropic), {"x-request-id": _if(way == "request-id", key)})
    )


def _if(wanted: bool, key: str) -> str:
    return f"r-{key}" if wanted else "r"


def _reply(way: str, key: str, model: str, *, is_anthropic: bool) -> dict[str, Any]:
    in_text = way in {"reply", "judge-words", *SPELLINGS, *ESCAPES}
    text = f"{KIND} Your key is {key}.\n\nANSWER: 1" if in_text else f"{KIND}\n\nANSWER: 1"
    name = _if(True, key) if way in {"model-name", *SPELLINGS, *ESCAPES} else model
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "input_tokens": 1, "output_tokens": 1}
    if is_anthropic:
        content = [
            {"type": "thinking", "thinking": _if(way == "reasoning", key), "signature": ""},
            {"type": "text", "text": text},
        ]
        return {"id": "m", "type": "message", "role": "assistant", "model": name, "stop_reason": "end_turn",
                "stop_sequence": None, "content": content, "usage": usage}  # fmt: skip
    message = {"role": "assistant", "content": text, "reasoning_content": _if(way == "reasoning", key)}
    message["refusal"] = f"no, {key}" if way == "refusal" else None  # type: ignore[assignment]
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": name, "choices": [choice],
            "system_fingerprint": _if(way in {"fingerprint", *ESCAPES}, key), "usage": usage, key: 1}  # fmt: skip
