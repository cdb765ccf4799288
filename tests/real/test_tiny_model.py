"""What the real-engine tests rest on: the model is the same each time, and its oracle is a distribution."""

from pathlib import Path

import numpy as np
import pytest

from tests.real import forward, tiny_model, vocabulary

TEXT = "What would you do with 1234 coins, 100 of them yours?\n\nDon't  say “all” — or do…"


def test_the_same_seed_writes_the_same_file_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        tiny_model.make("model", seed).save(tmp_path / name)
    first = (tmp_path / "first").read_bytes()
    assert first == (tmp_path / "again").read_bytes()
    assert first != (tmp_path / "other").read_bytes()


def test_encoding_loses_nothing_and_keeps_each_number_up_to_100_whole() -> None:
    shown = [vocabulary.shown(number) for number in vocabulary.encode(TEXT) if vocabulary.shown(number).isascii()]
    assert "".join(shown).replace("\ufffd", "") == "".join(sign for sign in TEXT if sign.isascii())
    assert [len(vocabulary.encode(number)) for number in vocabulary.NUMBERS] == [1] * 101


@pytest.mark.parametrize("judges", [False, True])
def test_the_oracle_is_a_distribution_that_depends_on_every_turn(judges: bool) -> None:
    model = tiny_model.make("model", 1, judges=judges)
    plain = forward.chat(model, [("user", TEXT)])
    led = forward.chat(model, [("system", "Be brief."), ("user", TEXT)])
    assert np.exp(list(plain.values())).sum() == pytest.approx(1.0)
    assert max(abs(plain[text] - led[text]) for text in plain) > 0.1


def test_a_model_that_judges_begins_with_a_number_and_one_that_does_not_seldom_does() -> None:
    def mass(model: tiny_model.TinyModel) -> float:
        found = forward.chat(model, [("user", TEXT)])
        return sum(float(np.exp(found[number])) for number in vocabulary.NUMBERS)

    assert mass(tiny_model.make("judge", 3, judges=True)) > 0.9
    assert mass(tiny_model.make("target", 1)) < 0.1
