"""`run --stop-when-decided`: follows the rows as they are written, and says when no more are needed."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from misalign_eval.analysis import gate_hopeless
from misalign_eval.analysis.copies import NO_TEXT, mark
from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.gate_sequential import SequentialGate
from misalign_eval.analysis.outcomes import Grade, outcome
from misalign_eval.analysis.provenance import provenance
from misalign_eval.analysis.tally import Tally
from misalign_eval.errors import UsageError
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.plan import Plan, PlannedPrompt, ReplyKey
from misalign_eval.records.policy import Policy
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.records.run import TargetInfo
from misalign_eval.workflows import baselines, parts, policies
from misalign_eval.workflows.counting import Choices
from misalign_eval.workflows.options import RunOptions, StopRule
from misalign_eval.workflows.session import Session

AHEAD = 1  # rounds that may begin before the current one is settled: bounds what an early end wastes


def rule(policy: Path, baseline: Path | None) -> StopRule:
    """Read the policy and the baseline. Raises UsageError or InputError."""
    found = policies.load(policy)
    read = None if baseline is None else baselines.read(baseline, policies.reading(found, Choices()))
    return StopRule(found, read, baseline, baselines.digest_of(read) if read else None)


def applied(options: RunOptions, stop: StopRule) -> RunOptions:
    """The options with the policy's cap as samples and its definition. Raises UsageError where flags say otherwise."""
    policy = stop.policy
    if len(options.suites) != 1 or len(options.targets) != 1:
        raise UsageError("--stop-when-decided decides about one suite and one target: name one of each")
    if policy.cap and options.samples not in {None, policy.cap}:
        raise UsageError(f"--samples {options.samples}: the policy says `cap: {policy.cap}`")
    if (given := options.selection.as_given()) and not policy.part:
        why = "a part of the suite does not pass. Ask the whole, or write `part: true` in the policy"
        raise UsageError(f"{parts.as_typed(given)}: {why}")
    choices = policies.reading(policy, Choices(options.definition))
    return replace(options, samples=policy.cap or options.samples, definition=choices.definition)


def check_plan(stop: StopRule, plan: Plan, target: TargetInfo) -> None:
    """Raise UsageError, before any request, for a rule that this plan and target can never satisfy."""
    policies.check_pins(stop.policy, plan, target)
    cells = Tally(plan.prompts, plan.definition).cells()
    gate_hopeless.refuse(stop.policy, cells, plan.definition, stop.baseline, sequential=True)


@dataclass
class RowDecider:
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
        self._wanted = {
            (one.probe, one.prompt, one.variant): self._deciding_graders(one) for one in self.session.prompts
        }
        who = [grader.identity for grader in self.session.graders if grader.identity.grader in self._definition.graders]
        run = Side(
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
            self.gate.slots.settle(row.key[:3], row.sample, "failed")
            self._advance()
            return
        # Of the text only whether there is any decides: memory must not grow with what replies say.
        text = "." if row.text is None or row.text.strip() else ""
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
            if isinstance(reply, Reply) and reply.key[:3] in self._wanted:
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
        if found != "ungraded" or self._wanted[key[:3]] <= self._tried.get(key, set()):
            self.gate.slots.settle(key[:3], key.sample, found, self._texts.get(key, NO_TEXT))
            for kept in (self._rows, self._texts, self._grades, self._tried):
                kept.pop(key, None)

    def _advance(self) -> None:
        before = self.gate.samples
        self.gate.advance()
        if self.gate.samples != before or self.decided:
            self._moved.set()


def _check_pins(policy: Policy, graders: list[GraderIdentity]) -> None:
    """Raise UsageError where the run's judge is not the one that the policy pins."""
    for who in graders:
        pinned = policy.judge.get(who.grader)
        if pinned is not None and who.judge != pinned and not who.identity.startswith(pinned):
            raise UsageError(f"grader `{who.grader}` is {who.judge or who.identity}; the policy pins {pinned}")
