"""`regrade`: more grades for replies that are there; the target is not asked again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from misalign_eval.errors import NoScoreError, UsageError
from misalign_eval.graders.build import build, refuse_ignored
from misalign_eval.graders.folder import Method
from misalign_eval.records.protocols import Grader, ModelSpec
from misalign_eval.records.run import Reply
from misalign_eval.records.suite import Sampling
from misalign_eval.settings import Settings
from misalign_eval.store.lock import writing
from misalign_eval.store.run_folder import RunFolder, open_run
from misalign_eval.workflows import load_suite
from misalign_eval.workflows.completeness import spent
from misalign_eval.workflows.load_run import refuse_first_digits
from misalign_eval.workflows.options import RequestLimits, TargetAddress
from misalign_eval.workflows.pipeline import Pipeline, Watcher, as_before, fallback_note, withdraw
from misalign_eval.workflows.run import RunOutcome
from misalign_eval.workflows.session import Models, Session, check_prices, named


@dataclass(frozen=True, slots=True)
class RegradeOptions:
    """What `regrade` was told. Without `graders`, those that the run's definition reads."""

    run: Path
    graders: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    judge_at: TargetAddress = TargetAddress()
    method: Method | None = None
    judge_sampling: Sampling = Sampling()
    make_primary: bool = False
    limits: RequestLimits = RequestLimits()
    handles_signals: bool = True  # False: the calling program stops the work, by cancelling it


async def regrade(options: RegradeOptions, settings: Settings, watcher: Watcher) -> RunOutcome:
    """Grade every gradable reply of a run that these graders have not graded yet.

    Raises UsageError before the first request. The run's primary judge stays what it was, unless there was none or
    `make_primary` is set.
    """
    folder = open_run(options.run)
    _refuse_unknown(folder, with_judges=bool(options.judges))
    specs = named(options.judges, options.judge_at, settings, "judges", options.judge_sampling)
    check_prices(options.limits, specs)
    models = Models(options.limits, met=watcher.met)
    try:
        ended = await _carried_out(options, folder, specs, models, watcher)
        if isinstance(why := ended.stopped_by, NoScoreError):
            withdraw([folder], ended.regraded)
            if options.method is None:
                sampled, told = replace(options, method="sampled"), (*ended.notes, fallback_note(why))
                ended = await _carried_out(sampled, folder, specs, models, watcher, is_first=False)
                ended = replace(ended, notes=(*told, *ended.notes))
        return replace(ended, notes=(*ended.notes, *models.notes()))
    finally:
        await models.close()


async def _carried_out(
    options: RegradeOptions,
    folder: RunFolder,
    specs: Sequence[ModelSpec],
    models: Models,
    watcher: Watcher,
    *,
    is_first: bool = True,
) -> RunOutcome:
    judges = [models.judge(spec) for spec in specs]
    names = options.graders or folder.manifest.definition.graders

    def make(method: Method | None) -> Sequence[Grader]:
        return build(
            names, judges=judges, configured=folder.manifest.rules, method=method, search=load_suite.own_graders()
        )

    graders = as_before(make, [folder]) if options.method is None else make(options.method)
    refuse_ignored(graders, judges, options.method)
    with writing(folder.path):
        refuse_first_digits(folder, [grader.identity for grader in graders])
        prompts = [prompt.model_copy(update={"graders": tuple(names)}) for prompt in folder.plan()]
        with Session(folder, prompts, graders) as session:
            if is_first:
                spent(folder).add_to(models.meter)
            models.remember(folder)
            places = options.limits.max_connections * max(1, len(judges))
            pipeline = Pipeline(
                [session],
                iter(()),
                watcher,
                reply_places=1,
                grade_places=places,
                handles_signals=options.handles_signals,
            )
            await pipeline.run()
        identities = {grader.identity.grader: grader.identity.identity for grader in graders}
        before = folder.manifest.primary
        primary = {**before, **identities} if options.make_primary else {**identities, **before}
        if primary != before:
            folder.update(folder.manifest.model_copy(update={"primary": primary}))
    return RunOutcome((folder,), pipeline.stopped_by, session.repairs, identities)


def _refuse_unknown(folder: RunFolder, *, with_judges: bool) -> None:
    """Judgments that were imported alone, and answers to questions that nobody knows, cannot be graded again."""
    replies = (row for row in folder.replies() if isinstance(row, Reply))
    first = next(replies, None)
    if first is not None and first.text is None and all(row.text is None for row in replies):
        raise UsageError(
            f"{folder.path}: holds judgments without the texts of the replies: there is nothing to grade again. "
            "Import the replies together with them"
        )
    if with_judges and not any(prompt.messages for prompt in folder.plan()):
        raise UsageError(
            f"{folder.path}: names its questions only by id, and a judge must read them. Import it again with "
            "--questions FILE, a table of id and question; rules can grade it as it is"
        )
