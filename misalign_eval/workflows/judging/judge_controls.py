"""What a run's judges said of the replies that its suite wrote for them."""

from collections.abc import Iterator

from misalign_eval.analysis.outcomes import outcome
from misalign_eval.records.gate import ControlFound
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.plan import PlannedControl
from misalign_eval.records.reply import Reply
from misalign_eval.workflows.counting import Counted

_Grades = dict[tuple[str, int], dict[str, Graded | Ungraded]]  # written reply and place → grader → what it said


def found(run: Counted) -> Iterator[ControlFound]:
    """The outcome of each written reply, by the definition and the graders that the run is read by."""
    planned = run.folder.manifest.controls
    grades = _grades(run) if planned else {}
    for control in planned:
        said = [by_grader for (name, _), by_grader in grades.items() if name == control.prompt.probe]
        for one in said or [{}]:
            yield ControlFound(
                id=control.prompt.probe,
                expect=control.expect,
                outcome=outcome(_as_reply(control), one, run.tally.definition),
            )


def _grades(run: Counted) -> _Grades:
    """The first grade counts, or an `ungraded` where there is none."""
    read = run.provenance.graders
    kept: _Grades = {}
    for one in run.folder.control_grades():
        if read.get(one.grader) != one.identity:
            continue
        by_grader = kept.setdefault((one.row.probe, one.row.sample), {})
        if not isinstance(by_grader.get(one.grader), Graded):
            by_grader[one.grader] = one.row
    return kept


def _as_reply(control: PlannedControl) -> Reply:
    prompt = control.prompt
    return Reply(
        probe=prompt.probe,
        prompt=prompt.prompt,
        variant=prompt.variant,
        sample=0,
        prompt_digest=prompt.prompt_digest,
        request_key="",
        at="",
        attempts=0,
        text=control.reply,
        reasoning=control.reasoning,
    )
