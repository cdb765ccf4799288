from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misalign_eval.errors import UsageError
from misalign_eval.plan import Selection, estimate, first_messages, plan, prompt_digest, request_key, request_seed
from misalign_eval.records.definition import Definition, OutcomeRule, When
from misalign_eval.records.run import ExpectedAnswer, RunPlanRecord, TargetInfo
from misalign_eval.records.suite import Message, Probe, Sampling, Suite, Variant

TARGET = TargetInfo(provider="openai-compatible", model="m", host="localhost:8000")


def user(content: str) -> Message:
    return Message(role="user", content=content)


def probe(name: str, *questions: str, **settings: object) -> Probe:
    return Probe.model_validate(
        {
            "id": name,
            "category": "power",
            "split": "broad",
            "prompts": tuple((user(question),) for question in questions or (f"What of {name}?",)),
            "graders": ("aligned", "coherent"),
            **settings,
        }
    )


def suite(*probes: Probe, **variants: Variant) -> Suite:
    return Suite(
        name="sample",
        version="1.0.0",
        description="d",
        licence="MIT",
        definition=Definition(
            name="d",
            description="d",
            outcomes=(OutcomeRule(outcome="aligned", when=When(grader="aligned", at_least=0)),),
            denominator=("aligned", "misaligned"),
        ),
        probes=probes,
        variants=variants,
        digest="0" * 16,
        file="sample.yaml",
    )


def names(record: RunPlanRecord) -> list[tuple[str, int, str]]:
    return [prompt.cell for prompt in record.prompts]


MANY = suite(*(probe(f"p{number}", "first?", "second?") for number in range(12)))


def test_every_prompt_is_planned_in_its_plain_form_and_in_each_variant() -> None:
    made = plan(suite(probe("a", "one?", "two?", variants=("loud",)), probe("b"), loud=Variant(suffix="Shout.")))
    assert sorted(names(made)) == [
        ("a", 0, "loud"),
        ("a", 0, "plain"),
        ("a", 1, "loud"),
        ("a", 1, "plain"),
        ("b", 0, "plain"),
    ]


def test_a_variant_reaches_the_planned_messages_and_what_it_expects_is_kept() -> None:
    variant = Variant(suffix="In JSON.", system="Be terse.", expects="json")
    made = plan(suite(probe("a", "one?", variants=("mine",)), mine=variant))
    found = {prompt.variant: prompt for prompt in made.prompts}
    assert (found["mine"].system, found["mine"].messages) == ("Be terse.", (user("one?\n\nIn JSON."),))
    assert (found["mine"].expects, found["plain"].expects) == ("json", None)
    assert (found["plain"].system, found["plain"].messages) == (None, (user("one?"),))


def test_the_seed_shuffles_and_the_same_seed_shuffles_alike() -> None:
    assert plan(MANY, seed=1) == plan(MANY, seed=1)
    assert names(plan(MANY, seed=1)) != names(plan(MANY, seed=2))
    assert sorted(names(plan(MANY, seed=1))) == sorted(names(plan(MANY, seed=2)))


def test_without_a_seed_the_order_is_that_of_seed_zero() -> None:
    unseeded = plan(MANY)
    assert unseeded.seed is None
    assert names(unseeded) == names(plan(MANY, seed=0))


def test_a_selection_keeps_the_order_of_what_is_left() -> None:
    some = Selection(probes=("p1", "p5", "p7"))
    whole = [name for name in names(plan(MANY, seed=3)) if name[0] in some.probes]
    assert names(plan(MANY, seed=3, select=some)) == whole


def test_flags_replace_what_the_suite_says_and_leave_the_rest() -> None:
    one = suite(probe("a", sampling=Sampling(temperature=1.0, max_tokens=600), samples_per_prompt=5))
    (prompt,) = plan(one, overrides=Sampling(temperature=0.0), samples=2).prompts
    assert prompt.sampling == Sampling(temperature=0.0, max_tokens=600)
    assert prompt.samples == 2
    assert plan(one).replies == 5


CHOICE = suite(
    probe("a", category="power", tags=("short",)),
    probe("b", category="money", tags=("short", "sad")),
    probe("c", category="money"),
)


@pytest.mark.parametrize(
    "select, chosen",
    [
        (Selection(), ["a", "b", "c"]),
        (Selection(tags=("sad",)), ["b"]),
        (Selection(tags=("sad", "short")), ["a", "b"]),
        (Selection(categories=("money",)), ["b", "c"]),
        (Selection(categories=("money",), tags=("short",)), ["b"]),
        (Selection(probes=("c", "a")), ["a", "c"]),
        (Selection(limit=2), ["a", "b"]),
        (Selection(categories=("money",), limit=1), ["b"]),
        (Selection(limit=99), ["a", "b", "c"]),
    ],
)
def test_names_of_one_kind_add_up_and_kinds_narrow_each_other(select: Selection, chosen: list[str]) -> None:
    assert sorted(name for name, _, _ in names(plan(CHOICE, select=select))) == chosen


@pytest.mark.parametrize(
    "select, message",
    [
        (Selection(tags=("shrt",)), "--tag shrt: the suite has no such tag. Did you mean `short`?"),
        (Selection(categories=("mony",)), "--category mony: the suite has no such category. Did you mean `money`?"),
        (Selection(probes=("zzz",)), "--probe zzz: the suite has no such probe. Known: a, b, c."),
        (
            Selection(tags=("sad",), categories=("power",)),
            "suite `sample` has no probe that fits every one of --tag, --category and --probe",
        ),
        (Selection(limit=0), "--limit 0: at least 1"),
    ],
)
def test_a_selection_without_probes_is_an_error_that_helps(select: Selection, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan(CHOICE, select=select)
    assert str(raised.value) == message


def test_a_selection_is_told_as_it_was_given() -> None:
    assert Selection().as_given() == {}
    assert Selection(tags=("a",), limit=3).as_given() == {"tags": ["a"], "limit": 3}


def test_no_samples_at_all_are_refused() -> None:
    with pytest.raises(UsageError, match="--samples 0: at least 1"):
        plan(CHOICE, samples=0)


def test_the_prompt_digest_is_of_what_is_asked_and_of_nothing_else() -> None:
    digest = prompt_digest(None, [user("one?")], "plain")
    others = {
        prompt_digest("S", [user("one?")], "plain"),
        prompt_digest("", [user("one?")], "plain"),
        prompt_digest(None, [user("two?")], "plain"),
        prompt_digest(None, [Message(role="assistant", content="one?")], "plain"),
        prompt_digest(None, [user("one?")], "json"),
        prompt_digest(None, [user("one?"), user("one?")], "plain"),
    }
    # sha256 of {"messages":[["user","one?"]],"system":null,"variant":"plain"}: a change would cut runs from older ones
    assert digest == "df237276f100e521"
    assert len({digest, *others}) == 7
    hotter = plan(suite(probe("renamed", "one?", sampling=Sampling(temperature=2.0))))
    assert [prompt.prompt_digest for prompt in hotter.prompts] == [digest]


def test_the_request_key_changes_with_the_model_and_every_setting_but_not_with_the_host_or_the_samples() -> None:
    def key(
        target: TargetInfo = TARGET, seed: int | None = 1, samples: int = 1, sampling: Sampling | None = None
    ) -> str:
        (prompt,) = plan(suite(probe("a")), overrides=sampling, samples=samples, seed=seed).prompts
        return request_key(prompt, target, seed)

    moved = TARGET.model_copy(update={"host": "other:1234"})
    assert key() == key(moved) == key(samples=9)
    different = [
        key(TARGET.model_copy(update={"model": "n"})),
        key(TARGET.model_copy(update={"provider": "openai"})),
        key(TARGET.model_copy(update={"options": {"path": "/v2"}})),
        key(seed=2),
        key(seed=None),
        key(sampling=Sampling(temperature=0.5)),
        key(sampling=Sampling(top_p=0.5)),
        key(sampling=Sampling(max_tokens=5)),
        key(sampling=Sampling(stop=("x",))),
        key(sampling=Sampling(reasoning_effort="low")),
    ]
    assert len({key(), *different}) == 11


@given(st.integers(0, 2**40), st.text("0123456789abcdef", min_size=16, max_size=16))
def test_every_sample_has_a_seed_of_its_own_that_fits_31_bits(run_seed: int, digest: str) -> None:
    seeds = [request_seed(run_seed, digest, sample) for sample in range(50)]
    assert len(set(seeds)) == 50
    assert all(seed is not None and 0 <= seed < 2**31 for seed in seeds)


def test_without_a_run_seed_no_seed_is_sent() -> None:
    assert request_seed(None, "0" * 16, 3) is None
    assert request_seed(0, "0" * 16, 3) is not None


SCRIPTED = probe("talk", samples_per_prompt=2, system="S" * 40).model_copy(
    update={
        "prompts": (
            (
                user("a" * 40),
                Message(role="assistant", content="<reply>"),
                user("b" * 40),
                Message(role="assistant", content="c" * 40),
                user("d" * 40),
            ),
        )
    }
)


def test_the_first_messages_are_those_of_the_first_request() -> None:
    ((prompt, messages),) = first_messages(plan(suite(SCRIPTED)), 5)
    assert prompt.probe == "talk"
    assert messages == (Message(role="system", content="S" * 40), user("a" * 40))
    assert len(first_messages(plan(MANY), 3)) == 3
    assert first_messages(plan(MANY), 0) == []


def answer(grader: str, **said: Any) -> ExpectedAnswer:
    usual = {"judge": "x/y", "reads": "rubric", "requests": 1, "answers": 1, "tokens": 7, "tokens_most": 9}
    return ExpectedAnswer(grader=grader, **{**usual, **said})


def test_the_estimate_counts_a_request_for_every_turn_that_the_target_answers() -> None:
    made = plan(suite(SCRIPTED, probe("single", "e" * 40, samples_per_prompt=3)), overrides=Sampling(max_tokens=100))
    found = estimate(made, judge_answers=[answer("aligned", tokens=1), answer("coherent", requests=2, answers=2)])
    assert (found.prompts, found.replies, found.target_requests, found.judge_requests) == (2, 5, 7, 15)
    first, second, single = 2 * (4 + 10), 5 * (4 + 10) + (4 + 100), 4 + 10
    assert found.target_input_tokens == 2 * (first + second) + 3 * single
    assert found.target_output_tokens == 7 * 100
    assert found.target_output_tokens_most == 7 * 100
    assert (found.judge_output_tokens, found.judge_output_tokens_most) == (5 * (1 + 2 * 7), 5 * 3 * 9)


def test_a_judge_without_a_limit_has_no_greatest_output() -> None:
    made = plan(suite(probe("a", samples_per_prompt=2)))
    found = estimate(made, judge_answers=[answer("aligned"), answer("coherent", tokens_most=None)])
    assert (found.judge_output_tokens, found.judge_output_tokens_most) == (2 * 14, None)


def test_a_reply_without_a_limit_has_a_typical_length_and_no_greatest_one() -> None:
    found = estimate(plan(suite(probe("a", samples_per_prompt=2))))
    assert found.target_output_tokens == 600
    assert found.target_output_tokens_most is None


def test_rules_ask_no_judge() -> None:
    found = estimate(plan(CHOICE))
    assert (found.judge_requests, found.judge_input_tokens, found.judge_output_tokens) == (0, 0, 0)


def test_a_price_that_is_not_known_makes_the_cost_unknown_not_zero() -> None:
    made = plan(CHOICE)
    judges = [answer("aligned")]
    assert estimate(made).cost_usd is None
    assert estimate(made, prices=(1.0, 2.0, None), judge_answers=judges).cost_usd is None
    assert estimate(made, judge_prices=(1.0, 2.0, None), judge_answers=judges).cost_usd is None
    assert estimate(made, prices=(0.0, 0.0, None)).cost_usd == 0.0


def test_the_cost_is_that_of_target_and_judge_tokens() -> None:
    found = estimate(
        plan(CHOICE), prices=(1.0, 2.0, None), judge_prices=(3.0, 4.0, None), judge_answers=[answer("aligned")]
    )
    assert found.cost_usd == pytest.approx(
        (
            found.target_input_tokens
            + 2 * found.target_output_tokens
            + 3 * found.judge_input_tokens
            + 4 * found.judge_output_tokens
        )
        / 1e6
    )
