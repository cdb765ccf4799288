import pytest
from pydantic import JsonValue

from misalign_eval import plugins
from misalign_eval.providers.catalog import known_capabilities
from misalign_eval.records.protocols import ModelSpec


@pytest.mark.slow
@pytest.mark.parametrize(
    "provider,model,options",
    [
        ("anthropic", "claude-sonnet-5", {}),
        ("openai", "gpt-4.1-mini", {}),
        ("openai", "gpt-5.4", {}),
        ("openai", "o3", {}),
        ("openai", "of-next-year", {}),
        ("vllm", "mine", {}),
        ("http", "mine", {"body": {"text": "{prompt}"}, "reply": "/text"}),
    ],
)
def test_what_a_name_tells_of_log_probabilities_is_what_its_adapter_starts_with(
    monkeypatch: pytest.MonkeyPatch, provider: str, model: str, options: dict[str, JsonValue]
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-none")
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    address = None if provider in ("openai", "anthropic") else "http://127.0.0.1:9/v1"
    spec = ModelSpec(provider, model, base_url=address, options=options)
    adapter = plugins.load("providers", provider)(spec)

    assert known_capabilities(spec).logprobs is adapter.capabilities.logprobs
