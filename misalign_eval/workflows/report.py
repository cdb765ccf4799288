"""`report` and `compare`: runs to summaries, comparisons and trajectories."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from misalign_eval.analysis import comparison as run_comparison
from misalign_eval.analysis import sensitivity
from misalign_eval.analysis import trajectory as trajectories
from misalign_eval.analysis.comparison import ComparedSide
from misalign_eval.analysis.summary import summarise
from misalign_eval.analysis.trajectory import Along
from misalign_eval.errors import UsageError
from misalign_eval.files import atomic_write
from misalign_eval.records.findings import Warned
from misalign_eval.records.summary import Comparison, GroupComparison, Report, Trajectory
from misalign_eval.reports import sentences
from misalign_eval.reports.backends import json_out
from misalign_eval.reports.backends import markdown as markdown_backend
from misalign_eval.reports.run import run_document
from misalign_eval.store import lock
from misalign_eval.workflows.judging import comparison
from misalign_eval.workflows.load_run import Choices, CountedRun, count, graders_beside

# `report`: the summary of a run, and the derived files of its folder.


WORST = 5


def report(path: Path, choices: Choices | None = None, *, worst: int = WORST) -> Report:
    """Read a run. Raises UsageError for a folder that holds none, or choices that do not fit it."""
    choices = choices or Choices()
    counted = count(path, choices, worst=worst, lint=True)
    return with_graders(summarise_run(counted, choices), counted, choices)


def with_graders(report: Report, counted: CountedRun, choices: Choices) -> Report:
    """The same report with what other judges, and graders that the definition does not read, say of the replies."""
    found = {
        "judges": comparison.judge_section(counted.folder.path, choices),
        "other_graders": graders_beside(counted.folder, counted.tally.definition),
    }
    return report.model_copy(update={"summary": report.summary.model_copy(update=found)})


def summarise_run(counted: CountedRun, choices: Choices) -> Report:
    """The report of a run that was counted by these choices."""
    summary = summarise(counted.tally, counted.provenance, split=choices.split, interval=choices.interval)
    if counted.recount is not None:
        found = sensitivity.of_run(counted.recount, choices.split)
        summary = summary.model_copy(update={"sensitivity": found})
    if counted.linter is not None:
        summary = summary.model_copy(update={"lint": counted.linter.findings(counted.tally.cells())})
    partly = [said for said in (_stopped(counted), _shard(counted)) if said is not None]
    warned = sentences.warned((*partly, *summary.warnings), summary.lint)
    summary = summary.model_copy(update={"warnings": warned})
    return Report(summary=summary, worst=counted.worst)


def _stopped(counted: CountedRun) -> Warned | None:
    """What a run that was ended early says of itself."""
    decided, planned = counted.folder.decided_at, counted.folder.manifest.planned_replies
    if decided is None:
        return None
    spared = planned - sum(cell.prompt.samples for cell in counted.tally.cells())
    text = f"decided after {decided} samples of each prompt: {spared} of {planned} planned replies were not needed"
    return Warned(
        id="not-needed", text=f"{text}. The rate is selected by stopping: see the interval that `gate` prints"
    )


def _shard(counted: CountedRun) -> Warned | None:
    """What one of several shards says of itself."""
    shard = counted.folder.manifest.shard
    if shard is None:
        return None
    return Warned(
        id="shard", text=f"shard {shard} of a plan: what the others hold counts as not collected. `merge` joins them"
    )


def write_derived(path: Path, report: Report) -> None:
    """Rebuild summary.json and report.md from a report that was made with the run's own choices.

    The same rows give the same bytes. Raises OSError when the folder takes no files.
    """
    derived = (
        (lock.SUMMARY, json_out.document(report.summary)),
        (lock.REPORT, markdown_backend.render(run_document(report))),
    )
    for name, text in derived:
        atomic_write(path / name, [text.encode("utf-8", "backslashreplace")])


# `compare` of more than two runs: trajectories, and groups of training runs. Every run is read once.


BEFORE, AFTER = "before", "after"


def trajectory(paths: Sequence[Path], along: Along, choices: Choices | None = None) -> Trajectory:
    """Runs along x. Raises UsageError for fewer than two runs, one run twice, or runs that cannot be compared."""
    choices = choices or Choices()
    check_trajectory_runs(paths)
    sides = [side(path, choices) for path in paths]
    return trajectories.trajectory(sides, along, split=choices.split, interval=choices.interval)


def compare_groups(named: Mapping[str, Sequence[Path]], choices: Choices | None = None) -> GroupComparison:
    """Two groups of training runs: the one named `before`, or the first, against the other.

    Raises UsageError for another number of groups, one run twice, or runs that cannot be compared.
    """
    choices = choices or Choices()
    first, second = ordered_groups(named, choices)
    before, after = ((name, [side(path, choices) for path in named[name]]) for name in (first, second))
    return trajectories.compare_groups(before, after, split=choices.split)


def ordered_groups(named: Mapping[str, Sequence[Path]], choices: Choices) -> tuple[str, str]:
    """The names of the group before and of the one after. Raises UsageError as `compare_groups`."""
    if len(named) != 2:
        raise UsageError(f"--group needs two groups, such as before=R1,R2 and after=R3,R4; there are {len(named)}")
    if choices.interval != "suite" or choices.sensitivity:
        raise UsageError("--interval and --sensitivity do not go with --group: it shows both kinds of interval anyway")
    _refuse_twice([path for paths in named.values() for path in paths])
    first, second = named
    return (second, first) if first == AFTER or second == BEFORE else (first, second)


def side(path: Path, choices: Choices) -> ComparedSide:
    """Read one run."""
    counted = count(path, choices)
    return ComparedSide(counted.tally, counted.provenance, counted.recount)


def check_trajectory_runs(paths: Sequence[Path]) -> None:
    """Raises UsageError for fewer runs than a trajectory needs, or one run twice."""
    if len(paths) < 2:
        raise UsageError("a trajectory needs two runs or more")
    _refuse_twice(paths)


def _refuse_twice(paths: Sequence[Path]) -> None:
    again = [path for path, times in Counter(path.resolve() for path in paths).items() if times > 1]
    if again:
        raise UsageError(f"{again[0]}: a run cannot be compared with itself")


# `compare` of two runs.


def compare(paths: Sequence[Path], choices: Choices | None = None) -> tuple[Comparison, ...]:
    """Compare every later run with the first.

    Raises UsageError for fewer than two runs, one run twice, or runs that cannot be compared.
    """
    choices = choices or Choices()
    check_compared_runs(paths)
    before, *later = (side(path, choices) for path in paths)
    found = (run_comparison.compare(before, after, split=choices.split, interval=choices.interval) for after in later)
    return tuple(
        item.model_copy(update={"judges": comparison.judge_section_of_change(paths[0], path, choices)})
        for item, path in zip(found, paths[1:], strict=True)
    )


def check_compared_runs(paths: Sequence[Path]) -> None:
    """Raises UsageError for fewer than two runs, or the first one again."""
    if len(paths) < 2:
        raise UsageError("compare needs two runs: BEFORE AFTER")
    same = [path for path in paths[1:] if path.resolve() == paths[0].resolve()]
    if same:
        raise UsageError(f"{same[0]}: a run cannot be compared with itself")
