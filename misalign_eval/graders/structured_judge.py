"""LLM judges that answer in structure: JSON by a schema, or a rubric with verdicts."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from pydantic import JsonValue

from misalign_eval.graders.folder import GraderSpec, well_formed
from misalign_eval.graders.judge import Judge, ask_with_retry_on_unreadable
from misalign_eval.graders.judge_answers import (
    LONGEST_TEXT,
    JudgeAnswer,
    JudgeAnswers,
    before_last_answer,
    is_reported,
    without_thoughts,
)
from misalign_eval.records.grade import NoVerdict, Subject, Verdict

# JSON judges: an object with the reason, and a verdict or a score.


_VERDICTS = ("verdict", "score")
_READ = (*_VERDICTS, "why")
# Under which names judges wrap their answer up.
_WRAPPERS = (
    "result",
    "output",
    "response",
    "answer",
    "grade",
    "evaluation",
    "arguments",
    "parameters",
    "input",
    "properties",
)
_STRAIGHT = str.maketrans("“”„", '"""')
_COMMA = re.compile(r",(\s*[}\]])")
_REMARK = re.compile(r"(?m)(?<=[,{\s])//[^\"\n]*$")


async def grade_by_json(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask for an object of the schema, and read it."""
    spec = judge.folder.spec
    request = judge.worded(subject, json_schema=schema(spec))
    return await ask_with_retry_on_unreadable(judge, request, lambda text: read(text, judge.answers))


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


def read(text: str, answers: JudgeAnswers) -> Verdict | None:
    """The verdict in the one object of the text that has a `verdict` or a `score`; None where that is not one.

    Without any object, a line `score: 85` is read as any judge's is.
    """
    found = _object(text)
    if found is None:
        only = None if "{" in text else answers.named(text)
        return None if only is None else Verdict(score=only.score, label=only.label)
    said = [answer for name in _VERDICTS if name in found for answer in [_answer(found[name], answers)]]
    if len(set(said)) != 1 or said[0] is None or isinstance(found.get("why"), int | float):
        return None
    return Verdict(score=said[0].score, label=said[0].label, why=_why(found.get("why")))


def _why(value: JsonValue) -> str | None:
    if not value:
        return None
    return well_formed(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _verdict_field(spec: GraderSpec) -> tuple[str, dict[str, JsonValue]]:
    numbers = range(spec.scale.min, spec.scale.max + 1) if spec.scale else range(0)
    if not spec.labels:
        return "score", {"type": "integer", "description": f"{numbers[0]} to {numbers[-1]}"}
    return "verdict", {"type": "string", "enum": [*spec.labels, *(str(number) for number in numbers)]}


def _object(text: str) -> dict[str, JsonValue] | None:
    """The object that the text is or, with prose or a fence around it, the one in it that holds a verdict."""
    try:
        found = _decoder.decode(text.strip(" \t\r\n\ufeff"))
        if isinstance(found, str):
            found = _decoder.decode(found)
    except _TwiceError:
        return None
    except (ValueError, RecursionError):
        bare = without_thoughts(text)
        found = _different(_objects(bare)) or _repaired(bare)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return _inner(found) if isinstance(found, dict) else None


def _inner(found: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The object itself or, where a judge wrapped its answer up or wrote it as a call, the one within."""
    for name in _WRAPPERS:
        inner = found.get(name)
        if not set(_VERDICTS) & set(found) and isinstance(inner, dict) and set(_VERDICTS) & set(inner):
            return inner
    return found


def _objects(text: str) -> Iterator[dict[str, JsonValue]]:
    """Objects with a verdict, one behind another. One that contradicts itself, or is the reply's, counts as two."""
    at = text.find("{")
    while at >= 0:
        try:
            found, end = _decoder.raw_decode(text, at)
        except _TwiceError:
            yield {}
            yield {"": None}
            return
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if set(_VERDICTS) & set(_inner(found)):
                yield found
                if is_reported(text, at):
                    yield {}
        at = text.find("{", end)


def _different(found: Iterable[dict[str, JsonValue]]) -> list[JsonValue]:
    """Each object once."""
    different = list[JsonValue]()
    for item in found:
        if item not in different and len(different) < 2:
            different.append(item)
    return different


def _repaired(text: str) -> JsonValue:
    """The object of a text that is JSON but for a comma too many, a remark, curly quotes, or the quotes of Python."""
    start, end = text.find("{"), text.rfind("}") + 1
    if start < 0 or not start < end <= start + LONGEST_TEXT:
        return None
    body = _REMARK.sub("", text[start:end].translate(_STRAIGHT))
    with suppress(ValueError, RecursionError):
        decoded: JsonValue = _decoder.decode(_COMMA.sub(r"\1", body))
        return decoded
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        tree = ast.parse(body, mode="eval").body
        if isinstance(tree, ast.Dict):
            names = [key.value if isinstance(key, ast.Constant) else None for key in tree.keys]
            values = [value.value if isinstance(value, ast.Constant) else None for value in tree.values]
            return _unique([(str(name), _plain(value)) for name, value in zip(names, values, strict=True)])
    return None


def _plain(value: object) -> JsonValue:
    return value if isinstance(value, str | int | float) else None


class _TwiceError(ValueError):
    """A name occurs twice in an object, with two values."""


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """The object; the names that are read in small letters, however a judge writes them."""
    found = dict[str, JsonValue]()
    for name, value in pairs:
        known = name.casefold() if name.casefold() in _READ else name
        if known in found and found[known] != value:
            raise _TwiceError
        found[known] = value
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_unique, strict=False)  # a raw line break in a text is one


def _answer(value: JsonValue, answers: JudgeAnswers) -> JudgeAnswer | None:
    if isinstance(value, str):
        return answers.of_line(value)
    score = answers.number(value)
    return None if score is None else JudgeAnswer(score=score)


# Rubric judges: reasoning first, then a last line with `ANSWER:`.


LONGEST_WHY = 500


async def grade_by_rubric(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask, and take the last answer."""

    def read(text: str) -> Verdict | None:
        answer = judge.answers.last(text)
        if answer is None:
            return None
        return Verdict(score=answer.score, label=answer.label, why=last_words(before_last_answer(text)))

    return await ask_with_retry_on_unreadable(judge, judge.worded(subject), read)


def last_words(text: str) -> str | None:
    """The last paragraph, cut to a length that fits a table; None when nothing was said."""
    paragraphs = [part.strip(" \t\r\n*#_`-") for part in text.split("\n\n")]
    last = next((part for part in reversed(paragraphs) if part), None)
    return last if last is None or len(last) <= LONGEST_WHY else f"{last[:LONGEST_WHY]}…"
