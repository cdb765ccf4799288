"""What every format is read into: questions with their judges, before they become a suite file of ours."""

from dataclasses import dataclass, field
from typing import Any

from misalign_eval.suites.foreign.judge_prompts import Draft
from misalign_eval.suites.foreign.recognise import Format
from misalign_eval.suites.foreign.tree import Marked
from misalign_eval.suites.foreign.turns import Turn


@dataclass(slots=True)
class Question:
    """One probe to be. `turns` is a whole conversation in place of `prompts`; `context` stands before each prompt."""

    id: Marked
    prompts: list[Marked] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    context: list[Turn] = field(default_factory=list)
    system: Marked | None = None
    category: str | Marked | None = None
    judges: dict[str, Draft] = field(default_factory=dict)
    graders: tuple[str, ...] = ()  # of misalign-eval, beside the judges of the file
    expected: Marked | None = None  # the answer that a rule looks for: a text, or a list of texts
    offered: tuple[str, ...] = ()  # further letters and words that the question offers to choose from
    settings: dict[str, Any] = field(default_factory=dict)  # further keys of a probe, as values or Marked


@dataclass(frozen=True, slots=True)
class ForeignSuite:
    """A whole file. `definition` is what its format is counted by; None: whatever fits its judges."""

    format: Format
    questions: tuple[Question, ...]
    definition: str | dict[str, Any] | None = None
    licence: str = "not stated in the file"
    source: str | None = None
    canary: Marked | None = None
    templated: bool = False
