"""Live estimates while a run is collected, and early stopping.

The live rate is for display only: reports are computed from the rows.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from misalign_eval.analysis.copies import NO_TEXT, mark
from misalign_eval.analysis.counts import Cell, ScoreColumn, Tally, headline
from misalign_eval.analysis.estimates import suite_line
from misalign_eval.analysis.gate import sequential
from misalign_eval.analysis.gate.scope import GateSide
from misalign_eval.analysis.gate.sequential import SequentialGate
from misalign_eval.analysis.outcomes import Grade, outcome
from misalign_eval.analysis.provenance import provenance
from misalign_eval.errors import UsageError
from misalign_eval.records.definition import Outcome
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.policy import Policy
from misalign_eval.records.run import (
    CellKey,
    Failure,
    PlannedPrompt,
    Reply,
    ReplyKey,
    RunPlanRecord,
    TargetInfo,
    is_blank,
)
from misalign_eval.records.summary import RateLine
from misalign_eval.workflows import baselines
from misalign_eval.workflows.load_run import Choices
from misalign_eval.workflows.options import RunOptions, StopRule
from misalign_eval.workflows.session import Session

# Live rate of a run, for display only: reports read the rows.


# Stands for every reply that is left to the graders: its text decides nothing, and must not stay in memory.
_ANY: Final = Reply(probe="", prompt=0, variant="", sample=0, prompt_digest="", request_key="", at="", text=".")


class LiveRate:
    """Follows one session. A reply counts once it is settled: graded, or known to stay without a grade.

    A row costs some microseconds. Memory: the replies that wait for a grade, without their text, and a few counts for
    each prompt.
    """

    def __init__(self, session: Session) -> None:
        self._definition = session.folder.manifest.definition
        working = {grader.identity.grader for grader in session.graders}
        self.has_rate = self._definition.measure == "rate" and working >= set(self._definition.graders)
        self._wanted = {
            prompt.cell: working & set(prompt.graders) & set(self._definition.graders) for prompt in session.prompts
        }
        self._counts: dict[CellKey, dict[Outcome, int]] = {key: {} for key in self._wanted}
        head = headline(Tally(session.prompts, self._definition).cells())
        self._head = [cell.prompt for cell in head.cells]
        self._waiting: dict[ReplyKey, dict[str, Grade | None]] = {}
        self.planned = sum(prompt.samples for prompt in session.prompts)
        self.replies = self.failures = 0
        self._read(session)

    @property
    def ended(self) -> int:
        """Planned requests that have ended, with a reply or without."""
        return self.replies + self.failures

    def replied(self, row: Reply | Failure) -> None:
        """A reply or failure has been written."""
        cell = row.cell
        if cell not in self._counts:
            return
        if isinstance(row, Failure):
            self.failures += 1
            self._settle(cell, "failed")
            return
        self.replies += 1
        found = outcome(row, {}, self._definition)
        if found != "ungraded" or not self._wanted[cell]:
            self._settle(cell, found)
        else:
            self._waiting[row.key] = {}

    def graded(self, row: Graded | Ungraded, grader: str) -> None:
        """A grade has been written."""
        grades = self._waiting.get(row.key)
        if grades is None:
            return
        grades[grader] = Grade(row.score, row.label) if isinstance(row, Graded) else None
        found = outcome(_ANY, {name: grade for name, grade in grades.items() if grade is not None}, self._definition)
        if found != "ungraded" or self._wanted[row.cell] <= grades.keys():
            self._settle(row.cell, found)
            del self._waiting[row.key]

    def line(self) -> RateLine:
        """The headline with its SUITE interval, as it stands."""
        return suite_line([_cell(item, self._counts[item.cell]) for item in self._head], self._definition)

    def _settle(self, cell: CellKey, outcome: Outcome) -> None:
        counts = self._counts[cell]
        counts[outcome] = counts.get(outcome, 0) + 1

    def _read(self, session: Session) -> None:
        """What earlier sessions have left. What this one asks for again is open."""
        if not session.replied:
            return
        for row in session.folder.replies():
            if isinstance(row, Reply):
                self.replied(row)
        for grader in session.graders:
            for grade in session.folder.grades(grader.identity):
                if isinstance(grade, Graded) or grade.reason != "failed":
                    self.graded(grade, grader.identity.grader)


def _cell(prompt: PlannedPrompt, outcomes: Mapping[Outcome, int]) -> Cell:
    replies = sum(number for name, number in outcomes.items() if name != "failed")
    return Cell(prompt, outcomes, replies, not_collected=0, obeyed=0, most_alike=0, scores=ScoreColumn())


# Early stopping (`run --stop-when-decided`): reads the rows as they are written, and ends the run once it is decided.


AHEAD = 1  # rounds that may begin before the current one is settled: bounds what an early end wastes


def load_stop_rule(policy: Path, baseline: Path | None) -> StopRule:
    """Read the policy and the baseline. Raises UsageError or InputError."""
    found = baselines.load(policy)
    read = None if baseline is None else baselines.read(baseline, baselines.reading(found, Choices()))
    return StopRule(found, read, baseline, baselines.digest_of(read) if read else None)


def apply_stop_rule(options: RunOptions, stop: StopRule) -> RunOptions:
    """The options with the policy's cap as samples and its definition. Raises UsageError where flags say otherwise."""
    policy = stop.policy
    if len(options.suites) != 1 or len(options.targets) != 1:
        raise UsageError("--stop-when-decided decides about one suite and one target: name one of each")
    if policy.cap and options.samples not in {None, policy.cap}:
        raise UsageError(f"--samples {options.samples}: the policy says `cap: {policy.cap}`")
    if (given := options.selection.as_given()) and not policy.part:
        why = "a part of the suite does not pass. Ask the whole, or write `part: true` in the policy"
        raise UsageError(f"{baselines.typed_subset(given)}: {why}")
    choices = baselines.reading(policy, Choices(options.definition))
    return replace(options, samples=policy.cap or options.samples, definition=choices.definition)


def check_plan(stop: StopRule, plan: RunPlanRecord, target: TargetInfo) -> None:
    """Raise UsageError, before any request, for a rule that this plan and target can never satisfy."""
    baselines.check_pins(stop.policy, plan, target)
    cells = Tally(plan.prompts, plan.definition).cells()
    sequential.check_feasible(stop.policy, cells, plan.definition, stop.baseline, sequential=True)


@dataclass
class EarlyStopping:
    """Follows one session. A reply counts once it is settled: graded, or known to stay without a grade."""

    session: Session
    rule: StopRule
    gate: SequentialGate = field(init=False)
    _rows: dict[ReplyKey, Reply] = field(init=False, default_factory=dict)
    _texts: dict[ReplyKey, bytes] = field(init=False, default_factory=dict)
    _grades: dict[ReplyKey, dict[str, Grade]] = field(init=False, default_factory=dict)
    _tried: dict[ReplyKey, set[str]] = field(init=False, default_factory=dict)
    _moved: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _released: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Read what earlier sessions have left. What this session asks for again is open."""
        folder = self.session.folder
        self._definition = folder.manifest.definition
        self._wanted = {prompt.cell: self._deciding_graders(prompt) for prompt in self.session.prompts}
        who = [grader.identity for grader in self.session.graders if grader.identity.grader in self._definition.graders]
        run = GateSide(
            Tally(self.session.prompts, self._definition).cells(),
            provenance(folder.manifest, self._definition, who),
            self._definition,
        )
        if self.rule.baseline is not None:
            baselines.check_same(run, self.rule.baseline)
        _check_pins(self.rule.policy, who)
        cap = folder.manifest.stopping.cap if folder.manifest.stopping else 0
        self.gate = SequentialGate(self.rule.policy, run, self.rule.baseline, cap=cap, live=True)
        self._read()

    @property
    def decided(self) -> bool:
        """Whether no more replies are needed."""
        return self.gate.verdict is not None

    @property
    def words(self) -> str:
        """The evidence so far, in a line."""
        return self.gate.words

    def replied(self, row: Reply | Failure) -> None:
        """A row has been written."""
        if isinstance(row, Failure):
            self.gate.slots.settle(row.cell, row.sample, "failed")
            self._advance()
            return
        # Of the text only whether there is any decides: memory must not grow with what replies say.
        text = "." if row.text is None or not is_blank(row.text) else ""
        self._texts[row.key] = mark(row.text)
        self._rows[row.key] = row.model_copy(update={"text": text, "reasoning": None, "earlier": ()})
        self._settle(row.key)
        self._advance()

    def graded(self, row: Graded | Ungraded, grader: str) -> None:
        """A grade has been written."""
        self._note(row, grader)
        self._settle(row.key)
        self._advance()

    async def turn(self, sample: int) -> None:
        """Wait until this round may begin."""
        while not (self.decided or self._released or sample <= self.gate.slots.complete + AHEAD):
            self._moved.clear()
            await self._moved.wait()

    def release(self) -> None:
        """Let everyone go who waits for a turn: the run is ending."""
        self._released = True
        self._moved.set()

    def _deciding_graders(self, prompt: PlannedPrompt) -> set[str]:
        working = {grader.identity.grader for grader in self.session.graders}
        return working & set(prompt.graders) & set(self._definition.graders)

    def _read(self) -> None:
        folder = self.session.folder
        for grader in self.session.graders:
            for row in folder.grades(grader.identity):
                if isinstance(row, Graded) or row.reason != "failed":
                    self._note(row, grader.identity.grader)
        for reply in folder.replies():
            if isinstance(reply, Reply) and reply.cell in self._wanted:
                self.replied(reply)

    def _note(self, row: Graded | Ungraded, grader: str) -> None:
        self._tried.setdefault(row.key, set()).add(grader)
        if isinstance(row, Graded):
            self._grades.setdefault(row.key, {})[grader] = Grade(row.score, row.label)

    def _settle(self, key: ReplyKey) -> None:
        reply = self._rows.get(key)
        if reply is None:
            return
        found = outcome(reply, self._grades.get(key, {}), self._definition)
        if found != "ungraded" or self._wanted[key.cell] <= self._tried.get(key, set()):
            self.gate.slots.settle(key.cell, key.sample, found, self._texts.get(key, NO_TEXT))
            for kept in (self._rows, self._texts, self._grades, self._tried):
                kept.pop(key, None)

    def _advance(self) -> None:
        before = self.gate.samples
        self.gate.advance()
        if self.gate.samples != before or self.decided:
            self._moved.set()


def _check_pins(policy: Policy, graders: list[GraderIdentity]) -> None:
    """Raise UsageError where the run's judge is not the one that the policy pins."""
    for grader in graders:
        pinned = policy.judge.get(grader.grader)
        if pinned is not None and grader.judge != pinned and not grader.identity.startswith(pinned):
            raise UsageError(f"grader `{grader.grader}` is {grader.judge or grader.identity}; the policy pins {pinned}")
