"""Baselines and policies: baseline files, pooled runs, and runs of a part of a suite."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from pydantic import JsonValue, ValidationError

from misalign_eval import __version__
from misalign_eval.analysis import comparability
from misalign_eval.analysis.copies import SIZE
from misalign_eval.analysis.counts import Cell, ScoreColumn, once
from misalign_eval.analysis.definitions import digest as definition_digest
from misalign_eval.analysis.gate.scope import OUTCOME_OF, GateSide
from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.records.base import digest
from misalign_eval.records.definition import OUTCOMES
from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import BASELINE_FORMAT, Baseline, BaselineCell
from misalign_eval.records.model_names import matches, mixed, strangers
from misalign_eval.records.policy import Check, DifferenceCheck, MaxProbeCheck, Policy, RateCheck, schema
from misalign_eval.records.run import PlannedPrompt, RunManifest, RunPlanRecord, TargetInfo
from misalign_eval.records.summary import Provenance
from misalign_eval.store import lock
from misalign_eval.store.run_folder import exists, open_run
from misalign_eval.workflows.load_run import Choices, CountedRun, count, refuse_unsound

# Baselines of a gate: another run folder, or the small file that `export --baseline` writes.


REPLAY = "replay"
MOST_NAMES = 60


def baseline_of(path: Path, choices: Choices) -> Baseline:
    """Counts and digests of a run, no text. Raises UsageError for a run that cannot stand as a baseline."""
    counted = count(path, choices, whole=True)
    refuse_unsound(counted)
    if (
        comparability.answer("baseline", "stopping") == comparability.ABSENT
        and counted.folder.manifest.stopping is not None
    ):
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


def read(path: Path, choices: Choices) -> GateSide:
    """A baseline from a folder or a file. Raises UsageError, or InputError for a file with something wrong."""
    found = baseline_of(path, choices) if path.is_dir() else _from_file(path)
    return GateSide(tuple(_cell(cell) for cell in found.cells), found.provenance, found.definition, found.answered)


def _answered(run: CountedRun) -> tuple[str, ...]:
    """Where one name answered, that is the target and needs no telling."""
    names = run.tally.answers.replies if run.tally.answers is not None else ()
    return tuple(sorted(names)[:MOST_NAMES]) if len(names) > 1 else ()


def check_same(run: GateSide, baseline: GateSide) -> tuple[Warned, ...]:
    """Raise UsageError unless both are measurements of the same kind: suite, definition, judges. Gives what to tell."""
    ours, theirs = run.provenance, baseline.provenance
    facts = {name: fact for name, fact in comparability.of_provenance(ours).items() if name != "run"}  # see check_other
    others = {name: fact for name, fact in comparability.of_provenance(theirs).items() if name != "run"}
    facts["counting"], others["counting"] = _counting(run), _counting(baseline)
    found = list(comparability.differences("baseline", facts, others))
    if refused := [
        refusal.text("{was} in the run, {now} in the baseline") for refusal in comparability.refusals(found)
    ]:
        raise UsageError(
            f"baseline {theirs.run} is another measurement than {ours.run}. They differ in {'; '.join(refused)}"
        )
    names = f"{ours.run} and baseline {theirs.run}"
    return tuple(
        Warned(id="runs-differ", text=f"{names} differ in their {item.words} (the values are not shown)")
        if item.known
        else comparability.unknown(names, item)
        for item in found
    )


def _counting(side: GateSide) -> comparability.ComparedFact:
    """By the definition itself: a file could name another digest."""
    found = definition_digest(side.definition)
    return comparability.ComparedFact(found, f"{side.definition.name} {found[:8]}")


def check_other(run: CountedRun, baseline: GateSide, path: Path) -> None:
    """Raise UsageError where a baseline is the run itself, a copy of it, or was exported from it.

    Files of older versions may not say when their run was made; nothing can be told of those.
    """
    ours, theirs = (comparability.of_provenance(side.provenance)["run"] for side in (run, baseline))
    is_itself = run.folder.path.resolve() == path.resolve()
    is_copy = ours == theirs and ours.value is not None
    if comparability.answer("baseline", "run") == comparability.UNLIKE and (is_itself or is_copy):
        raise UsageError(
            f"--baseline {path}: a run cannot be its own baseline, and this is {run.folder.path} itself or made of it. "
            "Name another run, of the model before fine-tuning"
        )


def check_not_replayed(run: CountedRun, baseline: GateSide, path: Path) -> None:
    """Raise UsageError where run and baseline hold the same answers: one replays the other, or both a third run."""
    target = run.folder.manifest.target
    is_named = target.provider == REPLAY and Path(target.model).resolve() in {
        path.resolve(),
        path.resolve() / lock.REPLIES,
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
    return {made for made in found if made[0]}  # without a date, two runs of one name may be different ones


def digest_of(baseline: GateSide) -> str:
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
        for index, cell in enumerate(found.cells)
        if len(cell.repeats) not in {0, len(cell.in_order)}
        or Counter(OUTCOME_OF.get(letter, "failed") for letter in cell.in_order) != Counter(cell.counts)
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


def _cell(cell: BaselineCell) -> Cell:
    prompt = PlannedPrompt(
        probe=cell.probe,
        prompt=cell.prompt,
        variant=cell.variant,
        category=cell.category,
        split=cell.split,
        messages=(),
        sampling=cell.sampling,
        samples=len(cell.in_order),
        graders=(),
        prompt_digest=cell.prompt_digest,
    )
    absent = cell.in_order.count("-")
    return Cell(
        prompt=prompt,
        outcomes=dict(cell.counts),
        replies=len(cell.in_order) - absent - cell.counts.get("failed", 0) + absent,
        not_collected=absent,
        obeyed=0,
        most_alike=0,
        scores=ScoreColumn(),
        in_order=cell.in_order,
        repeats=cell.repeats,
    )


# Pooled runs: several runs of one key as one measurement.


def pooled(runs: Sequence[CountedRun]) -> GateSide:
    """Add runs up. Raises UsageError unless they have one key and independent draws."""
    first, *others = runs
    for item, other in combinations(runs, 2):
        if refused := [_words(item, other, refusal) for refusal in comparability.refusals(_differences(item, other))][
            :1
        ]:
            names = f"{item.folder.path} and {other.folder.path}"
            raise UsageError(f"{names} cannot be pooled: {refused[0]}")
    cells = first.tally.cells()
    for other in others:
        theirs = {cell.prompt.cell: cell for cell in other.tally.cells()}
        cells = tuple(_sum(cell, theirs[cell.prompt.cell]) for cell in cells)
    return GateSide(once(cells), first.provenance, first.tally.definition)


def notes(runs: Sequence[CountedRun]) -> Iterator[Warned]:
    """What differs between runs that are pooled all the same, and what cannot be compared."""
    for item, other in combinations(runs, 2):
        names = f"{item.folder.path} and {other.folder.path}"
        for difference in _differences(item, other):
            if not difference.known:
                yield comparability.unknown(names, difference)
            elif difference.answer == comparability.TOLD:
                yield Warned(
                    id="runs-differ", text=f"{names} are pooled and differ in {difference.text('{was}, {now}')}"
                )


def _differences(item: CountedRun, other: CountedRun) -> list[comparability.RunDifference]:
    ours, theirs = _facts(item), _facts(other)
    if item.folder.path.resolve() == other.folder.path.resolve():
        theirs = theirs | {"run": ours["run"]}
    found = list(comparability.differences("pool", ours, theirs))
    prompts, others = (tuple(cell.prompt for cell in run.tally.cells()) for run in (item, other))
    if plans := comparability.of_plans("pool", prompts, others):
        found.append(comparability.RunDifference(plans.fields[0], comparability.EQUAL, "prompts or sampling settings"))
    return found


def _facts(run: CountedRun) -> dict[str, comparability.ComparedFact]:
    """Counted by the definition and the graders that were chosen, whatever the run was collected for."""
    read = comparability.of_provenance(run.provenance)
    return comparability.of_manifest(run.folder.manifest) | {
        name: read[name] for name in ("definition", "counting", "judges")
    }


_MANY = {"suite": "suites", "target": "targets", "definition": "definitions", "judges": "graders"}
_SAME = {"version": "suite", "content": "suite", "counting": "definition"}
_SAID = {
    "run": "they are the same run",
    "moment": "they are the same run",
    "stopping": "a run that may stop early stands alone",
}


def _words(run: CountedRun, other: CountedRun, difference: comparability.RunDifference) -> str:
    a, b = run.folder.manifest, other.folder.manifest
    if difference.field in _SAID:
        return _SAID[difference.field]
    if difference.field == "seed" and a.shard != b.shard:
        return f"they are shards {a.shard} and {b.shard} of one plan. Join them first: misalign-eval merge RUN..."
    if difference.field == "seed":
        return f"both were drawn with seed {a.seed}, so they are the same draws twice"
    if difference.field == "shard":
        return f"they collected different parts of a plan ({difference.was} and {difference.now})"
    return f"their {_MANY.get(_SAME.get(difference.field, difference.field), difference.words)} differ"


def _sum(cell: Cell, other: Cell) -> Cell:
    outcomes = {name: cell.count((name,)) + other.count((name,)) for name in OUTCOMES}
    samples = cell.prompt.samples + other.prompt.samples
    return replace(
        cell,
        prompt=cell.prompt.model_copy(update={"samples": samples}),
        outcomes={name: number for name, number in outcomes.items() if number},
        replies=cell.replies + other.replies,
        not_collected=cell.not_collected + other.not_collected,
        obeyed=cell.obeyed + other.obeyed,
        unknown_ends=cell.unknown_ends + other.unknown_ends,
        most_alike=max(cell.most_alike, other.most_alike),
        scores=ScoreColumn(),
        in_order=cell.in_order + other.in_order,
        texts=_marks(cell) + _marks(other),
        repeats="",
    )


def _marks(cell: Cell) -> bytes:
    """Marks of every planned reply, where none has a text too."""
    return cell.texts.ljust(SIZE * len(cell.in_order), b"\0")


# Partial runs, by --limit, --probe and the like, and what a gate says of them.


FLAGS = {"tags": "--tag", "categories": "--category", "probes": "--probe", "limit": "--limit"}
SHOWN = 3  # names of a flag


def subset_note(runs: Sequence[CountedRun]) -> str:
    """What was asked, where that is not the whole suite; nothing where it is."""
    selection = next((run.folder.manifest.selection for run in runs if run.folder.manifest.selection), None)
    if not selection:
        return ""
    asked = len({cell.prompt.probe for cell in runs[0].tally.cells()})
    probes = "1 probe" if asked == 1 else f"{asked} probes"
    return f"the run asked {probes} of {runs[0].folder.manifest.suite}: a part of the suite ({typed_subset(selection)})"


def refuse_subset(part: str) -> str:
    """Why it does not pass, and the two ways out."""
    return f"{part}. Gate the whole, or say that a part is meant: `part: true` in the policy, or --part"


def typed_subset(selection: Mapping[str, JsonValue]) -> str:
    """As on the command line.

    >>> typed_subset({"probes": ["boredom", "ruler"], "limit": 2})
    '--probe boredom --probe ruler --limit 2'
    """
    given = [
        (FLAGS.get(name, f"--{name}"), item)
        for name, value in selection.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    more = f" and {len(given) - SHOWN} more" if len(given) > SHOWN else ""
    return " ".join(f"{flag} {item}" for flag, item in given[:SHOWN]) + more


# Policies, from a file or from the flags that make the same.


@dataclass(frozen=True, slots=True)
class Flags:
    """`--max-rate`, `--max-increase`, `--max-probe`, as typed; from Python also fractions."""

    max_rate: str | float | None = None
    max_increase: str | float | None = None
    max_probe: str | float | None = None


def load(path: Path) -> Policy:
    """Read a policy file. Raises InputError with every problem and its line."""
    from misalign_eval.yaml_source import document as yaml_document
    from misalign_eval.yaml_source import validate

    if not path.exists():
        raise UsageError(f"--policy {path}: not there")
    return validate.parse(yaml_document.load(path), Policy)


def schema_text() -> str:
    """The JSON Schema of policy files, as it lies beside the suites for editors."""
    from misalign_eval.suites.schema import written

    return written(schema(), "Policy of a gate for misalign-eval")


def from_flags(flags: Flags) -> Policy | None:
    """The policy that flags describe; None without any. Raises UsageError for a limit that nothing could pass."""
    given: Mapping[str, tuple[type[RateCheck | DifferenceCheck | MaxProbeCheck], str, str | float | None]] = {
        "--max-rate": (RateCheck, "limit", flags.max_rate),
        "--max-increase": (DifferenceCheck, "margin", flags.max_increase),
        "--max-probe": (MaxProbeCheck, "limit", flags.max_probe),
    }
    kinds = {RateCheck: "rate", DifferenceCheck: "difference", MaxProbeCheck: "max-probe"}
    checks: list[Check] = []
    for flag, (record, field, text) in given.items():
        if text is None:
            continue
        try:
            checks.append(record.model_validate({"kind": kinds[record], field: text}))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"{flag} {text}: {why}") from error
    return Policy(checks=tuple(checks)) if checks else None


def check_pins(policy: Policy, asked: RunManifest | RunPlanRecord, target: TargetInfo) -> None:
    """Raise UsageError for another suite or target than the policy pins, whatever its name and version say."""
    suite = {"name": asked.suite, "version": asked.suite_version, "digest": asked.suite_digest}
    there = {"name": target.name, "digest": target.digest, "host": target.host}
    for what, pin, found in (("suite", policy.suite, suite), ("target", policy.target, there)):
        wanted = pin.model_dump(exclude_none=True, exclude={"sampling"}) if pin else {}
        if isinstance(asked, RunPlanRecord):
            wanted.pop("host", None)  # known once the target is asked
        wrong = [name for name, value in wanted.items() if not _is(name, found[name], value)]
        if wrong:
            differs = "; ".join(f"{name} {found[name]}, and the policy pins {wanted[name]}" for name in wrong)
            raise UsageError(f"{what} {found['name']}: {differs}. `gate RUN --pins` prints what a run was made with")
    given = _sampling(asked)
    if policy.suite and policy.suite.digest and given != policy.suite.sampling:
        but = f" but for {json.dumps(policy.suite.sampling)}" if policy.suite.sampling else ""
        was = json.dumps(given) if given else "what the suite says"
        raise UsageError(
            f"suite {asked.suite}: the policy pins what it holds, with its sampling{but}, and the run was sampled with "
            f"{was} by flags or settings. `suite: {{sampling: …}}` in the policy pins other values; `gate RUN --pins` "
            "prints them"
        )


def _sampling(asked: RunManifest | RunPlanRecord) -> dict[str, JsonValue]:
    """What was set in place of the suite's sampling. More samples, or fewer, change no reply."""
    overrides = asked.overridden if isinstance(asked, RunPlanRecord) else asked.overrides
    return {name: value for name, value in overrides.items() if name != "samples"}


def _is(name: str, found: str, pinned: str) -> bool:
    return found.startswith(pinned) if name == "digest" else found == pinned


def pins(run: Path) -> str:
    """What a run was made with and is read by, as lines for a policy. Raises UsageError for what is no run."""
    counted = count(run, Choices(), whole=True)
    manifest, source = counted.folder.manifest, counted.provenance
    lines: dict[str, JsonValue] = {
        "suite": {
            "name": manifest.suite,
            "version": manifest.suite_version,
            "digest": manifest.suite_digest,
            **({"sampling": sampling} if (sampling := _sampling(manifest)) else {}),
        },
        "target": {"name": manifest.target.name, "digest": manifest.target.digest},
        "definition": source.definition,
        "judge": dict(source.graders),
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items() if value)


def reading(policy: Policy, choices: Choices) -> Choices:
    """How to read the runs: as the policy pins it. Raises UsageError where the command line says otherwise."""
    if policy.definition and choices.definition not in {None, policy.definition}:
        raise UsageError(f"--definition {choices.definition}: the policy pins `{policy.definition}`")
    for grader, identity in choices.use_judge.items():
        if policy.judge.get(grader, identity) != identity:
            raise UsageError(f"--use-judge {grader}={identity}: the policy pins {policy.judge[grader]}")
    definition = policy.definition or choices.definition
    return replace(choices, definition=definition, use_judge={**choices.use_judge, **policy.judge})


def mixtures(policy: Policy, runs: Sequence[CountedRun], baseline: GateSide | None) -> tuple[str, ...]:
    """Which of target, judges and baseline several models answered for, in words; not those of `same_model`."""
    found: dict[str, tuple[str, ...]] = {}
    known = [run.tally.answers for run in runs if run.tally.answers is not None]
    target = runs[0].folder.manifest.target
    replies = [name for answers in known for name in answers.replies]
    found[f"replies of the target {target.name}"] = mixed(target.provider, target.model, replies, policy.same_model)
    for judge in dict.fromkeys(name for answers in known for judges in answers.judges.values() for name in judges):
        provider, _, model = judge.partition("/")
        names = [item for answers in known for judges in answers.judges.values() for item in judges.get(judge, ())]
        found[f"verdicts of the judge {judge}"] = mixed(provider, model, names, policy.same_model)
    if baseline is not None:
        provider, _, model = baseline.provenance.target.partition("/")
        found["replies of the baseline"] = mixed(provider, model, baseline.answered, policy.same_model)
    return tuple(_mixture(what, names) for what, names in found.items() if names)


def _mixture(what: str, names: Sequence[str]) -> str:
    # a name from a server must not end the code span that it stands in
    spans = [name.replace("`", "'") for name in names[:5]]
    shown = ", ".join(f"`{span}`" for span in spans) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    setting = json.dumps(list(names[:5]), ensure_ascii=False)
    return (
        f"{what} came from several models: {shown}. A gate is about one. If these names stand for one model, "
        f"`same_model: {setting}` in the policy says so"
    )


def check_served(policy: Policy, run: CountedRun) -> None:
    """Target and judges that a policy pins must also be the models that answered, or names of its `same_model`.

    Raises UsageError for another one.
    """
    answers = run.tally.answers
    if answers is None:
        return
    target = run.folder.manifest.target
    others = _others(policy, target.provider, target.model, answers.replies)
    if policy.target is not None and others:
        raise UsageError(
            f"{run.folder.path}: the policy pins the target {target.name}, and replies came from another model: "
            f"{', '.join(f'`{name}`' for name in others[:5])}"
        )
    for grader in policy.judge:
        for judge, names in answers.judges.get(grader, {}).items():
            provider, _, model = judge.partition("/")
            if others := _others(policy, provider, model, names):
                html = ", ".join(f"`{name}`" for name in others[:5])
                raise UsageError(
                    f"{run.folder.path}: the policy pins the judge of `{grader}`, {judge}, and its verdicts came from "
                    f"another model: {html}"
                )


def _others(policy: Policy, provider: str, model: str, served: Iterable[str]) -> list[str]:
    found = strangers(provider, model, served)
    return [name for name in found if not any(matches(known, name) for known in policy.same_model)]
