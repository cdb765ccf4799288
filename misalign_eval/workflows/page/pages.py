"""Joins the numbers of the analysis with the replies behind them into one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from misalign_eval.analysis import comparison, distributions, groups, shares, warnings
from misalign_eval.analysis import trajectory as courses
from misalign_eval.analysis.comparison import Side
from misalign_eval.analysis.lineup import Line, line_up, shared_headline
from misalign_eval.analysis.selection import headline
from misalign_eval.analysis.tally import Cell
from misalign_eval.analysis.trajectory import Along
from misalign_eval.errors import UsageError
from misalign_eval.records.calibration import Calibration
from misalign_eval.records.definition import Definition
from misalign_eval.records.distributions import Distributions
from misalign_eval.records.gate import Gate
from misalign_eval.records.page import Exhibit, LintedRun, Page, Slot
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.results import folder as folders
from misalign_eval.results import labels as stored
from misalign_eval.results import layout
from misalign_eval.results.whole import write_whole
from misalign_eval.workflows import policies
from misalign_eval.workflows.compare import check_runs
from misalign_eval.workflows.counting import Choices, Counted, count
from misalign_eval.workflows.courses import check_runs as check_course
from misalign_eval.workflows.courses import ordered_groups
from misalign_eval.workflows.gate import GateOptions
from misalign_eval.workflows.judging import swapping
from misalign_eval.workflows.judging.calibrating import CalibrateOptions, calibrate
from misalign_eval.workflows.page.exhibits import CHARACTERS, REPLIES, Kept, Place, chosen, keys_of
from misalign_eval.workflows.page.origins import origin
from misalign_eval.workflows.page.second_pass import Pass, second_pass
from misalign_eval.workflows.report import WORST, of_counted, with_graders


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the replies a page holds."""

    replies: int = REPLIES
    characters: int = CHARACTERS


def of_runs(paths: Sequence[Path], choices: Choices | None = None, limits: Limits | None = None) -> Page:
    """The page of one run, or of several that are each shown for themselves. Raises as `report`."""
    choices = _whole(choices)
    runs = [count(path, choices, worst=WORST, lint=True) for path in paths]
    made = tuple(with_graders(of_counted(run, choices), run, choices) for run in runs)
    title = f"Misalignment of {', '.join(dict.fromkeys(one.summary.called for one in made))}"
    heads = [headline(run.tally.cells(), choices.split).cells for run in runs]
    return _with_replies(Page(title=title, reports=made), runs, _names(runs), choices, limits, heads)


def _names(runs: Sequence[Counted]) -> list[str]:
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
    from misalign_eval.reports.html.page import render

    if (path / layout.PAGE).is_file():
        write_whole(path / layout.PAGE, [render(of_runs([path])).encode()])


def of_pair(paths: Sequence[Path], choices: Choices | None = None, limits: Limits | None = None) -> Page:
    """The page of two runs, before and after. Raises as `compare`."""
    choices = _whole(choices)
    check_runs(paths)
    runs = [count(path, choices, lint=True) for path in paths]
    before, after = map(_side, runs)
    found = comparison.compare(before, after, split=choices.split, interval=choices.interval)
    found = found.model_copy(update={"judges": swapping.of_change(paths[0], paths[1], choices)})
    page = Page(title=f"Change from {found.before.run} to {found.after.run}", comparison=found)
    return _with_replies(page, runs, ["before", "after"], choices, limits)


def of_trajectory(
    paths: Sequence[Path], along: Along, choices: Choices | None = None, limits: Limits | None = None
) -> Page:
    """The page of runs along x. Raises as `courses.trajectory`."""
    choices = _whole(choices)
    check_course(paths)
    runs = [count(path, choices, lint=True) for path in paths]
    sides = [*map(_side, runs)]
    found = courses.trajectory(sides, along, split=choices.split, interval=choices.interval)
    ordered = [runs[place] for place in courses.order_of(sides, along)]
    labels = [f"{point.x:g}: {point.run}" for point in found.points]
    page = Page(title=f"Trajectory of {len(runs)} runs", trajectory=found)
    return _with_replies(page, ordered, labels, choices, limits)


def of_groups(
    named: Mapping[str, Sequence[Path]], choices: Choices | None = None, limits: Limits | None = None
) -> Page:
    """The page of two groups of training runs. Raises as `compare_groups`."""
    choices = choices or Choices()
    before, after = ordered_groups(named, choices)
    runs = {name: [count(path, choices, lint=True) for path in named[name]] for name in (before, after)}
    sides = [(name, [*map(_side, members)]) for name, members in runs.items()]
    found = groups.compare_groups(sides[0], sides[1], split=choices.split)
    page = Page(title=f"Change from {before} to {after}", groups=found)
    labelled = [(f"{name}: {run.provenance.run}", run) for name, members in runs.items() for run in members]
    return _with_replies(page, [run for _, run in labelled], [label for label, _ in labelled], choices, limits)


def of_gate(found: Gate, options: GateOptions, limits: Limits | None = None) -> Page:
    """The page of a verdict: below it the change from a baseline that is a run, else the run itself."""
    title, paths, baseline = f"Gate on {found.provenance.called}", options.runs, options.baseline
    choices = policies.reading(options.policy, options.choices) if options.policy else options.choices
    if len(paths) == 1 and baseline is not None and folders.exists(baseline):
        page = of_pair([baseline, paths[0]], choices, limits)
    elif len(paths) == 1:
        page = of_runs(paths, choices, limits)
    else:
        runs = [count(path, choices, lint=True) for path in paths]
        page = _with_replies(Page(title=title), runs, _names(runs), choices, limits)
    return page.model_copy(update={"title": title, "gate": found})


def _whole(choices: Choices | None) -> Choices:
    """A page always has the sensitivity table."""
    return replace(choices or Choices(), sensitivity=True)


def _side(counted: Counted) -> Side:
    return Side(counted.tally, counted.provenance, counted.recount)


def _with_replies(
    page: Page,
    runs: Sequence[Counted],
    labels: Sequence[str],
    choices: Choices,
    limits: Limits | None,
    heads: Sequence[tuple[Cell, ...]] = (),
) -> Page:
    """Read the rows a second time: for the texts that are shown, and for how scores are spread.

    `heads` are the cells of each run's headline where the runs are not compared.
    """
    limits = limits or Limits()
    definition = runs[0].tally.definition
    lines = line_up([run.tally.cells() for run in runs])
    head = () if heads else shared_headline(lines, definition, choices.split)
    places = chosen(lines, definition, limits.replies)
    room = limits.characters // len(runs)
    passes = [
        second_pass(
            run, label, Kept(keys_of(lines, number, places), room), heads[number] if heads else _cells(head, number)
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


def _linted(choices: Choices, run: Counted, one: Pass) -> LintedRun:
    """What the lint found, beside the warnings about the same replies."""
    findings = run.linter.findings(run.tally.cells()) if run.linter is not None else ()
    said = tuple(warnings.of_cells(one.cells, run.tally.definition, choices.interval))
    return LintedRun(run=one.label, findings=findings, warnings=said)


def _people(run: Counted, choices: Choices) -> Calibration | None:
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


def _cells(lines: Sequence[Line], run: int) -> tuple[Cell, ...]:
    return tuple(cell for line in lines if (cell := line[run]) is not None)


def _distributions(passes: Sequence[Pass], definition: Definition) -> Distributions:
    planes = [one.spreads.plane(one.label, one.cells) for one in passes]
    limits = distributions.limits(definition)
    ranges = distributions.joint((one.spreads.ranges(one.cells) for one in passes), limits)
    return Distributions(
        outcomes=tuple(shares.of_outcomes(one.label, one.cells) for one in passes),
        histograms=tuple(found for one in passes for found in one.spreads.histograms(one.label, one.cells, ranges)),
        planes=tuple(plane for plane in planes if plane is not None),
        limits=limits,
        opinions=tuple(found for one in passes for found in one.opinions),
        coherence=tuple(shares.coherence(one.label, one.cells, definition, one.spreads) for one in passes),
    )


def _exhibit(
    runs: Sequence[Counted], passes: Sequence[Pass], lines: Sequence[Line], places: Mapping[Place, int]
) -> Exhibit:
    named = [cell.prompt for line in lines if (cell := next((one for one in line if one is not None), None))]
    graders = {(who.grader, who.identity): who for one in passes for who in one.graders}
    return Exhibit(
        runs=tuple(one.label for one in passes),
        targets=tuple(run.provenance.called for run in runs),
        definition=runs[0].tally.definition.name,
        numerator=runs[0].tally.definition.numerator,
        prompts=tuple(named),
        graders=tuple(graders.values()),
        slots=tuple(_slots(passes, places, named)),
        replies=sum(one.rows for one in passes),
    )


def _slots(passes: Sequence[Pass], places: Mapping[Place, int], prompts: Sequence[PlannedPrompt]) -> list[Slot]:
    """By category and probe. A sample whose text one run had no room for is left out in all."""
    found = []
    dropped = {place for one in passes for place in one.dropped}
    names = [(one.category, one.probe, one.prompt, one.variant) for one in prompts]
    for number, sample in sorted(places, key=lambda place: (names[place[0]], place)):
        replies = tuple(one.kept.shown.get((number, sample)) for one in passes)
        if any(replies) and (number, sample) not in dropped:
            found.append(Slot(prompt=number, sample=sample, replies=replies))
    return found
