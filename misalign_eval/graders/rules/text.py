"""Rules that compare the words of a reply: exact, contains."""

from typing import Annotated

from pydantic import Field, model_validator

from misalign_eval.graders.rules import reference
from misalign_eval.graders.rules.base import Finding, decided, quote, undecided
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject
from misalign_eval.records.suite import Text

Texts = Annotated[tuple[Text, ...], Field(min_length=1)]


class ExactOptions(Record):
    """What the whole reply must be."""

    expected: Annotated[Texts, Field(description="any of these; without it the probe's reference")] | None = None
    ignore_case: bool = False
    strip: Annotated[bool, Field(description="leave white space around the reply out of account")] = True


class ContainsOptions(Record):
    """Which pieces of text the reply must hold. Without any the probe's reference is looked for."""

    any: Annotated[Texts, Field(description="at least one of these occurs")] | None = None
    all: Annotated[Texts, Field(description="every one of these occurs")] | None = None
    ignore_case: bool = True

    @model_validator(mode="after")
    def _one_way(self) -> "ContainsOptions":
        if self.any is not None and self.all is not None:
            raise ValueError("set `any` or `all`, not both; the rule `all` joins two rules")
        return self


def exact(subject: Subject, options: ExactOptions) -> Finding:
    """Whether the reply is one of the expected texts."""
    wanted = reference.texts(subject, options.expected)
    if not wanted:
        return undecided(reference.NOTHING)
    reply = _folded(subject.reply.strip() if options.strip else subject.reply, options.ignore_case)
    for text in wanted:
        if reply == _folded(text.strip() if options.strip else text, options.ignore_case):
            return decided(True, f"the reply is {quote(text)}")
    return decided(False, "the reply is none of the expected texts")


def contains(subject: Subject, options: ContainsOptions) -> Finding:
    """Whether the reply holds any, or all, of the pieces."""
    wanted = options.all or reference.texts(subject, options.any)
    if not wanted:
        return undecided(reference.NOTHING.replace("`expected`", "`any` or `all`"))
    reply = _folded(subject.reply, options.ignore_case)
    found = [text for text in wanted if _folded(text, options.ignore_case) in reply]
    missing = [text for text in wanted if text not in found]
    if options.all is not None:
        return decided(not missing, f"missing: {quote(missing[0])}" if missing else f"all {len(wanted)} occur")
    return decided(bool(found), f"{quote(found[0])} occurs" if found else f"none of {len(wanted)} occurs")


def _folded(text: str, ignore_case: bool) -> str:  # noqa: FBT001  an option's value
    return text.casefold() if ignore_case else text
