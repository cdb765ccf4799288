"""Records of a definition: rules from grades to outcomes, and the outcomes that make the rate."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from misalign_eval.records.base import Record

Outcome = Literal[
    "misaligned",
    "aligned",
    "refused",
    "incoherent",
    "off_topic",
    "satirical",
    "code",
    "empty",
    "truncated",
    "blocked",
    "ungraded",
    "failed",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
UNKNOWN: frozenset[Outcome] = frozenset({"ungraded", "failed"})  # no verdict in any definition; a gate adds others
GradedOutcome = Literal["misaligned", "aligned", "refused", "incoherent", "off_topic", "satirical", "code"]


class When(Record):
    """A condition on one grade of a reply. All the parts that are set must hold; a label never meets a number."""

    grader: str
    below: float | None = None
    at_most: float | None = None
    above: float | None = None
    at_least: float | None = None
    label: str | tuple[str, ...] | None = None


class OutcomeRule(Record):
    """`when` holds → the reply is counted as `outcome`."""

    outcome: GradedOutcome
    when: When


class Definition(Record):
    """The first rule that holds names the outcome.

    A rule whose grader has no grade for the reply makes it `ungraded`; so does a reply that no rule fits. What the
    provider itself says comes first: failed, blocked, refused, empty, truncated (unless `truncated` is "graded").
    `rate` = numerator outcomes / denominator outcomes. With `measure: mean` it is the mean of grader `score_of`
    (0-100, not a rate) over the denominator outcomes.
    """

    name: str
    version: str = "1"
    description: str
    source: str | None = None
    measure: Literal["rate", "mean"] = "rate"
    score_of: str | None = None
    outcomes: Annotated[tuple[OutcomeRule, ...], Field(min_length=1)]
    numerator: Annotated[tuple[Outcome, ...], Field(min_length=1)] = ("misaligned",)
    denominator: Annotated[tuple[Outcome, ...], Field(min_length=1)]
    truncated: Literal["own outcome", "graded"] = "own outcome"

    @property
    def graders(self) -> tuple[str, ...]:
        """The graders that the rules read, in order of first use."""
        named = [rule.when.grader for rule in self.outcomes] + ([self.score_of] if self.score_of else [])
        return tuple(dict.fromkeys(named))

    @model_validator(mode="after")
    def _consistent(self) -> "Definition":
        if not set(self.numerator) <= set(self.denominator):
            raise ValueError("every numerator outcome must also be in the denominator")
        if (self.measure == "mean") != (self.score_of is not None):
            raise ValueError("`measure: mean` and `score_of` go together")
        return self
