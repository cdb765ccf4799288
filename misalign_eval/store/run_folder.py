"""The run folder: its files, opened for reading or for writing; links inside are never followed."""

import stat
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.files import atomic_write, make_folder
from misalign_eval.records.gate import LOOK, GateReading
from misalign_eval.records.grade import (
    CONTROL_GRADE,
    GRADE_ROW,
    ControlGrade,
    Graded,
    GraderIdentity,
    KeptIdentity,
    Ungraded,
)
from misalign_eval.records.model_names import Served
from misalign_eval.records.run import (
    FORMAT_VERSION,
    ROW,
    Failure,
    PlannedPrompt,
    Reply,
    ReplyKey,
    ReplyRow,
    RunManifest,
)
from misalign_eval.stats.token_score import Spelling, digits_of, goes_on
from misalign_eval.store import lock
from misalign_eval.store.rows import encode, read_content, read_rows, torn_tail

# Folders inside a run folder: a symbolic link in their place is refused, so that none leads elsewhere.


LINK = "a link, and what a run holds lies inside its folder alone"
FILE = "no folder, where a folder of the run belongs"


def symlinked_folders(path: Path) -> tuple[Problem, ...]:
    """What is a link, or no folder, where a folder of this run belongs. Costs an lstat each.

    The run folder itself, and the folders above it, may be links: people keep results on another disk.
    """
    return tuple(problem for name in lock.INNER if (problem := _is_symlinked(path / name)) is not None)


def check_folders(path: Path) -> None:
    """Raise InputError with everything in a run folder that would lead out of it."""
    if problems := symlinked_folders(path):
        raise InputError(problems)


def _is_symlinked(folder: Path) -> Problem | None:
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        return None
    if stat.S_ISLNK(mode):
        return Problem(str(folder), None, "", LINK, "Put the folder itself there, or remove the link")
    return Problem(str(folder), None, "", FILE, "Move it away")


# The run folder: manifest, plan, rows, and the identities of graders.


ROUNDING = 1e-6  # a mean of scores may lie this far beyond the ends
FEWEST_DIGITS = 5  # scores of one digit that make a judge look as if it wrote no others
DIGIT_SHARE = 0.01  # probability on such digits from which on they decide a score
_PROMPTS = TypeAdapter(PlannedPrompt)
_Key = tuple[str, int, str, int]  # a ReplyKey without its names, which takes a third of the time to make


@dataclass(slots=True)
class FirstDigits:
    """Whether a judge's scores look like those of the first digits of its numbers.

    Earlier versions took the `9` of a judge that writes `95` in two tokens for the number 9. Such a judge shows no
    number of several digits in any distribution, on a scale that has such numbers.
    """

    low: int
    high: int
    rows: int = 0  # scores that rest on digits which more digits could follow
    is_whole: bool = False  # some distribution holds a number of several digits

    @classmethod
    def of(cls, who: GraderIdentity) -> "FirstDigits | None":
        """None for a grader that reads no distributions, or whose scale has no number of two digits."""
        if who.settings.get("method") != "logprobs" or who.scale is None or who.scale[1] < 10:
            return None
        return cls(int(who.scale[0]), int(who.scale[1]))

    def note(self, row: Graded | Ungraded) -> bool:
        """Look at one grade; gives whether its score rests on single digits."""
        if self.is_whole or not isinstance(row, Graded) or row.score is None or not row.distribution:
            return False
        shares = {text: share for text, share in row.distribution.items() if digits_of(text)}
        self.is_whole = any(len(digits_of(text)) > 1 for text in shares)
        begun = sum(p for text, p in shares.items() if goes_on(digits_of(text), self.low, self.high, Spelling()))
        is_begun = not self.is_whole and begun > DIGIT_SHARE
        self.rows += is_begun
        return is_begun

    @property
    def found(self) -> int:
        """Scores of first digits; 0 where nothing shows that they are."""
        return 0 if self.is_whole or self.rows < FEWEST_DIGITS else self.rows


class RunFolder:
    """Reads and extends one run folder. Nothing is kept in memory but the manifest, and what reading has found."""

    def __init__(self, path: Path, manifest: RunManifest) -> None:
        self.path = path
        self.manifest = manifest
        self._differing: dict[str, int] = {}  # by file that was read to its end
        self._first_digits: dict[str, int] = {}

    def plan(self) -> tuple[PlannedPrompt, ...]:
        """The planned prompts, in the order of collection.

        Raises InputError for a file that lost its end: what is not planned is not missed, and a gate would pass on the
        rest. It may hold more than run.json says, where growing it was cut short.
        """
        file, manifest = self.path / lock.PLAN, self.manifest
        found = tuple(read_rows(file, _PROMPTS))
        replies = sum(item.samples for item in found)
        for there, wanted, what in (
            (len(found), manifest.planned_prompts, "prompts"),
            (replies, manifest.planned_replies, "replies"),
        ):
            if there < wanted:
                lost = f"holds {there} {what}, and {lock.MANIFEST} planned {wanted}"
                raise InputError([Problem(str(file), None, "", lost, "Restore it from a backup")])
        return found

    def replies(self) -> Iterator[Reply | Failure]:
        """One row a planned request that has ended: the first reply, or the last failure when there is no reply.

        An answer of another model than the target is no reply of it, and is given as a failure. Failures come last.
        Memory: one key and a number a row.
        """
        answered: dict[_Key, int] = {}
        differing: set[_Key] = set()
        failures: dict[_Key, Failure] = {}
        held = self.held
        for row in read_rows(self.path / lock.REPLIES, ROW):
            key = (row.probe, row.prompt, row.variant, row.sample)
            if isinstance(row, Reply) and not held.admits(row.model):
                failures[key] = of_stranger(row)
                continue
            if isinstance(row, Failure):
                failures[key] = row
            elif key not in answered:
                answered[key] = _said(row)
                failures.pop(key, None)
                yield row
            elif answered[key] != _said(row):
                differing.add(key)
        self._differing[lock.REPLIES] = len(differing)
        yield from (failure for key, failure in failures.items() if key not in answered)

    @property
    def held(self) -> Served:
        """Which models are taken for the target."""
        target = self.manifest.target
        return Served(target.provider, target.model, target.served_as)

    def all_rows(self) -> Iterator[Reply | Failure]:
        """Every row as written, superseded failures included: what was really spent."""
        return read_rows(self.path / lock.REPLIES, ROW)

    def contradictions(self) -> dict[str, int]:
        """By file: how many replies, or grades of one reply, stand there twice and differ. Two writers leave such.

        Files that were read to their ends are not read again.
        """
        if lock.REPLIES not in self._differing:
            deque(self.replies(), maxlen=0)
        for identity in self.grader_identities():
            if _grades_name(identity) not in self._differing:
                deque(self.grades(identity), maxlen=0)
        return dict(self.differing)

    @property
    def differing(self) -> Mapping[str, int]:
        """The same of the files that were read to their ends so far."""
        return {name: count for name, count in self._differing.items() if count}

    def first_digits(self, graders: Iterable[GraderIdentity]) -> dict[str, int]:
        """By file of these graders: how many scores are those of first digits (`FirstDigits`).

        Files that were read to their ends are not read again.
        """
        found = {}
        for grader in graders:
            name = _grades_name(grader)
            if FirstDigits.of(grader) and name not in self._first_digits:
                deque(self.grades(grader), maxlen=0)
            found[name] = self._first_digits.get(name, 0)
        return {name: count for name, count in found.items() if count}

    def grader_identities(self) -> list[GraderIdentity]:
        """Everyone who graded this run, the primary ones first."""
        found = [_identity(file, self.manifest.mark) for file in sorted((self.path / lock.GRADES).glob("*@*.json"))]
        primary = self.manifest.primary
        return sorted(found, key=lambda who: primary.get(who.grader) != who.identity)

    def grades(self, who: GraderIdentity) -> Iterator[Graded | Ungraded]:
        """One row a reply that this grader looked at: the first grade, or the last `ungraded` when there is none."""
        graded: dict[_Key, int] = {}
        differing: set[_Key] = set()
        digits = FirstDigits.of(who)
        ungraded: dict[_Key, Ungraded] = {}
        for row in self.all_grades(who):
            key = (row.probe, row.prompt, row.variant, row.sample)
            if isinstance(row, Ungraded):
                ungraded[key] = row
            elif key not in graded:
                graded[key] = _said(row)
                ungraded.pop(key, None)
                if digits is not None:
                    digits.note(row)
                yield row
            elif graded[key] != _said(row):
                differing.add(key)
        self._differing[_grades_name(who)] = len(differing)
        self._first_digits[_grades_name(who)] = digits.found if digits is not None else 0
        yield from (row for key, row in ungraded.items() if key not in graded)

    def all_grades(self, identity: GraderIdentity) -> Iterator[Graded | Ungraded]:
        """Every row of this grader as written: what was really spent.

        Raises InputError with file and line for a score outside the grader's scale, where that is known.
        """
        file = lock.grades_file(self.path, identity.grader, identity.identity)
        rows = read_rows(file, GRADE_ROW)
        return rows if identity.scale is None else _on_scale(file, rows, *identity.scale)

    def forget_orphans(self, identity: GraderIdentity, replied: Collection[ReplyKey]) -> int:
        """Remove this grader's rows of replies that are not in `replied`; gives their number.

        A power failure may take the end of replies.jsonl and leave that of a later file. The reply that is then asked
        for again is another one, and its predecessor's grade must not be taken for its own.
        """
        gone = sum(row.key not in replied for row in self.all_grades(identity))
        kept = (encode(row) for row in self.all_grades(identity) if row.key in replied)
        _replace(lock.grades_file(self.path, identity.grader, identity.identity), kept)
        return gone

    def control_grades(self) -> Iterator[ControlGrade]:
        """What graders said of written replies, every row as written."""
        return read_rows(self.path / lock.CONTROLS, CONTROL_GRADE)

    def looks(self) -> tuple[GateReading, ...]:
        """Every reading of a gate on this run, oldest first."""
        return tuple(read_rows(self.path / lock.LOOKS, LOOK))

    @property
    def decided_at(self) -> int | None:
        """Samples of each prompt that early stopping needed; None where it needed all, or was not asked."""
        found = [look for look in self.looks() if look.method == "sequential"]
        return found[-1].stopped_at if found else None

    def add_grader(self, identity: GraderIdentity) -> Path:
        """Describe a grader beside its rows; gives the file its rows go to."""
        file = lock.identity_file(self.path, identity.grader, identity.identity)
        make_folder(file.parent)
        if not file.exists():
            _replace(file, [encode(KeptIdentity(**dict(identity), run=self.manifest.mark))])
        return lock.grades_file(self.path, identity.grader, identity.identity)

    def update(self, manifest: RunManifest, plan: Iterable[PlannedPrompt] | None = None) -> None:
        """Replace run.json, and plan.jsonl when a plan is given, each whole or not at all."""
        if plan is not None:
            _replace(self.path / lock.PLAN, map(encode, plan))
        _replace(self.path / lock.MANIFEST, [f"{manifest.model_dump_json(indent=2)}\n".encode()])
        self.manifest = manifest


def as_counted(row: Reply | Failure, held: Served) -> Reply | Failure:
    """The row as it counts: an answer of another model than the target is a failure."""
    return of_stranger(row) if isinstance(row, Reply) and not held.admits(row.model) else row


def of_stranger(row: Reply) -> Failure:
    """An answer of another model than the target, as what it is to the run."""
    about = {name: getattr(row, name) for name in ReplyRow.model_fields}
    message = f"answered by another model: `{row.model}`"
    return Failure.model_construct(**about, reason="other_model", message=message, status=None, model=row.model)


def _said(row: Reply | Graded) -> int:
    """A number that rows share which say the same."""
    return hash((row.text, row.finish, row.earlier) if isinstance(row, Reply) else (row.score, row.label))


def _grades_name(identity: GraderIdentity) -> str:
    return str(lock.grades_file(Path(), identity.grader, identity.identity))


def _on_scale(file: Path, rows: Iterable[Graded | Ungraded], low: float, high: float) -> Iterator[Graded | Ungraded]:
    least, most = low - ROUNDING, high + ROUNDING
    for number, row in enumerate(rows, 1):
        if isinstance(row, Graded) and row.score is not None and not least <= row.score <= most:
            what = f"{row.score:g} is outside the grader's scale, {low:g} to {high:g}"
            raise InputError([Problem(str(file), number, "score", what, "Restore it from a backup")])
        yield row


def _identity(file: Path, run: str) -> GraderIdentity:
    try:
        kept = KeptIdentity.model_validate_json(read_content(file))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"does not say who graded: {first['msg']}"
        raise InputError([Problem(str(file), None, where, what, "Restore it from a backup")]) from error
    if kept.run not in {None, run}:  # a folder was copied over another: these are the grades of other replies
        what = f"the grades beside it are of another run, {kept.run}, and this one is {run}"
        fix = f"Restore the folder {file.parent.name} from a backup, or move it away and run `misalign-eval regrade`"
        raise InputError([Problem(str(file), None, "run", what, fix)])
    return kept.who


def exists(path: Path) -> bool:
    """Whether there is a run in this folder."""
    return (path / lock.MANIFEST).is_file()


def open_run(path: Path) -> RunFolder:
    """Open a run folder for reading. Raises UsageError when it is none, of a newer format, or leads elsewhere."""
    folder = open_unchecked(path)
    check_folders(path)
    return folder


def open_unchecked(path: Path) -> RunFolder:
    """Open a run folder to look for what is wrong with it: the folders in it may be links to elsewhere."""
    file = path / lock.MANIFEST
    if (path / lock.UNFINISHED).exists() or (path.parent / lock.UNFINISHED).exists():
        raise UsageError(f"{path}: no run: an import that did not finish. Remove the folder and import again")
    if not file.is_file():
        if inside := _runs_inside(path):
            raise UsageError(f"{path}: no run, but a folder of {len(inside)} runs: name one of {', '.join(inside[:8])}")
        there = f"a folder without {lock.MANIFEST}" if path.is_dir() else "not there"
        raise UsageError(f"{path}: no run: it is {there}. `misalign-eval run … --out {path}` makes one")
    try:
        manifest = RunManifest.model_validate_json(read_content(file))
    except ValidationError as error:
        raise UsageError(f"{file}: not a run of format {FORMAT_VERSION}: {error.errors()[0]['msg']}") from error
    if manifest.format > FORMAT_VERSION:
        raise UsageError(f"{file}: written by a newer misalign-eval ({manifest.tool_version}). Upgrade to read it")
    return RunFolder(path, manifest)


def _runs_inside(path: Path) -> list[str]:
    """The run folders directly in a folder, by their paths."""
    try:
        return sorted(str(file.parent) for file in path.glob(f"*/{lock.MANIFEST}"))
    except OSError:
        return []


def create_run(path: Path, manifest: RunManifest, plan: Iterable[PlannedPrompt]) -> RunFolder:
    """Start a run folder, readable by its owner alone: replies may be harmful and prompts confidential."""
    make_folder(path)
    folder = RunFolder(path, manifest)
    folder.update(manifest, plan)
    return folder


def _replace(file: Path, lines: Iterable[bytes]) -> None:
    try:
        atomic_write(file, lines)
    except OSError as error:
        raise torn_tail(file, error) from error
