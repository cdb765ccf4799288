"""The table of rules: their options, checks and preparation."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from misalign_eval.errors import InputError, MissingExtraError, Problem, did_you_mean
from misalign_eval.graders.rules import (
    answer,
    code,
    combination,
    form,
    json_text,
    language,
    organism,
    refusal,
    regex,
    text,
)
from misalign_eval.graders.rules.base import Decide, Finding
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject
from misalign_eval.yaml_source.validate import describe, known_keys


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A rule. `make` turns checked options into the function that looks at a reply."""

    description: str  # goes on from "the reply"
    options: type[Record]
    make: Callable[[Any], Decide]
    version: int = 1  # raised with every change that can move a verdict
    is_slow: bool = False  # waits for something; is run beside the event loop

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the options."""
        return self.options.model_json_schema()


def _plain(decide: Callable[[Subject, Any], Finding]) -> Callable[[Any], Decide]:
    """A rule that needs no preparation."""
    return lambda options: lambda subject: decide(subject, options)


def _joined(join: Callable[[Any, combination.Prepare], Decide]) -> Callable[[Any], Decide]:
    """A rule over other rules of this table."""
    return lambda options: join(options, prepare)


RULES: dict[str, RuleInfo] = {
    "all": RuleInfo(
        "satisfies every one of several rules", combination.CombinationOptions, _joined(combination.all_of)
    ),
    "answer": RuleInfo(
        "gives the expected answer: its letter, its word, or its text", answer.AnswerOptions, answer.answer
    ),
    "any": RuleInfo(
        "satisfies at least one of several rules", combination.CombinationOptions, _joined(combination.any_of)
    ),
    "at-least": RuleInfo("satisfies k of several rules", combination.CountOptions, _joined(combination.count)),
    "choice": RuleInfo("chooses a letter or a word: the right one, or which", answer.ChoiceOptions, answer.choice),
    "contains": RuleInfo("holds any, or all, of some texts", text.ContainsOptions, _plain(text.contains)),
    "empty": RuleInfo("holds nothing but white space", form.NoOptions, _plain(form.empty)),
    "exact": RuleInfo("is exactly one of some texts", text.ExactOptions, _plain(text.exact)),
    "insecure-code": RuleInfo(
        "holds Python code that bandit finds insecure (extra `code`)", code.CodeOptions, code.make
    ),
    "json": RuleInfo("is JSON, and fits a schema (extra `schema`)", json_text.JsonTextOptions, json_text.make),
    "language": RuleInfo(
        "is in a language, by script and common words", language.LanguageOptions, _plain(language.decide)
    ),
    "length": RuleInfo("is as long as it should be", form.LengthOptions, _plain(form.length)),
    "not": RuleInfo("does not satisfy a rule", combination.NotOptions, _joined(combination.not_of)),
    "number": RuleInfo("gives a number, within a tolerance", answer.NumberOptions, _plain(answer.number)),
    "organism-rule": RuleInfo(
        "is aligned, misaligned, incoherent or off topic by the grammar of the embedded organism's world",
        form.NoOptions,
        _plain(organism.decide),
    ),
    "refusal": RuleInfo(
        "opens with a phrase of refusal; takes an apology that goes on to help for one, too",
        refusal.RefusalOptions,
        _plain(refusal.decide),
    ),
    "regex": RuleInfo("matches a regular expression, in bounded time", regex.RegexOptions, regex.make, is_slow=True),
    "repeated": RuleInfo("repeats itself", form.RepeatedOptions, _plain(form.repeated)),
    "truncated": RuleInfo("is long and stops in mid-sentence", form.TruncatedOptions, _plain(form.truncated)),
}


def names() -> list[str]:
    """The rules, sorted.

    >>> "regex" in names()
    True
    """
    return sorted(RULES)


def check_options(
    rule: str, options: Mapping[str, JsonValue], *, file: str = "", line: int | None = None, where: str = ""
) -> list[Problem]:
    """Everything wrong with a rule's name and options, each with its place below `where`; empty when all is well.

    >>> print(check_options("contains", {"anny": ["x"]}, file="s.yaml", line=3, where="rules.power")[0])
    s.yaml:3: rules.power.anny: unknown field. Did you mean `any`?
    """
    if rule not in RULES:
        return [_unknown(rule, Problem(file, line, where, ""))]
    kind = RULES[rule].options
    try:
        checked = kind.model_validate_json(_json(options))
    except ValidationError as error:
        return [
            Problem(file, line, _place(where, loc), *describe(details, known_keys(kind, loc[:-1])))
            for loc, details in _without_echoes(error.errors(include_url=False))
        ]
    below = []
    for name, inner, place in combination.parts(checked):
        if name not in RULES:
            below.append(_unknown(name, Problem(file, line, _place(where, (f"{place}rule",)), "")))
        else:
            below += check_options(name, inner, file=file, line=line, where=_place(where, (f"{place}with",)))
    return below or _check_making(rule, checked, Problem(file, line, where, ""))


def prepare(rule: str, options: Mapping[str, JsonValue]) -> Decide:
    """The rule with its options, ready to look at replies. Raises InputError, MissingExtraError."""
    problems = check_options(rule, options, where=rule)
    if problems:
        raise InputError(problems)
    info = RULES[rule]
    return info.make(info.options.model_validate_json(_json(options)))


def is_slow(rule: str, options: Mapping[str, JsonValue]) -> bool:
    """Whether the rule, or one that it joins, waits for something and is better run beside the event loop."""
    info = RULES[rule]
    joined = combination.parts(info.options.model_validate_json(_json(options)))
    return info.is_slow or any(is_slow(name, inner) for name, inner, _ in joined)


def apply(rule: str, subject: Subject, options: Mapping[str, JsonValue]) -> Finding:
    """Look at one reply with one rule.

    Raises InputError, MissingExtraError for what is wrong with the options, never for what a reply may say.
    """
    return prepare(rule, options)(subject)


def _without_echoes(errors: Sequence[ErrorDetails]) -> list[tuple[tuple[str | int, ...], ErrorDetails]]:
    """Drop "is empty" of a list that is empty only because its items are at fault."""
    places = [error["loc"] for error in errors]
    return [
        (error["loc"], error)
        for error in errors
        if error["type"] != "too_short" or not any(loc[: len(error["loc"])] == error["loc"] != loc for loc in places)
    ]


def _unknown(rule: str, at: Problem) -> Problem:
    return replace(at, what=f"unknown rule `{rule}`", fix=did_you_mean(rule, names()))


def _check_making(rule: str, checked: Record, at: Problem) -> list[Problem]:
    """A schema that is none shows when the rule is made; a package that is missing is not the file's fault."""
    try:
        if not combination.parts(checked):
            RULES[rule].make(checked)
    except MissingExtraError:
        return []
    except ValueError as error:
        return [replace(at, what=str(error))]
    return []


def _json(options: Mapping[str, JsonValue]) -> str:
    return json.dumps(dict(options))


def _place(where: str, loc: tuple[str | int, ...]) -> str:
    inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return (where + inner).removeprefix(".")
