"""What a run is compared with in a gate: another run folder, or the small file that `export --baseline` writes."""

from collections import Counter
from pathlib import Path

from pydantic import ValidationError

from misalign_eval import __version__
from misalign_eval.analysis import alike
from misalign_eval.analysis.definitions import digest as definition_digest
from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.rounds import OUTCOME_OF
from misalign_eval.analysis.tally import Cell, Scores
from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.records.analysis import Provenance, Warned
from misalign_eval.records.digest import digest
from misalign_eval.records.gate import BASELINE_FORMAT, Baseline, BaselineCell
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.results import layout
from misalign_eval.results.folder import exists, open_run
from misalign_eval.workflows.counting import Choices, Counted, count, refuse_unsound

REPLAY = "replay"
MOST_NAMES = 60


def baseline_of(path: Path, choices: Choices) -> Baseline:
    """Counts and digests of a run, no text. Raises UsageError for a run that cannot stand as a baseline."""
    counted = count(path, choices, whole=True)
    refuse_unsound(counted)
    if alike.answer("baseline", "stopping") == alike.ABSENT and counted.folder.manifest.stopping is not None:
        raise UsageError(
            f"{path}: was collected with early stopping, which selects its rate; a baseline needs all of its replies"
        )
    cells = [cell for cell in counted.tally.cells() if sum(cell.outcomes.values())]
    return Baseline(
        tool_version=__version__,
        definition=counted.tally.definition,
        provenance=counted.provenance.model_copy(update={"host": ""}),
        answered=_answered(counted),
        cells=tuple(_stored(cell) for cell in cells),
    )


def read(path: Path, choices: Choices) -> Side:
    """A baseline from a folder or a file. Raises UsageError, or InputError for a file with something wrong."""
    found = baseline_of(path, choices) if path.is_dir() else _from_file(path)
    return Side(tuple(_cell(one) for one in found.cells), found.provenance, found.definition, found.answered)


def _answered(run: Counted) -> tuple[str, ...]:
    """Where one name answered, that is the target and needs no telling."""
    names = run.tally.answers.replies if run.tally.answers is not None else ()
    return tuple(sorted(names)[:MOST_NAMES]) if len(names) > 1 else ()


def check_same(run: Side, baseline: Side) -> tuple[Warned, ...]:
    """Raise UsageError unless both are measurements of the same kind: suite, definition, judges. Gives what to tell."""
    ours, theirs = run.provenance, baseline.provenance
    facts = {name: fact for name, fact in alike.of_provenance(ours).items() if name != "run"}  # see check_other
    others = {name: fact for name, fact in alike.of_provenance(theirs).items() if name != "run"}
    facts["counting"], others["counting"] = _counting(run), _counting(baseline)
    found = list(alike.differences("baseline", facts, others))
    if refused := [one.text("{was} in the run, {now} in the baseline") for one in alike.refusals(found)]:
        raise UsageError(
            f"baseline {theirs.run} is another measurement than {ours.run}. They differ in {'; '.join(refused)}"
        )
    names = f"{ours.run} and baseline {theirs.run}"
    return tuple(
        Warned(id="runs-differ", text=f"{names} differ in their {one.words} (the values are not shown)")
        if one.known
        else alike.unknown(names, one)
        for one in found
    )


def _counting(side: Side) -> alike.Fact:
    """By the definition itself: a file could name another digest."""
    found = definition_digest(side.definition)
    return alike.Fact(found, f"{side.definition.name} {found[:8]}")


def check_other(run: Counted, baseline: Side, path: Path) -> None:
    """Raise UsageError where a baseline is the run itself, a copy of it, or was exported from it.

    Files of older versions may not say when their run was made; nothing can be told of those.
    """
    ours, theirs = (alike.of_provenance(side.provenance)["run"] for side in (run, baseline))
    is_itself = run.folder.path.resolve() == path.resolve()
    is_copy = ours == theirs and ours.value is not None
    if alike.answer("baseline", "run") == alike.UNLIKE and (is_itself or is_copy):
        raise UsageError(
            f"--baseline {path}: a run cannot be its own baseline, and this is {run.folder.path} itself or made of it. "
            "Name another run, of the model before fine-tuning"
        )


def check_not_replayed(run: Counted, baseline: Side, path: Path) -> None:
    """Raise UsageError where run and baseline hold the same answers: one replays the other, or both a third run."""
    target = run.folder.manifest.target
    is_named = target.provider == REPLAY and Path(target.model).resolve() in {
        path.resolve(),
        path.resolve() / layout.REPLIES,
    }
    if is_named or not _origins(run.provenance).isdisjoint(_origins(baseline.provenance)):
        who = f"{run.folder.path} replays this baseline's own answers ({target.name})"
        if target.provider != REPLAY:
            who = f"it replays the answers of {run.folder.path} ({baseline.provenance.target})"
        raise UsageError(f"--baseline {path}: {who}. Name another run, of the model before fine-tuning")


def _origins(source: Provenance) -> set[tuple[str, str, str]]:
    """The run, and the run folders whose answers it gave again, one behind the other, as far as they are there."""
    found: set[tuple[str, str, str]] = set()
    made = (source.created, source.target, source.run)
    while made not in found:
        found.add(made)
        provider, _, place = made[1].partition("/")
        folder = Path(place).parent if Path(place).is_file() else Path(place)
        if provider != REPLAY or not exists(folder):
            break
        manifest = open_run(folder).manifest
        made = (manifest.created, manifest.target.name, manifest.name)
    return found


def digest_of(baseline: Side) -> str:
    """16 hexadecimal digits over what the baseline counted."""
    return digest([[cell.prompt.prompt_digest, cell.in_order] for cell in baseline.cells])


def _from_file(path: Path) -> Baseline:
    if not path.is_file():
        raise UsageError(
            f"--baseline {path}: not there. Name a run folder, or a file from `export RUN --baseline FILE`"
        )
    try:
        found = Baseline.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        fix = "Write it with `misalign-eval export RUN --baseline FILE`."
        raise InputError([Problem(str(path), None, where, f"not a baseline: {first['msg']}", fix)]) from error
    if found.format != BASELINE_FORMAT:
        raise UsageError(
            f"{path}: a baseline of format {found.format}; this version reads {BASELINE_FORMAT}. Export it anew"
        )
    wrong = [
        Problem(str(path), None, f"cells.{index}", "counts and in_order differ", "Export the baseline anew.")
        for index, one in enumerate(found.cells)
        if len(one.repeats) not in {0, len(one.in_order)}
        or Counter(OUTCOME_OF.get(letter, "failed") for letter in one.in_order) != Counter(one.counts)
    ]
    if found.provenance.definition_digest != definition_digest(found.definition):
        wrong.append(Problem(str(path), None, "definition", "its digest is another one", "Export the baseline anew."))
    if wrong:
        raise InputError(wrong)
    return found


def _stored(cell: Cell) -> BaselineCell:
    prompt = cell.prompt
    return BaselineCell(
        probe=prompt.probe,
        prompt=prompt.prompt,
        variant=prompt.variant,
        category=prompt.category,
        split=prompt.split,
        prompt_digest=prompt.prompt_digest,
        sampling=prompt.sampling,
        counts={name: count for name, count in cell.outcomes.items() if count},
        in_order=cell.in_order,
        repeats=cell.repeats,
    )


def _cell(one: BaselineCell) -> Cell:
    prompt = PlannedPrompt(
        probe=one.probe,
        prompt=one.prompt,
        variant=one.variant,
        category=one.category,
        split=one.split,
        messages=(),
        sampling=one.sampling,
        samples=len(one.in_order),
        graders=(),
        prompt_digest=one.prompt_digest,
    )
    absent = one.in_order.count("-")
    return Cell(
        prompt=prompt,
        outcomes=dict(one.counts),
        replies=len(one.in_order) - absent - one.counts.get("failed", 0) + absent,
        not_collected=absent,
        obeyed=0,
        most_alike=0,
        scores=Scores(),
        in_order=one.in_order,
        repeats=one.repeats,
    )
