"""`run`: prepare, execute, resume, or estimate with --dry-run."""

import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from signal import Signals
from typing import NoReturn

from misalign_eval import __version__
from misalign_eval.analysis import comparability, definitions
from misalign_eval.client.caller import Caller, now
from misalign_eval.errors import NoScoreError, RunStoppedError, UsageError
from misalign_eval.files import is_temporary
from misalign_eval.graders.build import answers, build, refuse_ignored
from misalign_eval.graders.folder import Method
from misalign_eval.plan import estimate, first_messages, part
from misalign_eval.plan import plan as make_plan
from misalign_eval.providers.catalog import known_capabilities, price_of, retirement_date
from misalign_eval.providers.prefill import cannot
from misalign_eval.records import headers
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.protocols import Capabilities, Grader, JudgeHandle, JudgeHandles, ModelRequest, ModelSpec
from misalign_eval.records.run import DryRun, FirstRequest, PlannedPrompt, Reply, RunManifest, RunPlanRecord, TargetInfo
from misalign_eval.records.suite import Sampling, Suite
from misalign_eval.settings import Settings, sampling_of
from misalign_eval.store.lock import DERIVED, GRADES, LOCK, MANIFEST, PLAN, REPLIES, writing
from misalign_eval.store.run_folder import RunFolder, create_run, exists, open_run
from misalign_eval.suites.load import suite_digest
from misalign_eval.workflows import load_suite
from misalign_eval.workflows.completeness import spent
from misalign_eval.workflows.load_run import refuse_first_digits
from misalign_eval.workflows.options import RunOptions, default_out, folders
from misalign_eval.workflows.pipeline import Decider, Pipeline, Watcher, as_before, fallback_note, withdraw
from misalign_eval.workflows.session import Models, Session, check_prices, in_rounds, named

# Resuming a run folder: what must be the same, and what may grow.


def check_place(path: Path, *, resume: bool) -> None:
    """Look before locking. Raises UsageError for a folder that holds something else, or a run without `resume`.

    A run in which nothing was collected, since its command was wrong, keeps no other from its place.
    """
    if exists(path):
        if not resume and not is_empty(open_run(path)):
            raise UsageError(f"{path}: holds a run already. Add --resume to go on with it, or choose another --out")
    elif path.exists() and not (path.is_dir() and _is_free(list(path.iterdir()))):
        raise UsageError(f"{path}: there is something else. Choose another --out")


def is_empty(folder: RunFolder) -> bool:
    """Whether not one answer of the target was collected, and the folder holds nothing but what `run` leaves there."""
    known = {LOCK, PLAN, MANIFEST, REPLIES, GRADES, *DERIVED}
    return (
        all(file.name in known or is_temporary(file) for file in folder.path.iterdir())
        and not any(isinstance(row, Reply) for row in folder.replies())
        and not any(True for identity in folder.grader_identities() for _ in folder.all_grades(identity))
    )


def _clear(folder: RunFolder) -> None:
    """Take a run out of its place in which nothing was collected. Links are removed, not followed."""
    grades = folder.path / GRADES
    if grades.is_dir():  # no link: the folder was opened
        for file in grades.iterdir():
            file.unlink()
        grades.rmdir()
    for name in (*DERIVED, REPLIES, MANIFEST, PLAN):
        (folder.path / name).unlink(missing_ok=True)


def _is_free(files: Sequence[Path]) -> bool:
    """Whether a folder is empty, or holds what a run leaves that was killed before its run.json stood."""
    is_ours = any(file.name == LOCK for file in files)
    return not files or (is_ours and all(file.name in {LOCK, PLAN} or is_temporary(file) for file in files))


def start_or_resume(
    path: Path, manifest: RunManifest, prompts: Sequence[PlannedPrompt], *, resume: bool = True
) -> tuple[RunFolder, tuple[PlannedPrompt, ...], tuple[str, ...]]:
    """Open the folder, which this process has locked, for more rows; gives the plan to carry out, and notes.

    A plan may grow in samples and never shrinks. A run in which nothing was collected gives way to one that differs.
    Raises UsageError when the folder holds a run that differs, or without `resume` any; InputError for one whose scores
    are those of first digits.
    """
    if not exists(path):
        return create_run(path, manifest, prompts), tuple(prompts), ()
    folder = open_run(path)
    before = folder.plan()
    refused, notes = _differences(folder, before, manifest, prompts)
    if (refused or not resume) and is_empty(folder):
        _clear(folder)
        return create_run(path, manifest, prompts), tuple(prompts), ()
    check_place(path, resume=resume)
    if refused:
        raise UsageError(f"{path}: cannot be resumed, since it differs in {'; '.join(refused)}")
    refuse_first_digits(folder, [identity for identity in folder.grader_identities() if _is_ours(identity, manifest)])
    grown = tuple(_grown(before, prompts))
    replies = sum(prompt.samples for prompt in grown)
    labels = {**folder.manifest.labels, **manifest.labels}
    primary = {**folder.manifest.primary, **manifest.primary}
    stopping = folder.manifest.stopping or manifest.stopping
    accepted = tuple(dict.fromkeys((*folder.manifest.target.served_as, *manifest.target.served_as)))
    target = folder.manifest.target.model_copy(update={"served_as": accepted})
    changes = {
        "planned_replies": replies,
        "labels": labels,
        "primary": primary,
        "stopping": stopping,
        "target": target,
    }
    folder.update(folder.manifest.model_copy(update=changes), grown)
    return folder, grown, tuple(f"{path}: {note}" for note in notes)


def _is_ours(identity: GraderIdentity, manifest: RunManifest) -> bool:
    """Whether the run would go on with this grader."""
    return manifest.primary.get(identity.grader) == identity.identity


def _grown(before: Sequence[PlannedPrompt], now: Sequence[PlannedPrompt]) -> Iterator[PlannedPrompt]:
    wanted = {prompt.cell: prompt.samples for prompt in now}
    for prompt in before:
        yield prompt.model_copy(update={"samples": max(prompt.samples, wanted[prompt.cell])})


def _differences(
    folder: RunFolder, before: Sequence[PlannedPrompt], new: RunManifest, prompts: Sequence[PlannedPrompt]
) -> tuple[list[str], list[str]]:
    """What forbids going on, and what is to be told."""
    found = list(comparability.differences("resume", _facts(folder, folder.manifest), _facts(folder, new)))
    refused = [_words(folder, refusal) for refusal in comparability.refusals(found)]
    notes = [f"run.json does not say its {item.words}; taken to be those of now" for item in found if not item.known]
    if new.stopping and not folder.manifest.stopping and folder.looks():
        refused.append("the stopping rule: a gate has looked at this run already, so none can be declared any more")
    fewer, most = new.overrides.get("samples"), max((prompt.samples for prompt in before), default=0)
    if isinstance(fewer, int) and fewer < most:
        refused.append(
            f"--samples {fewer}, where {most} are planned: a plan never shrinks. Leave it out, or ask for more"
        )
    if (plans := comparability.of_plans("resume", before, prompts)) is None:
        return refused, notes
    if plans.fields == ("prompts",):
        more = "the suite's content, or --tag, --probe, …"
        refused.append(f"the prompts planned ({len(before)}, now {len(prompts)}: {more})")
    elif any(comparability.answer("resume", field) == comparability.EQUAL for field in plans.fields):
        refused.append(f"a prompt or a sampling setting ({', '.join(plans.names)} of {plans.first})")
    else:
        what = f"{', '.join(plans.names)} of {plans.prompts} of {len(before)} prompts"
        notes.append(f"the suite has another {what}, as {plans.first}; the run goes on as it was planned")
    return refused, notes


def _facts(folder: RunFolder, manifest: RunManifest) -> dict[str, comparability.ComparedFact]:
    """A rule of stopping may be declared later, or left out: then the one of run.json stands, or none does."""
    facts = comparability.of_manifest(manifest) | {"judges": comparability.ComparedFact(_judges(folder, manifest))}
    if not (folder.manifest.stopping and manifest.stopping):
        del facts["stopping"]
    return facts


def _judges(folder: RunFolder, manifest: RunManifest) -> dict[str, str]:
    """Whose grades are reported, of the graders with grades that must not be mixed with another judge's."""
    old = folder.manifest.primary
    graded = [
        identity.grader
        for identity in folder.grader_identities()
        if old.get(identity.grader) == identity.identity
        and any(row.kind == "graded" for row in folder.grades(identity))
    ]
    return {name: manifest.primary.get(name, old[name]) for name in graded}


def _words(folder: RunFolder, difference: comparability.RunDifference) -> str:
    if difference.field == "stopping":
        return "the stopping rule (policy or baseline), which must stand before the first reply"
    if difference.field == "options":
        return "the options of the target (`options:` in the settings file; their values are not shown)"
    if difference.field == "headers":
        return "the request headers of the target (`headers:` in the settings file; their values are not shown)"
    if difference.field == "judges":
        name = difference.words.rpartition(" ")[2].strip("`")
        who = next(
            identity
            for identity in folder.grader_identities()
            if (identity.grader, identity.identity) == (name, difference.was)
        )
        return f"the judge of `{name}` ({who.judge or who.identity}; `regrade` adds another judge's grades)"
    return difference.text("{was}, now {now}")


# `run`: plan, collect, grade. Counts and completeness are read from the rows afterwards.


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """All that is decided before anything is sent or written."""

    options: RunOptions
    suites: tuple[Suite, ...]
    plans: tuple[tuple[RunPlanRecord, ...], ...]  # a row a suite, a column a target
    targets: tuple[ModelSpec, ...]
    judges: tuple[ModelSpec, ...]
    out: Path  # what --out was, or would have been
    folders: tuple[tuple[Path, ...], ...]  # as the plans
    told: tuple[str, ...] = ()  # what suites in foreign formats were read as, and what of them is not kept


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Outcome of a run."""

    folders: tuple[RunFolder, ...]
    stopped_by: RunStoppedError | Signals | None
    notes: tuple[str, ...]
    regraded: Mapping[str, str] | None = None  # grader -> identity, where only they were at work


def prepare(options: RunOptions, settings: Settings) -> PreparedRun:
    """Read the suites, name the models, plan. Raises UsageError or InputError; nothing is sent or written."""
    if not options.targets:
        raise UsageError("no model to ask. Add --target PROVIDER/MODEL, as in: --target openai/gpt-5.4")
    options = _with_rule(options)
    loaded = [_suite(source, options) for source in options.suites]
    suites = tuple(suite for suite, _ in loaded)
    targets = named(options.targets, options.target_at, settings, "targets")
    judges = named(options.judges, options.judge_at, settings, "judges", options.judge_sampling)
    plans = tuple(
        tuple(_plan(suite, options, sampling_of(name, settings)) for name in options.targets) for suite in suites
    )
    check_prices(options.limits, (*targets, *judges))
    _check_prefill(plans, targets, [known_capabilities(spec) for spec in targets])
    _check_shard(options, plans)
    _check_rule(options, plans, targets)
    out = options.out or default_out([suite.name for suite in suites], targets, datetime.now(UTC))
    where = folders([suite.name for suite in suites], targets, out)
    told = tuple(line for _, lines in loaded for line in lines)
    return PreparedRun(options, suites, plans, targets, judges, out, where, told)


def _suite(source: str | Suite, options: RunOptions) -> tuple[Suite, list[str]]:
    """The suite, and what to say of files in foreign formats. A suite object is digested as it is now."""
    if isinstance(source, Suite):
        if options.definition is not None or options.mapped:
            raise UsageError("a suite that is read already has its definition: give it to load_suite, or to the suite")
        return source.model_copy(update={"digest": suite_digest(source)}), []
    loaded = load_suite.load_suites(source, definition=options.definition, mapped=options.mapped)
    return loaded.suite, load_suite.suite_messages(loaded)


def _with_rule(options: RunOptions) -> RunOptions:
    """What a stopping rule says of the run beside when it stops: definition and samples. Raises UsageError."""
    if options.stop is None:
        return options
    from misalign_eval.workflows.live import apply_stop_rule  # statistics load slowly, and only such a run needs them

    return apply_stop_rule(options, options.stop)


def _check_rule(options: RunOptions, plans: Sequence[Sequence[RunPlanRecord]], targets: Sequence[ModelSpec]) -> None:
    if options.stop is not None:
        from misalign_eval.workflows.live import check_plan

        spec = targets[0]
        target = _target(spec, "")
        check_plan(options.stop, plans[0][0], target)


def _check_shard(options: RunOptions, plans: Sequence[Sequence[RunPlanRecord]]) -> None:
    if options.shard is None:
        return
    if options.stop is not None:
        raise UsageError("--shard: a part of the replies decides nothing. Leave --stop-when-decided out")
    fewest = min(len(plan.prompts) for row in plans for plan in row)
    if options.shard.count > fewest:
        raise UsageError(f"--shard {options.shard}: the plan has {fewest} prompts. Use at most {fewest} shards")


def _check_prefill(
    plans: Sequence[Sequence[RunPlanRecord]],
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
    from misalign_eval.workflows.live import EarlyStopping

    return EarlyStopping(session, options.stop)


def _plan(suite: Suite, options: RunOptions, of_target: Sampling) -> RunPlanRecord:
    """Flags win over what the settings say of the target, and that over the suite."""
    overrides = of_target.model_copy(update=options.sampling.model_dump(exclude_none=True))
    return make_plan(suite, overrides=overrides, samples=options.samples, seed=options.seed, select=options.selection)


def notes(prepared: PreparedRun) -> list[str]:
    """What to know before paying: models about to be shut down, a target that grades itself, a run that gives way."""
    found = [
        f"{spec.name}: its vendor names {day} as the day it is shut down; its replies cannot be drawn again after that"
        for spec in (*prepared.targets, *prepared.judges)
        if (day := retirement_date(spec))
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


def grader_names(plan: RunPlanRecord) -> list[str]:
    """Every grader of the plan, in order of first use."""
    return list(dict.fromkeys(name for prompt in plan.prompts for name in prompt.graders))


async def execute(prepared: PreparedRun, watcher: Watcher) -> RunOutcome:
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


async def _carried_out(prepared: PreparedRun, models: Models, watcher: Watcher, *, is_first: bool = True) -> RunOutcome:
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
            handles_signals=options.handles_signals,
        )
        await pipeline.run()
    notes = tuple(note for session in sessions for note in session.repairs)
    return RunOutcome(tuple(session.folder for session in sessions), pipeline.stopped_by, notes)


def _graders(prepared: PreparedRun, index: int, judges: JudgeHandles) -> Sequence[Grader]:
    """The graders of one suite, read as in the folders that are gone on with."""
    suite, plans, options = prepared.suites[index], prepared.plans[index], prepared.options
    there = [open_run(path) for path in prepared.folders[index] if options.resume and exists(path)]

    def make(method: Method | None) -> Sequence[Grader]:
        return build(
            grader_names(plans[0]),
            judges=judges,
            configured=suite.rules,
            method=method,
            search=load_suite.own_graders(),
        )

    return as_before(make, there) if options.method is None else make(options.method)


def _sessions(
    prepared: PreparedRun, index: int, targets: Sequence[Caller], graders: Sequence[Grader], stack: ExitStack
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
    prepared: PreparedRun, suite: Suite, plan: RunPlanRecord, path: Path, caller: Caller, graders: Sequence[Grader]
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


# `run --dry-run`: the plan and its estimated cost. Needs no key; sends and writes nothing.


FIRST = 2


def dry_run(prepared: PreparedRun, first: int = FIRST) -> list[DryRun]:
    """One for each suite and target. Raises UsageError as the run itself would."""
    judges = [_unasked(spec) for spec in prepared.judges]
    graders = [_planned_graders(prepared, number, judges) for number in range(len(prepared.suites))]
    refuse_ignored([grader for row in graders for grader in row], judges, prepared.options.method)
    return [
        _one(prepared, graders[number], plan, target, str(folder), first)
        for number, (plans, folders) in enumerate(zip(prepared.plans, prepared.folders, strict=True))
        for plan, target, folder in zip(plans, prepared.targets, folders, strict=True)
    ]


def _planned_graders(prepared: PreparedRun, number: int, judges: JudgeHandles) -> Sequence[Grader]:
    return build(
        grader_names(prepared.plans[number][0]),
        judges=judges,
        configured=prepared.suites[number].rules,
        method=prepared.options.method,
        search=load_suite.own_graders(),
    )


def _one(
    prepared: PreparedRun, graders: Sequence[Grader], plan: RunPlanRecord, target: ModelSpec, folder: str, first: int
) -> DryRun:
    plan = plan.model_copy(update={"prompts": part(plan.prompts, prepared.options.shard)})
    written = tuple(answer for grader in graders for answer in answers(grader))
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

    return JudgeHandle(spec, "", lambda: known_capabilities(spec), ask)
