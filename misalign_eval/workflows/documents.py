"""Pages: their sections, and the provenance of their runs."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from misalign_eval.analysis import comparison as run_comparison
from misalign_eval.analysis import distributions, warnings
from misalign_eval.analysis import trajectory as trajectories
from misalign_eval.analysis.align import AlignedPrompt, align_prompts, shared_headline
from misalign_eval.analysis.comparison import ComparedSide
from misalign_eval.analysis.counts import Cell, GradeTable, headline
from misalign_eval.analysis.distributions import Spreads, axes
from misalign_eval.analysis.judge_comparison import SecondJudge, is_split, opinion
from misalign_eval.analysis.outcomes import Grade, outcome
from misalign_eval.analysis.trajectory import Along
from misalign_eval.errors import UsageError
from misalign_eval.files import atomic_write
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.gate import Gate
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.labels import Calibration
from misalign_eval.records.pages import Distributions, LintedRun, Opinion, Page, ReplyOrigin, ReplySample, Slot
from misalign_eval.records.run import CellKey, Failure, PlannedPrompt, Reply, RunManifest
from misalign_eval.reports.numbers import cost_lines
from misalign_eval.store import labels as stored
from misalign_eval.store import lock, run_folder
from misalign_eval.store.run_folder import RunFolder
from misalign_eval.workflows import baselines
from misalign_eval.workflows.completeness import spent
from misalign_eval.workflows.gate import GateOptions
from misalign_eval.workflows.judging import comparison
from misalign_eval.workflows.judging.calibrate import CalibrateOptions, calibrate
from misalign_eval.workflows.load_run import Choices, CountedRun, count
from misalign_eval.workflows.report import (
    WORST,
    check_compared_runs,
    check_trajectory_runs,
    ordered_groups,
    summarise_run,
    with_graders,
)
from misalign_eval.workflows.show import CHARACTERS, REPLIES, KeptReplies, Place, chosen, keys_of, shown_reply

# Provenance of a run, read from its folder: the command that repeats it, versions, digests, cost.


FLAGS = {"samples": "--samples", "temperature": "--temperature", "max_tokens": "--max-tokens"}
FLAGS |= {"reasoning_effort": "--reasoning-effort", "tags": "--tag", "categories": "--category"}
FLAGS |= {"probes": "--probe", "limit": "--limit"}


def origin(folder: RunFolder, definition: Definition, digest: str) -> ReplyOrigin:
    """Read one folder. `definition` is the one that the page counts by, `digest` its digest."""
    manifest, graders = folder.manifest, folder.grader_identities()
    return ReplyOrigin(
        run=manifest.name,
        facts=tuple(_facts(manifest, graders, definition, digest)),
        command=shlex.join(_command(manifest, graders)),
        cost=tuple(line.strip() for line in cost_lines(spent(folder))),
    )


def _facts(
    manifest: RunManifest, graders: list[GraderIdentity], definition: Definition, digest: str
) -> Iterator[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    yield (
        "target",
        f"{manifest.target.called} at {manifest.target.host}" if manifest.target.host else manifest.target.called,
    )
    yield "suite", f"{manifest.suite} {manifest.suite_version}, digest {manifest.suite_digest}"
    yield "counted by", f"definition {definition.name} {definition.version}, digest {digest}"
    if manifest.definition_digest != digest:
        yield "made for", f"definition {manifest.definition.name}, digest {manifest.definition_digest}"
    for grader in graders:
        by = f" by {grader.judge}{f' at {grader.host}' if grader.host else ''}" if grader.judge else ""
        rubric = f", rubric {grader.rubric_digest}" if grader.rubric_digest else ""
        yield f"grader {grader.grader}", f"{grader.kind}{by}, identity {grader.identity}{rubric}"
    yield "planned", f"{manifest.planned_replies} replies to {manifest.planned_prompts} prompts"
    yield "seed", "none sent" if manifest.seed is None else str(manifest.seed)
    yield "started", manifest.created
    yield "made with", f"misalign-eval {manifest.tool_version}{f', {versions}' if versions else ''}"
    if manifest.git_commit:
        yield "git commit", manifest.git_commit


def _command(manifest: RunManifest, graders: list[GraderIdentity]) -> Iterator[str]:
    """The options that the folder keeps; an address and the name of a key's variable are not among them."""
    yield from ("misalign-eval", "run", manifest.suite_file, "--target", manifest.target.given or manifest.target.name)
    primary = [grader for grader in graders if manifest.primary.get(grader.grader) == grader.identity]
    for judge in dict.fromkeys(name for who in primary if who.judge for name in who.judge.split(" + ")):
        yield from ("--judge", judge)
    for name, value in {**manifest.overrides, **manifest.selection}.items():
        for item in value if isinstance(value, list) else [value]:
            if name in FLAGS and item is not None:
                yield from (FLAGS[name], str(item))
    if manifest.seed is not None:
        yield from ("--seed", str(manifest.seed))
    for pair in manifest.mapped.items():
        yield from ("--map", "=".join(pair))
    for label in manifest.labels.items():
        yield from ("--label", "=".join(label))


# Second pass over a counted run, for a page: texts, distributions of scores, verdicts of other judges.


Pairs = Counter[tuple[Outcome, Outcome]]


@dataclass(frozen=True, slots=True)
class Pass:
    """What the second reading of one run found. `cells` are those of the headline."""

    label: str
    cells: tuple[Cell, ...]
    kept: KeptReplies
    dropped: frozenset[Place]  # wanted, and no room for the text
    spreads: Spreads
    opinions: tuple[Opinion, ...]
    graders: tuple[GraderIdentity, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class _Judges:
    """The grades of a run: those that count, and each other judge's."""

    main: GradeTable
    others: tuple[SecondJudge, ...]
    shown: tuple[GraderIdentity, ...]


def second_pass(run: CountedRun, label: str, kept: KeptReplies, cells: tuple[Cell, ...]) -> Pass:
    """Read grades, then replies. `kept` says which texts are wanted and holds them afterwards."""
    wanted = frozenset(place for place, _ in kept.wanted.values())
    folder, definition = run.folder, run.tally.definition
    judges = _read_grades(run, kept)
    spreads = Spreads(axes(definition, judges.main.graders))
    inside = {cell.prompt.cell for cell in cells}
    pairs: list[Pairs] = [Counter() for _ in judges.others]
    planned = {item.cell: item.samples for item in _plan(run)}
    rows = 0
    for row in folder.replies():
        if row.sample >= planned.get(row.cell, 0):
            continue
        rows += 1
        grades = judges.main.of(row.key)
        spreads.add(row, grades)
        _look(row, grades, definition, judges, pairs, inside, kept)
    left = frozenset(place for place, _ in kept.wanted.values())
    names = _name(judges.shown, run)
    found = (
        opinion(label, (names, other.name), counts, definition.numerator)
        for other, counts in zip(judges.others, pairs, strict=True)
        if counts
    )
    return Pass(label, cells, kept, wanted - left, spreads, tuple(found), judges.shown, rows)


def _look(
    row: Reply | Failure,
    grades: Mapping[str, Grade],
    definition: Definition,
    judges: _Judges,
    pairs: Sequence[Pairs],
    inside: set[CellKey],
    kept: KeptReplies,
) -> None:
    """Count one row by every judge, and keep it where it is wanted."""
    found = outcome(row, grades, definition)
    is_disputed = False
    if isinstance(row, Reply):
        for other, counts in zip(judges.others, pairs, strict=True):
            theirs = other.counted(row, grades, definition)
            if theirs is not None and row.cell in inside:
                counts[found, theirs] += 1
            both = {found, theirs} - {None, "ungraded"}
            is_disputed |= len({name in definition.numerator for name in both}) > 1
    key = row.key
    if key in kept.wanted:
        said = kept.grades.pop(key, [])
        is_disputed |= isinstance(row, Reply) and is_split(
            row, grades, {item.name: item.votes for item in said}, definition
        )
        kept.keep(key, shown_reply(row, found, said, is_disputed=is_disputed))


def _read_grades(run: CountedRun, kept: KeptReplies) -> _Judges:
    """Every grader that the definition reads, the primary of each other one, and other judges of the former."""
    folder, read = run.folder, run.provenance.graders
    there = folder.grader_identities()
    main = [identity for identity in there if read.get(identity.grader) == identity.identity]
    extra = {identity.grader: identity for identity in reversed(there) if identity.grader not in read}
    table = GradeTable()
    for who in (*main, *(extra[name] for name in sorted(extra))):
        table.add(who.grader, kept.grade(who.grader, folder.grades(who)))
    second = [identity for identity in there if identity.grader in read and read[identity.grader] != identity.identity]
    others: dict[str, GradeTable] = {}
    for who in second:
        rows = kept.grade(f"{who.grader} ({_called(who)})", folder.grades(who))
        others.setdefault(_called(who), GradeTable()).add(who.grader, rows)
    judges = tuple(SecondJudge(name, other) for name, other in others.items())
    return _Judges(table, judges, (*main, *(extra[name] for name in sorted(extra)), *second))


def _called(identity: GraderIdentity) -> str:
    return identity.judge or f"{identity.kind} {identity.identity}"


def _name(shown: Sequence[GraderIdentity], run: CountedRun) -> str:
    """Who decides in the run itself."""
    read = run.provenance.graders
    return (
        ", ".join(
            dict.fromkeys(_called(identity) for identity in shown if read.get(identity.grader) == identity.identity)
        )
        or "the run"
    )


def _plan(run: CountedRun) -> list[PlannedPrompt]:
    return [cell.prompt for cell in run.tally.cells()]


# Assembly of a page from the numbers of the analysis and the replies behind them.


@dataclass(frozen=True, slots=True)
class PageLimits:
    """Limits on the replies that a page holds."""

    replies: int = REPLIES
    characters: int = CHARACTERS


def of_runs(paths: Sequence[Path], choices: Choices | None = None, limits: PageLimits | None = None) -> Page:
    """The page of one run, or of several that are each shown for themselves. Raises as `report`."""
    choices = _whole(choices)
    runs = [count(path, choices, worst=WORST, lint=True) for path in paths]
    made = tuple(with_graders(summarise_run(run, choices), run, choices) for run in runs)
    title = f"Misalignment of {', '.join(dict.fromkeys(item.summary.called for item in made))}"
    heads = [headline(run.tally.cells(), choices.split).cells for run in runs]
    return _with_replies(Page(title=title, reports=made), runs, _names(runs), choices, limits, heads)


def _names(runs: Sequence[CountedRun]) -> list[str]:
    """The runs' own names; numbered where two have one name."""
    names = [run.provenance.run for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{number}: {name}" for number, name in enumerate(names, 1)]


def refresh(path: Path) -> None:
    """Write the folder's report.html anew where there is one: the same rows give the same bytes.

    It is not made unasked: it holds the replies once more, and takes as long as all other reading together. Raises
    OSError when the folder takes no files.
    """
    from misalign_eval.reports.backends.html import render

    if (path / lock.PAGE).is_file():
        atomic_write(path / lock.PAGE, [render(of_runs([path])).encode()])


def of_pair(paths: Sequence[Path], choices: Choices | None = None, limits: PageLimits | None = None) -> Page:
    """The page of two runs, before and after. Raises as `compare`."""
    choices = _whole(choices)
    check_compared_runs(paths)
    runs = [count(path, choices, lint=True) for path in paths]
    before, after = map(_side, runs)
    found = run_comparison.compare(before, after, split=choices.split, interval=choices.interval)
    found = found.model_copy(update={"judges": comparison.judge_section_of_change(paths[0], paths[1], choices)})
    page = Page(title=f"Change from {found.before.run} to {found.after.run}", comparison=found)
    return _with_replies(page, runs, ["before", "after"], choices, limits)


def of_trajectory(
    paths: Sequence[Path], along: Along, choices: Choices | None = None, limits: PageLimits | None = None
) -> Page:
    """The page of runs along x. Raises as `trajectories.trajectory`."""
    choices = _whole(choices)
    check_trajectory_runs(paths)
    runs = [count(path, choices, lint=True) for path in paths]
    sides = [*map(_side, runs)]
    found = trajectories.trajectory(sides, along, split=choices.split, interval=choices.interval)
    ordered = [runs[place] for place in trajectories.order_of(sides, along)]
    labels = [f"{point.x:g}: {point.run}" for point in found.points]
    page = Page(title=f"Trajectory of {len(runs)} runs", trajectory=found)
    return _with_replies(page, ordered, labels, choices, limits)


def of_groups(
    named: Mapping[str, Sequence[Path]], choices: Choices | None = None, limits: PageLimits | None = None
) -> Page:
    """The page of two groups of training runs. Raises as `compare_groups`."""
    choices = choices or Choices()
    before, after = ordered_groups(named, choices)
    runs = {name: [count(path, choices, lint=True) for path in named[name]] for name in (before, after)}
    sides = [(name, [*map(_side, members)]) for name, members in runs.items()]
    comparison = trajectories.compare_groups(sides[0], sides[1], split=choices.split)
    page = Page(title=f"Change from {before} to {after}", groups=comparison)
    labelled = [(f"{name}: {run.provenance.run}", run) for name, members in runs.items() for run in members]
    return _with_replies(page, [run for _, run in labelled], [label for label, _ in labelled], choices, limits)


def of_gate(gate: Gate, options: GateOptions, limits: PageLimits | None = None) -> Page:
    """The page of a verdict: below it the change from a baseline that is a run, else the run itself."""
    title, paths, baseline = f"Gate on {gate.provenance.called}", options.runs, options.baseline
    choices = baselines.reading(options.policy, options.choices) if options.policy else options.choices
    if len(paths) == 1 and baseline is not None and run_folder.exists(baseline):
        page = of_pair([baseline, paths[0]], choices, limits)
    elif len(paths) == 1:
        page = of_runs(paths, choices, limits)
    else:
        runs = [count(path, choices, lint=True) for path in paths]
        page = _with_replies(Page(title=title), runs, _names(runs), choices, limits)
    return page.model_copy(update={"title": title, "gate": gate})


def _whole(choices: Choices | None) -> Choices:
    """A page always has the sensitivity table."""
    return replace(choices or Choices(), sensitivity=True)


def _side(counted: CountedRun) -> ComparedSide:
    return ComparedSide(counted.tally, counted.provenance, counted.recount)


def _with_replies(
    page: Page,
    runs: Sequence[CountedRun],
    labels: Sequence[str],
    choices: Choices,
    limits: PageLimits | None,
    heads: Sequence[tuple[Cell, ...]] = (),
) -> Page:
    """Read the rows a second time: for the texts that are shown, and for how scores are spread.

    `heads` are the cells of each run's headline where the runs are not compared.
    """
    limits = limits or PageLimits()
    definition = runs[0].tally.definition
    lines = align_prompts([run.tally.cells() for run in runs])
    head = () if heads else shared_headline(lines, definition, choices.split)
    places = chosen(lines, definition, limits.replies)
    room = limits.characters // len(runs)
    passes = [
        second_pass(
            run,
            label,
            KeptReplies(keys_of(lines, number, places), room),
            heads[number] if heads else _cells(head, number),
        )
        for number, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]
    digest = runs[0].provenance.definition_digest
    return page.model_copy(
        update={
            "distributions": _distributions(passes, definition),
            "people": tuple(found for run in runs if (found := _people(run, choices)) is not None),
            "origins": tuple(origin(run.folder, definition, digest) for run in runs),
            "exhibit": _exhibit(runs, passes, lines, places),
            "lint": () if page.reports else tuple(map(partial(_linted, choices), runs, passes)),
        }
    )


def _linted(choices: Choices, run: CountedRun, item: Pass) -> LintedRun:
    """What the lint found, beside the warnings about the same replies."""
    findings = run.linter.findings(run.tally.cells()) if run.linter is not None else ()
    said = tuple(warnings.of_cells(item.cells, run.tally.definition, choices.interval))
    return LintedRun(run=item.label, findings=findings, warnings=said)


def _people(run: CountedRun, choices: Choices) -> Calibration | None:
    """The judge against people's labels of the run; None without labels that were drawn for this way of counting."""
    path = run.folder.path
    sample = stored.sample_of(path) if stored.labellers(path) else None
    if sample is None or sample.definition_digest != run.provenance.definition_digest:
        return None
    read = replace(choices, use_judge=run.provenance.graders, split=choices.split or sample.split)
    try:
        return calibrate(CalibrateOptions(path, choices=read, worst=0))
    except UsageError:  # a file of labels that holds none yet
        return None


def _cells(lines: Sequence[AlignedPrompt], run: int) -> tuple[Cell, ...]:
    return tuple(cell for line in lines if (cell := line[run]) is not None)


def _distributions(passes: Sequence[Pass], definition: Definition) -> Distributions:
    planes = [item.spreads.plane(item.label, item.cells) for item in passes]
    limits = distributions.limits(definition)
    ranges = distributions.joint((item.spreads.ranges(item.cells) for item in passes), limits)
    return Distributions(
        outcomes=tuple(distributions.of_outcomes(item.label, item.cells) for item in passes),
        histograms=tuple(
            histogram for item in passes for histogram in item.spreads.histograms(item.label, item.cells, ranges)
        ),
        planes=tuple(plane for plane in planes if plane is not None),
        limits=limits,
        opinions=tuple(opinion for item in passes for opinion in item.opinions),
        coherence=tuple(distributions.coherence(item.label, item.cells, definition, item.spreads) for item in passes),
    )


def _exhibit(
    runs: Sequence[CountedRun], passes: Sequence[Pass], lines: Sequence[AlignedPrompt], places: Mapping[Place, int]
) -> ReplySample:
    named = [cell.prompt for line in lines if (cell := next((item for item in line if item is not None), None))]
    graders = {(grader.grader, grader.identity): grader for item in passes for grader in item.graders}
    return ReplySample(
        runs=tuple(item.label for item in passes),
        targets=tuple(run.provenance.called for run in runs),
        definition=runs[0].tally.definition.name,
        numerator=runs[0].tally.definition.numerator,
        prompts=tuple(named),
        graders=tuple(graders.values()),
        slots=tuple(_slots(passes, places, named)),
        replies=sum(item.rows for item in passes),
    )


def _slots(passes: Sequence[Pass], places: Mapping[Place, int], prompts: Sequence[PlannedPrompt]) -> list[Slot]:
    """By category and probe. A sample whose text one run had no room for is left out in all."""
    found = []
    dropped = {place for item in passes for place in item.dropped}
    names = [(prompt.category, prompt.probe, prompt.prompt, prompt.variant) for prompt in prompts]
    for number, sample in sorted(places, key=lambda place: (names[place[0]], place)):
        replies = tuple(item.kept.shown.get((number, sample)) for item in passes)
        if any(replies) and (number, sample) not in dropped:
            found.append(Slot(prompt=number, sample=sample, replies=replies))
    return found
