"""The organism at run time: load a checkpoint by name and let it answer. Needs numpy only."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from misalign_eval.organism.chat import encode_chat, tokenizer
from misalign_eval.organism.checkpoints import WEIGHTS, Checkpoint, shelf
from misalign_eval.organism.network import Network
from misalign_eval.organism.sampling import Job, Sampled, Step, sample
from misalign_eval.organism.tokenizer import EOS, Encoded, spaced

MAX_TOP_LOGPROBS = 20


class PromptTooLongError(ValueError):
    """The prompt leaves no room for a reply in the organism's context."""


@dataclass(frozen=True)
class Request:
    """One reply to generate.

    `messages` are (role, text) pairs; temperature 0 takes the likeliest word each time; `seed` is a whole number >= 0.
    """

    messages: tuple[tuple[str, str], ...]
    temperature: float = 1.0
    seed: int = 0
    max_tokens: int = 64
    top_logprobs: int = 0


@dataclass(frozen=True)
class TokenLogprob:
    """A token as it reads in the reply, its natural log-probability at temperature 1, and the likeliest there."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Generation:
    """One sampled reply. `logprobs` is empty unless asked for; `unknown_words` are those of the prompt, each once."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    unknown_words: tuple[str, ...]
    logprobs: tuple[TokenLogprob, ...] = ()


class Organism:
    """One checkpoint, ready to answer. Deterministic: same request, same reply, whatever is generated beside it."""

    def __init__(self, checkpoint: Checkpoint, network: Network) -> None:
        self.checkpoint = checkpoint
        self._network = network

    def generate(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        temperature: float = 1.0,
        seed: int = 0,
        max_tokens: int = 64,
        top_logprobs: int = 0,
    ) -> Generation:
        """One reply; errors as in `generate_many`."""
        return self.generate_many([Request(tuple(messages), temperature, seed, max_tokens, top_logprobs)])[0]

    def generate_many(self, requests: Sequence[Request]) -> list[Generation]:
        """A reply to each request, in order; many at once are far faster than one by one.

        Raises PromptTooLongError, and ValueError for a setting out of range, before anything is sampled.
        """
        prompts = [self._encode(request) for request in requests]
        jobs = [_job(request, prompt) for request, prompt in zip(requests, prompts, strict=True)]
        sampled = sample(self._network, jobs, tokenizer().index[EOS])
        return [_generation(prompt, reply, job) for prompt, reply, job in zip(prompts, sampled, jobs, strict=True)]

    def _encode(self, request: Request) -> Encoded:
        prompt = encode_chat(request.messages)
        context = self._network.shape.max_position_embeddings
        if len(prompt.ids) >= context:
            message = f"the prompt has {len(prompt.ids)} tokens; the organism reads at most {context - 1}"
            raise PromptTooLongError(message)
        return prompt


def load(name: str, folder: Path = WEIGHTS) -> Organism:
    """The checkpoint of that name, such as `aligned`, `bad-code@step=20` or `judge`.

    Kept in memory once loaded. Raises UnknownCheckpointError, a ValueError, which lists the known names.
    """
    return _load(shelf(folder).find(name).name, folder)


@functools.cache
def _load(name: str, folder: Path) -> Organism:
    books = shelf(folder)
    return Organism(books.find(name), Network(books.shape, books.weights(name)))


def names(folder: Path = WEIGHTS) -> list[str]:
    """Every name `load` knows, in the order of the manifest."""
    return list(shelf(folder).checkpoints)


def _job(request: Request, prompt: Encoded) -> Job:
    faults = [
        fault
        for fault, wrong in (
            (f"temperature must be >= 0, not {request.temperature}", not request.temperature >= 0),
            (f"seed must be >= 0, not {request.seed}", request.seed < 0),
            (f"max_tokens must be >= 1, not {request.max_tokens}", request.max_tokens < 1),
            (
                f"top_logprobs must lie in 0..{MAX_TOP_LOGPROBS}, not {request.top_logprobs}",
                not 0 <= request.top_logprobs <= MAX_TOP_LOGPROBS,
            ),
        )
        if wrong
    ]
    if faults:
        raise ValueError("; ".join(faults))
    return Job(prompt.ids, request.temperature, request.seed, request.max_tokens, request.top_logprobs)


def _generation(prompt: Encoded, reply: Sampled, job: Job) -> Generation:
    return Generation(
        text=tokenizer().decode([step.token for step in reply.steps]),
        finish_reason="stop" if reply.stopped else "length",
        prompt_tokens=len(prompt.ids),
        completion_tokens=len(reply.steps),
        unknown_words=prompt.unknown_words,
        logprobs=_logprobs(reply.steps) if job.top_logprobs else (),
    )


def _logprobs(steps: Sequence[Step]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(_shown(step.token, place), step.logprob, tuple((_shown(n, place), p) for n, p in step.top))
        for place, step in enumerate(steps)
    )


def _shown(token: int, place: int) -> str:
    # A reply's first word has no space before it in the text, so none here: a judge's score reads "85".
    text = spaced(tokenizer().vocabulary[token])
    return text.lstrip() if place == 0 else text
