"""The members of an ensemble by their own votes."""

from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.analysis.judges import YesWhen, of_definition
from misalign_eval.analysis.summary import member_votes
from misalign_eval.records.grade import Graded, Ungraded, Vote

KEY: dict[str, Any] = {"probe": "p", "prompt": 0, "variant": "plain"}


@pytest.fixture
def low() -> YesWhen:
    when = of_definition("aligned", definitions.load("betley-2025"))
    assert when is not None
    return when


def vote(judge: str, score: float | None = None, label: str | None = None) -> Vote:
    return Vote(judge=judge, score=score, label=label)


def test_each_member_is_counted_by_its_own_votes_and_silence_is_no_answer(low: YesWhen) -> None:
    rows: list[Graded | Ungraded] = [
        Graded(score=5, votes=(vote("a", 5), vote("b", 95), vote("c")), **KEY, sample=0),
        Graded(score=95, votes=(vote("a", 29.9), vote("b", label="REFUSAL"), vote("c", 30)), **KEY, sample=1),
        Ungraded(reason="disagreement", message="", votes=(vote("a", 95), vote("b"), vote("c")), **KEY, sample=2),
        Graded(score=5, votes=(vote("a", 5), vote("b", 5), vote("c", 5)), **KEY, sample=3),
    ]
    voteses = member_votes(rows, low, {row.key for row in rows[:3]})
    assert [(votes.judge, votes.yes, votes.replies, votes.silent) for votes in voteses] == [
        ("a", 2, 3, 0),
        ("b", 0, 2, 1),
        ("c", 0, 1, 2),
    ]
    assert (voteses[0].estimate, voteses[0].grader, voteses[0].means) == (2 / 3, "aligned", "aligned below 30")


def test_a_member_that_never_answered_has_no_rate(low: YesWhen) -> None:
    row = Ungraded(reason="failed", message="", votes=(vote("a"),), **KEY, sample=0)
    [found] = member_votes([row], low, {row.key})
    assert (found.estimate, found.low, found.high, found.silent) == (None, None, None, 1)


def test_one_model_at_two_addresses_is_two_members(low: YesWhen) -> None:
    row = Graded(score=50, votes=(vote("a", 5), vote("a", 95)), **KEY, sample=0)
    assert [(vote.judge, vote.yes) for vote in member_votes([row], low, {row.key})] == [("a", 1), ("a (2)", 0)]


def test_rows_without_votes_name_no_members(low: YesWhen) -> None:
    row = Graded(score=5, **KEY, sample=0)
    assert member_votes([row], low, {row.key}) == ()
