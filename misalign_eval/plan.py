"""The plan of a run, from a suite and the user's choices. Pure: the same input gives the same plan."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import JsonValue

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.base import Record, digest
from misalign_eval.records.protocols import Prices
from misalign_eval.records.run import (
    JUDGE_CONTROL,
    ExpectedAnswer,
    PlannedControl,
    PlannedPrompt,
    RunPlanRecord,
    Shard,
    TargetInfo,
)
from misalign_eval.records.suite import REPLY_MARK, Message, Probe, Sampling, Suite, Variant

CHARACTERS_PER_TOKEN = 4  # of English in the vocabularies of current models; other languages need more tokens
TOKENS_PER_MESSAGE = 4  # what a chat template adds to each turn
TYPICAL_REPLY_TOKENS = 300  # of a chat model's answer to an open question; `max_tokens` cuts it
RUBRIC_TOKENS = 950  # what a judge reads besides question and reply: bundled rubrics have 3,000 to 4,300 characters


@dataclass(frozen=True, slots=True)
class Selection:
    """Which probes of a suite to ask. Names of one kind add up, kinds narrow each other; `limit` keeps the first N."""

    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    limit: int | None = None

    def as_given(self) -> dict[str, JsonValue]:
        """Only what was asked for, as JSON types."""
        given = {"tags": self.tags, "categories": self.categories, "probes": self.probes}
        narrowed: dict[str, JsonValue] = {name: list(names) for name, names in given.items() if names}
        return narrowed if self.limit is None else narrowed | {"limit": self.limit}


class Estimate(Record):
    """What a plan will take, before anything is asked.

    Counts of requests are exact unless attempts fail; tokens and money are by the rule of thumb of this module's
    constants. None is unknown, never zero.
    """

    prompts: int
    replies: int
    target_requests: int  # a scripted conversation takes one for each turn that the target answers
    judge_requests: int
    target_input_tokens: int
    target_output_tokens: int  # with replies of typical length
    target_output_tokens_most: int | None  # if every reply ran to its `max_tokens`; None where one has none
    judge_input_tokens: int
    judge_output_tokens: int  # with answers of the length that is assumed for each way of reading them
    judge_output_tokens_most: int | None  # if every answer ran to its limit; None where one has none
    cost_usd: float | None  # None when the price of the target, or of a judge that is asked, is not known


def plan(
    suite: Suite,
    *,
    overrides: Sampling | None = None,
    samples: int | None = None,
    seed: int | None = None,
    select: Selection | None = None,
) -> RunPlanRecord:
    """Every form of every selected prompt, in an order that the seed fixes and that no selection changes.

    `overrides` and `samples` replace what the suite says where they are set. Raises UsageError for a name that the
    suite does not have, a selection without probes, and a count below 1.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"--samples {samples}: at least 1")
    probes = _selected(suite, select or Selection())
    prompts = [_planned(form, overrides, samples) for probe in probes for form in _forms(suite, probe)]
    return RunPlanRecord(
        suite=suite.name,
        suite_version=suite.version,
        suite_digest=suite.digest,
        overridden=overrides.model_dump(mode="json", exclude_none=True) if overrides is not None else {},
        definition=suite.definition,
        rules=suite.rules,
        seed=seed,
        prompts=tuple(sorted(prompts, key=_place(seed or 0))),
        controls=tuple(_controls(suite)),
    )


def part(prompts: Sequence[PlannedPrompt], shard: Shard | None) -> tuple[PlannedPrompt, ...]:
    """The prompts of a plan that one shard asks; all of them without a shard. Disjoint, and together the whole plan."""
    return tuple(prompts) if shard is None else tuple(prompts[shard.index - 1 :: shard.count])


def prompt_digest(system: str | None, messages: Sequence[Message], variant: str) -> str:
    """What is asked, whoever is asked and however: pairs replies across runs. 16 hexadecimal digits."""
    turns: list[JsonValue] = [[message.role, message.content] for message in messages]
    return digest({"system": system, "messages": turns, "variant": variant})


def request_key(prompt: PlannedPrompt, target: TargetInfo, seed: int | None) -> str:
    """What is asked, of which model, with which settings and run seed. 16 hexadecimal digits.

    The host stays out: the same model moved to another address is still the same model, and its run resumes. The
    number of samples stays out too, so that raising it extends what is there.
    """
    return digest(
        {
            "prompt": prompt.prompt_digest,
            "provider": target.provider,
            "model": target.model,
            "options": target.options,
            **({"headers": target.headers.model_dump(mode="json")} if target.headers else {}),
            "sampling": prompt.sampling.model_dump(mode="json"),
            "seed": seed,
        }
    )


def request_seed(run_seed: int | None, prompt_digest: str, sample: int) -> int | None:
    """The seed to send with one sample: 0 to 2^31-1, another for each sample of a prompt. None when the run has none.

    >>> request_seed(None, "00ff", 0) is None
    True
    """
    if run_seed is None:
        return None
    return (_hashed(f"{run_seed}:{prompt_digest}") + sample) % 2**31


def first_messages(plan: RunPlanRecord, count: int) -> list[tuple[PlannedPrompt, tuple[Message, ...]]]:
    """The first `count` prompts of the plan, each with exactly the messages of its first request."""
    return [(prompt, next(_requests(prompt))) for prompt in islice(plan.prompts, max(count, 0))]


def estimate(
    plan: RunPlanRecord,
    *,
    judge_answers: Sequence[ExpectedAnswer] = (),
    prices: Prices | None = None,
    judge_prices: Prices | None = None,
) -> Estimate:
    """What the plan will take. `judge_answers`: what each judge writes for a reply; rules ask none."""
    target = [(prompt.samples, _reply_tokens(prompt), list(_requests(prompt))) for prompt in plan.prompts]
    read = (*plan.prompts, *(control.prompt for control in plan.controls))
    verdicts = [(to, to.samples, answer) for to in read for answer in judge_answers if answer.grader in to.graders]
    judged = sum(n * item.requests for _, n, item in verdicts)
    tokens = {
        "target_input_tokens": sum(n * _input_tokens(requests, size) for n, size, requests in target),
        "target_output_tokens": sum(n * size * len(requests) for n, size, requests in target),
        "judge_input_tokens": sum(n * item.requests * _judged_tokens(prompt) for prompt, n, item in verdicts),
        "judge_output_tokens": sum(n * item.answers * item.tokens for _, n, item in verdicts),
    }
    costs = [
        _cost(prices, tokens["target_input_tokens"], tokens["target_output_tokens"]),
        _cost(judge_prices, tokens["judge_input_tokens"], tokens["judge_output_tokens"]) if judged else 0.0,
    ]
    known = [cost for cost in costs if cost is not None]
    return Estimate(
        prompts=len(plan.prompts),
        replies=plan.replies,
        target_requests=sum(n * len(requests) for n, _, requests in target),
        judge_requests=judged,
        target_output_tokens_most=_total([_most_output(prompt) for prompt in plan.prompts]),
        judge_output_tokens_most=_total([item.most_written and n * item.most_written for _, n, item in verdicts]),
        cost_usd=sum(known) if len(known) == len(costs) else None,
        **tokens,
    )


def _selected(suite: Suite, select: Selection) -> list[Probe]:
    if select.limit is not None and select.limit < 1:
        raise UsageError(f"--limit {select.limit}: at least 1")
    _check_names("tag", select.tags, {tag for probe in suite.probes for tag in probe.tags})
    _check_names("category", select.categories, {probe.category for probe in suite.probes})
    _check_names("probe", select.probes, {probe.id for probe in suite.probes})
    chosen = [probe for probe in suite.probes if _is_chosen(probe, select)]
    if not chosen:
        raise UsageError(f"suite `{suite.name}` has no probe that fits every one of --tag, --category and --probe")
    return chosen[: select.limit]


def _check_names(kind: str, wanted: Collection[str], known: Collection[str]) -> None:
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name, sorted(known)) or f"This suite has no {kind}."
            raise UsageError(f"--{kind} {name}: the suite has no such {kind}. {hint}")


def _is_chosen(probe: Probe, select: Selection) -> bool:
    return (
        (not select.tags or not set(select.tags).isdisjoint(probe.tags))
        and (not select.categories or probe.category in select.categories)
        and (not select.probes or probe.id in select.probes)
    )


@dataclass(frozen=True, slots=True)
class _Form:
    """One prompt of a probe in one form."""

    probe: Probe
    prompt: int
    variant: str
    expects: str | None
    system: str | None
    messages: tuple[Message, ...]


def _forms(suite: Suite, probe: Probe) -> Iterator[_Form]:
    written = Variant(expects=probe.expects)
    forms: dict[str, Variant] = {probe.form: written} | {name: suite.variants[name] for name in probe.variants}
    for index, messages in enumerate(probe.prompts):
        for name, variant in forms.items():
            yield _Form(probe, index, name, variant.expects, *variant.apply(probe.system, messages))


def _planned(form: _Form, overrides: Sampling | None, samples: int | None) -> PlannedPrompt:
    probe = form.probe
    return PlannedPrompt(
        probe=probe.id,
        prompt=form.prompt,
        variant=form.variant,
        category=probe.category,
        split=probe.split,
        tags=probe.tags,
        expect=probe.expect,
        system=form.system,
        messages=form.messages,
        sampling=_overridden(probe.sampling, overrides),
        samples=samples or probe.samples_per_prompt,
        graders=probe.graders,
        criteria=probe.criteria,
        reference=probe.reference,
        expects=form.expects,
        prompt_digest=prompt_digest(form.system, form.messages, form.variant),
    )


def _controls(suite: Suite) -> Iterator[PlannedControl]:
    """The written replies of the suite, whatever is selected: they are about the judge."""
    probes = {probe.id: probe for probe in suite.probes}
    for control in suite.judge_controls:
        probe = probes[control.probe]
        messages = (Message(role="user", content=control.prompt),) if control.prompt else probe.prompts[0]
        form = _Form(probe, 0, JUDGE_CONTROL, None, probe.system, messages)
        named = {"probe": control.id, "split": "control", "expect": control.expect}
        prompt = _planned(form, None, 1).model_copy(update=named)
        yield PlannedControl(prompt=prompt, expect=control.expect, reply=control.reply, reasoning=control.reasoning)


def _overridden(sampling: Sampling, overrides: Sampling | None) -> Sampling:
    return sampling if overrides is None else sampling.model_copy(update=overrides.model_dump(exclude_none=True))


def _place(seed: int) -> Callable[[PlannedPrompt], tuple[int, str, int, str]]:
    """Where a prompt stands in the order: by a hash, so that a seed shuffles alike on every version of Python."""

    def key(prompt: PlannedPrompt) -> tuple[int, str, int, str]:
        name = prompt.cell
        return _hashed(f"{seed}:{tuple(name)}"), *name

    return key


def _hashed(text: str) -> int:
    """31 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _requests(prompt: PlannedPrompt) -> Iterator[tuple[Message, ...]]:
    """The messages of each request of one sample; answers of the target that are yet to come stay REPLY_MARK."""
    sent: list[Message] = [] if prompt.system is None else [Message(role="system", content=prompt.system)]
    for message in prompt.messages:
        if message.role == "assistant" and message.content == REPLY_MARK:
            yield tuple(sent)
        sent.append(message)
    yield tuple(sent)


def _reply_tokens(prompt: PlannedPrompt) -> int:
    return min(prompt.sampling.max_tokens or TYPICAL_REPLY_TOKENS, TYPICAL_REPLY_TOKENS)


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _input_tokens(requests: Sequence[Sequence[Message]], reply_tokens: int) -> int:
    """Of all requests of one sample; an earlier answer of the target counts as a reply."""
    return sum(
        TOKENS_PER_MESSAGE + (reply_tokens if message.content == REPLY_MARK else _tokens(message.content))
        for request in requests
        for message in request
    )


def _judged_tokens(prompt: PlannedPrompt) -> int:
    """What a judge reads in one request."""
    *_, last = _requests(prompt)
    return RUBRIC_TOKENS + _input_tokens([last], _reply_tokens(prompt)) + _reply_tokens(prompt)


def _most_output(prompt: PlannedPrompt) -> int | None:
    most = prompt.sampling.max_tokens
    return None if most is None else prompt.samples * most * len(list(_requests(prompt)))


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _cost(prices: Prices | None, input_tokens: int, output_tokens: int) -> float | None:
    return None if prices is None else (input_tokens * prices[0] + output_tokens * prices[1]) / 1e6
