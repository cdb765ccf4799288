import math

import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.stats import special

shapes = st.floats(0.3, 20_000)
probabilities = st.floats(0.001, 0.999)


@given(a=shapes, b=shapes, z=st.floats(-6, 6))
def test_beta_cdf_agrees_with_scipy(a: float, b: float, z: float) -> None:
    mean = a / (a + b)
    x = min(max(mean + z * math.sqrt(mean * (1 - mean) / (a + b + 1)), 0.0), 1.0)

    assert special.beta_cdf(x, a, b) == pytest.approx(scipy.special.betainc(a, b, x), abs=5e-12)


@given(a=shapes, b=shapes, probability=probabilities)
def test_beta_quantile_agrees_with_scipy(a: float, b: float, probability: float) -> None:
    assert special.beta_quantile(probability, a, b) == pytest.approx(
        scipy.special.betaincinv(a, b, probability), rel=1e-9
    )


@given(a=st.floats(0.3, 1e5), b=st.floats(0.3, 1e5), probability=probabilities)
def test_beta_quantile_undoes_beta_cdf(a: float, b: float, probability: float) -> None:
    x = special.beta_quantile(probability, a, b)
    # Where the density is high the nearest number to x may miss the probability by an ulp times the density.
    slack = 1e-10 + 4e-16 * float(scipy.stats.beta.pdf(x, a, b))

    assert special.beta_cdf(x, a, b) == pytest.approx(probability, abs=slack)


def test_a_million_replies_keep_ten_digits() -> None:
    assert special.beta_quantile(0.975, 20_001, 980_000) == pytest.approx(
        scipy.special.betaincinv(20_001, 980_000, 0.975), rel=1e-10
    )


@pytest.mark.parametrize(
    "probability, df, expected",
    [
        pytest.param(0.975, 7, 2.36462425, id="V23-7df"),
        pytest.param(0.95, 43, 1.68107070, id="V23-43df"),
    ],
)
def test_t_quantile_equals_published_digits(probability: float, df: int, expected: float) -> None:
    assert special.t_quantile(probability, df) == pytest.approx(expected, abs=1e-8)
    assert special.t_quantile(probability, df) == pytest.approx(scipy.stats.t.ppf(probability, df), rel=2e-11)


@given(probability=probabilities, df=st.floats(0.5, 5_000))
def test_t_quantile_agrees_with_scipy_for_any_degrees_of_freedom(probability: float, df: float) -> None:
    assert special.t_quantile(probability, df) == pytest.approx(scipy.stats.t.ppf(probability, df), rel=1e-9, abs=1e-12)


@given(statistic=st.floats(-50, 50), df=st.floats(0.5, 5_000))
def test_t_tail_agrees_with_scipy(statistic: float, df: float) -> None:
    assert special.t_tail(statistic, df) == pytest.approx(2 * scipy.stats.t.sf(abs(statistic), df), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("z", [-3.0, 0.0, 1.959964, 6.0, 20.0])
def test_normal_tail_agrees_with_scipy_far_out(z: float) -> None:
    assert special.normal_tail(z) == pytest.approx(scipy.stats.norm.sf(z), rel=1e-12)


def test_chi_square_tail_agrees_with_scipy() -> None:
    assert special.chi_square_tail(8.2249223) == pytest.approx(scipy.stats.chi2.sf(8.2249223, 1), rel=1e-12)


@pytest.mark.parametrize(
    "count, trials, rate, expected",
    [
        pytest.param(0, 149, 0.02, 0.0492817, id="V22-149"),
        pytest.param(0, 148, 0.02, 0.0502874, id="V22-148"),
        pytest.param(5, 523, 0.02, 0.0499322, id="V22-null"),
        pytest.param(5, 523, 0.005, 0.9502976, id="V22-power"),
    ],
)
def test_binomial_cdf_equals_published_digits(count: int, trials: int, rate: float, expected: float) -> None:
    assert special.binomial_cdf(count, trials, rate) == pytest.approx(expected, abs=1e-7)
    assert special.binomial_cdf(count, trials, rate) == pytest.approx(scipy.stats.binom.cdf(count, trials, rate))


@given(trials=st.integers(1, 60), rate=st.floats(0.01, 0.99), data=st.data())
def test_binomial_cdf_is_the_sum_of_its_terms(trials: int, rate: float, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, trials))
    slow = sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(count + 1))

    assert special.binomial_cdf(count, trials, rate) == pytest.approx(slow, abs=1e-12)
    assert special.binomial_tail(count + 1, trials, rate) == pytest.approx(1 - slow, abs=1e-12)


def test_binomial_sums_have_their_natural_ends() -> None:
    assert special.binomial_cdf(-1, 10, 0.1) == 0
    assert special.binomial_cdf(10, 10, 0.1) == 1
    assert special.binomial_tail(0, 10, 0.1) == 1
    assert special.binomial_tail(11, 10, 0.1) == 0


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: special.normal_quantile(1.0), id="normal quantile of 1"),
        pytest.param(lambda: special.chi_square_tail(-1.0), id="negative chi-square"),
        pytest.param(lambda: special.beta_cdf(0.5, 0, 1), id="beta shape 0"),
        pytest.param(lambda: special.beta_cdf(1.5, 1, 1), id="beta beyond 1"),
        pytest.param(lambda: special.beta_quantile(-0.1, 1, 1), id="negative probability"),
        pytest.param(lambda: special.t_quantile(0.5, 0), id="no degrees of freedom"),
        pytest.param(lambda: special.t_tail(1.0, -1), id="negative degrees of freedom"),
        pytest.param(lambda: special.binomial_cdf(1, -1, 0.5), id="negative trials"),
        pytest.param(lambda: special.binomial_tail(1, 5, 2.0), id="rate of 2"),
    ],
)
def test_arguments_out_of_range_are_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
