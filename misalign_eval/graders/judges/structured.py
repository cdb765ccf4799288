"""A judge that answers with a JSON object: why, and a verdict or a score."""

import json
from collections.abc import Iterator

from pydantic import JsonValue

from misalign_eval.graders.judges.answers import Answer, Answers, without_thoughts
from misalign_eval.graders.judges.asking import Judge, ask_until_read
from misalign_eval.graders.prompt import well_formed
from misalign_eval.graders.spec import GraderSpec
from misalign_eval.records.grade import NoVerdict, Subject, Verdict


async def grade(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask for an object of the schema, and read it."""
    spec = judge.folder.spec
    request = judge.worded(subject, json_schema=schema(spec))
    return await ask_until_read(judge, request, lambda text: read(text, judge.answers))


def schema(spec: GraderSpec) -> dict[str, JsonValue]:
    """What the judge must answer with. The reasons come first, so that they are thought of first.

    A grader without labels gives a whole number, `score`; else `verdict` is one of the labels or, as text, a number.
    """
    name, kind = _verdict_field(spec)
    return {
        "type": "object",
        "properties": {"why": {"type": "string"}, name: kind},
        "required": ["why", name],
        "additionalProperties": False,
    }


def read(text: str, answers: Answers) -> Verdict | None:
    """The verdict in the one object of the text that has a `verdict` or a `score`; None where that is not one."""
    found = _object(text)
    if found is None:
        return None
    said = [answer for name in ("verdict", "score") if name in found for answer in [_answer(found[name], answers)]]
    why = found.get("why")
    if len(set(said)) != 1 or said[0] is None or not (why is None or isinstance(why, str)):
        return None
    return Verdict(score=said[0].score, label=said[0].label, why=well_formed(why) if why else None)


def _verdict_field(spec: GraderSpec) -> tuple[str, dict[str, JsonValue]]:
    numbers = range(spec.scale.min, spec.scale.max + 1) if spec.scale else range(0)
    if not spec.labels:
        return "score", {"type": "integer", "description": f"{numbers[0]} to {numbers[-1]}"}
    return "verdict", {"type": "string", "enum": [*spec.labels, *(str(number) for number in numbers)]}


def _object(text: str) -> dict[str, JsonValue] | None:
    """The object that the text is or, with prose or a fence around it, the one in it that holds a verdict."""
    try:
        found = _decoder.decode(text.strip(" \t\r\n\ufeff"))
    except _TwiceError:
        return None
    except (ValueError, RecursionError):
        found = list(_objects(without_thoughts(text)))
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, dict) else None


def _objects(text: str) -> Iterator[dict[str, JsonValue]]:
    """Objects with a verdict, one behind another. One whose names contradict each other counts as two."""
    at = text.find("{")
    while at >= 0:
        try:
            found, end = _decoder.raw_decode(text, at)
        except _TwiceError:
            yield from ({}, {})
            return
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if {"verdict", "score"} & set(found):
                yield found
        at = text.find("{", end)


class _TwiceError(ValueError):
    """A name occurs twice in an object."""


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    if len(dict(pairs)) < len(pairs):
        raise _TwiceError
    return dict(pairs)


_decoder = json.JSONDecoder(object_pairs_hook=_unique, strict=False)  # a raw line break in a text is one


def _answer(said: JsonValue, answers: Answers) -> Answer | None:
    if isinstance(said, str):
        return answers.value(said)
    score = answers.number(said)
    return None if score is None else Answer(score=score)
