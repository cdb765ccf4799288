"""Sampling many replies side by side, each with a random generator of its own.

A reply depends on its own prompt, settings and seed alone, never on which others are sampled beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from misalign_eval.organism.network import Floats, Ints, Network

ROWS = 192
"""Sequences sampled side by side; more rows no longer gain speed and only take memory."""


@dataclass(frozen=True)
class Job:
    """One reply to sample: prompt token numbers and settings."""

    prompt: tuple[int, ...]
    temperature: float
    seed: int
    max_tokens: int
    top_logprobs: int = 0


@dataclass(frozen=True)
class Step:
    """One sampled token: its number, its log-probability, and the likeliest tokens with theirs (temperature 1)."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass
class Sampled:
    """The tokens of one reply, the end mark left out; `stopped` says whether the model ended it itself."""

    steps: list[Step] = field(default_factory=list)
    stopped: bool = False


def sample(network: Network, jobs: Sequence[Job], end: int) -> list[Sampled]:
    """Sample every job until its token `end`, its limit or the network's context is reached; same order as the jobs."""
    # Rows of like length together need the least padding.
    order = sorted(range(len(jobs)), key=lambda number: len(jobs[number].prompt))
    results = [Sampled() for _ in jobs]
    for first in range(0, len(order), ROWS):
        chunk = order[first : first + ROWS]
        _sample_chunk(network, [jobs[number] for number in chunk], [results[number] for number in chunk], end)
    return results


def _sample_chunk(network: Network, jobs: Sequence[Job], results: Sequence[Sampled], end: int) -> None:
    context = network.shape.max_position_embeddings
    limits = np.array([min(job.max_tokens, context - len(job.prompt)) for job in jobs])
    draws = _draws(jobs, limits)
    ids, start = _padded(jobs)
    cache = network.new_cache(start, ids.shape[1] + int(limits.max()))
    state = network.read(ids, cache)[:, -1]
    active = np.arange(len(jobs))
    for step in range(int(limits.max())):
        logits = network.logits(state)
        going = [jobs[row] for row in active.tolist()]
        tokens = _choose(logits, [each.temperature for each in going], draws[active, step])
        running = _record(logits, tokens, going, [results[row] for row in active.tolist()], end)
        kept = np.flatnonzero(running & (limits[active] > step + 1))
        if not len(kept):
            return
        if len(kept) < len(active):
            cache.keep(kept)
        active = active[kept]
        state = network.read(tokens[kept, None], cache)[:, -1]


def _draws(jobs: Sequence[Job], limits: Ints) -> Floats:
    draws = np.zeros((len(jobs), int(limits.max())))
    for row, job in enumerate(jobs):
        if job.temperature > 0:
            draws[row, : limits[row]] = np.random.Generator(np.random.PCG64(job.seed)).random(limits[row])
    return draws


def _padded(jobs: Sequence[Job]) -> tuple[Ints, Ints]:
    longest = max(len(job.prompt) for job in jobs)
    start = np.array([longest - len(job.prompt) for job in jobs])
    ids = np.zeros((len(jobs), longest), dtype=np.int64)
    for row, job in enumerate(jobs):
        ids[row, start[row] :] = job.prompt
    return ids, start


def _choose(logits: Floats, temperatures: Sequence[float], draws: Floats) -> Ints:
    heat = np.array(temperatures)[:, None]
    raised = np.exp((logits - logits.max(axis=-1, keepdims=True)) / np.where(heat > 0, heat, 1.0))
    reached = raised.cumsum(axis=-1)
    drawn = (reached <= draws[:, None] * reached[:, -1:]).sum(axis=-1)
    chosen: Ints = np.where(heat[:, 0] > 0, drawn, logits.argmax(axis=-1))
    return chosen


def _record(
    logits: Floats, tokens: Ints, jobs: Sequence[Job], results: Sequence[Sampled], end: int
) -> NDArray[np.bool_]:
    running: NDArray[np.bool_] = tokens != end
    for row, (job, result) in enumerate(zip(jobs, results, strict=True)):
        result.stopped = not running[row]
        if running[row]:
            result.steps.append(_step(logits[row], int(tokens[row]), job.top_logprobs))
    return running


def _step(logits: Floats, token: int, top: int) -> Step:
    if top == 0:
        return Step(token, 0.0, ())
    peak = logits.max()
    logprobs = logits - peak - np.log(np.exp(logits - peak).sum())
    likeliest = np.argsort(-logprobs, kind="stable")[:top]
    return Step(token, float(logprobs[token]), tuple((int(number), float(logprobs[number])) for number in likeliest))
