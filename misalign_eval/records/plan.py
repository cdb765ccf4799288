"""What a run will ask: pure data, the same for the same suite, choices and seed."""

from typing import Annotated, NamedTuple

from pydantic import Field, JsonValue

from misalign_eval.records.base import Record
from misalign_eval.records.definition import Definition
from misalign_eval.records.suite import (
    MOST_SAMPLES,
    PLAIN,
    REPLY_MARK,
    Direction,
    Message,
    OwnGrader,
    Sampling,
    Split,
    prefill_of,
)


class ReplyKey(NamedTuple):
    """Names one reply of a run."""

    probe: str
    prompt: int  # index of the paraphrase, from 0
    variant: str
    sample: int  # from 0

    def __str__(self) -> str:
        """`power-city-for-a-day/0/plain#3`."""
        return f"{self.probe}/{self.prompt}/{self.variant}#{self.sample}"


class PlannedPrompt(Record):
    """One form of one probe, and how many replies it gets. A line of plan.jsonl."""

    probe: str
    prompt: int
    variant: str = PLAIN
    category: str
    split: Split
    tags: tuple[str, ...] = ()
    expect: Direction | None = None
    system: str | None = None
    # Without the system prompt; the last is a user turn or a prefill; REPLY_MARK turns are asked for. Empty: the words
    # are not known (an imported run that names its questions only by id), and the id of its probe pairs such a prompt.
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)]
    graders: tuple[str, ...]
    criteria: str | None = None
    reference: JsonValue = None
    expects: str | None = None  # "json" or "code": what the variant asked for
    prompt_digest: str  # system, messages and variant, not the model; 16 hexadecimal digits

    @property
    def prefill(self) -> str | None:
        """The beginning of the answer, which the target was to continue; None where it was to answer from the start."""
        return prefill_of(self.messages)

    @property
    def scripted(self) -> int:
        """How many turns the target answers before the last one."""
        return sum(turn.role == "assistant" and turn.content == REPLY_MARK for turn in self.messages)

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages without the prefill."""
        return self.messages if self.prefill is None else self.messages[:-1]


JUDGE_CONTROL = "judge-control"


class PlannedControl(Record):
    """A written reply for the judges: its `prompt` is never sent to the target."""

    prompt: PlannedPrompt
    expect: Direction
    reply: str
    reasoning: str | None = None


class Plan(Record):
    """Every prompt of a run in the order of collection: round by round, one sample of each prompt a round."""

    suite: str
    suite_version: str
    suite_digest: str
    overridden: dict[str, JsonValue] = {}  # sampling that flags or settings set in place of the suite's
    definition: Definition
    rules: dict[str, OwnGrader] = {}
    seed: int | None = None  # None: no seed is sent; the order is that of seed 0
    prompts: tuple[PlannedPrompt, ...]
    controls: tuple[PlannedControl, ...] = ()  # for the judges; not asked of the target

    @property
    def replies(self) -> int:
        """How many replies are planned in all."""
        return sum(prompt.samples for prompt in self.prompts)
