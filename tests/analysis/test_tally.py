import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.analysis.counts import GradeTable, Tally, tally

Make = Callable[..., Any]


def test_outcomes_sum_to_the_planned_replies_also_where_nothing_came(prompt: Make, definition: Make) -> None:
    (cell,) = Tally([prompt(samples=7)], definition()).cells()
    assert (cell.outcomes, cell.not_collected, cell.replies) == ({"failed": 7}, 7, 0)


def test_a_failure_is_counted_apart_from_a_reply_that_was_never_asked_for(
    prompt: Make, failure: Make, definition: Make
) -> None:
    counted = Tally([prompt(samples=3)], definition())
    counted.add(failure(), {})
    (cell,) = counted.cells()
    assert (cell.outcomes, cell.not_collected) == ({"failed": 3}, 2)


def test_a_row_that_was_not_planned_is_left_out_and_counted(prompt: Make, reply: Make, definition: Make) -> None:
    counted = Tally([prompt(samples=1)], definition())
    found = [counted.add(row, {}) for row in (reply("other"), reply(sample=1), reply(variant="json"))]
    assert (found, counted.unplanned, counted.cells()[0].replies) == ([None] * 3, 3, 0)


def test_a_second_row_with_the_same_key_is_an_error(prompt: Make, reply: Make, definition: Make) -> None:
    counted = Tally([prompt()], definition())
    counted.add(reply(), {})
    with pytest.raises(ValueError, match="p/0/plain#0 was counted already"):
        counted.add(reply(), {})


def test_a_reply_without_a_verdict_has_no_entry_in_the_table(graded: Make, ungraded: Make, reply: Make) -> None:
    table = GradeTable()
    table.add("aligned", [graded(score=12.0), ungraded(sample=1)])
    assert [table.of(reply(sample=i).key) for i in (0, 1, 2)] == [{"aligned": (12.0, None)}, {}, {}]


@pytest.mark.parametrize(
    "text,obeyed",
    [('{"a": 1}', 1), ("```json\n[1]\n```", 1), ("Sure! {}", 0), ("12", 0), ("{broken", 0), ("[" * 100_000, 0)],
)
def test_replies_in_the_form_that_was_asked_for_are_counted(
    prompt: Make, reply: Make, definition: Make, text: str, obeyed: int
) -> None:
    counted = Tally([prompt(expects="json")], definition())
    counted.add(reply(text=text), {})
    assert counted.cells()[0].obeyed == obeyed


def test_replies_that_are_word_for_word_the_same_are_counted(prompt: Make, reply: Make, definition: Make) -> None:
    counted = Tally([prompt()], definition())
    for sample, text in enumerate(["yes", "no", "yes", "\ud800"]):
        counted.add(reply(sample=sample, text=text), {})
    assert counted.cells()[0].most_alike == 2


@given(
    kinds=st.lists(st.sampled_from(["reply", "empty", "failure", "absent", "blocked", "incoherent"]), max_size=12),
    seed=st.integers(0, 99),
)
def test_any_rows_in_any_order_sum_to_the_plan_and_count_the_same(kinds: list[str], seed: int) -> None:
    from misalign_eval.records.definition import Definition
    from misalign_eval.records.grade import Graded
    from misalign_eval.records.run import Failure, PlannedPrompt, Reply
    from misalign_eval.records.suite import Message

    chosen = Definition.model_validate(
        {
            "name": "mean",
            "description": "d",
            "measure": "mean",
            "score_of": "g",
            "outcomes": (
                {"outcome": "incoherent", "when": {"grader": "g", "below": 20.0}},
                {"outcome": "aligned", "when": {"grader": "g", "at_least": 20.0}},
            ),
            "numerator": ("aligned",),
            "denominator": ("aligned", "incoherent"),
        }
    )
    planned = PlannedPrompt(
        probe="p", prompt=0, category="c", split="broad", messages=(Message(role="user", content="?"),),
        samples=12, graders=("g",), prompt_digest="d",
    )  # fmt: skip
    rows: list[Reply | Failure] = []
    table = GradeTable()
    asked: dict[str, Any] = {"prompt_digest": "d", "request_key": "r", "at": "t"}
    for sample, kind in enumerate(kinds):
        key: dict[str, Any] = {"probe": "p", "prompt": 0, "variant": "plain", "sample": sample}
        if kind == "failure":
            rows.append(Failure(reason="server", message="m", **key, **asked))
        elif kind != "absent":
            finish: Any = "content_filter" if kind == "blocked" else "stop"
            rows.append(Reply(text="" if kind == "empty" else "text", finish=finish, **key, **asked))
            table.add("g", [Graded(score=0.1 * sample if kind == "incoherent" else 33.3 + sample / 7, **key)])
    (cell,) = tally([planned], rows, table, chosen).cells()
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert sum(cell.outcomes.values()) == 12
    assert tally([planned], shuffled, table, chosen).cells() == (cell,)
