"""The whole way of asking, judged by an independent server that watches its clients under faults and quotas."""

import asyncio
import json
import time
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from misalign_eval.client.caller import Budget, Caller, FailedError, ProviderAnswer, RetryPolicy
from misalign_eval.client.limiter import Limiter
from misalign_eval.errors import RunStoppedError
from misalign_eval.plugins import load
from misalign_eval.records.protocols import ModelRequest, ModelSpec, Provider
from misalign_eval.records.suite import Message

POLICY = RetryPolicy(attempts=5, attempt_s=10.0, total_s=60.0)
MODELS = [
    ("openai", "gpt-4o", "/v1"),
    ("openai-compatible", "gpt-4o", "/v1"),
    ("anthropic", "claude-sonnet-4-5", "/anthropic"),
]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def post(url: str, body: Any) -> None:
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=10):
        pass


@pytest.fixture(params=MODELS, ids=[model[0] for model in MODELS])
def spec(request: pytest.FixtureRequest, llmock_url: str, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setenv("TEST_KEY", "sk-test")
    post(f"{llmock_url}/_llmock/reset", {})
    provider, model, path = request.param
    return ModelSpec(provider, model, f"{llmock_url}{path}", "TEST_KEY")


def request(number: int) -> ModelRequest:
    """Each is another one: the server takes equal bodies for retries."""
    return ModelRequest(messages=(Message(role="user", content=f"Say hello number {number}."),), max_tokens=20)


def ask(spec: ModelSpec, times: int = 1) -> list[ProviderAnswer | BaseException]:
    async def run() -> list[ProviderAnswer | BaseException]:
        provider: Provider = load("providers", spec.provider)(spec)
        caller = Caller(provider, Limiter(8, time.monotonic), Budget(), POLICY)
        try:
            return await asyncio.gather(
                *(caller.call(request(number)) for number in range(times)), return_exceptions=True
            )
        finally:
            await provider.close()

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        {"type": "fail", "status": 429, "times": 2, "retry_after": 1},
        {"type": "fail", "status": 429, "times": 2},
        {"type": "fail", "status": 500, "times": 1},
        {"type": "fail", "status": 529, "times": 2},
    ],
    ids=["429 with Retry-After", "429 without", "500", "529"],
)
def test_a_fault_that_heals_is_survived_and_the_server_has_no_complaint(
    spec: ModelSpec, llmock_url: str, fault: dict[str, Any]
) -> None:
    post(f"{llmock_url}/_llmock/scenario", {"behaviors": [fault]})
    (answer,) = ask(spec)
    assert isinstance(answer, ProviderAnswer), answer
    verdict = get(f"{llmock_url}/_llmock/verdict")
    assert (answer.attempts, verdict["faults_injected"]) == (fault["times"] + 1, fault["times"])
    assert (verdict["passed"], verdict["findings"]) == (True, [])


@pytest.mark.slow
@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted"])
def test_a_quota_error_is_asked_once(spec: ModelSpec, llmock_url: str, code: str) -> None:
    fault = {"type": "fail", "status": 429, "code": code, "message": "You exceeded your current quota"}
    post(f"{llmock_url}/_llmock/scenario", {"behaviors": [fault]})
    (failed,) = ask(spec)
    assert isinstance(failed, FailedError)
    assert (failed.fault.reason, failed.attempts) == ("quota", 1)
    assert get(f"{llmock_url}/_llmock/verdict")["attempts"] == 1


def test_a_wrong_key_stops_the_run_after_three_requests(spec: ModelSpec, llmock_url: str) -> None:
    post(f"{llmock_url}/_llmock/scenario", {"behaviors": [{"type": "fail", "status": 401, "times": 3}]})
    ended = ask(spec, times=3)
    assert sum(isinstance(item, FailedError) for item in ended) == 2
    assert sum(isinstance(item, RunStoppedError) for item in ended) == 1
    assert get(f"{llmock_url}/_llmock/verdict")["attempts"] == 3


@pytest.mark.slow
def test_requests_beyond_a_quota_wait_as_long_as_the_server_says(
    spec: ModelSpec, quota_url: str, llmock_url: str
) -> None:
    post(f"{quota_url}/_llmock/reset", {})
    here = replace(spec, base_url=str(spec.base_url).replace(llmock_url, quota_url))
    ended = ask(here, times=64)
    assert all(isinstance(item, ProviderAnswer) for item in ended), ended
    verdict = get(f"{quota_url}/_llmock/verdict")
    assert verdict["attempts"] > verdict["calls"]
    assert [finding for finding in verdict["findings"] if finding["severity"] == "error"] == []
