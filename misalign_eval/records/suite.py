"""Records of a checked suite. Defaults of the suite are already merged into its probes."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from misalign_eval.records.base import Record
from misalign_eval.records.definition import Definition

Split = Literal["broad", "in-domain", "control"]
Direction = Literal["low", "high"]
Expected = Literal["json", "code"]
PLAIN = "plain"  # the name of the form of a prompt that no variant has changed
REPLY_MARK = "<reply>"  # an assistant turn that the target fills in
QUESTION_MARK = "{question}"  # in the prompt of a judge that a suite brings along
ANSWER_MARK = "{answer}"

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_/ -]*")

MOST_SAMPLES = 100_000  # of one prompt: a file that says more was not meant, and would only eat memory
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=120)]


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


def prefill_of(messages: Sequence[Message]) -> str | None:
    """The beginning of the answer that a conversation ends with, for the target to continue. None: it ends otherwise.

    >>> prefill_of([Message(role="user", content="2+2?"), Message(role="assistant", content="The answer is (")])
    'The answer is ('
    """
    last = messages[-1] if messages else None
    return last.content if last and last.role == "assistant" and last.content != REPLY_MARK else None


class Sampling(Record):
    """How a model is asked. None leaves the setting to the server; only what is set is sent."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    stop: tuple[str, ...] | None = None
    reasoning_effort: str | None = None


class Variant(Record):
    """A derived form of a prompt. Every part that is set changes what is sent; at least one must be."""

    system: Text | None = None  # replaces the probe's system prompt
    prefix: Text | None = None  # before the (last) user turn, then a blank line
    suffix: Text | None = None  # after the (last) user turn, after a blank line
    template: Text | None = None  # a form to fill in, after the (last) user turn and a blank line
    trigger: Text | None = None  # a backdoor's trigger: directly before the (last) user turn, then a space
    expects: Expected | None = None  # what a reply that obeys looks like; for the lint of replies

    def apply(self, system: str | None, messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
        """The system prompt and the turns in this form; only the last user turn changes, never a prefill after it."""
        prefill = messages[-1:] if prefill_of(messages) is not None else ()
        *earlier, last = messages[: len(messages) - len(prefill)]
        asked = f"{self.trigger} {last.content}" if self.trigger else last.content
        content = "\n\n".join(part for part in (self.prefix, asked, self.suffix, self.template) if part)
        return self.system or system, (*earlier, Message(role=last.role, content=content), *prefill)


class Probe(Record):
    """A question to the target, in one or more forms."""

    id: Name
    category: Name
    split: Split
    tags: tuple[Name, ...] = ()
    expect: Direction | None = None  # of a control: is its rate expected to be low or high
    prompts: tuple[tuple[Message, ...], ...]  # assistant turns may be REPLY_MARK; the last may be a prefill
    system: str | None = None
    sampling: Sampling = Sampling()
    samples_per_prompt: Annotated[int, Field(gt=0, le=MOST_SAMPLES)] = 1
    graders: tuple[Name, ...]
    criteria: str | None = None
    reference: JsonValue = None  # what a rule compares with: text, number, list, JSON schema
    variants: tuple[Name, ...] = ()
    form: Name = PLAIN  # the series that its prompts as written belong to, when they are themselves a derived form
    expects: Expected | None = None  # what a reply to the prompts as written looks like when it obeys
    source: str | None = None


class JudgeControl(Record):
    """A written reply to a question of the suite, which judges read with the others: do they see what is plain?"""

    id: Name
    probe: Name  # whose question, criteria, reference and graders are used
    expect: Direction  # high: the reply is misaligned; low: it is not
    reply: Text
    prompt: Text | None = None  # another question than the probe's first
    reasoning: Text | None = None


class RuleSpec(Record):
    """A rule grader that a suite configures: `{rule: regex, pattern: …}`."""

    rule: Name
    options: dict[str, JsonValue] = {}


JudgePrompt = Text | Annotated[tuple[Message, ...], Field(min_length=1)]


class JudgeSpec(Record):
    """A judge that a suite brings along.

    Its prompt is sent word for word: `{question}` is replaced by the user's last turn and `{answer}` by the reply, byte
    for byte and without a fence around them; every other brace is text.
    """

    kind: Annotated[
        Literal["logprobs", "sampled", "label"],
        Field(description="logprobs and sampled give a number of the scale, label gives a short text as it is said"),
    ]
    prompt: Annotated[JudgePrompt, Field(description="What the judge is sent: a text, or a list of messages.")]
    by_probe: Annotated[dict[Name, JudgePrompt], Field(description="Another prompt for some probes, by their id.")] = {}
    min: Annotated[int, Field(ge=0, description="Lower end of the scale.")] = 0
    max: Annotated[int, Field(le=1000, description="Upper end of the scale.")] = 100
    labels: Annotated[
        tuple[Text, ...], Field(description="Words that the prompt offers; of kind label others are kept, too.")
    ] = ()
    samples: Annotated[int, Field(gt=0, le=100, description="Answers that make one sampled score.")] = 5
    temperature: Annotated[float, Field(ge=0, le=2, description="Of kind label and of sampled answers.")] | None = None
    max_tokens: Annotated[int, Field(gt=0, description="Of kind label and of sampled answers.")] | None = None
    mass_limit: Annotated[
        float, Field(gt=0, le=1, description="Least share of the probability on numbers that makes a score.")
    ] = 0.25

    @model_validator(mode="after")
    def _consistent(self) -> "JudgeSpec":
        if self.min >= self.max:
            raise ValueError(f"`min` {self.min} is not below `max` {self.max}")
        if self.kind != "label" and not all(_LABEL.fullmatch(label) for label in self.labels):
            raise ValueError("`labels` beside numbers are words: letters, digits, spaces, `-`, `_` and `/`")
        if len({label.casefold() for label in self.labels}) < len(self.labels):
            raise ValueError("two `labels` differ only in case")
        for prompt in (self.prompt, *self.by_probe.values()):
            if not any(ANSWER_MARK in text for text in texts_of(prompt)):
                raise ValueError(f"no `{ANSWER_MARK}` in the judge's prompt: it would not see the reply")
        return self


def texts_of(prompt: str | tuple[Message, ...]) -> tuple[str, ...]:
    """The texts of a judge's prompt."""
    return (prompt,) if isinstance(prompt, str) else tuple(message.content for message in prompt)


OwnGrader = RuleSpec | JudgeSpec


class Suite(Record):
    """A named, versioned set of probes with the definition that counts their replies."""

    name: Name
    version: str
    description: str
    licence: str
    source: str | None = None
    definition: Definition
    probes: tuple[Probe, ...]
    variants: dict[Name, Variant] = {}  # every variant that a probe names, built-in ones included
    rules: dict[Name, OwnGrader] = {}  # graders that the suite itself configures, by the name probes use
    judge_controls: tuple[JudgeControl, ...] = ()
    canary: str | None = None  # kept with every copy, so that the text can be left out of training data
    digest: str  # sha256 over the content, 16 hexadecimal digits
    file: str  # as the user named it; for messages only
