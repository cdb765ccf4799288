"""A pattern of the suite's author against a hostile reply, within a time that holds.

Python's `re` cannot be interrupted: while it backtracks it keeps the interpreter's lock, so neither a thread nor an
event loop can stop it. Patterns that repeat a repetition are refused when the suite is read; every other pattern
runs in a process of its own, which is killed when its time is over. The reply is then undecided, never a no.
"""

import re
import warnings
from typing import Annotated

from pydantic import Field, field_validator

from misalign_eval.graders.rules.bounded import TIME_LIMIT_S, Matcher
from misalign_eval.graders.rules.finding import Decide, Finding, decided, quote, undecided
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject

LONGEST_PATTERN = 1_000
LONGEST_READ = 1_000_000
_UNBOUNDED = re.compile(r"[*+]|\{\d*,\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


class Options(Record):
    """The pattern, in the syntax of Python's `re`, and how it is read."""

    pattern: Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN)]
    ignore_case: bool = False
    multiline: Annotated[bool, Field(description="`^` and `$` match at every line")] = False
    dot_all: Annotated[bool, Field(description="`.` matches a line's end, too")] = False
    whole: Annotated[bool, Field(description="the pattern must match the whole reply")] = False

    @field_validator("pattern")
    @classmethod
    def _compiles_and_ends(cls, pattern: str) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from error
        except Warning as doubt:
            raise ValueError(f"not a clear regular expression: {doubt}") from doubt
        if repeats_a_repetition(pattern):
            raise ValueError("a repetition inside a repetition, as in `(a+)+`, can take for ever; write it without one")
        return pattern

    @property
    def flags(self) -> int:
        """The flags of `re`."""
        chosen = {re.IGNORECASE: self.ignore_case, re.MULTILINE: self.multiline, re.DOTALL: self.dot_all}
        return sum(flag for flag, is_on in chosen.items() if is_on)


def make(options: Options) -> Decide:
    """Whether the pattern occurs in the reply."""
    matcher = Matcher(options.pattern, options.flags, whole=options.whole)

    def decide(subject: Subject) -> Finding:
        if len(subject.reply) > LONGEST_READ:
            return undecided(f"the reply is longer than {LONGEST_READ:,} characters")
        try:
            span = matcher.search(subject.reply)
        except TimeoutError:
            return undecided(f"the pattern took longer than {TIME_LIMIT_S:g} s on this reply")
        except OSError as error:
            return undecided(f"the pattern could not be run: {error}")
        if span is None:
            return decided(False, "no match")
        return decided(True, f"matches {quote(subject.reply[slice(*span)])}")

    return decide


def repeats_a_repetition(pattern: str) -> bool:
    """Whether a group that holds an unbounded repetition is itself repeated without bound.

    >>> repeats_a_repetition("(a+)+$"), repeats_a_repetition("(a+b)?[+*]+")
    (True, False)
    """
    plain = _CLASS.sub("c", re.sub(r"\\.", "c", pattern, flags=re.DOTALL))
    open_groups = [False]
    for index, character in enumerate(plain):
        if character == "(":
            open_groups.append(False)
        elif character == ")" and len(open_groups) > 1:
            holds_one = open_groups.pop()
            if holds_one and _UNBOUNDED.match(plain, index + 1):
                return True
            open_groups[-1] |= holds_one
        elif _UNBOUNDED.match(plain, index):
            open_groups[-1] = True
    return False
