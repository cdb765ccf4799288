"""What `run --dry-run` shows."""

from misalign_eval.records.base import Record
from misalign_eval.records.suite import Message, Sampling


class FirstRequest(Record):
    """A request exactly as it would leave, but for the seed of its sample."""

    probe: str
    prompt: int
    variant: str
    samples: int
    messages: tuple[Message, ...]
    sampling: Sampling


class DryRun(Record):
    """One planned run: counts are exact, tokens and money estimated; None is unknown."""

    suite: str
    suite_version: str
    definition: str
    target: str
    judges: tuple[str, ...]
    folder: str
    seed: int | None
    prompts: int
    replies: int
    target_requests: int
    judge_requests: int
    target_input_tokens: int
    target_output_tokens: int
    target_output_tokens_most: int | None
    judge_input_tokens: int
    judge_output_tokens: int
    cost_usd: float | None
    first: tuple[FirstRequest, ...]
