"""What a run folder has cost so far, read from its rows: every attempt that left a row, superseded ones included."""

from dataclasses import dataclass

from misalign_eval.records.reply import Reply, Usage
from misalign_eval.replies.meter import Meter
from misalign_eval.results.folder import RunFolder


@dataclass(slots=True)
class Side:
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
class Spent:
    """Target and judges apart."""

    target: Side
    judges: Side

    def add_to(self, meter: Meter) -> None:
        """Let the limits of a resumed run count what earlier sessions spent."""
        for side in (self.target, self.judges):
            meter.requests += side.requests
            meter.answers += side.answers
            meter.cost_usd += side.cost_usd
            meter.unpriced += side.unpriced


def spent(folder: RunFolder) -> Spent:
    """Add up a folder's rows."""
    target, judges = Side(), Side()
    for row in folder.all_rows():
        target.add(row.attempts, row.usage if isinstance(row, Reply) else None)
    for who in folder.grader_identities():
        if who.kind != "rule":
            for grade in folder.all_grades(who):
                judges.add(grade.attempts, grade.usage)
    for control in folder.control_grades() if folder.manifest.controls else ():
        judges.add(control.row.attempts, control.row.usage)
    return Spent(target, judges)
