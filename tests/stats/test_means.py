import numpy as np
import pytest
import scipy.stats

from misalign_eval.stats.intervals import ScoreCells, macro_mean, mean_difference

SCORES = [[90.0, 100.0, 95.0], [80.0, 84.0], [10.0, 60.0, 70.0, 40.0]]


def test_the_interval_follows_the_definition() -> None:
    w, cells = 1 / 3, [np.array(cell) for cell in SCORES]
    terms = [w**2 * cell.var(ddof=1) / cell.size for cell in cells]
    df = sum(terms) ** 2 / sum(term**2 / (cell.size - 1) for term, cell in zip(terms, cells, strict=True))
    half = scipy.stats.t.ppf(0.975, df) * sum(terms) ** 0.5
    estimate = macro_mean(ScoreCells.of(SCORES))

    assert estimate.estimate == pytest.approx(np.mean([cell.mean() for cell in cells]))
    assert estimate.df == pytest.approx(df)
    assert estimate.interval is not None
    assert estimate.interval.width == pytest.approx(2 * half)


def test_one_cell_gives_the_textbook_t_interval() -> None:
    estimate = macro_mean(ScoreCells.of([SCORES[2]]))
    theirs = scipy.stats.ttest_1samp(SCORES[2], 0).confidence_interval()

    assert estimate.interval is not None
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((theirs.low, theirs.high))


def test_two_cells_compared_give_welchs_interval() -> None:
    change = mean_difference(ScoreCells.of([SCORES[2]]), ScoreCells.of([SCORES[0]]))
    theirs = scipy.stats.ttest_ind(SCORES[0], SCORES[2], equal_var=False)

    assert change.df == pytest.approx(theirs.df)
    assert change.interval is not None
    assert change.interval.low == pytest.approx(theirs.confidence_interval().low)


def test_swapping_the_runs_negates_the_change() -> None:
    low, high = ScoreCells.of(SCORES), ScoreCells.of([[score / 2 for score in cell] for cell in SCORES])
    there, back = mean_difference(low, high), mean_difference(high, low)

    assert there.estimate == pytest.approx(-back.estimate)
    assert there.interval is not None
    assert back.interval is not None
    assert there.interval.low == pytest.approx(-back.interval.high)


def test_paraphrases_share_the_weight_of_their_probe() -> None:
    assert ScoreCells.of([[100.0], [50.0], [10.0]], probes=[0, 0, 1]).mean == pytest.approx((75 + 10) / 2)


def test_single_scores_give_the_interval_of_one_sample() -> None:
    singles = [[10.0], [20.0], [60.0], [90.0]]
    estimate = macro_mean(ScoreCells.of(singles))
    theirs = scipy.stats.sem([10, 20, 60, 90])

    assert estimate.interval is not None
    # The error is that of one sample of four; only the degrees of freedom are counted per cell.
    error = estimate.interval.width / 2 / scipy.stats.t.ppf(0.975, estimate.df)
    assert error == pytest.approx(theirs)


def test_scores_that_never_vary_have_no_interval() -> None:
    estimate = macro_mean(ScoreCells.of([[100.0, 100.0], [100.0, 100.0]]))

    assert (estimate.estimate, estimate.interval, estimate.df) == (100, None, None)


def test_the_interval_covers_the_macro_mean() -> None:
    rng, covered = np.random.default_rng(6), 0
    truth = np.array([95.0, 60.0, 90.0, 80.0, 99.0])
    for _ in range(400):
        interval = macro_mean(ScoreCells.of([np.asarray(rng.normal(mean, 8, 6)) for mean in truth])).interval
        assert interval is not None
        covered += interval.low <= truth.mean() <= interval.high

    assert 0.92 <= covered / 400 <= 0.98


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="scores of cell 1"):
        ScoreCells.of([[1.0], []])
    with pytest.raises(ValueError, match="same cells"):
        mean_difference(ScoreCells.of([[1.0, 2.0]]), ScoreCells.of([[1.0, 2.0]] * 2))
    with pytest.raises(ValueError, match="fraction"):
        macro_mean(ScoreCells.of(SCORES), level=2)
