"""Writes imported replies and grades as a run folder."""

import errno
import platform
import re
import shutil
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path
from typing import Literal

from misalign_eval import __version__
from misalign_eval.analysis import definitions
from misalign_eval.errors import UsageError
from misalign_eval.files import atomic_write, make_folder
from misalign_eval.interchange.imported_reply import ImportedGrade, ImportedPrompt, ImportedReply, RunKey
from misalign_eval.plan import prompt_digest, request_key
from misalign_eval.records.base import digest
from misalign_eval.records.definition import Definition
from misalign_eval.records.findings import ImportedGrader, ImportedRun
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, ReplyKey, RunManifest, TargetInfo
from misalign_eval.records.suite import Message, Sampling, Split
from misalign_eval.store import lock
from misalign_eval.store.lock import writing
from misalign_eval.store.rows import RowWriter, torn_tail
from misalign_eval.store.run_folder import RunFolder, create_run
from misalign_eval.workflows.options import file_name

# Staging of imported runs: in a temporary sibling of the target until all is read, then moved at once.


RunId = tuple[str, RunKey]  # the name of its file, and what the file says
Work = Literal["importing", "merging"]
_HIDDEN = re.compile(r"\.(.+)\.(?:importing|merging)-[0-9]{1,10}", re.DOTALL)


def check_place(out: Path, maker: str = "an import", *, may_be_empty: bool = False) -> None:
    """Raise UsageError for a place where there is something already: what is made is a folder of its own.

    Sweeps away what killed commands have left beside it.
    """
    _sweep(out)
    is_free = may_be_empty and out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    if not is_free and (out.exists() or out.is_symlink()):
        what = "holds a run already" if (out / lock.MANIFEST).is_file() else "is there already"
        raise UsageError(f"{out}: {what}. Choose another --out; {maker} makes a folder of its own")


@contextmanager
def temporary_sibling(out: Path, work: Work = "importing") -> Iterator[Path]:
    """A hidden folder beside `out`, private to its owner, that is gone afterwards unless `commit` has moved it.

    What a killed process leaves there says that it is no run, and goes when such a command is next given here. Raises
    UsageError where nothing can be written.
    """
    folder = out.parent / f".{out.name}.{work}-{getpid()}"
    _sweep(out)
    try:
        make_folder(folder, exist_ok=False)
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        with writing(folder):
            try:
                _mark(folder, out)
                yield folder
            finally:
                _remove(folder)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _unwritable(out, error) from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # still there and empty: a full disk let no file be made in it


def _mark(folder: Path, out: Path) -> None:
    """Say that this is no run. Who finds these words in a folder that nobody holds may remove it."""
    try:
        atomic_write(folder / lock.UNFINISHED, [b"What was made here did not finish. Remove this folder.\n"])
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> UsageError:
    return UsageError(f"{out}: cannot be written: {error.strerror}. Choose another --out")


def _sweep(out: Path) -> None:
    """Remove the work of commands that were killed beside `out`; of one that lives, the lock is held.

    Of this very place all of it goes. Of another place only what says itself that it is left over, which it does for as
    long as its maker holds it.
    """
    for folder in out.parent.glob(".*"):
        made = _HIDDEN.fullmatch(folder.name)
        if made is None or folder.is_symlink() or not folder.is_dir():
            continue
        if made[1] == out.name or (folder / lock.UNFINISHED).is_file():
            with suppress(UsageError), writing(folder):
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a hidden folder, what marks it as left over last: a kill in between leaves it marked."""
    with suppress(OSError):
        marks = [folder / name for name in (lock.LOCK, lock.UNFINISHED)]
        for inside in {*folder.iterdir()} - {*marks}:
            if inside.is_dir() and not inside.is_symlink():
                shutil.rmtree(inside, ignore_errors=True)
            else:
                inside.unlink()
        for mark in marks:
            mark.unlink(missing_ok=True)
        folder.rmdir()


def commit(folder: Path, runs: Mapping[Path, str], out: Path) -> None:
    """Move what was written to its place: a single run to `out` itself, several under their names."""
    try:
        if len(runs) == 1:
            next(iter(runs)).rename(out)
            return
        for path, name in runs.items():
            path.rename(folder / name)
        for name in (lock.LOCK, lock.UNFINISHED):
            (folder / name).unlink()
        folder.rename(out)
    except OSError as error:
        raise torn_tail(out, error) from error


def names(runs: Sequence[RunId], out: Path) -> dict[RunId, str]:
    """A folder name for each run: the parts in which they differ; of a single run the name of `out`.

    >>> a, b = ("t", RunKey("org/base")), ("t", RunKey("org/tuned"))
    >>> list(names([a, b], Path("x")).values())
    ['org-base', 'org-tuned']
    """
    if len(runs) == 1:
        return {runs[0]: out.name}
    parts = [(file, *key) for file, key in runs]
    differing = [place for place in range(4) if len({part[place] for part in parts}) > 1]
    found: dict[RunId, str] = {}
    for run, part in zip(runs, parts, strict=True):
        name = file_name("-".join(str(part[place] or "unnamed") for place in differing))[:120]
        taken = set(found.values())
        again = next(number for number in range(1, len(runs) + 1) if _numbered(name, number) not in taken)
        found[run] = _numbered(name, again)
    return found


def final_folder(who: RunId) -> str:
    """The model of a run: its own name, else its group's, else the file's."""
    file, key = who
    return key.model or key.group or file


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


# The writer of one run folder: rows as they are read, the plan and run.json at the end.


IMPORTED = "imported"  # stands for the suite and the provider that a file does not name
IDENTITY_LENGTH = 12
MOST_OPEN = 100  # files; the usual limit of a process is 1024
MOST_LABELS = 50  # of a grader; more are no vocabulary


class Writers:
    """Row files of many runs, of which only some are open at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, RowWriter] = OrderedDict()

    def of(self, file: Path) -> RowWriter:
        """The writer of a file, opened again when it was closed in between."""
        writer = self._open.get(file)
        if writer is None:
            if len(self._open) >= MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            writer = self._open[file] = RowWriter(file)
        return writer

    def close(self) -> None:
        """Make every row durable."""
        while self._open:
            self._open.popitem()[1].close()


@dataclass(slots=True)
class Numbers:
    """The numbers that a file gives the replies of one prompt."""

    low: int = 0
    high: int = -1
    are_whole: bool = True  # every reply has one, and they are whole numbers

    def add(self, written: str | None) -> None:
        """Note the number of one reply."""
        if not self.are_whole or written is None or not (written.isascii() and written.isdigit()) or len(written) > 9:
            self.are_whole = False
            return
        number = int(written)
        self.low = number if self.high < 0 else min(self.low, number)
        self.high = max(self.high, number)


@dataclass(slots=True)
class _Entry:
    """One prompt, and how many replies it has so far."""

    prompt: PlannedPrompt
    request_key: str
    samples: int = 0
    absent: int = 0  # planned, and not collected
    numbers: Numbers = field(default_factory=Numbers)


@dataclass(slots=True)
class _Grader:
    identity: GraderIdentity
    file: Path
    graded: int = 0
    ungraded: int = 0
    labels: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class RunWriter:
    """A run that is being imported. Memory: one record a prompt."""

    folder: Path
    writers: Writers
    target: TargetInfo
    at: str  # UTC, ISO 8601
    sampling: Sampling = Sampling()
    labels: Mapping[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    is_ours: bool = False  # rows that `export` wrote, whose prompts were planned each for itself
    _numbers: set[int] = field(default_factory=set)  # hashes of the numbers of replies
    _entries: dict[ImportedPrompt, _Entry] = field(default_factory=dict)
    _prompts: Counter[tuple[str, str]] = field(default_factory=Counter)  # forms of a probe in a variant
    _graders: dict[tuple[str, str], _Grader] = field(default_factory=dict)

    def add(self, row: ImportedReply, category: str | None, split: Split | None) -> ReplyKey:
        """Write a reply or a failure, as the next sample of its prompt."""
        entry = self._entries.get(row.asked) or self._planned(row, category, split)
        prompt, sample = entry.prompt, entry.samples
        entry.samples += 1
        entry.numbers.add(row.sample)
        self._numbers.update([] if row.sample is None else [hash(row.sample)])
        writer = self.writers.of(self.folder / lock.REPLIES)
        key = ReplyKey(*prompt.cell, sample)
        about = {"prompt_digest": prompt.prompt_digest, "request_key": entry.request_key, "at": self.at, "attempts": 0}
        # No attempt was ours, so that `regrade` adds nothing to its bill for these rows.
        if row.failure is not None:
            self.counts["failures"] += 1
            writer.write(Failure(**key._asdict(), **about, reason="server", message=row.failure))  # type: ignore[arg-type]
        else:
            self.counts["without_text"] += row.text is None
            said = {"text": row.text, "reasoning": row.reasoning, "finish": row.finish, **row.kept._asdict()}
            writer.write(Reply(**key._asdict(), **about, **said))  # type: ignore[arg-type]
        return ReplyKey(*prompt.cell, sample)

    def miss(self, row: ImportedReply, category: str | None) -> None:
        """Plan a reply that was not collected."""
        entry = self._entries.get(row.asked) or self._planned(row, row.category or category, row.split)
        entry.absent += 1

    def grade(self, spot: ReplyKey, found: ImportedGrade, judge: str) -> None:
        """Write what one grader said of a reply."""
        grader = self._graders.get((found.grader, judge)) or self._grader(found.grader, judge)
        probe, prompt, variant, sample = spot
        seen = {"raw": found.raw, "distribution": found.distribution, "number_mass": found.mass, "modal": found.modal}
        key = {"probe": probe, "prompt": prompt, "variant": variant, "sample": sample}
        seen["attempts"] = 0
        row: Graded | Ungraded
        if found.reason is None:
            grader.graded += 1
            if found.label is not None and (len(grader.labels) < MOST_LABELS or found.label in grader.labels):
                grader.labels[found.label] += 1
            row = Graded(**key, **seen, score=found.score, label=found.label, why=found.why)  # type: ignore[arg-type]
        else:
            grader.ungraded += 1
            message = "; ".join(filter(None, [found.message, found.why]))
            row = Ungraded(**key, **seen, reason=found.reason, message=message)  # type: ignore[arg-type]
        self.writers.of(grader.file).write(row)

    @property
    def graders(self) -> tuple[str, ...]:
        """The names of the graders that said anything."""
        return tuple(dict.fromkeys(name for name, _ in self._graders))

    @property
    def words(self) -> dict[str, Counter[str]]:
        """How often each grader gave each label."""
        found: dict[str, Counter[str]] = {}
        for (name, _), grader in self._graders.items():
            found.setdefault(name, Counter()).update(grader.labels)
        return found

    @property
    def counts_differ(self) -> bool:
        """Whether some prompts have more replies than others, and no numbers say that these are missing."""
        return len({*self._expected().values()}) > 1

    @property
    def _is_numbered(self) -> bool:
        """Whether the file numbers the replies of each prompt: all have numbers, which recur from prompt to prompt."""
        entries = self._entries.values()
        if not all(entry.numbers.are_whole for entry in entries):
            return False
        return len(entries) == 1 or len(self._numbers) < sum(entry.samples for entry in entries)

    def _expected(self) -> dict[ImportedPrompt, int]:
        """How many replies each prompt had before rows were left out, as far as their numbers show.

        Numbers run from the lowest of the run to the highest of the prompt; to that of the run where most
        prompts come so far.
        """
        if self.is_ours or not self._is_numbered:
            return {asked: entry.samples + entry.absent for asked, entry in self._entries.items()}
        numbers = [entry.numbers for entry in self._entries.values()]
        start, end = min(number.low for number in numbers), max(number.high for number in numbers)
        reaching = sum(number.high == end for number in numbers)
        is_even = 2 * reaching > len(numbers)
        return {
            asked: max(entry.samples, (end if is_even else entry.numbers.high) - start + 1)
            for asked, entry in self._entries.items()
        }

    @property
    def has_words(self) -> bool:
        """Whether the words of every question are known."""
        return all(entry.prompt.messages for entry in self._entries.values())

    def finish(self, name: str, definition: Definition, source: str) -> ImportedRun:
        """Write the plan and run.json: from now on the folder is a run."""
        expected = self._expected()
        prompts = [
            entry.prompt.model_copy(update={"samples": expected[asked], "graders": self.graders})
            for asked, entry in self._entries.items()
        ]
        there = sum(entry.samples for entry in self._entries.values())
        folder = create_run(self.folder, self._manifest(name, definition, source, prompts), prompts)
        self._describe(folder)
        return ImportedRun(
            folder=name,
            target=self.target.name,
            definition=definition.name,
            prompts=len(prompts),
            replies=there - self.counts["failures"],
            missing=sum(expected.values()) - there,
            without_text=self.counts["without_text"],
            failures=self.counts["failures"],
            graders=tuple(map(_told, self._graders.values())),
        )

    def _planned(self, row: ImportedReply, category: str | None, split: Split | None) -> _Entry:
        asked = row.asked
        messages = tuple(Message(role=role, content=words) for role, words in asked.turns)  # type: ignore[arg-type]
        sampling = self.sampling
        if row.temperature is not None:
            sampling = sampling.model_copy(update={"temperature": row.temperature})
        known = bool(messages)
        prompt = PlannedPrompt(
            probe=asked.probe,
            prompt=self._prompts[asked.probe, asked.variant],
            variant=asked.variant,
            category=category or IMPORTED,
            split=split or "broad",
            tags=row.tags,
            expect=row.expect,
            expects=row.expects,
            system=asked.system,
            messages=messages,
            sampling=sampling,
            samples=0,
            graders=(),
            reference=row.reference,
            prompt_digest=prompt_digest(asked.system, messages, asked.variant) if known else digest_of_probe(asked),
        )
        self._prompts[asked.probe, asked.variant] += 1
        entry = self._entries[asked] = _Entry(prompt, request_key(prompt, self.target, None))
        return entry

    def _grader(self, name: str, judge: str) -> _Grader:
        identity = GraderIdentity(
            grader=file_name(name),
            identity=digest([name, judge, IMPORTED])[:IDENTITY_LENGTH],
            kind="imported",
            judge=judge,
        )
        make_folder(self.folder / lock.GRADES)
        file = lock.grades_file(self.folder, identity.grader, identity.identity)
        made = self._graders[name, judge] = _Grader(identity, file)
        return made

    def _describe(self, folder: RunFolder) -> None:
        for grader in self._graders.values():
            folder.add_grader(grader.identity)

    def _manifest(self, name: str, definition: Definition, source: str, plan: list[PlannedPrompt]) -> RunManifest:
        primary: dict[str, str] = {}
        for grader in self._graders.values():  # of several judges the first: reports need one, and say which
            primary.setdefault(grader.identity.grader, grader.identity.identity)
        return RunManifest(
            tool_version=__version__,
            created=self.at,
            name=name,
            suite=IMPORTED,
            suite_version="1",
            suite_digest=digest([*sorted(prompt.prompt_digest for prompt in plan)]),
            suite_file=source,
            definition=definition,
            definition_digest=definitions.digest(definition),
            target=self.target,
            primary=primary,
            labels=dict(self.labels),
            versions={"python": platform.python_version()},
            planned_prompts=len(plan),
            planned_replies=sum(prompt.samples for prompt in plan),
        )


def digest_of_probe(asked: ImportedPrompt) -> str:
    """What stands for a prompt's words where they are not known: runs are then paired by the id of the probe."""
    return digest({"probe": asked.probe, "system": asked.system, "variant": asked.variant})


def _told(grader: _Grader) -> ImportedGrader:
    who = grader.identity
    return ImportedGrader(
        grader=who.grader,
        judge=str(who.judge),
        identity=who.identity,
        graded=grader.graded,
        ungraded=grader.ungraded,
    )
