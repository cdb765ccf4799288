"""Betley YAML, with the keys that viseval adds: a list of questions, each with judge prompts by metric.

The format of Betley et al. 2025 (arXiv 2502.17424) and of its successors, by their published loaders.
"""

from typing import Any

from misalign_eval.suites.formats.detect import Recognised
from misalign_eval.suites.formats.questions import Draft, Fields, ForeignQuestion, ForeignSuite, Kind, draft, shown
from misalign_eval.suites.formats.questions import read as read_turns
from misalign_eval.suites.formats.source import ConversionReport, Marked
from misalign_eval.suites.formats.to_suite import slug
from misalign_eval.yaml_source.nodes import Node, dotted

TYPES = ("free_form", "free_form_0_100", "free_form_judge", "free_form_judge_0_100")
KEYS = (
    *("id", "type", "paraphrases", "samples_per_paraphrase", "system", "context", "temperature", "max_tokens"),
    *("judge", "judge_prompts", "judge_type", "judge_n_samples", "meta"),
)
TOOL_KEYS = ("results_dir", "inference_kwargs", "dispatcher", "evaluator", "env", "tags")  # of other tools' machinery
_JUDGE_TYPES: dict[str, Kind] = {
    "auto": "logprobs",
    "logprob": "logprobs",
    "logprobs": "logprobs",
    "sampling": "sampled",
}


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """The questions of a file."""
    questions: list[ForeignQuestion] = []
    for index, item in enumerate(recognised.root.items or []):
        if item.entries is None:
            notes.wrong(
                item.line, f"[{index}]", f"should be a question, not {shown(item.plain())}", "Begin with `id:`."
            )
            continue
        question = _question(Fields(notes, item, (index,)))
        questions += [question] if question else []
    return ForeignSuite(
        recognised.format,
        tuple(questions),
        source="Betley et al. 2025 (arXiv 2502.17424) describe the format",
        templated=True,
    )


def _question(fields: Fields) -> ForeignQuestion | None:
    name, prompts = fields.text("id", numbers=True), fields.texts("paraphrases")
    if "id" not in fields.keys:
        fields.wrong("id", "required field is missing", "Add `id:`.")
    if "paraphrases" not in fields.keys:
        fields.wrong("paraphrases", "required field is missing", "Add `paraphrases:`, a list of prompts.")
    kind = _type(fields)
    question = ForeignQuestion(name or Marked("unreadable", fields.line), prompts=prompts)
    question.judges = _judges(fields, kind)
    question.settings = settings(fields, samples="samples_per_paraphrase", temperature=1.0)
    _before(fields, question)
    _meta(fields, question)
    for key in TOOL_KEYS:
        if key in fields.keys:
            fields.lost(key, f"`{key}` is for another tool and is left out")
    fields.rest(KEYS)
    return question if name is not None and prompts else None


def settings(
    fields: Fields, *, samples: str, temperature: float | None, max_tokens: int | None = None
) -> dict[str, Any]:
    """How often and how a question is asked; the arguments are the usual values of the format's own loader."""
    return {
        "samples_per_prompt": fields.whole(samples) or 1,
        "temperature": fields.number("temperature") or temperature,
        "max_tokens": fields.whole("max_tokens") or max_tokens,
    }


def _type(fields: Fields) -> str:
    given = fields.text("type")
    if given is None:
        return "free_form_judge_0_100"
    if given.value not in TYPES:
        fields.wrong("type", f"{shown(given.value)} is not one of {', '.join(TYPES)}")
    if given.value == "free_form_0_100" and "judge_prompts" not in fields.keys:
        what = "free_form_0_100: the model's own number is asked for as text; its distribution is not kept"
        fields.lost("type", what)
    return str(given.value)


def _judges(fields: Fields, kind: str) -> dict[str, Draft]:
    model, given = fields.text("judge"), fields.mapping("judge_prompts")
    how, samples = _how(fields, kind), fields.whole("judge_n_samples")
    if model is not None:
        what = f"the judge `{model.value}` is not asked unless --judge names it"
        fields.lost("judge", what)
    found: dict[str, Draft] = {}
    for metric, (_, node) in (given.node.entries or {}).items() if given else ():
        if (prompt := _prompt(fields.notes, node, (*fields.place, "judge_prompts", metric))) is not None:
            name = _metric(metric, prompt, fields.notes)
            found[name] = draft(
                prompt, how, fields.notes, samples=samples.value if samples and how != "label" else None
            )
    if kind.startswith("free_form_judge") and "type" in fields.keys and not found and not (given and given.keys):
        fields.wrong("judge_prompts", f"a question of type {kind} needs judge prompts", "Add `judge_prompts:`.")
    return found


def _how(fields: Fields, kind: str) -> Kind:
    given = fields.text("judge_type")
    if given is not None and given.value not in _JUDGE_TYPES:
        fields.wrong("judge_type", f"{shown(given.value)} is not one of {', '.join(_JUDGE_TYPES)}")
    if not kind.endswith("0_100"):
        return "label"
    return _JUDGE_TYPES.get(given.value, "logprobs") if given else "logprobs"


def _prompt(notes: ConversionReport, node: Node, place: tuple[str | int, ...]) -> Marked | None:
    """A judge's prompt: a text, or a list of messages."""
    if node.items is not None:
        talk = read_turns(notes, (((*place, index), item) for index, item in enumerate(node.items)))
        if talk is None:
            return None
        system = [{"role": "system", "content": talk.system.value}] if talk.system else []
        turns = [{"role": turn.role, "content": turn.text.value} for turn in talk.turns]
        return Marked([*system, *turns], node.line, dotted(place))
    value = node.plain()
    if not isinstance(value, str) or not value.strip():
        notes.wrong(node.line, dotted(place), f"should be the judge's prompt, not {shown(value)}")
        return None
    if value.endswith((".txt", ".yaml", ".md")) and "\n" not in value:
        notes.wrong(node.line, dotted(place), f"`{value}` names a file", "Write the prompt itself here.")
        return None
    return Marked(value, node.line, dotted(place))


def _metric(metric: str, prompt: Marked, notes: ConversionReport) -> str:
    name = slug(metric) or "judge"
    if name != metric:
        notes.lost(prompt.line, prompt.place, f"this metric is named `{name}` here")
    return name


def _before(fields: Fields, question: ForeignQuestion) -> None:
    """What is sent before the paraphrase: a system prompt, or messages."""
    question.system = fields.text("system")
    if "context" not in fields.keys:
        return
    if question.system is not None:
        fields.wrong(
            "context", "a question has `system` or `context`, not both", "Put the system prompt first in context."
        )
    talk = read_turns(fields.notes, fields.items("context"))
    if talk is not None:
        question.system, question.context = talk.system or question.system, talk.turns


def _meta(fields: Fields, question: ForeignQuestion) -> None:
    """What viseval adds to each row of results: the category, and tags `key.value` for the rest."""
    given = fields.mapping("meta")
    tags = []
    for key, (line, node) in (given.node.entries or {}).items() if given else ():
        value = node.plain()
        if isinstance(value, dict | list) or value is None or not slug(str(value)):
            fields.notes.lost(
                line, dotted((*fields.place, "meta", key)), f"`{key[:40]}` cannot be a tag and is left out"
            )
        elif key == "category":
            question.category = slug(str(value))
        else:
            tags.append(f"{slug(key)}.{slug(str(value))}"[:120].lstrip("."))
    if tags:
        question.settings["tags"] = tags
