"""Raw token distributions of a judge, and the score that they give."""

import ast
import json
import math
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, cast

from misalign_eval.imports.account import BadCellError
from misalign_eval.imports.cells import is_missing, number, shown
from misalign_eval.stats.token_score import LONGEST_NUMBER, likeliest, python_int, read_numbers

LARGEST = 1 << 20  # characters; the text of 20 tokens takes a thousand
MASS_LIMIT = 0.25
ROUNDING = 0.01  # what rounded probabilities may be above 1 together, and a rounded log-probability above 0
EXACT, COARSEST = 1e-9, 0.05  # a score that was printed with one decimal may be 0.05 off
_NUMPY = re.compile(r"\b(?:np|numpy)\.float(?:16|32|64)\(([^()]*)\)")
FIX = "Expected {token: probability}, as JSON or as Python writes a dict"


class Derived(NamedTuple):
    """The score of a distribution, and what it was made from."""

    score: float | None  # 0 to 100; None where less than MASS_LIMIT of the probability is on numbers
    mass: float
    modal: str | None


def parse(value: object) -> dict[str, float] | None:
    """{token: probability} of a cell: an object, or its text as JSON or Python `repr`. None where there is nothing.

    Also the lists of {token, logprob} that servers give. Raises BadCellError for what is no distribution.

    >>> parse("{'0': 0.75, ' 0': 0.25}")
    {'0': 0.75, ' 0': 0.25}
    """
    if is_missing(value):
        return None
    found = _literal(value) if isinstance(value, str) else value
    if found is None or found in ({}, []):
        return None
    if isinstance(found, list | tuple):
        found = _of_list(found)
    if not isinstance(found, dict):
        raise BadCellError(f"{shown(value)} is no distribution", FIX)
    return _checked(found)


def derive(distribution: Mapping[str, float]) -> Derived:
    """The score by the published rule: tokens read by `int`, 0 to 100, mass of equal numbers summed, Σ i·p / Σ p.

    >>> derive({"0": 0.3, "00": 0.3, "100": 0.4}).score
    40.0
    """
    is_usual = max(map(len, distribution)) <= LONGEST_NUMBER  # the cache keeps no long texts
    reading = read_numbers(distribution, number=_cached if is_usual else python_int)
    mass = min(reading.mass, 1.0)
    return Derived(reading.mean if reading.mass >= MASS_LIMIT else None, mass, likeliest(distribution))


def agrees(given: object, derived: float | None) -> bool:
    """Whether a score in a file is the derived one, as far as its decimals show.

    >>> agrees("12.35", 12.3456), agrees("12.35", 12.36), agrees(None, None), agrees("50", None)
    (True, False, True, False)
    """
    score = None if is_missing(given) else number(given)
    if score is None or derived is None:
        return (score is None) == (derived is None)
    return abs(score - derived) <= _half_unit(str(given))


_cached = lru_cache(4096)(python_int)  # the same few hundred tokens come in every row


def _half_unit(written: str) -> float:
    whole, _, decimals = written.strip().replace(",", ".").partition(".")
    if not decimals.isdigit():
        return EXACT if decimals or "e" in whole.lower() else COARSEST
    return min(max(0.5 * 10.0 ** -len(decimals) * (1 + 1e-6), EXACT), COARSEST)


def _literal(text: str) -> object:
    if len(text) > LARGEST:
        raise BadCellError(f"a distribution of {len(text)} characters: more than {LARGEST}", FIX)
    try:
        # A dict as Python writes it is JSON with the other quotes, unless a token holds a quote or an escape.
        return json.loads(text.replace("'", '"') if '"' not in text and "\\" not in text else text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(_NUMPY.sub(r"\1", text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise BadCellError(f"{shown(text)} is no distribution", FIX) from None


def _of_list(entries: list[object] | tuple[object, ...]) -> dict[str, float]:
    """[{token, logprob}, …] or [[token, probability], …]. Raises BadCellError for a log-probability above 0."""
    found: dict[str, float] = {}
    for entry in entries:
        match entry:
            case {"token": str(token), "logprob": int() | float() as logprob}:
                if logprob > ROUNDING:
                    raise BadCellError(f"{shown(entry)} is no log-probability: it is above 0", FIX)
                found[token] = found.get(token, 0.0) + math.exp(min(logprob, 0.0))
            case [str(token), int() | float() as share]:
                found[token] = found.get(token, 0.0) + share
            case _:
                raise BadCellError(f"{shown(entry)} is no part of a distribution", FIX)
    return found


def _checked(found: dict[object, object]) -> dict[str, float]:
    shares = found.values()
    if set(map(type, found)) != {str} or set(map(type, shares)) != {float}:
        found = {str(token): _share(token, share) for token, share in found.items()}
    distribution = cast("dict[str, float]", found)
    total = sum(distribution.values())
    if min(distribution.values()) < 0 or not total <= 1 + ROUNDING:  # a sum with NaN is neither
        raise _wrong(distribution, total)
    return distribution


def _wrong(distribution: Mapping[str, float], total: float) -> BadCellError:
    for token, share in distribution.items():
        if not 0 <= share <= 1 + ROUNDING:
            hint = "Log-probabilities? Write probabilities" if share < 0 else FIX
            return BadCellError(f"{shown({token: share})} is no probability", hint)
    return BadCellError(f"no distribution: its probabilities sum to {total:.4g}", FIX)


def _share(token: object, share: object) -> float:
    if isinstance(share, bool) or not isinstance(share, int | float) or not isinstance(token, str | int):
        raise BadCellError(f"{shown({token: share})} is no part of a distribution", FIX)
    try:
        return float(share)
    except OverflowError:
        raise BadCellError(f"{shown({token: share})} is no probability", FIX) from None
