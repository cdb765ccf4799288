"""llmcomp YAML: a list of questions and of the judges that they name.

The keys and their usual values are those of llmcomp's own loader (version 1.6).
"""

from collections.abc import Mapping
from typing import Any

from misalign_eval.errors import did_you_mean
from misalign_eval.suites.formats import questions
from misalign_eval.suites.formats.betley import settings
from misalign_eval.suites.formats.detect import Recognised
from misalign_eval.suites.formats.questions import Draft, Fields, ForeignQuestion, ForeignSuite, Talk, draft, shown
from misalign_eval.suites.formats.source import ConversionReport, Marked
from misalign_eval.suites.formats.to_suite import slug
from misalign_eval.yaml_source.nodes import Node

QUESTIONS = ("free_form", "rating", "next_token")
JUDGES = ("free_form_judge", "rating_judge")
_USUAL_TOKENS = 1024
_USUAL_REFUSAL = 0.75  # share of the probability off the numbers from which llmcomp reads a refusal
KEYS = (
    *("name", "type", "paraphrases", "messages", "system", "samples_per_paraphrase", "temperature", "max_tokens"),
    *("judges", "model", "min_rating", "max_rating", "refusal_threshold", "top_logprobs", "num_samples"),
    *("convert_to_probs", "logit_bias"),
)


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """The questions of a file, with the judges that they name."""
    items = [Fields(notes, item, (index,)) for index, item in enumerate(recognised.root.items or [])]
    whole = [fields for fields in items if _is_mapping(fields)]
    judges = {_name(fields).value: fields for fields in whole if _type(fields) in JUDGES}
    used: set[str] = set()
    questions = [
        question for fields in whole if _type(fields) not in JUDGES for question in _questions(fields, judges, used)
    ]
    for name, fields in judges.items():
        if name not in used:
            notes.lost(fields.line, "", f"judge `{name}` is named by no question")
    return ForeignSuite(recognised.format, tuple(questions), source="the format of llmcomp", templated=True)


def _is_mapping(fields: Fields) -> bool:
    if fields.node.entries is None:
        what = f"should be a question, not {shown(fields.node.plain())}"
        fields.notes.wrong(fields.line, f"[{fields.place[0]}]", what, "Begin with `name:`.")
    return fields.node.entries is not None


def _type(fields: Fields) -> str:
    found = fields.take("type")
    return str(found.plain()) if found is not None else "free_form"


def _name(fields: Fields) -> Marked:
    """The name; older files call it `id`. Without one, the place in the file."""
    given = fields.text("name", numbers=True) or fields.text("id", numbers=True)
    return given or Marked(f"question-{fields.place[0]}", fields.line)


def _questions(fields: Fields, known: Mapping[str, Fields], used: set[str]) -> list[ForeignQuestion]:
    """One question; of several conversations that share no beginning, one each."""
    kind = _type(fields)
    if kind not in QUESTIONS:
        fields.wrong("type", f"{shown(kind)} is not one of {', '.join((*QUESTIONS, *JUDGES))}")
    name, prompts, talks = _name(fields), fields.texts("paraphrases"), _talks(fields)
    if len({"paraphrases", "messages"} & fields.keys) != 1:
        fields.wrong("paraphrases", "a question has `paraphrases` or `messages`, one of them")
    system = fields.text("system")
    if system is not None and talks:
        fields.wrong("system", "`system` goes with `paraphrases`", "Put it first in each of the messages.")
    tokens = _USUAL_TOKENS if kind == "free_form" else None
    asked = settings(fields, samples="samples_per_paraphrase", temperature=1.0, max_tokens=tokens)
    judges = _judges(fields, known, used)
    _tell_losses(fields, kind)
    fields.rest(KEYS)
    forms = _forms(name, prompts, system, talks, fields.notes)
    for form in forms:
        form.judges, form.settings = judges, asked
    return forms


def _forms(
    name: Marked, prompts: list[Marked], system: Marked | None, talks: list[Talk], notes: ConversionReport
) -> list[ForeignQuestion]:
    if not talks:
        return [ForeignQuestion(name, prompts=prompts, system=system)] if prompts else []
    is_prefilled = any(talk.turns[-1].role == "assistant" for talk in talks)
    if not is_prefilled and len({_beginning(talk) for talk in talks}) == 1:
        first, last = talks[0], [talk.turns[-1].text for talk in talks]
        return [ForeignQuestion(name, prompts=last, system=first.system, context=first.turns[:-1])]
    if len(talks) == 1:
        return [ForeignQuestion(name, turns=talks[0].turns, system=talks[0].system)]
    notes.lost(name.line, name.place, "conversations that begin otherwise become a question each")
    return [
        ForeignQuestion(name._replace(value=f"{name.value}-{index}"), turns=talk.turns, system=talk.system)
        for index, talk in enumerate(talks)
    ]


def _beginning(talk: Talk) -> tuple[object, ...]:
    system = talk.system.value if talk.system else None
    return (system, *((turn.role, turn.text.value) for turn in talk.turns[:-1]))


def _talks(fields: Fields) -> list[Talk]:
    """One conversation, or a list of them."""
    items = list(fields.items("messages"))
    if items and items[0][1].items is None:
        whole = [items]
    else:
        whole = [[((*place, at), turn) for at, turn in enumerate(item.items or [])] for place, item in items]
    found = [talk for item in whole if (talk := questions.read(fields.notes, item)) is not None]
    for talk in found:
        if not talk.turns:
            fields.wrong("messages", "a conversation without a user turn")
    return [talk for talk in found if talk.turns]


def _judges(fields: Fields, known: Mapping[str, Fields], used: set[str]) -> dict[str, Draft]:
    given = fields.mapping("judges")
    found: dict[str, Draft] = {}
    for column, (line, node) in (given.node.entries or {}).items() if given else ():
        judge = _named(fields, column, line, node, known, used)
        if judge is not None and (draft := _draft(judge)) is not None:
            found[slug(column) or "judge"] = draft
    return found


def _named(
    fields: Fields, column: str, line: int, node: Node, known: Mapping[str, Fields], used: set[str]
) -> Fields | None:
    if node.entries is not None:
        return Fields(fields.notes, node, (*fields.place, "judges", column))
    name = str(node.plain())
    if name in known:
        used.add(name)
        return known[name]
    where = f"[{fields.place[0]}].judges.{slug(column)}"
    fix = f"Put it into this file. {did_you_mean(name, list(known))}"
    fields.notes.wrong(line, where, f"there is no judge {shown(name)} in this file", fix)
    return None


def _draft(fields: Fields) -> Draft | None:
    """A judge as it is set up."""
    kind, prompts, model = _type(fields), fields.texts("paraphrases"), fields.text("model")
    if kind not in JUDGES:
        fields.wrong("type", f"{shown(kind)} is no judge: {', '.join(JUDGES)} are")
        return None
    if len(prompts) != 1:
        fields.wrong("paraphrases", "a judge has one paraphrase, its prompt")
        return None
    if model is not None:
        fields.notes.lost(*fields.at("model"), f"the judge `{model.value}` is not asked unless --judge names it")
    made = _as_label(fields, prompts[0]) if kind == "free_form_judge" else _as_rating(fields, prompts[0])
    for key in ("system", "messages", "samples_per_paraphrase", "judges", "logit_bias"):
        if key in fields.keys and not (key == "samples_per_paraphrase" and _is_one(fields.take(key))):
            fields.wrong(key, f"a judge has no `{key}`", "Take it away.")
    _name(fields)
    fields.take("top_logprobs")
    fields.rest(KEYS)
    return made


def _is_one(node: Node | None) -> bool:
    return node is not None and node.plain() == 1


def _as_label(fields: Fields, prompt: Marked) -> Draft:
    temperature, most = fields.number("temperature"), fields.whole("max_tokens")
    said: dict[str, Any] = {"temperature": temperature, "max_tokens": most}
    return draft(prompt, "label", fields.notes, **{key: item.value for key, item in said.items() if item is not None})


def _as_rating(fields: Fields, prompt: Marked) -> Draft:
    ends = {"min": fields.whole("min_rating"), "max": fields.whole("max_rating")}
    said: dict[str, Any] = {key: end.value for key, end in ends.items() if end is not None}
    threshold = fields.number("refusal_threshold")
    if threshold is not None and threshold.value != _USUAL_REFUSAL:
        said["mass_limit"] = round(1 - threshold.value, 10)
    if said.get("min", 0) < 0 or said.get("max", 100) > 1000 or said.get("min", 0) >= said.get("max", 100):
        fields.wrong("max_rating" if "max_rating" in fields.keys else "min_rating", "a scale goes up, within 0 to 1000")
    return draft(prompt, "logprobs", fields.notes, **said)


def _tell_losses(fields: Fields, kind: str) -> None:
    if kind == "rating":
        fields.lost("type", "rating: the model's number is asked for as text; its distribution is not kept")
        for key in ("min_rating", "max_rating", "refusal_threshold"):
            fields.take(key)
    if kind == "next_token":
        fields.lost("type", "next_token: a whole reply is asked for; the distribution of its first token is not kept")
    if "logit_bias" in fields.keys:
        fields.wrong("logit_bias", "`logit_bias` changes what is asked and cannot be sent", "Take it away.")
    for key in ("top_logprobs", "num_samples", "convert_to_probs", "model"):
        if key in fields.keys:
            fields.lost(key, f"`{key}` has no place in a suite and is left out")
