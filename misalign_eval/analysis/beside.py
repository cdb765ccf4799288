"""What graders found that the definition does not read: each with its own counts, beside the headline."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import fsum

from misalign_eval.analysis import definitions
from misalign_eval.records.analysis import OtherGrader
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded

USUAL_SCALE = (0.0, 100.0)
BANDS = 5


def other_grader(who: GraderIdentity, grades: Iterable[Graded | Ungraded], there: Sequence[str]) -> OtherGrader:
    """The counts of one grader. `there` names every grader of the run: a preset is named that these suffice for."""
    labels: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    scores: list[float] = []
    for grade in grades:
        if isinstance(grade, Ungraded):
            reasons[grade.reason] += 1
        elif grade.score is not None:
            scores.append(grade.score)
        else:
            labels[grade.label or ""] += 1
    return OtherGrader(
        grader=who.grader,
        identity=who.identity,
        judge=who.judge,
        graded=len(scores) + labels.total(),
        ungraded=reasons.total(),
        labels=dict(labels.most_common()),
        bands=_bands(scores, who.scale or USUAL_SCALE),
        mean=fsum(scores) / len(scores) if scores else None,
        reasons=dict(reasons.most_common()),
        definition=_counting(who.grader, there),
    )


def _bands(scores: Sequence[float], scale: tuple[float, float]) -> dict[str, int]:
    """How many scores lie in each fifth of the scale, as `0 to 20`; the last one with its end."""
    if not scores:
        return {}
    low, high = scale
    ends = [low + (high - low) * number / BANDS for number in range(BANDS + 1)]
    found = Counter(min(max(sum(score >= end for end in ends[1:]), 0), BANDS - 1) for score in scores)
    return {f"{ends[band]:g} to {ends[band + 1]:g}": found[band] for band in range(BANDS)}


def _counting(grader: str, there: Sequence[str]) -> str | None:
    """A preset that reads this grader and no other than the run has: the one named like it first."""
    names = sorted(definitions.names(), key=lambda name: (name != grader, name))
    presets = (definitions.load(name) for name in names)
    return next((one.name for one in presets if grader in one.graders and set(one.graders) <= set(there)), None)
