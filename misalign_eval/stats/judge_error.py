"""Rates corrected for the errors of a judge: Rogan-Gladen, and two-phase sampling."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from misalign_eval.stats.agreement import GraderTable
from misalign_eval.stats.cells import FloatArray, Side
from misalign_eval.stats.difference import EffectiveRate
from misalign_eval.stats.intervals import Interval, check_level, clopper_pearson, wilson
from misalign_eval.stats.special import normal_quantile
from misalign_eval.stats.unequal_cells import Arm, any_rates_bound

# The true rate behind a judge's, from labels that came from elsewhere or from a simple random sample.
#
# Rogan-Gladen turns a judge's rate round by its sensitivity and specificity. It needs an *external* set of labels whose
# replies are like the run's, and Se + Sp well above 1; at a rate of 1 % the error of the specificity decides
# everything. For labels of the run itself, drawn by the judge's verdict, see ``corrected_rate``.


LEAST_YOUDEN: Final = 0.2
"""Below Se + Sp = 1.2 a judge tells too little for its rate to be turned round."""
FEWEST_OF_EACH: Final = 20
"""Human positives, and human negatives, below which the CLT behind PPI++ covers 39 % instead of 95 %."""


@dataclass(frozen=True, slots=True)
class KnownErrorRates:
    """A share (fraction) with the number of labels that it was found on."""

    share: float
    trials: float

    def __post_init__(self) -> None:
        if not (self.trials > 0 and 0 <= self.share <= 1):
            raise ValueError(f"a known share needs 0 <= share <= 1 and trials > 0, got {self.share} of {self.trials}")


@dataclass(frozen=True, slots=True)
class Corrected:
    """A rate (fraction) freed of the judge's error, with its interval."""

    estimate: float
    interval: Interval


def can_correct(sensitivity: float, specificity: float) -> bool:
    """Whether Se + Sp > 1.2, so that turning the judge's rate round means something.

    >>> can_correct(0.9, 0.99), can_correct(0.5, 0.7)
    (True, False)
    """
    return sensitivity + specificity > 1 + LEAST_YOUDEN


def rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float:
    """True rate behind an apparent one, cut to [0, 1]: (rate + Sp - 1) / (Se + Sp - 1). Rogan & Gladen 1978.

    Raises ValueError unless Se + Sp > 1.

    >>> round(rogan_gladen(20 / 120, 0.9, 0.99), 7)
    0.17603
    """
    youden = sensitivity + specificity - 1
    if youden <= 0:
        raise ValueError(f"Se + Sp must be above 1 to turn a rate round, got {sensitivity} + {specificity}")
    return min(max((rate + specificity - 1) / youden, 0.0), 1.0)


def rogan_gladen_known(
    hits: float, trials: float, sensitivity: float, specificity: float, level: float = 0.95, *, exact: bool = True
) -> Corrected:
    """The same with an interval that takes Se and Sp for known exactly: the ends of the apparent rate, turned round.

    ``exact``: Clopper-Pearson, else Wilson. Too narrow wherever Se and Sp are estimates. Raises ValueError as
    ``rogan_gladen`` and for impossible counts.

    >>> found = rogan_gladen_known(20, 120, 0.9, 0.99)
    >>> round(found.interval.low, 7), round(found.interval.high, 7)
    (0.1066051, 0.2647191)
    """
    apparent = (clopper_pearson if exact else wilson)(hits, trials, level)
    low, high = (rogan_gladen(end, sensitivity, specificity) for end in (apparent.low, apparent.high))
    return Corrected(rogan_gladen(hits / trials, sensitivity, specificity), Interval(low, high))


def lang_reiczigel(
    apparent: KnownErrorRates, sensitivity: KnownErrorRates, specificity: KnownErrorRates, level: float = 0.95
) -> Corrected | None:
    """Rogan-Gladen estimate with the interval of Lang & Reiczigel 2014, in which Se and Sp are estimates too.

    ``apparent`` is the judge's rate with its (effective) number of replies. None where Se + Sp <= 1.2. Raises
    ValueError if level is outside (0, 1).

    >>> found = lang_reiczigel(KnownErrorRates(58 / 224, 224), KnownErrorRates(0.90, 100), KnownErrorRates(0.95, 200))
    >>> [round(x, 7) for x in (found.estimate, found.interval.low, found.interval.high)]
    [0.2457983, 0.1733522, 0.3251949]
    """
    check_level(level)
    if not can_correct(sensitivity.share, specificity.share):
        return None
    z = normal_quantile((1 + level) / 2)
    rate, se, sp = _added(apparent, z * z), _added(sensitivity, 2.0), _added(specificity, 2.0)
    youden = se.share + sp.share - 1
    if youden <= 0:
        return None
    center = (rate.share + sp.share - 1) / youden
    from_se, from_sp = se.share * (1 - se.share) / se.trials, sp.share * (1 - sp.share) / sp.trials
    moved = 2 * z * z * (center * from_se - (1 - center) * from_sp)
    spread = rate.share * (1 - rate.share) / rate.trials + center**2 * from_se + (1 - center) ** 2 * from_sp
    half = z * math.sqrt(spread) / youden
    low, high = (min(max(end, 0.0), 1.0) for end in (center + moved - half, center + moved + half))
    return Corrected(rogan_gladen(apparent.share, sensitivity.share, specificity.share), Interval(low, high))


def _added(known: KnownErrorRates, more: float) -> KnownErrorRates:
    """With ``more`` pseudo-observations, half of them events."""
    trials = known.trials + more
    return KnownErrorRates((known.share * known.trials + more / 2) / trials, trials)


def ppi_mean(table: GraderTable, judged: KnownErrorRates, level: float = 0.95) -> Corrected | None:
    """PPI++ estimate of the true rate from labels of a simple random sample, with its normal interval.

    ``table`` crosses people (first) and judge (second) on the labelled replies, ``judged`` is the judge's rate on the
    others. The weight on the judge is the one that makes the variance smallest. None below 20 human positives or 20
    negatives: there the normal interval fails. Angelopoulos, Duchi & Zrnic 2023, arXiv 2311.01453.

    >>> found = ppi_mean(GraderTable(90, 10, 10, 390), KnownErrorRates(0.2, 4000))
    >>> round(found.estimate, 4), round(found.interval.low, 4), round(found.interval.high, 4)
    (0.2, 0.1802, 0.2198)
    """
    check_level(level)
    yes, n = table.both + table.first_only, table.total
    if min(yes, n - yes) < FEWEST_OF_EACH:
        return None
    truth, said = yes / n, (table.both + table.second_only) / n
    both = table.both / n
    together = both - truth * said
    spread = said * (1 - said)
    weight = together / ((1 + n / judged.trials) * spread) if spread else 0.0
    weight = min(max(weight, 0.0), 1.0)
    estimate = truth + weight * (judged.share - said)
    rest = truth * (1 - truth) - 2 * weight * together + weight**2 * spread
    variance = rest / n + weight**2 * judged.share * (1 - judged.share) / judged.trials
    half = normal_quantile((1 + level) / 2) * math.sqrt(max(variance, 0.0))
    inside = min(max(estimate, 0.0), 1.0)
    return Corrected(inside, Interval(max(estimate - half, 0.0), min(estimate + half, 1.0)))


# The true rate of a run from labels drawn by the judge's verdict (two-phase sample), with its interval.
#
# People label some of the replies that the judge flagged and some that it did not. The flagged ones tell how often a
# flag is right (PPV), the others how many misaligned replies the judge passes over (FOR, the false omission rate):
#
#     rate = p_J * PPV + (1 - p_J) * FOR
#
# The interval joins the Clopper-Pearson limits of the three parts by MOVER (Zou & Donner 2008; Donner & Zou 2012).
# Simulated coverage is 97 to 98 %, where Rogan-Gladen falls to 72 % and PPI to 39 %.


_STAKES: Final = 80
_EXPONENT: Final = 600.0
_LEAST_CHANCE: Final = 1e-12
FLAGGED_SHARE: Final = 0.3
"""Share of the label budget that goes to flagged replies; all of them where they are fewer."""
LABELS_SHARE: Final = 0.7
"""Share of the error that ``uneven_bound`` spends on which replies were drawn; the rest is that of the replies."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled replies of one stratum, and how many of them people call misaligned."""

    hits: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.trials:
            raise ValueError(f"need 0 <= hits <= trials, got {self.hits} of {self.trials}")

    @property
    def share(self) -> float:
        """Hits over trials; 0 without labels."""
        return self.hits / self.trials if self.trials else 0.0

    def limits(self, level: float) -> Interval:
        """Clopper-Pearson; without labels all is possible."""
        return clopper_pearson(self.hits, self.trials, level) if self.trials else Interval(0.0, 1.0)


def split_budget(labels: int, flagged: int, unflagged: int) -> tuple[int, int]:
    """How many flagged and unflagged replies to label: 30 % and 70 %, or all of a stratum that has fewer.

    Raises ValueError for negative numbers.

    >>> split_budget(300, 64, 4336), split_budget(300, 1000, 3400), split_budget(100, 90, 20)
    ((64, 236), (90, 210), (80, 20))
    """
    if min(labels, flagged, unflagged) < 0:
        raise ValueError("a label budget and its strata cannot be negative")
    of_flagged = min(flagged, round(FLAGGED_SHARE * labels))
    of_unflagged = min(unflagged, labels - of_flagged)
    return min(flagged, labels - of_unflagged), of_unflagged


def corrected_rate(
    judged: EffectiveRate, flagged: Labelled, unflagged: Labelled, level: float = 0.95
) -> Corrected | None:
    """True rate (fraction) with its two-phase MOVER-CP interval.

    ``judged`` is the judge's macro rate with its effective number of replies (``difference.effective_rate``). None
    where a stratum that holds replies has no labels. One-sided bounds at alpha are the ends at level 1 - 2 alpha.
    Raises ValueError if level is outside (0, 1).

    >>> found = corrected_rate(EffectiveRate(64 / 4400, 4400), Labelled(20, 60), Labelled(0, 240))
    >>> [round(x, 7) for x in (found.estimate, found.interval.low, found.interval.high)]
    [0.0048485, 0.0028239, 0.0200627]
    """
    check_level(level)
    rate = judged.rate
    if (rate > 0 and not flagged.trials) or (rate < 1 and not unflagged.trials):
        return None
    if rate <= 0:  # nothing flagged: the labels are a simple random sample of all replies
        return Corrected(unflagged.share, unflagged.limits(level))
    if rate >= 1:
        return Corrected(flagged.share, flagged.limits(level))
    right, missed = flagged.share, unflagged.share
    estimate = rate * right + (1 - rate) * missed
    judge_limits = clopper_pearson(rate * judged.trials, judged.trials, level)
    ppv, omitted = flagged.limits(level), unflagged.limits(level)
    slope = right - missed
    down, up = (judge_limits.low, judge_limits.high) if slope >= 0 else (judge_limits.high, judge_limits.low)
    below = math.hypot(rate * (right - ppv.low), (1 - rate) * (missed - omitted.low), slope * (rate - down))
    above = math.hypot(rate * (ppv.high - right), (1 - rate) * (omitted.high - missed), slope * (up - rate))
    return Corrected(estimate, Interval(max(estimate - below, 0.0), min(estimate + above, 1.0)))


@dataclass(frozen=True, slots=True)
class JudgeQuality:
    """A judge on a whole run, as far as a two-phase sample tells. None where nothing can be said.

    The labelled replies over-represent flagged ones, so every share is weighted back to the run.
    """

    agreement: Corrected | None
    sensitivity: Corrected | None
    specificity: Corrected | None


def judge_quality(judged: EffectiveRate, flagged: Labelled, unflagged: Labelled, level: float = 0.95) -> JudgeQuality:
    """Agreement, sensitivity and specificity on the whole run.

    Agreement has the interval of ``corrected_rate``. Sensitivity and specificity move one way with each of their
    three parts, so their limits stand at the limits of the parts, each at a third of the error: never too narrow,
    also where no miss was seen. Raises ValueError if level is outside (0, 1).

    >>> found = judge_quality(EffectiveRate(64 / 4400, 4400), Labelled(20, 60), Labelled(0, 240))
    >>> found.sensitivity.estimate, round(found.sensitivity.interval.low, 3)
    (1.0, 0.096)
    """
    passed = Labelled(unflagged.trials - unflagged.hits, unflagged.trials)
    agreement = corrected_rate(judged, flagged, passed, level)
    if agreement is None:
        return JudgeQuality(None, None, None)
    strict = 1 - (1 - level) / 3
    rates = clopper_pearson(judged.rate * judged.trials, judged.trials, strict)
    ppv, omitted = flagged.limits(strict), unflagged.limits(strict)
    false = Interval(1 - ppv.high, 1 - ppv.low)  # of the flagged, those that are fine
    kept = Interval(1 - omitted.high, 1 - omitted.low)  # of the unflagged, those that are fine
    sensitivity = _share_found(judged.rate, flagged.share, unflagged.share)
    specificity = _share_found(1 - judged.rate, 1 - unflagged.share, 1 - flagged.share)
    return JudgeQuality(
        agreement,
        _with_limits(sensitivity, rates, ppv, omitted),
        _with_limits(specificity, Interval(1 - rates.high, 1 - rates.low), kept, false),
    )


def _with_limits(estimate: float | None, rates: Interval, right: Interval, missed: Interval) -> Corrected | None:
    if estimate is None:
        return None
    low = _share_found(rates.low, right.low, missed.high) or 0.0
    high = _share_found(rates.high, right.high, missed.low)
    return Corrected(estimate, Interval(min(low, estimate), 1.0 if high is None else max(high, estimate)))


def _share_found(rate: float, right: float, missed: float) -> float | None:
    """Of all that there is, the share that lies where the judge looked; None where there is nothing."""
    found, lost = rate * right, (1 - rate) * missed
    return found / (found + lost) if found + lost > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class Uneven:
    """Replies of a run by prompt and by what the judge says of them, of which people labelled some.

    ``weights`` are those of one reply to each prompt in the macro rate, shape (C,). The counts have shape (C, 2), with
    flagged replies first: ``hits`` are labelled misaligned, ``rest`` have no label, and ``outside`` are hits that were
    drawn and that the rate does not hold. ``chances`` are those of a reply to be drawn, shape (2,).
    """

    weights: FloatArray
    hits: FloatArray
    rest: FloatArray
    outside: FloatArray
    chances: FloatArray

    @property
    def labelled(self) -> float:
        """What the labelled hits are of the macro rate of all these replies (a fraction)."""
        return float(self.weights @ self.hits.sum(axis=1))


def uneven_bound(
    sample: Uneven, trials: FloatArray, weights: FloatArray, unknown: float, alpha: float, side: Side
) -> float:
    """One-sided bound of the true macro rate (a fraction) that holds for all true rates and however the judge errs.

    The bound of the rate of the replies themselves (``total_bound``), with ``unknown`` of it that nobody knows counted
    as misaligned, is the outcome that bounds the true rate (``any_rates_bound``, of ``trials`` replies to each cell).
    The two share the error (union bound). Raises ValueError if alpha is outside (0, 1).

    >>> half = Uneven(np.full(1, 0.01), np.zeros((1, 2)), np.array([[0.0, 50]]), np.zeros((1, 2)), np.array([1.0, 0.5]))
    >>> round(uneven_bound(half, np.array([100.0]), np.ones(1), 0.0, 0.05, "high"), 3)
    0.136
    """
    seen = min(total_bound(sample, LABELS_SHARE * alpha, side) + unknown, 1.0)
    return any_rates_bound(seen, Arm.of(trials, weights), (1 - LABELS_SHARE) * alpha, side)


def total_bound(sample: Uneven, alpha: float, side: Side) -> float:
    """One-sided bound of the macro rate of the replies themselves (a fraction), for any place of unlabelled hits.

    Each labelled hit stands for ``1 / chance`` replies. For a stake ``a`` and hits of weights ``w``, the chance that
    they stand for ``h`` at most is at most ``exp(a h)`` times the product of ``1 - chance (1 - exp(-a w / chance))``:
    Markov, and draws without replacement are negatively associated (Joag-Dev & Proschan 1983). The logs add up, so
    the largest rate that leaves a chance of ``alpha`` takes the unlabelled replies that cost least for their weight.
    Lower bounds likewise. Every stake gives a valid bound, and the best is taken. Raises ValueError if alpha is
    outside (0, 1).

    >>> half = Uneven(np.full(1, 0.01), np.zeros((1, 2)), np.array([[0.0, 50]]), np.zeros((1, 2)), np.array([1.0, 0.5]))
    >>> round(total_bound(half, 0.05, "high"), 4), total_bound(half, 0.05, "low")
    (0.0432, 0.0)
    """
    check_level(alpha)
    scales = (sample.weights[:, None] / np.maximum(sample.chances, _LEAST_CHANCE))[:, sample.chances > 0]
    if not scales.size or not (scales > 0).any():
        return min(sample.labelled + float(sample.weights @ sample.rest.sum(axis=1)), 1.0) if side == "high" else 0.0
    stakes = np.geomspace(1e-3 / scales.max(), 60 / scales[scales > 0].min(), _STAKES)
    found = [sample.labelled + _filled(sample, float(stake), math.log(alpha), side) for stake in stakes]
    return min(*found, 1.0) if side == "high" else max(*found, 0.0)


def _filled(sample: Uneven, stake: float, least: float, side: Side) -> float:
    """Weight of the unlabelled hits that move the rate farthest, or least, while the log of the chance is ``least``."""
    chances = np.maximum(sample.chances, _LEAST_CHANCE)
    worth = np.minimum(stake * sample.weights[:, None] / chances, _EXPONENT)
    sign = -1.0 if side == "high" else 1.0
    with np.errstate(divide="ignore"):  # the log of a chance of 0 is right as it is
        logs = np.logaddexp(np.log1p(-sample.chances), np.log(sample.chances) + sign * worth)
    drawn = sample.hits + sample.outside
    left = least + sign * float((drawn * worth).sum()) - float((drawn * logs).sum())
    weights = np.broadcast_to(sample.weights[:, None], logs.shape)
    counted = (sample.rest > 0) & (weights > 0)
    costs, sizes, numbers = logs[counted], weights[counted], sample.rest[counted]
    order = np.argsort(-costs / sizes, kind="stable")
    costs, sizes, numbers = costs[order], sizes[order], numbers[order]
    spent = np.cumsum(costs * numbers)
    before = spent - costs * numbers
    if side == "high":
        taken = np.where(costs < 0, np.clip((left - before) / np.minimum(costs, -1e-300), 0, numbers), numbers)
    else:
        taken = np.where(costs > 0, np.clip((left - before) / np.maximum(costs, 1e-300), 0, numbers), 0.0)
    return float(sizes @ taken)
