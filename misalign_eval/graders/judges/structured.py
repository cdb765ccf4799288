"""A judge that answers with a JSON object: why, and a verdict or a score."""

import json
import re

from pydantic import JsonValue

from misalign_eval.graders.judges.answers import Answer, Answers
from misalign_eval.graders.judges.asking import Judge, ask_until_read
from misalign_eval.graders.prompt import well_formed
from misalign_eval.graders.spec import GraderSpec
from misalign_eval.records.grade import NoVerdict, Subject, Verdict

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```", re.DOTALL)


async def grade(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask for an object of the schema, and read it."""
    spec = judge.folder.spec
    request = judge.request(
        subject,
        temperature=spec.sampling.temperature,
        max_tokens=spec.sampling.max_tokens,
        json_schema=schema(spec),
    )
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
    """The verdict in an object `{"why", "verdict"}` or `{"why", "score"}`; None for anything else."""
    found = _object(text)
    if found is None:
        return None
    said = [found[name] for name in ("verdict", "score") if name in found]
    why = found.get("why")
    if len(said) != 1 or not (why is None or isinstance(why, str)):
        return None
    answer = _answer(said[0], answers)
    return (
        None
        if answer is None
        else Verdict(score=answer.score, label=answer.label, why=well_formed(why) if why else None)
    )


def _verdict_field(spec: GraderSpec) -> tuple[str, dict[str, JsonValue]]:
    numbers = range(spec.scale.min, spec.scale.max + 1) if spec.scale else range(0)
    if not spec.labels:
        return "score", {"type": "integer", "description": f"{numbers[0]} to {numbers[-1]}"}
    return "verdict", {"type": "string", "enum": [*spec.labels, *(str(number) for number in numbers)]}


def _object(text: str) -> dict[str, JsonValue] | None:
    bare = text.strip()
    match = _FENCED.fullmatch(bare)
    try:
        found = json.loads(match[1] if match else bare, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name occurs twice")
    return dict(pairs)


def _answer(said: JsonValue, answers: Answers) -> Answer | None:
    if isinstance(said, int) and not isinstance(said, bool):
        return Answer(score=float(said)) if answers.low <= said <= answers.high else None
    return answers.exactly(said) if isinstance(said, str) else None
