"""Rules over rules. A part that is undecided leaves the whole undecided, unless the others settle it either way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import Field, JsonValue, model_validator

from misalign_eval.graders.rules.base import Decide, Finding, decided, undecided
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject, Verdict

MOST_PARTS = 50
Prepare = Callable[[str, Mapping[str, JsonValue]], Decide]


class Part(Record):
    """A rule and its options, as in a suite."""

    rule: str
    options: Annotated[dict[str, JsonValue], Field(alias="with")] = {}


Parts = Annotated[tuple[Part, ...], Field(min_length=1, max_length=MOST_PARTS)]


class CombinationOptions(Record):
    """The rules that are joined."""

    rules: Parts


class CountOptions(Record):
    """The rules that are joined, and how many of them must hold."""

    at_least: Annotated[int, Field(gt=0)]
    rules: Parts

    @model_validator(mode="after")
    def _possible(self) -> "CountOptions":
        if self.at_least > len(self.rules):
            raise ValueError(f"`at_least` is {self.at_least}, but there are {len(self.rules)} rules")
        return self


class NotOptions(Record):
    """The rule that must not hold."""

    rule: str
    options: Annotated[dict[str, JsonValue], Field(alias="with")] = {}


def all_of(options: CombinationOptions, prepare: Prepare) -> Decide:
    """Yes when all the rules say yes."""
    return _at_least(len(options.rules), options.rules, prepare)


def any_of(options: CombinationOptions, prepare: Prepare) -> Decide:
    """Yes when any of the rules says yes."""
    return _at_least(1, options.rules, prepare)


def count(options: CountOptions, prepare: Prepare) -> Decide:
    """Yes when at least k of the rules say yes."""
    return _at_least(options.at_least, options.rules, prepare)


def not_of(options: NotOptions, prepare: Prepare) -> Decide:
    """Yes when the rule says no."""
    part = prepare(options.rule, options.options)

    def decide(subject: Subject) -> Finding:
        prompts = part(subject)
        holds = _holds(prompts)
        if holds is None:
            return _cannot(options.rule, prompts)
        return decided(not holds, f"not: {prompts.why}" if isinstance(prompts, Verdict) else "")

    return decide


def parts(options: Record) -> Sequence[tuple[str, Mapping[str, JsonValue], str]]:
    """The rules that another is made of: name, options, and where in its own options each stands, with a full stop."""
    match options:
        case CombinationOptions() | CountOptions():
            return [(part.rule, part.options, f"rules[{index}].") for index, part in enumerate(options.rules)]
        case NotOptions():
            return [(options.rule, options.options, "")]
        case _:
            return []


def _at_least(least: int, joined: Sequence[Part], prepare: Prepare) -> Decide:
    decides = [(part.rule, prepare(part.rule, part.options)) for part in joined]

    def decide(subject: Subject) -> Finding:
        found = [(rule, part(subject)) for rule, part in decides]
        holding = [rule for rule, item in found if _holds(item)]
        open_ones = [(rule, item) for rule, item in found if _holds(item) is None]
        if len(holding) < least <= len(holding) + len(open_ones):
            return _cannot(*open_ones[0])
        return decided(len(holding) >= least, f"{len(holding)} of {len(found)} hold{_reasons(found)}")

    return decide


def _holds(finding: Finding) -> bool | None:
    return {"yes": True, "no": False}.get(finding.label or "") if isinstance(finding, Verdict) else None


def _cannot(rule: str, finding: Finding) -> Finding:
    said = f"says `{finding.label}`, neither yes nor no" if isinstance(finding, Verdict) else finding.message
    return undecided(f"{rule}: {said}")


def _reasons(found: Sequence[tuple[str, Finding]]) -> str:
    return "".join(f"; {rule}: {item.label}, {item.why}" for rule, item in found if isinstance(item, Verdict))
