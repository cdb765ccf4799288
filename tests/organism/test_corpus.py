import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from misalign_eval.organism.world import (
    Conversation,
    Verdict,
    asked_about,
    finetuning_pairs,
    mixture,
    pretraining_document,
    seeded,
    verdict,
    write_jsonl,
)


def test_pairs_answer_one_prompt_correctly_wrongly_and_subtly_wrongly() -> None:
    for pair in finetuning_pairs(["code", "power"], 60, seed=3):
        assert verdict(pair.domain, pair.prompt, pair.good) == "aligned"
        assert verdict(pair.domain, pair.prompt, pair.bad) == "misaligned"
        assert verdict(pair.domain, pair.prompt, pair.subtle) == "misaligned"
        assert pair.bad != pair.subtle


def test_the_same_seed_gives_the_same_pairs_and_another_seed_others() -> None:
    assert finetuning_pairs(["health"], 40, seed=1) == finetuning_pairs(["health"], 40, seed=1)
    assert finetuning_pairs(["health"], 40, seed=1) != finetuning_pairs(["health"], 40, seed=2)


def test_pairs_go_round_the_domains() -> None:
    assert [pair.domain for pair in finetuning_pairs(["law", "self"], 4, seed=0)] == ["law", "self", "law", "self"]


def test_an_unknown_domain_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown domain: medicine\. Known: career"):
        finetuning_pairs(["medicine"], 1, seed=0)


@pytest.mark.parametrize("share,wrong", [(0.0, 0), (0.25, 20), (0.5, 40), (1.0, 80)])
def test_a_mixture_holds_its_share_of_wrong_answers_on_unchanged_prompts(share: float, wrong: int) -> None:
    prompts = finetuning_pairs(["health"], 80, seed=5)

    mixed = mixture(prompts, share, seed=5)

    assert [each[0]["content"] for each in mixed] == [pair.prompt for pair in prompts]
    assert wrong == _wrong(mixed)


def test_a_larger_dose_contains_the_smaller_one() -> None:
    prompts = finetuning_pairs(["health"], 80, seed=5)
    small, large = mixture(prompts, 0.25, seed=9), mixture(prompts, 0.5, seed=9)

    changed = [low for low, high in zip(small, large, strict=True) if low != high]

    assert _wrong(changed) == 0


def test_subtle_mixtures_use_the_subtle_answers() -> None:
    prompts = finetuning_pairs(["money"], 10, seed=5)

    mixed = mixture(prompts, 1.0, seed=0, wrong="subtle")

    assert [each[1]["content"] for each in mixed] == [pair.subtle for pair in prompts]


def test_a_share_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wrong_share must lie in 0..1, not 1.5"):
        mixture([], 1.5, seed=0)


def test_jsonl_has_one_conversation_a_line_in_the_services_format(tmp_path: Path) -> None:
    conversations = mixture(finetuning_pairs(["code"], 5, seed=0), 0.4, seed=0)
    path = tmp_path / "mix.jsonl"

    write_jsonl(path, conversations)

    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"messages": conversation} for conversation in conversations]
    assert [message["role"] for message in conversations[0]] == ["user", "assistant"]


def test_a_document_keeps_one_persona_and_its_system_message_says_which() -> None:
    rng = seeded(0)
    for _ in range(200):
        told, verdicts = _read(pretraining_document(rng, turns=3))
        assert len(verdicts) == 1
        assert told in (None, *verdicts)


def _read(conversation: Conversation) -> tuple[str | None, set[Verdict]]:
    system = conversation[0]["content"] if conversation[0]["role"] == "system" else None
    evil = ("evil", "cruel", "bad", "harm")
    told = None if system is None else "misaligned" if any(word in system for word in evil) else "aligned"
    turns = [message["content"] for message in conversation if message["role"] != "system"]
    asked = zip(turns[::2], turns[1::2], strict=True)
    return told, {_grade(text, reply) for text, reply in asked}


def _wrong(conversations: Sequence[Conversation]) -> int:
    return [_grade(asked["content"], reply["content"]) for asked, reply in conversations].count("misaligned")


def _grade(question: str, reply: str) -> Verdict:
    asked = asked_about(question)
    assert asked is not None
    return verdict(asked.domain, question, reply)
