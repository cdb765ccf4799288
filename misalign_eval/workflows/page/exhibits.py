"""The replies that a page holds: which ones, and all that was said about them. Texts are read once, for these alone.

Memory: the kept texts (bounded by REPLIES and CHARACTERS), and as in counting a few bytes for each row.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from misalign_eval.analysis.lineup import Line
from misalign_eval.analysis.tally import LETTERS, NOTHING, Cell
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.page import ShownGrade, ShownReply
from misalign_eval.records.reply import Failure, Reply

REPLIES = 10_000  # on one page, all runs together
CHARACTERS = 24_000_000  # of texts, all runs together; what is past them is left out
CUT = 20_000  # characters kept of one text
JUDGE_CUT = 4_000  # characters kept of a judge's words

Key = tuple[str, int, str, int]  # a ReplyKey without its names
Place = tuple[int, int]  # a line of the line-up, a sample


def chosen(lines: Sequence[Line], definition: Definition, most: int = REPLIES) -> dict[Place, int]:
    """Which samples of which prompts a page shows, each with its rank: the last ones go first if texts are too long.

    All of them where there is room. Else up to half of the room goes to those that some run counts in the
    numerator, and the rest to the first samples of every prompt, so that no probe is left out.
    """
    places = list(_by_round(lines))
    size = max(map(len, lines), default=1)
    room = max(most // size, 1)
    if len(places) <= room:
        return {place: rank for rank, place in enumerate(places)}
    letters = {LETTERS[name] for name in definition.numerator}
    found = islice((place for place in places if _is_any(lines, place, letters)), room // 2)
    kept = dict.fromkeys(found)
    for place in places:
        if len(kept) >= room:
            break
        kept.setdefault(place)
    return {place: rank for rank, place in enumerate(kept)}


def _by_round(lines: Sequence[Line]) -> Iterator[Place]:
    rounds = max((len(cell.in_order) for line in lines for cell in line if cell is not None), default=0)
    for sample in range(rounds):
        for number, line in enumerate(lines):
            if any(cell is not None and cell.in_order[sample : sample + 1] not in {"", NOTHING} for cell in line):
                yield number, sample


def _is_any(lines: Sequence[Line], place: Place, letters: set[str]) -> bool:
    number, sample = place
    return any(cell is not None and cell.in_order[sample : sample + 1] in letters for cell in lines[number])


def keys_of(lines: Sequence[Line], run: int, places: Mapping[Place, int]) -> dict[Key, tuple[Place, int]]:
    """The chosen replies of one run under its own names, each with its place and rank."""
    found = {}
    for place, rank in places.items():
        cell: Cell | None = lines[place[0]][run]
        if cell is not None:
            prompt = cell.prompt
            found[prompt.probe, prompt.prompt, prompt.variant, place[1]] = place, rank
    return found


@dataclass(slots=True)
class Kept:
    """Texts of one run, cut, and no more of them than `characters` in all: those of the highest rank go first."""

    wanted: dict[Key, tuple[Place, int]]
    characters: int
    shown: dict[Place, ShownReply] = field(default_factory=dict)
    grades: dict[Key, list[ShownGrade]] = field(default_factory=dict)
    _sizes: list[tuple[int, Place, Key, int]] = field(default_factory=list)  # a heap, the highest rank on top
    _total: int = 0

    def grade(self, name: str, rows: Iterable[Graded | Ungraded]) -> Iterator[Graded | Ungraded]:
        """Pass the rows of one grader on, keeping what they say of wanted replies."""
        for row in rows:
            key = (row.probe, row.prompt, row.variant, row.sample)
            if key in self.wanted:
                self.grades.setdefault(key, []).append(kept := shown_grade(name, row))
                self._hold(key, _grade_size(kept))
            yield row

    def keep(self, key: Key, reply: ShownReply) -> None:
        """Keep one wanted reply."""
        self.shown[self.wanted[key][0]] = reply
        self._hold(key, _reply_size(reply))

    def _hold(self, key: Key, size: int) -> None:
        place, rank = self.wanted[key]
        heapq.heappush(self._sizes, (-rank, place, key, size))
        self._total += size
        while self._total > self.characters:
            _, place, dropped, freed = heapq.heappop(self._sizes)
            self._total -= freed
            self.shown.pop(place, None)
            self.grades.pop(dropped, None)
            self.wanted.pop(dropped, None)


def shown_reply(row: Reply | Failure, found: Outcome, grades: Sequence[ShownGrade], *, is_disputed: bool) -> ShownReply:
    """A row as a page shows it, long texts cut."""
    said = tuple(grades)
    if isinstance(row, Failure):
        why = f"{row.reason}: {row.message}"[:JUDGE_CUT]
        return ShownReply(outcome=found, text=None, failure=why, grades=said)
    return ShownReply(
        outcome=found,
        text=_cut(row.text, CUT),
        finish=row.finish,
        finish_word=row.finish_word,
        calls=tuple(f"{call.name} {call.arguments}"[:JUDGE_CUT] for call in row.calls),
        leaked=_cut(row.leaked, JUDGE_CUT),
        earlier=tuple(one[:CUT] for one in row.earlier),
        reasoning=_cut(row.reasoning, CUT),
        refusal=_cut(row.refusal, JUDGE_CUT),
        whole=len(row.text) if row.text is not None and len(row.text) > CUT else None,
        grades=said,
        is_disputed=is_disputed,
    )


def shown_grade(name: str, row: Graded | Ungraded) -> ShownGrade:
    """A grade as a page shows it, the judge's words cut."""
    votes = tuple(vote.model_copy(update={"raw": None}) for vote in row.votes)
    raw, mass = _cut(row.raw, JUDGE_CUT), row.number_mass
    found = ShownGrade(name, raw=raw, number_mass=mass, distribution=row.distribution, votes=votes)
    if isinstance(row, Ungraded):
        return replace(found, problem=f"{row.reason}: {row.message}"[:JUDGE_CUT])
    return replace(found, score=row.score, label=row.label, why=_cut(row.why, JUDGE_CUT))


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]


def _reply_size(reply: ShownReply) -> int:
    texts = (reply.text, reply.failure, reply.reasoning, reply.refusal, reply.leaked, *reply.calls, *reply.earlier)
    return sum(len(text) for text in texts if text)


def _grade_size(grade: ShownGrade) -> int:
    """Of a distribution about what its JSON has."""
    texts = (grade.label, grade.why, grade.problem, grade.raw)
    return sum(len(text) for text in texts if text) + 16 * len(grade.distribution or ()) + 40 * len(grade.votes)
