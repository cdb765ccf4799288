"""Texts that say nearly the same in nearly the same words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

NEAR = 0.5
_WORD = re.compile(r"\w+")


def shingles(text: str) -> frozenset[str]:
    """The words of a text and its pairs of neighbouring words; case and punctuation do not count.

    >>> sorted(shingles("Hi, hi you!"))
    ['hi', 'hi hi', 'hi you', 'you']
    """
    words = _WORD.findall(text.casefold())
    return frozenset([*words, *(f"{first} {second}" for first, second in pairwise(words))])


def similarity(first: str, second: str) -> float:
    """Jaccard index of the shingles, a fraction: 1 for the same words in the same order, 0 for no word in common."""
    return _jaccard(shingles(first), shingles(second))


def close_pairs(texts: Sequence[str], least: float = NEAR) -> Iterator[tuple[float, int, int]]:
    """Every pair of indices whose similarity is at least `least` (0-1, above 0), with that similarity.

    Two sets with Jaccard index t share a shingle among the rarest |x| - ceil(t|x|) + 1 of each (prefix filter of
    Chaudhuri, Ganti & Kaushik 2006), so only texts that share such a rare shingle are compared.
    """
    sets = [shingles(text) for text in texts]
    counts = Counter(shingle for one in sets for shingle in one)
    holders: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(sets):
        rare = sorted(one, key=lambda shingle: (counts[shingle], shingle))
        prefix = rare[: len(rare) - ceil(least * len(rare)) + 1]
        for other in sorted({other for shingle in prefix for other in holders[shingle]}):
            if (found := _jaccard(one, sets[other])) >= least:
                yield found, other, index
        for shingle in prefix:
            holders[shingle].append(index)


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    either = len(first | second)
    return len(first & second) / either if either else 0.0
