"""A dry run in words."""

from collections.abc import Iterator, Sequence

from misalign_eval.records.dry_run import DryRun, ExpectedAnswer, FirstRequest, Reads
from misalign_eval.records.suite import prefill_of
from misalign_eval.reports.escape import plain

_READS: dict[Reads, str] = {
    "logprobs": "log-probabilities of its first token",
    "sampled": "a number",
    "label": "a word or two",
    "structured": "a JSON object with its reason",
    "rubric": "it reasons, then gives its verdict",
    "unknown": "a grader of another package, which does not say",
}


def plan_text(runs: Sequence[DryRun]) -> str:
    """Every planned run with its counts, then the first requests as they would leave."""
    lines = [line for run in runs for line in (*_counts(run), "")]
    lines += [line for request in runs[0].first for line in (*_request(request), "")]
    return plain("\n".join([*lines, "Nothing was sent."])) + "\n"


def _counts(run: DryRun) -> Iterator[str]:
    yield f"{run.suite} {run.suite_version} -> {run.target}, by definition {run.definition}"
    yield f"  folder   {run.folder}"
    yield f"  plan     {run.prompts} prompts, {run.replies:,} replies, seed {'none' if run.seed is None else run.seed}"
    yield (
        f"  target   {run.target_requests:,} requests, about {run.target_input_tokens:,} + "
        f"{run.target_output_tokens:,}{_most(run.target_output_tokens, run.target_output_tokens_most)} tokens"
    )
    if run.target_headers:
        yield f"  headers  to the target: {', '.join(run.target_headers)}"
    yield from (f"  headers  to judge {judge}: {', '.join(names)}" for judge, names in run.judge_headers.items())
    if run.judge_requests:
        judged = f"{run.judge_output_tokens:,}{_most(run.judge_output_tokens, run.judge_output_tokens_most)}"
        yield (
            f"  judge    {run.judge_requests:,} requests to {', '.join(run.judges)}, about "
            f"{run.judge_input_tokens:,} + {judged} tokens"
        )
        yield from (f"  assumed  {line}" for line in _assumed(run.judge_answers))
    yield f"  cost     {'unknown' if run.cost_usd is None else f'about ${run.cost_usd:.2f}'}"


def _most(usual: int, tokens: int | None) -> str:
    return "" if tokens in {None, usual} else f" (at most {tokens:,})"


def _assumed(answers: Sequence[ExpectedAnswer]) -> Iterator[str]:
    """What each kind of answer was taken to be, with the graders that are read so."""
    kinds: dict[tuple[Reads, int, int], list[str]] = {}
    for one in answers:
        kinds.setdefault((one.reads, one.answers, one.tokens), []).append(one.grader)
    for (reads, count, tokens), graders in kinds.items():
        times = "an answer" if count == 1 else f"each of {count} answers"
        length = "1 token" if tokens == 1 else f"{tokens} tokens"
        yield f"{length} for {times} of {', '.join(dict.fromkeys(graders))}: {_READS[reads]}"
    if any(one.reads != "logprobs" for one in answers):
        yield "a judge that thinks before it answers writes more, and one that cannot be read is asked again"


def _request(request: FirstRequest) -> Iterator[str]:
    yield f"First messages of {request.probe}, prompt {request.prompt}, {request.variant}, x{request.samples}"
    settings = request.sampling.model_dump(exclude_none=True)
    yield "  " + (", ".join(f"{name} {value}" for name, value in settings.items()) or "the server's own settings")
    is_now = prefill_of(request.messages) is not None
    for message in request.messages[: len(request.messages) - is_now]:
        yield from _turn(message.role, message.content)
    if request.prefill is not None:
        when = "" if is_now else ", after the turns between"
        yield from _turn(f"assistant (prefill: the target continues it{when})", request.prefill)


def _turn(speaker: str, content: str) -> Iterator[str]:
    yield f"  {speaker}:"
    yield from (f"    {line}" for line in content.splitlines())
