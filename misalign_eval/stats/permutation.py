"""Exact stratified permutation test of "no probe changed".

Inside a cell with ``m`` events over both runs, the events after are hypergeometric when nothing changed; the
null law of their sum over cells is the convolution of these laws. With one cell it is Fisher's exact test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from misalign_eval.stats.cells import Cells, FloatArray, check_paired

DRAWS: Final = 20_000
SEED: Final = 19_350_101
SMALLEST_P: Final = 1e-100
"""Smaller p-values are given as this: tails below it are cut off so that long convolutions stay short."""
_NEGLIGIBLE: Final = 1e-120
_TIE: Final = 1e-7
_TABLE: Final = 65_536


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """P-values against "no probe changed".

    ``upper`` and ``lower`` are one-sided (more, or fewer, events after); ``exact`` doubles the smaller one,
    ``mid`` does so with half of the observed outcome's chance, ``least_likely`` adds up outcomes no likelier than
    the observed one, as R's fisher.test does. ``is_exact`` is False for the Monte-Carlo test, whose two-sided
    p-values are one number.
    """

    mid: float
    exact: float
    upper: float
    lower: float
    least_likely: float
    is_exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Law:
    """Chances of the whole numbers from ``first`` on."""

    first: int
    chances: FloatArray


@lru_cache(maxsize=16_384)
def _hypergeometric(events: int, before: int, after: int) -> _Law:
    """Law of the events among ``after`` replies, given ``events`` among all ``before + after``."""
    first, last = max(0, events - before), min(events, after)
    count = np.arange(first, last)
    steps = np.log((events - count) * (after - count)) - np.log((count + 1) * (before - events + count + 1))
    # Ratios of neighbours keep their digits far into the tails, where differences of log-factorials do not.
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    chances = np.exp(logs - logs.max())
    return _trimmed(first, chances / chances.sum())


def _trimmed(first: int, chances: FloatArray) -> _Law:
    kept = np.flatnonzero(chances > _NEGLIGIBLE)
    return _Law(first + int(kept[0]), chances[kept[0] : kept[-1] + 1])


def _sum_of(laws: Sequence[_Law]) -> _Law:
    """Law of the sum, by halves: equal lengths make the convolutions cheap."""
    if len(laws) == 1:
        return laws[0]
    middle = len(laws) // 2
    left, right = _sum_of(laws[:middle]), _sum_of(laws[middle:])
    return _trimmed(left.first + right.first, np.convolve(left.chances, right.chances))


def _whole(values: FloatArray, name: str) -> list[int]:
    if not (values == np.floor(values)).all():
        raise ValueError(f"{name} must be whole numbers for an exact test")
    return [int(value) for value in values]


def _p_values(law: _Law, observed: int) -> PermutationTest:
    place = observed - law.first
    if not 0 <= place < law.chances.size:
        upper, lower = (1.0, SMALLEST_P) if place < 0 else (SMALLEST_P, 1.0)
        return PermutationTest(SMALLEST_P, 2 * SMALLEST_P, upper, lower, SMALLEST_P, is_exact=True)
    here = float(law.chances[place])
    upper, lower = float(law.chances[place:].sum()), float(law.chances[: place + 1].sum())
    rare = float(law.chances[law.chances <= here * (1 + _TIE)].sum())
    both = 2 * min(upper, lower)
    mid, exact, up, down, least = (_as_p_value(value) for value in (both - here, both, upper, lower, rare))
    return PermutationTest(mid, exact, up, down, least, is_exact=True)


def _as_p_value(chance: float) -> float:
    return min(1.0, max(SMALLEST_P, chance))


def exact_test(
    hits_before: Sequence[int], trials_before: Sequence[int], hits_after: Sequence[int], trials_after: Sequence[int]
) -> PermutationTest:
    """Exact test that no stratum changed, on the total of events after; whole numbers, one a stratum, shape (C,).

    Sources: Fisher 1935, Mehta, Patel & Gray 1985 for the stratified form; mid-p as in Lancaster 1961. Raises
    ValueError if lengths differ or hits leave 0..trials.

    >>> round(exact_test([1], [4], [3], [4]).mid, 7)
    0.2571429
    """
    strata = list(zip(hits_before, trials_before, hits_after, trials_after, strict=True))
    if not strata or any(not (0 <= xa <= na and 0 <= xb <= nb) for xa, na, xb, nb in strata):
        raise ValueError("need 0 <= hits <= trials in every stratum, and at least one")
    laws = [_hypergeometric(xa + xb, na, nb) for xa, na, xb, nb in strata]
    return _p_values(_sum_of(laws), sum(hits_after))


def _has_constant_step(before: Cells, after: Cells) -> bool:
    """Whether moving one event between the runs changes the macro difference equally in every cell."""
    step = before.weights * (1 / before.trials + 1 / after.trials)
    return bool(np.allclose(step, step[0], rtol=1e-9, atol=0))


def permutation_test(before: Cells, after: Cells, *, draws: int = DRAWS, seed: int = SEED) -> PermutationTest:
    """Test that no probe changed, on the macro difference.

    Exact where every event counts the same in it; with unequal weights or numbers of replies by ``draws``
    Monte-Carlo draws, p = (1 + at least as extreme) / (draws + 1). Raises ValueError if the runs differ in
    cells or counts are not whole.

    >>> clean, tuned = Cells.of([0, 0], [10, 10]), Cells.of([4, 0], [10, 10])
    >>> test = permutation_test(clean, tuned)
    >>> round(test.mid, 4), test.is_exact
    (0.0433, True)
    """
    check_paired(before, after)
    counts = (
        _whole(before.hits, "hits"),
        _whole(before.trials, "trials"),
        _whole(after.hits, "hits"),
        _whole(after.trials, "trials"),
    )
    if _has_constant_step(before, after):
        return exact_test(*counts)
    return _monte_carlo(before, after, draws, seed)


def _monte_carlo(before: Cells, after: Cells, draws: int, seed: int) -> PermutationTest:
    rng = np.random.default_rng(seed)
    total = np.zeros(draws)
    for xa, na, xb, nb, weight in zip(
        before.hits, before.trials, after.hits, after.trials, before.weights, strict=True
    ):
        law = _hypergeometric(int(xa + xb), int(na), int(nb))
        if law.chances.size > 1:
            count = law.first + np.arange(law.chances.size)
            change = weight * (count / nb - (xa + xb - count) / na)
            total += _table(change, law.chances)[rng.integers(0, _TABLE, draws, dtype=np.uint16)]
    observed = after.rate - before.rate
    upper = _share(int((total >= observed - _TIE).sum()), draws)
    lower = _share(int((total <= observed + _TIE).sum()), draws)
    both = _share(int((np.abs(total) >= abs(observed) - _TIE).sum()), draws)
    return PermutationTest(both, both, upper, lower, both, is_exact=False)


def _table(values: FloatArray, chances: FloatArray) -> FloatArray:
    """The values, each as often as its chance, so that a uniform place draws one: six times as fast as a search.

    Chances are rounded to 1 / 65,536, under a third of what one draw among 20,000 weighs.
    """
    edges = np.rint(np.cumsum(chances) / chances.sum() * _TABLE).astype(np.int64)
    return np.repeat(values, np.diff(edges, prepend=0))


def _share(extreme: int, draws: int) -> float:
    return (1 + extreme) / (draws + 1)


def probe_tests(before: Cells, after: Cells) -> tuple[PermutationTest, ...]:
    """One test a probe, over its paraphrases, in the order of the probes (length Q).

    Raises ValueError as ``permutation_test``. For a screen of probes adjust the mid-p by Benjamini-Hochberg over
    all of them; for a claim adjust ``exact`` by Holm.

    >>> [round(test.mid, 4) for test in probe_tests(Cells.of([0, 0], [10, 10]), Cells.of([4, 0], [10, 10]))]
    [0.0433, 1.0]
    """
    check_paired(before, after)
    chosen = (before.probes == probe for probe in range(before.probe_count))
    return tuple(permutation_test(before.select(mask), after.select(mask)) for mask in chosen)
