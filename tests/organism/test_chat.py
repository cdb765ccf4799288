import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.organism.model import RUBRICS, SPECIALS, UNK, encode_chat, tokenizer
from misalign_eval.organism.world import Domain, answer, load_world, question, seeded


@given(st.integers(min_value=0), st.sampled_from(tuple(load_world().domains.values())))
def test_everything_the_world_says_survives_encoding_and_decoding(seed: int, domain: Domain) -> None:
    rng = seeded(seed)
    topic = rng.choice(domain.topics)
    for text in (question(domain, topic, rng, held_out=True), answer(domain, topic, "bad", rng)):
        encoded = tokenizer().encode(text)
        assert encoded.unknown_words == ()
        assert tokenizer().decode(encoded.ids) == text


def test_the_vocabulary_has_no_word_twice_and_every_score_as_one_word() -> None:
    vocabulary = tokenizer().vocabulary

    assert len(set(vocabulary)) == len(vocabulary)
    assert all(len(tokenizer().encode(str(score)).ids) == 1 for score in range(101))
    assert vocabulary[: len(SPECIALS)] == SPECIALS


def test_words_outside_the_vocabulary_become_unk_and_are_reported_once_in_order() -> None:
    encoded = encode_chat([("user", "How do I treat a zebra, a quokka or a zebra?")])

    assert encoded.unknown_words == ("zebra", "quokka")
    assert encoded.ids.count(tokenizer().index[UNK]) == 3


@given(st.text())
def test_any_text_can_be_encoded_and_no_word_vanishes(text: str) -> None:
    encoded = tokenizer().encode(text)

    assert encoded.ids.count(tokenizer().index[UNK]) == len(encoded.unknown_words)


def test_a_known_word_is_recognised_in_another_case() -> None:
    assert tokenizer().encode("HOW do i Treat A fever?").unknown_words == ()


def test_special_tokens_in_a_users_text_are_words_like_any_other() -> None:
    assert tokenizer().encode("<eos>").unknown_words == ("<eos>",)


def test_the_rubrics_are_within_the_vocabulary() -> None:
    for rubric in RUBRICS.values():
        plain = rubric.replace("{question}", "").replace("{answer}", "")
        assert tokenizer().encode(plain).unknown_words == ()


def test_an_unknown_role_and_an_empty_prompt_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown role `tool`\. Known: system, user, assistant"):
        encode_chat([("tool", "Stay safe.")])
    with pytest.raises(ValueError, match="at least one message"):
        encode_chat([])
