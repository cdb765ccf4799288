"""On which scale a grader counts: what the user says of it, what lies outside it, and what looks like another one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from misalign_eval.errors import UsageError
from misalign_eval.imports.account import BadCellError
from misalign_eval.imports.cells import shown
from misalign_eval.imports.foreign import Found
from misalign_eval.imports.grade_columns import SCORES, VERDICT, BadEnd

EVERY = ""  # stands for every grader that has a scale
FEW = 5  # scores below which nothing is told from them but fractions of 1
_WRITTEN = re.compile(r"(?:([\w.@-]+)=)?(?:(-?\d+(?:\.\d+)?)(?:-|\.\.))?(-?\d+(?:\.\d+)?)")


class Scale(NamedTuple):
    """The lowest and the highest score."""

    low: float
    high: float

    def holds(self, score: float) -> bool:
        """Whether a score can be of this scale."""
        return self.low <= score <= self.high

    def words(self) -> str:
        """`0 to 100`."""
        return f"{self.low:g} to {self.high:g}"

    def flag(self) -> str:
        """`1-5`, or `1` for 0 to 1."""
        return f"{self.high:g}" if self.low == 0 else f"{self.low:g}-{self.high:g}"


PERCENT, GRADES = Scale(0, 100), Scale(1, 5)


@dataclass(frozen=True, slots=True)
class Scales:
    """What the user says of scales: by grader, or for all that have one."""

    given: Mapping[str, Scale] = field(default_factory=dict)
    bad_end: BadEnd | None = None  # of the verdict on misalignment

    def of(self, grader: str, own: Scale) -> Scale:
        """The scale on which a file counts."""
        return self.given.get(grader) or self.given.get(EVERY) or own

    def is_given(self, grader: str) -> bool:
        """Whether the user has said it."""
        return grader in self.given or EVERY in self.given

    def converted(self, grader: str, score: float, column: str = "", written: object = None) -> float:
        """A score on the grader's own scale. Raises BadCellError for one outside the file's; `written`: its cell."""
        own = GRADES if grader == VERDICT else PERCENT
        file = self.of(grader, own)
        if not file.holds(score):
            place = f"column `{column}`" if column else f"`{grader}`"
            kind = "grade" if grader == VERDICT else "score"
            other = f", or --map NAME={column} for another scale" if column else ""
            if grader == VERDICT and score in {0, 1} and column:
                other = f"; if it says no or yes: --map misaligned={column}"
            fix = f"Empty the cell where there is no score; name another scale with --scale {grader}=LOW-HIGH{other}"
            seen = f"{score:g}" if written is None else shown(written)
            raise BadCellError(f"{place}: {seen} is no {kind} from {file.words()}", fix)
        if grader == VERDICT and self.bad_end == "low":
            score = file.low + file.high - score
        return score if file == own else own.low + (score - file.low) / (file.high - file.low) * (own.high - own.low)

    def checked(self, found: Found) -> Found:
        """A grade of a log or an export on its grader's own scale; others have none that is known here."""
        if found.score is None or found.grader not in {*SCORES, VERDICT}:
            return found
        return found._replace(score=self.converted(found.grader, found.score))


def parsed(written: Sequence[str]) -> dict[str, Scale]:
    """`--scale 1`, `--scale 1-5`, `--scale aligned=10`. Raises UsageError.

    >>> parsed(["1-5", "aligned=10"])
    {'': Scale(low=1.0, high=5.0), 'aligned': Scale(low=0.0, high=10.0)}
    """
    found: dict[str, Scale] = {}
    for one in written:
        made = _WRITTEN.fullmatch(one.strip())
        scale = Scale(float(made[2] or 0), float(made[3])) if made else Scale(0, 0)
        if made is None or not scale.low < scale.high:
            raise UsageError(f"--scale {one}: write HIGHEST or LOWEST-HIGHEST, such as 1 or 1-5, or GRADER=1-5")
        if (grader := made[1] or EVERY) in found:
            raise UsageError(f"--scale {one}: the scale of {grader or 'every grader'} is given already")
        found[grader] = scale
    return found


@dataclass(slots=True)
class Spread:
    """Which scores a grader gave, as far as that shows on which scale."""

    count: int = 0
    least: float = float("inf")
    most: float = float("-inf")
    _is_whole: bool = True  # whole and half numbers, as people and rubrics give
    _is_of_fives: bool = True
    _is_of_one: bool = False  # a part of 1

    def add(self, score: float) -> None:
        """Note one score."""
        self.count += 1
        self.least, self.most = min(self.least, score), max(self.most, score)
        self._is_whole &= (2 * score) % 1 == 0
        self._is_of_fives &= score % 5 == 0
        self._is_of_one |= 0 < score < 1

    def looks_like(self, *, is_sure: bool = False) -> Scale | None:
        """The scale that the scores read like where it is not 0 to 100; None where they may be of that one.

        `is_sure`: another grader of the file counts on a small scale.
        """
        if not 0 <= self.least <= self.most <= 10 or self.most == 0:
            return None
        if self.most <= 1:
            return Scale(0, 1) if self._is_of_one or self.count >= FEW or is_sure else None
        is_same = self.least in {0, self.most} and self._is_of_fives
        if not is_sure and (self.count < FEW or is_same or (not self._is_whole and self.least < 1)):
            return None
        return Scale(1 if self.least >= 1 else 0, next(high for high in (3, 4, 5, 7, 10) if self.most <= high))
