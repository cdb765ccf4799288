"""State of a sequential test: the evidence of one series of cells, round by round."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from misalign_eval.records.policy import MOST_UNKNOWN
from misalign_eval.stats.cells import FloatArray, IntArray
from misalign_eval.stats.sequential import (
    CAP_SHARE,
    DEAREST_FAIL,
    UNKNOWN,
    Claim,
    PairCounts,
    SequentialDesign,
    can_still_pass,
    limit_at_evidence,
    log_evidence,
    log_weighted_difference_evidence,
    log_weighted_evidence,
    may_still_fail,
    most_hits_to_pass,
    needed_log_evidence,
)
from misalign_eval.stats.unequal_cells import Rule
from misalign_eval.stats.unknown_replies import PartialCells, ruled, ruled_pair, worst_bound, worst_difference_bound

LEVEL = 0.95
Settled = Literal["pass", "fail"]
Ends = tuple[float, float]


class EvidenceSeries(NamedTuple):
    """Natural logs of both evidences, and of what each needs to decide."""

    log_pass: float
    log_fail: float
    needed_pass: float
    needed_fail: float


@dataclass(slots=True)
class CellSeries:
    """Values of some cells (and of their partners in a baseline), one of each a round, and what they show so far.

    A round is complete when every cell has as many known values. An unknown value keeps its place: it counts as an
    event against passing and as none against failing; in the baseline the reverse.
    """

    weights: FloatArray
    probes: IntArray
    design: SequentialDesign  # its cap counts replies (or pairs)
    before: Sequence[Sequence[int]] | None = None
    after: list[list[int]] = field(init=False)
    rounds: int = 0
    verdict: Settled | None = None
    lost: bool = False
    at_cap: bool = False
    evidences: EvidenceSeries | None = None  # at the last look
    _against_pass: FloatArray = field(init=False)  # shape (C, 3): counts of -1, 0 and 1 in complete rounds
    _against_fail: FloatArray = field(init=False)
    _known: list[int] = field(init=False)
    _rounds_before: float = field(init=False)

    def __post_init__(self) -> None:
        self.after = [[] for _ in self.weights]
        self._against_pass = np.zeros((self.weights.size, 3))
        self._against_fail = np.zeros((self.weights.size, 3))
        self._known = [0] * self.weights.size
        self._rounds_before = math.inf if self.before is None else min(_known(values) for values in self.before)

    @property
    def is_equal(self) -> bool:
        """Whether totals are all that matters."""
        return bool(np.allclose(self.weights, 1 / self.weights.size, rtol=1e-9, atol=0))

    def take(self, values: Sequence[Sequence[int]]) -> None:
        """Add what one sample number brought to each cell, and look at every round that this completes."""
        for cell, new in enumerate(values):
            self.after[cell].extend(new)
            self._known[cell] += _known(new)
        while self.verdict is None and self.rounds < min(*self._known, self._rounds_before, math.inf):
            self._fold()
            self._look()

    def finish(self) -> None:
        """The one look at the declared cap: at everything there is, in complete rounds or not."""
        if self.verdict is not None or not any(self._known):
            return
        self.at_cap = True
        low, high = self._cap_bounds()
        if low > self.design.limit:
            self.verdict = "fail"
        elif high < self.design.limit and all(side.can_pass for side in self._sides()) and all(self._known):
            self.verdict = "pass"

    def evidence(self, limit: float, claim: Claim) -> float:
        """Log evidence about any limit, from the complete rounds."""
        return self._evidence_of(self._against_pass if claim == "pass" else self._against_fail, limit, claim)

    def rounds_to_fail(self) -> int | None:
        """Complete rounds at which it fails if the values go on coming as often as so far; None: not soon."""
        if self.verdict is not None or not self.rounds:
            return None
        most = self.design.cap // self.weights.size
        low, high = self.rounds, min(most, DEAREST_FAIL * self.rounds)
        if not self._fails_by(high):
            totals = self._against_fail[:, 1:].sum(axis=0)
            is_rate = self.is_equal and self.before is None
            return most if is_rate and bool(may_still_fail(totals, self.design)) else None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._fails_by(middle) else (middle, high)
        return high

    def _fails_by(self, rounds: int) -> bool:
        ahead = self._against_fail * (rounds / self.rounds)
        needed = needed_log_evidence(self.design.alpha_fail)
        return self._evidence_of(ahead, self.design.limit, "fail") >= needed

    def _evidence_of(self, counts: FloatArray, limit: float, claim: Claim) -> float:
        if self.before is None:
            if self.is_equal:
                return float(log_evidence(counts[:, 1:].sum(axis=0), limit, claim))
            return log_weighted_evidence(counts[:, 2], counts[:, 1:].sum(axis=1), self.weights, limit, claim)
        if self.is_equal:
            return float(log_evidence(counts.sum(axis=0), limit, claim))
        down, same, up = counts.T
        return log_weighted_difference_evidence(down, same, up, self.weights, limit, claim)

    def interval(self) -> Ends:
        """Both ends of the interval that holds at all rounds together, at 95 %."""
        return self._ends(math.log(2 / (1 - LEVEL)), math.log(2 / (1 - LEVEL)))

    def bounds(self) -> Ends:
        """The one-sided bounds that decide: those of the evidence, and at the cap those of its look, the tighter."""
        low, high = self._ends(needed_log_evidence(self.design.alpha_fail), needed_log_evidence(self.design.alpha_pass))
        if not self.at_cap:
            return low, high
        cap_low, cap_high = self._cap_bounds()
        return max(low, cap_low), min(high, cap_high)

    @property
    def graded(self) -> int:
        """Known values behind the verdict (of the run, not of its baseline)."""
        return sum(_known(values) for values in self._shown(self.after))

    @property
    def hits(self) -> int:
        """Events behind the verdict."""
        return sum(values.count(1) for values in self._shown(self.after))

    @property
    def unknown(self) -> int:
        """Unknown values behind the verdict, on both sides."""
        sides = (self.after, self.before or ())
        return sum(values.count(UNKNOWN) for side in sides for values in self._shown(side))

    def estimate(self) -> float | None:
        """Weighted rate, or change, from what is known."""
        found = [_mean(values) for values in self._shown(self.after)]
        earlier = [_mean(values) for values in self._shown(self.before)] if self.before else [0.0] * len(found)
        pairs = [
            (float(weight), now - was)
            for weight, was, now in zip(self.weights, earlier, found, strict=True)
            if was is not None and now is not None
        ]
        total = sum(weight for weight, _ in pairs)
        return sum(weight * value for weight, value in pairs) / total if pairs else None

    def rule_at_cap(self) -> tuple[Rule, int, int]:
        """By which rule the look at the cap was made, the graded replies that it took, and all of them."""
        sides = self._sides()
        rule = ruled(sides[0])[0] if len(sides) == 1 else ruled_pair(*sides)
        kept = sum(float(ruled(side)[1].graded.sum()) for side in sides)
        return rule, round(kept), round(sum(float(side.graded.sum()) for side in sides))

    def _shown(self, side: Sequence[Sequence[int]]) -> list[list[int]]:
        return [list(values if self.at_cap else values[: self.rounds]) for values in side]

    def _fold(self) -> None:
        for cell, values in enumerate(self.after):
            now = values[self.rounds]
            was = self.before[cell][self.rounds] if self.before is not None else 0
            self._against_pass[cell, 1 + (1 if now == UNKNOWN else now) - (0 if was == UNKNOWN else was)] += 1
            self._against_fail[cell, 1 + (0 if now == UNKNOWN else now) - (1 if was == UNKNOWN else was)] += 1
        self.rounds += 1

    def _look(self) -> None:
        self.at_cap = False
        log_pass, log_fail = self.evidence(self.design.limit, "pass"), self.evidence(self.design.limit, "fail")
        needed = needed_log_evidence(self.design.alpha_pass), needed_log_evidence(self.design.alpha_fail)
        if log_fail >= needed[1]:
            self.verdict = "fail"
        elif log_pass >= needed[0] and self._is_known():
            self.verdict = "pass"
        self.lost = self.verdict is None and self.design.stops_when_lost and self._is_lost()
        self.evidences = EvidenceSeries(log_pass, log_fail, *needed)

    def _is_known(self) -> bool:
        sides = 1 if self.before is None else 2
        return self.unknown <= MOST_UNKNOWN * self.rounds * self.weights.size * sides

    def _is_lost(self) -> bool:
        """Whether no further reply can lead to a pass."""
        if not self.is_equal:
            return False
        down, same, up = (int(count) for count in self._against_pass.sum(axis=0))
        if self.before is None:
            return up > most_hits_to_pass(self.design)
        return not can_still_pass(PairCounts(down, same, up), self.design)

    def _ends(self, needed_fail: float, needed_pass: float) -> Ends:
        least = 0.0 if self.before is None else -1.0
        return (
            limit_at_evidence(lambda limit: self.evidence(limit, "fail"), "fail", needed_fail, least, 1.0),
            limit_at_evidence(lambda limit: self.evidence(limit, "pass"), "pass", needed_pass, least, 1.0),
        )

    def _cap_bounds(self) -> Ends:
        alphas = CAP_SHARE * self.design.alpha_fail, CAP_SHARE * self.design.alpha_pass
        sides = self._sides()
        if len(sides) == 2:
            before, after = sides
            return (
                worst_difference_bound(before, after, alphas[0], "low"),
                worst_difference_bound(before, after, alphas[1], "high"),
            )
        return worst_bound(sides[0], alphas[0], "low"), worst_bound(sides[0], alphas[1], "high")

    def _sides(self) -> tuple[PartialCells, ...]:
        """The baseline, if any, and the run, over the cells where both have something."""
        values = [self.after] if self.before is None else [self.before, self.after]
        kept = [cell for cell in range(self.weights.size) if all(side[cell] for side in values)]
        codes = np.unique(self.probes[kept], return_inverse=True)[1]
        return tuple(
            PartialCells.of(
                [side[cell].count(1) for cell in kept],
                [_known(side[cell]) for cell in kept],
                [side[cell].count(UNKNOWN) for cell in kept],
                codes,
                in_order=[[value for value in side[cell] if value != UNKNOWN] for cell in kept],
            )
            for side in values
        )


def _known(values: Sequence[int]) -> int:
    return len(values) - values.count(UNKNOWN)


def _mean(values: Sequence[int]) -> float | None:
    known = [value for value in values if value != UNKNOWN]
    return sum(known) / len(known) if known else None
