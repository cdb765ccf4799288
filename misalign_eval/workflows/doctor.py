"""`doctor` for a run folder: checks every row against the plan and the manifest."""

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from misalign_eval.analysis import definitions
from misalign_eval.analysis.warnings import FIRST_DIGITS
from misalign_eval.errors import InputError, MisalignEvalError
from misalign_eval.plan import prompt_digest
from misalign_eval.records.findings import Diagnosis, Finding, Level, LintFact, diagnosis, finding
from misalign_eval.records.grade import GRADE_ROW, Graded, GraderIdentity, KeptIdentity, Ungraded
from misalign_eval.records.model_names import Served
from misalign_eval.records.run import ROW, CellKey, PlannedPrompt, Reply
from misalign_eval.store import lock
from misalign_eval.store.rows import open_append, read_content
from misalign_eval.store.run_folder import FirstDigits, RunFolder, open_unchecked, symlinked_folders
from misalign_eval.store.run_table import NumberedRow
from misalign_eval.workflows.completeness import completeness
from misalign_eval.workflows.load_run import Choices, count
from misalign_eval.workflows.report import summarise_run

# Reading rows for the doctor: every line is looked at, also those behind a broken one.


T = TypeVar("T")
NAMED = 5  # lines told
_TYPED = re.compile(r"[A-Za-z0-9_.]+")


@dataclass
class Lines(Generic[T]):
    """The rows of a file that can be read; what cannot is counted."""

    path: Path
    name: str  # below the run folder, for messages
    adapter: TypeAdapter[T]
    rows: int = 0
    broken: list[int] = field(default_factory=list)  # line numbers
    why: str = ""
    torn_bytes: int = 0
    unread: str = ""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Each row with the number of its line."""
        try:
            file = open_append(self.path)
        except InputError as error:
            self.unread = error.problems[0].what
            return
        if file is None:
            return
        with file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self.torn_bytes = len(line)
                    return
                try:
                    row = self.adapter.validate_json(line)
                except ValidationError as error:
                    self.broken.append(number)
                    self.why = self.why or _why(error)
                    continue
                self.rows += 1
                yield number, row

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the lines themselves. Ask after reading them all."""
        if self.unread:
            text, advice = f"{self.name}: {self.unread}", "No command reads this run until the file itself is there."
            yield Finding(id="unread-file", level="error", text=text, example=self.name, advice=advice)
        if self.broken:
            some = ", ".join(map(str, self.broken[:NAMED])) + (" …" if len(self.broken) > NAMED else "")
            text = f"{self.name}: lines that are no rows of this format: {len(self.broken)} (line {some}: {self.why})"
            advice = (
                "No command reads this run until they are restored from a backup, or taken out and asked for again."
            )
            total = self.rows + len(self.broken)
            example = f"{self.name}:{self.broken[0]}"
            yield finding("broken-rows", "error", text, advice, count=len(self.broken), of=total, example=example)
        if self.torn_bytes:
            text = f"{self.name}: the last line is torn ({self.torn_bytes} bytes without an end), as a crash leaves it"
            advice = "It is passed over; `run --resume` cuts it off and asks again."
            example = f"{self.name}:{self.rows + len(self.broken) + 1}"
            yield finding("torn-line", "warning", text, advice, count=1, of=self.rows + 1, example=example)


def _why(error: ValidationError) -> str:
    """The kind of fault and its place, without a word of the content."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"] if _TYPED.fullmatch(str(part)))
    return f"{first['type']}{f' at {where}' if where else ''}"


@dataclass
class Tallied:
    """Something that may be so of several rows: how many, and the first to look at."""

    count: int = 0
    example: str | None = None

    def note(self, example: str) -> None:
        """One more."""
        self.count += 1
        self.example = self.example or example

    def finding(self, identity: str, level: Level, say: str, advice: str, of: int) -> Iterator[Finding]:
        """The finding, where there is any: what it is, and how many."""
        if self.count:
            yield finding(
                identity, level, f"{say}: {self.count}", advice, count=self.count, of=of, example=self.example
            )


# Checks of a run folder: rows that are torn, missing, doubled or out of place, and files open to others.


PLANNED: TypeAdapter[PlannedPrompt] = TypeAdapter(PlannedPrompt)
OPEN = 0o077  # permissions of anybody but the owner
SHARE = 0.05
UNREADABLE = {"broken-rows", "strange-folder", "unread-file"}  # every command would stop at these
REPLIED, FAILED = 1, 2  # what became of a planned reply


def examine(path: Path) -> Diagnosis:
    """Look at a run folder and its replies. Raises UsageError where there is none, or its run.json cannot be read."""
    folder = open_unchecked(path)
    examined = _Folder(folder)
    findings = list(examined.findings())
    facts = list(_facts(folder))
    if any(finding.id in UNREADABLE for finding in findings):
        return diagnosis(str(path), facts, findings)
    try:
        if not any(finding.id == "orphan-grades" for finding in findings):
            facts.append(_fact("state", completeness(folder).words))
        counted = count(path, Choices(), lint=True)
    except MisalignEvalError as error:
        text = f"the replies cannot be counted: {error}"
        findings.append(
            Finding(id="not-counted", level="error", text=text, advice="See the findings about the folder.")
        )
        return diagnosis(str(path), facts, findings)
    summary = summarise_run(counted, Choices()).summary
    return diagnosis(str(path), facts, findings, summary.lint, summary.warnings)


def _fact(name: str, value: str) -> LintFact:
    return LintFact(section="run", name=name, value=value)


def _facts(folder: RunFolder) -> Iterator[LintFact]:
    run = folder.manifest
    yield _fact("run", run.name)
    yield _fact("target", run.target.called)
    yield _fact("suite", f"{run.suite} {run.suite_version} ({run.suite_digest[:8]})")
    yield _fact("definition", run.definition.name)
    yield _fact("started", run.created)
    yield _fact("format", f"{run.format}, written by misalign-eval {run.tool_version}")
    yield _fact("lock", _lock(folder.path / lock.LOCK))


def _lock(file: Path) -> str:
    """Whether somebody writes this run now. The kernel frees a lock with its process: a file left behind is nothing."""
    if file.is_symlink():
        return "a link: no command writes this run until it is removed"
    if not file.exists():
        return "free"
    try:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return f"not to be looked at: {error.strerror}"
    try:
        holder = os.read(opened, 64).decode("ascii", "replace").strip() or "nobody"
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"held by {holder}, which writes this run now: what follows may change"
    finally:
        os.close(opened)
    return f"free (last held by {holder})"


class _Folder:
    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._path = folder.path
        self._replied = bytearray()
        self._numbered = NumberedRow(())

    def findings(self) -> Iterator[Finding]:
        """Everything about the files themselves, in the order in which they are made."""
        yield from self._of_manifest()
        yield from self._of_plan()
        yield from self._of_replies()
        strange = list(self._of_folders())
        yield from strange
        if not strange:
            yield from self._of_contradictions()
        if lock.GRADES not in {finding.example for finding in strange}:
            yield from self._of_graders()
        yield from self._of_permissions()

    def _of_folders(self) -> Iterator[Finding]:
        """Links are not followed here either: what lies behind them is not this run."""
        for folder in symlinked_folders(self._path):
            name = Path(folder.file).name
            text, advice = f"{name} is {folder.what}", f"{folder.fix}: no command reads this run."
            yield Finding(id="strange-folder", level="error", text=text, example=name, advice=advice)

    def _of_manifest(self) -> Iterator[Finding]:
        run = self._folder.manifest
        if definitions.digest(run.definition) != run.definition_digest:
            text = "run.json: the digest of the definition is another one: the definition was changed by hand"
            advice = "Restore run.json; another definition is chosen with --definition."
            yield Finding(id="definition-digest", level="error", text=text, advice=advice)

    def _of_plan(self) -> Iterator[Finding]:
        lines = Lines(self._path / lock.PLAN, lock.PLAN, PLANNED)
        plan, changed, twice = [], Tallied(), Tallied()
        seen = set()
        for number, item in lines:
            where, cell = f"{lock.PLAN}:{number}", item.cell
            if item.messages and prompt_digest(item.system, item.messages, item.variant) != item.prompt_digest:
                changed.note(where)
            if cell in seen:
                twice.note(where)
                continue
            seen.add(cell)
            plan.append(item)
        self._numbered = NumberedRow(plan)
        yield from lines.findings()
        run = self._folder.manifest
        if not lines.broken and (len(plan), self._numbered.count) != (run.planned_prompts, run.planned_replies):
            text = (
                f"plan.jsonl holds {len(plan)} prompts and {self._numbered.count} replies, "
                f"run.json planned {run.planned_prompts} and {run.planned_replies}"
            )
            advice = "One of the two was changed or lost lines: rates leave out what the plan does not hold."
            yield Finding(id="plan-differs", level="error", text=text, advice=advice)
        say = "plan.jsonl: prompts whose digest is not that of their words, as they were changed by hand"
        advice = "Replies are paired by this digest: restore the plan."
        yield from changed.finding("prompt-digest", "error", say, advice, len(plan))
        say = "plan.jsonl: prompts that are planned twice"
        yield from twice.finding("plan-twice", "error", say, "Restore the plan.", lines.rows)

    def _of_replies(self) -> Iterator[Finding]:
        lines = Lines(self._path / lock.REPLIES, lock.REPLIES, ROW)
        twice, unplanned, other, settings, strangers = Tallied(), Tallied(), Tallied(), Tallied(), Tallied()
        target = self._folder.manifest.target
        held = Served(target.provider, target.model, target.served_as)
        self._replied = bytearray(self._numbered.count)
        keys: dict[CellKey, str] = {}
        digests = {prompt.cell: prompt.prompt_digest for prompt in self._numbered.prompts}
        for line, row in lines:
            where = f"{lock.REPLIES}:{line}"
            number = self._numbered.number(row.key)
            if number is None:
                unplanned.note(where)
                continue
            cell = row.cell
            if row.prompt_digest != digests[cell]:
                other.note(where)
            if keys.setdefault(cell, row.request_key) != row.request_key:
                settings.note(where)
            if isinstance(row, Reply) and not held.admits(row.model):
                strangers.note(where)
            if isinstance(row, Reply) and held.admits(row.model):
                if self._replied[number] == REPLIED:
                    twice.note(where)
                self._replied[number] = REPLIED
            elif not self._replied[number]:
                self._replied[number] = FAILED
        yield from lines.findings()
        if lines.unread:  # then nothing is known to be missing, nor any grade to be without its reply
            self._replied = bytearray([REPLIED]) * self._numbered.count
        total = lines.rows
        say = "replies.jsonl: replies to another prompt than the plan holds under their key"
        yield from other.finding("other-prompt", "error", say, "Plan and replies are of different runs.", total)
        say = f"replies.jsonl: answers of another model than {target.name}, which count as failed"
        advice = "`run --resume --served-as NAME` accepts them, if that is the model that was meant."
        yield from strangers.finding("other-model", "error", say, advice, total)
        say = "replies.jsonl: second replies to a request, of which the first counts"
        yield from twice.finding("duplicate-rows", "warning", say, "Two runs were put together here?", total)
        say = "replies.jsonl: rows that belong to no planned reply and are not counted"
        yield from unplanned.finding("unplanned-rows", "warning", say, "The plan was made smaller.", total)
        say = "replies.jsonl: rows that were asked for with other settings than the first of their prompt"
        advice = "The run was resumed with other sampling, seed or options: its replies are a mixture."
        yield from settings.finding("settings-differ", "warning", say, advice, total)
        yield from self._missing()

    def _of_contradictions(self) -> Iterator[Finding]:
        try:
            contradictions = self._folder.contradictions()
        except InputError:
            return  # rows that cannot be read are a finding of their own
        for name, keys in contradictions.items():
            text = f"{name}: different rows under one key: {keys} {'key' if keys == 1 else 'keys'}"
            advice = "Two processes wrote this run: no gate reads it. Collect it anew, or restore one from a backup."
            yield Finding(id="contradicting-rows", level="error", text=text, example=name, advice=advice)

    def _missing(self) -> Iterator[Finding]:
        decided = self._folder.decided_at
        wanted = sum(
            prompt.samples if decided is None else min(prompt.samples, decided) for prompt in self._numbered.prompts
        )
        there = self._replied.count(REPLIED), self._replied.count(FAILED)
        advice = "`run --resume` asks for them; until then they count as failed and are in no rate."
        if missing := max(0, wanted - sum(there)):
            text = f"planned replies that were not collected: {missing} of {wanted}"
            yield finding("missing-rows", "warning", text, advice, count=missing, of=wanted)
        if there[1]:
            text = f"planned replies that ended in a failure: {there[1]} of {wanted}"
            level: Level = "warning" if there[1] > SHARE * wanted else "note"
            yield finding("failures", level, text, advice, count=there[1], of=wanted)

    def _of_graders(self) -> Iterator[Finding]:
        known: dict[str, list[GraderIdentity]] = {}
        for file in sorted((self._path / lock.GRADES).glob("*.jsonl")):
            name = f"{lock.GRADES}/{file.name}"
            who = _identity(file)
            if who is None:
                text = f"{name}: its .json, which says who graded, is missing or cannot be read"
                advice = "No command reads these grades: restore the .json, or grade anew with `regrade`."
                yield Finding(id="unknown-grader", level="error", text=text, example=name, advice=advice)
                continue
            if who.run not in {None, self._folder.manifest.mark}:
                text = f"{name}: these are grades of another run, {who.run}"
                advice = "No command reads this run: restore its grades, or move them away and `regrade`."
                yield Finding(id="foreign-grades", level="error", text=text, example=name, advice=advice)
            known.setdefault(who.grader, []).append(who.who)
            yield from self._of_grades(Lines(file, name, GRADE_ROW), who.who)
        yield from self._absent(known)

    def _of_grades(self, lines: "Lines[Graded | Ungraded]", identity: GraderIdentity) -> Iterator[Finding]:
        orphans, twice, none, digits = Tallied(), Tallied(), Tallied(), Tallied()
        first = FirstDigits.of(identity)
        graded = bytearray(self._numbered.count)
        for line, row in lines:
            where = f"{lines.name}:{line}"
            number = self._numbered.number(row.key)
            if number is None or self._replied[number] != REPLIED:
                orphans.note(where)
            elif isinstance(row, Graded):
                if graded[number]:
                    twice.note(where)
                graded[number] = 1
                if first is not None and first.note(row):
                    digits.note(where)
            else:
                none.note(where)
        yield from lines.findings()
        say = f"{lines.name}: grades that belong to no reply of this run and are not counted"
        yield from orphans.finding("orphan-grades", "warning", say, "Grades of another run?", lines.rows)
        say = f"{lines.name}: second grades of a reply, of which the first counts"
        yield from twice.finding("duplicate-grades", "warning", say, "Two runs were put together?", lines.rows)
        say = f"{lines.name}: replies without a verdict"
        level: Level = "warning" if none.count > SHARE * max(lines.rows, 1) else "note"
        advice = "`show RUN --ungraded` says why; `regrade` asks again for those that had no answer."
        yield from none.finding("no-verdicts", level, say, advice, lines.rows)
        if first is not None and first.found:
            say = f"{lines.name}: scores of a judge that shows no number of two digits: {FIRST_DIGITS}"
            advice = f"Grade anew: `regrade {self._path} --judge P/M --judge-method sampled --primary`."
            yield from digits.finding("truncated-scores", "error", say, advice, lines.rows)

    def _absent(self, known: dict[str, list[GraderIdentity]]) -> Iterator[Finding]:
        run = self._folder.manifest
        planned = {name for prompt in self._numbered.prompts for name in prompt.graders}
        for name in sorted(planned - known.keys()):
            text = f"grader `{name}` was planned and has no grades here"
            level: Level = "error" if name in run.definition.graders else "warning"
            yield Finding(id="never-graded", level=level, text=text, advice=f"`regrade {self._path} --grader {name}`.")
        for name in run.definition.graders:
            there = known.get(name, [])
            primary = run.primary.get(name)
            if not there and name not in planned:
                text = f"definition {run.definition.name} reads grader `{name}`, which has no grades here"
                yield Finding(id="never-graded", level="error", text=text, advice="`regrade` adds them.")
            elif there and primary is not None and primary not in {who.identity for who in there}:
                text = f"the primary grader {name}@{primary} is absent"
                advice = "Its file was lost: restore it, or choose another with --use-judge."
                yield Finding(id="no-primary-grader", level="error", text=text, advice=advice)
            elif len(there) > 1 and primary is None:
                text = f"several graders `{name}`, and run.json says of none that it is the primary one"
                yield Finding(id="no-primary-grader", level="error", text=text, advice="Choose one with --use-judge.")

    def _of_permissions(self) -> Iterator[Finding]:
        paths = [self._path, *sorted(self._path.rglob("*"))]
        opened = [path for path in paths if not path.is_symlink() and path.stat().st_mode & OPEN]
        if opened:
            text = f"{len(opened)} of {len(paths)} files and folders here can be read by others"
            advice = f"Replies may be harmful, prompts confidential: chmod -R go= {self._path}."
            example = str(opened[0].relative_to(self._path.parent))
            yield finding("open-files", "note", text, advice, count=len(opened), of=len(paths), example=example)


def _identity(grades: Path) -> KeptIdentity | None:
    """Who is described beside a file of grades; None where that is missing, unreadable or somebody else."""
    try:
        who = KeptIdentity.model_validate_json(read_content(grades.with_name(f"{grades.stem}.json")))
    except (InputError, ValidationError):
        return None
    return who if f"{who.grader}@{who.identity}" == grades.stem else None
