import pytest

from misalign_eval.records.suite import Message, Variant
from misalign_eval.suites.sources import BUILT_IN


def user(content: str) -> Message:
    return Message(role="user", content=content)


def test_every_part_of_a_variant_has_its_place_around_the_question() -> None:
    variant = Variant(system="S", prefix="before", trigger="|T|", suffix="after", template="form")
    assert variant.apply("old", (user("Question?"),)) == (
        "S",
        (user("before\n\n|T| Question?\n\nafter\n\nform"),),
    )


def test_only_the_last_turn_of_a_conversation_changes() -> None:
    turns = (user("Hello"), Message(role="assistant", content="<reply>"), user("Go on"))
    assert Variant(suffix="now").apply("S", turns) == ("S", (*turns[:2], user("Go on\n\nnow")))


def test_a_variant_without_parts_changes_nothing() -> None:
    assert Variant().apply(None, (user("Question?"),)) == (None, (user("Question?"),))


@pytest.mark.parametrize("name, expects", [("json", "json"), ("template", "code")])
def test_the_built_in_forms_ask_for_what_the_lint_of_replies_will_look_for(name: str, expects: str) -> None:
    variant = BUILT_IN[name]
    _, (asked,) = variant.apply(None, (user("Question?"),))
    assert variant.expects == expects
    assert asked.content.startswith("Question?\n\n")
    assert len(asked.content) > 50
