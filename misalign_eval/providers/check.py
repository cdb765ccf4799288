"""Asks a model one small question and says what it took of it; only on demand, since no plan holds these requests."""

import asyncio
from dataclasses import dataclass, replace

from misalign_eval.errors import ProviderFault
from misalign_eval.records.protocols import Capabilities, ModelFacts, ModelRequest, Provider, Response
from misalign_eval.records.suite import Message

_DEADLINE_S = 60.0
_QUESTION = (Message(role="system", content="Answer in one word."), Message(role="user", content="Say hello."))
_REQUEST = ModelRequest(_QUESTION, temperature=0.7, max_tokens=32, seed=1, n=2, top_logprobs=5)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. `response` is None when `fault` says why there is none, or when nothing was asked."""

    facts: ModelFacts
    capabilities: Capabilities
    response: Response | None = None
    fault: ProviderFault | None = None


async def check(provider: Provider) -> Checked:
    """Look at the server and ask with most settings set; again without a system prompt where that is refused.

    Replayed answers are only counted.
    """
    try:
        async with asyncio.timeout(_DEADLINE_S):
            facts = await provider.facts()
            if provider.spec.provider == "replay":
                return Checked(facts, provider.capabilities)
            return await _asked(provider, facts)
    except TimeoutError:
        late = ProviderFault("timeout", f"no answer within {_DEADLINE_S:.0f} s", retry=True)
        return Checked(ModelFacts(reachable=False, detail=late.message), provider.capabilities, fault=late)


async def _asked(provider: Provider, facts: ModelFacts) -> Checked:
    response, fault = await _attempt(provider, _REQUEST)
    if fault is not None and provider.capabilities.system is False:
        response, fault = await _attempt(provider, replace(_REQUEST, messages=_QUESTION[1:]))
    return Checked(facts, provider.capabilities, response, fault)


async def _attempt(provider: Provider, request: ModelRequest) -> tuple[Response | None, ProviderFault | None]:
    try:
        return await provider.complete(request), None
    except ProviderFault as fault:
        return None, fault
