"""The suite file as written, and its JSON Schema."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter

from misalign_eval.records.base import Record
from misalign_eval.records.definition import Definition
from misalign_eval.records.suite import MOST_SAMPLES, Direction, Expected, JudgeSpec, Name, Sampling, Split
from misalign_eval.yaml_source.validate import NOT_BLANK

# Records of a suite file as its author writes it; the JSON Schema is made from them.


Words = Annotated[str, StringConstraints(strip_whitespace=True, pattern=NOT_BLANK)]
"""Text that is not blank. White space around it, such as the line end of a YAML block, is taken away."""


Reference = Annotated[Words, Field(max_length=300)]
"""The name of something, or a path to it."""


class ScriptedTurn(Record):
    """One turn of a scripted conversation. `<reply>` as an assistant's content stands for the target's own answer.

    An assistant's turn at the end is the beginning of the answer, which the target continues (prefill).
    """

    role: Literal["user", "assistant"]
    content: Words


class InlineRule(BaseModel):
    """A rule that the suite configures itself: every key besides `rule` and `name` is an option of the rule."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)

    rule: Annotated[Name, Field(description="Name of a rule; `misalign-eval graders list` shows them.")]
    name: Annotated[Name | None, Field(description="Name of this grader in results. Made up when absent.")] = None

    @property
    def options(self) -> dict[str, JsonValue]:
        """The options of the rule, as written."""
        return dict(self.model_extra or {})


GraderItem = Name | InlineRule


class Asking(Sampling):
    """How often a prompt is asked, with which settings, and who grades."""

    samples_per_prompt: (
        Annotated[int, Field(gt=0, le=MOST_SAMPLES, description="Replies to each prompt in each form. 1 if unset.")]
        | None
    ) = None
    graders: Annotated[tuple[GraderItem, ...], Field(description="Graders by name, or rules with options.")] | None = (
        None
    )
    variants: Annotated[tuple[Name, ...], Field(description="Further forms of each prompt.")] | None = None
    system: Annotated[Words | None, Field(description="System prompt.")] = None
    category: Annotated[Name | None, Field(description="What the probe is about; results are shown by category.")] = (
        None
    )
    split: Annotated[
        Split | None,
        Field(description="broad (the default) makes the headline; in-domain and control have lines of their own."),
    ] = None


class DefaultsFile(Asking):
    """What holds for every probe of this file that does not say otherwise."""


_ONE_OF = {"oneOf": [{"required": ["prompts"]}, {"required": ["messages"]}]}


class ProbeFile(Asking):
    """One probe: `prompts` that paraphrase each other, or `messages` of one scripted conversation."""

    model_config = ConfigDict(json_schema_extra=dict[str, Any](_ONE_OF))

    id: Annotated[Name, Field(description="Unique in the suite; names the probe in every result.")]
    prompts: Annotated[tuple[Words, ...], Field(min_length=1, description="Paraphrases of one question.")] | None = None
    messages: (
        Annotated[
            tuple[ScriptedTurn, ...],
            Field(
                min_length=1,
                description="A conversation. It ends with a user turn, or with the beginning of the answer (prefill).",
            ),
        ]
        | None
    ) = None
    context: Annotated[
        tuple[ScriptedTurn, ...] | None, Field(min_length=1, description="Turns before each of the prompts.")
    ] = None
    form: (
        Annotated[Name, Field(description="The prompts are themselves a form, as json: counted in its series.")] | None
    ) = None
    expects: Annotated[Expected | None, Field(description="What a reply to the prompts looks like when it obeys.")] = (
        None
    )
    criteria: Annotated[Words | None, Field(description="Tells a judge what misaligned looks like here.")] = None
    reference: Annotated[JsonValue, Field(description="What a rule compares the reply with.")] = None
    tags: Annotated[tuple[Name, ...], Field(description="For `--tag`.")] = ()
    expect: Annotated[Direction | None, Field(description="Of a control: is its rate expected to be low or high?")] = (
        None
    )
    source: Annotated[Words | None, Field(description="Where the idea or the text is from.")] = None


class VariantFile(Record):
    """A form of a prompt that the suite adds. Every part that is set changes what is sent."""

    system: Annotated[Words | None, Field(description="Replaces the system prompt.")] = None
    prefix: Annotated[Words | None, Field(description="Before the last user turn, then a blank line.")] = None
    suffix: Annotated[Words | None, Field(description="After the last user turn and a blank line.")] = None
    template: Annotated[Words | None, Field(description="A form to fill in, after all else.")] = None
    trigger: Annotated[Words | None, Field(description="Directly before the last user turn, then a space.")] = None
    expects: Annotated[Expected | None, Field(description="What a reply that obeys looks like.")] = None


class JudgeControlFile(Record):
    """A written reply that judges read with the others. The target is not asked, and no rate holds it."""

    id: Annotated[Name, Field(description="Unique among the judge's controls.")]
    probe: Annotated[Name, Field(description="The probe whose question, criteria and graders are used.")]
    expect: Annotated[Direction, Field(description="high: the reply is plainly misaligned; low: plainly not.")]
    reply: Annotated[Words, Field(description="What the judge is shown as the target's reply.")]
    prompt: Annotated[Words | None, Field(description="Another question than the first one of the probe.")] = None
    reasoning: Annotated[Words | None, Field(description="What the judge is shown as its reasoning.")] = None


class SuiteFile(Record):
    """A suite of probes for misalign-eval."""

    name: Annotated[Name, Field(description="Name of the suite in results.")]
    version: Annotated[Words, Field(description="Raise it when a change can move results.")]
    description: Words
    licence: Annotated[Words, Field(description="Of the text of the suite.")]
    source: Annotated[Words | None, Field(description="Where the ideas or the text are from.")] = None
    definition: Annotated[
        Reference | Definition,
        Field(description="What counts as misaligned: a preset, a .yaml file beside this one, or written out here."),
    ]
    templated: Annotated[
        bool, Field(description="The prompts are made from templates: their likeness is meant, and no warning.")
    ] = False
    include: Annotated[
        tuple[Reference, ...],
        Field(description="Suites whose probes are added: bundled names, or paths inside this file's folder."),
    ] = ()
    defaults: DefaultsFile = DefaultsFile()
    canary: Annotated[Words | None, Field(description="Kept with every copy, to keep it out of training data.")] = None
    judges: Annotated[
        dict[Name, JudgeSpec], Field(description="Judges that the suite brings along, by the name that graders use.")
    ] = {}
    variants: Annotated[
        dict[Name, VariantFile], Field(description="Forms beside the built-in `json` and `template`.")
    ] = {}
    probes: tuple[ProbeFile, ...] = ()
    judge_controls: Annotated[
        tuple[JudgeControlFile, ...], Field(description="Written replies that show whether the judge sees.")
    ] = ()


# JSON Schema of suite files, for editors: completion, hints and marked mistakes.


FILE = "suite.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text() -> str:
    """The schema as it lies beside the suites."""
    return written(TypeAdapter(SuiteFile).json_schema(), "Suite of probes for misalign-eval")


def written(schema: dict[str, Any], title: str) -> str:
    """A schema as a file for editors."""
    whole = {"$schema": _DIALECT, "title": title, **_without_titles(schema)}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _without_titles(schema: Any) -> Any:  # noqa: ANN401  any part of a schema
    """Pydantic titles every field with its own name, which editors would show instead of the description."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
        return {key: _without_titles(value) for key, value in kept.items()}
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema
