"""What became of every row of a file, and what was wrong with it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports.conditions import Varying
from misalign_eval.records.imported import Disagreement

MOST_PROBLEMS = 20  # a file of another kind has something wrong in every row
MOST_ALIKE = 3  # of these problems that the same remedy mends
MOST_SHOWN = 10
DERIVED, DISAGREEING = "scores derived from distributions", "of these, scores that differ from the file's"


class BadCellError(Exception):
    """A value that cannot be what its column holds. The message says which value and why; `fix` how to mend it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(slots=True)
class Account:
    """The counts of one file."""

    file: str
    counts: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    varying: tuple[Varying, ...] = ()  # columns that were not read and vary within a prompt
    _more: Counter[str] = field(default_factory=Counter)  # problems that are not shown, by their remedy

    def disagree(self, row: int, line: int, column: str, given: float | None, derived: float | None) -> None:
        """Count a score that is not the one its distribution gives; the first few are kept."""
        self.counts[DISAGREEING] += 1
        if len(self.disagreements) < MOST_SHOWN:
            found = Disagreement(file=self.file, row=row, line=line, column=column, given=given, derived=derived)
            self.disagreements.append(found)

    @contextmanager
    def row(self, number: int, line: int) -> Iterator[None]:
        """Note what is wrong with one row and go on, up to `MOST_PROBLEMS`. Raises InputError with all of them then."""
        try:
            yield
        except BadCellError as error:
            self.problem(number, line, error)

    def problem(self, number: int, line: int, error: BadCellError) -> None:
        """Note one problem. Raises InputError when there are too many to go on."""
        if error.fix and sum(one.fix == error.fix for one in self.problems) >= MOST_ALIKE:
            self._more[error.fix] += 1
        else:
            self.problems.append(Problem(self.file, line, f"row {number}", error.what, error.fix))
        if len(self.problems) + self._more.total() >= MOST_PROBLEMS:
            raise InputError(self._told("at least "))

    def settle(self) -> None:
        """Raise InputError when anything was wrong."""
        if self.problems:
            raise InputError(self._told())

    def _told(self, least: str = "") -> list[Problem]:
        """The problems; the last that a remedy mends says how many more rows it would mend."""
        last = {one.fix: place for place, one in enumerate(self.problems) if one.fix in self._more}
        return [
            replace(one, fix=f"{one.fix} ({least}{self._more[one.fix]} more rows like this)")
            if last.get(one.fix) == place
            else one
            for place, one in enumerate(self.problems)
        ]
