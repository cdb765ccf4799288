"""All checks over one pass: first every verdict, then every reply. Memory: a few bytes a reply, none of its text."""

from collections.abc import Callable, Sequence

from misalign_eval.analysis.lint.answers import Answers
from misalign_eval.analysis.lint.asked import of_what_was_asked
from misalign_eval.analysis.lint.check import Check
from misalign_eval.analysis.lint.servers import Dropped, DroppedByJudges, Servers, Streamed
from misalign_eval.analysis.lint.texts import Ends, Identical, Strays
from misalign_eval.analysis.lint.verdicts import Refusals, Verdicts
from misalign_eval.analysis.outcomes import Grades
from misalign_eval.analysis.tally import Cell, CellKey
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.lint import Finding
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Failure, Reply

ORDER = {"error": 0, "warning": 1, "note": 2}


class Linter:
    """Looks at a run as its rows stream by.

    `is_refusal` says of a text whether it refuses by rule. Give every verdict to `grade` before the first reply.
    """

    def __init__(
        self, plan: Sequence[PlannedPrompt], definition: Definition, is_refusal: Callable[[str], bool]
    ) -> None:
        self._prompts: dict[CellKey, PlannedPrompt] = {(one.probe, one.prompt, one.variant): one for one in plan}
        self._verdicts = Verdicts(definition)
        self._judges = DroppedByJudges()
        self._refusals = Refusals(is_refusal)
        always: tuple[Check, ...] = (
            Ends(definition),
            Answers(),
            Identical(),
            Strays(plan),
            Dropped(),
            Servers(),
            Streamed(),
        )
        self._checks = (*always, *of_what_was_asked(plan))

    def grade(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Look at one verdict."""
        self._verdicts.grade(who, grade)
        self._judges.grade(who, grade)

    def add(self, row: Reply | Failure, grades: Grades, found: Outcome | None) -> None:
        """Look at one row, as it was counted; a failure has nothing to look at."""
        prompt = self._prompts.get((row.probe, row.prompt, row.variant))
        if isinstance(row, Failure) or found is None or prompt is None:
            return
        self._verdicts.add(row, found)
        self._refusals.add(row, grades, found)
        for check in self._checks:
            check.add(row, prompt)

    def findings(self, cells: Sequence[Cell]) -> tuple[Finding, ...]:
        """What was found, the gravest first; `cells` are those that the same rows were counted into."""
        found = [*self._verdicts.findings(), *self._refusals.findings(), *self._judges.findings()]
        found += [one for check in self._checks for one in check.findings(cells)]
        return tuple(sorted(found, key=lambda one: (ORDER[one.level], -(one.share or 0), one.id)))
