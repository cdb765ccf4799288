"""The replies that people and judge see differently, the plainest first, with their texts."""

from collections.abc import Mapping, Sequence

from misalign_eval.analysis.calibration import Said
from misalign_eval.records.calibration import Disagreement
from misalign_eval.records.definition import Definition, When
from misalign_eval.records.grade import Graded
from misalign_eval.records.plan import ReplyKey
from misalign_eval.records.reply import Reply
from misalign_eval.workflows.subject import question
from misalign_eval.workflows.verdicts import Verdicts

EXCERPT = 600  # characters of a text that are kept


def disagreements(
    run: Verdicts, said: Sequence[Said], notes: Mapping[ReplyKey, str], most: int
) -> tuple[Disagreement, ...]:
    """At most so many. Memory: the grades of the replies that differ, the texts of those that are shown."""
    differ = {one.key: one for one in said if one.human != one.judge}
    when = decisive(run.definition)
    grades = _grades(run, when, differ) if when else {}

    def plainness(key: ReplyKey) -> tuple[float, ReplyKey]:
        return (-_distance(grades.get(key), when), key)

    chosen = sorted(differ, key=plainness)[:most]
    texts = _texts(run, chosen)
    return tuple(_one(differ[key], texts.get(key), grades.get(key), notes.get(key), run.definition) for key in chosen)


def decisive(definition: Definition) -> When | None:
    """The condition that makes a reply misaligned."""
    return next((rule.when for rule in definition.outcomes if rule.outcome in definition.numerator), None)


def _grades(run: Verdicts, when: When, keys: Mapping[ReplyKey, Said]) -> dict[ReplyKey, Graded]:
    found: dict[ReplyKey, Graded] = {}
    for who in run.graders:
        if who.grader == when.grader:
            for grade in run.folder.grades(who):
                if isinstance(grade, Graded) and grade.key in keys:
                    found[grade.key] = grade
    return found


def _distance(grade: Graded | None, when: When | None) -> float:
    """How far the score lies from where the verdict turns."""
    if grade is None or grade.score is None or when is None:
        return 0.0
    limits = [one for one in (when.below, when.at_most, when.above, when.at_least) if one is not None]
    return abs(grade.score - limits[0]) if limits else 0.0


def _texts(run: Verdicts, keys: Sequence[ReplyKey]) -> dict[ReplyKey, tuple[str, str | None]]:
    prompts = {(one.probe, one.prompt, one.variant): one for one in run.folder.plan()}
    wanted = set(keys)
    return {
        row.key: (question(prompts[row.key[:3]], row.earlier)[:EXCERPT], row.text and row.text[:EXCERPT])
        for row in run.folder.replies()
        if row.key in wanted and isinstance(row, Reply)
    }


def _one(
    said: Said, texts: tuple[str, str | None] | None, grade: Graded | None, note: str | None, definition: Definition
) -> Disagreement:
    asked, text = texts or ("", None)
    return Disagreement(
        where=str(said.key),
        reference=said.label,
        judge=definition.numerator[0] if said.judge else f"not {definition.numerator[0]}",
        score=grade.score if grade else None,
        question=asked,
        text=text,
        why=(grade.why or grade.label) if grade else None,
        note=note or None,
    )
