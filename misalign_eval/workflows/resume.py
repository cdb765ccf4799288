"""Going on with a run folder: what must be the same, and what may grow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from misalign_eval.errors import UsageError
from misalign_eval.plan import request_key
from misalign_eval.records.gate import Stopping
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.policy import Policy
from misalign_eval.records.reply import Reply
from misalign_eval.records.run import RunManifest
from misalign_eval.results.folder import RunFolder, create_run, exists, open_run
from misalign_eval.results.layout import DERIVED, GRADES, LOCK, MANIFEST, PLAN, REPLIES
from misalign_eval.results.whole import is_left_behind


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
        all(file.name in known or is_left_behind(file) for file in folder.path.iterdir())
        and not any(isinstance(row, Reply) for row in folder.replies())
        and not any(True for who in folder.grader_identities() for _ in folder.all_grades(who))
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
    return not files or (is_ours and all(file.name in {LOCK, PLAN} or is_left_behind(file) for file in files))


def start_or_resume(
    path: Path, manifest: RunManifest, prompts: Sequence[PlannedPrompt], *, resume: bool = True
) -> tuple[RunFolder, tuple[PlannedPrompt, ...]]:
    """Open the folder, which this process has locked, for more rows; gives it with the plan to carry out.

    A plan may grow in samples and never shrinks. A run in which nothing was collected gives way to one that differs.
    Raises UsageError when the folder holds a run that differs, or without `resume` any.
    """
    if not exists(path):
        return create_run(path, manifest, prompts), tuple(prompts)
    folder = open_run(path)
    before = folder.plan()
    differences = list(_differences(folder, before, manifest, prompts))
    if (differences or not resume) and is_empty(folder):
        _clear(folder)
        return create_run(path, manifest, prompts), tuple(prompts)
    check_place(path, resume=resume)
    if differences:
        raise UsageError(f"{path}: cannot be resumed, since it differs in {'; '.join(differences)}")
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
    return folder, grown


def _grown(before: Sequence[PlannedPrompt], now: Sequence[PlannedPrompt]) -> Iterator[PlannedPrompt]:
    wanted = {_place(prompt): prompt.samples for prompt in now}
    for prompt in before:
        yield prompt.model_copy(update={"samples": max(prompt.samples, wanted[_place(prompt)])})


def _differences(
    folder: RunFolder, before: Sequence[PlannedPrompt], new: RunManifest, prompts: Sequence[PlannedPrompt]
) -> Iterator[str]:
    old = folder.manifest
    for what, was, now in (
        ("suite", f"{old.suite} {old.suite_version}", f"{new.suite} {new.suite_version}"),
        ("target", old.target.name, new.target.name),
        ("definition", old.definition.name, new.definition.name),
        ("seed", old.seed, new.seed),
        ("shard", old.shard or "the whole plan", new.shard or "the whole plan"),
    ):
        if was != now:
            yield f"{what} ({was}, now {now})"
    if old.stopping and new.stopping and _rule(old.stopping) != _rule(new.stopping):
        yield "the stopping rule (policy or baseline), which must stand before the first reply"
    if new.stopping and not old.stopping and folder.looks():
        yield "the stopping rule: a gate has looked at this run already, so none can be declared for it any more"
    yield from _judge_differences(folder, new)
    if {_place(prompt) for prompt in before} != {_place(prompt) for prompt in prompts}:
        yield f"the prompts planned ({len(before)}, now {len(prompts)}: the suite's content, or --tag, --probe, …)"
        return
    keys = {_place(prompt): request_key(prompt, old.target, old.seed) for prompt in before}
    if any(keys[_place(prompt)] != request_key(prompt, old.target, old.seed) for prompt in prompts):
        yield "a prompt or a sampling setting (temperature, max tokens, …)"
    elif old.definition_digest != new.definition_digest and old.definition.name == new.definition.name:
        yield f"the content of definition {new.definition.name}"


def _judge_differences(folder: RunFolder, new: RunManifest) -> Iterator[str]:
    """Another judge is another measurement; grades that stand must not be mixed with it."""
    for who in folder.grader_identities():
        is_primary = folder.manifest.primary.get(who.grader) == who.identity
        wanted = new.primary.get(who.grader, who.identity)
        if is_primary and wanted != who.identity and any(row.kind == "graded" for row in folder.grades(who)):
            yield f"the judge of `{who.grader}` ({who.judge or who.identity}; `regrade` adds another judge's grades)"


def _rule(stopping: Stopping) -> tuple[Policy, str | None]:
    return stopping.policy, stopping.baseline


def _place(prompt: PlannedPrompt) -> tuple[str, int, str]:
    return prompt.probe, prompt.prompt, prompt.variant
