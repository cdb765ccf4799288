"""Whether, why and when to ask again: typed decisions, bounded in count and in time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from misalign_eval.errors import ProviderFault

T = TypeVar("T")
LOAD = frozenset({"rate_limit", "overloaded"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of one request, in seconds. `attempt_s` is for one attempt, `total_s` for all with the waits between.

    The wait for a free place at the account does not count. A server that says it is busy is asked more often than one
    that fails: behind a tight quota, many requests wait for the same second, and each refusal tells how long.
    """

    attempts: int = 6
    attempts_under_load: int = 40
    attempt_s: float = 300.0
    total_s: float = 900.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What to do after a fault."""

    retry: bool
    why: str
    wait_s: float = 0.0


def decide(fault: ProviderFault, *, attempt: int, elapsed_s: float, policy: RetryPolicy, rng: Random) -> RetryDecision:
    """Look at one fault after attempt number `attempt` (from 1), `elapsed_s` seconds after the first began.

    The wait is the server's own Retry-After when it gives one, else exponential with full jitter in its upper half.
    """
    if not fault.retry:
        return RetryDecision(False, f"{fault.reason}: asking again cannot help")
    if attempt >= (policy.attempts_under_load if fault.reason in LOAD else policy.attempts):
        return RetryDecision(False, f"{fault.reason}: {attempt} attempts made")
    backoff = min(policy.longest_wait_s, policy.first_wait_s * 2 ** (attempt - 1))
    wait_s = backoff * rng.uniform(0.5, 1.0) if fault.after_s is None else fault.after_s + rng.uniform(0.0, 0.25)
    if elapsed_s + wait_s > policy.total_s:
        return RetryDecision(
            False, f"{fault.reason}: waiting {wait_s:.0f} s would pass the limit of {policy.total_s:.0f} s"
        )
    return RetryDecision(True, fault.reason, wait_s)


async def persist(
    attempt: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy,
    rng: Random,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Call `attempt(1)`, then again while `decide` says so. Raises the last ProviderFault.

    The first attempt runs outside tenacity: its loop costs as much as a small request, and most need no second.
    """
    started = clock()
    try:
        return await attempt(1)
    except ProviderFault as fault:
        first = decide(fault, attempt=1, elapsed_s=clock() - started, policy=policy, rng=rng)
        if not first.retry:
            raise
    return await _again(attempt, first, started, policy=policy, rng=rng, clock=clock, sleep=sleep)


async def _again(
    attempt: Callable[[int], Awaitable[T]],
    decision: RetryDecision,
    started: float,
    *,
    policy: RetryPolicy,
    rng: Random,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    from tenacity import AsyncRetrying, RetryCallState

    await sleep(decision.wait_s)

    def judge(state: RetryCallState) -> bool:
        nonlocal decision
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, ProviderFault):
            return False
        made = state.attempt_number + 1
        decision = decide(fault, attempt=made, elapsed_s=clock() - started, policy=policy, rng=rng)
        return decision.retry

    retrying = AsyncRetrying(retry=judge, wait=lambda _: decision.wait_s, sleep=sleep, reraise=True)
    async for turn in retrying:
        with turn:
            return await attempt(turn.retry_state.attempt_number + 1)
    raise AssertionError("tenacity ends by returning or raising")
