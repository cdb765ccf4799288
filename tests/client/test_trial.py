"""What a cut of the places teaches about the refusals before it."""

import pytest

from misalign_eval.client.limiter import FIRST_LOOK, LONGER, BackoffTrial, Count


def tried(before: Count, after: Count, places: float = 8.0) -> tuple[bool, float]:
    trial = BackoffTrial()
    trial.begin(before, places)
    assert trial.is_on
    return trial.end(after), trial.tolerated


def test_any_refusal_is_a_sign_of_load_until_something_else_is_known() -> None:
    assert BackoffTrial().is_load(Count(seen=1000, refused=1))


@pytest.mark.parametrize(
    "before, after, for_nothing, tolerated",
    [
        (Count(2, 1), Count(32, 0), False, 0.0),  # gone at half the places: it was our load
        (Count(3, 1), Count(32, 10), True, 10 / 32),  # as before: it was not
        (Count(60, 50), Count(32, 8), False, 8 / 32),  # much less than before: some of it was
        (Count(4, 4), Count(32, 20), False, 0.0),  # more than is ever tolerated
    ],
)
def test_what_half_the_places_do_not_mend_is_tolerated(
    before: Count, after: Count, for_nothing: bool, tolerated: float
) -> None:
    assert tried(before, after, places=16.0) == (for_nothing, tolerated)


def test_refusals_as_rare_as_growth_itself_brings_them_are_not_tried() -> None:
    trial = BackoffTrial()
    trial.begin(Count(seen=150, refused=1), places=20.0)
    assert not trial.is_on


def test_a_trial_lasts_longer_where_something_is_refused() -> None:
    trial = BackoffTrial()
    trial.begin(Count(1, 1), places=4.0)
    looks = [Count(FIRST_LOOK - 1, 0), Count(FIRST_LOOK, 0), Count(FIRST_LOOK, 1), Count(LONGER * FIRST_LOOK, 1)]
    assert [trial.is_over(count) for count in looks] == [False, True, False, True]


def test_a_storm_during_a_trial_cuts_again() -> None:
    trial = BackoffTrial()
    trial.begin(Count(1, 1), places=8.0)
    assert (trial.is_load(Count(4, 4)), trial.is_load(Count(8, 8))) == (False, True)


def test_what_is_tolerated_falls_with_what_comes_and_never_rises_without_a_trial() -> None:
    trial = BackoffTrial()
    trial.tolerated = 0.2
    trial.expect(Count(100, 30))
    assert trial.tolerated == 0.2
    trial.expect(Count(100, 5))
    assert trial.tolerated == 0.05
