"""What people's labels say of a drawn sample, as a gate takes them: what they do not say decides nothing.

A vote that is missing or unsure may have been either, so a reply counts as misaligned, or as fine, only where most
votes say so whatever the open ones would have said. Without a label, a verdict or a reply, it stays open.

Whoever labelled half of the sample or more is expected to label all of it: a label that he did not give, or that was
lost, is an open vote. Of somebody who read less (an overlap, or only what the others disagree on), the labels that
are there count and no others are missed; that one of them was lost cannot be told. Where nobody has half, everybody
is expected.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from misalign_eval.analysis.gate_cells import UNGRADED
from misalign_eval.analysis.gate_corrected import Labels, Stratum
from misalign_eval.analysis.labels import is_yes, scale
from misalign_eval.analysis.rounds import OUTCOME_OF, key_of
from misalign_eval.analysis.tally import Cell, CellKey
from misalign_eval.records.definition import Definition
from misalign_eval.records.label import Drawn, HumanLabel, Sample
from misalign_eval.records.label import Stratum as Name
from misalign_eval.records.plan import ReplyKey

Given = Mapping[ReplyKey, HumanLabel]


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge's verdicts on single replies of a run."""

    outcomes: Mapping[CellKey, str]  # of each prompt a letter a sample
    definition: Definition
    repeats: Mapping[CellKey, str] = field(default_factory=dict)  # 1 for each that is a copy of an earlier one

    @classmethod
    def of(cls, cells: Iterable[Cell], definition: Definition) -> "Judged":
        """As the run was counted."""
        known = {key_of(cell): cell for cell in cells}
        outcomes = {key: cell.in_order for key, cell in known.items()}
        return cls(outcomes, definition, {key: cell.repeats for key, cell in known.items() if cell.repeats})

    def is_copy(self, key: ReplyKey) -> bool:
        """Whether an earlier sample had the reply already, where replies are evidently copies."""
        return self.repeats.get(key[:3], "")[key.sample : key.sample + 1] == "1"

    def stratum(self, key: ReplyKey) -> Name | None:
        """What the judge says of a reply; None where the reply or its grade is gone."""
        letters = self.outcomes.get(key[:3], "")
        found = OUTCOME_OF.get(letters[key.sample]) if key.sample < len(letters) else None
        if found is None or found in UNGRADED or found not in self.definition.denominator:
            return None
        return "flagged" if found in self.definition.numerator else "unflagged"


def together(sample: Sample, everyone: Mapping[str, Given], judged: Judged) -> Labels | None:
    """What all labellers together say of the sample; None where nobody labelled any of it."""
    drawn = {one.key for one in sample.drawn}
    said = {name: given for name, given in everyone.items() if drawn & given.keys()}
    if not said:
        return None
    expected = readers(drawn, said)
    verdicts = {one.key: (one.stratum, _said_of(one, said, expected, judged)) for one in sample.drawn}
    by_prompt: dict[CellKey, list[tuple[Name, bool | str]]] = {}
    for key, verdict in verdicts.items():
        if not judged.is_copy(key):
            by_prompt.setdefault(key[:3], []).append(verdict)
    late = (name for name in expected if not drawn <= said[name].keys())
    return Labels(
        *_strata(verdicts.values()),
        split=sample.split,
        late=tuple(late),
        frame=(sample.flagged, sample.unflagged),
        by_prompt={key: _strata(some) for key, some in by_prompt.items()},
    )


def readers(drawn: set[ReplyKey], said: Mapping[str, Given]) -> tuple[str, ...]:
    """Those who are expected to label every reply of the sample."""
    most = tuple(name for name, given in said.items() if 2 * len(drawn & given.keys()) >= len(drawn))
    return most or tuple(said)


def decided(votes: Sequence[bool | None]) -> bool | None:
    """What most say, whatever the open votes (None) would have said; None where those could turn it, and at a tie.

    >>> decided([True, True, None]), decided([False, None]), decided([])
    (True, None, None)
    """
    ayes, noes, open_ = (votes.count(vote) for vote in (True, False, None))
    return True if ayes > noes + open_ else False if noes > ayes + open_ else None


def _said_of(one: Drawn, said: Mapping[str, Given], expected: Sequence[str], judged: Judged) -> bool | str:
    if judged.stratum(one.key) != one.stratum:
        return "lost"
    known = scale(judged.definition)
    given = [found[one.key] for found in said.values() if one.key in found]
    missing = sum(one.key not in said[name] for name in expected)
    votes = [is_yes(label, judged.definition) if label in known else None for label in given]
    verdict = decided([*votes, *[None] * missing])
    return verdict if verdict is not None else "unlabelled" if missing else "unsure"


def _strata(verdicts: Iterable[tuple[Name, bool | str]]) -> tuple[Stratum, Stratum]:
    found = Counter(verdicts)
    return _stratum(found, "flagged"), _stratum(found, "unflagged")


def _stratum(found: Counter[tuple[Name, bool | str]], name: Name) -> Stratum:
    names: tuple[bool | str, ...] = (True, False, "unsure", "unlabelled", "lost")
    return Stratum(*(found[name, one] for one in names))
