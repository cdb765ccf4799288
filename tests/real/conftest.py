"""Engines with tiny models, and our providers pointed at them."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from pydantic import JsonValue

from misalign_eval import plugins
from misalign_eval.records.protocols import ModelRequest, ModelSpec, Provider
from misalign_eval.records.suite import Message
from tests.real import tiny_model
from tests.real.llama_server import BINARY, LlamaServer, serving

KEY, KEY_VARIABLE = "tiny-engine-key", "TINY_ENGINE_KEY"
Opened = Callable[..., AbstractAsyncContextManager[Provider]]
Asked = Callable[..., ModelRequest]


@dataclass(frozen=True, slots=True)
class Engines:
    """Two targets that differ in their weights alone, and a model that answers with numbers."""

    before: LlamaServer
    after: LlamaServer
    judge: LlamaServer


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    if not os.environ.get(BINARY):
        pytest.skip(f"no engine: {BINARY} names no llama-server (tests/real/run.sh builds one and runs these tests)")
    # Of the first seeds, 6 is one that makes no reply empty: under the engine's default min_p none can end at once.
    folder = tmp_path_factory.mktemp("engines")
    models = [tiny_model.make("before", 6), tiny_model.make("after", 2), tiny_model.make("judge", 3, judges=True)]
    with ExitStack() as stack:
        yield Engines(*(stack.enter_context(serving(model, folder, KEY)) for model in models))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens one of our providers on an engine."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)

    @asynccontextmanager
    async def open_provider(provider: str, engine: LlamaServer, **options: JsonValue) -> AsyncIterator[Provider]:
        address = engine.base_url.removesuffix("/v1") if provider == "anthropic" else engine.base_url
        spec = ModelSpec(provider, engine.model.name, address, KEY_VARIABLE, options)
        made: Provider = plugins.load("providers", provider)(spec)
        try:
            yield made
        finally:
            await made.close()

    return open_provider


@pytest.fixture
def asked() -> Asked:
    """Writes a request of one user turn, after a system prompt when there is one."""

    def write(question: str, *, system: str | None = None, **settings: object) -> ModelRequest:
        turns = [("system", system), ("user", question)]
        messages = tuple(Message.model_validate({"role": role, "content": text}) for role, text in turns if text)
        return ModelRequest(messages, **settings)  # type: ignore[arg-type]  # the fields of ModelRequest

    return write
