"""What `run --dry-run` shows."""

from typing import Literal

from misalign_eval.records.base import Record
from misalign_eval.records.suite import Message, Sampling


class FirstRequest(Record):
    """A request exactly as it would leave, but for the seed of its sample."""

    probe: str
    prompt: int
    variant: str
    samples: int
    messages: tuple[Message, ...]
    prefill: str | None = None  # what the last answer begins with; a scripted conversation comes to it later
    sampling: Sampling


Reads = Literal["logprobs", "sampled", "rubric", "structured", "label", "unknown"]


class ExpectedAnswer(Record):
    """What one judge is expected to write for one reply, when every answer can be read. Tokens are of one answer."""

    grader: str
    judge: str  # provider/model
    reads: Reads  # how its verdict is read
    requests: int
    answers: int  # of a sampled score several, in one request where the judge takes `n`
    tokens: int  # assumed
    tokens_most: int | None  # its limit; None: left to the server

    @property
    def most_written(self) -> int | None:
        """Tokens of all its answers to one reply, each as long as it may be; None where it has no limit."""
        return None if self.tokens_most is None else self.answers * self.tokens_most


class DryRun(Record):
    """One planned run: counts are exact, tokens and money estimated; None is unknown."""

    suite: str
    suite_version: str
    definition: str
    target: str
    judges: tuple[str, ...]
    target_headers: tuple[str, ...] = ()  # names of extra request headers
    judge_headers: dict[str, tuple[str, ...]] = {}  # the same by judge; of those that are sent any
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
    judge_output_tokens_most: int | None  # if every answer ran to its limit; None where one has none
    judge_answers: tuple[ExpectedAnswer, ...] = ()
    cost_usd: float | None
    first: tuple[FirstRequest, ...]
