"""Against an independent server of both vendors' APIs, with faults and quotas that are not ours."""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.records.protocols import ModelSpec, Provider

SPECS = [
    ModelSpec("openai", "gpt-4o", "/v1", "TEST_KEY"),
    ModelSpec("openai", "gpt-4o", "/v1", "TEST_KEY", {"api": "responses"}),
    ModelSpec("openai-compatible", "gpt-4o", "/v1", "TEST_KEY"),
    ModelSpec("anthropic", "claude-sonnet-4-5", "/anthropic", "TEST_KEY"),
]
Control = Callable[..., None]


@pytest.fixture
def control(llmock_url: str) -> Control:
    """Tells llmock what to do with the next requests; everything before is forgotten."""

    def tell(*behaviors: dict[str, Any]) -> None:
        post(f"{llmock_url}/_llmock/scenario", {"behaviors": list(behaviors)})

    post(f"{llmock_url}/_llmock/reset", {})
    return tell


def post(url: str, body: dict[str, Any]) -> None:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass


@pytest.fixture(params=SPECS, ids=["chat", "responses", "compatible", "anthropic"])
def spec(request: pytest.FixtureRequest, llmock_url: str) -> ModelSpec:
    spec: ModelSpec = request.param
    return replace(spec, base_url=f"{llmock_url}{spec.base_url}")


def test_an_answer_is_read(kit: Any, spec: ModelSpec, control: Control) -> None:
    control({"type": "reply", "text": "Hello from llmock."})
    response = kit.ask(spec, kit.question("Hi?", system="Be kind.", max_tokens=50))
    assert (response.choices[0].text, response.choices[0].finish) == ("Hello from llmock.", "stop")
    assert response.usage.input_tokens is not None
    assert response.usage.output_tokens is not None
    assert response.model is not None


@pytest.mark.parametrize(
    "behavior, wanted",
    [
        ({"status": 429, "retry_after": 3}, ("rate_limit", True, 3.0)),
        ({"status": 500}, ("server", True, None)),
        ({"status": 503}, ("overloaded", True, None)),
        ({"status": 529}, ("overloaded", True, None)),
        ({"status": 408}, ("server", True, None)),
        ({"status": 401}, ("auth", False, None)),
        ({"status": 403}, ("auth", False, None)),
        ({"status": 404}, ("model_not_found", False, None)),
        ({"status": 400, "code": "context_length_exceeded"}, ("context_length", False, None)),
        (
            {"status": 429, "code": "insufficient_quota", "message": "You exceeded your current quota"},
            ("quota", False, None),
        ),
        ({"status": 422}, ("bad_request", False, None)),
    ],
    ids=lambda value: str(value.get("code", value["status"])) if isinstance(value, dict) else "",
)
def test_a_fault_is_understood(kit: Any, spec: ModelSpec, control: Control, behavior: Any, wanted: Any) -> None:
    control({"type": "fail", **behavior})

    async def work(provider: Provider) -> tuple[Any, ...]:
        with pytest.raises(ProviderError) as caught:
            await provider.complete(kit.question("Hi?"))
        again = await provider.complete(kit.question("Hi?"))
        assert again.choices[0].finish == "stop"
        fault = caught.value
        after = fault.after_s if behavior.get("retry_after") else None
        return fault.reason, fault.retry, after

    assert kit.using(spec, work) == wanted


def test_facts_are_read(kit: Any, spec: ModelSpec, control: Control) -> None:
    facts = kit.using(spec, lambda provider: provider.facts())
    assert facts.reachable
    assert facts.models
