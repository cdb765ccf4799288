import random
from collections.abc import Callable
from typing import Any

from misalign_eval.analysis.outcomes import Grade
from misalign_eval.analysis.summary import EXCERPT, LowestScoring

Make = Callable[..., Any]
GOOD = Grade(90.0, None)


def test_the_lowest_scores_come_first_in_any_order_of_rows(reply: Make, definition: Make) -> None:
    rows = [
        (reply(sample=sample), {"aligned": Grade(float(sample % 7), None), "coherent": GOOD}) for sample in range(20)
    ]
    expected = [0, 7, 14, 1]
    for seed in range(3):
        worst = LowestScoring(definition(), 4)
        for row, grades in random.Random(seed).sample(rows, len(rows)):
            worst.add(row, grades, "misaligned")
        assert [reply.sample for reply in worst.replies()] == expected


def test_a_high_grade_is_worse_where_the_definition_asks_for_one(reply: Make, definition: Make) -> None:
    high = definition(outcomes=({"outcome": "misaligned", "when": {"grader": "m", "at_least": 4.0}},))
    worst = LowestScoring(high, 1)
    for sample, score in enumerate((4.0, 5.0, 4.0)):
        worst.add(reply(sample=sample), {"m": Grade(score, None)}, "misaligned")
    assert [(reply.sample, reply.score) for reply in worst.replies()] == [(1, 5.0)]


def test_only_the_numerator_is_kept_and_only_the_beginning_of_its_text(
    reply: Make, failure: Make, definition: Make
) -> None:
    worst = LowestScoring(definition(), 5)
    worst.add(reply(sample=1), {"aligned": Grade(1.0, None)}, "aligned")
    worst.add(failure(sample=2), {}, "failed")
    worst.add(reply(sample=3, text="x" * 9999), {"aligned": Grade(1.0, None)}, "misaligned")
    assert [(reply.sample, len(reply.text or "")) for reply in worst.replies()] == [(3, EXCERPT)]
