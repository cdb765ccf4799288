"""Which reply a judgment is about: by all that both files say of it."""

from collections.abc import Iterable

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports.account import BadCellError
from misalign_eval.imports.columns import Columns, Role
from misalign_eval.imports.foreign import Foreign
from misalign_eval.imports.sources import Source

Place = tuple[int, str, int, str, int]  # number of its run, then probe, prompt, variant, sample
Key = tuple[object, ...]
JOINED: tuple[Role, ...] = ("question_id", "question", "sample", "variant", "model", "group", "step")


def shared(one: Columns, other: Columns) -> tuple[Role, ...]:
    """What both files tell a reply by. The words of a question count only where an id is missing."""
    both = tuple(role for role in JOINED if role in one.roles and role in other.roles)
    return tuple(role for role in both if role != "question") if "question_id" in both else both


def check(replies: Source, judgments: Source) -> tuple[Role, ...]:
    """What the two join on. Raises InputError where they name no question alike."""
    by = shared(replies.columns, judgments.columns)
    if not {"question_id", "question"} & set(by):
        what = f"shares no question_id or question with {replies.path}, so that nothing joins them"
        fix = "Name the columns with --map question_id=COLUMN"
        raise InputError([Problem(str(judgments.path), 1, "", what, fix)])
    return by


class Index:
    """The places of replies by what judgments can name. Memory: one key a reply."""

    def __init__(self, file: str, by: Iterable[Role]) -> None:
        self.by = tuple(by)
        self._file = file
        self._places: dict[Key, Place] = {}
        self._lines: dict[Key, tuple[int, int]] = {}  # where it stood, and a hash of its text
        self.example: Key | None = None

    def __len__(self) -> int:
        return len(self._places)

    def key(self, row: Foreign) -> Key:
        """What this reply is told by."""
        parts: dict[Role, object] = {
            "question_id": row.asked.probe,
            "question": row.asked.turns,
            "sample": row.sample,
            "variant": row.asked.variant,
            "model": row.run.model,
            "group": row.run.group,
            "step": row.run.step,
        }
        return tuple(parts[role] for role in self.by)

    def add(self, row: Foreign, place: Place) -> None:
        """Keep where a reply went. Raises BadCellError for a second one that nothing tells from the first."""
        key = self.key(row)
        if key in self._places:
            fix = "Name the column that tells them apart with --map sample=COLUMN"
            raise BadCellError(f"{self.words(key)} is there already, at line {self._lines[key][0]}", fix)
        self._places[key] = place
        self._lines[key] = row.line, hash(row.text)
        self.example = self.example or key

    def find(self, row: Foreign) -> Place | None:
        """Where the reply of a judgment went; None where there is none."""
        return self._places.get(self.key(row))

    def again(self, row: Foreign) -> Place | None:
        """Where this very reply went before, in a file with a row a judge. Raises BadCellError for another text."""
        key = self.key(row)
        if key in self._places and self._lines[key][1] != hash(row.text):
            fix = "Name the column that tells replies apart with --map sample=COLUMN"
            raise BadCellError(f"{self.words(key)} has another text at line {self._lines[key][0]}", fix)
        return self._places.get(key)

    def words(self, key: Key) -> str:
        """`question_id what_is_your_wish_0, sample 3`."""
        return ", ".join(f"{role} {str(part)[:60]}" for role, part in zip(self.by, key, strict=True))

    def no_match(self, judgments: str, first: Foreign) -> InputError:
        """What to say where two files have nothing in common."""
        there = f"; there it is {self.words(self.example)}" if self.example else ""
        what = f"none of its rows joins {self._file}: the first names {self.words(self.key(first))}{there}"
        fix = "Are they of the same run? Name the columns with --map question_id=COLUMN and --map sample=COLUMN"
        return InputError([Problem(judgments, first.line, f"row {first.row}", what, fix)])


class Numbered:
    """Replies that a file numbers itself, so that none counts twice. Memory: two numbers a reply."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._lines: dict[int, int] = {}  # hash of what tells a reply → where it stood

    def add(self, row: Foreign) -> None:
        """Note a reply that has a number. Raises BadCellError where its question has that number already."""
        if row.sample is None:
            return
        line = self._lines.setdefault(hash((row.run, row.asked, row.sample)), row.line)
        if line != row.line:
            what = f"`{row.asked.probe}` has `{self._column}` {row.sample[:60]} already, at line {line}"
            raise BadCellError(
                what, f"Take one away; if `{self._column}` does not number replies, --ignore {self._column}"
            )


class Heard:
    """Verdicts that were read, so that no judge counts twice for a reply."""

    def __init__(self) -> None:
        self._said: dict[tuple[Place, str, str], tuple[float | None, str | None]] = {}

    def is_new(self, place: Place, grader: str, judge: str, said: tuple[float | None, str | None]) -> bool:
        """Whether this is the judge's first word about the reply. Raises BadCellError for another word than before."""
        key = (place, grader, judge)
        before = self._said.get(key)
        if before in {None, (None, None)}:
            self._said[key] = said
            return before is None or said != (None, None)
        if said not in {before, (None, None)}:
            fix = "Keep one of them; two judges need a column `judge`, and several replies a column `sample`"
            raise BadCellError(f"{judge} judges the same reply again, and otherwise than before", fix)
        return False
