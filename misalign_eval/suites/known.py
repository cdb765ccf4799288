"""What a suite may refer to that lives elsewhere; handed in, since a suite knows no other stage."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from misalign_eval.errors import Problem
from misalign_eval.records.definition import Definition
from misalign_eval.records.suite import RuleSpec


@dataclass(frozen=True, slots=True)
class Known:
    """Names and look-ups.

    `definitions` reads a preset by name or a file by path and raises UsageError. `check_rule` lists what is wrong with
    a rule's options; the `where` of each problem is the place among them. `definition` replaces the suite's own.
    """

    definitions: Callable[[str], Definition]
    graders: Collection[str]
    rules: Collection[str] = ()
    check_rule: Callable[[RuleSpec], Sequence[Problem]] = lambda _: ()
    definition: Definition | None = None
