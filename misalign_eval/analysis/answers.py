"""By which names the target and the judges of a run answered."""

from collections import Counter
from dataclasses import dataclass, field

from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded, judges_of
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.records.run import TargetInfo
from misalign_eval.records.served import compare, is_alias, strangers

MOST = 1000  # names kept of a kind: a hostile server may invent one for every answer


@dataclass(slots=True)
class Answers:
    """Counts the names, as rows and grades go by."""

    target: TargetInfo
    replies: Counter[str] = field(default_factory=Counter)  # of answers that count as the target's
    strangers: Counter[str] = field(default_factory=Counter)  # of answers of another model, which count as failed
    judges: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)  # by grader and `provider/model`

    def note(self, row: Reply | Failure) -> None:
        """Count who gave one reply."""
        if isinstance(row, Reply):
            _count(self.replies, row.model)
        elif row.reason == "other_model":
            _count(self.strangers, row.model)

    def judged(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Count who gave one grade."""
        for judge, name in judges_of(who, grade):
            _count(self.judges.setdefault(who.grader, {}).setdefault(judge, Counter()), name)

    @property
    def accepted(self) -> "Counter[str]":
        """Names under which the target answered and that say another model, but for `served_as`."""
        target = self.target
        if is_alias(target.provider, target.model):
            return Counter()
        return Counter({name: n for name, n in self.replies.items() if _is_accepted(target, name)})

    @property
    def accepted_judges(self) -> "dict[str, Counter[str]]":
        """The same by judge: such a grade is on disk only where the name was accepted."""
        found: dict[str, Counter[str]] = {}
        for by_judge in self.judges.values():
            for judge, names in by_judge.items():
                provider, _, model = judge.partition("/")
                others = {name: names[name] for name in strangers(provider, model, names)}
                if others:
                    found.setdefault(judge, Counter()).update(others)
        return found


def _is_accepted(target: TargetInfo, name: str) -> bool:
    return bool(target.served_as) and compare(target.model, name) == "other"


def _count(names: "Counter[str]", name: str | None) -> None:
    if name and (name in names or len(names) < MOST):
        names[name] += 1
