"""Beta, binomial, normal and t distributions in the standard library alone.

scipy.stats takes more than a second to import; an evaluation gate needs a handful of quantiles. The incomplete
beta function is the continued fraction of Numerical Recipes (3rd ed., 6.4) behind Loader's (2000) saddle-point
form of the binomial term, which keeps its relative error near 1e-13 for counts up to a million where a
difference of log-gammas loses five digits.
"""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_HALF_LOG_TWO_PI: Final = 0.5 * math.log(2 * math.pi)
_TINY: Final = 1e-300
_MAX_TERMS: Final = 100_000
_CACHE: Final = 65_536


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution. Raises ValueError outside 0 < probability < 1.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    if not 0 < probability < 1:
        raise ValueError(f"a probability must lie in (0, 1), got {probability}")
    return _NORMAL.inv_cdf(probability)


def normal_tail(z: float) -> float:
    """Chance that a standard normal exceeds ``z``; accurate far into the tail.

    >>> round(normal_tail(1.959964), 6)
    0.025
    """
    return 0.5 * math.erfc(z / math.sqrt(2))


def chi_square_tail(statistic: float) -> float:
    """Chance that a chi-square with one degree of freedom exceeds ``statistic``. ValueError if it is negative.

    >>> round(chi_square_tail(3.841459), 4)
    0.05
    """
    if statistic < 0:
        raise ValueError(f"a chi-square statistic cannot be negative, got {statistic}")
    return math.erfc(math.sqrt(statistic / 2))


def _stirling_error(value: float) -> float:
    """Log gamma(value + 1) less Stirling's formula; the series is exact to 1e-16 from 16 on."""
    if value < 16:
        return math.lgamma(value + 1) - (value + 0.5) * math.log(value) + value - _HALF_LOG_TWO_PI
    square = value * value
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / value


def _deviance(value: float, mean: float) -> float:
    """``value * log(value / mean) + mean - value`` without cancellation where the two are close."""
    gap = value - mean
    if abs(gap) > 0.1 * (value + mean):
        return value * math.log(value / mean) - gap
    ratio = gap / (value + mean)
    total, power = gap * ratio, 2 * value * ratio
    for order in range(3, 200, 2):
        power *= ratio * ratio
        term = power / order
        total += term
        if abs(term) <= 1e-17 * abs(total):
            break
    return total


def _beta_term(a: float, b: float, x: float) -> float:
    """``x**a * (1 - x)**b / B(a, b)`` (Loader 2000)."""
    n = a + b
    errors = _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    exponent = errors - _deviance(a, n * x) - _deviance(b, n * (1 - x))
    return math.sqrt(a * b / (2 * math.pi * n)) * math.exp(exponent)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Lentz's evaluation of the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    total = d
    for step in range(1, _MAX_TERMS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or _TINY)
            c = 1 + term / c or _TINY
            total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return total


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function: the chance that a Beta(a, b) variable is at most ``x``.

    Raises ValueError unless a, b > 0 and 0 <= x <= 1. Numerical Recipes 3rd ed. 6.4; Loader 2000.

    >>> round(beta_cdf(0.5, 2, 3), 10)
    0.6875
    """
    if not (a > 0 and b > 0 and 0 <= x <= 1):
        raise ValueError(f"beta_cdf needs a, b > 0 and 0 <= x <= 1, got x={x}, a={a}, b={b}")
    if x in {0, 1}:
        return float(x)
    term = _beta_term(a, b, x)
    if x < (a + 1) / (a + b + 2):
        return term * _continued_fraction(a, b, x) / a
    return 1 - term * _continued_fraction(b, a, 1 - x) / b


def _first_guess(probability: float, a: float, b: float) -> float:
    """Abramowitz and Stegun 26.5.22, or the leading power of the tail where that has no meaning."""
    if a > 1 and b > 1:
        z = -normal_quantile(probability)
        scale = (z * z - 3) / 6
        h = 2 / (1 / (2 * a - 1) + 1 / (2 * b - 1))
        w = z * math.sqrt(max(h + scale, 0.0)) / h
        w -= (1 / (2 * b - 1) - 1 / (2 * a - 1)) * (scale + 5 / 6 - 2 / (3 * h))
        return a / (a + b * math.exp(min(2 * w, 700.0)))
    if b == 1:
        return math.exp(math.log(probability) / a)
    if a == 1:
        return -math.expm1(math.log1p(-probability) / b)
    return a / (a + b)


@lru_cache(maxsize=_CACHE)
def beta_quantile(probability: float, a: float, b: float) -> float:
    """Quantile of a Beta(a, b) variable, by Newton steps kept inside a shrinking bracket.

    Raises ValueError unless a, b > 0 and 0 <= probability <= 1. Results are cached.

    >>> round(beta_quantile(0.6875, 2, 3), 10)
    0.5
    """
    if not (a > 0 and b > 0 and 0 <= probability <= 1):
        raise ValueError(f"beta_quantile needs a, b > 0 and 0 <= probability <= 1, got {probability}, a={a}, b={b}")
    # Equal arguments share a cache entry, so one caller's numpy scalar must not become another's result.
    probability, a, b = float(probability), float(a), float(b)
    if probability in {0, 1}:
        return probability
    low, high, x = 0.0, 1.0, _first_guess(probability, a, b)
    for _ in range(200):
        if not low < x < high:
            x = 0.5 * (low + high)
        excess = beta_cdf(x, a, b) - probability
        low, high = (low, x) if excess > 0 else (x, high)
        step = excess * x * (1 - x) / max(_beta_term(a, b, x), _TINY)
        x -= step
        if abs(step) <= 1e-14 * x or high - low <= 1e-15 * high:
            break
    return min(max(x, low), high)


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with ``df`` > 0 degrees of freedom (need not be whole).

    Raises ValueError unless df > 0 and 0 < probability < 1.

    >>> round(t_quantile(0.975, 7), 8)
    2.36462425
    """
    if not (df > 0 and 0 < probability < 1):
        raise ValueError(f"t_quantile needs df > 0 and 0 < probability < 1, got {probability}, df={df}")
    tail = 2 * min(probability, 1 - probability)
    # Each form loses its digits where the other keeps them: the median and the far tail.
    if tail > 0.5:
        rest = beta_quantile(1 - tail, 0.5, df / 2)
        size = math.sqrt(df * rest / (1 - rest))
    else:
        part = beta_quantile(tail, df / 2, 0.5)
        size = math.sqrt(df * (1 - part) / part)
    return size if probability >= 0.5 else -size


def t_tail(statistic: float, df: float) -> float:
    """Two-sided p-value of a t statistic with ``df`` > 0 degrees of freedom.

    >>> round(t_tail(2.36462425, 7), 6)
    0.05
    """
    if df <= 0:
        raise ValueError(f"degrees of freedom must be positive, got {df}")
    if math.isinf(statistic):
        return 0.0
    square = statistic * statistic
    # Near zero the first form would lose its digits in df / (df + square), a hair below one.
    if square < df:
        return 1 - beta_cdf(square / (df + square), 0.5, df / 2)
    return beta_cdf(df / (df + square), df / 2, 0.5)


def _check_binomial(count: float, trials: int, rate: float) -> None:
    if trials < 0 or not 0 <= rate <= 1 or count != math.floor(count):
        raise ValueError(f"need whole count, trials >= 0 and 0 <= rate <= 1, got {count}, {trials}, {rate}")


def binomial_cdf(count: int, trials: int, rate: float) -> float:
    """Chance of at most ``count`` events in ``trials`` replies at a true ``rate`` (a fraction).

    Raises ValueError unless count is whole, trials >= 0 and 0 <= rate <= 1.

    >>> round(binomial_cdf(0, 149, 0.02), 7)
    0.0492817
    """
    _check_binomial(count, trials, rate)
    if count < 0:
        return 0.0
    return 1.0 if count >= trials else beta_cdf(1 - rate, trials - count, count + 1)


def binomial_tail(count: int, trials: int, rate: float) -> float:
    """Chance of at least ``count`` events in ``trials`` replies at a true ``rate`` (a fraction).

    Raises ValueError unless count is whole, trials >= 0 and 0 <= rate <= 1.

    >>> round(binomial_tail(1, 149, 0.02), 7)
    0.9507183
    """
    _check_binomial(count, trials, rate)
    if count <= 0:
        return 1.0
    return 0.0 if count > trials else beta_cdf(rate, count, trials - count + 1)
