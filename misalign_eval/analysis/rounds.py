"""Outcomes by planned place: which rounds are complete, whatever the order in which replies came."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from misalign_eval.analysis.gate_cells import Counting
from misalign_eval.analysis.tally import LETTERS, NOTHING, Cell, CellKey
from misalign_eval.records.definition import Outcome
from misalign_eval.stats.sequential import UNKNOWN as UNKNOWN_VALUE

OUTCOME_OF: Mapping[str, Outcome] = {letter: name for name, letter in LETTERS.items()}


def key_of(cell: Cell) -> CellKey:
    """Names a cell."""
    return cell.prompt.probe, cell.prompt.prompt, cell.prompt.variant


class Slots:
    """The planned places of some cells, filled as replies are settled."""

    def __init__(self, cells: Iterable[Cell], counting: Counting) -> None:
        self._cells = {key_of(cell): cell for cell in cells}
        self._letters = {key: bytearray(NOTHING.encode() * cell.prompt.samples) for key, cell in self._cells.items()}
        self._values = _values(counting)
        self._most = max((cell.prompt.samples for cell in self._cells.values()), default=0)
        self._open = [sum(index < cell.prompt.samples for cell in self._cells.values()) for index in range(self._most)]
        self.complete = 0  # every place below this sample number is settled
        for key, cell in self._cells.items():
            for sample, letter in enumerate(cell.in_order):
                if letter != NOTHING:
                    self.settle(key, sample, OUTCOME_OF[letter])

    @classmethod
    def empty(cls, cells: Iterable[Cell], counting: Counting) -> "Slots":
        """Nothing settled yet, whatever the cells hold."""
        return cls((replace(cell, in_order="") for cell in cells), counting)

    def settle(self, key: CellKey, sample: int, found: Outcome) -> None:
        """Fill a place. The first outcome stays: evidence that has been looked at is not rewritten."""
        letters = self._letters.get(key)
        if letters is None or sample >= len(letters) or letters[sample] != ord(NOTHING):
            return
        letters[sample] = ord(LETTERS[found])
        self._open[sample] -= 1
        while self.complete < self._most and not self._open[self.complete]:
            self.complete += 1

    def values(self, key: CellKey, sample: int) -> tuple[int, ...]:
        """1 misaligned, 0 graded and not, -1 unknown; nothing where the definition does not count such a reply."""
        letters = self._letters[key]
        if sample >= len(letters):
            return ()
        return self._values.get(chr(letters[sample]), ())

    def cells(self, samples: int) -> tuple[Cell, ...]:
        """The cells as they are after so many samples of each prompt."""
        return tuple(self._cut(cell, key, samples) for key, cell in self._cells.items())

    def _cut(self, cell: Cell, key: CellKey, samples: int) -> Cell:
        letters = self._letters[key][:samples].decode()
        found = Counter(OUTCOME_OF.get(letter, "failed") for letter in letters)
        prompt = cell.prompt.model_copy(update={"samples": len(letters)})
        return replace(cell, prompt=prompt, outcomes=dict(found), in_order=letters)


def stored_values(cell: Cell, counting: Counting) -> list[int]:
    """The values of a finished cell in order; a planned reply without a row is unknown."""
    values = _values(counting) | {NOTHING: (UNKNOWN_VALUE,)}
    return [value for letter in cell.in_order for value in values.get(letter, ())]


def _values(counting: Counting) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {LETTERS[name]: (int(name in counting.numerator),) for name in counting.graded}
    return found | {LETTERS[name]: (UNKNOWN_VALUE,) for name in counting.unknown}
