import pytest

from misalign_eval.stats.cautions import (
    effective_events,
    has_few_changes,
    has_few_events,
    has_identical_replies,
    has_single_replies,
    has_unequal_trials,
    has_unknown_replies,
    is_clustered_unreliable,
    is_concentrated,
    run_cautions,
    top_share,
)
from misalign_eval.stats.cells import Cells
from misalign_eval.stats.unknown_replies import PartialCells


def test_w1_fewer_than_five_events() -> None:
    assert has_few_events(Cells.of([4, 0], [10, 10]))
    assert not has_few_events(Cells.of([4, 1], [10, 10]))


def test_w2_one_reply_a_prompt() -> None:
    assert has_single_replies(Cells.of([1, 0], [1, 1]))
    assert not has_single_replies(Cells.of([1, 0], [1, 2]))


def test_w3_clustered_intervals_on_few_probes_or_low_rates() -> None:
    assert is_clustered_unreliable(199, 0.3)
    assert is_clustered_unreliable(200, 0.049)
    assert not is_clustered_unreliable(200, 0.05)


def test_w4_events_on_few_probes() -> None:
    assert top_share([6, 4] + [0] * 18) == 1
    assert top_share([6, 4] + [0] * 8) == 0.6
    assert is_concentrated([6, 4] + [0] * 8)
    assert effective_events([1] * 12) == pytest.approx(12)
    assert not is_concentrated([3] * 12)
    assert is_concentrated([3] * 9)
    assert not is_concentrated([0] * 9)


def test_w4_half_of_the_events_on_a_tenth_of_many_probes() -> None:
    assert is_concentrated([11] * 20 + [1] * 180)
    assert effective_events([11] * 20 + [1] * 180) > 60
    assert not is_concentrated([8] * 20 + [1] * 180)


def test_w4_counts_at_least_one_probe_and_rounds_up() -> None:
    assert top_share([5, 1, 1]) == pytest.approx(5 / 7)
    assert top_share([3, 3] + [1] * 9) == pytest.approx(6 / 15)


def test_w5_fewer_than_six_changed_probes() -> None:
    assert has_few_changes([0.0] * 9, [0.1] * 5 + [0.0] * 4)
    assert not has_few_changes([0.0] * 9, [0.1] * 6 + [0.0] * 3)
    with pytest.raises(ValueError, match="probes before"):
        has_few_changes([0.0], [0.0, 0.0])


def test_w6_half_of_the_replies_alike() -> None:
    assert has_identical_replies([5, 1], [10, 10])
    assert not has_identical_replies([4, 1], [10, 10])
    assert not has_identical_replies([1], [2])
    with pytest.raises(ValueError, match="between 0 and its replies"):
        has_identical_replies([11], [10])


def test_w7_unknown_replies() -> None:
    def run(unknown: int) -> PartialCells:
        return PartialCells.of([0], [1000 - unknown], [unknown])

    assert has_unknown_replies(run(11))
    assert not has_unknown_replies(run(10))
    assert has_unknown_replies(run(5), before=run(16))
    assert not has_unknown_replies(run(5), before=run(4))


def test_w10_unequal_numbers_of_replies() -> None:
    assert has_unequal_trials(Cells.of([0, 0], [10, 21]))
    assert not has_unequal_trials(Cells.of([0, 0], [10, 20]))


def test_all_warnings_of_a_run_come_in_order() -> None:
    assert run_cautions(Cells.of([1] + [0] * 9, [1] * 9 + [3])) == ("W1", "W4", "W10")
    assert run_cautions(Cells.of([1] * 20, [1] * 20)) == ("W2",)
    assert run_cautions(Cells.of([5] * 20, [20] * 20)) == ()


def test_negative_events_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        top_share([-1, 2])
