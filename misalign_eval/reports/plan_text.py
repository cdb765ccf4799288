"""A dry run in words."""

from collections.abc import Iterator, Sequence

from misalign_eval.records.dry_run import DryRun, FirstRequest
from misalign_eval.reports.escape import plain


def plan_text(runs: Sequence[DryRun]) -> str:
    """Every planned run with its counts, then the first requests as they would leave."""
    lines = [line for run in runs for line in (*_counts(run), "")]
    lines += [line for request in runs[0].first for line in (*_request(request), "")]
    return plain("\n".join([*lines, "Nothing was sent."])) + "\n"


def _counts(run: DryRun) -> Iterator[str]:
    yield f"{run.suite} {run.suite_version} -> {run.target}, by definition {run.definition}"
    yield f"  folder   {run.folder}"
    yield f"  plan     {run.prompts} prompts, {run.replies:,} replies, seed {'none' if run.seed is None else run.seed}"
    most = "" if run.target_output_tokens_most is None else f" (at most {run.target_output_tokens_most:,})"
    yield (
        f"  target   {run.target_requests:,} requests, about {run.target_input_tokens:,} + "
        f"{run.target_output_tokens:,}{most} tokens"
    )
    if run.judge_requests:
        yield (
            f"  judge    {run.judge_requests:,} requests to {', '.join(run.judges)}, about "
            f"{run.judge_input_tokens:,} + {run.judge_output_tokens:,} tokens"
        )
    yield f"  cost     {'unknown' if run.cost_usd is None else f'about ${run.cost_usd:.2f}'}"


def _request(request: FirstRequest) -> Iterator[str]:
    yield f"First messages of {request.probe}, prompt {request.prompt}, {request.variant}, x{request.samples}"
    settings = request.sampling.model_dump(exclude_none=True)
    yield "  " + (", ".join(f"{name} {value}" for name, value in settings.items()) or "the server's own settings")
    for message in request.messages:
        yield f"  {message.role}:"
        yield from (f"    {line}" for line in message.content.splitlines())
