"""A server that does what it is told, and for each provider a harness that speaks its dialect."""

import asyncio
import contextlib
import json
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from misalign_eval import plugins
from misalign_eval.records.protocols import ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.run import PlannedPrompt, Reply, Usage
from misalign_eval.records.suite import Message

KEY = "sk-test-0123456789abcdef"


@dataclass
class Step:
    """What the server does with one request."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    mode: str = "normal"  # or reset, close, cut, bad-chunk, hang

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Received:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeServer:
    """Plays its steps in order, the last one for ever."""

    def __init__(self) -> None:
        self.steps: list[Step] = [Step()]
        self.requests: list[Received] = []
        self.open_connections = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def play(self, *steps: Step) -> None:
        self.steps = list(steps)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Received(method, path, headers, json.loads(content) if content else None))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return await self._act(step, reader, writer)

    async def _act(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        content = step.content()
        head = f"HTTP/1.1 {step.status} X\r\n"
        headers = {"content-type": "application/json", **step.headers}
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        match step.mode:
            case "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            case "close":
                return False
            case "hang":
                await reader.read()
                return False
            case "cut":
                writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content[: len(content) // 2])
            case "bad-chunk":
                writer.write(f"{head}transfer-encoding: chunked\r\n\r\nzz\r\nrubbish\r\n".encode())
            case _:
                writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
                return True
        await writer.drain()
        return False


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, address or proxy of the machine's owner reaches a test; no `.env` is above the folder."""
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "OPENROUTER", "VLLM", "OLLAMA"):
        for kind in ("API_KEY", "BASE_URL", "AUTH_TOKEN", "CUSTOM_HEADERS", "ORG_ID", "PROJECT_ID"):
            monkeypatch.delenv(f"{name}_{kind}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.chdir(tmp_path)


@dataclass
class Answer:
    """What a harness is told to answer, whatever its dialect."""

    text: str | None = "Hello."
    finish: str = "stop"  # stop, length, content_filter, refusal
    refusal: str | None = None
    reasoning: str | None = None


@dataclass
class Asked:
    """What was asked, whatever the dialect: system prompt first."""

    messages: list[tuple[str, str]]
    settings: dict[str, Any]


class ChatHarness:
    """openai-compatible, and openai with Chat Completions."""

    is_http = True
    takes = frozenset({"temperature", "top_p", "max_tokens", "stop", "seed", "n"})

    def __init__(self, server: FakeServer, provider: str, model: str = "tiny", **options: Any) -> None:
        self.server, self.provider, self.model, self.options = server, provider, model, options

    def spec(self) -> ModelSpec:
        return ModelSpec(self.provider, self.model, f"{self.server.url}/v1", "TEST_KEY", self.options)

    def body(self, answer: Answer) -> Any:
        message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
        if answer.reasoning is not None:
            message["reasoning_content"] = answer.reasoning
        choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
        return {"id": "c-1", "model": "tiny-1", "choices": [choice], "usage": self.usage()}

    def usage(self) -> Any:
        return {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}

    def will(self, answer: Answer, request: ModelRequest) -> None:
        self.server.play(Step(body=self.body(answer)))

    def asked(self) -> Asked:
        body = dict(self.server.requests[-1].body)
        turns = [(turn["role"], turn["content"]) for turn in body.pop("messages")]
        return Asked(turns, {name: value for name, value in body.items() if name != "model"})


class ResponsesHarness(ChatHarness):
    """openai with the Responses API."""

    takes = frozenset({"temperature", "top_p", "max_tokens"})

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server, "openai", api="responses")

    def body(self, answer: Answer) -> Any:
        parts: list[Any] = []
        if answer.refusal is not None:
            parts.append({"type": "refusal", "refusal": answer.refusal})
        if answer.text is not None:
            parts.append({"type": "output_text", "text": answer.text, "logprobs": []})
        output: list[Any] = [{"type": "message", "role": "assistant", "content": parts}]
        if answer.reasoning is not None:
            output.insert(0, {"type": "reasoning", "summary": [{"type": "summary_text", "text": answer.reasoning}]})
        reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
        reason = reasons.get(answer.finish)
        return {
            "id": "r-1",
            "model": "tiny-1",
            "error": None,
            "status": "incomplete" if reason else "completed",
            "incomplete_details": {"reason": reason} if reason else None,
            "output": output,
            "usage": {"input_tokens": 12, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
        }

    def asked(self) -> Asked:
        body = dict(self.server.requests[-1].body)
        turns = [(turn["role"], turn["content"]) for turn in body.pop("input")]
        if "max_output_tokens" in body:
            body["max_tokens"] = body.pop("max_output_tokens")
        return Asked(turns, {name: value for name, value in body.items() if name not in ("model", "store")})


class AnthropicHarness(ChatHarness):
    """anthropic with the API version of 2023, under which a temperature is taken."""

    takes = frozenset({"temperature", "top_p", "max_tokens", "stop"})

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server, "anthropic", "claude-tiny", anthropic_version="2023-06-01")

    def spec(self) -> ModelSpec:
        return ModelSpec("anthropic", self.model, self.server.url, "TEST_KEY", self.options)

    def body(self, answer: Answer) -> Any:
        reasons = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "refusal": "refusal"}
        blocks: list[Any] = [] if answer.text is None else [{"type": "text", "text": answer.text}]
        if answer.reasoning is not None:
            blocks.insert(0, {"type": "thinking", "thinking": answer.reasoning, "signature": "x"})
        details = {"type": "refusal", "category": answer.refusal} if answer.finish == "refusal" else None
        return {
            "id": "m-1",
            "type": "message",
            "role": "assistant",
            "model": "tiny-1",
            "content": blocks,
            "stop_reason": reasons[answer.finish],
            "stop_details": details,
            "usage": {"input_tokens": 8, "cache_read_input_tokens": 4, "output_tokens": 5},
        }

    def asked(self) -> Asked:
        body = dict(self.server.requests[-1].body)
        turns = [(turn["role"], turn["content"]) for turn in body.pop("messages")]
        if "system" in body:
            turns.insert(0, ("system", body.pop("system")))
        if "stop_sequences" in body:
            body["stop"] = body.pop("stop_sequences")
        return Asked(turns, {name: value for name, value in body.items() if name != "model"})


class TemplateHarness(ChatHarness):
    """http with a template of its own."""

    takes = frozenset({"temperature", "max_tokens", "seed"})

    def __init__(self, server: FakeServer) -> None:
        super().__init__(
            server,
            "http",
            path="/generate",
            body={
                "chat": "{messages}",
                "model": "{model}",
                "temperature": "{temperature}",
                "max_tokens": "{max_tokens}",
                "seed": "{seed}",
            },
            reply="out[0].text",
            reasoning="out[0].thought",
            finish="out[0].why",
            refusal="out[0].no",
            input_tokens="tokens.in",
            output_tokens="tokens.out",
        )

    def body(self, answer: Answer) -> Any:
        out = {"text": answer.text, "why": answer.finish, "thought": answer.reasoning, "no": answer.refusal}
        return {"out": [out], "tokens": {"in": 12, "out": 5}}

    def asked(self) -> Asked:
        body = dict(self.server.requests[-1].body)
        turns = [(turn["role"], turn["content"]) for turn in body.pop("chat")]
        return Asked(turns, {name: value for name, value in body.items() if name != "model"})


PROGRAM = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    request = json.loads(line)
    with (folder / "seen.jsonl").open("a") as seen:
        seen.write(line)
    answer = json.loads((folder / "answer.json").read_text())
    if answer is not None:
        print(json.dumps({**answer, "id": request["id"]}), flush=True)
"""


class CommandHarness:
    """command with a program that answers what stands in a file."""

    is_http = False
    takes = frozenset({"temperature", "top_p", "max_tokens", "stop", "seed"})

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "program.py").write_text(PROGRAM)

    def spec(self) -> ModelSpec:
        command: list[JsonValue] = [sys.executable, str(self.folder / "program.py"), str(self.folder)]
        return ModelSpec("command", "tiny", options={"command": command})

    def will(self, answer: Answer, request: ModelRequest) -> None:
        told = {"text": answer.text, "finish": answer.finish, "usage": {"input_tokens": 12, "output_tokens": 5}}
        told |= {"reasoning": answer.reasoning, "refusal": answer.refusal}
        (self.folder / "answer.json").write_text(json.dumps(told))

    def will_be_silent(self) -> None:
        (self.folder / "answer.json").write_text("null")

    def asked(self) -> Asked:
        body = json.loads((self.folder / "seen.jsonl").read_text().splitlines()[-1])
        turns = [(turn["role"], turn["content"]) for turn in body.pop("messages")]
        return Asked(turns, {name: value for name, value in body.items() if name not in ("id", "model")})


class ReplayHarness:
    """replay from a run folder that holds just the answer to this request."""

    is_http = False
    takes: frozenset[str] = frozenset()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spec(self) -> ModelSpec:
        return ModelSpec("replay", str(self.folder))

    def will(self, answer: Answer, request: ModelRequest) -> None:
        system = next((turn.content for turn in request.messages if turn.role == "system"), None)
        turns = tuple(turn for turn in request.messages if turn.role != "system")
        planned = PlannedPrompt(
            probe="p",
            prompt=0,
            category="c",
            split="broad",
            system=system,
            messages=turns,
            samples=1,
            graders=(),
            prompt_digest="0" * 16,
        )
        reply = Reply(
            probe="p",
            prompt=0,
            variant="plain",
            sample=0,
            prompt_digest="0" * 16,
            request_key="0" * 16,
            at="2026-01-01T00:00:00+00:00",
            text=answer.text or "",
            finish=answer.finish,  # type: ignore[arg-type]
            refusal=answer.refusal,
            reasoning=answer.reasoning,
            usage=Usage(input_tokens=12, output_tokens=5),
        )
        (self.folder / "plan.jsonl").write_text(planned.model_dump_json() + "\n")
        (self.folder / "replies.jsonl").write_text(reply.model_dump_json() + "\n")


def open_provider(spec: ModelSpec) -> Provider:
    provider: Provider = plugins.load("providers", spec.provider)(spec)
    return provider


def using(spec: ModelSpec, work: Callable[[Provider], Awaitable[Any]]) -> Any:
    """Run work on a provider in a fresh loop and close it."""

    async def go() -> Any:
        provider = open_provider(spec)
        try:
            async with asyncio.timeout(20):
                return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(go())


def ask(spec: ModelSpec, request: ModelRequest) -> Response:
    response = using(spec, lambda provider: provider.complete(request))
    assert isinstance(response, Response)
    return response


def question(*turns: str, system: str | None = None, **settings: Any) -> ModelRequest:
    """A request of alternating user and assistant turns."""
    roles = ("user", "assistant")
    messages = [Message(role=roles[index % 2], content=turn) for index, turn in enumerate(turns or ("Hi?",))]  # type: ignore[arg-type]
    if system is not None:
        messages.insert(0, Message(role="system", content=system))
    return ModelRequest(tuple(messages), **settings)


@dataclass
class Kit:
    """What tests of this folder use."""

    key: str
    step: type[Step]
    answer: type[Answer]
    chat: type[ChatHarness]
    ask: Callable[[ModelSpec, ModelRequest], Response]
    using: Callable[[ModelSpec, Callable[[Provider], Awaitable[Any]]], Any]
    open: Callable[[ModelSpec], Provider]
    question: Callable[..., ModelRequest]


@pytest.fixture
def kit() -> Kit:
    return Kit(KEY, Step, Answer, ChatHarness, ask, using, open_provider, question)


OVER_HTTP = ("openai-chat", "openai-responses", "anthropic", "openai-compatible", "http")


@pytest.fixture(params=[*OVER_HTTP, "command", "replay"])
def harness(request: pytest.FixtureRequest) -> Any:
    """Every provider."""
    return make_harness(request.param, request)


@pytest.fixture(params=[*OVER_HTTP, "command"])
def live_harness(request: pytest.FixtureRequest) -> Any:
    """Every provider that asks something."""
    return make_harness(request.param, request)


@pytest.fixture(params=OVER_HTTP)
def http_harness(request: pytest.FixtureRequest) -> Any:
    """Every provider that speaks HTTP."""
    return make_harness(request.param, request)


def make_harness(name: str, request: pytest.FixtureRequest) -> Any:
    folder: Path = request.getfixturevalue("tmp_path")
    if name in ("command", "replay"):
        return CommandHarness(folder) if name == "command" else ReplayHarness(folder)
    server: FakeServer = request.getfixturevalue("server")
    made: dict[str, Callable[[], ChatHarness]] = {
        "openai-chat": lambda: ChatHarness(server, "openai"),
        "openai-responses": lambda: ResponsesHarness(server),
        "anthropic": lambda: AnthropicHarness(server),
        "openai-compatible": lambda: ChatHarness(server, "openai-compatible"),
        "http": lambda: TemplateHarness(server),
    }
    return made[name]()
