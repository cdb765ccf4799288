"""The columns of exported tables, and the item that one exported row is made from."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, ReplyKey, RunManifest
from misalign_eval.records.summary import RunSummary

# Input of a writer of any format: the run, and one planned reply after another.


@dataclass(frozen=True, slots=True)
class About:
    """The run as a whole. `graders` holds every grader by the name of its columns, in their order."""

    manifest: RunManifest
    definition: Definition
    graders: Mapping[str, GraderIdentity]
    summary: RunSummary
    plan: tuple[PlannedPrompt, ...]
    wanted: int  # planned replies, without those that early stopping did not need
    collected: int  # of these, those with a row
    finished: str | None  # when the last row was written, UTC, ISO 8601

    @property
    def is_complete(self) -> bool:
        """Whether every reply that was wanted has a row."""
        return self.collected == self.wanted

    def is_misaligned(self, outcome: Outcome) -> bool | None:
        """Whether the definition counts the outcome in its numerator; None where it is not in the denominator."""
        if outcome not in self.definition.denominator:
            return None
        return outcome in self.definition.numerator


@dataclass(frozen=True, slots=True)
class ExportItem:
    """One planned reply with all that belongs to it. `row` is None where none was collected."""

    key: ReplyKey
    prompt: PlannedPrompt
    question: str  # as graders are shown it
    row: Reply | Failure | None
    outcome: Outcome
    is_counted: bool  # False: it came after early stopping had decided
    grades: Mapping[str, Graded | Ungraded]  # by the name of the grader's columns


# The table of exported columns: name, type and description of each.
#
# Every row has every column, flat, always of its type; an unknown value is null (in CSV an empty cell). Those of
# `COLUMNS` come first, in this order, and stay: a later version may add some behind them. Then each grader has those of
# `GRADER`, named `<grader>_<column>`; a second identity of a grader is named with it, `<grader>@<identity>_<column>`.


Kind = Literal["text", "integer", "number", "boolean"]
Value = str | int | float | bool | None
Row = dict[str, Value]


class TableColumn(NamedTuple):
    """A column: `kind` is text (UTF-8), integer (64 bits), number (64-bit floating point) or boolean."""

    name: str
    kind: Kind
    about: str


class _Fixed(NamedTuple):
    name: str
    kind: Kind
    about: str
    read: Callable[[About, ExportItem], Value]


class _Graded(NamedTuple):
    name: str
    kind: Kind
    about: str
    read: Callable[[GraderIdentity, Graded | Ungraded | None], Value]


def _item(path: str) -> Callable[[About, ExportItem], Value]:
    """The value at a path of attributes of the item; null where the row, or its kind of row, has none."""
    return lambda _, item: _walk(item, path)


def _run(path: str) -> Callable[[About, ExportItem], Value]:
    return lambda about, _: _walk(about, path)


def _who(path: str) -> Callable[[GraderIdentity, Graded | Ungraded | None], Value]:
    return lambda who, _: _walk(who, path)


def _grade(path: str) -> Callable[[GraderIdentity, Graded | Ungraded | None], Value]:
    return lambda _, grade: _walk(grade, path)


def _walk(start: object, path: str) -> Any:  # noqa: ANN401  the table below says of what type each is
    for name in path.split("."):
        start = getattr(start, name, None)
    return start


def _question(_: About, item: ExportItem) -> str | None:
    return item.question or None  # an imported run may know its questions only by id


def _kind(_: About, item: ExportItem) -> str:
    return "absent" if item.row is None else item.row.kind


def _has_text(_: About, item: ExportItem) -> bool:
    return isinstance(item.row, Reply) and item.row.text is not None


def _misaligned(about: About, item: ExportItem) -> bool | None:
    return about.is_misaligned(item.outcome)


def _tags(_: About, item: ExportItem) -> str | None:
    return ",".join(item.prompt.tags) or None


def _dropped(_: About, item: ExportItem) -> str | None:
    return ("; ".join(item.row.dropped) or None) if isinstance(item.row, Reply) else None


def _prefilled(_: About, item: ExportItem) -> str | None:
    return ("; ".join(item.row.prefilled) or None) if isinstance(item.row, Reply) else None


def _calls(_: About, item: ExportItem) -> str | None:
    if not isinstance(item.row, Reply) or not item.row.calls:
        return None
    return json.dumps([call.model_dump() for call in item.row.calls], ensure_ascii=False)


def _label_columns(about: About, _: ExportItem) -> str | None:
    return json.dumps(about.manifest.labels, sort_keys=True) if about.manifest.labels else None


_FIXED: tuple[_Fixed, ...] = (
    _Fixed("key", "text", "probe/prompt/variant#sample, unique in a run", lambda _, item: str(item.key)),
    _Fixed("probe", "text", "id of the probe", _item("key.probe")),
    _Fixed("prompt", "integer", "which paraphrase, from 0", _item("key.prompt")),
    _Fixed("variant", "text", "`plain`, or the variant of the probe", _item("key.variant")),
    _Fixed("sample", "integer", "which reply to the same prompt, from 0", _item("key.sample")),
    _Fixed("category", "text", "category of the probe", _item("prompt.category")),
    _Fixed("split", "text", "broad, in-domain or control", _item("prompt.split")),
    _Fixed("tags", "text", "tags of the probe, joined by commas", _tags),
    _Fixed("system", "text", "the system prompt", _item("prompt.system")),
    _Fixed("question", "text", "the user's turn; of a longer conversation every turn, labelled", _question),
    _Fixed("prefill", "text", "the beginning of the answer, given to the target; null: none", _item("prompt.prefill")),
    _Fixed("reply", "text", "the answer, after its prefill; null: none came, or not published", _item("row.text")),
    _Fixed("reasoning", "text", "what the target thought aloud before it answered", _item("row.reasoning")),
    _Fixed("kind", "text", "reply, failure (asked, no answer) or absent (not collected)", _kind),
    _Fixed("has_text", "boolean", "whether `reply` holds a text, be it empty", _has_text),
    _Fixed("finish", "text", "stop, length, refusal, content_filter, tool_calls or unknown", _item("row.finish")),
    _Fixed("finish_word", "text", "the server's own word for that, where it is another", _item("row.finish_word")),
    _Fixed("calls", "text", "calls of tools that the reply made, as a JSON list", _calls),
    _Fixed("leaked", "text", "cut off the reply, from a token that ends the turn on", _item("row.leaked")),
    _Fixed("refusal", "text", "the provider's own refusal text or category", _item("row.refusal")),
    _Fixed("outcome", "text", "what the definition counts it as", _item("outcome")),
    _Fixed("is_misaligned", "boolean", "in the numerator; null: not in the denominator", _misaligned),
    _Fixed("is_counted", "boolean", "false: came after early stopping had decided; in no rate", _item("is_counted")),
    _Fixed("failure_reason", "text", "why no answer came", _item("row.reason")),
    _Fixed("failure_message", "text", "the same in the server's words", _item("row.message")),
    _Fixed("failure_status", "integer", "HTTP status", _item("row.status")),
    _Fixed("attempts", "integer", "requests made for it", _item("row.attempts")),
    _Fixed("at", "text", "when the row was written, UTC, ISO 8601", _item("row.at")),
    _Fixed("latency_s", "number", "seconds, of the last attempt", _item("row.latency_s")),
    _Fixed("input_tokens", "integer", "tokens sent", _item("row.usage.input_tokens")),
    _Fixed("output_tokens", "integer", "tokens received, reasoning included", _item("row.usage.output_tokens")),
    _Fixed("cached_tokens", "integer", "of the input, from the provider's cache", _item("row.usage.cached_tokens")),
    _Fixed("reasoning_tokens", "integer", "of the output, not shown", _item("row.usage.reasoning_tokens")),
    _Fixed("cost_usd", "number", "US dollars for the target; null: unknown", _item("row.usage.cost_usd")),
    _Fixed("model", "text", "the model as the server named itself", _item("row.model")),
    _Fixed("fingerprint", "text", "the server's fingerprint of its system", _item("row.fingerprint")),
    _Fixed("route", "text", "which upstream a router used", _item("row.route")),
    _Fixed("request_id", "text", "the server's id of the request", _item("row.request_id")),
    _Fixed("dropped", "text", "settings that the target did not take, joined by `; `", _dropped),
    _Fixed("prefilled", "text", "how the prefill was sent, joined by `; `; null: none was", _prefilled),
    _Fixed("temperature", "number", "as sent; null: left to the server", _item("prompt.sampling.temperature")),
    _Fixed("top_p", "number", "as sent; null: left to the server", _item("prompt.sampling.top_p")),
    _Fixed("max_tokens", "integer", "as sent; null: left to the server", _item("prompt.sampling.max_tokens")),
    _Fixed("prompt_digest", "text", "what was asked: pairs replies across runs", _item("prompt.prompt_digest")),
    _Fixed("run", "text", "name of the run", _run("manifest.name")),
    _Fixed("target", "text", "provider/model, as it was addressed", _run("manifest.target.name")),
    _Fixed("labels", "text", "labels of the run (step, group …) as a JSON object", _label_columns),
    _Fixed("suite", "text", "name of the suite", _run("manifest.suite")),
    _Fixed("suite_version", "text", "its version", _run("manifest.suite_version")),
    _Fixed("definition", "text", "the definition of `outcome`", _run("definition.name")),
    _Fixed("streamed", "boolean", "true: the answer came as a stream; null: it did not", _item("row.streamed")),
    _Fixed("expect", "text", "high or low: what a control probe is to show; null: it is none", _item("prompt.expect")),
    _Fixed("expects", "text", "json or code: the form that the variant asked for", _item("prompt.expects")),
)
COLUMNS = tuple(TableColumn(item.name, item.kind, item.about) for item in _FIXED)

_GRADED: tuple[_Graded, ...] = (
    _Graded("score", "number", "the score; null where it gave a label or none", _grade("score")),
    _Graded("label", "text", "the label; null where it gave a score or none", _grade("label")),
    _Graded("why", "text", "its reason", _grade("why")),
    _Graded("ungraded", "text", "why it has no verdict; null: it has one, or was not asked", _grade("reason")),
    _Graded("modal", "text", "the judge's most likely token", _grade("modal")),
    _Graded("number_mass", "number", "share of the judge's probability on numbers", _grade("number_mass")),
    _Graded("judge", "text", "provider/model of the judge; null: a rule", _who("judge")),
    _Graded("identity", "text", "who graded, as in the run folder", _who("identity")),
    _Graded("cost_usd", "number", "US dollars for the judge; null: unknown", _grade("usage.cost_usd")),
)
GRADER = tuple(TableColumn(item.name, item.kind, item.about) for item in _GRADED)


def names_of(graders: Sequence[GraderIdentity]) -> dict[str, GraderIdentity]:
    """Name the columns of each grader: the first of several identities by the grader alone.

    >>> one = GraderIdentity(grader="aligned", identity="a1", kind="judge")
    >>> list(names_of([one, one.model_copy(update={"identity": "b2"})]))
    ['aligned', 'aligned@b2']
    """
    found: dict[str, GraderIdentity] = {}
    for grader in graders:
        found[grader.grader if grader.grader not in found else f"{grader.grader}@{grader.identity}"] = grader
    return found


def columns(graders: Mapping[str, GraderIdentity]) -> tuple[TableColumn, ...]:
    """Every column of a run with these graders, in order."""
    more = (
        item._replace(name=f"{name}_{item.name}", about=f"{name}: {item.about}") for name in graders for item in GRADER
    )
    return (*COLUMNS, *more)


def rows(about: About, items: Iterator[ExportItem]) -> Iterator[Row]:
    """One flat row an item, with every column in its place."""
    for item in items:
        row: Row = {one.name: one.read(about, item) for one in _FIXED}
        for name, grader in about.graders.items():
            grade = item.grades.get(name)
            row |= {f"{name}_{item.name}": item.read(grader, grade) for item in _GRADED}
        yield row
