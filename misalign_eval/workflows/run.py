"""`run`: plan, collect, grade. What came, and whether it is complete, is read from the rows afterwards."""

import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from signal import Signals

from misalign_eval import __version__
from misalign_eval.analysis import definitions
from misalign_eval.errors import NoScoreError, RunStoppedError, UsageError
from misalign_eval.graders.build import build, refuse_ignored
from misalign_eval.graders.spec import Method
from misalign_eval.plan import part
from misalign_eval.plan import plan as make_plan
from misalign_eval.providers.beforehand import known_beforehand
from misalign_eval.providers.prefill import cannot
from misalign_eval.providers.shutdowns import shutdown_of
from misalign_eval.records import headers
from misalign_eval.records.plan import Plan
from misalign_eval.records.protocols import Capabilities, Grader, JudgeHandles, ModelSpec
from misalign_eval.records.run import RunManifest, TargetInfo
from misalign_eval.records.suite import Sampling, Suite
from misalign_eval.replies.caller import Caller
from misalign_eval.replies.collect import now
from misalign_eval.results.folder import RunFolder, exists, open_run
from misalign_eval.results.lock import writing
from misalign_eval.settings import Settings, sampling_of
from misalign_eval.workflows import load
from misalign_eval.workflows.falling_back import as_before, fallback_note, withdraw
from misalign_eval.workflows.models import Models, check_prices, named
from misalign_eval.workflows.naming import default_out, folders
from misalign_eval.workflows.options import RunOptions
from misalign_eval.workflows.pipeline import Decider, Pipeline, Watcher
from misalign_eval.workflows.resume import check_place, is_empty, start_or_resume
from misalign_eval.workflows.session import Session, in_rounds
from misalign_eval.workflows.spent import spent


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is decided before anything is sent or written."""

    options: RunOptions
    suites: tuple[Suite, ...]
    plans: tuple[tuple[Plan, ...], ...]  # a row a suite, a column a target
    targets: tuple[ModelSpec, ...]
    judges: tuple[ModelSpec, ...]
    out: Path  # what --out was, or would have been
    folders: tuple[tuple[Path, ...], ...]  # as the plans
    told: tuple[str, ...] = ()  # what suites in foreign formats were read as, and what of them is not kept


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    folders: tuple[RunFolder, ...]
    stopped_by: RunStoppedError | Signals | None
    notes: tuple[str, ...]
    regraded: Mapping[str, str] | None = None  # grader -> identity, where only they were at work


def prepare(options: RunOptions, settings: Settings) -> Prepared:
    """Read the suites, name the models, plan. Raises UsageError or InputError; nothing is sent or written."""
    if not options.targets:
        raise UsageError("no model to ask. Add --target PROVIDER/MODEL, as in: --target openai/gpt-5.4")
    options = _with_rule(options)
    loaded = [load.loaded(source, definition=options.definition, mapped=options.mapped) for source in options.suites]
    suites = tuple(one.suite for one in loaded)
    targets = named(options.targets, options.target_at, settings, "targets")
    judges = named(options.judges, options.judge_at, settings, "judges", options.judge_sampling)
    plans = tuple(
        tuple(_plan(suite, options, sampling_of(name, settings)) for name in options.targets) for suite in suites
    )
    check_prices(options.limits, (*targets, *judges))
    _check_prefill(plans, targets, [known_beforehand(spec) for spec in targets])
    _check_shard(options, plans)
    _check_rule(options, plans, targets)
    out = options.out or default_out([suite.name for suite in suites], targets, datetime.now(UTC))
    where = folders([suite.name for suite in suites], targets, out)
    told = tuple(line for one in loaded for line in load.told(one))
    return Prepared(options, suites, plans, targets, judges, out, where, told)


def _with_rule(options: RunOptions) -> RunOptions:
    """What a stopping rule says of the run beside when it stops: definition and samples. Raises UsageError."""
    if options.stop is None:
        return options
    from misalign_eval.workflows.deciding import applied  # statistics load slowly, and only such a run needs them

    return applied(options, options.stop)


def _check_rule(options: RunOptions, plans: Sequence[Sequence[Plan]], targets: Sequence[ModelSpec]) -> None:
    if options.stop is not None:
        from misalign_eval.workflows.deciding import check_plan

        spec = targets[0]
        target = _target(spec, "")
        check_plan(options.stop, plans[0][0], target)


def _check_shard(options: RunOptions, plans: Sequence[Sequence[Plan]]) -> None:
    if options.shard is None:
        return
    if options.stop is not None:
        raise UsageError("--shard: a part of the replies decides nothing. Leave --stop-when-decided out")
    fewest = min(len(plan.prompts) for row in plans for plan in row)
    if options.shard.count > fewest:
        raise UsageError(f"--shard {options.shard}: the plan has {fewest} prompts. Use at most {fewest} shards")


def _check_prefill(
    plans: Sequence[Sequence[Plan]],
    targets: Sequence[ModelSpec],
    known: Sequence[Capabilities],
    *,
    finally_: bool = False,
) -> None:
    """Refuse a prefill for a target that would answer it with a new turn. Raises UsageError.

    What the adapter of another package can is known once it is made: not known is a refusal only then, `finally_`.
    """
    for row in plans:
        for plan, spec, can in zip(row, targets, known, strict=True):
            found = next((prompt.probe for prompt in plan.prompts if prompt.prefill is not None), None)
            if found is None or can.prefill or (can.prefill is None and not finally_):
                continue
            what = f"probe `{found}` ends with an assistant turn (prefill), which {spec.name} cannot continue"
            raise UsageError(f"{what}: {cannot(spec)}. Choose another target, or other probes by --probe")


def _decider(options: RunOptions, session: Session) -> Decider | None:
    if options.stop is None:
        return None
    from misalign_eval.workflows.deciding import RowDecider

    return RowDecider(session, options.stop)


def _plan(suite: Suite, options: RunOptions, of_target: Sampling) -> Plan:
    """Flags win over what the settings say of the target, and that over the suite."""
    overrides = of_target.model_copy(update=options.sampling.model_dump(exclude_none=True))
    return make_plan(suite, overrides=overrides, samples=options.samples, seed=options.seed, select=options.selection)


def notes(prepared: Prepared) -> list[str]:
    """What to know before paying: models about to be shut down, a target that grades itself, a run that gives way."""
    found = [
        f"{spec.name}: its vendor names {day} as the day it is shut down; its replies cannot be drawn again after that"
        for spec in (*prepared.targets, *prepared.judges)
        if (day := shutdown_of(spec))
    ]
    found += [
        f"{spec.name}: judges its own replies, since --judge names it"
        for spec in prepared.targets
        if spec.name in {judge.name for judge in prepared.judges}
    ]
    found += [
        f"{path}: holds a run in which nothing was collected; this one takes its place"
        for row in prepared.folders
        for path in row
        if not prepared.options.resume and exists(path) and is_empty(open_run(path))
    ]
    return list(dict.fromkeys(found))


def grader_names(plan: Plan) -> list[str]:
    """Every grader of the plan, in order of first use."""
    return list(dict.fromkeys(name for prompt in plan.prompts for name in prompt.graders))


async def execute(prepared: Prepared, watcher: Watcher) -> Ended:
    """Carry out a prepared run. Raises UsageError before the first request; what stops it later is in the result.

    A judge whose log-probabilities make no score is asked for sampled answers from then on, unless the user chose how
    judges are read.
    """
    models = Models(prepared.options.limits, met=watcher.met)
    try:
        ended = await _carried_out(prepared, models, watcher)
        if isinstance(why := ended.stopped_by, NoScoreError):
            withdraw(ended.folders)
            if prepared.options.method is None:
                sampled = replace(prepared.options, method="sampled", resume=True)
                told = (*ended.notes, fallback_note(why))
                ended = await _carried_out(replace(prepared, options=sampled), models, watcher, is_first=False)
                ended = replace(ended, notes=(*told, *ended.notes))
        return replace(ended, notes=(*ended.notes, *models.notes()))
    finally:
        await models.close()


async def _carried_out(prepared: Prepared, models: Models, watcher: Watcher, *, is_first: bool = True) -> Ended:
    options = prepared.options
    judges = [models.judge(spec) for spec in prepared.judges]
    targets = [models.caller(spec) for spec in prepared.targets]
    _check_prefill(
        prepared.plans, prepared.targets, [caller.provider.capabilities for caller in targets], finally_=True
    )
    graders = [_graders(prepared, index, judges) for index in range(len(prepared.suites))]
    refuse_ignored([grader for row in graders for grader in row], judges, options.method)
    with ExitStack() as stack:
        groups = [
            [stack.enter_context(session) for session in _sessions(prepared, index, targets, row, stack)]
            for index, row in enumerate(graders)
        ]
        sessions = [session for group in groups for session in group]
        for session in sessions:
            if is_first:
                spent(session.folder).add_to(models.meter)
            models.remember(session.folder)
        pipeline = Pipeline(
            sessions,
            in_rounds(groups),
            watcher,
            decider=_decider(options, sessions[0]),
            reply_places=models.places(targets),
            grade_places=options.limits.max_connections * max(1, len(judges)),
        )
        await pipeline.run()
    notes = tuple(note for session in sessions for note in session.repairs)
    return Ended(tuple(session.folder for session in sessions), pipeline.stopped_by, notes)


def _graders(prepared: Prepared, index: int, judges: JudgeHandles) -> Sequence[Grader]:
    """The graders of one suite, read as in the folders that are gone on with."""
    suite, plans, options = prepared.suites[index], prepared.plans[index], prepared.options
    there = [open_run(path) for path in prepared.folders[index] if options.resume and exists(path)]

    def make(method: Method | None) -> Sequence[Grader]:
        return build(
            grader_names(plans[0]), judges=judges, configured=suite.rules, method=method, search=load.own_graders()
        )

    return as_before(make, there) if options.method is None else make(options.method)


def _sessions(
    prepared: Prepared, index: int, targets: Sequence[Caller], graders: Sequence[Grader], stack: ExitStack
) -> Iterator[Session]:
    """A session for each target of one suite, its folder locked until the stack unwinds."""
    suite, plans, paths = prepared.suites[index], prepared.plans[index], prepared.folders[index]
    for plan, path, caller in zip(plans, paths, targets, strict=True):
        check_place(path, resume=prepared.options.resume)
        stack.enter_context(writing(path))
        manifest = _manifest(prepared, suite, plan, path, caller, graders)
        folder, prompts, notes = start_or_resume(path, manifest, plan.prompts, resume=prepared.options.resume)
        yield Session(folder, part(prompts, manifest.shard), graders, caller, notes=notes)


def _manifest(
    prepared: Prepared, suite: Suite, plan: Plan, path: Path, caller: Caller, graders: Sequence[Grader]
) -> RunManifest:
    options, spec = prepared.options, caller.provider.spec
    return RunManifest(
        tool_version=__version__,
        created=now(),
        name=path.name,
        suite=suite.name,
        suite_version=suite.version,
        suite_digest=suite.digest,
        suite_file=suite.file,
        definition=plan.definition,
        definition_digest=definitions.digest(plan.definition),
        target=_target(spec, caller.provider.host),
        rules=dict(plan.rules),
        canary=suite.canary,
        seed=options.seed,
        overrides={
            **plan.overridden,
            **({"samples": options.samples} if options.samples else {}),
        },
        mapped=dict(options.mapped),
        selection=options.selection.as_given(),
        stopping=options.stop.declared(max(prompt.samples for prompt in plan.prompts)) if options.stop else None,
        primary={grader.identity.grader: grader.identity.identity for grader in graders},
        shard=options.shard,
        labels=dict(options.labels),
        versions=_versions(),
        git_commit=_git_commit(),
        controls=plan.controls,
        planned_prompts=len(plan.prompts),
        planned_replies=plan.replies,
    )


def _target(spec: ModelSpec, host: str) -> TargetInfo:
    return TargetInfo(
        provider=spec.provider,
        model=spec.model,
        host=host,
        options=dict(spec.options),
        given=spec.given,
        served_as=spec.served_as,
        headers=headers.written(spec.headers),
    )


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in ("openai", "anthropic", "httpx2")}


def _git_commit() -> str | None:
    """The commit of the folder that the user stands in: which data or training code this run belongs to."""
    with suppress(OSError, subprocess.SubprocessError):
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)  # noqa: S607
        return head.stdout.strip()
    return None
