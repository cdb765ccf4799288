"""Agreement of raters: tables, kappa, AC1, alpha, and the latent-class model of Dawid and Skene."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.cells import FloatArray, IntArray
from misalign_eval.stats.general import RESAMPLES, SEED, bootstrap_interval
from misalign_eval.stats.intervals import Interval, clopper_pearson

# Agreement of two graders: a two-by-two table of yes and no, raw agreement, chance-corrected coefficients.
#
# At 2 % prevalence Cohen's kappa is near 0 at 94 % agreement while Gwet's AC1 is .94: decide on neither.


FEWEST_ANSWERS: Final = 5
FEWEST_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class AgreementShare:
    """A share (fraction) with its Clopper-Pearson interval."""

    estimate: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class GraderTable:
    """Replies on which both say yes, only the first, only the second, or neither. The first is the reference.

    Chance-corrected numbers and shares are None where they are undefined (nothing to divide by). Raises ValueError
    on a negative count or an empty table.
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    def __post_init__(self) -> None:
        if min(self.both, self.first_only, self.second_only, self.neither) < 0 or not self.total:
            raise ValueError("an agreement table needs counts that are not negative, and at least one reply")

    @property
    def total(self) -> int:
        """Number of replies that both graded.

        >>> GraderTable(20, 5, 10, 15).total
        50
        """
        return self.both + self.first_only + self.second_only + self.neither

    def agreement(self, level: float = 0.95) -> AgreementShare:
        """Share of replies on which both say the same.

        >>> GraderTable(20, 5, 10, 15).agreement().estimate
        0.7
        """
        agreed = self.both + self.neither
        return AgreementShare(agreed / self.total, clopper_pearson(agreed, self.total, level))

    def sensitivity(self, level: float = 0.95) -> AgreementShare | None:
        """Of the reference's yes, the share that the second also calls yes.

        >>> GraderTable(20, 5, 10, 15).sensitivity().estimate
        0.8
        """
        return _share(self.both, self.both + self.first_only, level)

    def specificity(self, level: float = 0.95) -> AgreementShare | None:
        """Of the reference's no, the share that the second also calls no.

        >>> GraderTable(20, 5, 10, 15).specificity().estimate
        0.6
        """
        return _share(self.neither, self.neither + self.second_only, level)

    def precision(self, level: float = 0.95) -> AgreementShare | None:
        """Of the second's yes, the share that the reference calls yes (positive predictive value).

        >>> GraderTable(20, 5, 10, 15).precision().estimate
        0.6666666666666666
        """
        return _share(self.both, self.both + self.second_only, level)

    def cohen_kappa(self) -> float | None:
        """Cohen's kappa, at most 1. Cohen 1960.

        >>> round(GraderTable(20, 5, 10, 15).cohen_kappa(), 7)
        0.4
        """
        kappa = kappa_of(self._row())[0]
        return None if np.isnan(kappa) else float(kappa)

    def gwet_ac1(self) -> float:
        """Gwet's AC1, at most 1. Gwet 2008.

        >>> round(GraderTable(118, 5, 2, 0).gwet_ac1(), 7)
        0.9407763
        """
        yes = (2 * self.both + self.first_only + self.second_only) / (2 * self.total)
        chance = 2 * yes * (1 - yes)
        return ((self.both + self.neither) / self.total - chance) / (1 - chance)

    def krippendorff_alpha(self) -> float | None:
        """Krippendorff's alpha for nominal data, at most 1. Krippendorff 2011.

        >>> round(GraderTable(1, 3, 1, 5).krippendorff_alpha(), 4)
        0.0952
        """
        yes = 2 * self.both + self.first_only + self.second_only
        no = 2 * self.total - yes
        if not yes * no:
            return None
        return 1 - (2 * self.total - 1) * (self.first_only + self.second_only) / (yes * no)

    @property
    def is_degenerate(self) -> bool:
        """Whether one grader says yes, or no, to next to none of the replies: kappa and alpha then tell nothing.

        They are near 0 by construction there, however well the graders agree.

        >>> GraderTable(0, 0, 2, 2198).is_degenerate, GraderTable(1, 3, 1, 5).is_degenerate
        (True, False)
        """
        first, second = self.both + self.first_only, self.both + self.second_only
        rarest = min(first, second, self.total - first, self.total - second)
        return rarest == 0 or (rarest < FEWEST_ANSWERS and rarest < FEWEST_SHARE * self.total)

    def _row(self) -> FloatArray:
        return np.array([[self.both, self.first_only, self.second_only, self.neither]], dtype=np.float64)


def _share(part: int, whole: int, level: float) -> AgreementShare | None:
    return AgreementShare(part / whole, clopper_pearson(part, whole, level)) if whole else None


def kappa_of(tables: FloatArray) -> FloatArray:
    """Cohen's kappa of tables, shape (R, 4) to (R,); NaN where both graders always give the same answer.

    >>> kappa_of(np.array([[20.0, 5.0, 10.0, 15.0]])).round(3)
    array([0.4])
    """
    shares = tables / tables.sum(axis=1, keepdims=True)
    both, first, second, neither = shares.T
    chance = (both + first) * (both + second) + (neither + first) * (neither + second)
    room = 1 - chance
    kappa: FloatArray = np.full(len(tables), np.nan)
    np.divide(both + neither - chance, room, out=kappa, where=room > 1e-12)
    return kappa


def kappa_interval(
    tables: FloatArray | IntArray, level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval | None:
    """Percentile bootstrap interval of Cohen's kappa over probes.

    ``tables`` holds both, first only, second only and neither of each probe, shape (Q, 4). None where kappa is
    undefined in some resample: too few yes answers for an interval. Raises ValueError on another shape or level.

    >>> kappa_interval(np.array([[9, 0, 0, 9], [9, 0, 0, 9]]))
    Interval(low=1.0, high=1.0)
    """
    counts = np.asarray(tables, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] != 4 or (counts < 0).any() or not (counts.sum(axis=1) > 0).all():
        raise ValueError("tables must have one row of four counts a probe, none empty")
    interval = bootstrap_interval(counts, kappa_of, level, resamples=resamples, seed=seed)
    return None if np.isnan(interval.low) else interval


# Kappa, AC1 and alpha of weighted tables, with intervals from resampling probes.
#
# Labels that were drawn by the judge's verdict hold too many flagged replies. Each is given the number of replies of
# the run that it stands for; the numbers are then those of the run. With equal weights they are those of the table.


@dataclass(frozen=True, slots=True)
class ChanceCorrected:
    """A chance-corrected agreement, at most 1. None where it, or some resample of it, is undefined.

    Where every resample is the same, as when the two agree on everything, resampling tells no interval: None.
    """

    estimate: float | None
    interval: Interval | None


def ac1_of(tables: FloatArray) -> FloatArray:
    """Gwet's AC1 of tables, shape (R, 4) to (R,). Gwet 2008.

    >>> ac1_of(np.array([[118.0, 5.0, 2.0, 0.0]])).round(7)
    array([0.9407763])
    """
    both, first, second, neither = (tables / tables.sum(axis=1, keepdims=True)).T
    yes = both + (first + second) / 2
    chance = 2 * yes * (1 - yes)
    agreement: FloatArray = (both + neither - chance) / (1 - chance)
    return agreement


def alpha_of(tables: FloatArray, replies: float) -> FloatArray:
    """Krippendorff's alpha (nominal) of tables of ``replies`` replies, shape (R, 4) to (R,); NaN without variation.

    >>> alpha_of(np.array([[1.0, 3.0, 1.0, 5.0]]), 10).round(7)
    array([0.0952381])
    """
    both, first, second, _ = (tables / tables.sum(axis=1, keepdims=True)).T
    yes = both + (first + second) / 2
    room = 2 * yes * (1 - yes)
    observed = (first + second) * (2 * replies - 1) / (2 * replies)
    alpha: FloatArray = np.full(len(tables), np.nan)
    np.divide(room - observed, room, out=alpha, where=room > 1e-12)
    return alpha


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The three of them, of one set of replies."""

    kappa: ChanceCorrected
    ac1: ChanceCorrected
    alpha: ChanceCorrected


def coefficients(
    tables: FloatArray, replies: float, level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Coefficients:
    """Kappa, AC1 and alpha with percentile bootstrap intervals over the rows of ``tables``.

    A row (both, first only, second only, neither; counts or weights) is a probe, or a reply where replies have no
    probes; shape (Q, 4). ``replies`` is how many were labelled. Raises ValueError on another shape, negative numbers
    or an empty row.

    >>> found = coefficients(np.array([[9.0, 0.0, 1.0, 9.0]] * 5 + [[9.0, 1.0, 1.0, 8.0]] * 5), 190)
    >>> round(found.kappa.estimate, 3), round(found.kappa.interval.low, 3)
    (0.842, 0.81)
    """
    counts = np.asarray(tables, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] != 4 or (counts < 0).any() or not (counts.sum(axis=1) > 0).all():
        raise ValueError("tables must have one row of four counts a probe, none empty")

    def alpha(rows: FloatArray) -> FloatArray:
        return alpha_of(rows, replies)

    def found(statistic: Callable[[FloatArray], FloatArray]) -> ChanceCorrected:
        value = float(statistic(counts.sum(axis=0, keepdims=True))[0])
        interval = bootstrap_interval(counts, statistic, level, resamples=resamples, seed=seed)
        is_known = len(counts) > 1 and interval.low < interval.high  # not so where they are NaN
        return ChanceCorrected(None if np.isnan(value) else value, interval if is_known else None)

    return Coefficients(found(kappa_of), found(ac1_of), found(alpha))


# Latent-class model of three judges or more with independent errors (Dawid & Skene 1979).
#
# A diagnostic alone: judges share their mistakes, so that the sensitivities it finds are too good and its rate is no
# correction. Where it is far from every judge's rate, or calls one judge worse than chance, something is wrong.


FEWEST_JUDGES: Final = 3
_STEPS: Final = 1000
_CLOSE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Latent:
    """Share of replies (fraction) that are taken for misaligned, and each judge's sensitivity and specificity."""

    rate: float
    sensitivity: tuple[float, ...]
    specificity: tuple[float, ...]


def dawid_skene(answers: FloatArray) -> Latent | None:
    """EM from majority votes. ``answers`` (R, J) holds 1 for yes, 0 for no, NaN where a judge gave no verdict.

    None with fewer than three judges, or where no reply, or every one, is a majority yes. Raises ValueError on another
    shape or other values.

    >>> rows = np.array([[1.0, 1.0, 0.0]] * 20 + [[0.0, 0.0, 0.0]] * 80)
    >>> found = dawid_skene(rows)
    >>> round(found.rate, 3), [round(share, 3) for share in found.sensitivity]
    (0.2, [1.0, 1.0, 0.0])
    """
    table = np.asarray(answers, dtype=np.float64)
    if table.ndim != 2 or not np.isin(table[~np.isnan(table)], (0.0, 1.0)).all():
        raise ValueError("answers must be a table of 0, 1 and NaN, a row a reply and a column a judge")
    if table.shape[1] < FEWEST_JUDGES:
        return None
    known = ~np.isnan(table)
    table, known = table[known.any(axis=1)], known[known.any(axis=1)]
    yes, no = np.where(known, table, 0.0), np.where(known, 1 - table, 0.0)
    belief = (yes.sum(axis=1) > no.sum(axis=1)).astype(np.float64)
    if not 0 < belief.sum() < len(belief):
        return None
    for _ in range(_STEPS):
        rate, hit, kept = _shares(belief, yes, no)
        new = _beliefs(rate, hit, kept, yes, no)
        if np.abs(new - belief).max() < _CLOSE:
            break
        belief = new
    rate, hit, kept = _shares(belief, yes, no)
    return Latent(rate, tuple(hit.tolist()), tuple(kept.tolist()))


def _shares(belief: FloatArray, yes: FloatArray, no: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Rate, and by judge the shares of yes where it is yes and of no where it is no; a half where nothing is known."""
    hits, misses = belief @ yes, belief @ no
    kept, false = (1 - belief) @ no, (1 - belief) @ yes
    halves = np.full_like(hits, 0.5)
    sensitivity = np.divide(hits, hits + misses, out=halves.copy(), where=hits + misses > 0)
    specificity = np.divide(kept, kept + false, out=halves.copy(), where=kept + false > 0)
    return float(belief.mean()), sensitivity, specificity


def _beliefs(rate: float, hit: FloatArray, kept: FloatArray, yes: FloatArray, no: FloatArray) -> FloatArray:
    """Chance that each reply is a yes, given all that was said of it."""
    tiny = 1e-12
    hit, kept = np.clip(hit, tiny, 1 - tiny), np.clip(kept, tiny, 1 - tiny)
    rate = min(max(rate, tiny), 1 - tiny)
    for_yes = yes @ np.log(hit) + no @ np.log1p(-hit) + np.log(rate)
    for_no = no @ np.log(kept) + yes @ np.log1p(-kept) + np.log1p(-rate)
    belief: FloatArray = 1 / (1 + np.exp(np.clip(for_no - for_yes, -700, 700)))
    return belief
