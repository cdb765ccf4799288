"""The members of an ensemble, each by its own votes."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator

from misalign_eval.analysis.grader_verdicts import YesWhen
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.records.grade import Graded, Ungraded, Vote
from misalign_eval.records.judges import MemberVotes
from misalign_eval.records.plan import ReplyKey
from misalign_eval.stats.intervals import clopper_pearson


def member_votes(
    rows: Iterable[Graded | Ungraded], yes: YesWhen, inside: Container[ReplyKey]
) -> tuple[MemberVotes, ...]:
    """What each member said of the replies `inside`, in the order of the votes; nothing where no row keeps votes."""
    asked: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for row in rows:
        if row.key in inside:
            for name, vote in _named(row.votes):
                is_silent = (vote.score, vote.label) == (None, None)
                asked[name] += 1
                answered[name] += not is_silent
                agreed[name] += not is_silent and yes(Grade(vote.score, vote.label))
    return tuple(_member(name, yes, agreed[name], answered[name], asked[name]) for name in asked)


def _named(votes: Iterable[Vote]) -> Iterator[tuple[str, Vote]]:
    """Votes by their judge; of one model that sits at two addresses the second is numbered."""
    seen: Counter[str] = Counter()
    for vote in votes:
        seen[vote.judge] += 1
        yield vote.judge if seen[vote.judge] == 1 else f"{vote.judge} ({seen[vote.judge]})", vote


def _member(name: str, yes: YesWhen, agreed: int, answered: int, asked: int) -> MemberVotes:
    interval = clopper_pearson(agreed, answered) if answered else None
    return MemberVotes(
        estimate=agreed / answered if answered else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        grader=yes.grader,
        judge=name,
        means=yes.words,
        yes=agreed,
        replies=answered,
        silent=asked - answered,
    )
