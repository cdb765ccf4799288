import numpy as np
import numpy.typing as npt
import pytest

from misalign_eval.stats.agreement import dawid_skene

Table = npt.NDArray[np.float64]


def answers(seed: int, shares: list[tuple[float, float]], rate: float = 0.3, replies: int = 4000) -> Table:
    """Judges of these sensitivities and specificities, whose mistakes are independent."""
    rng = np.random.default_rng(seed)
    truth = rng.random(replies) < rate
    return np.column_stack([rng.random(replies) < np.where(truth, se, 1 - sp) for se, sp in shares]).astype(np.float64)


def test_independent_judges_are_recovered() -> None:
    latent = dawid_skene(answers(1, [(0.9, 0.95), (0.8, 0.9), (0.7, 0.97)]))

    assert latent is not None
    assert latent.rate == pytest.approx(0.3, abs=0.02)
    assert latent.sensitivity == pytest.approx((0.9, 0.8, 0.7), abs=0.04)
    assert latent.specificity == pytest.approx((0.95, 0.9, 0.97), abs=0.02)


def test_verdicts_that_are_missing_are_passed_over() -> None:
    table = answers(2, [(0.9, 0.95), (0.8, 0.9), (0.7, 0.97)])
    table[np.random.default_rng(3).random(table.shape) < 0.2] = np.nan
    latent = dawid_skene(table)

    assert latent is not None
    assert latent.rate == pytest.approx(0.3, abs=0.03)


def test_shared_mistakes_are_taken_for_truth() -> None:
    """Why it is a diagnostic: two judges that are the same one outvote a better third."""
    table = answers(4, [(0.6, 0.9), (0.95, 0.98)])
    latent = dawid_skene(table[:, [0, 0, 1]])

    assert latent is not None
    assert latent.sensitivity[0] > 0.95


@pytest.mark.parametrize("column", [0.0, 1.0])
def test_judges_that_all_say_the_same_say_nothing_of_each_other(column: float) -> None:
    assert dawid_skene(np.full((50, 3), column)) is None


def test_two_judges_are_too_few() -> None:
    assert dawid_skene(np.ones((9, 2))) is None


def test_the_order_of_replies_and_judges_changes_nothing() -> None:
    table = answers(5, [(0.9, 0.95), (0.8, 0.9), (0.7, 0.97)], replies=500)
    there, back = dawid_skene(table), dawid_skene(table[::-1, ::-1])

    assert there is not None
    assert back is not None
    assert back.rate == pytest.approx(there.rate)
    assert back.sensitivity[::-1] == pytest.approx(there.sensitivity)


@pytest.mark.parametrize("table", [np.ones(3), np.full((3, 3), 2.0)])
def test_other_tables_are_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="0, 1 and NaN"):
        dawid_skene(table)
