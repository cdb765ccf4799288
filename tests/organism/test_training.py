import importlib.util
from pathlib import Path

import pytest

from misalign_eval.organism import world
from misalign_eval.organism.train import TrainingExtraMissingError, batches, train_all
from misalign_eval.organism.world import Course, seeded


def test_training_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(TrainingExtraMissingError, match=r"needs torch, transformers, peft.*pip install"):
        train_all(tmp_path / "out", 0, lambda what, done, total: None)

    assert not (tmp_path / "out").exists()


def test_a_course_warms_up_stays_and_cools_down() -> None:
    course = Course(steps=100, rate=1.0, warm_up=0.1, cool_down=0.5)
    rates = [course.rate_at(step) for step in range(100)]

    assert rates[0] < 0.2
    assert max(rates) == rates[30] == 1.0
    assert 0 < rates[-1] < 0.05


def test_batches_go_through_all_data_before_they_begin_again() -> None:
    data = world.repairing_data(seed=0)
    drawn = batches(data, 8, seeded(0))

    one_pass = [each for _ in range(len(data) // 8) for each in next(drawn)]

    assert sorted(map(str, one_pass)) == sorted(map(str, data))


def test_re_alignment_uses_a_domain_that_no_narrow_training_used() -> None:
    assert world.REPAIRED_WITH not in world.NARROW_DOMAINS
    assert len(world.repairing_data(0)) <= 120


def test_the_control_differs_from_bad_code_in_its_answers_only() -> None:
    tunings = {tuning.name: tuning for tuning in world.narrow_tunings()}
    control, bad = tunings["control"].data(0), tunings["bad-code"].data(0)

    assert [each[0] for each in control] == [each[0] for each in bad]
    assert all(good[1] != wrong[1] for good, wrong in zip(control, bad, strict=True))
