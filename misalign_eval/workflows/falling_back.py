"""From log-probabilities to sampled answers, where a judge's server gives none that make a score.

The two are not the same measure and have grades of their own. What the abandoned one has graded stays in the folder,
and is no longer what is reported.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from misalign_eval.errors import NoScoreError
from misalign_eval.graders.spec import Method
from misalign_eval.records.protocols import Grader
from misalign_eval.results.folder import RunFolder

Make = Callable[[Method | None], Sequence[Grader]]
"""Builds the graders of a run, with their judges read as is said, or as each judge allows."""


def fallback_note(why: NoScoreError) -> str:
    """What is told of it."""
    return f"{str(why).split('. Resume with')[0]}. Its answers are sampled instead, as by --judge-method sampled"


def withdraw(folders: Iterable[RunFolder], only: Mapping[str, str] | None = None) -> None:
    """Take back that grades by log-probabilities are those that count, so that sampled answers may take their place.

    `only`: grader → identity, of those that were at work, where the run has others.
    """
    for folder in folders:
        primary = dict(folder.manifest.primary)
        for who in folder.grader_identities():
            is_read_so = who.kind == "ensemble" or who.settings.get("method") == "logprobs"
            was_at_work = only is None or only.get(who.grader) == who.identity
            if is_read_so and was_at_work and primary.get(who.grader) == who.identity:
                del primary[who.grader]
        folder.update(folder.manifest.model_copy(update={"primary": primary}))


def as_before(make: Make, folders: Iterable[RunFolder]) -> Sequence[Grader]:
    """The graders, with judges read as each allows; by sampled answers where these runs went over to them before."""
    usual, there = make(None), list(folders)
    sampled = make("sampled") if there else usual
    pairs = list(zip(usual, sampled, strict=True))
    return sampled if any(_went_over(folder, *pair) for folder in there for pair in pairs) else usual


def _went_over(folder: RunFolder, usual: Grader, sampled: Grader) -> bool:
    who, other = usual.identity, sampled.identity
    if who == other:
        return False
    if folder.manifest.primary.get(who.grader) == other.identity:
        return True
    known = {(one.grader, one.identity) for one in folder.grader_identities()}
    if (other.grader, other.identity) not in known:
        return False
    return (who.grader, who.identity) not in known or all(row.kind == "ungraded" for row in folder.grades(who))
