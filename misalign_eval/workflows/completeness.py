"""Completeness and cost of a run: planned, collected, failed and graded replies; tokens and money."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from misalign_eval.client.caller import Budget
from misalign_eval.plan import part
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.run import Failure, Reply, Usage
from misalign_eval.store.run_folder import RunFolder
from misalign_eval.workflows.load_run import is_gradable

# Completeness of a run, read from its rows.


@dataclass(frozen=True, slots=True)
class Completeness:
    """What a folder lacks. Judgments are those of the primary graders, or of those that were asked for."""

    name: str
    planned: int
    replies: int
    failures: int  # requests that ended without an answer
    judgments: int  # wanted, for the replies that are there
    judged: int  # graded or ungraded for a reason of the reply's or the verdict's own
    not_needed: int  # planned replies after early stopping had decided
    unanswered: int  # judgments that ended without an answer from the judge
    ungraded: int = 0  # of those judged: judgments whose answer holds no verdict
    dropped: tuple[tuple[str, int], ...] = ()  # settings that the target did not take, and in how many replies
    dropped_by_judges: tuple[tuple[str, int], ...] = ()  # the same of judges, and for how many judgments

    @property
    def absent(self) -> int:
        """Planned replies that have no row."""
        return self.planned - self.not_needed - self.replies - self.failures

    @property
    def unjudged(self) -> int:
        """Judgments that were never begun."""
        return self.judgments - self.judged - self.unanswered

    @property
    def lacks(self) -> bool:
        """Whether resuming would ask for anything."""
        return bool(self.absent or self.failures or self.unjudged or self.unanswered)

    @property
    def words(self) -> str:
        """`quick: 3 of 240 replies failed, 2 of 474 judgments have no answer`."""
        counts = (
            (self.failures, f"of {self.planned} replies failed"),
            (self.absent, f"of {self.planned} replies not collected"),
            (self.unanswered, f"of {self.judgments} judgments failed"),
            (self.unjudged, f"of {self.judgments} judgments not made"),
        )
        spared = [f"{self.not_needed} of {self.planned} replies not needed"] if self.not_needed else []
        lacking = [f"{n} {what}" for n, what in counts if n] or ["complete"]
        return f"{self.name}: " + ", ".join([*lacking, *spared])

    def is_complete(self, allowed: float) -> bool:
        """Everything was asked for, and no more than the share `allowed`, in [0, 1], got no answer or no verdict."""
        lost = self.unanswered + self.ungraded
        enough = self.failures <= allowed * self.planned and lost <= allowed * self.judgments
        return self.absent == 0 and self.unjudged == 0 and enough


def completeness(folder: RunFolder, regraded: Mapping[str, str] | None = None) -> Completeness:
    """Read a folder's rows. Memory: one key a row. What early stopping did not need is neither there nor absent.

    `regraded`: grader -> identity; count their judgments, of every reply, in place of the primary ones of the plan.
    """
    manifest, decided = folder.manifest, folder.decided_at
    graded_here = [
        identity for identity in folder.grader_identities() if identity.kind != "imported"
    ]  # the others cannot be asked
    counted = regraded or manifest.primary
    primary = [who for who in graded_here if counted.get(who.grader) == who.identity]
    plan = part(folder.plan(), manifest.shard)
    graders = {prompt.cell: tuple(regraded or prompt.graders) for prompt in plan}
    replies = failures = judgments = 0
    dropped: Counter[str] = Counter()
    for row in folder.replies():
        if _is_beyond(row, decided):
            continue
        wanted = graders.get(row.cell, ())
        failures += isinstance(row, Failure)
        if isinstance(row, Reply):
            replies += 1
            dropped.update(row.dropped)
            judgments += sum(who.grader in wanted and is_gradable(row, who, manifest.definition) for who in primary)
    ends, dropped_by_judges = Counter[str](), Counter[str]()
    for who in primary:
        for grade in folder.grades(who):
            if _is_beyond(grade, decided) or who.grader not in graders.get(grade.cell, ()):
                continue  # one that was added later
            ends[_end(grade)] += 1
            dropped_by_judges.update(grade.dropped)
    return Completeness(
        name=manifest.name,
        planned=sum(prompt.samples for prompt in plan),
        replies=replies,
        failures=failures,
        judgments=judgments,
        judged=ends.total() - ends["failed"],
        unanswered=ends["failed"],
        ungraded=ends["ungraded"],
        dropped=tuple(dropped.most_common()),
        dropped_by_judges=tuple(dropped_by_judges.most_common()),
        not_needed=0 if decided is None else sum(max(0, prompt.samples - decided) for prompt in plan),
    )


def _is_beyond(row: Reply | Failure | Graded | Ungraded, decided: int | None) -> bool:
    return decided is not None and row.sample >= decided


def _end(row: Graded | Ungraded) -> str:
    """`failed` without an answer, `ungraded` where one cannot be counted; what a rule cannot decide lacks nothing."""
    if isinstance(row, Graded) or row.reason in {"rule_error", "not_given"}:
        return "judged"
    return "failed" if row.reason == "failed" else "ungraded"


# Cost of a run folder so far, read from its rows: every attempt that left a row, superseded ones included.


@dataclass(slots=True)
class SpentSide:
    """One side's requests, tokens and money. `unpriced` answers have no known price and are in no sum of money."""

    requests: int = 0
    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def add(self, attempts: int, usage: Usage | None) -> None:
        """Count one row; None for one without an answer."""
        self.requests += attempts
        if usage is None or not attempts:  # an imported row: nobody asked here
            return
        self.answers += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cached_tokens += usage.cached_tokens or 0
        self.reasoning_tokens += usage.reasoning_tokens or 0
        self.cost_usd += usage.cost_usd or 0.0
        self.unpriced += usage.cost_usd is None


@dataclass(frozen=True, slots=True)
class Cost:
    """Target and judges apart."""

    target: SpentSide
    judges: SpentSide

    def add_to(self, meter: Budget) -> None:
        """Let the limits of a resumed run count what earlier sessions spent."""
        for side in (self.target, self.judges):
            meter.requests += side.requests
            meter.answers += side.answers
            meter.cost_usd += side.cost_usd
            meter.unpriced += side.unpriced


def spent(folder: RunFolder) -> Cost:
    """Add up a folder's rows."""
    target, judges = SpentSide(), SpentSide()
    for row in folder.all_rows():
        target.add(row.attempts, row.usage if isinstance(row, Reply) else None)
    for identity in folder.grader_identities():
        if identity.kind != "rule":
            for grade in folder.all_grades(identity):
                judges.add(grade.attempts, grade.usage)
    for control in folder.control_grades() if folder.manifest.controls else ():
        judges.add(control.row.attempts, control.row.usage)
    return Cost(target, judges)
