"""From a sample of Inspect to a reply with its grades."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import JsonValue, ValidationError

from misalign_eval.imports import inspect_ours
from misalign_eval.imports.account import BadCellError
from misalign_eval.imports.cells import UNREADABLE, is_missing, label, number, shown
from misalign_eval.imports.foreign import Asked, Foreign, Found, RunKey, Turn
from misalign_eval.imports.grade_columns import SCORES, VERDICT, VERDICTS
from misalign_eval.imports.replies import FINISHES
from misalign_eval.imports.splits import split_of
from misalign_eval.imports.tables import Row
from misalign_eval.records.reply import Finish
from misalign_eval.records.suite import Sampling

JUDGES = ("judge", "judge_model", "grader_model", "model")  # what scorers call their judge in a score's metadata
_GRADERS = {theirs: ours for ours, names in (*SCORES.items(), (VERDICT, VERDICTS)) for theirs in names}


class Header(NamedTuple):
    """What is the same for every sample of a log."""

    task: str
    model: str
    created: str | None
    sampling: Sampling
    judges: Mapping[str, str]  # scorer → the model that it asks, where the log says
    is_whole: bool  # the evaluation ended by itself


def header(found: Mapping[str, Any]) -> Header:
    """Read the head of a log; settings that it does not name stay unset."""
    about = found["eval"]
    asked = _object(about.get("model_generate_config"))
    names = ("temperature", "top_p", "max_tokens")
    given = {name: value for name in names if (value := number(asked.get(name))) is not None}
    created = about.get("created")
    return Header(
        task=str(about.get("task") or "inspect"),
        model=str(about["model"]),
        created=created if isinstance(created, str) and _is_date(created) else None,
        sampling=_sampling(given),
        judges=_judges(about),
        is_whole=found.get("status") == "success",
    )


def _sampling(given: Mapping[str, float]) -> Sampling:
    """The settings that our records can hold; others are left out."""
    kept: dict[str, Any] = {name: value for name, value in given.items() if name != "max_tokens"}
    if (most := given.get("max_tokens", 0.0)) >= 1:
        kept["max_tokens"] = int(most)
    try:
        return Sampling(**kept)
    except ValidationError:
        return Sampling()


def reply(row: Row, head: Header, graders: Mapping[str, str]) -> Foreign:
    """Read a sample; `graders` (ours → the scorer's name) comes before the usual names. Raises BadCellError."""
    cells: Mapping[str, Any] = row.cells
    metadata = _object(cells.get("metadata"))
    failure = _failure(cells, metadata)
    text, reasoning, finish = _answer(cells)
    category, split = metadata.get("category"), metadata.get("split") or metadata.get("subset")
    named = {theirs: ours for ours, theirs in graders.items()}
    found = Foreign(
        row=row.number,
        line=row.line,
        run=RunKey(),
        asked=_asked(cells),
        sample=str(cells.get("epoch", 1)),
        text=text,
        reasoning=reasoning,
        finish=finish,
        failure=failure,
        found=() if failure else tuple(_grades(_scores(cells, metadata), named, head.judges)),
        category=category if isinstance(category, str) else None,
        split=split_of(split) if isinstance(split, str) else None,
        reference=_reference(cells.get("target")),
    )
    return inspect_ours.mended(found, metadata)


def _scores(cells: Mapping[str, Any], metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The scores by scorer, without those that `export` derived from the others."""
    scores = _object(cells.get("scores"))
    left_out = inspect_ours.DERIVED if inspect_ours.is_ours(metadata) else ()
    return {scorer: score for scorer, score in scores.items() if scorer not in left_out}


def _reference(target: object) -> JsonValue:
    return target if isinstance(target, str) and target else None


def _failure(cells: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    """Why there is no reply: an error before the target's answer. One after it, in a scorer, leaves the reply."""
    if _choices(cells):
        return None
    error = cells.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or "error")
    if inspect_ours.is_unpublished(metadata):
        return None
    limit = cells.get("limit")
    return f"limit: {limit.get('type')}" if isinstance(limit, dict) else "no answer"


def _answer(cells: Mapping[str, Any]) -> tuple[str | None, str | None, Finish]:
    choices = _choices(cells)
    if not choices:
        return None, None, "unknown"
    text, reasoning = _words(_object(choices[0].get("message")).get("content"))
    finish = FINISHES.get(str(choices[0].get("stop_reason") or ""), "unknown")
    return text, reasoning or None, finish


def _asked(cells: Mapping[str, Any]) -> Asked:
    """What was sent: the messages before the only answer; of a longer conversation what the sample asked first.

    An assistant's message that the input ends with was sent, too: the model continued it.
    """
    turns = [_turn(one) for one in _list(cells.get("messages"))]
    answers = [place for place, (role, _) in enumerate(turns) if role == "assistant"]
    words = cells.get("input")
    sent = [_turn(one) for one in _list(words)]
    is_prefilled = bool(sent) and sent[-1][0] == "assistant" and answers[:1] == [len(sent) - 1]
    asked = turns[: answers[0] + is_prefilled] if answers else turns
    if not any(role == "user" for role, _ in asked):
        asked = [("user", words)] if isinstance(words, str) else sent
    system = "\n\n".join(content for role, content in asked if role == "system") or None
    kept = tuple((role, content) for role, content in asked if role in {"user", "assistant"})
    return Asked(str(cells["id"]), kept, system)


def _turn(message: Any) -> Turn:  # noqa: ANN401  a value of JSON
    if not isinstance(message, dict):
        raise BadCellError(f"{shown(message)} is no message")
    return str(message.get("role")), _words(message.get("content"))[0]


def _words(content: object) -> tuple[str, str]:
    """Text and reasoning of a message, which may come in parts."""
    if isinstance(content, str):
        return content, ""
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    return text, "\n".join(str(part.get("reasoning") or "") for part in parts if part.get("type") == "reasoning")


def _judges(about: Mapping[str, Any]) -> dict[str, str]:
    """Who judges for each scorer: its own option `model`, else the model in the role of the grader."""
    role = _object(about.get("model_roles")).get("grader")
    common = role.get("model") if isinstance(role, dict) else role
    found: dict[str, str] = {}
    for scorer in map(_object, _list(about.get("scorers"))):
        own = _object(scorer.get("options")).get("model")
        judge = own if isinstance(own, str) else common
        if isinstance(judge, str) and isinstance(scorer.get("name"), str):
            found[scorer["name"].rpartition("/")[2]] = judge
    return found


def _grades(scores: Mapping[str, Any], named: Mapping[str, str], judges: Mapping[str, str]) -> Iterator[Found]:
    for scorer, score in scores.items():
        about = _object(_object(score).get("metadata"))
        if isinstance(about.get("identity"), str):
            yield inspect_ours.found(scorer, _object(score), about)
            continue
        value = score.get("value") if isinstance(score, dict) else score
        why = score.get("explanation") if isinstance(score, dict) else None
        judge = next((about[name] for name in JUDGES if isinstance(about.get(name), str)), judges.get(scorer))
        parts = value if isinstance(value, dict) else {scorer: value}
        for name, part in parts.items():
            grader = named.get(name) or named.get(f"{scorer}.{name}") or _GRADERS.get(name.lower(), name)
            found = _grade(grader, part)
            yield found._replace(why=why if isinstance(why, str) else None, judge=judge)


def _grade(grader: str, value: object) -> Found:
    if is_missing(value):
        return Found(grader, reason="not_given", message="the scorer gave no value")
    if (grade := number(value)) is not None:
        return Found(grader, score=grade)
    if isinstance(value, list):
        return Found(grader, reason="unparsable", message=f"{shown(value)} is neither a number nor a label")
    word = label(value)
    if word in UNREADABLE:
        return Found(grader, reason="unparsable", message=f"the scorer says {word}")
    return Found(grader, label=word)


def _choices(cells: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*map(_object, _list(_object(cells.get("output")).get("choices")))]


def _object(value: object) -> Mapping[str, Any]:
    """An object of JSON; nothing where something else stands."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
