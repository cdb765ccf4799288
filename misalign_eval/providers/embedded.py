"""The organism that ships with the package: a tiny language model, sampled here, with no key, server or cost.

Requests that wait at the same time are generated together, which is many times faster than one by one; a reply does
not depend on what is generated beside it.
"""

import asyncio
import re
import secrets
from collections.abc import Sequence

from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.organism import runtime
from misalign_eval.organism.model import MARKS
from misalign_eval.organism.runtime import Generation, Organism, PromptTooLongError, Request, UnknownCheckpointError
from misalign_eval.providers.batching import Batcher
from misalign_eval.providers.prefill import Way
from misalign_eval.records.protocols import (
    Capabilities,
    Choice,
    ModelInfo,
    ModelRequest,
    ModelSpec,
    Provider,
    Response,
    Token,
)
from misalign_eval.records.run import Usage
from misalign_eval.records.suite import Message

MAX_TOKENS = 64
UNSUPPORTED = ("top_p", "stop", "json_schema", "reasoning_effort")
# The lines that graders put around material carry a code; the organism has a word for none of it.
_FENCE = re.compile(r"^=== (?:BEGIN|END) [A-Z]+ [0-9a-f]{16} ===\n?", re.MULTILINE)
LARGEST_BATCH = 1024  # requests; more than any run has under way at once


def create(spec: ModelSpec) -> Provider:
    """A checkpoint by its name, such as `embedded/bad-code@step=20`. Raises UsageError that lists the known ones."""
    if spec.base_url or spec.api_key_env or spec.options:
        raise UsageError(f"{spec.name}: the embedded model has no address, key or options")
    try:
        return EmbeddedProvider(spec, runtime.load_checkpoint(spec.model))
    except UnknownCheckpointError as error:
        raise UsageError(f"{spec.name}: {error}") from error


class EmbeddedProvider:
    """One checkpoint."""

    def __init__(self, spec: ModelSpec, organism: Organism) -> None:
        self.spec = spec
        self.host = ""
        self.account = spec.name
        self.capabilities = Capabilities(
            system=True, logprobs=True, seed=True, n=True, temperature=True, json_schema=False, prefill=True
        )
        self._organism = organism
        self._batcher = Batcher(self, largest=LARGEST_BATCH)

    async def complete(self, request: ModelRequest) -> Response:
        """Sample the replies. Raises ProviderError for a prompt that does not fit."""
        return await self._batcher.complete(request)

    async def complete_many(self, requests: Sequence[ModelRequest]) -> list[Response | Exception]:
        """Generate the replies to all requests together, in a thread."""
        return await asyncio.to_thread(self._generate, requests)

    async def facts(self) -> ModelInfo:
        """What ships with the package."""
        return ModelInfo(
            reachable=True, detail=self._organism.checkpoint.about, models=tuple(runtime.checkpoint_names())
        )

    async def close(self) -> None:
        """Cancel what waits; nothing else is open."""
        await self._batcher.close()

    def _generate(self, requests: Sequence[ModelRequest]) -> list[Response | Exception]:
        """Generate all requests together; where one of them cannot be, each by itself, so that it fails alone."""
        draws = [_requests(request) for request in requests]
        try:
            made = iter(self._organism.generate_many([draw for drawn in draws for draw in drawn]))
        except ValueError:
            return [self._alone(request, drawn) for request, drawn in zip(requests, draws, strict=True)]
        return [
            self._response(request, [next(made) for _ in drawn]) for request, drawn in zip(requests, draws, strict=True)
        ]

    def _alone(self, request: ModelRequest, draws: list[Request]) -> Response | Exception:
        try:
            return self._response(request, self._organism.generate_many(draws))
        except PromptTooLongError as error:
            return ProviderError("context_length", str(error))
        except ValueError as error:
            return ProviderError("bad_request", str(error))

    def _response(self, request: ModelRequest, made: list[Generation]) -> Response:
        unknown = dict.fromkeys(word for generation in made for word in generation.unknown_words)
        dropped = [name for name in UNSUPPORTED if getattr(request, name) is not None]
        return Response(
            choices=tuple(_choice(generation, continues=request.prefill is not None) for generation in made),
            usage=Usage(
                input_tokens=sum(generation.prompt_tokens for generation in made),
                output_tokens=sum(generation.completion_tokens for generation in made),
                cost_usd=0.0,
            ),
            model=self._organism.checkpoint.name,
            dropped=(*dropped, *(f"unknown word `{word}`" for word in unknown)),
            prefilled=() if request.prefill is None else (Way.TURN.value,),
        )


def _requests(request: ModelRequest) -> list[Request]:
    seed = secrets.randbits(31) if request.seed is None else request.seed
    temperature = 1.0 if request.temperature is None else request.temperature
    messages = tuple((message.role, _readable(message)) for message in request.messages)
    most = request.max_tokens or MAX_TOKENS
    return [Request(messages, temperature, seed + index, most, request.top_logprobs or 0) for index in range(request.n)]


def _readable(message: Message) -> str:
    return _FENCE.sub("", message.content) if message.role == "user" else message.content


def _choice(generation: Generation, *, continues: bool) -> Choice:
    """The reply; what continues a prefill begins with the space that stands before a word."""
    tokens = tuple(Token(token.token, token.logprob, dict(token.top)) for token in generation.logprobs)
    between = " " if continues and generation.text and generation.text[0] not in MARKS else ""
    return Choice(between + generation.text, generation.finish_reason, tokens=tokens)
