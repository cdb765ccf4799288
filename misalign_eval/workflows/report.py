"""`report`: a run folder in numbers, and the files in it that can always be rebuilt."""

from pathlib import Path

from misalign_eval.analysis import sensitivity
from misalign_eval.analysis.summary import summarise
from misalign_eval.records.analysis import Report, Warned
from misalign_eval.reports import json_out, lint_words, markdown
from misalign_eval.results import layout
from misalign_eval.results.whole import write_whole
from misalign_eval.workflows.counting import Choices, Counted, count, graders_beside
from misalign_eval.workflows.judging import swapping

WORST = 5


def report(path: Path, choices: Choices | None = None, *, worst: int = WORST) -> Report:
    """Read a run. Raises UsageError for a folder that holds none, or choices that do not fit it."""
    choices = choices or Choices()
    counted = count(path, choices, worst=worst, lint=True)
    return with_graders(of_counted(counted, choices), counted, choices)


def with_graders(made: Report, counted: Counted, choices: Choices) -> Report:
    """The same report with what other judges, and graders that the definition does not read, say of the replies."""
    found = {
        "judges": swapping.of_run(counted.folder.path, choices),
        "other_graders": graders_beside(counted.folder, counted.tally.definition),
    }
    return made.model_copy(update={"summary": made.summary.model_copy(update=found)})


def of_counted(counted: Counted, choices: Choices) -> Report:
    """The report of a run that was counted by these choices."""
    summary = summarise(counted.tally, counted.provenance, split=choices.split, interval=choices.interval)
    if counted.recount is not None:
        found = sensitivity.of_run(counted.recount, choices.split)
        summary = summary.model_copy(update={"sensitivity": found})
    if counted.linter is not None:
        summary = summary.model_copy(update={"lint": counted.linter.findings(counted.tally.cells())})
    partly = [said for said in (_stopped(counted), _shard(counted)) if said is not None]
    warned = lint_words.warned((*partly, *summary.warnings), summary.lint)
    summary = summary.model_copy(update={"warnings": warned})
    return Report(summary=summary, worst=counted.worst)


def _stopped(counted: Counted) -> Warned | None:
    """What a run that was ended early says of itself."""
    decided, planned = counted.folder.decided_at, counted.folder.manifest.planned_replies
    if decided is None:
        return None
    spared = planned - sum(cell.prompt.samples for cell in counted.tally.cells())
    text = f"decided after {decided} samples of each prompt: {spared} of {planned} planned replies were not needed"
    return Warned(
        id="not-needed", text=f"{text}. The rate is selected by stopping: see the interval that `gate` prints"
    )


def _shard(counted: Counted) -> Warned | None:
    """What one of several shards says of itself."""
    shard = counted.folder.manifest.shard
    if shard is None:
        return None
    return Warned(
        id="shard", text=f"shard {shard} of a plan: what the others hold counts as not collected. `merge` joins them"
    )


def write_derived(path: Path, made: Report) -> None:
    """Rebuild summary.json and report.md from a report that was made with the run's own choices.

    The same rows give the same bytes. Raises OSError when the folder takes no files.
    """
    derived = ((layout.SUMMARY, json_out.document(made.summary)), (layout.REPORT, markdown.run_report(made)))
    for name, text in derived:
        write_whole(path / name, [text.encode("utf-8", "backslashreplace")])
