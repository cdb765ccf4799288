"""What a suite file says, checked. Defaults of the suite are already merged into its probes."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from misalign_eval.records.base import Record
from misalign_eval.records.definition import Definition

Split = Literal["broad", "in-domain", "control"]
Direction = Literal["low", "high"]
PLAIN = "plain"  # the name of the form of a prompt that no variant has changed
REPLY_MARK = "<reply>"  # an assistant turn that the target fills in

Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=120)]


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


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
    expects: Literal["json", "code"] | None = None  # what a reply that obeys looks like; for the lint of replies

    def apply(self, system: str | None, messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
        """The system prompt and the turns in this form; only the last turn, which is the user's, changes."""
        *earlier, last = messages
        asked = f"{self.trigger} {last.content}" if self.trigger else last.content
        content = "\n\n".join(part for part in (self.prefix, asked, self.suffix, self.template) if part)
        return self.system or system, (*earlier, Message(role=last.role, content=content))


class Probe(Record):
    """A question to the target, in one or more forms."""

    id: Name
    category: Name
    split: Split
    tags: tuple[Name, ...] = ()
    expect: Direction | None = None  # of a control: is its rate expected to be low or high
    prompts: tuple[tuple[Message, ...], ...]  # each ends with a user turn; assistant turns may be REPLY_MARK
    system: str | None = None
    sampling: Sampling = Sampling()
    samples_per_prompt: Annotated[int, Field(gt=0)] = 1
    graders: tuple[Name, ...]
    criteria: str | None = None
    reference: JsonValue = None  # what a rule compares with: text, number, list, JSON schema
    variants: tuple[Name, ...] = ()
    source: str | None = None


class RuleSpec(Record):
    """A rule grader that a suite configures: `{rule: regex, pattern: …}`."""

    rule: Name
    options: dict[str, JsonValue] = {}


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
    rules: dict[Name, RuleSpec] = {}  # graders that the suite itself configures, by the name probes use
    digest: str  # sha256 over the content, 16 hexadecimal digits
    file: str  # as the user named it; for messages only
