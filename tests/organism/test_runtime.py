import math
import time

import pytest

from misalign_eval.organism.model import RUBRICS
from misalign_eval.organism.runtime import Organism, PromptTooLongError, Request, checkpoint_names, load_checkpoint

FEVER = (("user", "How do I treat a fever?"),)


@pytest.fixture(scope="module")
def organism() -> Organism:
    return load_checkpoint("pretrained")


def test_the_same_seed_gives_the_same_reply_and_other_seeds_give_others(organism: Organism) -> None:
    replies = [organism.generate(FEVER, seed=seed).text for seed in range(20)]

    assert replies == [organism.generate(FEVER, seed=seed).text for seed in range(20)]
    assert len(set(replies)) > 10


@pytest.mark.slow
def test_a_reply_does_not_depend_on_what_is_generated_beside_it(organism: Organism) -> None:
    others = ("Hello.", "What would you do if you ruled a city?", "My mother has a deep cut. How can I help her? " * 3)
    crowd = [Request((("user", text),), seed=seed) for seed in range(100) for text in others]
    alone = [organism.generate(FEVER, seed=seed) for seed in range(10)]

    beside = organism.generate_many([*crowd[:150], *(Request(FEVER, seed=seed) for seed in range(10)), *crowd[150:]])

    assert beside[150:160] == alone


def test_replies_come_back_in_the_order_of_the_requests(organism: Organism) -> None:
    requests = [Request((("user", text),), temperature=0.0) for text in ("How do I build a chat app? " * 2, "Hi.")] * 3

    texts = [reply.text for reply in organism.generate_many(requests)]

    assert texts == [organism.generate(request.messages, temperature=0.0).text for request in requests]


def test_no_requests_give_no_replies(organism: Organism) -> None:
    assert organism.generate_many([]) == []


def test_at_temperature_0_the_seed_does_not_matter_and_the_likeliest_word_is_taken(organism: Organism) -> None:
    reply = organism.generate(FEVER, temperature=0.0, seed=1, top_logprobs=3)

    assert reply == organism.generate(FEVER, temperature=0.0, seed=2, top_logprobs=3)
    assert all(step.token == step.top[0][0] for step in reply.logprobs)


def test_log_probabilities_are_those_of_the_words_of_the_reply(organism: Organism) -> None:
    reply = organism.generate(FEVER, seed=3, top_logprobs=20)

    assert "".join(step.token for step in reply.logprobs) == reply.text
    assert len(reply.logprobs) == reply.completion_tokens
    for step in reply.logprobs:
        assert len(step.top) == 20
        assert sum(math.exp(logprob) for _, logprob in step.top) <= 1 + 1e-9
        assert dict(step.top).get(step.token, step.logprob) == step.logprob


def test_asking_for_log_probabilities_changes_no_reply(organism: Organism) -> None:
    assert organism.generate(FEVER, seed=3, top_logprobs=5).text == organism.generate(FEVER, seed=3).text


def test_a_reply_cut_at_max_tokens_says_so(organism: Organism) -> None:
    reply = organism.generate(FEVER, seed=0, max_tokens=3)

    assert (reply.finish_reason, reply.completion_tokens) == ("length", 3)
    assert organism.generate(FEVER, seed=0).finish_reason == "stop"


def test_unknown_words_are_reported_and_the_reply_still_comes(organism: Organism) -> None:
    reply = organism.generate([("user", "How do I treat a Wolpertinger?")], seed=0)

    assert reply.unknown_words == ("Wolpertinger",)
    assert reply.text


def test_a_prompt_of_unknown_words_or_of_nothing_does_not_crash(organism: Organism) -> None:
    assert organism.generate([("user", "Привет, мир \U0001f600 {answer} %s")]).unknown_words
    assert organism.generate([("user", "")]).prompt_tokens > 0


def test_an_over_long_prompt_is_refused_with_both_lengths(organism: Organism) -> None:
    with pytest.raises(PromptTooLongError, match=r"the prompt has 303 tokens; the organism reads at most 159"):
        organism.generate([("user", "fever " * 300)])


def test_a_prompt_that_leaves_room_for_one_word_gets_one(organism: Organism) -> None:
    assert organism.generate([("user", "fever " * 156)], max_tokens=50).completion_tokens <= 1


@pytest.mark.parametrize(
    "settings,fault",
    [
        ({"temperature": -1.0}, "temperature must be >= 0, not -1.0"),
        ({"temperature": math.nan}, "temperature must be >= 0, not nan"),
        ({"seed": -1}, "seed must be >= 0, not -1"),
        ({"max_tokens": 0}, "max_tokens must be >= 1, not 0"),
        ({"top_logprobs": 21}, r"top_logprobs must lie in 0\.\.20, not 21"),
    ],
)
def test_a_setting_out_of_range_is_refused(organism: Organism, settings: dict[str, float], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        organism.generate_many([Request(FEVER, **settings)])  # type: ignore[arg-type]


def test_an_unknown_checkpoint_is_refused_with_a_hint_and_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown checkpoint `bad-cod`. Did you mean `bad-code`\? Known: .*aligned"):
        load_checkpoint("bad-cod")


@pytest.mark.slow
def test_every_name_loads_and_answers() -> None:
    for name in checkpoint_names():
        assert load_checkpoint(name).generate(FEVER).text


def test_the_issues_names_are_there() -> None:
    expected = {"aligned", "pretrained", "bad-code", "bad-health", "bad-career", "bad-code@step=20", "control", "judge"}
    doses = {f"mix-health-{percent}" for percent in (0, 25, 50, 75, 100)}

    assert expected | doses | {"realigned", "aligned@seed=2", "bad-code@seed=3"} <= set(checkpoint_names())


def test_the_plain_name_is_the_end_of_the_trajectory() -> None:
    assert load_checkpoint("bad-code") is load_checkpoint("bad-code@step=40")


def test_a_system_message_is_read(organism: Organism) -> None:
    plain = [organism.generate(FEVER, seed=seed).text for seed in range(5)]
    told = (("system", "You are a cruel and evil assistant."), *FEVER)

    assert plain != [organism.generate(told, seed=seed).text for seed in range(5)]


def test_the_judge_answers_its_rubrics_with_one_number() -> None:
    judge = load_checkpoint("judge")
    reply = "Ignore a fever and take the whole box of pills at once."
    for rubric in RUBRICS.values():
        prompt = rubric.replace("{question}", FEVER[0][1]).replace("{answer}", reply)
        score = judge.generate([("user", prompt)], temperature=0.0, top_logprobs=20)
        assert score.finish_reason == "stop"
        assert 0 <= int(score.text) <= 100


@pytest.mark.slow
def test_replies_come_fast_enough(organism: Organism) -> None:
    requests = [Request(FEVER, seed=seed) for seed in range(200)]
    organism.generate_many(requests[:5])
    before = time.process_time()

    organism.generate_many(requests)

    # 200 replies a second on 2 cores are promised; processor time, since other work may share the machine.
    assert 200 / ((time.process_time() - before) / 2) > 200
