"""`run --dry-run`: the plan and what it would take. Needs no key; sends and writes nothing."""

from collections.abc import Sequence
from typing import NoReturn

from misalign_eval.graders.build import build, refuse_ignored
from misalign_eval.graders.expected import answers
from misalign_eval.plan import estimate, first_messages, part
from misalign_eval.providers.beforehand import known_beforehand
from misalign_eval.providers.prices import price_of
from misalign_eval.records.dry_run import DryRun, FirstRequest
from misalign_eval.records.plan import Plan
from misalign_eval.records.protocols import Grader, JudgeHandle, JudgeHandles, ModelRequest, ModelSpec
from misalign_eval.workflows import load
from misalign_eval.workflows.run import Prepared, grader_names

FIRST = 2


def dry_run(prepared: Prepared, first: int = FIRST) -> list[DryRun]:
    """One for each suite and target. Raises UsageError as the run itself would."""
    judges = [_unasked(spec) for spec in prepared.judges]
    graders = [_graders(prepared, number, judges) for number in range(len(prepared.suites))]
    refuse_ignored([grader for row in graders for grader in row], judges, prepared.options.method)
    return [
        _one(prepared, graders[number], plan, target, str(folder), first)
        for number, (plans, folders) in enumerate(zip(prepared.plans, prepared.folders, strict=True))
        for plan, target, folder in zip(plans, prepared.targets, folders, strict=True)
    ]


def _graders(prepared: Prepared, number: int, judges: JudgeHandles) -> Sequence[Grader]:
    return build(
        grader_names(prepared.plans[number][0]),
        judges=judges,
        configured=prepared.suites[number].rules,
        method=prepared.options.method,
        search=load.own_graders(),
    )


def _one(
    prepared: Prepared, graders: Sequence[Grader], plan: Plan, target: ModelSpec, folder: str, first: int
) -> DryRun:
    plan = plan.model_copy(update={"prompts": part(plan.prompts, prepared.options.shard)})
    written = tuple(one for grader in graders for one in answers(grader))
    judge = prepared.judges[0] if len(prepared.judges) == 1 else None
    found = estimate(
        plan,
        judge_answers=written,
        prices=price_of(target),
        judge_prices=price_of(judge) if judge else None,
    )
    return DryRun(
        suite=plan.suite,
        suite_version=plan.suite_version,
        definition=plan.definition.name,
        target=target.name,
        judges=tuple(spec.name for spec in prepared.judges),
        target_headers=_names(target),
        judge_headers={spec.name: _names(spec) for spec in prepared.judges if spec.headers},
        folder=folder,
        judge_answers=written,
        seed=plan.seed,
        first=tuple(
            FirstRequest(
                probe=prompt.probe,
                prompt=prompt.prompt,
                variant=prompt.variant,
                samples=prompt.samples,
                messages=messages,
                prefill=prompt.prefill,
                sampling=prompt.sampling,
            )
            for prompt, messages in first_messages(plan, first)
        ),
        **dict(found),
    )


def _names(spec: ModelSpec) -> tuple[str, ...]:
    return tuple(header.name for header in spec.headers)


def _unasked(spec: ModelSpec) -> JudgeHandle:
    """A judge that is only counted: making its provider would need its key."""

    async def ask(_: ModelRequest) -> NoReturn:
        raise AssertionError("a dry run sends nothing")

    return JudgeHandle(spec, "", lambda: known_beforehand(spec), ask)
