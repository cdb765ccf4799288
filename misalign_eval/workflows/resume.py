"""Going on with a run folder: what must be the same, and what may grow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from misalign_eval.analysis import alike
from misalign_eval.errors import UsageError
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Reply
from misalign_eval.records.run import RunManifest
from misalign_eval.results.folder import RunFolder, create_run, exists, open_run
from misalign_eval.results.layout import DERIVED, GRADES, LOCK, MANIFEST, PLAN, REPLIES
from misalign_eval.results.whole import is_left_behind
from misalign_eval.workflows.counting import refuse_first_digits


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
    refuse_first_digits(folder, [who for who in folder.grader_identities() if _is_ours(who, manifest)])
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


def _is_ours(who: GraderIdentity, manifest: RunManifest) -> bool:
    """Whether the run would go on with this grader."""
    return manifest.primary.get(who.grader) == who.identity


def _grown(before: Sequence[PlannedPrompt], now: Sequence[PlannedPrompt]) -> Iterator[PlannedPrompt]:
    wanted = {alike.cell(prompt): prompt.samples for prompt in now}
    for prompt in before:
        yield prompt.model_copy(update={"samples": max(prompt.samples, wanted[alike.cell(prompt)])})


def _differences(
    folder: RunFolder, before: Sequence[PlannedPrompt], new: RunManifest, prompts: Sequence[PlannedPrompt]
) -> tuple[list[str], list[str]]:
    """What forbids going on, and what is to be told."""
    found = list(alike.differences("resume", _facts(folder, folder.manifest), _facts(folder, new)))
    refused = [_words(folder, one) for one in alike.refusals(found)]
    notes = [f"run.json does not say its {one.words}; taken to be those of now" for one in found if not one.known]
    if new.stopping and not folder.manifest.stopping and folder.looks():
        refused.append("the stopping rule: a gate has looked at this run already, so none can be declared any more")
    fewer, most = new.overrides.get("samples"), max((prompt.samples for prompt in before), default=0)
    if isinstance(fewer, int) and fewer < most:
        refused.append(
            f"--samples {fewer}, where {most} are planned: a plan never shrinks. Leave it out, or ask for more"
        )
    if (plans := alike.of_plans("resume", before, prompts)) is None:
        return refused, notes
    if plans.fields == ("prompts",):
        more = "the suite's content, or --tag, --probe, …"
        refused.append(f"the prompts planned ({len(before)}, now {len(prompts)}: {more})")
    elif any(alike.answer("resume", field) == alike.EQUAL for field in plans.fields):
        refused.append(f"a prompt or a sampling setting ({', '.join(plans.names)} of {plans.first})")
    else:
        what = f"{', '.join(plans.names)} of {plans.prompts} of {len(before)} prompts"
        notes.append(f"the suite has another {what}, as {plans.first}; the run goes on as it was planned")
    return refused, notes


def _facts(folder: RunFolder, manifest: RunManifest) -> dict[str, alike.Fact]:
    """A rule of stopping may be declared later, or left out: then the one of run.json stands, or none does."""
    facts = alike.of_manifest(manifest) | {"judges": alike.Fact(_judges(folder, manifest))}
    if not (folder.manifest.stopping and manifest.stopping):
        del facts["stopping"]
    return facts


def _judges(folder: RunFolder, manifest: RunManifest) -> dict[str, str]:
    """Whose grades are reported, of the graders with grades that must not be mixed with another judge's."""
    old = folder.manifest.primary
    graded = [
        who.grader
        for who in folder.grader_identities()
        if old.get(who.grader) == who.identity and any(row.kind == "graded" for row in folder.grades(who))
    ]
    return {name: manifest.primary.get(name, old[name]) for name in graded}


def _words(folder: RunFolder, difference: alike.Difference) -> str:
    if difference.field == "stopping":
        return "the stopping rule (policy or baseline), which must stand before the first reply"
    if difference.field == "options":
        return "the options of the target (`options:` in the settings file; their values are not shown)"
    if difference.field == "headers":
        return "the request headers of the target (`headers:` in the settings file; their values are not shown)"
    if difference.field == "judges":
        name = difference.words.rpartition(" ")[2].strip("`")
        who = next(one for one in folder.grader_identities() if (one.grader, one.identity) == (name, difference.was))
        return f"the judge of `{name}` ({who.judge or who.identity}; `regrade` adds another judge's grades)"
    return difference.text("{was}, now {now}")
