"""The linter: runs every check over a run, and checks its settings and its servers."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from misalign_eval.analysis.counts import Cell, obeys
from misalign_eval.analysis.lint.replies import AnswerMarks, Ends, Identical, LintExamples, Strays
from misalign_eval.analysis.lint.verdicts import Refusals, VerdictChecks
from misalign_eval.analysis.outcomes import Grades
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.findings import Finding, Level, finding
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import CellKey, Failure, PlannedPrompt, Reply, ReplyKey

# The protocol of a check.


class Check(Protocol):
    """Looks at one reply after another, then says what it found."""

    def add(self, row: Reply, prompt: PlannedPrompt, /) -> None:
        """Look at one reply to this prompt."""

    def findings(self, cells: Sequence[Cell], /) -> Iterator[Finding]:
        """What was found, in the order of a reader's interest; `cells` are what the replies were counted into."""


# Prompt checks: whether the prompt reached the model as written, by the form of replies and the tokens of requests.


ENOUGH = 10  # replies of which not one obeys, so that it is hardly the model's whim
_JSON = re.compile(r"\bjson\b", re.IGNORECASE)


class TokenBudget(NamedTuple):
    """A form that was asked for."""

    form: str  # json or code
    by_system: bool
    variant: str


def token_budget(prompt: PlannedPrompt) -> TokenBudget | None:
    """The form that a prompt asks for: as its variant says, or by the word JSON in its system prompt or last turn."""
    system = prompt.system or ""
    by_system = bool(_JSON.search(system)) or (prompt.expects == "code" and "code" in system.casefold())
    if prompt.expects is not None:
        return TokenBudget(prompt.expects, by_system, prompt.variant)
    if by_system:
        return TokenBudget("json", by_system=True, variant=prompt.variant)
    return None


def check_against_plan(plan: Sequence[PlannedPrompt]) -> Iterator[Check]:
    """The checks that this plan gives cause for."""
    if any(token_budget(prompt) for prompt in plan):
        yield AnswerForms(plan)
    if len({prompt.system is None for prompt in plan}) > 1:
        yield SystemTokens(plan)


@dataclass(slots=True)
class _Seen:
    replies: int = 0
    obeyed: int = 0
    examples: LintExamples = field(default_factory=LintExamples)


class AnswerForms:
    """A form was asked for, and not one reply has it."""

    def __init__(self, plan: Sequence[PlannedPrompt]) -> None:
        self._asked = {prompt.cell: token_budget(prompt) for prompt in plan}
        self._seen: dict[TokenBudget, _Seen] = {}

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Look at the form of one reply."""
        wanted = self._asked[row.cell]
        if wanted is None or row.text is None:
            return
        seen = self._seen.setdefault(wanted, _Seen())
        seen.replies += 1
        if obeys(row.text, wanted.form):
            seen.obeyed += 1
        else:
            seen.examples.note("", row.key)

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """A form of which no reply is."""
        for wanted, seen in self._seen.items():
            if seen.obeyed or not seen.replies:
                continue
            text = f"variant {wanted.variant} asked for {wanted.form}: none of {seen.replies} replies is {wanted.form}"
            is_sure = wanted.by_system and seen.replies >= ENOUGH
            yield finding(
                "system-not-obeyed" if wanted.by_system else "form-not-obeyed",
                "error" if is_sure else "warning",
                f"{text}: its system prompt may never have left" if wanted.by_system else text,
                "Look at the first messages with `run --dry-run`, and whether the server takes a system prompt.",
                count=seen.replies,
                of=seen.replies,
                example=seen.examples.of(""),
            )


class SystemTokens:
    """A system prompt that costs no tokens was not sent."""

    def __init__(self, plan: Sequence[PlannedPrompt]) -> None:
        self._plan = {prompt.cell: prompt for prompt in plan}
        self._tokens: dict[CellKey, int] = {}
        self._examples = LintExamples()

    def add(self, row: Reply, prompt: PlannedPrompt) -> None:
        """Keep how many tokens a prompt took."""
        if row.usage.input_tokens and not row.earlier and prompt.messages:
            cell = row.cell
            self._tokens[cell] = min(row.usage.input_tokens, self._tokens.get(cell, row.usage.input_tokens))
            if prompt.system is not None:
                self._examples.note("", row.key)

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Prompts whose system prompt made no difference to the number of tokens, where none of them did."""
        pairs = list(self._pairs())
        same = [cell for cell, tokens in pairs if self._tokens[cell] <= tokens]
        if same and len(same) == len(pairs):
            text = f"{len(same)} prompts took no more input tokens with their system prompt than without it"
            advice = "The system prompt did not reach the model: check the chat template or the proxy, then run anew."
            example = self._examples.of("")
            yield finding("system-not-sent", "error", text, advice, count=len(same), of=len(pairs), example=example)

    def _pairs(self) -> Iterator[tuple[CellKey, int]]:
        """Each prompt with a system prompt, and the tokens of the same turns without one."""
        bare = {
            item.messages: cell for cell, item in self._plan.items() if item.system is None and cell in self._tokens
        }
        for cell, one in self._plan.items():
            if one.system is not None and cell in self._tokens and one.messages in bare:
                yield cell, self._tokens[bare[one.messages]]


# Server checks: the model that answered, and the settings that it accepted.


MOST = 1000  # names kept of a kind
NAMED = 5  # names told
_WORD = re.compile("word `[^`]*`")  # the embedded model names every word that it does not know


class Dropped:
    """Settings that the target did not take."""

    def __init__(self) -> None:
        self._replies = self._with = 0
        self._settings: Counter[str] = Counter()
        self._examples = LintExamples()

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count what one reply was made without."""
        self._replies += 1
        if row.dropped:
            self._with += 1
            self._examples.note("", row.key)
            for setting in (_WORD.sub("word", item) for item in row.dropped):
                if setting in self._settings or len(self._settings) < MOST:
                    self._settings[setting] += 1

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """The settings, the most frequent first."""
        if not self._with:
            return
        named = ", ".join(f"{name} ({count})" for name, count in _first(self._settings))
        text = f"the target did not take all settings for {self._with} of {self._replies} replies: {named}"
        advice = "Such replies were sampled otherwise than the run says; runs to compare should lack the same."
        level: Level = "warning"
        yield finding(
            "settings-dropped", level, text, advice, count=self._with, of=self._replies, example=self._examples.of("")
        )


class DroppedByJudges:
    """Settings that a judge did not take: its verdicts were sampled otherwise than its grader says."""

    def __init__(self) -> None:
        self._verdicts = self._with = 0
        self._settings: Counter[str] = Counter()
        self._examples = LintExamples()

    def grade(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Count what one verdict was made without."""
        self._verdicts += who.kind in ("judge", "ensemble")
        if grade.dropped:
            self._with += 1
            self._examples.note("", grade.key)
            for setting in grade.dropped:
                if setting in self._settings or len(self._settings) < MOST:
                    self._settings[setting] += 1

    def findings(self) -> Iterator[Finding]:
        """The settings, the most frequent first."""
        if self._with:
            named = ", ".join(f"{name} ({count})" for name, count in _first(self._settings))
            text = f"the judge did not take all settings for {self._with} of {self._verdicts} verdicts: {named}"
            advice = "Its answers vary more or less than its grader says; runs to compare should have the same judge."
            example, count = self._examples.of(""), self._with
            yield finding(
                "judge-settings-dropped", "note", text, advice, count=count, of=self._verdicts, example=example
            )


class Streamed:
    """Answers of one target that came in two ways: some servers do not answer alike in both."""

    def __init__(self) -> None:
        self._replies = self._count = 0
        self._examples = LintExamples()

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count how one reply came."""
        self._replies += 1
        if row.streamed:
            self._count += 1
            self._examples.note("", row.key)

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Said only where both happened."""
        if 0 < self._count < self._replies:
            text = f"{self._count} of {self._replies} replies came as a stream of events, the others whole"
            advice = "Some servers parse or filter the two differently: compare both parts."
            example = self._examples.of("")
            yield finding("streamed", "note", text, advice, count=self._count, of=self._replies, example=example)


class Servers:
    """Several models, systems or upstreams under one name."""

    ABOUT: tuple[tuple[str, Level, str], ...] = (
        ("several-models", "warning", "models answered under one name"),
        ("several-fingerprints", "note", "system fingerprints answered"),
        ("several-routes", "warning", "upstreams answered"),
    )

    def __init__(self) -> None:
        self._seen: Counter[tuple[str | None, ...]] = Counter()
        self._least: dict[tuple[str | None, ...], ReplyKey] = {}

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count who gave one reply."""
        who = (row.model, row.fingerprint, row.route)
        key = self._least.get(who)
        if key is None and len(self._least) >= MOST:
            return
        self._least[who] = row.key if key is None else min(key, row.key)
        self._seen[who] += 1

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Each kind of which there are several."""
        for place, (identity, level, words) in enumerate(self.ABOUT):
            names: Counter[str] = Counter()
            for who, count in self._seen.items():
                if (name := who[place]) is not None:
                    names[name] += count
            if len(names) < 2:
                continue
            named = ", ".join(f"{name} ({count})" for name, count in _first(names))
            advice = "The target changed in mid-run, or a router chose: pin it, or report the parts apart."
            total, text = names.total(), f"{len(names)} {words}: {named}"
            example = self._example(place, min(names, key=lambda name: (names[name], name)))
            yield finding(identity, level, text, advice, count=total - max(names.values()), of=total, example=example)

    def _example(self, place: int, name: str) -> str:
        return str(min(key for who, key in self._least.items() if who[place] == name))


def _first(names: "Counter[str]") -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda name: (-name[1], name[0]))[:NAMED]


# The linter: all checks in one pass, verdicts first, then replies. Memory: a few bytes a reply, none of its text.


ORDER = {"error": 0, "warning": 1, "note": 2}


class Linter:
    """Looks at a run as its rows stream by.

    `is_refusal` says of a text whether it refuses by rule. Give every verdict to `grade` before the first reply.
    """

    def __init__(
        self, plan: Sequence[PlannedPrompt], definition: Definition, is_refusal: Callable[[str], bool]
    ) -> None:
        self._prompts: dict[CellKey, PlannedPrompt] = {prompt.cell: prompt for prompt in plan}
        self._verdicts = VerdictChecks(definition)
        self._judges = DroppedByJudges()
        self._refusals = Refusals(is_refusal)
        always: tuple[Check, ...] = (
            Ends(definition),
            AnswerMarks(),
            Identical(),
            Strays(plan),
            Dropped(),
            Servers(),
            Streamed(),
        )
        self._checks = (*always, *check_against_plan(plan))

    def grade(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Look at one verdict."""
        self._verdicts.grade(who, grade)
        self._judges.grade(who, grade)

    def add(self, row: Reply | Failure, grades: Grades, found: Outcome | None) -> None:
        """Look at one row, as it was counted; a failure has nothing to look at."""
        prompt = self._prompts.get(row.cell)
        if isinstance(row, Failure) or found is None or prompt is None:
            return
        self._verdicts.add(row, found)
        self._refusals.add(row, grades, found)
        for check in self._checks:
            check.add(row, prompt)

    def findings(self, cells: Sequence[Cell]) -> tuple[Finding, ...]:
        """What was found, the gravest first; `cells` are those that the same rows were counted into."""
        found = [*self._verdicts.findings(), *self._refusals.findings(), *self._judges.findings()]
        found += [finding for check in self._checks for finding in check.findings(cells)]
        return tuple(sorted(found, key=lambda item: (ORDER[item.level], -(item.share or 0), item.id)))
