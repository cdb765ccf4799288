"""Asks a model one small question and says what it took of it; only on demand, since no plan holds these requests."""

import asyncio
from dataclasses import dataclass, replace

from misalign_eval.errors import ProviderError
from misalign_eval.records.protocols import Capabilities, ModelInfo, ModelRequest, Provider, Response
from misalign_eval.records.suite import Message

_DEADLINE_S = 60.0
_QUESTION = (Message(role="system", content="Answer in one word."), Message(role="user", content="Say hello."))
_REQUEST = ModelRequest(_QUESTION, temperature=0.7, max_tokens=32, seed=1, n=2, top_logprobs=5)


@dataclass(frozen=True, slots=True)
class CapabilityResult:
    """What a check found. `response` is None when `fault` says why there is none, or when nothing was asked."""

    facts: ModelInfo
    capabilities: Capabilities
    response: Response | None = None
    fault: ProviderError | None = None


async def check_capabilities(provider: Provider) -> CapabilityResult:
    """Look at the server and ask with most settings set; again without a system prompt where that is refused.

    Replayed answers are only counted.
    """
    try:
        async with asyncio.timeout(_DEADLINE_S):
            facts = await provider.facts()
            if provider.spec.provider == "replay":
                return CapabilityResult(facts, provider.capabilities)
            return await _asked(provider, facts)
    except TimeoutError:
        late = ProviderError("timeout", f"no answer within {_DEADLINE_S:.0f} s", retry=True)
        return CapabilityResult(ModelInfo(reachable=False, detail=late.message), provider.capabilities, fault=late)


async def _asked(provider: Provider, facts: ModelInfo) -> CapabilityResult:
    response, fault = await _attempt(provider, _REQUEST)
    if fault is not None and provider.capabilities.system is False:
        response, fault = await _attempt(provider, replace(_REQUEST, messages=_QUESTION[1:]))
    return CapabilityResult(facts, provider.capabilities, response, fault)


async def _attempt(provider: Provider, request: ModelRequest) -> tuple[Response | None, ProviderError | None]:
    try:
        return await provider.complete(request), None
    except ProviderError as fault:
        return None, fault
