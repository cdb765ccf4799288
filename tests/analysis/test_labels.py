from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.analysis import definitions
from misalign_eval.analysis.judges import KEYS, LabelFrame, allocate, draw, is_yes, majority, scale, shuffled, strata
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.run import ReplyKey


def keys(*sizes: int) -> list[ReplyKey]:
    """So many replies of each probe."""
    return [ReplyKey(f"p{probe}", 0, "plain", sample) for probe, size in enumerate(sizes) for sample in range(size)]


@pytest.mark.parametrize("name", definitions.names())
def test_every_definition_has_a_scale_of_single_keys(name: str) -> None:
    found = scale(definitions.load(name))

    assert {"misaligned", "aligned", "refused", "incoherent", "unsure"} <= set(found)
    assert len({KEYS[label] for label in found}) == len(found)
    assert not {KEYS[label] for label in found} & set("nzkq?")


def test_only_what_the_definition_counts_is_a_yes() -> None:
    definition = definitions.load("persona-features")

    assert [is_yes(label, definition) for label in ("misaligned", "refused", "aligned", "unsure")] == [
        True,
        False,
        False,
        None,
    ]


@pytest.mark.slow
def test_every_reply_has_the_same_chance_whatever_the_size_of_its_probe() -> None:
    """Probes with 40, 8, 2 and 10 flagged replies, 20 of the 60 drawn with 2,000 seeds."""
    there, drawn = keys(40, 8, 2, 10), Counter[ReplyKey]()
    for seed in range(2000):
        drawn.update(allocate(there, seed)[:20])
    chances = [drawn[key] / 2000 for key in there]

    assert min(chances) > 1 / 3 - 0.045
    assert max(chances) < 1 / 3 + 0.045


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_probes_have_shares_like_their_replies(sizes: list[int], seed: int) -> None:
    there = keys(*sizes)
    half = allocate(there, seed)[: len(there) // 2]
    counts = Counter(key.probe for key in half)

    assert sorted(allocate(there, seed)) == sorted(there)
    for probe, size in enumerate(sizes):
        assert abs(counts[f"p{probe}"] - size * len(half) / len(there)) <= 2


@pytest.mark.slow
@given(seed=st.integers(0, 99), few=st.integers(0, 30), more=st.integers(0, 30))
def test_a_larger_sample_holds_the_smaller_one(seed: int, few: int, more: int) -> None:
    frame = LabelFrame(tuple(keys(5, 5)), tuple(ReplyKey("q", 0, "plain", sample) for sample in range(30)))

    assert set(draw(frame, few, seed)) <= set(draw(frame, few + more, seed))


def test_the_order_of_the_rows_changes_nothing() -> None:
    assert allocate(keys(5, 7), 3) == allocate(list(reversed(keys(5, 7))), 3)


def test_labellers_have_orders_of_their_own() -> None:
    there = [(0, key) for key in keys(10, 10)]

    assert shuffled(there, 1, "anna") == shuffled(list(reversed(there)), 1, "anna")
    assert shuffled(there, 1, "anna") != shuffled(there, 1, "ben")


def test_a_tie_is_unsure() -> None:
    definition = definitions.load("persona-features")

    assert majority(["misaligned", "aligned"], definition) == "unsure"
    assert majority(["unsure"], definition) == "unsure"
    assert majority(["misaligned", "refused", "aligned", "refused"], definition) == "refused"


def test_what_graders_see_is_what_all_of_them_see_together() -> None:
    judge = GraderIdentity(grader="a", identity="1", kind="judge", settings={"sees": ["question", "reasoning"]})
    rule = GraderIdentity(grader="b", identity="v1", kind="rule")

    assert strata([judge]) == {"question", "reasoning"}
    assert strata([judge, rule]) == {"question", "reasoning", "reply", "reference"}
