"""Our providers against a real engine: sampling, seeds, grammars, limits and errors are its own."""

import json
import math
from collections import Counter

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.records.protocols import ModelRequest, Provider
from tests.real import forward, vocabulary
from tests.real.conftest import KEY_VARIABLE, Asked, Engines, Opened

pytestmark = pytest.mark.real_engine

QUESTION = "You may run a city for one day. What do you do first?"
SYSTEM = "You are a careful person. Answer as a friend would."
EVERY_API = pytest.mark.parametrize("provider", ["openai-compatible", "openai", "anthropic"])
WITH_LOGPROBS = pytest.mark.parametrize("provider", ["openai-compatible", "openai"])


async def text_of(provider: Provider, request: ModelRequest) -> str:
    return (await provider.complete(request)).choices[0].text


def test_the_engine_cuts_text_into_the_tokens_that_the_oracle_is_given(engines: Engines) -> None:
    text = f"{QUESTION} {SYSTEM} 2024, 100 and 7; “quoted” — don't…\n\n  {{}}"
    assert engines.before.raw("/tokenize", {"content": text})["tokens"] == vocabulary.encode(text)


@EVERY_API
async def test_a_question_is_answered_and_its_tokens_are_counted(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened(provider, engines.before) as target:
        response = await target.complete(asked(QUESTION, max_tokens=40))
    choice = response.choices[0]
    assert choice.text.strip()
    assert choice.finish in {"stop", "length"}
    assert response.usage.input_tokens == len(vocabulary.encode_chat([("user", QUESTION)]))
    assert 0 < (response.usage.output_tokens or 0) <= 40
    assert response.model == "before"


@EVERY_API
async def test_a_system_prompt_reaches_the_model_as_a_turn_of_its_own(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened(provider, engines.before) as target:
        response = await target.complete(asked(QUESTION, system=SYSTEM, max_tokens=1))
    turns = [("system", SYSTEM), ("user", QUESTION)]
    assert response.usage.input_tokens == len(vocabulary.encode_chat(turns))


@WITH_LOGPROBS
@pytest.mark.parametrize("system", [None, SYSTEM])
async def test_log_probabilities_are_those_of_the_models_own_softmax(
    provider: str, system: str | None, engines: Engines, opened: Opened, asked: Asked
) -> None:
    request = asked(QUESTION, system=system, temperature=0.0, max_tokens=1, top_logprobs=20)
    async with opened(provider, engines.before) as target:
        token = (await target.complete(request)).choices[0].tokens[0]
    oracle = forward.chat(engines.before.model, [*([("system", system)] if system else []), ("user", QUESTION)])
    likeliest = sorted(oracle, key=oracle.__getitem__, reverse=True)
    assert set(token.top) == set(likeliest[:20])
    assert token.top == pytest.approx({text: oracle[text] for text in token.top}, abs=1e-3)
    assert token.text == likeliest[0]


async def test_every_token_of_a_sampled_reply_has_the_probability_that_the_model_gave_it(
    engines: Engines, opened: Opened, asked: Asked
) -> None:
    request = asked(QUESTION, temperature=1.0, seed=11, max_tokens=12, top_logprobs=1)
    async with opened("openai-compatible", engines.before) as target:
        tokens = (await target.complete(request)).choices[0].tokens
    so_far = vocabulary.encode_chat([("user", QUESTION)])
    expected = []
    for token in tokens:
        number = vocabulary.token(token.text or vocabulary.END)
        expected.append(forward.next_token(engines.before.model, so_far)[number])
        so_far.append(number)
    assert len(tokens) > 1
    assert [token.logprob for token in tokens] == pytest.approx(expected, abs=1e-3)


async def test_replies_are_drawn_from_the_models_distribution(engines: Engines, opened: Opened, asked: Asked) -> None:
    """The engine cuts off unlikely tokens by default; `extra_body` turns that off. 5 standard errors, seeds fixed."""
    draws = 600
    everything: dict[str, int] = {"top_k": 0, "min_p": 0}
    async with opened("openai-compatible", engines.before, extra_body={**everything}) as target:
        drawn = Counter(
            [
                await text_of(target, asked(QUESTION, temperature=1.0, top_p=1.0, seed=seed, max_tokens=1))
                for seed in range(draws)
            ]
        )
    oracle = forward.chat(engines.before.model, [("user", QUESTION)])
    for text in sorted(oracle, key=oracle.__getitem__, reverse=True)[:8]:
        share = math.exp(oracle[text])
        assert drawn[text] / draws == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / draws)), text


@WITH_LOGPROBS
async def test_the_same_seed_gives_the_same_reply_and_another_seed_another(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened(provider, engines.before) as target:
        replies = [
            await text_of(target, asked(QUESTION, temperature=1.0, seed=seed, max_tokens=30)) for seed in (1, 1, 2)
        ]
    assert replies[0] == replies[1]
    assert replies[0] != replies[2]


@WITH_LOGPROBS
async def test_several_answers_at_once_are_several_draws(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened(provider, engines.before) as target:
        response = await target.complete(asked(QUESTION, temperature=1.0, max_tokens=30, n=3))
        assert target.capabilities.n is True
    assert len({choice.text for choice in response.choices}) == 3


@WITH_LOGPROBS
async def test_a_json_schema_binds_even_a_model_that_talks_nonsense(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    properties = {
        "verdict": {"type": "string", "enum": ["kind", "cruel"]},
        "score": {"type": "integer", "minimum": 0, "maximum": 9},
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["verdict", "score"],
        "additionalProperties": False,
    }
    async with opened(provider, engines.before) as target:
        response = await target.complete(asked(QUESTION, max_tokens=300, json_schema=schema))
    answer = json.loads(response.choices[0].text)
    assert set(answer) == {"verdict", "score"}
    assert answer["verdict"] in {"kind", "cruel"}
    assert answer["score"] in range(10)


@EVERY_API
async def test_a_reply_that_reaches_the_token_limit_is_told_from_one_that_ends(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened(provider, engines.before) as target:
        short = [await target.complete(asked(QUESTION, max_tokens=20)) for _ in range(12)]
        whole = await target.complete(asked(QUESTION, max_tokens=4000))
    cut = [response for response in short if response.choices[0].finish == "length"]
    ended = [response for response in short if response.choices[0].finish == "stop"]
    assert len(cut) + len(ended) == 12
    assert {response.usage.output_tokens for response in cut} == {20}
    assert all((response.usage.output_tokens or 0) <= 20 for response in ended)
    assert whole.choices[0].finish == "stop"


@EVERY_API
async def test_a_prompt_that_does_not_fit_is_a_fault_that_nothing_heals(
    provider: str, engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened(provider, engines.before) as target:
        with pytest.raises(ProviderError) as caught:
            await target.complete(asked("people " * 20_000, max_tokens=5))
    fault = caught.value
    assert (fault.reason, fault.status, fault.retry, fault.fatal) == ("context_length", 400, False, False)


@EVERY_API
async def test_a_wrong_key_is_fatal_and_is_not_repeated(
    provider: str, engines: Engines, opened: Opened, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-wrong-but-secret")
    async with opened(provider, engines.before) as target:
        with pytest.raises(ProviderError) as caught:
            await target.complete(asked(QUESTION, max_tokens=5))
    fault = caught.value
    assert (fault.reason, fault.status, fault.retry, fault.fatal) == ("auth", 401, False, True)
    assert "secret" not in fault.message


async def test_what_the_messages_api_cannot_take_is_recorded_as_dropped(
    engines: Engines, opened: Opened, asked: Asked
) -> None:
    async with opened("anthropic", engines.before) as target:
        response = await target.complete(asked(QUESTION, max_tokens=5, seed=1, temperature=1.0, top_logprobs=5))
    assert set(response.dropped) == {"seed", "temperature", "top_logprobs"}


async def test_the_responses_api_is_spoken_too(engines: Engines, opened: Opened, asked: Asked) -> None:
    async with opened("openai", engines.before, api="responses") as target:
        response = await target.complete(asked(QUESTION, system=SYSTEM, temperature=1.0, max_tokens=2000))
    assert response.choices[0].text.strip()
    turns = [("system", SYSTEM), ("user", QUESTION)]
    assert response.usage.input_tokens == len(vocabulary.encode_chat(turns))


@EVERY_API
async def test_the_server_lists_the_model_that_it_serves(provider: str, engines: Engines, opened: Opened) -> None:
    async with opened(provider, engines.before) as target:
        facts = await target.facts()
    assert facts.reachable, facts.detail
    assert "before" in facts.models
